"""Outgoing mail. What causes a mail writes its row and its task in one transaction: none is lost, none is invented.

The worker sends it: it claims the row by compare and set, hands the mail to the mail server, and says so in the
row. A worker killed in between leaves a claim that runs out, and the next tick sends the mail again: at most one
mail is doubled, and both copies have the same Message-ID. No mail is sent inside a transaction: a rollback could
not call it back.
"""

import logging
import smtplib
from datetime import timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core import mail as post
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import Error, IntegrityError, connection, transaction
from django.db.models import F
from django.tasks import task
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.module_loading import import_string

from dashboard import events
from dashboard.mail_models import Mail
from dashboard.models import User
from dashboard.states import DomainError
from dashboard.text import clean_text

PAUSES = (1, 5, 15, 60, 120, 240, 480, 720, 1440)  # minutes before the 2nd, 3rd, … try: two days in all
TRIES = len(PAUSES) + 1
LOST = timedelta(minutes=10)  # a claim older than this is nobody's any more; the mail server is given 10 seconds
PATIENCE = 3  # failures in a row after which a round leaves the rest to the next one
SUBJECT, TEXT = 200, 20_000  # longest, in characters
State = Mail.State
log = logging.getLogger(__name__)


class Unwanted(Exception):
    """A mail that is not to leave any more, such as the reminder of a bill that was paid. Its text says why."""


class Unmakeable(Exception):
    """A mail that cannot be made, however often one tries. Its text says why."""


def attachment(function):
    """Marks a function(record) -> (file name, media type, bytes) as one a mail may name. It may raise Unwanted."""
    function.makes_attachment = True
    return function


# --- in the transaction of what causes it ----------------------------------------------------------------
def queue(kind, obj, *, to, subject, text, by=None, attach="", key=""):
    """Write a mail about obj to be sent after the commit, with its task. `text` holds Mail.MARK for obj's link.

    attach is the dotted name of an @attachment function. A key is used once: None for the second mail of a key.
    Raises DomainError for what is no single e-mail address.
    """
    mail = Mail(
        livemode=obj.livemode,
        kind=kind,
        object_type=obj._meta.label_lower,
        object_id=obj.pk,
        customer_id=getattr(obj, "customer_id", None) or "",
        to=checked_address(to),
        subject=" ".join(clean_text(subject).split())[:SUBJECT],
        text=without_link(clean_text(text), obj)[:TEXT],
        attach=attach,
        key=key,
        created_by=by,
    )
    with transaction.atomic():
        if not _inserted(mail):
            return None
        deliver.enqueue(mail.pk)
    return mail


def _inserted(mail):
    """False when its key is used already."""
    try:
        with transaction.atomic():
            mail.save(force_insert=True)
    except IntegrityError:
        if mail.key and Mail.objects.filter(key=mail.key).exists():
            return False
        raise
    return True


def checked_address(to):
    """One e-mail address, trimmed. Raises DomainError for anything else: line ends, lists and names with it included."""
    address = to.strip(" ")
    try:
        validate_email(address)
    except ValidationError:
        raise DomainError("This is not an e-mail address. Enter one such as ana@example.com.") from None
    if len(address) > Mail._meta.get_field("to").max_length or any(c.isspace() or c in ",;<>" for c in address):
        raise DomainError("Enter one e-mail address, such as ana@example.com, without a name.")
    return address


def without_link(text, obj):
    """text with obj's link, wherever somebody pasted it, as the mark again."""
    link = getattr(obj, "url", "")
    return text.replace(link, Mail.MARK) if link else text


@transaction.atomic
def retry(mail, *, by):
    """Try a mail again that was given up. Raises DomainError when it has not failed."""
    again = Mail.objects.filter(pk=mail.pk, state=State.FAILED)
    if not again.update(state=State.QUEUED, tries=0, error="", next_try_at=timezone.now()):
        raise DomainError("Only a mail that failed can be tried again, and this one has not, or not any more.")
    events.record(_event(mail, "mail_retried"), mail.record or mail, by=by, mail=mail.pk)
    deliver.enqueue(mail.pk)


# --- in the worker -----------------------------------------------------------------------------------------
@task
def deliver(pk):
    """The worker's task. Where tasks run at once, inside the transaction that wrote them, the next tick sends."""
    if not connection.in_atomic_block:
        send(pk)


def send_due(now=None, limit=200):
    """Send what is due, the longest waiting first; returns how many left. For tick: it takes up what a killed worker left.

    After PATIENCE failures in a row the mail server is left alone until the next round.
    """
    left = failures = 0
    for pk in list(Mail.objects.due(now).order_by("next_try_at").values_list("pk", flat=True)[:limit]):
        state = send(pk, now)
        left += state == State.SENT
        failures = failures + 1 if state in (State.QUEUED, State.FAILED) else 0
        if failures == PATIENCE:
            break
    return left


def send(pk, now=None):
    """Send one mail if it is due and nobody else has it. Returns its state, or None when it was not ours to send."""
    refuse_transaction()
    now = now or timezone.now()
    mail = _claim(pk, now)
    if not mail:
        return None
    try:
        if mail.tries > TRIES:  # each time, whoever sent it did not come back
            raise Unmakeable("Sending it was begun and never finished, each time.")
        _message(mail).send()
    except Error:  # the database went away: the claim runs out
        raise
    except Unwanted as why:
        return _close(mail, State.HELD, error=str(why))
    except Exception as error:  # whatever it is, the mail is tried again and the outbox says why
        return _note_failure(mail, error, now)
    return _close(mail, State.SENT, sent_at=timezone.now())


