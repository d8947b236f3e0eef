"""The team: who is in it, who is invited, who is let in, and where they are signed in."""

import hashlib
import re
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client
from django.utils import timezone

from conftest import PASSWORD, _client
from dashboard import invitations, mail, team
from dashboard.browsers import in_words
from dashboard.mail_models import Mail
from dashboard.models import Event, Invitation, Session, User
from dashboard.sessions import SessionStore
from dashboard.states import DomainError
from dashboard.tests.test_signin import make_stale

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NEW = "ivy@example.com"


def invite(by, email=NEW, role="manager"):
    return invitations.invite(email=email, name="Ivy", role=role, by=by)


def path_of(invitation):
    return f"/invitation/{invitation.token}/"


def accept(client, invitation, **changes):
    return client.post(path_of(invitation), {"name": "Ivy Ash", "password": "four quiet otters sing"} | changes)


def last_event():
    return Event.objects.latest()


# --- the list and the person -----------------------------------------------------------------------------


def test_the_team_page_shows_who_is_in_it_and_how_they_sign_in(as_alice, sue):
    team.change_member(sue, is_active=False, by=User.objects.get(email="alice@example.com"))

    page = as_alice.get("/team/").text

    assert ">Sue</a>" in page
    assert "sue@example.com" in page
    assert "Customer service" in page
    assert "Switched off" in page
    assert "alice@example.com" in page
    assert "Admin" in page
    assert "Today" in page


@pytest.mark.parametrize("text", ["sue", "SUE@example", "Sue"])
def test_the_team_is_searched_by_name_and_address(as_alice, sue, max, text):
    rows = as_alice.get("/team/", {"q": text}).context["page"].rows

    assert [row.email for row in rows] == ["sue@example.com"]


def test_the_team_is_filtered_by_role_and_status(as_alice, sue, max):
    User.objects.filter(pk=max.pk).update(is_active=False)

    assert [r.name for r in as_alice.get("/team/?role=support").context["page"].rows] == ["Sue"]
    assert [r.name for r in as_alice.get("/team/?status=off").context["page"].rows] == ["Max"]


def test_the_team_page_is_the_same_in_both_modes(as_alice, sue):
    as_alice.post("/mode/", {"mode": "live"})

    assert "sue@example.com" in as_alice.get("/team/").text
    assert as_alice.get(sue.get_absolute_url()).status_code == 200


def test_only_admins_see_the_team(as_max, as_sue, as_rita, sue):
    for client in (as_max, as_sue, as_rita):
        assert client.get("/team/").status_code == 403
        assert client.post(f"{sue.get_absolute_url()}edit/", {"name": "Sue", "role": "admin"}).status_code == 403
    assert 'href="/team/"' not in as_max.get("/profile/").text


def test_a_persons_page_shows_their_browsers_and_what_they_did(as_alice, sue):
    browser = Client(headers={"User-Agent": FIREFOX})
    browser.force_login(sue)
    browser.post("/profile/", {"name": "Susan", "theme": "system"})

    page = as_alice.get(sue.get_absolute_url()).text

    assert "Firefox on Linux" in page
    assert "User updated: name" in page
    assert "127.0.0.1" in page


def test_a_new_role_is_recorded_and_signs_its_owner_out_at_once(as_alice, alice, as_sue, sue):
    assert as_sue.get("/customers/").status_code == 200

    as_alice.post(f"{sue.get_absolute_url()}edit/", {"name": "Sue", "role": "manager"})

    assert as_sue.get("/customers/").status_code == 302
    sue.refresh_from_db()
    assert sue.role == "manager"
    assert (last_event().type, last_event().by) == ("user.updated", alice)


def test_a_new_name_signs_nobody_out(as_alice, as_sue, sue):
    as_sue.get("/customers/")

    as_alice.post(f"{sue.get_absolute_url()}edit/", {"name": "Susan", "role": "support"})

    assert as_sue.get("/customers/").status_code == 200


def test_switching_somebody_off_ends_their_sessions_and_switching_on_lets_them_back(as_alice, as_sue, sue):
    as_sue.get("/customers/")

    as_alice.post(f"{sue.get_absolute_url()}switch/")

    assert as_sue.get("/customers/").status_code == 302
    assert not sue.sessions.exists()
    as_alice.post(f"{sue.get_absolute_url()}switch/")
    sue.refresh_from_db()
    assert sue.is_active


