"""The pages of API keys and personal tokens, and what may be done to a key."""

import re
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from conftest import PASSWORD
from dashboard.api.keys import SCOPES, create_key, find_key, revoke_key, roll_key, scopes_for
from dashboard.ids import new_hex
from dashboard.models import ApiKey, Event
from dashboard.sessions import SINCE
from dashboard.states import DomainError
from dashboard.stepup import FRESH

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"sk_(?:test|live)_[A-Za-z0-9_-]{43}")


def form(**changes):
    """What the browser sends to make a key."""
    return {"name": "Web shop", "scopes": ["read"], "lasts": "", "addresses": "", "form_key": new_hex()} | changes


def make_key(by, **about):
    return create_key(**{"name": "Web shop", "livemode": False, "scopes": ["read"], "by": by} | about)


def secret_in(page):
    """The one secret a page shows."""
    (found,) = set(SECRET.findall(page.text))
    return found


# --- creating --------------------------------------------------------------------------------------------------
def test_an_admin_makes_a_key_and_sees_its_secret_once(as_alice, alice):
    page = as_alice.post("/api-keys/new/", form(scopes=["customers:read", "billing:write"], addresses="203.0.113.7\n10.0.0.0/8"))

    key, secret = ApiKey.objects.get(), secret_in(page)
    assert (page.status_code, page["Cache-Control"]) == (200, "no-store")
    assert find_key(secret) == key
    assert (key.name, key.scopes, key.user) == ("Web shop", ["billing:write", "customers:read"], None)
    assert key.addresses == ["203.0.113.7/32", "10.0.0.0/8"]
    event = Event.objects.get(type="api_key.created")
    assert (event.by, event.object_id, event.sentence) == (alice, key.pk, "API key created")
    for path in ("/api-keys/", f"/api-keys/{key.pk}/", "/activity/", f"/admin/dashboard/apikey/{key.pk}/change/"):
        shown = as_alice.get(path).text
        assert not SECRET.search(shown), path
        assert key.hashed not in shown, path


def test_the_same_form_sent_again_makes_no_second_key(as_alice):
    sent = form()
    as_alice.post("/api-keys/new/", sent)
    again = as_alice.post("/api-keys/new/", sent)

    assert (again.status_code, ApiKey.objects.count()) == (422, 1)
    assert "This form made a key already" in again.text
    assert not SECRET.search(again.text)


def test_the_secret_is_kept_nowhere(as_alice, caplog):
    secret = secret_in(as_alice.post("/api-keys/new/", form()))

    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            assert secret not in str(cursor.fetchall()), table
    assert secret not in caplog.text + str(dict(as_alice.session))


def test_a_key_is_of_the_mode_it_was_made_in(as_alice):
    as_alice.post("/mode/", {"mode": "live"})
    secret = secret_in(as_alice.post("/api-keys/new/", form()))

    key = ApiKey.objects.get()
    assert (key.livemode, secret.startswith("sk_live_")) == (True, True)
    assert "Web shop" in as_alice.get("/api-keys/").text
    as_alice.post("/mode/", {"mode": "test"})
    assert "Web shop" not in as_alice.get("/api-keys/").text
    assert as_alice.get(f"/api-keys/{key.pk}/").status_code == 404


def test_a_key_may_end_by_itself(as_alice):
    as_alice.post("/api-keys/new/", form(lasts="30"))

    left = ApiKey.objects.get().expires_at - timezone.now()
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": " "}, "This field is required"),
        ({"scopes": []}, "Choose at least one"),
        ({"scopes": ["everything"]}, "not one of the available choices"),
        ({"addresses": "203.0.113.300"}, "is not an IP address"),
        ({"lasts": "1000"}, "not one of the available choices"),
        ({"form_key": "x"}, "Create an API key"),
    ],
)
def test_a_wrong_form_makes_no_key(as_alice, wrong, said):
    page = as_alice.post("/api-keys/new/", form(**wrong))

    assert (page.status_code, ApiKey.objects.count()) == (422, 0)
    assert said in page.text


@pytest.mark.parametrize("name", ["max", "sue", "rita"])
def test_keys_of_the_business_are_for_admins_alone(name, alice, request):
    client, (key, _) = request.getfixturevalue(f"as_{name}"), make_key(alice)

    for path in ("", "new/", f"{key.pk}/", f"{key.pk}/roll/", f"{key.pk}/revoke/"):
        assert client.get(f"/api-keys/{path}").status_code == 403
        assert client.post(f"/api-keys/{path}").status_code == 403


