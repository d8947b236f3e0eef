"""Passkeys, with Chromium's own virtual key: added, used as second step, used alone, confirmed with, taken away."""

import pytest
from allauth.mfa.models import Authenticator
from django.core.cache import cache

from conftest import PASSWORD
from dashboard.models import Event
from dashboard.tests.test_signin import make_stale

INSIDE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(autouse=True)
def _no_earlier_tries(transactional_db):
    cache.clear()


def plug_in(page, **changes):
    """Give a page's browser a key that says yes by itself; returns (session of the driver, its id)."""
    driver = page.context.new_cdp_session(page)
    driver.send("WebAuthn.enable")
    made = driver.send("WebAuthn.addVirtualAuthenticator", {"options": INSIDE | changes})
    return driver, made["authenticatorId"]


def add_passkey(page, name="Work laptop", alone=False):
    page.goto("/accounts/2fa/passkeys/add/")
    page.fill("#id_name", name)
    page.set_checked("[name=passwordless]", alone)
    page.click("[data-passkey-go]")
    page.wait_for_url(lambda url: "/add/" not in url)


def sign_out(page):
    page.context.clear_cookies()


def sign_in(page, user):
    page.goto("/accounts/login/")
    page.fill("#id_login", user.email)
    page.fill("#id_password", PASSWORD)
    page.click("button.btn-primary")
    page.wait_for_url(lambda url: "/login/" not in url)


def test_a_passkey_is_added_and_is_the_second_step(open_as, max, axe):
    page = open_as(max)
    plug_in(page)

    add_passkey(page)

    assert "/accounts/2fa/recovery-codes/" in page.url
    assert Authenticator.objects.get(user=max, type="webauthn").wrap().name == "Work laptop"
    assert Event.objects.filter(type="user.passkey_added", by=max).exists()
    page.goto("/accounts/2fa/")
    assert "Work laptop" in page.inner_text("main")
    axe(page)
    sign_out(page)
    sign_in(page, max)
    assert "/2fa/authenticate/" in page.url
    axe(page)
    page.click("[data-passkey-go]")
    page.wait_for_url(lambda url: "/accounts/" not in url)
    assert Authenticator.objects.get(user=max, type="webauthn").last_used_at


def test_a_passkey_alone_signs_in_without_the_password(open_as, max):
    page = open_as(max)
    plug_in(page)
    add_passkey(page, alone=True)
    sign_out(page)

    page.goto("/accounts/login/")
    page.click("[data-passkey-go]")
    page.wait_for_url(lambda url: "/accounts/" not in url)

    page.goto("/profile/")
    assert "max@example.com" in page.inner_text("main")


def test_a_switched_off_person_gets_in_with_no_passkey(open_as, max):
    page = open_as(max)
    plug_in(page)
    add_passkey(page, alone=True)
    sign_out(page)
    type(max).objects.update(is_active=False)

    page.goto("/accounts/login/")
    page.click("[data-passkey-go]")
    page.wait_for_url("**/accounts/inactive/")

    page.goto("/profile/")
    assert "/accounts/login/" in page.url


def test_a_key_without_a_lock_does_not_sign_in_alone(open_as, max):
    page = open_as(max)
    plug_in(page, hasUserVerification=False, isUserVerified=False)
    page.goto("/accounts/2fa/passkeys/add/")
    page.set_checked("[name=passwordless]", True)

    page.click("[data-passkey-go]")

    page.wait_for_selector("[data-passkey-error]:not([hidden])")
    assert not Authenticator.objects.exists()


def test_a_passkey_confirms_that_it_is_them(open_as, max):
    page = open_as(max)
    plug_in(page)
    add_passkey(page)
    browser = _client_of(page)
    make_stale(browser)
    key = browser.session.session_key

    page.goto("/accounts/password/change/")
    page.goto("/accounts/2fa/passkeys/confirm/?next=/profile/")
    page.click("[data-passkey-go]")
    page.wait_for_url(lambda url: "/confirm/" not in url)

    assert page.url.endswith("/profile/")
    assert _client_of(page).session.session_key != key


def test_a_passkey_is_taken_away_unless_it_is_the_last_step_of_who_needs_one(open_as, max, settings):
    page = open_as(max)
    plug_in(page)
    add_passkey(page)
    number = Authenticator.objects.get(type="webauthn").pk
    settings.REQUIRE_SECOND_STEP = ("manager",)

    page.goto(f"/accounts/2fa/passkeys/{number}/remove/")
    page.click(".btn-danger")
    page.wait_for_selector("text=Your role needs a second step")
    assert Authenticator.objects.filter(pk=number).exists()

    settings.REQUIRE_SECOND_STEP = ()
    page.goto(f"/accounts/2fa/passkeys/{number}/remove/")
    page.click(".btn-danger")
    page.wait_for_selector("text=The passkey is removed")
    assert not Authenticator.objects.exists()  # the recovery codes went with it


def test_nobody_takes_somebody_elses_passkey_away(as_sue, max):
    theirs = Authenticator.objects.create(user=max, type="webauthn", data={"name": "Laptop", "credential": {}})

    assert as_sue.post(f"/accounts/2fa/passkeys/{theirs.pk}/remove/").status_code == 404
    assert Authenticator.objects.filter(pk=theirs.pk).exists()


def test_an_answer_no_key_gave_adds_nothing_and_signs_nobody_in(as_sue, client, max):
    as_sue.get("/accounts/2fa/passkeys/add/")

    for credential in ("{}", "[]", "null", '{"id": "x"}', '{"id": 5, "response": 3, "type": "public-key"}', "not json"):
        told = as_sue.post("/accounts/2fa/passkeys/add/", {"name": "x", "credential": credential})
        assert told.status_code in (200, 422), credential
        assert client.post("/accounts/2fa/passkeys/sign-in/", {"credential": credential}).status_code in (302, 200, 429)
    assert not Authenticator.objects.exists()
    assert "_auth_user_id" not in client.session


def _client_of(page):
    """A test client with the browser's own session."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    for cookie in page.context.cookies():
        client.cookies[cookie["name"]] = cookie["value"]
    assert settings.SESSION_COOKIE_NAME in client.cookies
    return client
