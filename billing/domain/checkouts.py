"""From a payer's click to a paid request or statement, through a gateway's checkout page, and back again after any crash."""

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from billing.domain import attempts, payables, payments, vault
from billing.gateways import gateway_for, gateways_for
from billing.gateways.base import CheckoutMode, CheckoutRequest, GatewayError, Kind
from billing.models import Attempt
from dashboard.states import DomainError

UNREACHABLE = "The payment page cannot be reached right now. No money moved. Try again in a minute."
REFUSED = "This payment cannot be taken here. No money moved. Ask the sender of this link for help."


def start_payment(target):
    """Open the gateway's page for a request, statement or card link, or find the one that is open. Returns the attempt.

    The payer goes on to its `url`. Raises DomainError, with a sentence for the payer, when nothing can be paid or saved now.
    """
    payables.refuse_unpayable(target)
    known_as = vault.gateway_customer(target.customer, _gateway(target).slug) if payables.saves_card(target) else ""
    for _again in range(2):
        attempt = _open_attempt(target, known_as)
        if attempt.amount != payables.due(target).minor:  # what is due has changed since that page was made
            close_checkout(target)
            continue
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
def _open_attempt(target, known_as):
    """Step 1: the open attempt of a payable target, or a new one. The target is brought up to date."""
    current = payables.lock(target.pk)
    target.__dict__.update(current.__dict__)
    payables.refuse_unpayable(current)
    if found := Attempt.objects.open().for_target(current, Attempt.Kind.CHECKOUT).first():
        return found
    if payables.under_way(current).exists():
        raise DomainError(attempts.CHECKING)
    body = _body(current) | ({"customer": known_as} if known_as else {})
    return attempts.write_attempt(current, kind=Attempt.Kind.CHECKOUT, gateway=_gateway(current).slug, body=body)


def _gateway(target):
    found = [g for g in gateways_for(target.livemode, target.currency) if g.slug == getattr(target, "gateway", g.slug)]
    if not found:
        raise DomainError(REFUSED)
    return found[0]


def _body(target):
    """The call's body as it is kept and sent. The return address names the attempt, not the payer's secret link."""
    reference = attempts.new_reference()
    back = f"{settings.SITE_URL}{reverse('pay_checkout_return', args=[reference])}"
    return payables.checkout_body(target) | {"reference": reference, "return_url": back}


# --- the call, and what comes of it ----------------------------------------------------------------------
def settle_attempt(attempt):
    """Find out where a checkout's attempt stands and bring our records there. Safe to repeat, at any time, by anybody.

    Asks about a checkout page that exists; otherwise sends the call, again under the same key and body.
    The attempt is changed in place; no gateway trouble rises from here.
    """
    return _look(attempt) if attempt.is_open else attempt


def _look(attempt):
    return attempts.settle(attempt, _ask if attempt.remote_id else _send)


def _call(attempt):
    return CheckoutRequest(**{**attempt.request, "method_types": tuple(attempt.request["method_types"])})


def _send(attempt):
    attempts.send(
        attempt,
        lambda key: gateway_for(attempt.gateway).create_checkout(_call(attempt), key=key),
        apply=lambda made: attempts.keep_answer(attempt, remote_id=made.remote_id, url=made.url),
        refuse=lambda error: attempts.mark_refused(attempt, error),
    )


def _ask(attempt):
    fetch = gateway_for(attempt.gateway).fetch
    attempts.ask(attempt, lambda: fetch(Kind.CHECKOUT, attempt.remote_id), apply=lambda found: _apply(attempt, found))


def _apply(attempt, snapshot):
    charges = {(p.amount_minor, p.currency) for p in snapshot.payments} | {(snapshot.amount_minor, snapshot.currency)}
    if charges != {(attempt.amount, attempt.currency)} or snapshot.reference != attempt.pk:
        return attempts.mark_unknown(attempt, attempts.MISMATCH)
    if attempt.request["mode"] == CheckoutMode.SAVE_CARD:
        return vault.apply_setup(attempt, snapshot)
    return _apply_payments(attempt, snapshot)


@transaction.atomic
def _apply_payments(attempt, snapshot):
    target = payments.apply_snapshot(attempt, snapshot)
    vault.keep_paid_with(target, attempt, snapshot)
    return target


def settle_checkout(gateway, remote_id):
    """A gateway says something happened on one of its pages: look, and apply what is there. None if not ours.

    Looks at settled attempts too: money that came after all is never overlooked.
    """
    attempt = Attempt.objects.filter(gateway=gateway, remote_id=remote_id, kind=Attempt.Kind.CHECKOUT).first()
    return _look(attempt) if attempt and remote_id else None


def check_again(target):
    """A payer or staff asks whether a payment under way has ended. Returns the attempt, or None."""
    attempt = Attempt.objects.open().for_target(target, Attempt.Kind.CHECKOUT).first()
    return settle_attempt(attempt) if attempt else None


# --- closing ---------------------------------------------------------------------------------------------
def close_checkout(target):
    """Close the gateway's page of a target, if one is open, so that nobody pays on it any more.

    Raises DomainError when a payment is under way, or was made a moment ago.
    """
    attempt = Attempt.objects.open().for_target(target, Attempt.Kind.CHECKOUT).first()
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
    cancel = gateway_for(attempt.gateway).cancel
    try:
        _apply(attempt, cancel(Kind.CHECKOUT, attempt.remote_id, key=f"{attempt.pk}.cancel"))
    except attempts.UnderWay:
        pass
    except GatewayError as error:
        attempts.mark_unknown(attempt, error)
