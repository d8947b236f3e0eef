"""Card tokenization links as staff see them: asking for card details, one link's page, the lists, the export."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing import gateways
from billing.domain import vault
from billing.domain.card_links import record_opening
from billing.models import TokenizationLink
from billing.templatetags.billing import qr_svg
from billing.tests.factories import make_card_link, make_customer
from billing.tests.test_card_links import PHONE, at, ended, events, lapsed, used
from billing.tests.test_lists import counts_of, csv_of, rows_of
from customers.domain import add_comment, archive_customer
from dashboard.mail_models import Mail
from dashboard.models import Event, SavedView
from dashboard.paging import counts

pytestmark = pytest.mark.django_db
KEY, LIST = "0" * 32, "/billing/tokenization-links/"


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


@pytest.fixture
def marta(db):
    return make_customer()


def url_of(customer):
    return f"/customers/{customer.pk}/card-links/new/"


def ask(client, customer, **fields):
    given = {"gateway": "sandbox", "length": "14", "unit": "days", "description": "For the monthly plan", "form_key": KEY}
    return client.post(url_of(customer), given | fields)


def page_of(client, link, **query):
    return client.get(link.get_absolute_url(), query)


# --- asking ------------------------------------------------------------------------------------------------
def test_asking_for_card_details_shows_the_link_to_send(as_sue, sue, marta):
    opened = as_sue.get(url_of(marta)).text
    assert set(re.findall(r'name="([a-z_]+)"', opened)) >= {"gateway", "length", "unit", "description", "make_default"}
    assert 'name="length" value="14"' in opened

    response = ask(as_sue, marta, make_default="on")

    link = TokenizationLink.objects.get()
    assert response.url == f"{link.get_absolute_url()}?created=1"
    assert (link.created_by, link.customer, link.make_default, link.gateway) == (sue, marta, True, "sandbox")
    assert 13 <= (link.expires_at - timezone.now()).days <= 14
    shown = as_sue.get(response.url).text
    for words in ("Card link created", f'value="{link.url}"', f"{link.pk}/qr.svg", "send/", "Hi Marta, save your card for"):
        assert words in shown, words
    assert "Card link created" not in page_of(as_sue, link).text


@pytest.mark.parametrize(
    ("length", "unit", "minutes"),
    [("1", "minutes", 1), ("24", "hours", 1440), ("30", "days", 43200), ("43200", "minutes", 43200)],
)
def test_a_link_may_be_made_for_any_time_within_the_bounds(as_sue, marta, length, unit, minutes):
    ask(as_sue, marta, length=length, unit=unit)

    left = TokenizationLink.objects.get().expires_at - timezone.now()
    assert abs(left - timedelta(minutes=minutes)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": "31"},
        {"length": "0"},
        {"length": "-1"},
        {"length": "9" * 30},
        {"length": "721", "unit": "hours"},
        {"length": ""},
        {"length": "1.5"},
        {"unit": "weeks"},
        {"gateway": "gold"},
        {"gateway": ""},
        {"form_key": ""},
        {"description": "Card 4242 4242 4242 4242"},
        {"description": "x" * 501},
        {"description": "a\0b"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_said_at_the_form_and_nothing_is_made(as_sue, marta, wrong):
    response = ask(as_sue, marta, **wrong)

    assert response.status_code == 422
    assert 'class="error"' in response.text or "note-bad" in response.text
    assert not TokenizationLink.objects.exists()


@pytest.mark.parametrize("wrong", [{"length": "31"}, {"length": "0", "unit": "minutes"}], ids=str)
def test_a_time_out_of_bounds_is_said_in_words(as_sue, marta, wrong):
    assert "at least 1 minute and at most 30 days" in ask(as_sue, marta, **wrong).text


def test_a_card_number_typed_as_a_time_is_not_shown_again(as_sue, marta):
    response = ask(as_sue, marta, length="4539578763621486")

    assert response.status_code == 422
    assert "4539578763621486" not in response.text
    assert 'value="31"' in ask(as_sue, marta, length="31").text


def test_sending_the_same_form_twice_makes_one_link(as_sue, marta):
    assert ask(as_sue, marta).url == ask(as_sue, marta).url
    assert TokenizationLink.objects.count() == events("created").count() == 1


def test_looking_at_the_form_writes_nothing(as_sue, marta):
    before = Event.objects.count()

    as_sue.get(url_of(marta))

    assert Event.objects.count() == before
    assert not TokenizationLink.objects.exists()


def test_a_link_that_still_works_is_pointed_out(as_sue, max, marta):
    assert "still works" not in as_sue.get(url_of(marta)).text
    make_card_link(marta, by_staff=True)
    lapsed(make_card_link(marta))
    assert "still works" not in as_sue.get(url_of(marta)).text
    link = make_card_link(marta)

    page = as_sue.get(url_of(marta)).text

    assert "There is a link that still works." in page
    assert link.get_absolute_url() in page


def test_one_gateway_is_no_choice_and_two_are(as_sue, marta, monkeypatch):
    assert '<select name="gateway"' not in as_sue.get(url_of(marta)).text

    monkeypatch.setitem(gateways.GATEWAYS, "second", gateways.GATEWAYS["sandbox"])
    monkeypatch.setattr("billing.domain.card_links.gateways_saving", lambda customer: ["sandbox", "second"])

    assert '<select name="gateway"' in as_sue.get(url_of(marta)).text


def test_an_archived_customer_and_live_mode_are_told_why_not(as_sue, max, marta):
    live = make_customer(livemode=True)
    archive_customer(marta, by=max)
    assert "Restore the customer first." in as_sue.get(url_of(marta)).text
    assert ask(as_sue, marta).status_code == 422
    as_sue.post("/mode/", {"mode": "live"})
    assert "No payment gateway of live mode saves cards" in as_sue.get(url_of(live)).text
    assert ask(as_sue, live).status_code == 422
    assert not TokenizationLink.objects.exists()


def test_a_warning_about_the_customer_follows_here(as_sue, max, marta):
    add_comment(marta, body="Disputes everything.", by=max, pinned=True)

    assert "Disputes everything." in as_sue.get(url_of(marta)).text


def test_reporting_asks_for_nothing(as_rita, marta):
    assert as_rita.get(url_of(marta)).status_code == ask(as_rita, marta).status_code == 403
    assert not TokenizationLink.objects.exists()


# --- one link ----------------------------------------------------------------------------------------------
def test_the_page_of_a_link_tells_what_became_of_it(as_sue, max, mailoutbox):
    link = make_card_link(by=max, description="For the monthly plan")
    as_sue.post(f"{link.get_absolute_url()}send/", {"form_key": KEY, "to": "boss@example.com"})
    record_opening(link, address="203.0.113.9", agent=PHONE)
    used(link)

    page = page_of(as_sue, link).text

    for words in ("Done", "For the monthly plan", "boss@example.com", "Opened by the payer", "by Max", "Visa •••• 4242"):
        assert words in page, words
    assert link.method.get_absolute_url() in page
    assert link.token not in page  # it works no more
    assert "Expire now" not in page


def test_reporting_sees_the_link_nowhere(as_rita, as_sue):
    link = make_card_link()
    as_sue.post(f"{link.get_absolute_url()}send/", {"form_key": KEY, "to": "boss@example.com"})
    assert link.url in page_of(as_sue, link).text

    pages = [
        page_of(as_rita, link),
        page_of(as_rita, link, created="1"),
        as_rita.get(LIST),
        as_rita.get(link.customer.get_absolute_url(), {"links": "1"}),
    ]

    assert [p.status_code for p in pages] == [200] * 4
    for page in pages:
        assert link.token not in page.text
        assert "boss@example.com" not in page.text
    for verb in ("send/", "cancel/", "qr.svg"):
        assert as_rita.get(f"{link.get_absolute_url()}{verb}").status_code == 403


def test_the_qr_code_is_a_plain_picture_while_the_link_works(as_sue):
    link = make_card_link()
    response = as_sue.get(f"{link.get_absolute_url()}qr.svg")
    assert (response["Content-Type"], response.text) == ("image/svg+xml", qr_svg(link.url))

    lapsed(link)

    assert as_sue.get(f"{link.get_absolute_url()}qr.svg").status_code == 404
    assert as_sue.get(f"{make_card_link(by_staff=True).get_absolute_url()}qr.svg").status_code == 404


def test_expire_now_ends_the_link_and_a_look_at_it_does_not(as_sue, sue):
    link = make_card_link()
    assert "stops working at once" in as_sue.get(f"{link.get_absolute_url()}cancel/").text
    assert at(link).status == "new"

    as_sue.post(f"{link.get_absolute_url()}cancel/")

    assert at(link).status == "canceled"
    assert events("canceled").get().by == sue
    again = as_sue.post(f"{link.get_absolute_url()}cancel/")
    assert again.status_code == 422
    assert "canceled already" in again.text


def test_a_link_is_mailed_from_its_page_once_for_one_form(as_sue):
    link = make_card_link()
    opened = as_sue.get(f"{link.get_absolute_url()}send/")
    assert 'value="marta@example.com"' in opened.text
    assert "[link]" in opened.text
    assert link.token not in opened.text

    for _ in range(2):
        assert as_sue.post(f"{link.get_absolute_url()}send/", {"form_key": KEY, "to": "marta@example.com"}).status_code == 302

    assert Mail.objects.count() == events("sent").count() == 1
    page = as_sue.get("/outbox/")
    assert "asks you to save a card" in page.text


@pytest.mark.parametrize("case", ["used", "canceled", "expired"])
def test_a_link_that_is_over_offers_nothing_that_needs_it(as_sue, max, case):
    link = ended(case, max)

    page = page_of(as_sue, link, created="1").text

    assert link.token not in page
    assert "Send by e-mail" not in page
    assert "Expire now" not in page
    assert "New link" in page
    refused = as_sue.post(f"{link.get_absolute_url()}send/", {"form_key": KEY, "to": "a@example.com"})
    assert refused.status_code == 422
    assert "saves no card and is not sent" in refused.text


def test_a_link_of_another_mode_is_not_there(as_sue, max):
    link = at(make_card_link(), livemode=True)

    for verb in ("", "send/", "cancel/", "qr.svg"):
        assert as_sue.get(f"{link.get_absolute_url()}{verb}").status_code == 404
    assert as_sue.post(f"{link.get_absolute_url()}cancel/").status_code == 404
    assert at(link).status == "new"


def test_a_link_to_add_a_card_oneself_says_so_and_shows_no_address(as_sue):
    link = make_card_link(by_staff=True)

    page = page_of(as_sue, link, created="1").text

    assert "sent to nobody" in page
    assert link.token not in page


# --- lists -------------------------------------------------------------------------------------------------
@pytest.fixture
def five(max):
    """A link in every state, of one customer, and one to add a card oneself, which no list has."""
    customer = make_customer()
    found = {
        name: make_card_link(customer, by=max, description=name) for name in ("new", "lapsed", "done", "expired", "canceled")
    }
    lapsed(found["lapsed"])
    used(found["done"])
    at(found["expired"], status="expired", expires_at=timezone.now() - timedelta(days=40))
    at(found["canceled"], status="canceled")
    make_card_link(customer, by_staff=True)
    return found


def test_links_are_sorted_into_tabs_by_the_clock(as_max, five):
    assert counts_of(as_max, LIST) == {"All": "5", "New": "1", "Done": "1", "Expired": "2", "Canceled": "1"}
    for name in ("new", "done", "canceled"):
        assert rows_of(as_max, LIST, status=name) == {five[name]}
    assert rows_of(as_max, LIST, status="expired") == {five["lapsed"], five["expired"]}


def test_the_list_names_status_card_and_who_made_it(as_rita, five):
    page = as_rita.get(LIST).text

    for words in ("Visa •••• 4242", "Canceled", "Expired", "Max", "Marta Santos"):
        assert words in page, words


def test_links_are_found_and_filtered(as_max, five):
    other = make_card_link(make_customer(first_name="Jo", last_name="Reyes", email="jo@example.com"))

    assert rows_of(as_max, LIST, q="reyes") == {other}
    assert rows_of(as_max, LIST, customer=other.customer_id) == {other}
    assert rows_of(as_max, LIST, gateway="sandbox") == {*five.values(), other}
    long_ago = f"{timezone.now() - timedelta(days=20):%Y-%m-%d}"
    assert rows_of(as_max, LIST, expires_to=long_ago) == {five["expired"]}
    assert rows_of(as_max, LIST, created_to=long_ago) == set()
    assert as_max.get(LIST, {"q": other.pk}).url == other.get_absolute_url()
    assert as_max.get("/search/", {"q": other.pk}).url == other.get_absolute_url()
    assert other.get_absolute_url() in as_max.get("/search/", {"q": "reyes"}).text


@pytest.mark.parametrize(
    "query", [{"status": "gold"}, {"gateway": "x"}, {"expires_to": "31/31"}, {"q": "\0"}, {"after": "abc"}], ids=str
)
def test_nonsense_in_the_address_never_breaks_the_list(as_max, five, query):
    assert as_max.get(LIST, query).status_code == 200


def test_a_customers_own_list_has_that_customers_links(as_sue, five):
    make_card_link(make_customer(first_name="Jo"))

    assert rows_of(as_sue, f"/customers/{five['new'].customer_id}/card-links/") == set(five.values())


def test_the_export_tells_everything_but_the_link(as_max, as_sue, as_rita, five):
    rows = {row["description"]: row for row in csv_of(as_max, LIST)}

    assert {name: row["status"] for name, row in rows.items()} == {name: "expired" if name == "lapsed" else name for name in five}
    assert (rows["done"]["card_scheme"], rows["done"]["card_number_last4"]) == ("visa", "4242")
    assert rows["done"]["payment_method_id"] == five["done"].method_id
    text = str(rows)
    for link in five.values():
        for secret in (link.token, link.token_nonce, link.token_hash):
            assert secret not in text
    assert {row["customer_email"] for row in csv_of(as_rita, LIST)} == {"m•••@example.com"}
    assert as_sue.get(LIST, {"format": "csv"}).status_code == 403
    assert Event.objects.filter(type="card-tokenization-links.exported").count() == 2


def test_a_filter_is_kept_as_a_view(as_max, five):
    as_max.post("/lists/views/new/?list=billing:card_links&status=new", {"name": "Waiting"})

    assert "Waiting" in as_max.get(LIST).text
    assert SavedView.objects.get(list="billing:card_links").query == "status=new"


def test_more_links_cost_no_more_queries(as_max, marta):
    def queries():
        counts.forget()
        with CaptureQueriesContext(connection) as seen:
            as_max.get(LIST)
        return len(seen)

    used(make_card_link(marta))
    queries()
    few = queries()
    for _ in range(4):
        used(make_card_link(marta))
    assert queries() == few


def test_the_menu_leads_to_the_list(as_rita):
    assert f'href="{LIST}"' in as_rita.get("/customers/").text


# --- the tab next to the payment methods -------------------------------------------------------------------
def test_the_tab_lists_links_with_state_times_maker_and_card(as_sue, five):
    customer = five["new"].customer
    page = as_sue.get(customer.get_absolute_url(), {"links": "1"}).text
    section = page.partition('id="methods"')[2].partition("</section>")[0]

    for words in ("Card tokenization links", "Payment methods", "Canceled", "Max", "Visa •••• 4242", url_of(customer)):
        assert words in section, words
    for link in five.values():
        assert link.get_absolute_url() in section
        assert link.token not in section


def test_a_removed_card_is_still_named(as_sue, max):
    link = used()
    vault.remove_method(link.method, by=max)

    assert "Visa •••• 4242" in page_of(as_sue, link).text
