"""From a payer's click to a paid request, through a gateway's checkout page, and back again after any crash."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from billing.domain import attempts, payments
from billing.gateways import gateway_for, gateways_for
from billing.gateways.base import CheckoutRequest, GatewayError, OutcomeUnknown, Unavailable
from billing.models import Attempt, PaymentRequest
from dashboard.states import DomainError

KEY_LIFE = timedelta(hours=23)  # gateways forget keys after a day: an older call is not sent again
UNREACHABLE = "The payment page cannot be reached right now. No money moved. Try again in a minute."
REFUSED = "This payment cannot be taken here. No money moved. Ask the sender of this link for help."
NEEDS_PERSON = "The gateway did not answer for a day. Look the payment up at the gateway."
MISMATCH = "The gateway's amount or reference differs from ours. Look the payment up at the gateway."


def start_payment(request):
    """Open the gateway's page for a payment request, or find the one that is open. Returns the attempt; see its `url`.

    Raises DomainError, with a sentence for the payer, when the request cannot be paid now.
    """
    for _again in range(2):
        attempt = _open_attempt(request)
        settle_attempt(attempt)
        if attempt.state == Attempt.State.SENT and attempt.url:
            return attempt
        _refuse_unless_over(attempt)
    raise DomainError(UNREACHABLE)


def _refuse_unless_over(attempt):
    """Tell the payer why there is no page; a page that is merely over lets the caller begin a new attempt."""
    if attempt.state == Attempt.State.UNKNOWN:
        raise DomainError(attempts.CHECKING)
    if attempt.state == Attempt.State.NEW:
        raise DomainError(UNREACHABLE)
    if attempt.state == Attempt.State.FAILED and not attempt.remote_id:
        raise DomainError(REFUSED)


@transaction.atomic
def _open_attempt(request):
    """Step 1: the open attempt of a payable request, or a new one."""
    request = PaymentRequest.objects.select_for_update().get(pk=request.pk)
    refuse_unpayable(request)
    if found := Attempt.objects.open().for_target(request, Attempt.Kind.CHECKOUT).first():
        return found
    return attempts.write_attempt(request, kind=Attempt.Kind.CHECKOUT, gateway=_gateway(request).slug, body=_body(request))


def refuse_unpayable(request):
    """Raise DomainError, in words for the payer, when a request takes no payment."""
    if request.status == PaymentRequest.Status.DONE:
        raise DomainError("This is paid already. No further money moved.")
    if request.status == PaymentRequest.Status.CANCELED:
        raise DomainError("This request was canceled. No money moved.")
    if not request.payable:
        raise DomainError("This link has expired. No money moved.")


def _gateway(request):
    found = gateways_for(request.livemode, request.currency)
    if not found:
        raise DomainError(REFUSED)
    return found[0]


def _body(request):
    """The call's body as it is kept and sent. The return address names the attempt, not the payer's secret link."""
    reference = attempts.new_reference()
    return {
        "reference": reference,
        "return_url": f"{settings.SITE_URL}{reverse('pay_checkout_return', args=[reference])}",
        "amount_minor": request.amount,
        "currency": request.currency,
        "description": request.description,
        "method_types": request.method_types,
        "expires_at": request.expires_at.isoformat(),
    }


# --- the call, and what comes of it ----------------------------------------------------------------------
def settle_attempt(attempt):
    """Find out where an attempt stands and bring our records there. Safe to repeat, at any time, by anybody.

    Asks about a checkout page that exists; otherwise sends the call, again under the same key and body.
    The attempt is changed in place; no gateway trouble rises from here.
    """
    return _look(attempt) if attempt.is_open else attempt


def _look(attempt):
    try:
        _ask(attempt) if attempt.remote_id else _send(attempt)
    except attempts.UnderWay:  # someone else settled it meanwhile
        pass
    attempt.refresh_from_db()
    return attempt


def _send(attempt):
    if attempt.tries and timezone.now() - attempt.created_at > KEY_LIFE:
        return attempts.mark_unknown(attempt, NEEDS_PERSON)
    attempts.mark_sent(attempt)
    try:
        answer = gateway_for(attempt.gateway).create_checkout(_call(attempt), key=attempt.pk)
    except Unavailable as error:
        return attempts.mark_not_sent(attempt, error)
    except OutcomeUnknown as error:
        return attempts.mark_unknown(attempt, error)
    except GatewayError as error:
        return attempts.mark_refused(attempt, error)
    return attempts.keep_answer(attempt, remote_id=answer.remote_id, url=answer.url)


def _call(attempt):
    return CheckoutRequest(**{**attempt.request, "method_types": tuple(attempt.request["method_types"])})


def _ask(attempt):
    try:
        snapshot = gateway_for(attempt.gateway).fetch(attempt.remote_id)
    except Unavailable as error:  # nothing learnt; it stays what it was
        return _note(attempt, error)
    except GatewayError as error:
        return attempts.mark_unknown(attempt, error)
    return _apply(attempt, snapshot)


def _note(attempt, error):
    Attempt.objects.filter(pk=attempt.pk).update(error=str(error)[:500], touched_at=timezone.now())


def _apply(attempt, snapshot):
    charges = {(p.amount_minor, p.currency) for p in snapshot.payments} | {(snapshot.amount_minor, snapshot.currency)}
    if charges != {(attempt.amount, attempt.currency)} or snapshot.reference != attempt.pk:
        return attempts.mark_unknown(attempt, MISMATCH)
    return payments.apply_snapshot(attempt, snapshot)


def settle_checkout(gateway, remote_id):
    """A gateway says something happened on one of its pages: look, and apply what is there. None if not ours.

    Looks at settled attempts too: money that came after all is never overlooked.
    """
    attempt = Attempt.objects.filter(gateway=gateway, remote_id=remote_id).exclude(remote_id="").first()
    return _look(attempt) if attempt else None


def check_again(request):
    """A payer or staff asks whether a payment under way has ended. Returns the attempt, or None."""
    attempt = Attempt.objects.open().for_target(request, Attempt.Kind.CHECKOUT).first()
    return settle_attempt(attempt) if attempt else None


# --- closing ---------------------------------------------------------------------------------------------
def close_checkout(request):
    """Close the gateway's page of a request, if one is open, so that nobody pays on it any more.

    Raises DomainError when a payment is under way, or was made a moment ago.
    """
    attempt = Attempt.objects.open().for_target(request, Attempt.Kind.CHECKOUT).first()
    if not attempt:
        return
    if attempt.state == Attempt.State.NEW:
        return attempts.drop_unsent(attempt)
    if settle_attempt(attempt).state == Attempt.State.SENT:
        _close(attempt)
        attempt.refresh_from_db()
    if attempt.state == Attempt.State.DONE:
        raise DomainError("The customer has just paid this. Reload the page to see the payment.")
    if attempt.is_open:
        raise DomainError("A payment is being checked with the bank. Wait until that is settled.")


def _close(attempt):
    try:
        _apply(attempt, gateway_for(attempt.gateway).cancel(attempt.remote_id, key=f"{attempt.pk}.cancel"))
    except attempts.UnderWay:
        pass
    except GatewayError as error:
        attempts.mark_unknown(attempt, error)


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
    """A call that never went out is dropped rather than sent: the payer has gone, and nothing has happened."""
    if attempt.state != Attempt.State.NEW:
        return settle_attempt(attempt)
    try:
        attempts.drop_unsent(attempt)
    except attempts.UnderWay:
        attempt.refresh_from_db()
    return attempt