def test_nobody_changes_their_own_role_or_switches_themselves_off(as_alice, alice, max):
    User.objects.filter(pk=max.pk).update(role="admin")

    for path, data in (("edit/", {"name": "Alice", "role": "support"}), ("switch/", {})):
        told = as_alice.post(alice.get_absolute_url() + path, data)
        assert told.status_code == 422
        assert "Nobody changes their own role" in told.text
    alice.refresh_from_db()
    assert (alice.role, alice.is_active) == ("admin", True)


def test_a_lost_second_step_is_switched_off_and_recorded(as_alice, alice, as_sue, sue):
    from allauth.mfa.models import Authenticator

    as_sue.get("/customers/")
    Authenticator.objects.create(user=sue, type="totp", data={})

    as_alice.post(f"{sue.get_absolute_url()}second-step/")

    assert not Authenticator.objects.filter(user=sue).exists()
    assert as_sue.get("/customers/").status_code == 302
    assert (last_event().type, last_event().by) == ("user.second_step_removed", alice)
    assert as_alice.post(f"{sue.get_absolute_url()}second-step/").status_code == 422


# --- invitations -------------------------------------------------------------------------------------------


def test_an_invitation_is_mailed_with_its_link_after_the_commit(as_alice, alice, mailoutbox):
    done = as_alice.post("/team/invite/", {"email": "Ivy@Example.com", "name": "Ivy", "role": "manager"}, follow=True)
    mail.send_due()

    made = Invitation.objects.get()
    assert "gets a mail with a link" in done.text
    assert (made.email, made.role, made.status, made.invited_by) == (NEW, "manager", "open", alice)
    assert [m.to for m in mailoutbox] == [[NEW]]
    assert f"{settings.SITE_URL}{path_of(made)}" in mailoutbox[0].body
    assert (last_event().type, last_event().by) == ("invitation.created", alice)


def test_neither_the_database_nor_the_outbox_holds_what_opens_an_invitation(alice):
    made = invite(alice)

    stored = [str(v) for row in (*Invitation.objects.values_list(), *Mail.objects.values_list()) for v in row]
    stored += [str(e) for e in Event.objects.values_list("data", "changes")]
    assert len(made.token) == 43  # 256 bits
    assert not any(made.token in text for text in stored)
    assert made.hashed == hashlib.sha256(made.token.encode()).hexdigest()
    assert len({invite(alice, email=f"p{n}@example.com").token for n in range(50)}) == 50


def test_an_address_is_invited_once_and_never_when_it_has_an_account(as_alice, alice, sue):
    invite(alice)

    again = as_alice.post("/team/invite/", {"email": NEW, "role": "support"})
    taken = as_alice.post("/team/invite/", {"email": "SUE@example.com", "role": "support"})

    assert "invited already" in again.text
    assert again.status_code == 422
    assert "has an account already" in taken.text
    assert (Invitation.objects.count(), Mail.objects.count()) == (1, 1)


def test_the_invited_person_chooses_name_and_password_and_is_in(alice, client):
    made = invite(alice)
    asked = client.get(path_of(made))
    assert "Alice invites you" in asked.text
    assert 'value="Ivy"' in asked.text

    done = accept(client, made, password="  four quiet otters sing ")

    ivy = User.objects.get(email=NEW)
    assert done.url == "/"
    assert (ivy.name, ivy.role, ivy.check_password("  four quiet otters sing ")) == ("Ivy Ash", "manager", True)
    assert client.get("/customers/").status_code == 200
    made.refresh_from_db()
    assert (made.status, made.user) == ("accepted", ivy)
    assert list(Event.objects.filter(by=ivy).order_by("id").values_list("type", flat=True)) == [
        "user.created",
        "invitation.accepted",
    ]


def test_an_invitation_works_once(alice, client):
    made = invite(alice)
    accept(client, made)

    again, late = Client().get(path_of(made)), accept(Client(), made, name="Other")

    assert (again.status_code, late.status_code) == (410, 410)
    assert "was used" in again.text
    assert User.objects.filter(email=NEW).count() == 1


def test_an_invitation_ends_after_72_hours(alice, client):
    made = invite(alice)

    with time_machine.travel(timezone.now() + timedelta(hours=71, minutes=59), tick=False):
        assert client.get(path_of(made)).status_code == 200
    with time_machine.travel(timezone.now() + timedelta(hours=72, seconds=1), tick=False):
        told = accept(client, made)
        with pytest.raises(DomainError, match="No account was made"):
            invitations.accept_invitation(made, name="Ivy", password="four quiet otters sing")

    assert told.status_code == 410
    assert "too old" in told.text
    assert not User.objects.filter(email=NEW).exists()


