"""First steps of a live installation: told to its admins until they are done."""

import pytest

from dashboard import team
from dashboard.invitations import invite
from dashboard.setting_up import steps_for


@pytest.fixture(autouse=True)
def _live(settings):
    settings.SECURE = True
    settings.SECURE_SSL_REDIRECT = False  # the test client speaks http


def left(user):
    return [step.title for step in steps_for(user) if not step.done]


def test_a_new_live_installation_tells_its_admin_what_is_left(as_alice, alice):
    page = as_alice.get("/overview/").text

    assert left(alice) == [
        "Choose your own password",
        "Set up a second step",
        "Check the merchant’s name and address",
        "Connect a mail server",
        "Invite your team",
    ]
    for title in left(alice):
        assert title in page
    assert "Set MERCHANT_NAME" in as_alice.get("/team/").text


def test_each_step_is_done_when_it_is_done(alice, settings):
    team.set_password(alice, "four quiet otters sing", by=alice)
    assert "Choose your own password" not in left(alice)
    alice.authenticator_set.create(type="totp", data={})
    assert "Set up a second step" not in left(alice)
    settings.MERCHANT_NAME, settings.MERCHANT_EMAIL = "Otter Supplies", "hello@otters.example"
    assert "Check the merchant’s name and address" not in left(alice)
    settings.MAIL_URL = "smtp://mail.example.com"
    assert left(alice) == ["Invite your team"]
    invite(email="ivy@example.com", name="", role="support", by=alice)
    assert steps_for(alice) == []


def test_the_card_is_gone_when_all_is_done(alice, settings):
    test_each_step_is_done_when_it_is_done(alice, settings)

    from conftest import _client

    assert "h-setup" not in _client(alice).get("/team/").text


def test_nobody_but_an_admin_is_told_and_nobody_on_a_machine_of_ones_own(as_max, max, alice, settings):
    assert steps_for(max) == []
    assert "h-setup" not in as_max.get("/overview/").text
    settings.SECURE = False
    assert steps_for(alice) == []
