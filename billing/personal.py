"""What billing's tables, and those of the sandbox, hold of a customer; see customers.privacy.registry."""

import secrets

from django.apps import apps
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from billing import documents as papers
from billing.domain.statements import delete_draft
from billing.domain.vault import forget_at_gateway
from billing.models import (
    Attempt,
    BalanceEntry,
    BillingStatement,
    Coupon,
    CouponRedemption,
    CustomerTotal,
    Dispute,
    GatewayCustomer,
    LineItem,
    Payment,
    PaymentMethod,
    PaymentRequest,
    Refund,
    Subscription,
    TokenizationLink,
    WebhookDelivery,
)
from customers.privacy.erasure import as_it_was
from customers.privacy.registry import ERASED, Holding, Obstacle, derived, harmless, kept, nothing, removed, secret
from dashboard.ids import bare
from dashboard.tokens import hash_token

GONE = "erased"  # the nonce of a link that opens nothing any more
OURS = "a word of ours"
REMOTE = "names something at the payment company, and nobody"
LINK = "opens the payer's page"
FORM = "a random number: one form does one thing"
MONEY = "a currency, or how money moved"


# --- how to recognise a person, and what keeps them from being erased --------------------------------------------
def ids_of(customer):
    """Our IDs of everything of theirs, and the payment company's."""
    for model in (BillingStatement, PaymentRequest, Payment, Refund, PaymentMethod, TokenizationLink, Subscription, Attempt):
        yield from model.objects.filter(customer=customer).values_list("pk", flat=True)
    yield from LineItem.objects.filter(statement__customer=customer).values_list("pk", flat=True)
    for model in (Attempt, GatewayCustomer):
        yield from model.objects.filter(customer=customer).values_list("remote_id", flat=True)
    for model in (Payment, Refund, Dispute):
        yield from model.objects.filter(customer=customer).values_list("gateway_reference", flat=True)


def words_of(customer):
    """E-mail addresses and phone numbers that their bills and payments froze."""
    frozen = (
        (BillingStatement, ("bill_to_email", "bill_to_phone")),
        (Payment, ("billing_email", "billing_phone")),
        (PaymentRequest, ("customer_email",)),
        (TokenizationLink, ("customer_email",)),
        (PaymentMethod, ("checkout_email",)),
    )
    for model, names in frozen:
        for values in model.objects.filter(customer=customer).values_list(*names).distinct():
            yield from values


def obstacles(customer):
    """What is still open: money is settled or given up before anybody forgets whose it is."""
    for statement in BillingStatement.objects.filter(customer=customer, status=BillingStatement.Status.OPEN)[:20]:
        due = statement.amount_remaining_money
        yield Obstacle(
            f"{statement} is open: {due} is due. Settle it, void it or mark it uncollectible.", statement.get_absolute_url()
        )
    for request in PaymentRequest.objects.open().filter(customer=customer)[:20]:
        yield Obstacle(
            f"The payment request “{request}” can still be paid. Cancel it, or wait until it is.", request.get_absolute_url()
        )
    for subscription in Subscription.objects.live().filter(customer=customer)[:20]:
        yield Obstacle(f"The subscription “{subscription}” still bills. Cancel it.", subscription.get_absolute_url())
    for payment in Payment.objects.filter(customer=customer, status__in=["pending", "authorized"])[:20]:
        yield Obstacle(
            f"A payment of {payment.amount_money} is {payment.get_status_display().lower()}. "
            "Wait until it is settled; capture or release one that is authorised.",
            payment.get_absolute_url(),
        )
    for refund in Refund.objects.filter(customer=customer, status=Refund.Status.PENDING)[:20]:
        yield Obstacle(f"A refund of {refund.amount_money} is on its way.", refund.get_absolute_url())
    for dispute in Dispute.objects.filter(customer=customer, status=Dispute.Status.OPEN).select_related("payment")[:20]:
        yield Obstacle(
            f"A dispute of {dispute.amount_money} is open: its papers are needed until it is closed.",
            dispute.payment.get_absolute_url(),
        )
    if Attempt.objects.open().filter(customer=customer).exists():
        yield Obstacle(
            "A payment page is open at the payment company, or a payment is being checked there. This ends by itself.",
            reverse("billing:attempts"),
        )
    for total in CustomerTotal.objects.filter(customer=customer, credit_balance__gt=0):
        yield Obstacle(
            f"{total.credit_balance_money} of credit is theirs. Pay it out or take it off.",
            reverse("customer_billing:balance", args=[customer.pk]),
        )


