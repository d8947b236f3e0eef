"""Refunds: money goes back once, never more than is left, and a refund that fails gives its part back.

The payment's `amount_refunded` is taken by a conditional update before any gateway hears of it, so of many refunds
at once only those succeed that fit; a database constraint stands behind it.
"""

from dataclasses import replace

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing.domain import attempts
from billing.domain.balance import move_balance
from billing.domain.gateway_texts import CODE, kept, kept_failure
from billing.domain.once import make_once
from billing.gateways import gateway_for
from billing.gateways.base import DisputeStatus, Failure, RefundRequest, RefundStatus
from billing.models import Attempt, BalanceEntry, Dispute, Payment, Refund
from dashboard import events, states
from dashboard.money import Money
from dashboard.states import DomainError

Status = Refund.Status
OUTCOME = {RefundStatus.PENDING: Status.PENDING, RefundStatus.SUCCEEDED: Status.SUCCEEDED, RefundStatus.FAILED: Status.FAILED}
_SAME_FORM = ("payment_id", "amount", "reason", "destination")


def create_refund(
    payment,
    *,
    amount,
    reason,
    by,
    remarks="",
    merchant_reference_id="",
    destination=Refund.Destination.METHOD,
    metadata=None,
    form_key="",
):
    """Give back `amount` minor units of a payment. One form_key makes one refund, however often it comes.

    Returns the refund: succeeded, failed with its reason, or pending while the bank works or we ask again.
    Calls the gateway: not to be called inside a transaction. Raises DomainError above what is left.
    """
    refund = Refund(
        livemode=payment.livemode,
        payment=payment,
        customer_id=payment.customer_id,
        amount=amount,
        currency=payment.currency,
        reason=reason,
        remarks=remarks,
        merchant_reference_id=merchant_reference_id,
        destination=destination,
        gateway="" if destination == Refund.Destination.CREDIT else payment.gateway,
        metadata=metadata or {},
        form_key=form_key,
        created_by=by,
    ).derive()
    made = make_once(refund, lambda: _write(refund, by), same=_SAME_FORM)
    if attempt := Attempt.objects.open().for_target(made, Attempt.Kind.REFUND).first():
        settle_attempt(attempt)
    made.refresh_from_db()
    return made


@transaction.atomic
def _write(refund, by):
    """Step 1: take the amount from what is refundable, write the refund and, for a gateway, its attempt."""
    payment = Payment.objects.select_for_update(no_key=True).get(pk=refund.payment_id)
    refuse_unrefundable(payment, refund)
    _take(payment, refund.amount)
    refund.save(force_insert=True)
    events.record("refund.created", refund, by=by, amount=refund.amount, currency=refund.currency, payment=payment.pk)
    if refund.gateway:
        attempts.write_attempt(refund, kind=Attempt.Kind.REFUND, gateway=refund.gateway, body=_body(refund, payment))
        return refund
    _succeed(refund, by=by)
    if refund.destination == Refund.Destination.CREDIT:
        about = {"payment": payment, "refund": refund}
        move_balance(payment.customer, refund.amount, refund.currency, kind=BalanceEntry.Kind.REFUND, by=by, **about)
    return refund


def refuse_unrefundable(payment, refund):
    """Raise DomainError, saying why, when a payment cannot be refunded by this."""
    if payment.status != Payment.Status.PAID:
        raise DomainError(
            f"This payment is {payment.get_status_display().lower()}, so there is nothing to refund. No money moved."
        )
    if payment.dispute in ("open", "lost"):
        raise DomainError("The payer's bank has taken this up as a dispute, which decides about the money. No money moved.")
    if refund.destination == Refund.Destination.CREDIT and not payment.customer_id:
        raise DomainError("This payment belongs to no customer, so there is no credit balance. No money moved.")
    if refund.amount < 1:
        raise DomainError("Enter an amount above zero. No money moved.")
    partial = refund.amount < payment.amount
    if refund.gateway and partial and not gateway_for(refund.gateway).capabilities.partial_refund:
        raise DomainError("This gateway refunds payments only in full. No money moved.")


def _take(payment, amount):
    rows = Payment.objects.filter(pk=payment.pk, status=Payment.Status.PAID, amount_refunded__lte=F("amount") - amount)
    if not rows.update(amount_refunded=F("amount_refunded") + amount, updated_at=timezone.now()):
        raise DomainError(f"{payment.refundable_money} of this payment can still be refunded. No money moved.")


def _give_back(refund):
    Payment.objects.filter(pk=refund.payment_id).update(
        amount_refunded=F("amount_refunded") - refund.amount, updated_at=timezone.now()
    )


def refund_limits(payment):
    """The smallest and largest Money a refund of this payment can be now."""
    return Money(1, payment.currency), payment.refundable_money


def _body(refund, payment):
    return {
        "reference": attempts.new_reference(),
        "payment": payment.gateway_reference,
        "amount_minor": refund.amount,
        "currency": refund.currency,
        "reason": refund.reason,
    }


