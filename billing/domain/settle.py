"""One way to find out: whoever asks (payer, staff, a delivery, reconcile) ends in the same step 3."""

from datetime import timedelta

from django.utils import timezone

from billing.domain import attempts, captures, charges, checkouts, payments, refunds
from billing.gateways import gateway_for
from billing.gateways.base import GatewayError, Kind
from billing.models import Attempt, Payment, Refund

SETTLE = {
    Attempt.Kind.CHECKOUT: checkouts.settle_attempt,
    Attempt.Kind.CHARGE: charges.settle_attempt,
    Attempt.Kind.CAPTURE: captures.settle_attempt,
    Attempt.Kind.RELEASE: captures.settle_attempt,
    Attempt.Kind.REFUND: refunds.settle_attempt,
}
PATIENCE = timedelta(minutes=10)  # how long a bank may take before we ask about what it is processing


def settle_attempt(attempt):
    """Find out where any attempt stands and bring our records there. Safe to repeat; no gateway trouble rises."""
    return SETTLE[attempt.kind](attempt)


# --- something happened at the gateway --------------------------------------------------------------------
def look(slug, kind, remote_id):
    """Ask the gateway about a checkout, payment or refund and apply the answer. False when it is nothing of ours.

    GatewayErrors rise. Not to be called inside a transaction.
    """
    if kind == Kind.CHECKOUT:
        return checkouts.settle_checkout(slug, remote_id) is not None
    result = gateway_for(slug).fetch(kind, remote_id)
    return _apply_payment(slug, result) if kind == Kind.PAYMENT else _apply_refund(slug, result)


def _apply_payment(slug, result):
    if result.checkout and checkouts.settle_checkout(slug, result.checkout):
        return True
    if payment := Payment.objects.filter(gateway=slug, gateway_reference=result.remote_id).first():
        payments.apply_result(payment, result)
        return True
    attempt = Attempt.objects.filter(pk=result.reference, gateway=slug, kind=Attempt.Kind.CHARGE).first()
    return bool(attempt and charges.apply_answer(attempt, result))


def _apply_refund(slug, result):
    payment = Payment.objects.filter(gateway=slug, gateway_reference=result.payment).first()
    return bool(payment and refunds.apply_refund(payment, result))


# --- after a crash -----------------------------------------------------------------------------------------
def reconcile_attempts(older_than=timedelta(seconds=60)):
    """Settle every open attempt nobody has touched for a while. Yields each attempt with its new state.

    Several of these may run at once: each attempt is claimed first, and a call sent twice has one effect.
    """
    before = timezone.now() - older_than
    for attempt in Attempt.objects.overdue(before).order_by("id").iterator(chunk_size=100):
        if attempts.claim(attempt):
            yield _reconcile(attempt)


def _reconcile(attempt):
    """A checkout page that was never asked for is dropped: the payer has gone. What staff asked for is carried out."""
    if attempt.state != Attempt.State.NEW or attempt.kind != Attempt.Kind.CHECKOUT:
        return settle_attempt(attempt)
    try:
        attempts.drop_unsent(attempt)
    except attempts.UnderWay:
        attempt.refresh_from_db()
    return attempt


def reconcile_processing(older_than=PATIENCE):
    """Ask about payments and refunds their gateway still worked on when last heard of. Yields a sentence for each."""
    before = timezone.now() - older_than
    waiting = (
        (Kind.PAYMENT, Payment.objects.filter(status=Payment.Status.PENDING)),
        (Kind.REFUND, Refund.objects.filter(status=Refund.Status.PENDING)),
    )
    for kind, rows in waiting:
        for row in rows.exclude(gateway_reference="").filter(updated_at__lt=before).order_by("id").iterator(chunk_size=100):
            yield _ask_again(kind, row)


def _ask_again(kind, row):
    try:
        look(row.gateway, kind, row.gateway_reference)
    except GatewayError as error:
        return f"{row.pk}: {error}"
    row.refresh_from_db()
    return f"{row.pk}: {row.get_status_display().lower()}"
