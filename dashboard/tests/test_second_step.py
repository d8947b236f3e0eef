"""A second step for those whose role needs one: nothing opens without it, by whatever door."""

import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.core.cache import cache
from django.urls import reverse

from conftest import PASSWORD
from dashboard.models import Event, User
from dashboard.permissions import Role
from dashboard.settings import ROLES
from dashboard.tests.routes import make_world, routes
from dashboard.tests.test_signin import SECRET, code_now, sign_in

NEEDED = "/second-step/"


@pytest.fixture(autouse=True)
def _required(settings, db):
    cache.clear()
    settings.REQUIRE_SECOND_STEP = ("admin", "manager")


def test_every_url_leads_to_setting_up_a_second_step(as_alice, alice):
    world = make_world(alice)
    before = Event.objects.count()
    asked = [r for r in routes() if not r.path.startswith(("accounts/", "api/")) and r.permission() is not None]
    wrong = {}
    for route in asked:
        for method in ("get", "post"):
            answer = getattr(as_alice, method)(route.url(world))
            if (answer.status_code, answer.get("Location")) != (302, NEEDED) and route.path != "second-step/":
                wrong[method, route.path] = answer.status_code, answer.get("Location")

    assert wrong == {}
    assert len(asked) > 60
    assert Event.objects.count() == before


def test_the_page_that_is_left_says_why_and_leads_on(as_max):
    page = as_max.get("/customers/", follow=True)

    assert page.redirect_chain == [(NEEDED, 302)]
    assert "Set up a second step" in page.text
    assert reverse("mfa_activate_totp") in page.text
    assert as_max.get(reverse("mfa_activate_totp")).status_code == 200


@pytest.mark.django_db(transaction=True)  # the package tells of it after the commit
def test_setting_up_the_app_opens_the_doors(client, max):
    sign_in(client, max.email)
    client.get("/customers/")
    form = client.get("/accounts/2fa/totp/activate/").context["form"]

    done = client.post("/accounts/2fa/totp/activate/", {"code": code_now(form.secret)})

    assert done.url == "/accounts/2fa/recovery-codes/"
    assert client.get("/customers/").status_code == 200
    assert client.get(NEEDED).url == "/"
    assert Event.objects.filter(type="user.second_step_added", by=max).count() == 1


def test_other_roles_are_asked_for_nothing(as_sue, as_rita):
    assert as_sue.get("/customers/").status_code == 200
    assert as_rita.get("/customers/").status_code == 200


def test_it_can_be_required_of_everybody(as_rita, settings):
    settings.REQUIRE_SECOND_STEP = ROLES

    assert as_rita.get("/customers/").url == NEEDED


def test_the_admin_site_and_a_reset_password_are_doors_like_any(client, max):
    TOTP.activate(max, SECRET)

    for path in ("/admin/", "/customers/"):
        signed = client.post("/accounts/login/", {"login": max.email, "password": PASSWORD, "next": path})
        assert signed.url == "/accounts/2fa/authenticate/"
        assert client.get(path).status_code == 302
    client.post("/accounts/2fa/authenticate/", {"code": code_now()})
    assert client.get("/admin/").status_code == 200


def test_the_last_second_step_stays_while_the_role_needs_it(client, max):
    TOTP.activate(max, SECRET)
    sign_in(client, max.email)
    client.post("/accounts/2fa/authenticate/", {"code": code_now()})

    told = client.post("/accounts/2fa/totp/deactivate/")

    assert "Your role needs a second step" in told.text
    assert Authenticator.objects.filter(user=max, type="totp").exists()


def test_somebody_who_becomes_a_manager_meets_it_at_the_next_sign_in(as_alice, alice, as_sue, sue, client, settings):
    from dashboard import team

    as_sue.get("/customers/")
    team.change_member(sue, role="manager", by=alice)

    assert as_sue.get("/customers/").url.startswith("/accounts/login/")
    sign_in(client, sue.email)
    assert client.get("/customers/").url == NEEDED


def test_an_admin_who_switches_a_lost_step_off_sends_its_owner_to_a_new_one(alice, client, max):
    from dashboard import team

    TOTP.activate(max, SECRET)
    sign_in(client, max.email)
    client.post("/accounts/2fa/authenticate/", {"code": code_now()})
    assert client.get("/customers/").status_code == 200

    team.remove_second_step(max, by=alice)

    assert client.get("/customers/").url.startswith("/accounts/login/")
    sign_in(client, max.email)
    assert client.get("/customers/").url == NEEDED


def test_recovery_codes_are_kept_hashed(alice):
    from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes

    TOTP.activate(alice, SECRET)
    codes = RecoveryCodes.activate(alice).get_unused_codes()

    stored = str(list(Authenticator.objects.filter(type="recovery_codes").values_list("data")))
    assert len(codes) == 10
    assert not any(code in stored for code in codes)


def test_a_code_is_good_once(client, alice):
    TOTP.activate(alice, SECRET)
    code = code_now()
    signed_in = []
    for _ in range(2):
        sign_in(client, alice.email)
        client.post("/accounts/2fa/authenticate/", {"code": code})
        signed_in.append("_auth_user_id" in client.session)
        client.post("/accounts/logout/")

    assert signed_in == [True, False]


# --- the setting ---------------------------------------------------------------------------------------------


def test_the_setting_knows_the_roles():
    assert set(ROLES) == set(Role)


def test_the_session_remembers_so_that_a_page_asks_no_more_than_before(client, max, django_assert_num_queries):
    TOTP.activate(max, SECRET)
    sign_in(client, max.email)
    client.post("/accounts/2fa/authenticate/", {"code": code_now()})
    client.get("/second-step/", follow=True)

    with django_assert_num_queries(2):  # the session and its owner
        client.get("/admin/login/")
    assert client.session["second_step"] is True
    assert User.objects.get(pk=max.pk).is_active


def test_a_second_step_is_set_up_after_a_forgotten_password_too(client, max, mailoutbox):
    """The reset leaves a row of the sign-in's package that calls the address unverified: that must lock nobody out."""
    client.post("/accounts/password/reset/", {"email": max.email})
    link = re.search(r"/accounts/password/reset/key/\S+", mailoutbox[0].body)[0]
    form = client.get(link, follow=True)
    client.post(form.redirect_chain[-1][0], {"password1": "another fine phrase", "password2": "another fine phrase"})
    client.logout()
    sign_in(client, max.email, "another fine phrase")

    assert client.get("/customers/").url == NEEDED
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200
