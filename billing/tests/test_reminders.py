"""Automatic reminders: each once, caught up after missed days, silent where staff or customers asked for it."""

import threading
from datetime import UTC, datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone

from billing.domain import reminders
from billing.models import BillingStatement, Reminder
from billing.tests.factories import make_customer, make_open_statement, make_statement
from customers import domain as customers
from customers.tests.test_customers import at_once
from dashboard import mail
from dashboard.mail_models import Mail
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
BEFORE, AFTER = "will_be_due", "overdue"


def due_in(days, *, customer=None, **fields):
    """An open statement due so many days from NOW, at the end of that day."""
    statement = make_open_statement(customer, at=NOW - timedelta(days=60))
    due_at = (NOW + timedelta(days=days)).replace(hour=23, minute=59, second=59)
    BillingStatement.objects.filter(pk=statement.pk).update(due_at=due_at, **fields)
    statement.refresh_from_db()
    return statement


def kinds(statement):
    return sorted(statement.reminders.values_list("kind", flat=True))


# --- when ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "expected"),
    [(6, []), (5, [BEFORE]), (1, [BEFORE]), (0, [BEFORE]), (-1, []), (-4, []), (-5, [AFTER]), (-6, [AFTER]), (-400, [AFTER])],
)
def test_reminders_go_out_five_days_before_and_five_days_after(days, expected):
    statement = due_in(days)

    reminders.send_due_reminders(NOW)

    assert kinds(statement) == expected
    assert Mail.objects.filter(kind="reminder").count() == len(expected)


def test_a_reminder_says_what_is_due_and_leaves_an_event(mailoutbox):
    statement = due_in(3)

    assert reminders.send_due_reminders(NOW) == 1
    mail.send_due()

    (sent,) = mailoutbox
    for words in ("Marta Santos", statement.number, "$48.60", "25 Nov 2026", statement.url, "is due on"):
        assert words in sent.body, words
    assert sent.attachments[0][0] == f"{statement.number}.pdf"
    event = Event.objects.get(type="billing_statement.will_be_due")
    assert (event.object_id, event.by, event.actor, event.data["to"]) == (statement.pk, None, "system", "marta@example.com")
    statement.refresh_from_db()
    assert statement.sent_count == 1


def test_a_late_one_says_that_it_is_late(mailoutbox):
    statement = due_in(-30)

    reminders.send_due_reminders(NOW)
    mail.send_due()

    assert "was due on 23 Oct 2026 and is not paid in full yet" in mailoutbox[0].body
    assert Event.objects.filter(type="billing_statement.overdue", object_id=statement.pk).exists()


def test_each_goes_out_once_through_the_whole_life_of_a_statement():
    statement = due_in(10)
    for hours in range(0, 24 * 40, 6):
        reminders.send_due_reminders(NOW + timedelta(hours=hours))

    assert kinds(statement) == [AFTER, BEFORE]
    assert Mail.objects.filter(kind="reminder").count() == 2


def test_missed_days_are_made_up_for():
    """Nothing ran from before the first reminder until long after the last."""
    statement = due_in(10)

    reminders.send_due_reminders(NOW + timedelta(days=100))

    assert kinds(statement) == [AFTER]  # that it will be due is not true any more


def test_a_minute_before_it_is_due_is_before_and_a_minute_after_is_not():
    statement = due_in(0)

    assert reminders.send_due_reminders(statement.due_at + timedelta(seconds=1)) == 0
    assert reminders.send_due_reminders(statement.due_at - timedelta(seconds=1)) == 1


