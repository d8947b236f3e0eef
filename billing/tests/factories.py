"""Plain makers of billing records for tests. Each goes through the product's own functions."""

from billing.domain.requests import create_payment_request
from billing.domain.statements import create_statement, finalize_statement
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import find_card
from billing.gateways.sandbox.models import SandboxCheckout
from customers.tests import factories

GOOD, DECLINED = "4242424242424242", "4000000000000002"


def make_customer(by=None, **fields):
    """Marta Santos, unless said otherwise, with an address in Manila."""
    address = {"line1": "1 Harbor Drive", "city": "Manila", "postal_code": "1008", "country": "PH"}
    defaults = {"first_name": "Marta", "last_name": "Santos", "email": "marta@example.com", "address": address}
    return factories.make_customer(by=by, **defaults | fields)


def make_request(customer=None, *, by=None, amount=4850, currency="USD", **fields):
    """An open payment request of $48.50."""
    defaults = {"country": "US", "method_types": ["card"], "description": "Wholesale order, November"}
    return create_payment_request(customer or make_customer(), amount=amount, currency=currency, by=by, **(defaults | fields))


def make_statement(customer=None, *, by=None, lines=(("Coffee beans, 5 kg", 2, 2180), ("Delivery", 1, 500)), **fields):
    """A draft of $48.60 that is due in the future."""
    from datetime import timedelta

    from django.utils import timezone

    defaults = {"currency": "USD", "due_at": timezone.now() + timedelta(days=14)}
    return create_statement(customer or make_customer(), lines=lines, by=by, **(defaults | fields))


def make_open_statement(customer=None, *, by=None, at=None, **fields):
    """A finalised one of $48.60; with a due date in the past, finalised a day before that."""
    from datetime import timedelta

    from django.utils import timezone

    draft = make_statement(customer, by=by, **fields)
    late = draft.due_at and draft.due_at < timezone.now()
    return finalize_statement(draft, by=by, at=at or (draft.due_at - timedelta(days=1) if late else None))


def submit_card(attempt, number=GOOD):
    """What the payer does on the sandbox's page of an attempt. True when the submit counted."""
    checkout = SandboxCheckout.objects.get(pk=attempt.remote_id)
    return bank.pay(checkout, find_card(number), version=checkout.version)


def make_dispute(payment, status="open", **fields):
    """A chargeback of a whole payment, as its gateway would report it."""
    from django.utils import timezone

    from billing.models import Dispute, Payment

    about = {"livemode": payment.livemode, "payment": payment, "customer": payment.customer, "amount": payment.amount}
    at = {"gateway": "sandbox", "gateway_reference": f"dp_of_{payment.pk}", "opened_at": timezone.now()}
    dispute = Dispute.objects.create(**about | at | {"currency": payment.currency, "status": status, **fields})
    Payment.objects.filter(pk=payment.pk).update(dispute=status)
    return dispute


def make_delivery(**fields):
    """A delivery of the sandbox about nothing of ours, worked on once."""
    from billing.models import WebhookDelivery

    event = {"event_id": "evt_1", "type": "charge.refunded", "object_kind": "payment", "remote_id": "sbxpay_none"}
    defaults = {"gateway": "sandbox", "livemode": False, "state": "parked", "tries": 1, "body": '{"id": "evt_1"}'}
    return WebhookDelivery.objects.create(**defaults | event | fields)


def make_unknown_attempt(request):
    """A checkout of a request whose call was sent and never answered."""
    from billing.domain import attempts, payables
    from billing.models import Attempt

    address = {"reference": attempts.new_reference(), "return_url": "https://counterfoil.example/pay/return/"}
    body = payables.checkout_body(request) | address
    attempt = attempts.write_attempt(request, kind=Attempt.Kind.CHECKOUT, gateway="sandbox", body=body)
    attempts.mark_sent(attempt)
    attempts.mark_unknown(attempt, "The gateway did not answer in time.")
    return attempt


def make_card_link(customer=None, *, by=None, **fields):
    """A card tokenization link that works for 14 days."""
    from billing.domain.card_links import create_card_link

    return create_card_link(customer or make_customer(), **{"gateway": "sandbox", "by": by} | fields)


def make_method(customer=None, *, by=None, number=GOOD, make_default=False, **changes):
    """A card on file at the sandbox: Visa •••• 4242, unless another listed number is given. `changes` are columns."""
    from billing.domain import vault
    from billing.models import PaymentMethod

    customer = customer or make_customer()
    summary = bank.tokenize(find_card(number), reference=customer.pk)
    method = vault.keep_method(customer, gateway="sandbox", summary=summary, by=by, make_default=make_default)
    if changes:
        PaymentMethod.objects.filter(pk=method.pk).update(**changes)
        method.refresh_from_db()
    return method


def make_subscription(customer=None, *, by=None, with_method=True, **fields):
    """Beans every month at $29.00 from today, charged to a Visa card."""
    from django.utils import timezone

    from billing.domain.subscriptions import start_subscription

    customer = customer or make_customer()
    if with_method and not customer.methods.exists():
        make_method(customer)
    terms = {"name": "Beans, monthly", "amount": 2900, "currency": "USD", "interval": "month", "interval_count": 1}
    how = {"quantity": 1, "billing": "pay_automatically", "started_on": timezone.localdate()}
    return start_subscription(customer, by=by, **terms | how | fields)


def make_coupon(*, by=None, livemode=False, **fields):
    """10 % off, for anyone, as often as they like."""
    from billing.domain.coupons import create_coupon

    return create_coupon(livemode=livemode, by=by, **({} if "amount_off" in fields else {"percent_off": 10}) | fields)
