"""The life of a bill or request, told for each recipient: sent and to whom, opened, started, declined and why, paid.

Four records know parts of it. The outbox knows whether a mail left; events know what staff and the payer did; attempts,
what is under way at the gateway; payments and refunds, what came of it.
"""

from datetime import datetime
from typing import NamedTuple

from billing.models import Attempt, Payment, Refund, TokenizationLink
from dashboard.mail_models import Mail
from dashboard.masking import mask_email
from dashboard.models import Event

MOST = 200  # of one kind: a link somebody opens every day is told of its latest days
TOLD = {  # what an event says here; the others are told better by the record they are about
    "created": "Created",
    "open": "Finalised",
    "extended": "Given more time",
    "viewed": "Opened by the payer",
    "opened": "Opened by the payer",
    "expired": "Expired",
    "canceled": "Canceled",
    "void": "Voided",
    "uncollectible": "Marked uncollectible",
    "fulfilled": "Marked fulfilled",
}
MAILED = {"reminder": "Reminder"}
State, Status = Mail.State, Payment.Status


class Moment(NamedTuple):
    """One thing that happened: when, in words, by whom, the colour of its dot, and where more is told."""

    at: datetime
    words: str
    tone: str = ""
    who: str = ""
    url: str = ""


def life_of(record, *, viewer):
    """The Moments of a statement, payment request or card link, the earliest first; addresses only for who may see them."""
    sees = viewer.has_perm("dashboard.view_contact_data")
    found = [*_events(record), *_mails(record, sees), *_attempts(record), *_came_of(record)]
    return sorted(found, key=lambda moment: moment.at)


def _events(record):
    noun = record._meta.verbose_name.replace(" ", "_")
    kinds = [f"{noun}.{verb}" for verb in TOLD]
    rows = Event.objects.filter(object_id=record.pk, type__in=kinds).select_related("by").order_by("-pk")[:MOST]
    for event in reversed(rows):
        verb = event.type.partition(".")[2]
        tone = {"created": "info", "viewed": "info", "opened": "info", "canceled": "bad"}.get(verb, "")
        yield Moment(event.created_at, TOLD[verb], tone, str(event.by) if event.by_id else "")


# --- the outbox ------------------------------------------------------------------------------------------
def _mails(record, sees):
    rows = Mail.objects.about(record).select_related("created_by").order_by("-pk")[:MOST]
    return [_mail(mail, sees) for mail in reversed(rows)]


def _mail(mail, sees):
    """Where one mail to one recipient stands. An address that was removed is not told."""
    to, noun = mail.to if sees else mask_email(mail.to), MAILED.get(mail.kind, "Link")
    to = f" to {to}" if to else ""
    words, tone = {
        State.SENT: (f"{noun} sent{to}", "info"),
        State.FAILED: (f"{noun}{to} was not delivered", "bad"),
        State.HELD: (f"{noun}{to} was not sent", "bad"),
    }.get(mail.state, (f"{noun}{to} is in the outbox", ""))
    if mail.error and sees:
        words += f": {mail.error}"
    who = str(mail.created_by) if mail.created_by_id else ""
    return Moment(mail.sent_at or mail.created_at, words, tone, who, mail.get_absolute_url() if sees else "")


# --- at the gateway --------------------------------------------------------------------------------------
def _attempts(record):
    for attempt in Attempt.objects.for_target(record, Attempt.Kind.CHECKOUT).order_by("-pk")[:MOST]:
        page, unused = ("Payment", "unpaid") if attempt.amount else ("Card", "no card saved")
        yield Moment(attempt.created_at, f"{'Payment' if attempt.amount else 'Saving a card'} started by the payer")
        if attempt.state == Attempt.State.UNKNOWN:
            asked = "money moved" if attempt.amount else "a card is saved"
            yield Moment(attempt.touched_at, f"Being checked with the bank. It is not known yet whether {asked}", "bad")
        elif attempt.state == Attempt.State.FAILED:
            closed = f"{page} page closed, {unused}" if attempt.remote_id else f"{page} page not reached. {attempt.error}"
            yield Moment(attempt.settled_at or attempt.touched_at, closed)


def _came_of(record):
    if not isinstance(record, TokenizationLink):
        return _payments(record)
    card = record.method
    return [Moment(record.completed_at, f"{card} saved", "ok", url=card.get_absolute_url())] if card else []


def _payments(record):
    for payment in record.payments.prefetch_related("refunds").order_by("-created_at", "-pk")[:MOST]:
        yield from _payment(payment)
        for refund in payment.refunds.all():
            yield _refund(refund)


def _payment(payment):
    amount, by, url = payment.amount_money, payment.method, payment.get_absolute_url()
    if payment.authorized_at and payment.status != Status.FAILED:
        yield Moment(payment.authorized_at, f"{amount} authorised, {by}", "ok", url=url)
    if payment.status == Status.PAID:
        yield Moment(payment.paid_at, f"{amount} paid, {by}", "ok", url=url)
    elif payment.status == Status.FAILED:
        why = payment.failure_message or "The bank gave no reason."
        yield Moment(payment.created_at, f"{by} declined. {why}", "bad", url=url)
    elif payment.status == Status.PENDING:
        yield Moment(payment.created_at, f"{amount} being processed, {by}", url=url)
    elif payment.status in (Status.CANCELED, Status.EXPIRED):
        yield Moment(payment.updated_at, f"{amount} released, nothing taken", url=url)


def _refund(refund):
    words, tone = {
        Refund.Status.SUCCEEDED: ("refunded", ""),
        Refund.Status.FAILED: ("not refunded: it failed", "bad"),
    }.get(refund.status, ("being refunded", ""))
    who = str(refund.created_by) if refund.created_by_id else ""
    return Moment(
        refund.succeeded_at or refund.created_at, f"{refund.amount_money} {words}", tone, who, refund.get_absolute_url()
    )