# --- the list and a key's page ---------------------------------------------------------------------------------
def test_the_list_tells_keys_apart(as_alice, alice, max):
    key, secret = make_key(alice)
    make_key(max, user=max, name="Max’s script", scopes=["write"])
    revoke_key(make_key(alice, name="Old shop")[0], by=alice)

    page = as_alice.get("/api-keys/").text
    assert f"sk_test_…{secret[-4:]}" in page
    assert "Read everything" in page
    assert "Change everything" in page
    active, ended = as_alice.get("/api-keys/?status=active").text, as_alice.get("/api-keys/?status=ended").text
    assert ("Old shop" in active, "Old shop" in ended, "Web shop" in ended) == (False, True, False)
    assert "Web shop" not in as_alice.get("/api-keys/?kind=personal").text
    assert "Web shop" in as_alice.get("/api-keys/", {"q": key.hint}).text


def test_a_keys_page_says_what_it_may_and_who_made_it(as_alice, alice, max):
    key, _ = make_key(max, user=max, scopes=["billing:read"], addresses=["10.0.0.0/8"])
    page = as_alice.get(f"/api-keys/{key.pk}/").text

    assert SCOPES["billing:read"] in page
    assert "10.0.0.0/8" in page
    assert "never more than Max may" in page
    assert "/roll/" not in page  # only Max rolls it
    assert f"/api-keys/{key.pk}/revoke/" in page


# --- rolling and revoking --------------------------------------------------------------------------------------
def test_rolling_makes_a_new_key_and_lets_the_old_one_work_on_for_a_while(as_alice, alice):
    old, old_secret = make_key(alice, scopes=["billing:read"], addresses=["10.0.0.0/8"])
    page = as_alice.post(f"/api-keys/{old.pk}/roll/", {"hours": "24", "lasts": "90", "form_key": new_hex()})

    new = find_key(secret_in(page))
    assert (new.name, new.scopes, new.addresses) == (old.name, old.scopes, old.addresses)
    assert new.expires_at > timezone.now() + timedelta(days=89)
    assert find_key(old_secret) == old
    assert ApiKey.objects.usable(timezone.now() + timedelta(hours=25)).get() == new
    assert Event.objects.get(type="api_key.rolled").data["new"] == new.pk


def test_rolling_at_once_ends_the_old_key_now(as_alice, alice):
    old, secret = make_key(alice)
    as_alice.post(f"/api-keys/{old.pk}/roll/", {"hours": "0", "lasts": "", "form_key": new_hex()})

    assert find_key(secret) is None


def test_rolling_twice_with_one_form_makes_one_key(as_alice, alice):
    old, _ = make_key(alice)
    sent = {"hours": "24", "lasts": "", "form_key": new_hex()}
    as_alice.post(f"/api-keys/{old.pk}/roll/", sent)

    assert as_alice.post(f"/api-keys/{old.pk}/roll/", sent).status_code == 422
    assert ApiKey.objects.count() == 2


def test_rolling_never_gives_a_key_more_time(alice):
    soon = timezone.now() + timedelta(hours=1)
    old, _ = make_key(alice, expires_at=soon)
    roll_key(old, by=alice, hours=168)

    assert ApiKey.objects.get(pk=old.pk).expires_at == soon


def test_a_refused_roll_changes_nothing(alice, max):
    token, _ = make_key(max, user=max)
    with pytest.raises(DomainError, match="rolled by the person"):
        roll_key(token, by=alice)
    with pytest.raises(DomainError, match="can end"):
        roll_key(make_key(alice)[0], by=alice, hours=5000)

    assert ApiKey.objects.filter(expires_at=None).count() == ApiKey.objects.count() == 2
    assert not Event.objects.filter(type="api_key.rolled").exists()


def test_a_revoked_key_ends_at_once_and_for_good(as_alice, alice):
    key, secret = make_key(alice)
    page = as_alice.post(f"/api-keys/{key.pk}/revoke/", follow=True)

    assert "is revoked" in page.text
    assert find_key(secret) is None
    assert Event.objects.get(type="api_key.revoked").by == alice
    assert as_alice.post(f"/api-keys/{key.pk}/revoke/").status_code == 422
    assert as_alice.post(f"/api-keys/{key.pk}/roll/", {"hours": "24", "form_key": new_hex()}).status_code == 422
    assert Event.objects.filter(type="api_key.revoked").count() == 1


def test_an_expired_key_is_no_key(alice):
    key, secret = make_key(alice, expires_at=timezone.now() + timedelta(days=1))
    ApiKey.objects.update(expires_at=timezone.now())

    assert find_key(secret) is None
    with pytest.raises(DomainError, match="expired"):
        roll_key(key, by=alice)


# --- personal tokens -------------------------------------------------------------------------------------------
def test_everybody_makes_tokens_of_their_own(as_rita, rita):
    page = as_rita.post("/profile/tokens/new/", form(name="Nightly report"))

    token = find_key(secret_in(page))
    assert (token.user, token.created_by) == (rita, rita)
    assert "Nightly report" in as_rita.get("/profile/tokens/").text
    assert "/profile/tokens/" in as_rita.get("/profile/").text


