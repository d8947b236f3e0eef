"""Signing in and out, forgotten passwords, the second step."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.conf import settings
from django.core import mail
from django.core.cache import cache
from django.urls import reverse

from conftest import PASSWORD
from dashboard.accounts import Adapter

LOGIN = "/accounts/login/"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def _no_earlier_tries(db):
    cache.clear()


def code_now(secret=SECRET):
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def sign_in(client, email, password=PASSWORD):
    return client.post(LOGIN, {"login": email, "password": password})


def sign_in_freshly(client, user):
    """Signed in, and the password confirmed just now: what changing the sign-in itself asks for."""
    sign_in(client, user.email)
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})


def make_stale(client, minutes=6):
    """Let the session's sign-in be some minutes ago."""
    session = client.session
    for name in {"since", "confirmed"} & set(session.keys()):
        session[name] -= minutes * 60
    session.save()


def test_a_stranger_is_sent_to_sign_in_and_back(client, alice):
    asked = client.get("/customers/")

    assert asked.status_code == 302
    assert asked.url == f"{LOGIN}?next=/customers/"
    done = client.post(LOGIN, {"login": alice.email, "password": PASSWORD, "next": "/customers/"})
    assert done.url == "/customers/"


def test_sign_in_never_leads_to_another_site(client, alice):
    done = client.post(LOGIN, {"login": alice.email, "password": PASSWORD, "next": "https://evil.example/"})

    assert done.url == "/"


def test_a_wrong_password_and_an_unknown_address_read_the_same(client, alice):
    sentence = Adapter.error_messages["email_password_mismatch"]

    wrong = sign_in(client, alice.email, "not the password")
    unknown = sign_in(client, "nobody@example.com", "not the password")

    assert sentence in wrong.text
    assert sentence in unknown.text
    assert "_auth_user_id" not in client.session


def test_a_switched_off_account_does_not_get_in(client, alice):
    type(alice).objects.update(is_active=False)

    sign_in(client, alice.email)

    assert "_auth_user_id" not in client.session


def test_the_session_key_changes_at_sign_in(client, alice):
    client.get(LOGIN)
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32

    sign_in(client, alice.email)

    assert client.cookies[settings.SESSION_COOKIE_NAME].value != "a" * 32


def test_after_five_wrong_tries_the_right_password_waits_too(client, alice):
    for _ in range(5):
        sign_in(client, alice.email, "guess")

    done = sign_in(client, alice.email)

    assert "_auth_user_id" not in client.session
    assert "Too many" in done.text


def test_a_flood_of_tries_from_one_address_gets_the_429_page(client, db):
    answers = [sign_in(client, f"user{i}@example.com", "guess") for i in range(31)]

    assert answers[-1].status_code == 429
    assert "Too many tries" in answers[-1].text


def test_signing_out_takes_a_post_and_tells_the_browser_to_forget(as_alice):
    assert as_alice.get("/accounts/logout/").status_code == 200
    assert "_auth_user_id" in as_alice.session

    done = as_alice.post("/accounts/logout/")

    assert "_auth_user_id" not in as_alice.session
    assert done["Clear-Site-Data"] == '"cache", "storage"'


def test_nobody_signs_up(client, db, django_user_model):
    page = client.post("/accounts/signup/", {"email": "new@example.com", "password1": PASSWORD})

    assert page.status_code in (200, 405)
    assert not django_user_model.objects.exists()
    assert "Sign-up is closed" in client.get("/accounts/signup/").text


@pytest.mark.parametrize("path", ["email/", "confirm-email/", "social/connections/", "login/code/", "3rdparty/"])
def test_doors_we_do_not_offer_do_not_exist(as_alice, path):
    assert as_alice.get(f"/accounts/{path}").status_code == 404