# --- documents -----------------------------------------------------------------------------------------------------
def documents(customer, kept):
    """(file name, a function that makes the PDF) of finalised statements and paid payments, the newest first.

    kept: with the names that are kept by law of somebody who was erased.
    """
    shown = as_kept if kept else lambda record: record
    for statement in _finalised(customer).iterator(chunk_size=50):
        yield papers.file_name(statement), lambda statement=statement: papers.statement_pdf(shown(statement))
    for payment in _paid(customer).iterator(chunk_size=50):
        yield papers.file_name(payment), lambda payment=payment: papers.receipt_pdf(shown(payment))


def _finalised(customer):
    rows = BillingStatement.objects.filter(customer=customer).exclude(status=BillingStatement.Status.DRAFT)
    return rows.select_related("customer").prefetch_related("lines").order_by("-pk")


def _paid(customer):
    rows = Payment.objects.paid().filter(customer=customer).select_related("statement", "request", "customer")
    return rows.prefetch_related("refunds").order_by("-pk")


def as_kept(record):
    """A statement or payment of an erased customer as the law keeps it, to be printed and not to be saved."""
    as_it_was(record)
    if isinstance(record, BillingStatement):
        record._prefetched_objects_cache = {"lines": as_it_was(*record.lines.all())}
    return record


def shown_to(user, record):
    """A document as somebody of the staff may see it: of an erased customer, admins alone see whom it named."""
    erased = record.customer and record.customer.erased
    return as_kept(record) if erased and user.has_perm("customers.erase_customer") else record


# --- what is done besides -------------------------------------------------------------------------------------------
def before_erasing(customer, by):
    """Drafts bill nobody any more."""
    for draft in BillingStatement.objects.filter(customer=customer, status=BillingStatement.Status.DRAFT):
        delete_draft(draft, by=by)
        yield draft


def afterwards(customer):
    """Ask the gateways to forget the methods they keep; a sentence for each that may still be there. Outside any
    transaction: it goes over the network."""
    for method in methods_at_gateways(customer):
        if problem := forget_at_gateway(method, gone=f"{GONE}:{method.pk}"):
            yield problem


def left_elsewhere(customer):
    """A sentence for each method a gateway may still keep of somebody who was erased."""
    for method in methods_at_gateways(customer):
        yield f"{method.gateway.capitalize()} may still keep a {method.get_type_display().lower()}."


def methods_at_gateways(customer):
    return PaymentMethod.objects.filter(customer=customer).exclude(gateway_token__startswith=f"{GONE}:")


def _close_link(row, person):
    """The payer's secret link opens nothing any more, and staff cannot read it out again."""
    if row.token_nonce != GONE:
        row.token_nonce, row.token_hash = GONE, hash_token(secrets.token_hex(32))


def _settle_statement(row, person):
    _close_link(row, person)
    row.derive([])


def _settle_request(row, person):
    _close_link(row, person)
    if row.status == PaymentRequest.Status.OPEN:  # past its time, and not marked yet
        row.status = PaymentRequest.Status.EXPIRED
    row.derive()


def _settle_card_link(row, person):
    _close_link(row, person)
    if row.status == TokenizationLink.Status.NEW:
        row.status, row.canceled_at = TokenizationLink.Status.CANCELED, timezone.now()
    row.derive()


def _settle_method(row, person):
    row.status, row.is_default = PaymentMethod.Status.ARCHIVED, False
    row.archived_at = row.archived_at or timezone.now()


def _settle_coupon(row, person):
    row.active = False
    row.derive()


def _of(model, related=None):
    return lambda person: model.objects.filter(customer=person.pk).select_related(related)


_LINKS = ("token_nonce", "token_hash")

