"""A database that is read-only, locked, full or away: pages that only read go on, writes are 503, nothing is half written."""

import sqlite3
from contextlib import contextmanager

import pytest
from django.core.cache import cache
from django.db import InterfaceError, InternalError, OperationalError, connection, connections
from django.test import Client

from billing.tests.factories import make_customer, make_request
from conftest import PASSWORD
from customers.models import Customer
from dashboard.models import Event
from dashboard.tests.test_headers import differing

pytestmark = pytest.mark.django_db(transaction=True)
FORM = {"kind": "individual", "first_name": "Ottilie", "last_name": "Half", "email": "ottilie@example.com", "currency": "USD"}


@pytest.fixture
def patient(as_max):
    """max's client, who takes an error page as an answer, with a session and cache as they are after a while."""
    as_max.raise_request_exception = False
    as_max.get("/customers/")
    return as_max


@contextmanager
def read_only():
    """As a standby, or a disk that went bad: every write is refused."""
    postgres = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on" if postgres else "PRAGMA query_only = on")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = off" if postgres else "PRAGMA query_only = off")


@contextmanager
def full():
    """No page more: what a full disk is to SQLite."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA page_count")
        (pages,) = cursor.fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA max_page_count = 1073741823")


@contextmanager
def locked():
    """Somebody else writes and does not come to an end."""
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 50")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 20000")


def is_503(answer):
    assert answer.status_code == 503, answer.status_code
    assert answer["Retry-After"] == "5"
    assert "Nothing more was saved" in answer.text
    assert answer["X-Request-ID"] in answer.text
    assert differing(answer) == {}
    return True


def counts():
    return Customer.objects.count(), Event.objects.count()


def test_a_read_only_database_shows_pages_and_takes_no_write(patient):
    customer = make_customer()
    before = counts()

    with read_only():
        for path in ("/customers/", f"/customers/{customer.pk}/", "/billing/payments/", "/overview/", "/activity/"):
            assert patient.get(path).status_code == 200, path
        assert is_503(patient.post("/customers/new/", FORM))

    assert counts() == before


def test_a_read_only_database_shows_pages_to_a_session_nobody_looked_at_for_a_while(patient):
    session = patient.session
    session["seen"] -= 120
    session.save()

    with read_only():
        assert patient.get("/customers/").status_code == 200


def test_a_payer_still_sees_what_is_due_on_a_read_only_database(patient):
    request = make_request()
    cache.clear()

    with read_only():
        answer = Client(raise_request_exception=False).get(f"/pay/checkout/{request.token}/")

    assert answer.status_code == 200
    assert "48.50" in answer.text


def test_no_password_is_looked_at_while_tries_cannot_be_counted(patient, sue, monkeypatch):
    hashed = []
    monkeypatch.setattr(type(sue), "check_password", lambda *_: hashed.append(1))

    with read_only():
        stranger = Client(raise_request_exception=False)
        assert is_503(stranger.post("/accounts/login/", {"login": sue.email, "password": PASSWORD}))

    assert hashed == []


def test_a_full_disk_stops_writes_whole_and_reads_go_on(patient):
    if connection.vendor == "postgresql":
        return  # its disk is its server's; it then answers as a read-only one
    make_customer()
    before, stopped = counts(), 0

    with full():
        for n in range(300):
            answer = patient.post("/customers/new/", FORM | {"email": f"a{n}@example.com", "description": "x" * 200})
            if answer.status_code == 503:
                stopped = n
                break
        assert stopped, "it never filled up"
        assert patient.get("/customers/").status_code == 200

    made, events = (after - was for after, was in zip(counts(), before, strict=True))
    assert made == stopped
    assert events >= made  # each with its event, and no event without
    assert set(Event.objects.filter(type="customer.created").values_list("object_id", flat=True)) == set(
        Customer.objects.values_list("pk", flat=True)
    )
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        assert cursor.fetchone() == ("ok",)


def test_a_locked_database_is_503_after_its_time_and_reads_go_on(patient):
    if connection.vendor == "postgresql":
        return  # writers of other rows do not wait for each other there
    before = counts()

    with locked():
        assert patient.get("/customers/").status_code == 200
        assert is_503(patient.post("/customers/new/", FORM))

    assert counts() == before
    assert patient.post("/customers/new/", FORM).status_code == 302


def test_a_question_the_database_takes_too_long_for_is_503(patient, monkeypatch):
    """The web server's connections give a statement ten seconds (test_settings.py); here it is less."""
    if connection.vendor == "sqlite":
        return  # it has no such limit: see docs/deployment.md for what bounds it there

    def ask_for_long(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")

    monkeypatch.setattr("dashboard.pages.Profile.get_initial", ask_for_long)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '100ms'")
    try:
        assert is_503(patient.get("/profile/"))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")


@pytest.mark.parametrize("error", [OperationalError, InternalError, InterfaceError])
@pytest.mark.parametrize("who", ["a stranger", "somebody signed in"])
def test_a_database_that_is_away_is_503_wherever_it_is_noticed(patient, monkeypatch, error, who):
    """For a signed-in browser the session is the first to notice, before any view."""
    client = patient if who == "somebody signed in" else Client(raise_request_exception=False)

    def away(*_, **__):
        raise error("connection refused: is the server running on host 10.0.0.7?")

    monkeypatch.setattr(type(connections["default"]), "cursor", away)
    path = "/customers/" if who == "somebody signed in" else "/accounts/login/"
    answer = client.post(path, {"login": "a@example.com", "password": "x"}) if who == "a stranger" else client.get(path)
    alive = Client().get("/healthz")
    monkeypatch.undo()  # before the test's own tables are emptied

    assert is_503(answer)
    assert "10.0.0.7" not in answer.text
    assert alive.status_code == 200


def test_a_session_that_cannot_be_saved_by_a_write_is_told(patient):
    """A page may do without; a POST may not pretend that it was remembered."""
    with read_only():
        assert is_503(patient.post("/mode/", {"mode": "live"}))

    assert not patient.session.get("livemode")
