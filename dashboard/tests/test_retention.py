"""What holds personal data and is needed no more is deleted when it is old enough: not a day before, and nothing else."""

from datetime import timedelta
from io import StringIO

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from billing.gateways.sandbox.models import SandboxCheckout, SandboxDelivery, SandboxRequestLog
from billing.life import _mail
from billing.models import WebhookDelivery
from customers.models import Customer, KeptRecord
from customers.tests.factories import make_customer
from dashboard import mail, retention
from dashboard.management.commands.purge import RULES
from dashboard.models import Bucket, Event, IdempotencyKey, Import, ImportRow, Invitation, Mail, Session
from dashboard.states import DomainError
from dashboard.tests.routes import make_world

DAY = timedelta(days=1)
TOUCHED = (  # by the rules; the rows of all other tables stay as they are
    *(Mail, Import, ImportRow, Invitation, Session, LogEntry, DBTaskResult, IdempotencyKey, Bucket, KeptRecord),
    *(WebhookDelivery, SandboxCheckout, SandboxRequestLog, SandboxDelivery, Event),
    *(apps.get_model("dashboard", "ImportPiece"),),
)


def purged():
    out = StringIO()
    call_command("purge", stdout=out)
    return out.getvalue()


def everything_else():
    """{table: its rows} of all tables no rule is about."""
    return {m: list(m._base_manager.order_by("pk").values()) for m in apps.get_models() if m not in TOUCHED and m._meta.managed}


@pytest.fixture
def world(alice):
    """A record of every kind, and what becomes of some of them; all of it made at `now`, or ended then."""
    world = make_world(alice)
    now = world.now = timezone.now()
    Mail.objects.update(state="sent", created_at=now)
    run = Import.objects.get()
    finished = Import.objects.create(
        **{n: getattr(run, n) for n in ("livemode", "importer", "file_name", "size", "sha256", "created_by")},
        status="done", errors=1, finished_at=now,
    )  # fmt: skip
    ImportRow.objects.create(run=finished, number=2, action="error", title="Ana", cells=["ana@example.com"])
    Import.objects.update(updated_at=now)
    Invitation.objects.update(expires_at=now)
    Session.objects.update(expire_date=now)
    LogEntry.objects.create(user=alice, action_flag=2, object_repr="Ana Bird", action_time=now)
    DBTaskResult.objects.create(
        status="FAILED", args_kwargs={}, task_path="x", backend_name="x", run_after=now, finished_at=now, traceback="Ana"
    )
    IdempotencyKey.objects.update(created_at=now, body="Ana")
    Bucket.objects.update(filled_at=now.timestamp())
    Bucket.objects.get_or_create(name="x", defaults={"tokens": 0, "filled_at": now.timestamp()})
    WebhookDelivery.objects.update(touched_at=now)
    SandboxCheckout.objects.update(created_at=now, status="complete", description="For Ana")
    SandboxRequestLog.objects.update(created_at=now)
    SandboxDelivery.objects.update(created_at=now, due_at=None)
    erased = make_customer(by=alice, email="erased@example.com")
    Customer.objects.filter(pk=erased.pk).update(erased_at=now)
    KeptRecord.objects.create(
        livemode=False, customer=erased, object_type="billing.payment", object_id="pay_1", values={"name": "Ana"},
        kept_until=timezone.localdate(now),
    )  # fmt: skip
    return world


@pytest.fixture
def half_a_year_later(world, monkeypatch):
    """Call it, and the clock stands a day behind what is deleted after 180 days."""
    return lambda: monkeypatch.setattr(timezone, "now", lambda: world.now + timedelta(days=181))


def test_a_day_before_nothing_goes_a_day_after_all_does_and_nothing_else_changes(world, half_a_year_later):
    for rule in RULES:
        due = world.now + rule.age()
        assert rule.count(due - DAY) == 0, rule.words
        assert rule.count(due + DAY) > 0, rule.words
    before, events = everything_else(), list(Event.objects.order_by("pk").values())
    assert len(before) > 30

    half_a_year_later()
    counts, failed = retention.purge(RULES)

    assert failed == []
    assert [key for key, count in counts.items() if not count] == []
    assert everything_else() == before
    assert list(Event.objects.order_by("pk").values())[: len(events)] == events
    for model in (ImportRow, Invitation, Session, LogEntry, DBTaskResult, IdempotencyKey, Bucket, KeptRecord):
        assert not model.objects.exists(), model
    assert set(Mail.objects.values_list("to", "subject", "text", "error")) == {("", "", "", "")}
    assert set(WebhookDelivery.objects.values_list("body", flat=True)) == {""}
    assert set(SandboxCheckout.objects.values_list("description", flat=True)) == {""}
    assert not SandboxRequestLog.objects.exists()
    assert not SandboxDelivery.objects.exists()
    assert set(Import.objects.values_list("status", flat=True)) == {"done", "canceled"}
    assert Event.objects.get(type="data.purged").data == counts
    assert Event.objects.filter(type="customer.scrubbed").count() == 1
    call_command("check_ledger", stdout=StringIO())
    assert retention.purge(RULES) == (dict.fromkeys(counts, 0), [])
    assert Event.objects.filter(type="data.purged").count() == 1  # nothing went: nothing is told


