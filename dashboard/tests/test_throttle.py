"""How often a password is looked at: per address, account and together, before anything is hashed; nobody locked out."""

import re

import pytest
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from billing.tests.factories import make_request
from billing.views import public
from conftest import PASSWORD
from dashboard import limits, throttle
from dashboard.limits import Limit, TooOften, network
from dashboard.models import Bucket, Event

LOGIN, RESET = "/accounts/login/", "/accounts/password/reset/"
pytestmark = pytest.mark.django_db


class Clock:
    """What the limits take for the time: it stands until a test moves it on."""

    def __init__(self):
        self.at = limits.now()

    def __call__(self):
        return self.at


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(limits, "now", clock)
    return clock


@pytest.fixture
def hashed(monkeypatch):
    """One entry for each password that was hashed."""
    real, found = MD5PasswordHasher.encode, []
    monkeypatch.setattr(MD5PasswordHasher, "encode", lambda self, *args: found.append(1) or real(self, *args))
    return found


def sign_in(email, password="a guess", client=None, address="203.0.113.9", **more):
    return (client or Client()).post(LOGIN, {"login": email, "password": password}, REMOTE_ADDR=address, **more)


def is_in(client):
    return "_auth_user_id" in client.session


# --- the sign-in -------------------------------------------------------------------------------------------
def test_the_eleventh_try_of_an_address_in_a_minute_waits_and_nothing_is_hashed(clock, hashed, sue):
    hashed.clear()
    answers = [sign_in(f"nobody{n}@example.com").status_code for n in range(10)]
    assert (answers, len(hashed)) == ([200] * 10, 10)

    refused = sign_in(sue.email, PASSWORD)

    assert (refused.status_code, refused["Retry-After"], len(hashed)) == (429, "6", 10)
    assert "Wait 6 seconds, then try again." in refused.text
    assert sign_in(sue.email, PASSWORD, address="203.0.113.10").status_code == 302
    clock.at += 6
    assert sign_in(sue.email, PASSWORD).status_code == 302


