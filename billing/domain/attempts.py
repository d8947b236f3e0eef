"""The attempt log: what we are about to do at a gateway is committed before we do it.

Three steps, and a crash between any two loses nothing and charges nothing twice:
1. in a transaction: write the attempt (its id is the idempotency key) with the body of the call;
2. outside any transaction: the call;
3. in a transaction: apply the answer.
"""

import hashlib
import json
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.domain.gateway_texts import kept
from billing.gateways.base import GatewayError, OutcomeUnknown, Unavailable
from billing.models import Attempt
from dashboard.states import DomainError

KEY_LIFE = timedelta(hours=23)  # gateways forget keys after a day: an older call is not sent again
NEEDS_PERSON = "The gateway did not answer for a day. Look the payment up at the gateway."
MISMATCH = "The gateway's amount or reference differs from ours. Look the payment up at the gateway."
CHECKING = "We are checking with the bank. Do not pay again."
State = Attempt.State


class UnderWay(DomainError):
    """Another attempt for the same thing is open."""


def canonical(body):
    """The one spelling of a body: what is hashed, and what every resend is checked against."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def hash_body(body):
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def new_reference():
    """A fresh attempt id: the idempotency key, and `reference` in the body of the call."""
    return Attempt._meta.pk.get_default()


def write_attempt(target, *, kind, gateway, body):
    """Step 1. Commit it before calling anyone. `body` is the whole call; its `reference` becomes the attempt's id.

    Raises UnderWay when this target has an open attempt of this kind: a unique index sees to it.
    """
    attempt = Attempt(
        id=body["reference"],
        livemode=target.livemode,
        kind=kind,
        customer_id=target.customer_id,
        target_id=target.pk,
        gateway=gateway,
        amount=body["amount_minor"],
        currency=body["currency"],
        request=body,
        request_hash=hash_body(body),
    )
    try:
        with transaction.atomic():
            attempt.save(force_insert=True)
    except IntegrityError:
        raise UnderWay("A payment for this is already under way.") from None
    return attempt


def send(attempt, operation, *, apply, refuse):
    """Steps 2 and 3: the call, then apply(answer); refuse(error) when the gateway finally says no. No gateway error rises.

    `operation(key=…)` is the gateway's. A key older than a gateway remembers is not sent again: a person looks.
    """
    if attempt.tries and timezone.now() - attempt.created_at > KEY_LIFE:
        return mark_unknown(attempt, NEEDS_PERSON)
    mark_sent(attempt)
    try:
        answer = operation(key=attempt.pk)
    except Unavailable as error:
        return mark_not_sent(attempt, error)
    except OutcomeUnknown as error:
        return mark_unknown(attempt, error)
    except GatewayError as error:
        return refuse(error)
    return apply(answer)


def ask(attempt, operation, *, apply):
    """Look at what exists at the gateway and apply(answer). What cannot be learnt now changes nothing."""
    try:
        answer = operation()
    except Unavailable as error:  # nothing learnt; it stays what it was
        return Attempt.objects.filter(pk=attempt.pk).update(error=kept(error), touched_at=timezone.now())
    except GatewayError as error:
        return mark_unknown(attempt, error)
    return apply(answer)


def settle(attempt, find_out):
    """Run find_out(attempt) and bring the attempt up to date: someone else may have settled it meanwhile."""
    try:
        find_out(attempt)
    except UnderWay:
        pass
    attempt.refresh_from_db()
    return attempt


def mark_sent(attempt):
    """Note that the call goes out now. Raises UnderWay when the attempt was settled in the meantime."""
    if hash_body(attempt.request) != attempt.request_hash:
        raise DomainError("This attempt's body is not what was written first, so it is not sent.")
    now = timezone.now()
    _keep(attempt, state=State.SENT, tries=attempt.tries + 1, sent_at=attempt.sent_at or now, touched_at=now)


def keep_answer(attempt, *, remote_id, url):
    """The gateway made a checkout page: keep its id and address."""
    _keep(attempt, state=State.SENT, remote_id=remote_id, url=page_address(url), error="")


def page_address(url):
    """A page's address as a gateway gave it, if it is one of the web or a path of ours; "" for any other (javascript:, data:)."""
    return url if url.startswith(("https://", "http://")) or (url.startswith("/") and not url.startswith("//")) else ""


def mark_not_sent(attempt, error):
    """Certainly not executed: it may be sent again as it is. Another sender's answer stands."""
    _keep(attempt, _unanswered(), state=State.NEW, error=kept(error))


def mark_unknown(attempt, error):
    """Nobody knows. Payers are told not to pay again until reconcile has found out."""
    _keep(attempt, state=State.UNKNOWN, error=kept(error))


def mark_open(attempt):
    """The gateway says its page is open and nothing is under way on it."""
    _keep(attempt, state=State.SENT, error="")


def mark_failed(attempt, error):
    """It certainly has no effect and never will: the next attempt may begin."""
    _keep(attempt, state=State.FAILED, error=kept(error), settled_at=timezone.now())


def mark_refused(attempt, error):
    """The gateway will not have this call, whoever sends it."""
    _keep(attempt, _unanswered(), state=State.FAILED, error=kept(error), settled_at=timezone.now())


def drop_unsent(attempt):
    """End an attempt that never went out. Raises UnderWay when it is going out now."""
    _keep(
        attempt,
        _unanswered().filter(state=State.NEW),
        state=State.FAILED,
        error=attempt.error or "It was never sent.",
        settled_at=timezone.now(),
    )


def mark_done(attempt, remote_id=""):
    """Its effect is applied, in this transaction."""
    _keep(attempt, state=State.DONE, error="", settled_at=timezone.now(), remote_id=attempt.remote_id or remote_id)


def _unanswered():
    return Attempt.objects.filter(remote_id="")


def _keep(attempt, among=None, **fields):
    """Compare and set: a settled attempt never opens again."""
    fields = {"touched_at": timezone.now(), **fields}
    rows = Attempt.objects.all() if among is None else among
    if not rows.open().filter(pk=attempt.pk).update(**fields):
        raise UnderWay("This was settled a moment ago. Reload the page.")
    for name, value in fields.items():
        setattr(attempt, name, value)


def claim(attempt):
    """Take an attempt for settling; False when someone else took it since it was read."""
    now = timezone.now()
    taken = Attempt.objects.open().filter(pk=attempt.pk, touched_at=attempt.touched_at).update(touched_at=now)
    attempt.touched_at = now
    return bool(taken)