# --- the call, and what comes of it ----------------------------------------------------------------------
def settle_attempt(attempt):
    """Send a refund, again under the same key and body, and apply the answer. Safe to repeat. The attempt is changed in place."""
    return attempts.settle(attempt, _send) if attempt.is_open else attempt


def _send(attempt):
    call = RefundRequest(**attempt.request)
    attempts.send(
        attempt,
        lambda key: gateway_for(attempt.gateway).refund(call, key=key),
        apply=lambda result: _apply_answer(attempt, result),
        refuse=lambda error: _refuse(attempt, error),
    )


def _apply_answer(attempt, result):
    if (result.amount_minor, result.currency) != (attempt.amount, attempt.currency):
        return attempts.mark_unknown(attempt, attempts.MISMATCH)
    payment = Refund.objects.select_related("payment").get(pk=attempt.target_id).payment
    return apply_refund(payment, replace(result, reference=attempt.pk))


@transaction.atomic
def _refuse(attempt, error):
    """The gateway will not refund: the amount is refundable again."""
    Payment.objects.select_for_update(no_key=True).get(refunds=attempt.target_id)
    attempts.mark_refused(attempt, error)
    failure = getattr(error, "failure", None) or Failure("rejected", str(error))
    _fail(Refund.objects.select_for_update(no_key=True).get(pk=attempt.target_id), failure)


def apply_all(payment, result):
    """Every refund and dispute the gateway knows of a payment. Call it with the payment locked."""
    for refund in result.refunds:
        apply_refund(payment, refund)
    for dispute in result.disputes:
        _apply_dispute(payment, dispute)


@transaction.atomic
def apply_refund(payment, result):
    """Bring one refund to what the gateway says, forwards only; one made at the gateway itself becomes a record too."""
    payment = Payment.objects.select_for_update(no_key=True).get(pk=payment.pk)
    attempt = result.reference and Attempt.objects.open().filter(pk=result.reference, kind=Attempt.Kind.REFUND).first()
    refund = _find(payment, result) or _external(payment, result)
    if attempt:
        attempts.mark_done(attempt, result.remote_id)
    if not refund.gateway_reference:
        refund.gateway_reference = result.remote_id
        Refund.objects.filter(pk=refund.pk).update(gateway_reference=result.remote_id)
    to = OUTCOME[result.status]
    if to in refund.MOVES[refund.status]:
        _succeed(refund, by=None) if to == Status.SUCCEEDED else _fail(refund, result.failure)
    return refund


def _find(payment, result):
    own = payment.refunds.select_for_update(no_key=True)
    target = Attempt.objects.filter(pk=result.reference, kind=Attempt.Kind.REFUND).values("target_id") if result.reference else []
    return own.filter(gateway_reference=result.remote_id).first() or own.filter(pk__in=target).first()


def _external(payment, result):
    """A refund nobody made here: recorded, so that the books say what happened."""
    refund = Refund(
        livemode=payment.livemode,
        payment=payment,
        customer_id=payment.customer_id,
        amount=result.amount_minor,
        currency=result.currency,
        reason=Refund.Reason.OTHER,
        remarks="Made at the gateway.",
        gateway=payment.gateway,
        gateway_reference=result.remote_id,
        created_at=result.created_at,
    ).derive()
    _take(payment, refund.amount)
    refund.save(force_insert=True)
    events.record("refund.created", refund, by=None, amount=refund.amount, currency=refund.currency, payment=payment.pk)
    return refund


def _succeed(refund, *, by):
    now = timezone.now()
    states.move(refund, Status.SUCCEEDED, by=by, succeeded_at=now, updated_at=now)


def _fail(refund, failure):
    states.move(refund, Status.FAILED, by=None, updated_at=timezone.now(), **kept_failure(failure))
    _give_back(refund)


def _apply_dispute(payment, result):
    to = Dispute.Status(DisputeStatus(result.status).value)
    fields = {
        "livemode": payment.livemode,
        "payment": payment,
        "customer_id": payment.customer_id,
        "amount": result.amount_minor,
        "currency": result.currency,
        "reason": kept(result.reason, CODE),
        "opened_at": result.opened_at,
    }
    dispute, new = Dispute.objects.get_or_create(gateway=payment.gateway, gateway_reference=result.remote_id, defaults=fields)
    if new:
        events.record("dispute.opened", dispute, by=None, amount=dispute.amount, currency=dispute.currency, payment=payment.pk)
    if to in dispute.MOVES[dispute.status]:
        states.move(dispute, to, by=None, closed_at=timezone.now())
    newest = payment.disputes.order_by("-opened_at", "-pk").first()
    if payment.dispute != newest.status:
        payment.dispute = newest.status
        Payment.objects.filter(pk=payment.pk).update(dispute=newest.status)
