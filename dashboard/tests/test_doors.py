"""What happens at the doors is written down: signing in and out, being refused; and never a password."""

import time

import pytest
from django.core.cache import cache
from django.test import Client

from conftest import PASSWORD
from dashboard import doors
from dashboard.models import Event

WRONG = "a wrong password, typed"


@pytest.fixture(autouse=True)
def _rested(db):
    cache.clear()


def sign_in(client, email, password=PASSWORD, **more):
    return client.post("/accounts/login/", {"login": email, "password": password}, **more)


def kinds(prefix):
    return list(Event.objects.filter(type__startswith=prefix).order_by("pk").values_list("type", flat=True))


def test_signing_in_and_out_is_recorded(client, sue):
    sign_in(client, sue.email, REMOTE_ADDR="203.0.113.7")
    client.post("/accounts/logout/")

    first, last = Event.objects.filter(type__startswith="sign_in.").order_by("pk")
    assert (first.type, first.by, first.object_id, first.ip) == ("sign_in.succeeded", sue, sue.pk, "203.0.113.7")
    assert (last.type, last.by) == ("sign_in.ended", sue)


def test_a_wrong_password_is_recorded_with_the_account_and_without_what_was_typed(client, sue):
    sign_in(client, sue.email.upper(), WRONG)

    event = Event.objects.latest()
    assert (event.type, event.object_id, event.by, event.actor) == ("sign_in.failed", sue.pk, None, "system")
    assert event.data == {"step": "password"}
    assert WRONG not in str(list(Event.objects.values()))


def test_an_address_without_an_account_is_not_kept(client, sue):
    sign_in(client, "nobody@example.com", WRONG)  # it may be a password in the wrong box

    event = Event.objects.latest()
    assert (event.type, event.object_id) == ("sign_in.failed", "")
    assert "nobody@example.com" not in str(Event.objects.values().get(pk=event.pk))


def test_whoever_knocks_all_day_leaves_one_event_a_minute_and_address(client, sue, monkeypatch):
    minute = time.time() // 60 * 60
    monkeypatch.setattr("dashboard.doors.time.time", lambda: minute + 1)
    for _ in range(3):
        sign_in(client, sue.email, WRONG)
    assert len(kinds("sign_in.failed")) == 1

    sign_in(client, sue.email, WRONG, REMOTE_ADDR="203.0.113.7")
    assert len(kinds("sign_in.failed")) == 2
    monkeypatch.setattr("dashboard.doors.time.time", lambda: minute + 61)
    sign_in(client, sue.email, WRONG)
    assert len(kinds("sign_in.failed")) == 3


def test_the_limit_on_tries_is_recorded_when_it_bites(client, sue):
    for _ in range(7):
        sign_in(client, sue.email, WRONG)

    event = Event.objects.get(type="sign_in.throttled")
    assert event.object_id == sue.pk


def test_asking_for_a_new_password_is_recorded_of_an_account_alone(client, sue):
    for email in (sue.email, "nobody@example.com"):
        client.post("/accounts/password/reset/", {"email": email})

    [event] = Event.objects.filter(type="user.reset_asked")
    assert (event.object_id, event.by, event.sentence) == (sue.pk, None, "User asked for a new password")


def test_a_wrong_code_is_recorded(rf, sue):
    doors.second_step_failed(rf.post("/accounts/2fa/authenticate/"), sue)

    assert Event.objects.latest().data == {"step": "second step"}
    assert Event.objects.latest().object_id == sue.pk


def test_the_packages_tell_us(sue):
    """The second step's own page, up to the wrong code."""
    from allauth.mfa.totp.internal import auth

    auth.TOTP.activate(sue, "A" * 32)
    client = Client()
    sign_in(client, sue.email)
    assert kinds("sign_in.") == []  # half-way in is not in

    client.post("/accounts/2fa/authenticate/", {"code": "000000"})
    assert kinds("sign_in.") == ["sign_in.failed"]


def test_being_refused_is_recorded_with_where_one_wanted_to_go(as_rita, rita):
    assert as_rita.post("/customers/new/").status_code == 403
    as_rita.get("/customers/new/")

    [event] = Event.objects.filter(type="access.denied")
    assert (event.by, event.data) == (rita, {"path": "/customers/new/", "asked": "POST"})


def test_a_refused_stranger_leaves_nothing_in_the_trail(client):
    assert client.get("/customers/").status_code == 302

    assert kinds("access.") == []


def test_a_delivery_nobody_signed_is_recorded_once_a_minute(client):
    for _ in range(3):
        assert client.post("/webhooks/sandbox/", b"{}", content_type="application/json").status_code == 400

    [event] = Event.objects.filter(type="webhook.refused")
    assert (event.livemode, event.data, event.ip) == (False, {"gateway": "sandbox"}, "127.0.0.1")


def test_trouble_with_the_trail_turns_no_refusal_into_anything_else(as_rita, monkeypatch, caplog):
    from django.db import OperationalError

    def broken(*args, **kwargs):
        raise OperationalError("the disk is full")

    monkeypatch.setattr("dashboard.doors.cache.add", broken)

    assert as_rita.get("/customers/new/").status_code == 403
    assert "access.denied could not be recorded" in caplog.text


@pytest.mark.parametrize("typed", ["", "\0", "x" * 5000, "ana@example.com\0"])
def test_whatever_is_typed_as_an_address_is_looked_up_calmly(client, typed):
    assert sign_in(client, typed, WRONG).status_code in (200, 429)