def test_sending_again_makes_a_new_link_and_kills_the_old_one(as_alice, alice, client, mailoutbox):
    made = invite(alice)
    old = path_of(made)
    Invitation.objects.update(expires_at=timezone.now() - timedelta(hours=1))

    as_alice.post(f"/team/invitations/{made.pk}/send/")
    mail.send_due()

    made.refresh_from_db()
    assert path_of(made) != old
    assert made.is_usable
    assert client.get(old).status_code == 404
    assert client.get(path_of(made)).status_code == 200
    assert path_of(made) in mailoutbox[-1].body
    assert old not in mailoutbox[-1].body
    assert last_event().type == "invitation.resent"


def test_a_withdrawn_invitation_opens_nothing_and_the_address_may_be_invited_again(as_alice, alice, client):
    made = invite(alice)

    as_alice.post(f"/team/invitations/{made.pk}/withdraw/")

    told = client.get(path_of(made))
    assert told.status_code == 410
    assert "was withdrawn" in told.text
    assert as_alice.get(f"/team/invitations/{made.pk}/send/").status_code == 404
    assert last_event().type == "invitation.withdrawn"
    assert invite(alice).is_usable


def test_a_mail_that_was_still_waiting_brings_no_withdrawn_link(alice, mailoutbox):
    made = invite(alice)
    invitations.withdraw_invitation(made, by=alice)

    mail.send_due()

    assert mailoutbox == []


@pytest.mark.parametrize("token", ["x", "A" * 43, "inv_0193f0c1d2a7b34e5f607182"])
def test_an_unknown_link_says_so(client, db, token):
    told = client.get(f"/invitation/{token}/")

    assert told.status_code == 404
    assert "leads nowhere" in told.text


@pytest.mark.parametrize("password", ["short", "counterfoil-2026", "ivy@example.com1", "harbour&pine2026"])
def test_a_weak_first_password_is_refused_and_the_link_still_works(alice, client, password):
    made = invite(alice)

    told = accept(client, made, password=password)

    assert told.status_code == 422
    assert 'aria-invalid="true"' in told.text
    assert not User.objects.filter(email=NEW).exists()
    assert accept(client, made).status_code == 302


def test_two_who_use_one_link_at_once_make_one_account(alice, db):
    made = invite(alice)
    first, second = Invitation.objects.get(pk=made.pk), Invitation.objects.get(pk=made.pk)

    invitations.accept_invitation(first, name="Ivy", password="four quiet otters sing")
    with pytest.raises(DomainError, match="does not work any more"):
        invitations.accept_invitation(second, name="Eve", password="four quiet otters sing")

    assert User.objects.get(email=NEW).name == "Ivy"


@pytest.mark.django_db(transaction=True)
def test_a_link_raced_by_many_makes_one_account(alice):
    from customers.tests.test_customers import at_once

    made, refused = invite(alice), []

    def use(n):
        try:
            invitations.accept_invitation(Invitation.objects.get(pk=made.pk), name=f"Ivy {n}", password="four quiet otters")
        except DomainError:
            refused.append(n)

    at_once(4, use)

    assert (User.objects.filter(email=NEW).count(), len(refused)) == (1, 3)


def test_accepting_ends_what_another_was_signed_in_with(alice, as_sue, sue):
    made = invite(alice)
    assert "signed in as Sue" in as_sue.get(path_of(made)).text

    accept(as_sue, made)

    assert as_sue.session["_auth_user_id"] == User.objects.get(email=NEW).pk


# --- one's own sessions ---------------------------------------------------------------------------------------


def browser_of(user, agent=FIREFOX):
    client = Client(headers={"User-Agent": agent})
    client.force_login(user)
    client.get("/profile/")
    return client


def test_the_profile_lists_ones_browsers_and_marks_this_one(sue):
    here, phone = browser_of(sue), browser_of(sue, "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/604.1")

    page = here.get("/profile/").text

    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert page.count("This browser") == 1
    assert not any(s.session_key in page for s in sue.sessions.all())
    assert phone.get("/profile/").status_code == 200


def test_a_browser_one_signs_out_is_out_with_its_next_request(sue):
    here, there = browser_of(sue), browser_of(sue)
    ref = Session.objects.get(session_key=there.session.session_key).ref

    done = here.post(f"/profile/sessions/{ref}/end/")

    assert done.url == "/profile/"
    assert there.get("/profile/").status_code == 302
    assert here.get("/profile/").status_code == 200
    assert (last_event().type, last_event().data["browser"]) == ("user.session_ended", "Firefox on Linux")


def test_signing_out_everywhere_else_leaves_this_browser(sue):
    here, *others = [browser_of(sue) for _ in range(3)]

    here.post("/profile/sessions/end/")

    assert [c.get("/profile/").status_code for c in (here, *others)] == [200, 302, 302]
    assert last_event().data["count"] == 2


