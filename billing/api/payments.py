"""Payments: charged now to a stored source, or received elsewhere and recorded; captured, released, described."""

from datetime import timedelta
from typing import Annotated, Literal

from django.db import transaction
from django.utils import timezone
from ninja import Query as Parameters
from ninja import Status
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from billing.api.payers import CUSTOMER_ID, SAID, PayerBody, payer_of, source_of
from billing.api.payment_answers import PaymentList, PaymentOut, attempt_json, dispute_json, payment_json, refund_json
from billing.api.sorting import sort_of, sorts_of
from billing.domain import captures, charges, checkouts, sandbox
from billing.domain.payment_edits import update_payment, version_of
from billing.domain.payments import record_payment
from billing.filters import PaymentFilter
from billing.filters.payments import PRODUCTS, STATUSES
from billing.gateways.sandbox.cards import find_card
from billing.models import Attempt, BillingStatement, Payment
from billing.tables import PaymentTable
from billing.views.payments import attempts_of
from billing.views.records import SHARES
from customers.api.bodies import one_of
from customers.api.finding import find_customer, find_one
from customers.models import Customer
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.errors import ApiError
from dashboard.api.fields import Amount, Body, Currency, Flag, Id, Metadata, Moment, Text, optional
from dashboard.api.lists import Paging, filtered_list

router = Resource(tags=["Payments"])
PAYMENTS = Payment.objects.defer("search")
SORTS = sorts_of(PaymentTable)
DAY = "A day, in the dashboard's time zone: 2026-11-22."
MAJOR = "In the row's own units, whatever its currency: 48.50."


# --- what one may say --------------------------------------------------------------------------------------
def _test_card(value):
    """The card of the sandbox's list that has this number. The number itself goes no further."""
    found = find_card(value) if isinstance(value, str) and len(value) <= 40 else None
    if not found or found.type != "card":
        raise ValueError("is not one of the sandbox's test cards. The number was not kept, and no money moved")
    return found


TestCardNumber = Annotated[object, BeforeValidator(_test_card), WithJsonSchema({"type": "string", "maxLength": 40})]


class Told(Body):
    """What may be written on any payment."""

    read_only = ("id", "livemode", "status", "created_at", "updated_at", "user_id", "fee", "amount_refunded")

    description: optional(Text(500), clears="", description="What it is for. It stands on the receipt.")
    metadata: optional(Metadata, clears={})


class NewCharge(Told):
    """A charge now. What decides about the money is never disregarded: a malformed part of it is an error."""

    customer_id: CUSTOMER_ID = Field(description=SAID)
    amount: Amount = Field(description="Minor units.")
    currency: Currency
    payment_source_id: Id("src") | None = Field(None, description="The customer's default source unless told.")
    card_number: TestCardNumber | None = Field(None, description="Test mode alone: a listed test card, instead of a source.")
    capture: Flag | None = Field(None, description="false: authorise now, and capture or release later.")
    merchant_reference_id: optional(Text(255), clears="", description="Your order number. The payer never sees it.")
    statement_descriptor: optional(Text(22), clears="", description="On the payer's bank statement.")

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "customer_id": "cus_65f0c1d2a7b34e5f60718293",
                "amount": 4850,
                "currency": "USD",
                "payment_source_id": "src_65f0c1d2a7b34e5f607182aa",
                "description": "Order 1001",
                "metadata": {"order": "1001"},
            }
        },
    )


class NewRecord(Told, PayerBody):
    """A payment made elsewhere. Nothing is charged. `email` becomes the customer's, if no later bill or payment set it."""

    amount: Amount = Field(description="Minor units.")
    currency: Currency
    billing_statement_id: Id("bstm") | None = Field(None, description="What it pays off; its customer is meant.")
    product_type: optional(Literal["api", "page", "shopify"], description="api unless told.")
    method_type: optional(one_of(Payment.Method), description="recorded_elsewhere unless told.")
    paid_at: Moment | None = Field(None, description="Now unless told.")
    merchant_reference_id: optional(Text(255), clears="")

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "name": "John Doe",
                "email": "john.doe@example.com",
                "amount": 4850,
                "currency": "USD",
                "product_type": "shopify",
                "method_type": "card",
                "paid_at": "2026-10-27T10:00:00Z",
                "merchant_reference_id": "1001",
            }
        },
    )


