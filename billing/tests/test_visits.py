"""Who has opened a payer's link: counted once, and by nothing that tells who they are."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client

from billing.domain import visits
from billing.tests.factories import make_open_statement, make_request
from dashboard.models import Event

pytestmark = pytest.mark.django_db
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
PC = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


def views():
    return Event.objects.filter(type__endswith=".viewed")


def path_of(target):
    return target.url.removeprefix("http://127.0.0.1:8000")


def open_page(target, client=None, agent=PHONE, address="203.0.113.9", **headers):
    return (client or Client()).get(path_of(target), headers={"User-Agent": agent, **headers}, REMOTE_ADDR=address)


@pytest.mark.parametrize("make, kind", [(make_open_statement, "billing_statement"), (make_request, "payment_request")])
def test_a_payer_who_opens_the_link_is_recorded(make, kind):
    target = make()

    assert open_page(target).status_code == 200

    event = views().get()
    assert (event.type, event.actor, event.by) == (f"{kind}.viewed", "payer", None)
    assert (event.object_id, event.customer_id, event.livemode) == (target.pk, target.customer_id, False)
    assert event.sentence.endswith("viewed")


def test_a_visitor_counts_once_in_ten_minutes(monkeypatch):
    statement = make_open_statement()

    for _ in range(3):
        open_page(statement)
    assert views().count() == 1
    assert visits.QUIET.total_seconds() == 600

    monkeypatch.setattr(visits, "QUIET", timedelta(0))  # events are never altered: the clock cannot be turned back
    open_page(statement)
    assert views().count() == 2


def test_another_device_another_address_and_another_link_count():
    statement = make_open_statement()
    open_page(statement)

    open_page(statement, agent=PC)
    open_page(statement, address="203.0.113.10")
    open_page(make_open_statement(statement.customer))

    assert views().count() == 4


def test_neither_address_nor_agent_is_stored_and_links_cannot_be_compared():
    one, other = make_open_statement(), make_request()
    open_page(one)
    open_page(other)

    first, second = (event.data["visitor"] for event in views())
    assert first != second
    for event in views():
        assert "203.0.113.9" not in str(event.data)
        assert "iPhone" not in str(event.data)
        assert set(event.data) == {"visitor"}


def test_without_the_secret_nobody_can_work_out_a_visitor(settings):
    statement = make_open_statement()
    before = visits.visitor_key(statement, address="203.0.113.9", agent=PHONE)

    assert visits.visitor_key(statement, address="203.0.113.9", agent=PHONE) == before
    settings.SECRET_KEY = "another"
    assert visits.visitor_key(statement, address="203.0.113.9", agent=PHONE) != before


def test_staff_who_look_do_not_count_and_are_told_so(as_sue):
    statement = make_open_statement()

    page = open_page(statement, as_sue)

    assert "You are viewing this as staff; it is not counted as opened." in page.text
    assert not views().exists()
    assert "as staff" not in open_page(statement).text


@pytest.mark.parametrize(
    "agent",
    [
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "WhatsApp/2.23.20.0",
        "TelegramBot (like TwitterBot)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "LinkedInBot/1.0 (compatible; Mozilla/5.0)",
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "curl/8.14.1",
    ],
)
def test_a_preview_of_the_link_does_not_count(agent):
    open_page(make_open_statement(), agent=agent)

    assert not views().exists()


@pytest.mark.parametrize("agent", [PHONE, PC, "", "Mozilla/5.0 (Android 15; Mobile; rv:144.0) Gecko/144.0 Firefox/144.0"])
def test_what_people_use_is_no_preview(agent):
    assert not visits.is_preview(agent)


def test_head_a_page_fetched_ahead_and_one_that_loads_itself_again_do_not_count():
    statement = make_open_statement()

    Client().head(path_of(statement), headers={"User-Agent": PHONE})
    open_page(statement, **{"Sec-Purpose": "prefetch;prerender"})
    Client().get(path_of(statement) + "?again=1", headers={"User-Agent": PHONE})

    assert not views().exists()


def test_a_link_that_leads_nowhere_records_nothing():
    Client().get(f"/pay/bill/{'a' * 43}/", headers={"User-Agent": PHONE})

    assert not Event.objects.exists()


def looks(together, *, second):
    """Stands in for visits._seen: everybody's first look ends before anybody goes on; the second may be switched off."""
    real, mine = visits._seen, threading.local()

    def look(target, visitor):
        if getattr(mine, "looked", False):
            return real(target, visitor) if second else False
        mine.looked, found = True, real(target, visitor)
        together.wait(timeout=120)
        return found

    return look


@pytest.mark.parametrize("second, count", [(True, 1), (False, 5)], ids=["as it is", "control: no look under the lock"])
@pytest.mark.django_db(transaction=True)
def test_pages_opened_at_once_are_one_view(monkeypatch, second, count):
    statement = make_open_statement()
    monkeypatch.setattr(visits, "_seen", looks(threading.Barrier(5), second=second))

    def open_one(_):
        try:
            return visits.record_view(statement, address="203.0.113.9", agent=PHONE)
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        made = [event for event in pool.map(open_one, range(5)) if event]

    assert len(made) == views().count() == count