def test_signing_browsers_out_asks_for_the_password_when_stale(sue):
    """ASVS 7.5.2: whoever finds a desk unlocked throws nobody out, and learns nothing they can use."""
    here, there = browser_of(sue), browser_of(sue)
    ref = Session.objects.get(session_key=there.session.session_key).ref
    make_stale(here)

    for path in (f"/profile/sessions/{ref}/end/", "/profile/sessions/end/"):
        asked = here.post(path)
        assert (asked.status_code, "Confirm that it is you" in asked.text) == (422, True)
        assert "Nobody was signed out." in here.post(path, {"confirm_password": "a guess of mine"}).text
    assert there.get("/profile/").status_code == 200
    assert here.post(path, {"confirm_password": PASSWORD}).status_code == 302
    assert [c.get("/profile/").status_code for c in (here, there)] == [200, 302]


def test_nobody_ends_somebody_elses_session_but_an_admin(as_max, as_alice, sue):
    there = browser_of(sue)
    ref = Session.objects.get(session_key=there.session.session_key).ref

    assert as_max.post(f"/profile/sessions/{ref}/end/").status_code == 404
    assert as_max.post(f"/team/{sue.pk}/sessions/{ref}/end/").status_code == 403
    assert there.get("/profile/").status_code == 200
    as_alice.post(f"/team/{sue.pk}/sessions/{ref}/end/")
    assert there.get("/profile/").status_code == 302


def test_an_admin_signs_somebody_out_everywhere(as_alice, sue):
    browsers = [browser_of(sue) for _ in range(2)]

    as_alice.post(f"{sue.get_absolute_url()}sign-out/")

    assert [b.get("/profile/").status_code for b in browsers] == [302, 302]


def test_an_ended_session_cannot_be_written_back_by_a_request_under_way(sue):
    browser_of(sue)
    under_way = SessionStore(sue.sessions.get().session_key)
    under_way["livemode"] = True
    team.end_sessions(sue, by=sue)

    with pytest.raises(UpdateError):
        under_way.save()
    assert not sue.sessions.exists()


def test_a_new_password_ends_every_other_session_and_is_recorded(client, sue):
    other = browser_of(sue)
    client.force_login(sue)
    new = {"oldpassword": PASSWORD, "password1": "four quiet otters sing", "password2": "four quiet otters sing"}

    client.post("/accounts/password/change/", new)

    assert client.get("/profile/").status_code == 200
    assert other.get("/profile/").status_code == 302
    assert sue.sessions.count() == 1
    assert Event.objects.filter(type="user.password_set", by=sue).count() == 1


def test_signing_out_deletes_the_session(sue):
    here = browser_of(sue)

    here.post("/accounts/logout/")

    assert not sue.sessions.exists()


def test_last_seen_is_written_at_most_once_a_minute(sue, django_assert_num_queries):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        here = browser_of(sue)
        first = sue.sessions.get().seen_at
        clock.shift(59)
        here.get("/profile/")
        assert sue.sessions.get().seen_at == first
        clock.shift(5)
        here.get("/profile/")
        assert sue.sessions.get().seen_at > first


def test_a_session_left_alone_ends_after_half_an_hour(sue):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        here = browser_of(sue)
        clock.shift(settings.SESSION_IDLE_SECONDS - 61)
        assert here.get("/profile/").status_code == 200
        clock.shift(settings.SESSION_IDLE_SECONDS + 62)
        assert here.get("/profile/").status_code == 302
        assert not sue.sessions.alive().exists()


def test_a_session_that_is_used_ends_after_twelve_hours_all_the_same(sue):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        here = browser_of(sue)
        for _ in range(12 * 3 - 1):
            clock.shift(1200)
            assert here.get("/profile/").status_code == 200
        clock.shift(1201)
        assert here.get("/profile/").status_code == 302


def test_a_session_of_nobody_belongs_to_nobody(client, db):
    client.get("/accounts/login/")
    session = client.session
    session["x"] = 1
    session.save()

    assert Session.objects.get().user is None
    assert not Session.objects.alive().exists()


def test_the_address_a_browser_claims_is_not_believed(sue):
    client = Client(headers={"User-Agent": FIREFOX, "X-Forwarded-For": "203.0.113.9"})
    client.force_login(sue)
    client.get("/profile/")

    assert sue.sessions.get().address == "127.0.0.1"