class PaymentEdit(Told):
    """The money is never edited. What does not come stays as it is; `metadata` is set whole."""

    read_only = (*Told.read_only, "amount", "currency", "customer_id", "merchant_reference_id", "statement_descriptor")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"metadata": {"order": "1001"}}})


class Capture(Body):
    """How much of an authorised payment is taken."""

    amount: Amount | None = Field(None, description="Minor units; all of it unless told. The rest is released.")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"amount": 4850}})


class PaymentQuery(Paging):
    """Filters of the list, as the page has them; a malformed one is disregarded."""

    q: optional(Text(200), description="Words of the description, customer, reference, ID or last digits.")
    status: optional(Literal[tuple(value for value, _ in STATUSES)])
    product: optional(Literal[tuple(value for value, _ in PRODUCTS)])
    method: optional(one_of(Payment.Method))
    brand: optional(Text(20))
    last4: optional(Text(4))
    source: optional(Text(40), description="The ID of a payment source.")
    customer: optional(Text(40), description="The ID of a customer.")
    statement: optional(Text(64), description="The number or ID of a statement.")
    currency: optional(Currency)
    amount_from: optional(Text(15), description=MAJOR)
    amount_to: optional(Text(15), description=MAJOR)
    created: optional(Text(20), description="today, 7d, this_month and so on.")
    created_from: optional(Text(10), description=DAY)
    created_to: optional(Text(10), description=DAY)
    paid: optional(Text(20), description="As created.")
    paid_from: optional(Text(10), description=DAY)
    paid_to: optional(Text(10), description=DAY)
    gateway: optional(Text(20))
    address_check: optional(Text(12))
    failure: optional(Text(200), description="A failure code, or words of the reason.")
    sort: sort_of(PaymentTable)


# --- money received elsewhere: its path goes before that of one payment --------------------------------------
@router.post("/payments/record", response=writes(PaymentOut, 201), summary="Record a payment made elsewhere")
@allowed_to("billing.record_payment")
def create_record(request, body: NewRecord):
    """Notes money you have received already, in cash, in a shop or through another system. Nothing is charged. With
    `billing_statement_id` it pays off that statement, and the gateway's page of it is closed first."""
    if body.paid_at and body.paid_at > timezone.now() + timedelta(minutes=1):
        raise ApiError("parameter_invalid", "paid_at is yet to come. No payment was recorded.", "paid_at")
    statement = _statement(request, body.billing_statement_id)
    if statement and not _recorded(request):
        checkouts.close_checkout(statement)
    given = {n: v for n, v in body.given().items() if n in ("product_type", "method_type", "paid_at") and v}
    given |= {"product_type": ""} if statement else {"product_type": given.get("product_type", Payment.Product.API)}
    with transaction.atomic():
        customer = _payer(request, body, statement)
        made = record_payment(customer, statement=statement, email=body.email or "", **_how(request, body), **given)
    return Status(201, _now(request, made))


def _statement(request, pk):
    rows = BillingStatement.objects.filter(livemode=request.livemode).select_related("customer")
    return find_one(request, rows, "billing statement", pk, pk=pk) if pk else None


def _recorded(request):
    """Whether this very request recorded its payment before."""
    key = idempotency.form_key(request)
    return bool(key) and Payment.objects.filter(form_key=key).exists()


def _payer(request, body, statement):
    """Whose payment it is: of a statement's own customer, unless another is named, which is refused."""
    if statement and not body.customer_id:
        return statement.customer
    return payer_of(request, body, Customer.Origin.PAYMENT)


# --- looking -----------------------------------------------------------------------------------------------
@router.get("/payments", response=reads(PaymentList), summary="List payments")
@allowed_to("billing.view_payment")
def list_payments(request, query: Annotated[PaymentQuery, Parameters()]):
    """The newest first, failed ones too, unless filters or `sort` say otherwise."""
    return filtered_list(request, query, PaymentFilter, PAYMENTS, payment_json, SORTS)


@router.get("/payments/{payment_id}", response=reads(PaymentOut), summary="Retrieve a payment")
@allowed_to("billing.view_payment")
def retrieve_payment(request, payment_id: str):
    """With its refunds, its disputes, and what was tried at the gateway, each newest first."""
    return whole(find_payment(request, payment_id), request.auth)


def find_payment(request, payment_id):
    """The payment of an ID in the caller's mode. Raises ApiError 404."""
    rows = PAYMENTS.filter(livemode=request.livemode).select_related("attempt")
    return find_one(request, rows, "payment", payment_id, pk=payment_id)