def test_an_account_that_is_guessed_at_from_everywhere_waits_a_minute_at_first_and_longer_later(clock, hashed, sue):
    guess = lambda n: sign_in(sue.email.upper() if n % 2 else sue.email, address=f"198.51.100.{n % 250}")  # noqa: E731
    assert [guess(n).status_code for n in range(6)] == [200] * 5 + [429]
    assert guess(6)["Retry-After"] == "60"
    clock.at += 60
    assert [guess(n).status_code for n in (7, 8)] == [200, 429]

    waits = set()
    for n in range(60):  # who goes on, a try a minute
        clock.at += 60
        waits.add(guess(n).get("Retry-After"))
    assert waits == {None, str(86400 // 40)}
    hashed.clear()
    assert (sign_in(sue.email, PASSWORD, address="192.0.2.1").status_code, hashed) == (429, [])
    clock.at += 86400 // 40
    assert sign_in(sue.email, PASSWORD, address="192.0.2.1").status_code == 302  # never for good


def test_all_strangers_together_have_so_many_tries(clock, hashed, monkeypatch, sue):
    monkeypatch.setattr(throttle.EVERYBODY, "burst", 3)
    hashed.clear()

    answers = [sign_in(f"nobody{n}@example.com", address=f"198.51.100.{n}").status_code for n in range(5)]

    assert (answers, len(hashed)) == ([200] * 3 + [429] * 2, 3)
    clock.at += 1
    assert sign_in(sue.email, PASSWORD, address="192.0.2.1").status_code == 302


def test_a_flood_writes_no_more_than_one_event_and_asks_the_database_next_to_nothing(clock, monkeypatch):
    """Else each of fifty tries a second from fifty addresses would write four buckets and an event: that is the damage."""
    monkeypatch.setattr(throttle.EVERYBODY, "burst", 2)
    for n in range(4):
        sign_in(f"nobody{n}@example.com", address=f"198.51.100.{n}")
    client = Client()
    client.get(LOGIN)

    with CaptureQueriesContext(connection) as asked:
        for n in range(10, 20):
            refused = sign_in(f"nobody{n}@example.com", client=client, address=f"198.51.100.{n}")
            assert (refused.status_code, refused["Retry-After"]) == (429, "1")
    assert [q["sql"] for q in asked if not q["sql"].startswith("SELECT")] == []
    assert Event.objects.filter(type="sign_in.throttled").count() == 1


def test_what_another_process_has_spent_is_gone(clock, sue):
    """Each process has its own Limit objects; the bucket is the database's."""
    elsewhere = Limit(throttle.ADDRESS.scope, rate=throttle.ADDRESS.rate, burst=throttle.ADDRESS.burst)
    for _ in range(10):
        elsewhere.spend("203.0.113.9")

    assert sign_in(sue.email, PASSWORD).status_code == 429
    other = Limit(public.VIEWS.scope, rate=public.VIEWS.rate, burst=public.VIEWS.burst)
    for _ in range(29):
        other.spend("127.0.0.1")
    link = f"/pay/checkout/{make_request().token}/"
    assert [Client().get(link).status_code for _ in range(2)] == [200, 429]


def test_right_passwords_cost_nothing(clock, sue):
    assert [sign_in(sue.email, PASSWORD).status_code for _ in range(14)] == [302] * 14
    assert [sign_in(sue.email).status_code for _ in range(6)] == [200] * 5 + [429]


def test_a_browser_its_owner_signed_in_with_gets_in_whatever_others_do(clock, sue, max, monkeypatch):
    monkeypatch.setattr(throttle.EVERYBODY, "burst", 8)
    known, others = Client(), Client()
    sign_in(sue.email, PASSWORD, known)
    known.post("/accounts/logout/")
    sign_in(max.email, PASSWORD, others)
    others.post("/accounts/logout/")
    for n in range(20):
        sign_in(sue.email, address=f"198.51.100.{n}")
    strangers = [Client(), others, Client()]
    strangers[2].cookies[throttle.COOKIE] = known.cookies[throttle.COOKIE].value[:-1] + "x"

    assert [sign_in(sue.email, PASSWORD, c).status_code for c in strangers] == [429] * 3
    assert [sign_in(sue.email, "a guess", known).status_code for _ in range(4)] == [200] * 4
    assert sign_in(sue.email, PASSWORD, known).status_code == 302
    known.post("/accounts/logout/")
    assert [sign_in(sue.email, "a guess", known).status_code for _ in range(2)] == [200, 429]  # five of its own


def test_the_cookie_of_a_known_browser_tells_nothing_and_is_the_servers_alone(sue):
    client = Client()
    sign_in(sue.email, PASSWORD, client)
    cookie = client.cookies[throttle.COOKIE]

    assert (cookie["httponly"], cookie["samesite"], bool(cookie["secure"])) == (True, "Lax", settings.SECURE)
    assert "sue" not in cookie.value
    assert sue.pk not in cookie.value
    assert throttle.COOKIE == "__Host-known" or not settings.SECURE


def test_nobody_signed_in_is_kept_from_confirming_by_who_guesses_outside(clock, as_sue, sue):
    for n in range(20):
        sign_in(sue.email, address=f"198.51.100.{n}")

    confirm = lambda password: as_sue.post("/accounts/reauthenticate/", {"password": password}).status_code  # noqa: E731

    assert [confirm("a guess") for _ in range(4)] == [200] * 4
    assert confirm(PASSWORD) == 302
    assert [confirm("a guess") for _ in range(2)] == [200, 429]


def test_no_header_a_browser_sends_makes_another_address_of_it(clock, settings):
    """D17: there is no proxy of ours, so nothing is taken for one's word."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 0
    tries = [sign_in(f"nobody{n}@example.com", HTTP_X_FORWARDED_FOR=f"192.0.2.{n}").status_code for n in range(11)]

    assert tries == [200] * 10 + [429]


def test_behind_a_proxy_of_ours_the_last_address_it_appended_counts(clock, settings):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    spoofed = [f"192.0.2.{n}, 198.51.100.7" for n in range(11)]
    tries = [sign_in(f"nobody{n}@example.com", HTTP_X_FORWARDED_FOR=told).status_code for n, told in enumerate(spoofed)]

    assert tries == [200] * 10 + [429]
    assert Bucket.objects.filter(name="sign-in-address:198.51.100.7").exists()


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_addresses_one_subscriber_has_are_one(address, whose):
    assert network(address) == whose


def test_no_bucket_and_no_cookie_names_the_account(sue):
    sign_in(sue.email)

    assert "sue" not in str(list(Bucket.objects.values_list("name", flat=True)))


# --- the same words and the same work ----------------------------------------------------------------------
def plain(answer):
    """What is on a page but what is made by lot or was typed."""
    text = re.sub(r'(name="csrfmiddlewaretoken" value=|<code>)"?\w+', "", answer.text)
    return re.sub(r"[\w.+-]+@example\.com", "", text)


def work_of(ask, hashed):
    """(answer, statements run, hashes made)."""
    hashed.clear()
    with CaptureQueriesContext(connection) as seen:
        answer = ask()
    return answer, [re.sub(r"'[^']*'|\d+", "", q["sql"].split(" WHERE ")[0])[:60] for q in seen], len(hashed)


def test_an_unknown_address_a_wrong_password_and_a_switched_off_account_look_and_cost_the_same(clock, hashed, sue, max):
    type(max).objects.filter(pk=max.pk).update(is_active=False)
    sign_in("warm@example.com", address="192.0.2.99")

    found = [
        work_of(lambda who=who, n=n: sign_in(who, address=f"192.0.2.{n}"), hashed)
        for n, who in enumerate((sue.email, "nobody@example.com", max.email))
    ]

    assert len({plain(answer) for answer, _, _ in found}) == 1
    assert [(answer.status_code, hashes) for answer, _, hashes in found] == [(200, 1)] * 3
    wrong, unknown, off = (statements for _, statements, _ in found)
    assert abs(len(wrong) - len(unknown)) <= 1
    assert len(wrong) == len(off)


def test_a_reset_for_an_unknown_address_looks_and_costs_the_same(settings, hashed, sue):
    """The mail leaves by the worker: sending it in the request would tell by its time that there is an account."""
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    Client().post(RESET, {"email": "warm@example.com"})

    found = [work_of(lambda who=who: Client().post(RESET, {"email": who}), hashed) for who in (sue.email, "nobody@example.com")]

    (known, work, _), (unknown, same, _) = found
    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert work == same
    assert any("django_tasks" in statement for statement in work)


def test_an_account_is_mailed_so_many_links_an_hour(sue, mailoutbox):
    answers = [Client().post(RESET, {"email": sue.email}, REMOTE_ADDR=f"192.0.2.{n}").status_code for n in range(7)]
    unknown = [Client().post(RESET, {"email": "no@example.com"}, REMOTE_ADDR=f"192.0.2.{n}").status_code for n in range(7)]

    assert answers == unknown == [302] * 5 + [429] * 2
    assert len(mailoutbox) == 5


# --- the bucket's other side -------------------------------------------------------------------------------
def test_a_token_given_back_is_there_again_and_never_more_than_the_bucket_holds(clock):
    limit = Limit("t", rate=1e-6, burst=2)
    limit.spend("a")
    for _ in range(5):
        limit.give_back("a")

    limit.spend("a")
    limit.spend("a")
    with pytest.raises(TooOften):
        limit.spend("a")