@pytest.mark.parametrize(
    "agent, words",
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1 Version/19 Safari/605.1", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)
def test_browsers_are_told_in_words(agent, words):
    assert in_words(agent) == words


def test_the_profile_keeps_name_and_shortcuts_and_records_the_change(as_sue, sue):
    as_sue.post("/profile/", {"name": "Susan", "theme": "dark"})

    sue.refresh_from_db()
    assert (sue.name, sue.shortcuts) == ("Susan", False)
    assert last_event().changes == {"name": ["Sue", "Susan"], "shortcuts": [True, False]}
    assert as_sue.cookies["theme"].value == "dark"


# --- confirming that it is them -------------------------------------------------------------------------------


def test_a_role_change_long_after_sign_in_asks_for_the_password_and_keeps_what_was_typed(as_alice, alice, sue):
    as_alice.get("/team/")
    make_stale(as_alice)
    key = as_alice.session.session_key
    typed = {"name": "Susan O’Neill", "role": "manager"}

    asked = as_alice.post(f"{sue.get_absolute_url()}edit/", typed)

    assert asked.status_code == 422
    assert "Confirm that it is you" in asked.text
    assert "Susan O’Neill" in asked.text
    assert re.search(r'value="manager" selected', asked.text)
    sue.refresh_from_db()
    assert sue.role == "support"
    wrong = as_alice.post(f"{sue.get_absolute_url()}edit/", typed | {"confirm_password": "a guess of mine"})
    assert "not your password" in wrong.text
    assert User.objects.get(pk=sue.pk).role == "support"
    done = as_alice.post(f"{sue.get_absolute_url()}edit/", typed | {"confirm_password": PASSWORD})
    assert done.status_code == 302
    assert User.objects.get(pk=sue.pk).role == "manager"
    assert as_alice.session.session_key != key
    assert not Session.objects.filter(session_key=key).exists()


def test_a_new_name_alone_asks_nothing(as_alice, sue):
    as_alice.get("/team/")
    make_stale(as_alice)

    assert as_alice.post(f"{sue.get_absolute_url()}edit/", {"name": "Susan", "role": "support"}).status_code == 302


@pytest.mark.parametrize("path", ["invite", "switch", "second-step"])
def test_what_opens_or_shuts_a_door_asks_for_the_password_when_stale(as_alice, sue, path):
    from allauth.mfa.models import Authenticator

    Authenticator.objects.create(user=sue, type="totp", data={})
    as_alice.get("/team/")
    make_stale(as_alice)
    url = "/team/invite/" if path == "invite" else f"{sue.get_absolute_url()}{path}/"

    asked = as_alice.post(url, {"email": NEW, "role": "admin"})

    assert asked.status_code == 422
    assert "Confirm that it is you" in asked.text
    sue.refresh_from_db()
    assert sue.is_active
    assert Authenticator.objects.exists()
    assert not Invitation.objects.exists()


def test_wrong_confirmations_are_limited_before_anything_is_hashed(as_alice, alice, sue, monkeypatch):
    from django.core.cache import cache

    cache.clear()
    as_alice.get("/team/")
    make_stale(as_alice)
    url, typed = f"{sue.get_absolute_url()}edit/", {"name": "Sue", "role": "manager"}
    for _ in range(5):
        as_alice.post(url, typed | {"confirm_password": "a guess of mine"})
    monkeypatch.setattr(User, "check_password", lambda *a: pytest.fail("hashed"))

    told = as_alice.post(url, typed | {"confirm_password": PASSWORD})

    assert "Too many wrong tries" in told.text
    cache.clear()


def test_the_admin_site_asks_for_the_password_as_well(as_alice, sue):
    as_alice.get("/team/")
    make_stale(as_alice)
    url, typed = f"/admin/dashboard/user/{sue.pk}/change/", {"name": "Sue", "role": "manager", "is_active": "on"}
    assert "Your own password" in as_alice.get(url).text

    asked = as_alice.post(url, typed)

    assert asked.status_code == 200
    assert "Enter your password to go on" in asked.text
    assert User.objects.get(pk=sue.pk).role == "support"
    as_alice.post(url, typed | {"confirm_password": PASSWORD})
    assert User.objects.get(pk=sue.pk).role == "manager"


def test_a_session_is_fresh_for_five_minutes_after_signing_in(sue):
    from dashboard.stepup import is_fresh

    class Request:
        pass

    request = Request()
    with time_machine.travel(timezone.now(), tick=False) as clock:
        client = _client(sue)
        client.get("/profile/")
        request.session = client.session
        assert is_fresh(request)
        clock.shift(299)
        assert is_fresh(request)
        clock.shift(2)
        assert not is_fresh(request)