def test_pages_of_what_was_emptied_say_so(world, as_max, as_sue, max, sue, half_a_year_later):
    run = Import.objects.get(status="done")
    assert "row with errors" in as_max.get(run.get_absolute_url()).text
    half_a_year_later()
    retention.purge(RULES)
    for client, person in ((as_max, max), (as_sue, sue)):
        client.force_login(person)  # their sessions are gone

    letter = Mail.objects.get(pk=world.mail)
    page = as_sue.get(letter.get_absolute_url()).text
    assert "were removed: they are old" in page
    assert f"<h1>{letter.kind_in_words} " in page
    assert as_sue.get("/outbox/").status_code == 200
    assert (
        "It was removed: it is old" in as_max.get(WebhookDelivery.objects.get(pk=world.webhookdelivery).get_absolute_url()).text
    )
    page = as_max.get(run.get_absolute_url()).text
    assert "Details of rows are removed when an import is old." in page
    assert "row with errors" not in page
    assert _mail(letter, sees=True).words == "Link sent"


def test_a_mail_that_waits_keeps_its_text_and_one_that_failed_is_tried_no_more(world, max, half_a_year_later):
    waiting, failed = Mail.objects.order_by("pk")[:2]
    Mail.objects.filter(pk=waiting.pk).update(state="queued")
    Mail.objects.filter(pk=failed.pk).update(state="failed", error="550 <ana@example.com>: no such user")
    half_a_year_later()
    retention.purge(RULES)

    waiting.refresh_from_db()
    failed.refresh_from_db()
    assert waiting.text
    assert (failed.state, failed.error) == ("held", "It failed, and is too old to be tried again.")
    with pytest.raises(DomainError, match="Only a mail that failed"):
        mail.retry(failed, by=max)


def test_the_settings_say_how_old_is_old(world, settings, half_a_year_later):
    settings.PERSONAL_DATA_DAYS = 400
    half_a_year_later()

    counts, _ = retention.purge(RULES)

    assert [counts[key] for key in ("mails", "webhooks", "admin_log", "import_rows")] == [0, 0, 0, 0]
    assert counts["sessions"] > 0


def test_a_dry_run_tells_and_deletes_nothing(world):
    Session.objects.update(expire_date=world.now - 2 * DAY)
    count, out = Session.objects.count(), StringIO()
    call_command("purge", dry_run=True, stdout=out)

    assert f"{count}  sessions that have ended, with their IP addresses, older than 1 day\n" in out.getvalue()
    assert out.getvalue().count("\n") == len(RULES)
    assert Session.objects.count() == count
    assert f"{count}  sessions that have ended" in purged()
    assert not Session.objects.exists()


@pytest.fixture
def old_sessions(db):
    for n in range(5):
        Session.objects.create(session_key=str(n), session_data="", expire_date=timezone.now() - 2 * DAY)


def test_the_minutes_work_does_it_once_a_day(old_sessions):
    cache.delete(retention.DAILY)
    call_command("tick", stdout=StringIO())
    assert not Session.objects.exists()

    Session.objects.create(session_key="x", session_data="", expire_date=timezone.now() - 2 * DAY)
    call_command("tick", stdout=StringIO())
    assert Session.objects.count() == 1
    cache.delete(retention.DAILY)  # a day later
    call_command("tick", stdout=StringIO())
    assert not Session.objects.exists()


def test_what_is_left_over_goes_a_minute_later(old_sessions, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    monkeypatch.setattr(retention, "MOST", 4)
    cache.delete(retention.DAILY)
    call_command("purge", daily=True, stdout=StringIO())
    assert Session.objects.count() == 1
    call_command("purge", daily=True, stdout=StringIO())

    assert not Session.objects.exists()
    assert not retention.is_due()


def test_one_rule_that_fails_keeps_no_other_from_being_gone_by(old_sessions, monkeypatch, caplog):
    def fail(rows):
        raise ValueError("on purpose")

    broken = retention.Rule("x", "broken things", timedelta, lambda before: Session.objects.all(), fail)
    monkeypatch.setattr("dashboard.management.commands.purge.RULES", (broken, *RULES))

    with pytest.raises(CommandError, match=r"Not deleted, see the log: broken things\."):
        purged()
    assert not Session.objects.exists()
    assert "on purpose" in caplog.text


def test_without_a_database_nothing_else_is_tried(db):
    def fail(rows):
        raise OperationalError("gone")

    rule = retention.Rule("x", "x", timedelta, fail)
    with pytest.raises(OperationalError), transaction.atomic():
        retention.purge([rule])
