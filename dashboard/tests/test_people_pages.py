"""The people pages in a browser: phone and desk, light and dark, without scripts, and the way through them."""

import pytest
from django.core.cache import cache

from conftest import PASSWORD
from dashboard import invitations
from dashboard.models import Invitation, User
from dashboard.tests.test_passkeys import _client_of
from dashboard.tests.test_signin import make_stale


@pytest.fixture(autouse=True)
def _no_earlier_tries(transactional_db):
    cache.clear()


def pages(alice, sue):
    made = Invitation.objects.first() or invitations.invite(
        email="a.very.long.address.of.somebody@subsidiary.example.com", name="", role="support", by=alice
    )
    one = sue.get_absolute_url()
    team = ["/team/", "/team/invite/", f"/team/invitations/{made.pk}/send/", one, f"{one}edit/", f"{one}switch/"]
    return [*team, "/profile/", "/profile/sessions/end/", "/accounts/2fa/", "/accounts/2fa/passkeys/add/"]


@pytest.mark.parametrize("width, theme", [(1440, "light"), (390, "dark"), (1440, "dark"), (390, "light")])
def test_the_people_pages_are_accessible_and_never_wider_than_the_screen(open_as, axe, alice, sue, width, theme):
    page = open_as(alice, width=width, theme=theme)

    for path in pages(alice, sue):
        page.goto(path)
        axe(page)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_of_an_invitation_is_accessible_with_its_errors(open_as, axe, alice, theme):
    made = invitations.invite(email="ivy@example.com", name="Ivy", role="manager", by=alice)
    page = open_as(width=390, theme=theme)
    page.goto(f"/invitation/{made.token}/")
    axe(page)

    page.fill("#id_name", "Ivy Ash")
    page.fill("#id_password", "short")
    page.click(".btn-primary")
    page.wait_for_selector("[aria-invalid=true]")

    axe(page)


def test_without_scripts_somebody_is_invited_and_joins(open_as, alice):
    desk = open_as(alice, scripts=False)
    desk.goto("/team/")
    desk.click("text=Invite somebody")
    desk.fill("#id_email", "ivy@example.com")
    desk.select_option("#id_role", "manager")
    desk.click("dialog .btn-primary")
    desk.wait_for_url("**/team/")
    assert "ivy@example.com" in desk.inner_text("main")

    phone = open_as(width=390, scripts=False)
    phone.goto(f"/invitation/{Invitation.objects.get().token}/")
    phone.fill("#id_name", "Ivy Ash")
    phone.fill("#id_password", "four quiet otters sing")
    phone.click(".btn-primary")
    phone.wait_for_url(lambda url: "/invitation/" not in url)

    assert User.objects.get(email="ivy@example.com").role == "manager"
    assert "Welcome, Ivy Ash" in phone.inner_text("body")


@pytest.mark.parametrize("scripts", [True, False])
def test_a_stale_role_change_asks_in_place_and_keeps_the_choice(open_as, axe, alice, sue, scripts):
    page = open_as(alice, scripts=scripts, width=390)
    page.goto("/team/")
    make_stale(_client_of(page))

    page.goto(f"{sue.get_absolute_url()}edit/")
    page.fill("#id_name", "Susan")
    page.select_option("#id_role", "manager")
    page.click("main .btn-primary")
    page.wait_for_selector("#id_confirm_password")

    assert page.input_value("#id_name") == "Susan"
    assert page.input_value("#id_role") == "manager"
    if scripts:
        axe(page)
    page.fill("#id_confirm_password", PASSWORD)
    page.click("main .btn-primary")
    page.wait_for_url(f"**{sue.get_absolute_url()}")
    assert User.objects.get(pk=sue.pk).role == "manager"


def test_a_dialog_over_the_page_asks_for_the_password_too(open_as, alice, sue):
    page = open_as(alice)
    page.goto(sue.get_absolute_url())
    make_stale(_client_of(page))

    page.click("text=Switch off")
    page.click("dialog .btn-danger")
    page.wait_for_selector("#id_confirm_password")
    page.fill("#id_confirm_password", PASSWORD)
    page.click("dialog .btn-danger")
    page.wait_for_selector("text=is switched off and signed out everywhere")

    assert not User.objects.get(pk=sue.pk).is_active


def test_a_browser_signed_out_elsewhere_finds_the_sign_in(open_as, sue):
    here, there = open_as(sue), open_as(sue)
    there.goto("/profile/")
    here.goto("/profile/")  # the first page after signing in knows this browser already
    assert here.locator("text=This browser").count() == 1

    here.click("text=Sign out everywhere else")
    here.click("dialog .btn-primary")
    here.wait_for_selector("text=signed out.")
    there.goto("/customers/")

    assert "/accounts/login/" in there.url


def test_the_page_that_asks_for_a_second_step_is_accessible(open_as, axe, max, settings):
    settings.REQUIRE_SECOND_STEP = ("manager",)
    for width, theme in ((1440, "light"), (390, "dark")):
        page = open_as(max, width=width, theme=theme)
        page.goto("/customers/")
        assert page.url.endswith("/second-step/")
        axe(page)
