"""Authorised payments: take the money, or let it go."""

from django.db import transaction

from billing.domain import attempts, payments
from billing.gateways import gateway_for
from billing.gateways.base import Kind
from billing.models import Attempt, Payment
from dashboard.money import Money
from dashboard.states import DomainError

AttemptKind = Attempt.Kind


def capture_payment(payment, *, by, amount=None):
    """Take an authorised payment, or `amount` minor units of it; the rest is released. Returns the payment as it is then.

    Still authorised afterwards means that the answer is awaited. Raises DomainError when there is nothing to take,
    or the gateway refuses. Not to be called inside a transaction.
    """
    return _carry_out(payment, AttemptKind.CAPTURE, amount or payment.amount, by)


def release_payment(payment, *, by, why=""):
    """Let an authorised payment go: the payer is not charged. As capture_payment otherwise."""
    return _carry_out(payment, AttemptKind.RELEASE, payment.amount, by)


def _carry_out(payment, kind, amount, by):
    attempt = _write(payment, kind, amount)
    settle_attempt(attempt, by=by)
    if attempt.state == Attempt.State.FAILED:
        raise DomainError(f"The gateway refused. {attempt.error} No money moved.")
    payment.refresh_from_db()
    return payment


@transaction.atomic
def _write(payment, kind, amount):
    """Step 1. Capture and release exclude each other: while one is open the other is refused."""
    payment = Payment.objects.select_for_update(no_key=True).get(pk=payment.pk)
    if payment.status != Payment.Status.AUTHORIZED:
        raise DomainError(f"This payment is {payment.get_status_display().lower()}, not authorised. No money moved.")
    if not 0 < amount <= payment.amount:
        raise DomainError(f"Capture at most {payment.amount_money}. No money moved.")
    if Attempt.objects.open().filter(target_id=payment.pk).exists():
        raise attempts.UnderWay("This payment is being captured or released right now. Try again in a moment.")
    body = {
        "reference": attempts.new_reference(),
        "payment": payment.gateway_reference,
        "amount_minor": amount,
        "currency": payment.currency,
    }
    return attempts.write_attempt(payment, kind=kind, gateway=payment.gateway, body=body)


def settle_attempt(attempt, *, by=None):
    """Send a capture or release, again under the same key, and apply the answer. The attempt is changed in place."""
    return attempts.settle(attempt, lambda found: _send(found, by)) if attempt.is_open else attempt


def _send(attempt, by):
    attempts.send(
        attempt,
        lambda key: _call(attempt, key),
        apply=lambda result: _apply(attempt, result, by),
        refuse=lambda error: attempts.mark_refused(attempt, error),
    )


def _call(attempt, key):
    gateway, remote_id = gateway_for(attempt.gateway), attempt.request["payment"]
    if attempt.kind == AttemptKind.CAPTURE:
        return gateway.capture(remote_id, attempt.amount, key=key)
    return gateway.cancel(Kind.PAYMENT, remote_id, key=key)


@transaction.atomic
def _apply(attempt, result, by):
    payment = Payment.objects.get(pk=attempt.target_id)
    if (result.remote_id, result.currency) != (payment.gateway_reference, payment.currency):
        return attempts.mark_unknown(attempt, attempts.MISMATCH)
    payment = payments.apply_result(payment, result, by=by)
    if payment.status == Payment.Status.AUTHORIZED:
        return attempts.mark_unknown(attempt, f"{Money(attempt.amount, attempt.currency)} is still authorised at the gateway.")
    attempts.mark_done(attempt, result.remote_id)
    return payment