HOLDINGS = [
    Holding(
        "billing.BillingStatement",
        kept("bill_to_email", "bill_to_phone", "bill_to_tax_id", "merchant_reference_id", "description")
        | kept(bill_to_name=ERASED, bill_to_address={}, metadata={})
        | removed("promise_note")
        | derived("sort_name", "search")
        | secret(LINK, "token_nonce", "token_hash")
        | secret(FORM, "form_key")
        | harmless("a document's number", "number")
        | harmless(MONEY, "currency", "allowed_methods", "setup_future_usage", "billing", "billing_reason")
        | harmless("the merchant's own", "merchant_name", "statement_descriptor", "billing_details_collection"),
        rows=_of(BillingStatement),
        words="billing statements and invoices: name, contact data, address, tax ID, description, metadata",
        settle=_settle_statement,
        extra=_LINKS,
        dated=lambda row: row.finalized_at or row.created_at,
        pack="billing_statements",
    ),
    Holding(
        "billing.LineItem",
        kept(description="Item"),
        rows=lambda person: LineItem.objects.filter(statement__customer=person.pk).select_related("statement"),
        words="lines of statements: what was sold",
        dated=lambda row: row.statement.finalized_at or row.statement.created_at,
        pack="lines",
    ),
    nothing("billing.Reminder", OURS),
    Holding(
        "billing.PaymentRequest",
        removed("description", "merchant_reference_id", "customer_email", "complete_url", "cancel_url")
        | removed(customer_name=ERASED, metadata={})
        | derived("sort_name", "search")
        | secret(LINK, "token_nonce", "token_hash")
        | secret(FORM, "form_key")
        | harmless(MONEY, "currency", "country", "method_types")
        | harmless("a language of the page", "language"),
        rows=_of(PaymentRequest),
        words="payment requests: name, e-mail, description, metadata; their links end",
        settle=_settle_request,
        extra=(*_LINKS, "status"),
        pack="payment_requests",
    ),
    Holding(
        "billing.Attempt",
        removed("url", "error", request={})
        | secret("a digest of the call", "request_hash")
        | harmless(REMOTE, "gateway", "remote_id")
        | harmless("names a record", "target_id")
        | harmless(MONEY, "currency"),
        rows=lambda person: Attempt.objects.filter(Q(customer=person.pk) | Q(target_id__in=person.ids)),
        words="payment attempts: what was sent to the payment company",
        pack="attempts",
    ),
    Holding(
        "billing.PaymentMethod",
        removed("card_name", "card_number_bin", "card_funding_method", "card_issuer", "fingerprint", "account_name")
        | removed("account_bank_name", "account_type", "account_holder_type", "external_payer_id", "wallet_type")
        | removed(card_number_last4=lambda row: row.card_number_last4 and "••••", account_number_last4="")
        | removed(checkout_email=lambda row: row.checkout_email and GONE)
        | removed(checkout_holder=lambda row: row.checkout_holder and ERASED)
        | removed(address={})
        | secret("charges the method", "gateway_token", "vault_token")
        | harmless("a brand", "card_scheme")
        | harmless(REMOTE, "gateway"),
        rows=_of(PaymentMethod),
        words="payment methods: holder, digits, bank, address; the payment company is asked to forget them",
        settle=_settle_method,
        extra=("status", "is_default", "archived_at"),
        pack="payment_methods",
    ),
    Holding(
        "billing.GatewayCustomer",
        harmless(REMOTE, "gateway", "remote_id"),
        rows=_of(GatewayCustomer),
        pack="known_at_gateways_as",
    ),
    Holding(
        "billing.TokenizationLink",
        removed("description", "customer_email", customer_name=ERASED)
        | derived("sort_name", "search")
        | secret(LINK, "token_nonce", "token_hash")
        | secret(FORM, "form_key")
        | harmless(MONEY, "currency", "gateway"),
        rows=_of(TokenizationLink),
        words="requests for card details: name, e-mail, description; their links end",
        settle=_settle_card_link,
        extra=(*_LINKS, "status", "canceled_at"),
        pack="card_links",
    ),
    Holding(
        "billing.Coupon",
        removed("name", "description", metadata={}, code=lambda row: f"ERASED_{bare(row.pk)[-12:]}")
        | derived("sort_name", "search")
        | secret(FORM, "form_key")
        | harmless(MONEY, "currency"),
        rows=_of(Coupon),
        words="coupons made for them alone: code, name, description, metadata",
        settle=_settle_coupon,
        extra=("active",),
        pack="coupons",
    ),
    Holding(
        "billing.CouponRedemption", harmless(MONEY, "currency"), rows=_of(CouponRedemption), pack="coupon_uses"
    ),
    Holding(
        "billing.BalanceEntry",
        removed("reason") | harmless(MONEY, "currency", "kind"),
        rows=_of(BalanceEntry),
        words="entries of the credit balance: the reason somebody typed",
        pack="credit_balance",
    ),
    Holding(
        "billing.Payment",
        kept("method_brand", "method_last4", "method_bin", "method_holder", "billing_email", "billing_phone", "description")
        | kept("merchant_reference_id", billing_name=ERASED, billing_address={}, custom_fields={}, metadata={})
        | removed("failure_message")
        | derived("sort_name", "search")
        | secret(FORM, "form_key")
        | harmless(OURS, "product_type", "dispute", "address_check", "failure_code")
        | harmless("the merchant's own", "statement_descriptor")
        | harmless(REMOTE, "gateway", "gateway_reference", "payment_intent_id")
        | harmless(MONEY, "currency"),
        rows=_of(Payment),
        words="payments: payer, contact data, address, digits of the card, description, metadata",
        settle=lambda row, person: row.derive(),
        dated=lambda row: row.paid_at or row.created_at,
        pack="payments",
    ),
    Holding(
        "billing.CustomerTotal", harmless(MONEY, "currency"), rows=_of(CustomerTotal), pack="totals"
    ),
    Holding(
        "billing.Refund",
        kept("merchant_reference_id", "remarks", metadata={})
        | removed("failure_message")
        | derived("sort_name", "search")
        | secret(FORM, "form_key")
        | harmless(OURS, "failure_code")
        | harmless(REMOTE, "gateway", "gateway_reference")
        | harmless(MONEY, "currency"),
        rows=_of(Refund, related="payment"),
        words="refunds: remarks, reference, metadata",
        settle=lambda row, person: row.derive(),
        dated=lambda row: row.created_at,
        pack="refunds",
    ),
    Holding(
        "billing.Dispute",
        harmless("a code of the payment company's", "reason")
        | harmless(REMOTE, "gateway", "gateway_reference")
        | harmless(MONEY, "currency"),
        rows=_of(Dispute),
        pack="disputes",
    ),
    Holding(
        "billing.Subscription",
        removed("problem", name="Subscription", metadata={})
        | derived("sort_name", "search")
        | secret(FORM, "form_key")
        | harmless(MONEY, "currency"),
        rows=_of(Subscription, related="customer"),
        words="subscriptions: what they are for, metadata",
        settle=lambda row, person: row.derive(),
        pack="subscriptions",
    ),
    Holding(
        "billing.WebhookDelivery",
        removed("error", body="{}")
        | harmless(REMOTE, "gateway", "event_id", "remote_id")
        | harmless(OURS, "type", "object_kind"),
        rows=lambda person: WebhookDelivery.objects.filter(remote_id__in=person.ids),
        words="messages of the payment company: their text",
        pack="webhook_deliveries",
    ),
    # --- the sandbox: the payment company of test mode, in tables of its own
    Holding(
        "sandbox.SandboxCheckout",
        removed("description")
        | harmless("names a record", "reference", "return_url")
        | harmless(MONEY, "currency", "method_types"),
        rows=lambda person: _sandbox("SandboxCheckout").filter(reference__in=person.ids),
        words="payment pages of the sandbox: their description",
        left_out="the sandbox's copy of payment attempts",
    ),
    Holding(
        "sandbox.SandboxRequestLog",
        removed(response=lambda row: {} if row.response else row.response)
        | harmless("names a record", "key")
        | harmless(OURS, "operation")
        | harmless("a digest of the call", "body_hash"),
        rows=lambda person: _sandbox("SandboxRequestLog").filter(_key_of(person)),
        words="calls to the sandbox: what it answered",
        left_out="the sandbox's copy of payment attempts",
    ),
    nothing("sandbox.SandboxCustomer", REMOTE, "reference"),
    nothing(
        "sandbox.SandboxMethod", "of a test card, which is nobody's", "type", "brand", "last4", "funding", "bin", "fingerprint",
        "trait",
    ),
    nothing(
        "sandbox.SandboxCharge", "of a test card, which is nobody's", "type", "brand", "last4", "funding", "bin", "fingerprint",
        "trait", "reference", "currency", "failure_code", "failure_message",
    ),
    nothing("sandbox.SandboxRefund", OURS, "reference", "failure_code", "failure_message"),
    nothing("sandbox.SandboxDispute", OURS, "reason"),
    nothing("sandbox.SandboxDelivery", "IDs and words of ours", "type", "remote_id", "body"),
]  # fmt: skip


def _sandbox(name):
    return apps.get_model("sandbox", name).objects.all()


def _key_of(person):
    """Keys are an ID of ours, and perhaps a word or a digest behind it."""
    return Q(key__in=person.ids) | Q(key__startswith=f"{person.pk}.")
