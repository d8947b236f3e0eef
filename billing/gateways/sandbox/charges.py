"""Charges, captures and refunds inside the sandbox. Every function runs in its caller's transaction."""

from django.db.models import F, Q
from django.utils import timezone

from billing.gateways.base import CheckoutMode, Declined, Kind, Rejected
from billing.gateways.sandbox import answers
from billing.gateways.sandbox.cards import FAILURES, Trait, failure_of
from billing.gateways.sandbox.deliveries import announce
from billing.gateways.sandbox.models import SandboxCharge, SandboxCustomer, SandboxDispute, SandboxMethod, SandboxRefund

Status = SandboxCharge.Status
CARD = ("type", "brand", "last4", "funding", "bin", "fingerprint", "trait")
DEBITS = (Trait.DEBIT, Trait.DEBIT_FAILS)
EVENTS = {  # how a charge that is not of a checkout page is told of
    Status.PENDING: "payment_intent.processing",
    Status.AUTHORIZED: "payment_intent.amount_capturable_updated",
    Status.SUCCEEDED: "payment_intent.succeeded",
    Status.FAILED: "payment_intent.payment_failed",
    Status.CANCELED: "payment_intent.canceled",
}


def start_charge(card, *, asks_again=True, **fields):
    """Try a charge on a card or a saved method; how it comes out is in the row's status.

    asks_again is False when the payer has just confirmed.
    """
    code = getattr(card, "failure", "") or ("generic_decline" if card.trait == Trait.DECLINES_LATER and fields["amount"] else "")
    status = Status.FAILED if code else Status.ACTION if card.trait == Trait.ASKS and asks_again else None
    charge = SandboxCharge(
        **{name: getattr(card, name) for name in CARD},
        **fields,
        failure_code=code,
        failure_message=FAILURES.get(code, ""),
    )
    charge.status = status or good_status(charge)
    charge.captured = charge.amount if charge.status == Status.SUCCEEDED else 0
    charge.save(force_insert=True)
    return charge


def good_status(charge):
    """What a charge becomes when the bank says yes."""
    if charge.trait in DEBITS and charge.amount:
        return Status.PENDING
    return Status.SUCCEEDED if charge.capture or not charge.amount else Status.AUTHORIZED


def move(charge, was, to, **fields):
    """Compare and set: False when the charge is no longer what it was."""
    if to == Status.SUCCEEDED:
        fields.setdefault("captured", charge.amount)
    return bool(SandboxCharge.objects.filter(pk=charge.pk, status__in=was).update(status=to, **fields))


def failed(code):
    """The columns of a charge or refund that failed."""
    return {"failure_code": code, "failure_message": FAILURES[code]}


def tell(charge, status):
    """Announce what became of a charge: its page when it has one, else the charge itself."""
    amount, page = charge.amount, charge.checkout_id
    if page and status in (Status.SUCCEEDED, Status.AUTHORIZED, Status.PENDING):
        announce(Kind.CHECKOUT, page, "checkout.session.completed", amount)
    elif status in EVENTS and amount:
        announce(Kind.PAYMENT, charge.pk, EVENTS[status], amount)


def save_method(checkout, charge):
    """Keep the method of a charge for its customer, when the page was asked to."""
    if not checkout.save_card and checkout.mode != CheckoutMode.SAVE_CARD:
        return
    fields = {name: getattr(charge, name) for name in CARD}
    charge.method = SandboxMethod.objects.create(customer_id=checkout.customer_id, **fields)
    SandboxCharge.objects.filter(pk=charge.pk).update(method=charge.method)


# --- what the gateway's calls do ---------------------------------------------------------------------------
def charge_saved(request):
    """Charge a saved method without the payer."""
    method = _method(request.token)
    if method.type == "bank_account" and not request.capture:
        raise Rejected("A bank debit cannot be authorised first and captured later.")
    charge = start_charge(
        method,
        method=method,
        reference=request.reference,
        amount=request.amount_minor,
        currency=request.currency,
        capture=request.capture,
    )
    tell(charge, charge.status)
    return {"remote_id": charge.pk}


def _method(token):
    method = SandboxMethod.objects.filter(pk=token, detached_at=None).first()
    if not method:
        raise Rejected("The sandbox has no such saved method. It was removed, or never saved.")
    return method


def summary_of(token):
    """The MethodSummary of a token. Declined for a card no bank lets be saved."""
    method = _method(token)
    if method.failure:
        raise Declined(failure_of(method.failure))
    return answers.method(method, method)


def attach(token, customer):
    """Save the method of a token for a customer; twice is once."""
    summary_of(token)
    free = SandboxMethod.objects.filter(Q(customer=None) | Q(customer=customer), pk=token)
    if not SandboxCustomer.objects.filter(pk=customer).exists() or not free.update(customer=customer):
        raise Rejected("The sandbox keeps this method for another customer.")
    return {"token": token}


def capture_charge(remote_id, amount):
    """Take an authorised charge, whole or in part; the rest is released."""
    charge = SandboxCharge.objects.filter(pk=remote_id).first()
    if not charge or not 0 < amount <= charge.amount:
        raise Rejected("This is not an authorised payment, or more than was authorised.")
    if not move(charge, [Status.AUTHORIZED], Status.SUCCEEDED, captured=amount):
        raise Rejected(f"This payment is {charge.get_status_display().lower()} and cannot be captured.")
    announce(Kind.PAYMENT, charge.pk, EVENTS[Status.SUCCEEDED], amount)
    return {"remote_id": charge.pk}


def release_charge(remote_id):
    """Let an authorised or unconfirmed charge go; one that is paid or over stays what it is."""
    charge = SandboxCharge.objects.filter(pk=remote_id).first()
    if not charge:
        raise Rejected("The sandbox knows no such payment.")
    if move(charge, [Status.AUTHORIZED, Status.ACTION], Status.CANCELED):
        announce(Kind.PAYMENT, charge.pk, EVENTS[Status.CANCELED], charge.amount)
    return {"remote_id": remote_id}


def refund_charge(request):
    """Give back part of a charge. One UPDATE decides whether there is enough left: of two that race, one is refused."""
    amount = request.amount_minor
    charge = SandboxCharge.objects.filter(pk=request.payment).first()
    if not charge or charge.currency != request.currency or charge.status != Status.SUCCEEDED or amount <= 0:
        raise Rejected("The sandbox has no such payment to refund.")
    if SandboxDispute.objects.filter(charge=charge).exclude(status=SandboxDispute.Status.WON).exists():
        raise Rejected("The payment is disputed: the payer's bank decides about its money.")
    enough = SandboxCharge.objects.filter(pk=charge.pk, refunded__lte=F("captured") - amount)
    if not enough.update(refunded=F("refunded") + amount):
        raise Rejected("Less than that is left of the payment.")
    slow = charge.trait in (Trait.REFUND_FAILS, Trait.REFUND_SLOW)
    status = SandboxRefund.Status.PENDING if slow else SandboxRefund.Status.SUCCEEDED
    refund = SandboxRefund.objects.create(charge=charge, reference=request.reference, amount=amount, status=status)
    announce(Kind.PAYMENT, charge.pk, "charge.refunded", amount)
    return {"remote_id": refund.pk}


def detach(token):
    """Forget a saved method; one that is gone already, or never was, is no error."""
    SandboxMethod.objects.filter(pk=token, detached_at=None).update(detached_at=timezone.now())
    return {"token": token}
