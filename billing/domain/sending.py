"""Mail about bills and payments: what it says, to whom, and what it leaves on the record.

A letter's text is the same on the page that previews it and in the mail. Where the link to the payer's page
stands it has Mail.MARK: the link itself is put in when the mail leaves, so that no copy of it is kept.
"""

import re
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import timezone

from billing.models import BillingStatement, PaymentRequest, Reminder
from dashboard import events, mail
from dashboard.mail_models import Mail
from dashboard.states import DomainError
from dashboard.templatetags.ui import day_text
from dashboard.text import clean_text

MESSAGE = 1000  # longest note of staff in a mail, in characters
SENDABLE = (*BillingStatement.OWED, BillingStatement.Status.PAID)
Kind = Reminder.Kind


@dataclass(frozen=True)
class Letter:
    """A mail as it will read, but for its link."""

    kind: str
    subject: str
    text: str
    attach: str = ""

    @property
    def shown_text(self):
        """The text for staff to read."""
        return self.text.replace(Mail.MARK, "[link]")


# --- what they say ---------------------------------------------------------------------------------------
def statement_letter(statement, message=""):
    """The mail that brings a statement, or a copy of one that is paid."""
    owed = f": {statement.amount_remaining_money} due {_day(statement.due_at)}" if statement.payable else ", paid"
    subject = f"{_noun(statement)} {statement.number} from {_merchant(statement)}{owed}"
    return Letter("statement", subject, _text("statement", statement, message), "billing.documents.attach_statement")


def reminder_letter(statement, message="", now=None):
    """The mail that reminds of a statement: before it is due or after, as it is now."""
    amount, day = statement.amount_remaining_money, _day(statement.due_at)
    late = statement.due_at < (now or timezone.now())
    noun = "Invoice" if statement.is_invoice else "Statement"
    subject = f"{noun} {statement.number}: {amount} was due {day}" if late else f"{noun} {statement.number} is due {day}"
    text = _text("reminder", statement, message, late=late)
    return Letter("reminder", subject, text, "billing.documents.attach_owed_statement")


def receipt_letter(payment):
    """The mail that tells a payer that their payment arrived."""
    subject = f"Receipt for {payment.amount_money} paid to {_merchant(payment.statement)}"
    return Letter("receipt", subject, _text("receipt", payment), "billing.documents.attach_receipt")


def request_letter(request, message=""):
    """The mail that brings the link of a payment request."""
    subject = f"{settings.MERCHANT_NAME} asks you to pay {request.amount_money}"
    return Letter("payment_request", subject, _text("payment_request", request, message))


def chat_text(request):
    """What staff paste into a chat: the amount and the link, in one sentence."""
    name = request.customer.first_name or request.customer_name
    return f"Hi {name}, you can pay {request.amount_money} to {settings.MERCHANT_NAME} here: {request.url}"


def _noun(statement):
    return "Invoice" if statement.is_invoice else "Billing statement"


def _day(moment):
    return day_text(moment.astimezone(settings.ZONE))


def _merchant(statement):
    return (statement and statement.merchant_name) or settings.MERCHANT_NAME


def _text(name, record, message="", **more):
    context = {"record": record, "message": clean_text(message, MESSAGE), "mark": Mail.MARK, "zone": settings.TIME_ZONE} | more
    context["merchant"] = _merchant(record if isinstance(record, BillingStatement) else getattr(record, "statement", None))
    return re.sub(r"\n{3,}", "\n\n", render_to_string(f"mail/{name}.txt", context)).strip()


# --- to whom ---------------------------------------------------------------------------------------------
def recipient(record):
    """The e-mail address mail about a statement, request or payment goes to unless staff name another; may be "".

    That is the address frozen on the record; the customer's own where it has none.
    """
    for column in ("bill_to_email", "customer_email", "billing_email"):
        if frozen := getattr(record, column, ""):
            return frozen
    return record.customer.email if record.customer else ""


def why_not_sent(record):
    """Why a statement or request cannot be sent now, as a sentence; "" when it can."""
    if isinstance(record, PaymentRequest):
        return "" if record.payable else f"This request is {record.badge.lower()}, so its link takes no payment and is not sent."
    if record.status == BillingStatement.Status.DRAFT:
        return "This statement is a draft. Finalise it before you send it."
    return "" if record.status in SENDABLE else "This statement is void and is not sent any more."


def why_not_reminded(statement):
    """Why nobody can be reminded of a statement now, as a sentence; "" when somebody can."""
    if statement.status == BillingStatement.Status.DRAFT:
        return "This statement is a draft. Finalise it and send it first."
    status = statement.get_status_display().lower()
    return "" if statement.payable else f"This statement is {status}: there is nothing to remind of."


# --- sending ---------------------------------------------------------------------------------------------
@transaction.atomic
def send_statement(statement, *, by, to="", message="", form_key=""):
    """Mail a finalised statement with its link and PDF. The same form_key sends once, however often it comes.

    Raises DomainError for a draft or a void one, and without a good address.
    """
    current = _locked(statement)
    _refuse(why_not_sent(current))
    return _send(current, statement_letter(current, message), "sent", to, by, form_key)


@transaction.atomic
def remind_statement(statement, *, by, to="", message="", form_key=""):
    """Mail a reminder now, whatever the automatic ones do. Raises DomainError when nothing is owed, or without address."""
    current = _locked(statement)
    _refuse(why_not_reminded(current))
    return _send(current, reminder_letter(current, message), "reminded", to, by, form_key)


@transaction.atomic
def send_request(request, *, by, to="", message="", form_key=""):
    """Mail the link of a payment request. Raises DomainError when it takes no payment any more, or without address."""
    current = _locked(request)
    _refuse(why_not_sent(current))
    return _send(current, request_letter(current, message), "sent", to, by, form_key)


@transaction.atomic
def queue_receipt(payment):
    """Mail the receipt of a paid payment to its payer, once however often this is called. For the step that makes it paid.

    A payer without a good address gets none; it never raises for that, because money has moved. Returns the Mail or None.
    """
    to, key = recipient(payment), f"receipt:{payment.pk}"
    if payment.status != payment.Status.PAID or not to or Mail.objects.filter(key=key).exists():
        return None
    letter = receipt_letter(payment)
    try:
        made = _queue(payment, letter, to, None, key)
    except DomainError:
        return None
    if made:
        events.record("payment.receipt_sent", payment, by=None, to=to, mail=made.pk)
    return made


def _locked(record):
    """The record as it is now, its row locked."""
    return type(record).objects.select_for_update(of=("self",), no_key=True).select_related("customer").get(pk=record.pk)


def _refuse(sentence):
    if sentence:
        raise DomainError(sentence)


def _send(record, letter, verb, to, by, form_key):
    """Queue the letter, and note when, how often and to whom. A form that was sent before changes nothing."""
    to = (to or recipient(record)).strip()
    if not to:
        raise DomainError("There is no e-mail address to send it to. Enter one.")
    made = _queue(record, letter, to, by, form_key)
    if made:
        now = timezone.now()
        counted = {"sent_count": F("sent_count") + 1} if isinstance(record, BillingStatement) else {}
        type(record).objects.filter(pk=record.pk).update(sent_at=now, updated_at=now, **counted)
        noun = record._meta.verbose_name.replace(" ", "_")
        events.record(f"{noun}.{verb}", record, by=by, to=made.to, mail=made.pk)
    record.refresh_from_db()
    return record


def _queue(record, letter, to, by, key):
    return mail.queue(
        letter.kind, record, to=to, subject=letter.subject, text=letter.text, by=by, attach=letter.attach, key=key
    )  # fmt: skip