@override_settings(ZONE=ZoneInfo("Asia/Manila"), TIME_ZONE="Asia/Manila")
def test_days_are_those_of_the_dashboard():
    """16:30 UTC on the 22nd is the 23rd in Manila, five days before the 28th."""
    statement = due_in(0)
    BillingStatement.objects.update(due_at=datetime(2026, 11, 28, 15, 59, tzinfo=UTC))  # 23:59 on the 28th in Manila

    assert reminders.send_due_reminders(datetime(2026, 11, 22, 15, 30, tzinfo=UTC)) == 0
    assert reminders.send_due_reminders(datetime(2026, 11, 22, 16, 30, tzinfo=UTC)) == 1
    assert kinds(statement) == [BEFORE]


@pytest.mark.parametrize(("before", "after", "expected"), [(0, 5, 1), (5, 0, 1), (0, 0, 0), (20, 1, 3)])
def test_both_are_set_in_days_and_zero_switches_them_off(before, after, expected, settings):
    settings.REMIND_DAYS_BEFORE, settings.REMIND_DAYS_AFTER = before, after
    due_in(3), due_in(15), due_in(-7)

    assert reminders.send_due_reminders(NOW) == expected


@pytest.mark.parametrize("status", ["draft", "paid", "void", "uncollectible"])
def test_only_open_statements_are_reminded_of(status, alice):
    if status == "draft":
        BillingStatement.objects.filter(pk=make_statement().pk).update(due_at=NOW)
    else:
        due_in(-30)
        extra = {"paid_at": NOW, "amount_paid": 4860, "amount_remaining": 0} if status == "paid" else {}
        BillingStatement.objects.update(status=status, **extra)

    assert reminders.send_due_reminders(NOW) == 0


# --- who is left alone -------------------------------------------------------------------------------------------


def test_a_paused_customer_and_a_paused_statement_hear_nothing(alice):
    paused = make_customer(email="paused@example.com")
    reminders.pause_reminders(paused, paused=True, by=alice)
    due_in(-30, customer=paused), due_in(3, customer=paused)
    quiet = due_in(-30)
    reminders.pause_reminders(quiet, paused=True, by=alice)
    loud = due_in(-30)

    assert reminders.send_due_reminders(NOW) == 1
    assert kinds(loud) == [AFTER]

    reminders.pause_reminders(quiet, paused=False, by=alice)
    assert reminders.send_due_reminders(NOW) == 1
    assert kinds(quiet) == [AFTER]


def test_an_archived_customer_hears_nothing(alice):
    statement = due_in(-30)
    customers.archive_customer(statement.customer, by=alice)

    assert reminders.send_due_reminders(NOW) == 0


def test_a_promise_is_waited_for_and_a_broken_one_is_not():
    statement = due_in(-30, promised_on=NOW.date())

    assert reminders.send_due_reminders(NOW) == 0
    assert reminders.send_due_reminders(NOW + timedelta(days=1)) == 1
    assert kinds(statement) == [AFTER]


def test_without_an_address_there_is_no_reminder_until_there_is_one():
    statement = due_in(-30, bill_to_email="")
    type(statement.customer).objects.update(email="")
    assert reminders.send_due_reminders(NOW) == 0

    type(statement.customer).objects.update(email="new@example.com")

    assert reminders.send_due_reminders(NOW) == 1
    assert Mail.objects.get().to == "new@example.com"


def test_a_bad_address_is_said_once_and_holds_up_nobody():
    bad, good = due_in(-30, bill_to_email="a@example.com, b@example.com"), due_in(-30)

    assert reminders.send_due_reminders(NOW) == 1
    assert reminders.send_due_reminders(NOW) == 0
    assert kinds(good) == [AFTER]
    assert Event.objects.get(type="billing_statement.reminder_failed").object_id == bad.pk


def test_what_ends_between_the_look_and_the_mail_is_not_reminded_of(monkeypatch):
    statement = due_in(-30)
    look = reminders.due

    def end_it_after_the_look(kind, now=None):
        seen = list(look(kind, now).values_list("pk", flat=True))
        if seen:
            BillingStatement.objects.update(status="void")
            monkeypatch.setattr(reminders, "due", look)
        return BillingStatement.objects.filter(pk__in=seen)

    monkeypatch.setattr(reminders, "due", end_it_after_the_look)

    assert reminders.send_due_reminders(NOW) == 0
    assert BillingStatement.objects.get().status == "void"
    assert kinds(statement) == []


