"""Automatic reminders: once before a statement is due, once after; who is left alone; what customers promised."""

from datetime import datetime, time, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from billing.domain import sending
from billing.models import BillingStatement, Reminder
from customers.models import Customer
from dashboard import events, mail
from dashboard.states import DomainError
from dashboard.text import clean_text

Kind = Reminder.Kind
NOTE, FURTHEST = 200, timedelta(days=366)  # longest note of a promise, in characters; how far ahead one may promise


def send_due_reminders(now=None):
    """Queue every reminder that is due and did not go out yet. Returns how many. Safe to run at any time, by several at once.

    A day that was missed is made up for: `overdue` goes out however late, `will_be_due` as long as it is true.
    """
    now = now or timezone.now()
    return sum(_remind(pk, kind, now) for kind in Kind for pk in list(due(kind, now).values_list("pk", flat=True)))


def due(kind, now=None):
    """The statements to remind of now, oldest due date first. Days are the dashboard's (TIME_ZONE).

    An invoice that is charged automatically is due the day it is issued: its customer is reminded only when it is late.
    """
    now = now or timezone.now()
    today = now.astimezone(settings.ZONE).date()
    days = settings.REMIND_DAYS_BEFORE if kind == Kind.WILL_BE_DUE else settings.REMIND_DAYS_AFTER
    if not days:
        return BillingStatement.objects.none()
    if kind == Kind.WILL_BE_DUE:
        when = Q(due_at__gte=now, due_at__lt=_midnight(today + timedelta(days=days + 1))) & ~Q(billing="pay_automatically")
    else:
        when = Q(due_at__lt=_midnight(today - timedelta(days=days - 1)))
    return _remindable(today).filter(when).exclude(reminders__kind=kind).order_by("due_at", "id")


def _midnight(day):
    return datetime.combine(day, time.min, settings.ZONE)


def _remindable(today):
    """Open statements whose customer may be reminded: not paused, no promise to wait for, with an e-mail (D-23)."""
    return (
        BillingStatement.objects.filter(status=BillingStatement.Status.OPEN, reminders_paused=False)
        .filter(customer__status=Customer.Status.ACTIVE, customer__reminders_paused=False)
        .filter(Q(promised_on=None) | Q(promised_on__lt=today))
        .exclude(bill_to_email="", customer__email="")
    )


@transaction.atomic
def _remind(pk, kind, now, by=None):
    """Queue one reminder with its event, unless it is out already or something changed since we looked. 1 or 0.

    The Reminder row is unique: of two ticks the second finds it taken.
    """
    statement = (
        BillingStatement.objects.select_for_update(of=("self",), no_key=True).select_related("customer").filter(pk=pk).first()
    )
    if not statement or not due(kind, now).filter(pk=pk).exists():
        return 0
    try:
        with transaction.atomic():
            Reminder.objects.create(statement=statement, kind=kind)
            _queue(statement, kind, now, by)
    except IntegrityError:
        return 0
    except DomainError as error:  # no good address: said once in the history, and not tried again every minute
        Reminder.objects.create(statement=statement, kind=kind)
        events.record("billing_statement.reminder_failed", statement, by=by, reminder=kind, why=str(error))
        return 0
    return 1


def _queue(statement, kind, now, by):
    letter = sending.reminder_letter(statement, now=now)
    made = mail.queue(
        letter.kind, statement, to=sending.recipient(statement), subject=letter.subject, text=letter.text, by=by,
        attach=letter.attach,
    )  # fmt: skip
    BillingStatement.objects.filter(pk=statement.pk).update(sent_at=made.created_at, sent_count=F("sent_count") + 1)
    events.record(f"billing_statement.{kind}", statement, by=by, to=made.to, mail=made.pk)


# --- who is left alone -----------------------------------------------------------------------------------
@transaction.atomic
def pause_reminders(obj, *, paused, by):
    """Stop, or allow again, the automatic reminders of one statement or of a customer. Staff may still send one by hand."""
    changed = type(obj).objects.filter(pk=obj.pk, reminders_paused=not paused)
    if changed.update(reminders_paused=paused, updated_at=timezone.now()):
        noun = obj._meta.verbose_name.replace(" ", "_")
        verb = "reminders_paused" if paused else "reminders_resumed"
        events.record(f"{noun}.{verb}", obj, by=by)
    obj.reminders_paused = paused
    return obj


@transaction.atomic
def note_promise(statement, *, promised_on, by, note=""):
    """Write down the day a customer promised to pay; no reminder goes out up to that day. None takes the promise back.

    Raises DomainError when nothing is owed, and for a day before today or more than a year ahead.
    """
    current = BillingStatement.objects.select_for_update(no_key=True).get(pk=statement.pk)
    if not current.payable:
        raise DomainError(f"This statement is {current.get_status_display().lower()}: there is nothing to promise.")
    today = timezone.now().astimezone(settings.ZONE).date()
    if promised_on and not today <= promised_on <= today + FURTHEST:
        raise DomainError("Choose a day from today to a year from now.")
    fields = {"promised_on": promised_on, "promise_note": clean_text(note, NOTE) if promised_on else ""}
    if changes := events.changed(current, fields):
        type(current).objects.filter(pk=current.pk).update(updated_at=timezone.now(), **fields)
        told = {name: [str(old or ""), str(new or "")] for name, (old, new) in changes.items()}
        verb = "promise_noted" if promised_on else "promise_removed"
        events.record(f"billing_statement.{verb}", current, by=by, changes=told)
    current.refresh_from_db()
    return current