def refuse_transaction():
    """Raise RuntimeError inside a transaction; the one a test case wraps around a test does not count."""
    if connection.in_atomic_block:
        with transaction.atomic(durable=True):
            pass


def _claim(pk, now):
    """The mail, ours for as long as LOST, or None. One UPDATE decides between two processes."""
    due = Mail.objects.due(now).filter(pk=pk)
    ours = due.update(state=State.SENDING, tries=F("tries") + 1, next_try_at=now + LOST)
    return Mail.objects.get(pk=pk) if ours else None


def _close(mail, state, **fields):
    """Note how our try ended, unless our claim ran out and another has it. Returns the state."""
    Mail.objects.filter(pk=mail.pk, state=State.SENDING, tries=mail.tries).update(state=state, **{"error": ""} | fields)
    return state


def _note_failure(mail, error, now):
    log.warning("%s was not sent, try %d: %s", mail.pk, mail.tries, type(error).__name__)
    words = clean_text(in_words(error), 500)
    if mail.tries < TRIES and not is_final(error):
        return _close(mail, State.QUEUED, error=words, next_try_at=now + timedelta(minutes=PAUSES[mail.tries - 1]))
    with transaction.atomic():
        events.record(_event(mail, "mail_failed"), mail.record or mail, by=None, mail=mail.pk, why=words)
        return _close(mail, State.FAILED, error=words)


def _event(mail, verb):
    """The event's type, about the record where there is one: it stands in that record's history."""
    record = mail.record
    return f"{record._meta.verbose_name.replace(' ', '_') if record else 'mail'}.{verb}"


def in_words(error):
    """What went wrong, for staff."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        told = "; ".join(f"{code} {_text(text)}" for code, text in error.recipients.values())
        return f"The mail server refuses this address: {told}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server refuses it: {error.smtp_code} {_text(error.smtp_error)}"
    if isinstance(error, OSError):  # SMTPException is one
        return f"The mail server cannot be reached: {error.strerror or error or type(error).__name__}"
    return str(error) if isinstance(error, Unmakeable) else f"The mail could not be made: {type(error).__name__} {error}"


def _text(answer):
    return answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)


def is_final(error):
    """Whether another try is of no use: it cannot be made, or the server says 5xx of the only address."""
    refused = isinstance(error, smtplib.SMTPRecipientsRefused) and all(code >= 500 for code, _ in error.recipients.values())
    return refused or isinstance(error, Unmakeable)


# --- the message -------------------------------------------------------------------------------------------
def _message(mail):
    """The mail as Django sends it: text, the same as simple HTML, and the attachment. Raises Unwanted, Unmakeable."""
    record = mail.record
    if record is None:
        raise Unmakeable("The record it is about is gone.")
    refuse_stranger_in_test_mode(mail)
    link = _link(mail, record)
    files = [_attachment(mail, record)] if mail.attach else []
    message = post.EmailMultiAlternatives(
        subject=mail.subject if mail.livemode else f"[Test] {mail.subject}",
        body=_plain(mail, link),
        to=[mail.to],
        headers={"Message-ID": f"<{mail.message_id}>", "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(_html(mail, link), "text/html")
    for file in files:
        message.attach(file[0], file[2], file[1])
    return message


def _attachment(mail, record):
    make = import_string(mail.attach)
    if not getattr(make, "makes_attachment", False):
        raise Unmakeable(f"{mail.attach} makes no attachments.")
    return make(record)


def _link(mail, record):
    link = getattr(record, "url", "")
    if Mail.MARK in mail.text and not link:
        raise Unmakeable("The customer's link cannot be told any more: the record is a draft, or SECRET_KEY was changed.")
    return link


def refuse_stranger_in_test_mode(mail):
    """Raise Unwanted for a test mail to somebody outside: sample and test customers may have real people's addresses.

    Staff get theirs, and where mail is printed (MAIL_URL=console:) all of it is.
    """
    printed = settings.MAIL_URL.startswith("console:")
    if not (mail.livemode or printed or User.objects.filter(email=mail.to.lower(), is_active=True).exists()):
        raise Unwanted("Test mode: mail goes to the e-mail addresses of staff only. In live mode this would have been sent.")


def _plain(mail, link):
    return render_to_string("mail/message.txt", {"body": mail.text.replace(Mail.MARK, link), **_frame(mail)})


def _html(mail, link):
    parts = [p.strip("\n") for p in mail.text.split("\n\n")]
    parts = [{"link": p == Mail.MARK, "text": p.replace(Mail.MARK, link)} for p in parts if p.strip()]
    return render_to_string("mail/message.html", {"parts": parts, "link": link, "subject": mail.subject, **_frame(mail)})


def _frame(mail):
    return {
        "merchant": settings.MERCHANT_NAME,
        "reply_to": parseaddr(settings.DEFAULT_FROM_EMAIL)[1],
        "livemode": mail.livemode,
    }