# --- once, whoever ticks -------------------------------------------------------------------------------------------


def make_four_ticks_meet(monkeypatch):
    """Four ticks that have all seen the same statements before the first of them acts."""
    look, start = reminders.due, threading.Barrier(4)
    met = threading.local()

    def due(kind, now=None):
        found = look(kind, now)
        if getattr(met, kind, False):
            return found
        setattr(met, kind, True)
        seen = list(found.values_list("pk", flat=True))
        start.wait(20)
        return BillingStatement.objects.filter(pk__in=seen).order_by("pk")

    monkeypatch.setattr(reminders, "due", due)


@pytest.mark.django_db(transaction=True)
def test_four_ticks_at_once_remind_once(monkeypatch):
    statements = [due_in(-30), due_in(3)]
    make_four_ticks_meet(monkeypatch)

    at_once(4, lambda _: reminders.send_due_reminders(NOW))

    assert [kinds(s) for s in statements] == [[AFTER], [BEFORE]]
    assert Mail.objects.count() == 2
    assert Event.objects.filter(type__in=["billing_statement.overdue", "billing_statement.will_be_due"]).count() == 2


@pytest.mark.django_db(transaction=True)
def test_without_the_row_and_the_second_look_the_same_ticks_remind_four_times(monkeypatch):
    """The control: reminding on what was seen before, without the unique row."""
    due_in(-30)
    make_four_ticks_meet(monkeypatch)

    def remind(pk, kind, now, by=None):
        reminders._queue(BillingStatement.objects.select_related("customer").get(pk=pk), kind, now, by)
        return 1

    monkeypatch.setattr(reminders, "_remind", remind)
    at_once(4, lambda _: reminders.send_due_reminders(NOW))

    assert Mail.objects.count() == 4


def test_a_reminder_and_its_mail_come_together_or_not_at_all(monkeypatch):
    statement = due_in(-30)

    def fail(*args, **kwargs):
        raise ZeroDivisionError

    queue = mail.queue
    monkeypatch.setattr(mail, "queue", fail)
    with pytest.raises(ZeroDivisionError):
        reminders.send_due_reminders(NOW)
    assert kinds(statement) == []

    monkeypatch.setattr(mail, "queue", queue)
    assert reminders.send_due_reminders(NOW) == 1


# --- commands --------------------------------------------------------------------------------------------------------


def overdue_now(**fields):
    statement = make_open_statement()
    BillingStatement.objects.filter(pk=statement.pk).update(due_at=timezone.now() - timedelta(days=9), **fields)
    return statement


def test_tick_reminds_and_sends(mailoutbox):
    statement = overdue_now()
    for _ in range(3):
        call_command("tick", stdout=StringIO())

    assert [m.to for m in mailoutbox] == [["marta@example.com"]]
    assert statement.number in mailoutbox[0].subject


def test_a_step_of_tick_that_fails_keeps_no_other_from_being_done(monkeypatch, mailoutbox):
    from dashboard.imports import runs

    def fail():
        raise ZeroDivisionError

    overdue_now()
    monkeypatch.setattr(runs, "continue_stalled", fail)

    with pytest.raises(CommandError, match="imports"):
        call_command("tick", stdout=StringIO())

    assert len(mailoutbox) == 1


def test_a_dry_run_tells_and_queues_nothing():
    statement, out = overdue_now(), StringIO()

    call_command("remind", "--dry-run", stdout=out)

    assert f"Overdue, test mode: {statement.number} to marta@example.com, $48.60 due " in out.getvalue()
    assert "1 reminders would go out. Nothing was queued." in out.getvalue()
    assert not Mail.objects.exists()
    assert not Reminder.objects.exists()

    call_command("remind", stdout=out)
    assert Mail.objects.count() == 1