def test_a_token_is_offered_no_more_than_its_person_may(as_rita, rita, sue):
    assert set(scopes_for(rita)) == {"read", "customers:read", "billing:read"}
    assert set(scopes_for(sue)) == SCOPES.keys()
    assert as_rita.post("/profile/tokens/new/", form(scopes=["write"])).status_code == 422
    assert not ApiKey.objects.exists()


def test_another_persons_token_is_unknown(as_max, alice, sue):
    theirs = [make_key(sue, user=sue)[0], make_key(alice)[0]]

    for key in theirs:
        for act in ("roll", "revoke"):
            assert as_max.get(f"/profile/tokens/{key.pk}/{act}/").status_code == 404
            assert as_max.post(f"/profile/tokens/{key.pk}/{act}/", {"hours": "0", "form_key": new_hex()}).status_code == 404
    assert ApiKey.objects.usable().count() == 2


def test_ones_own_token_is_rolled_and_revoked(as_max, max):
    token, _ = make_key(max, user=max)
    page = as_max.post(f"/profile/tokens/{token.pk}/roll/", {"hours": "0", "lasts": "", "form_key": new_hex()})
    new = find_key(secret_in(page))

    assert (new.user, find_key(secret_in(page)).name) == (max, token.name)
    assert as_max.post(f"/profile/tokens/{new.pk}/revoke/").url == "/profile/tokens/"
    assert not ApiKey.objects.usable().exists()


def test_an_admin_may_revoke_somebodys_token_but_not_make_one(as_alice, alice, max):
    token, secret = make_key(max, user=max)
    with pytest.raises(DomainError, match="made by the person"):
        make_key(alice, user=max)
    as_alice.post(f"/api-keys/{token.pk}/revoke/")

    assert find_key(secret) is None


def test_nobody_hoards_tokens(max, monkeypatch):
    monkeypatch.setattr("dashboard.api.keys.MOST", 2)
    for _ in range(2):
        make_key(max, user=max)

    with pytest.raises(DomainError, match="You have 2 tokens already"):
        make_key(max, user=max)


# --- at the command line ---------------------------------------------------------------------------------------
def test_the_command_prints_the_secret_once(db, capsys):
    call_command("apikey", name="Shop", mode="test", scopes="customers:read,billing:read")

    key = find_key(capsys.readouterr().out.strip())
    assert (key.name, key.livemode, key.scopes) == ("Shop", False, ["billing:read", "customers:read"])
    assert Event.objects.get(type="api_key.created").actor == "system"


def test_the_command_refuses_an_unknown_scope(db):
    with pytest.raises(CommandError, match="There is no scope “everything”"):
        call_command("apikey", name="Shop", mode="test", scopes="everything")


# --- in the admin ----------------------------------------------------------------------------------------------
def test_the_admin_shows_keys_to_admins_and_changes_none(as_alice, as_sue, alice):
    key, _ = make_key(alice)
    page = f"/admin/dashboard/apikey/{key.pk}/change/"

    assert key.shown in as_alice.get(page).text
    assert as_alice.post(page, {"name": "Mine"}).status_code == 403
    assert as_sue.get(page).status_code == as_sue.get("/admin/dashboard/idempotencykey/").status_code == 403


# --- in a browser ----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme", "scripts"), [(1440, "light", True), (390, "dark", True), (1440, "light", False)])
def test_an_admin_makes_rolls_and_revokes_a_key_in_a_browser(open_as, axe, alice, width, theme, scripts):
    page = open_as(alice, width=width, theme=theme, scripts=scripts)
    look = axe if scripts else lambda page: None
    page.goto("/api-keys/")
    look(page)
    page.get_by_role("link", name="Create a key").first.click()
    page.get_by_label("Name").wait_for()
    look(page)
    page.get_by_label("Name").fill("Web shop")
    page.get_by_label("Read everything", exact=True).check()
    page.get_by_role("button", name="Create the key").click()
    first = page.get_by_label("Secret key").input_value()
    look(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Web shop", exact=True).click()
    page.get_by_role("link", name="Roll").wait_for()
    look(page)
    page.get_by_role("link", name="Roll").click()
    page.get_by_role("button", name="Make the new key").click()
    second = page.get_by_label("Secret key").input_value()
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Web shop", exact=True).first.click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke the key").click()
    page.get_by_text("is revoked").wait_for()

    assert find_key(first)
    assert find_key(second) is None


def test_making_a_key_asks_who_it_is_when_the_sign_in_is_old(as_alice):
    as_alice.get("/api-keys/")
    session = as_alice.session
    session[SINCE] -= FRESH + 1
    session.save()

    asked = as_alice.post("/api-keys/new/", form())
    assert asked.status_code == 422
    assert "Confirm that it is you" in asked.text
    assert not ApiKey.objects.exists()

    made = as_alice.post("/api-keys/new/", form(confirm_password=PASSWORD))
    assert (made.status_code, bool(secret_in(made))) == (200, True)
