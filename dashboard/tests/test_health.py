"""/healthz and /readyz: what a load balancer and a monitor are told, and what nobody is told."""

import json
import re
from datetime import timedelta

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from dashboard import health
from dashboard.mail_models import Mail


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    monkeypatch.setattr(health, "FRESH", 0)
    yield
    health.forget()


def ready(client=None):
    answer = (client or Client()).get("/readyz")
    return answer.status_code, json.loads(answer.content)


def test_an_installation_in_order_is_ready_and_says_no_more(db):
    status, said = ready()

    assert status == 200
    assert said == {"ready": True, "database": "ok", "migrations": "ok", "disk": "ok", "tasks": "ok", "mail": "ok"}


def test_healthz_asks_the_database_nothing_and_answers_while_it_is_away(client):
    """No `db` fixture: a query would fail the test."""
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_a_database_that_is_away_is_503_by_name(monkeypatch, caplog):
    def away():
        raise OperationalError("could not connect to server at 10.0.0.7 as shop")

    monkeypatch.setattr(health, "CHECKS", health.CHECKS | dict.fromkeys(health.CHECKS, away))
    answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert set(json.loads(answer.content).values()) == {False, "wrong"}
    assert "10.0.0.7" not in answer.text


def test_a_missing_migration_is_not_ready(db):
    MigrationRecorder(connection).record_unapplied("billing", "0001_initial")

    status, said = ready()

    assert (status, said["migrations"], said["database"]) == (503, "wrong", "ok")


def test_a_full_disk_is_not_ready(db, monkeypatch):
    monkeypatch.setattr(health, "ROOM", 1 << 60)

    status, said = ready()

    assert (status, said["disk"]) == (503, "wrong")


def old_task(minutes, **fields):
    task = DBTaskResult.objects.create(
        args_kwargs={"args": [], "kwargs": {}}, priority=0, task_path="x.y", worker_ids=[], queue_name="default",
        backend_name="default", run_after=timezone.now() - timedelta(minutes=minutes), exception_class_path="", traceback="",
        **fields,
    )  # fmt: skip
    DBTaskResult.objects.filter(pk=task.pk).update(enqueued_at=timezone.now() - timedelta(minutes=minutes))


def test_a_task_nobody_does_is_not_ready_and_a_young_or_finished_one_is_nothing(db):
    old_task(10)
    old_task(60, status="SUCCESSFUL")
    assert ready()[0] == 200

    old_task(20)

    status, said = ready()
    assert (status, said["tasks"]) == (503, "wrong")


def test_a_mail_nobody_sends_is_not_ready(db):
    def mail(minutes):
        due = timezone.now() - timedelta(minutes=minutes)
        Mail.objects.create(
            livemode=False,
            kind="receipt",
            object_type="x",
            object_id="y",
            to="a@example.com",
            subject="s",
            text="t",
            next_try_at=due,
        )

    mail(5)
    assert ready()[0] == 200

    mail(20)

    status, said = ready()
    assert (status, said["mail"]) == (503, "wrong")


def test_neither_tells_a_version_a_path_or_a_reason(db, monkeypatch):
    monkeypatch.setattr(health, "ROOM", 1 << 60)

    for path in ("/healthz", "/readyz"):
        answer = Client().get(path)
        assert not re.search(r"\d+\.\d+|/|MB|python|django|sqlite|postgres", answer.text.lower()), answer.text
        assert "Server" not in answer.headers


def test_both_answer_strangers_over_plain_http_and_take_no_other_method(db):
    with override_settings(SECURE_SSL_REDIRECT=True):
        assert Client().get("/accounts/login/").status_code == 301
        assert Client().get("/readyz").status_code == 200
        assert Client().get("/healthz").status_code == 200
    assert Client().post("/readyz").status_code in (403, 405)
    assert Client().head("/readyz").status_code == 200


def test_whoever_asks_often_is_told_the_same_without_a_query(db, monkeypatch):
    monkeypatch.setattr(health, "FRESH", 60)
    ready()

    with CaptureQueriesContext(
        connection,
    ) as queries:
        for _ in range(50):
            assert ready()[0] == 200

    assert len(queries) == 0


def test_being_ready_costs_few_queries(db):
    ready()
    with CaptureQueriesContext(connection) as queries:
        ready()

    assert len(queries) <= 6