def test_a_forgotten_password_is_replaced_by_the_mailed_link_once(client, alice):
    client.post("/accounts/password/reset/", {"email": alice.email}, headers={"host": "localhost"})
    link = re.search(r"https?://\S+", mail.outbox[0].body)[0]
    assert link.startswith(settings.SITE_URL + "/accounts/password/reset/key/usr_")

    form = client.get(link.removeprefix(settings.SITE_URL), follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": "another fine phrase", "password2": "another fine phrase"})

    alice.refresh_from_db()
    assert alice.check_password("another fine phrase")
    assert mail.outbox[1].subject == "Your password was reset"
    client.logout()
    assert "no longer works" in client.get(link.removeprefix(settings.SITE_URL), follow=True).text


def test_a_reset_for_an_unknown_address_says_the_same_and_mails_nobody(client, alice):
    known = client.post("/accounts/password/reset/", {"email": alice.email})
    unknown = client.post("/accounts/password/reset/", {"email": "nobody@example.com"})

    assert known.url == unknown.url == reverse("account_reset_password_done")
    assert [m.to for m in mail.outbox] == [[alice.email]]


def test_changing_the_password_asks_for_the_current_one_and_tells_the_owner(client, alice):
    sign_in(client, alice.email)
    new = {"password1": "another fine phrase", "password2": "another fine phrase"}

    refused = client.post("/accounts/password/change/", {"oldpassword": "wrong", **new})
    assert "This is not your current password." in refused.text
    client.post("/accounts/password/change/", {"oldpassword": PASSWORD, **new})

    alice.refresh_from_db()
    assert alice.check_password("another fine phrase")
    assert [m.subject for m in mail.outbox] == ["Your password was changed"]
    assert mail.outbox[0].to == [alice.email]


def test_a_short_password_is_refused_at_its_field(client, alice):
    sign_in(client, alice.email)

    page = client.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": "short", "password2": "short"})

    assert "at least 12 characters" in page.text
    assert 'aria-invalid="true"' in page.text


def test_the_second_step_is_set_up_with_a_code_and_shows_recovery_codes_once(client, alice):
    sign_in_freshly(client, alice)
    page = client.get("/accounts/2fa/totp/activate/")
    secret = page.context["form"].secret
    assert "<svg" in page.text
    assert "data:image" not in page.text
    assert "<?xml" not in page.text

    codes = client.post("/accounts/2fa/totp/activate/", {"code": code_now(secret)}, follow=True)

    assert Authenticator.objects.filter(user=alice, type="totp").exists()
    shown = codes.context["unused_codes"]
    assert len(shown) == 10
    assert shown[0] in codes.text
    assert shown[0] not in client.get("/accounts/2fa/recovery-codes/").text
    stored = Authenticator.objects.get(user=alice, type="recovery_codes").data
    assert shown[0] not in str(stored)


def test_a_wrong_code_does_not_switch_the_second_step_on(client, alice):
    sign_in_freshly(client, alice)
    client.get("/accounts/2fa/totp/activate/")

    page = client.post("/accounts/2fa/totp/activate/", {"code": "000000"})

    assert Adapter.error_messages["incorrect_code"] in page.text
    assert not Authenticator.objects.exists()


def test_with_the_second_step_on_the_password_alone_opens_nothing(client, alice):
    TOTP.activate(alice, SECRET)

    asked = sign_in(client, alice.email)

    assert asked.url == reverse("mfa_authenticate")
    assert "_auth_user_id" not in client.session
    assert client.get("/customers/").status_code == 302
    assert "Enter your code" in client.get(asked.url).text


def test_the_code_finishes_signing_in_and_works_once(client, alice):
    TOTP.activate(alice, SECRET)
    code = code_now()

    sign_in(client, alice.email)
    client.post("/accounts/2fa/authenticate/", {"code": code})
    assert client.session["_auth_user_id"] == alice.pk

    client.post("/accounts/logout/")
    sign_in(client, alice.email)
    refused = client.post("/accounts/2fa/authenticate/", {"code": code})
    assert Adapter.error_messages["incorrect_code"] in refused.text
    assert "_auth_user_id" not in client.session


def test_a_recovery_code_signs_in_once(client, alice):
    TOTP.activate(alice, SECRET)
    made = RecoveryCodes.activate(alice)
    code = made.get_unused_codes()[0] if hasattr(made, "get_unused_codes") else made[0]

    for expected in (True, False):
        sign_in(client, alice.email)
        client.post("/accounts/2fa/authenticate/", {"code": code})
        assert ("_auth_user_id" in client.session) is expected
        client.post("/accounts/logout/")


def test_switching_the_second_step_off_asks_for_the_password_again(client, alice):
    sign_in(client, alice.email)
    client.get("/")
    TOTP.activate(alice, SECRET)
    make_stale(client)
    asked = client.get("/accounts/2fa/totp/deactivate/")
    assert asked.url.startswith("/accounts/reauthenticate/")
    assert "Confirm it is you" in client.get(asked.url).text

    client.post(asked.url, {"password": "wrong"})
    client.post("/accounts/2fa/totp/deactivate/")
    assert Authenticator.objects.filter(user=alice).exists()
    client.post(asked.url, {"password": PASSWORD})
    client.post("/accounts/2fa/totp/deactivate/")

    assert not Authenticator.objects.filter(user=alice).exists()
    assert [m.subject for m in mail.outbox] == ["Two-step sign-in is off"]


@pytest.mark.parametrize(
    "path",
    [
        "login/",
        "password/reset/",
        "password/reset/done/",
        "password/reset/key/done/",
        "signup/",
        "inactive/",
        "password/reset/key/x-y/",
    ],
)
def test_every_page_before_sign_in_opens_to_strangers(client, db, path):
    page = client.get(f"/accounts/{path}", follow=True)

    assert page.status_code == 200
    assert "<h1>" in page.text
    assert "Traceback" not in page.text


@pytest.mark.parametrize("path", ["password/change/", "2fa/", "2fa/totp/activate/", "reauthenticate/", "logout/"])
def test_every_page_about_ones_own_account_opens(client, alice, path):
    sign_in_freshly(client, alice)

    assert client.get(f"/accounts/{path}").status_code == 200


@pytest.mark.parametrize(
    "path", ["password/change/", "2fa/", "2fa/totp/activate/", "2fa/recovery-codes/", "2fa/totp/deactivate/"]
)
def test_pages_about_ones_own_account_are_closed_to_strangers(client, db, path):
    assert client.get(f"/accounts/{path}").status_code == 302


def test_sign_in_works_without_scripts(open_as, alice):
    page = open_as(scripts=False)
    page.goto("/profile/")
    page.wait_for_selector("#id_login:focus")

    page.fill("#id_login", alice.email)
    page.fill("#id_password", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url.endswith("/profile/") and "login" not in url)

    assert page.locator("h1").inner_text() == "Profile and security"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_sign_in_page_is_accessible_with_its_error(open_as, axe, db, theme):
    page = open_as(theme=theme)
    page.goto(LOGIN)
    axe(page)
    page.fill("#id_login", "nobody@example.com")
    page.fill("#id_password", "guess")
    page.click("button.btn-primary")
    page.wait_for_selector("[role=alert]")
    axe(page)