def whole(payment, caller):
    """The JSON of one payment, as its page shows it."""
    refunds = list(payment.refunds.order_by("-created_at", "-pk"))
    attempts = list(attempts_of(payment, refunds))
    checking = any(attempt.state == Attempt.State.UNKNOWN for attempt in attempts)
    asked = payment.confirm_url if not checking and caller.has_perm(SHARES) else ""
    return payment_json(payment, caller) | {
        "checking": checking,
        "next_action_url": asked or None,
        "refunds": [refund_json(refund, caller) for refund in refunds],
        "disputes": [dispute_json(dispute) for dispute in payment.disputes.order_by("-opened_at", "-pk")],
        "attempts": [attempt_json(attempt) for attempt in attempts],
    }


def _now(request, payment):
    """A payment as it is after an action."""
    return whole(find_payment(request, payment.pk), request.auth)


# --- charging ----------------------------------------------------------------------------------------------
@router.post("/payments", response=writes(PaymentOut, 201), summary="Charge a payment source")
@allowed_to("billing.charge")
def create_payment(request, body: NewCharge):
    """Charges the customer's source now. A decline is no error of the API: `status` is `failed`, and `failure_code` and
    `failure_message` say why. While nobody knows how it ended, `status` is `pending`: ask for it again, charge nothing
    again. Send an `Idempotency-Key`: with it, the same request never charges twice."""
    _refuse_card(request, body)
    customer = find_customer(request, body.customer_id)
    how = _how(request, body, "statement_descriptor") | {
        "product_type": Payment.Product.API,
        "capture": body.capture is not False,
    }
    if body.card_number:
        made = sandbox.charge_test_card(customer, body.card_number, **how)
    else:
        made = charges.charge(customer, method=source_of(request, customer, body.payment_source_id), **how)
    return Status(201, _now(request, made))


def _refuse_card(request, body):
    """Raises ApiError 400 for any card number in live mode, and for one beside a source."""
    if body.card_number and request.livemode:
        detail = "Live cards are typed on the gateway's own page. The number was not kept, and no money moved."
        raise ApiError("parameter_invalid", detail, "card_number")
    if body.card_number and body.payment_source_id:
        detail = "Send payment_source_id or card_number, not both. No money moved."
        raise ApiError("parameter_invalid", detail, "card_number")


def _how(request, body, *more):
    """What charging and recording both take."""
    kept = {
        name: body.given()[name] for name in ("description", "merchant_reference_id", "metadata", *more) if name in body.given()
    }
    about = {"amount": body.amount, "currency": body.currency, "by": request.auth.by}
    return kept | about | {"form_key": idempotency.form_key(request)}


# --- what is done to one -----------------------------------------------------------------------------------
@router.patch("/payments/{payment_id}", response=writes(PaymentOut), summary="Update a payment")
@allowed_to("billing.change_payment")
def edit_payment(request, payment_id: str, body: PaymentEdit):
    """Sets `description` and `metadata`, in any status. `metadata` is set whole; `null` clears a field."""
    found, given = find_payment(request, payment_id), body.given()
    with transaction.atomic():
        current = Payment.objects.select_for_update(no_key=True).get(pk=found.pk)
        kept = {"description": current.description, "metadata": current.metadata}
        update_payment(current, version=version_of(current), by=request.auth.by, **kept | given)
    return _now(request, found)


@router.post("/payments/{payment_id}/capture", response=writes(PaymentOut), summary="Capture a payment")
@allowed_to("billing.capture_payment")
def capture_payment(request, payment_id: str, body: Capture | None = None):
    """Takes an authorised payment, or a part of it; what is not taken is released. Still `authorized` in the answer means
    that the gateway's answer is awaited: do not try again."""
    payment = find_payment(request, payment_id)
    captures.capture_payment(payment, amount=body and body.amount, by=request.auth.by)
    return _now(request, payment)


@router.post("/payments/{payment_id}/release", response=writes(PaymentOut), summary="Release a payment")
@allowed_to("billing.capture_payment")
def release_payment(request, payment_id: str):
    """Lets an authorised payment go: the payer is not charged. Still `authorized` in the answer means that the gateway's
    answer is awaited."""
    payment = find_payment(request, payment_id)
    captures.release_payment(payment, by=request.auth.by)
    return _now(request, payment)