# --- pages -------------------------------------------------------------------------------------------------------------


def test_staff_pause_and_resume_the_reminders_of_a_statement(as_sue, sue):
    statement = make_open_statement()
    url = f"/billing/statements/{statement.pk}/reminders/"
    assert "Pause reminders" in as_sue.get(url).text

    for _ in range(2):  # a second click on the same page changes nothing
        assert as_sue.post(url, {"paused": "True"}).status_code == 302

    statement.refresh_from_db()
    assert statement.reminders_paused
    assert Event.objects.get(type="billing_statement.reminders_paused").by == sue
    assert "Resume reminders" in as_sue.get(url).text
    as_sue.post(url, {"paused": "False"})
    statement.refresh_from_db()
    assert not statement.reminders_paused
    assert Event.objects.filter(type="billing_statement.reminders_resumed").count() == 1


def test_staff_pause_the_reminders_of_a_customer(as_sue, as_rita):
    customer = make_customer()
    url = f"/customers/{customer.pk}/reminders/"
    assert 'value="True"' in as_sue.get(url).text
    assert url in as_sue.get(customer.get_absolute_url()).text
    assert url not in as_rita.get(customer.get_absolute_url()).text

    assert as_sue.post(url, {"paused": "True"}).url == customer.get_absolute_url()

    customer.refresh_from_db()
    assert customer.reminders_paused
    assert Event.objects.get(type="customer.reminders_paused").customer_id == customer.pk
    assert as_rita.post(url, {"paused": "False"}).status_code == 403


def test_a_promise_is_noted_with_its_day_changed_and_taken_back(as_sue, sue):
    statement = make_open_statement()
    url = f"/billing/statements/{statement.pk}/promise/"
    day = timezone.localdate() + timedelta(days=10)

    as_sue.post(url, {"promised_on": day.isoformat(), "note": "Said so on the phone"})

    statement.refresh_from_db()
    assert (statement.promised_on, statement.promise_note) == (day, "Said so on the phone")
    event = Event.objects.get(type="billing_statement.promise_noted")
    assert (event.by, event.changes["promised_on"]) == (sue, ["", day.isoformat()])
    assert f'value="{day.isoformat()}"' in as_sue.get(url).text

    as_sue.post(url, {"promised_on": "", "note": ""})
    statement.refresh_from_db()
    assert (statement.promised_on, statement.promise_note) == (None, "")
    assert Event.objects.filter(type="billing_statement.promise_removed").count() == 1


@pytest.mark.parametrize("days", [-1, 400])
def test_a_promise_lies_between_today_and_a_year_from_now(days, as_sue):
    statement = make_open_statement()
    day = timezone.localdate() + timedelta(days=days)

    page = as_sue.post(f"/billing/statements/{statement.pk}/promise/", {"promised_on": day.isoformat(), "note": ""})

    assert page.status_code == 422
    assert "Choose a day from today to a year from now." in page.text
    statement.refresh_from_db()
    assert statement.promised_on is None


def test_a_promise_for_today_is_taken(alice):
    assert reminders.note_promise(make_open_statement(), promised_on=timezone.localdate(), by=alice).promised_on


def test_there_is_nothing_to_promise_on_a_draft(alice):
    with pytest.raises(DomainError):
        reminders.note_promise(make_statement(), promised_on=timezone.localdate(), by=alice)


@pytest.mark.parametrize("posted", [{"promised_on": "soon", "note": ""}, {"promised_on": "", "note": "x" * 201}])
def test_a_promise_that_makes_no_sense_is_said_at_its_field(posted, as_sue):
    statement = make_open_statement()

    assert as_sue.post(f"/billing/statements/{statement.pk}/promise/", posted).status_code == 422
    assert not Event.objects.filter(type__startswith="billing_statement.promise").exists()
