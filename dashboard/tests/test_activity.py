"""The activity log: who did what, from where, to what, and what was there before; each as far as one may see it."""

import csv
import io
import re

import pytest

from customers.tests.factories import make_customer
from dashboard import events
from dashboard.activity import EventFilter, is_plain
from dashboard.models import Event
from dashboard.redaction import redact_events

CANARY = {"email": "canary@secret.example", "phone": "+639175550123", "metadata": {"crm": "canary-meta"}}


@pytest.fixture
def moved(alice):
    """A customer whose contact data alice changed from one desk, in one request, for a reason."""
    customer = make_customer(by=alice, first_name="Ana", last_name="Bird")
    with events.acting(ip="203.0.113.7", request_id="abc123"):
        changes = {name: ["", value] for name, value in CANARY.items()} | {"first_name": ["Ana", "Anna"], "score": [1, 2]}
        events.record(
            "customer.updated", customer, by=alice, changes=changes, why="call canary@secret.example", to=CANARY["email"]
        )
    return customer


def newest(kind):
    return Event.objects.filter(type=kind).latest()


def listed(client, query):
    return [e.type for e in client.get(f"/activity/?{query}").context["page"].rows]


def exported(client, query=""):
    answer = client.get(f"/activity/?format=csv&{query}")
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


# --- where from -----------------------------------------------------------------------------------------


def test_an_event_says_from_where_and_in_which_request(as_max, max):
    customer = make_customer(by=max)
    answer = as_max.post(f"/customers/{customer.pk}/archive/", REMOTE_ADDR="203.0.113.9")

    event = newest("customer.archived")
    assert (event.ip, event.request_id) == ("203.0.113.9", answer["X-Request-ID"])
    assert (event.by, event.actor) == (max, "staff")


@pytest.mark.parametrize(("proxies", "ip"), [(0, "10.0.0.1"), (1, "198.51.100.2"), (2, "192.0.2.66")])
def test_the_address_is_the_one_our_proxies_vouch_for(as_max, max, settings, proxies, ip):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    customer = make_customer(by=max)
    as_max.post(f"/customers/{customer.pk}/archive/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.66, 198.51.100.2")

    assert newest("customer.archived").ip == ip


def test_what_no_request_caused_comes_from_nowhere(alice):
    make_customer(by=alice)

    assert (newest("customer.created").ip, newest("customer.created").request_id) == ("", "")


def test_the_api_key_stands_beside_the_place(alice):
    with events.acting(ip="203.0.113.7", request_id="r1"), events.acting(actor="api", key="key_1"):
        customer = make_customer(by=None)

    event = newest("customer.created")
    assert (event.actor, event.data["key"], event.ip, event.request_id) == ("api", "key_1", "203.0.113.7", "r1")
    make_customer(by=None)
    assert newest("customer.created").actor == "system"
    assert customer.pk != newest("customer.created").object_id


# --- the list -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("by={alice}", True), ("by={max}", False), ("actor=staff", True), ("actor=payer", False), ("type=customer.up", True),
        ("type=address.", False), ("customer={customer}", True), ("object={customer}", True), ("object={max}", False),
        ("ip=203.0.113.7", True), ("ip=203.0.113.8", False), ("request=abc123", True), ("request=abc", False),
        ("created=today", True), ("created=yesterday", False), ("created_to=2020-01-01", False), ("mode=both", True),
        ("ip=203.0.113.7&request=abc123&by={alice}&type=customer.", True),
    ],
)  # fmt: skip
def test_the_log_is_filtered_by(as_sue, alice, max, moved, query, found):
    query = query.format(alice=alice.pk, max=max.pk, customer=moved.pk)

    assert ("customer.updated" in listed(as_sue, query)) == found


def test_every_filter_has_its_place_in_a_menu():
    assert {name for names in EventFilter.groups.values() for name in names} == set(EventFilter.base_filters)


def test_the_log_keeps_to_its_mode_unless_asked_and_shows_what_concerns_staff_in_both(as_sue, alice, sue):
    from dashboard import team

    make_customer(by=alice, livemode=True)
    team.change_member(sue, by=alice, name="Susan")

    assert listed(as_sue, "") == ["user.updated"]
    assert listed(as_sue, "mode=both") == ["user.updated", "customer.created"]


def test_each_row_leads_to_the_record_and_to_the_event(as_sue, moved):
    page = as_sue.get("/activity/?type=customer.updated").text

    assert f'<a class="over" href="{moved.get_absolute_url()}">Ana Bird</a>' in page
    assert f'href="{newest("customer.updated").get_absolute_url()}"' in page


def test_what_has_no_page_leads_to_its_customer_and_what_is_gone_nowhere(as_sue, alice, moved):
    from customers.tests.factories import make_address

    make_address(moved, by=alice)
    events.note("customers.exported", by=alice, livemode=False)
    page = as_sue.get("/activity/?type=address.")

    assert page.context["page"].rows[0].record_link == (moved.get_absolute_url(), "Ana Bird")
    assert as_sue.get("/activity/?type=customers.").context["page"].rows[0].record_link is None


def test_the_log_asks_one_query_for_all_kinds_of_records(as_sue, alice, django_assert_max_num_queries):
    for _ in range(12):
        make_customer(by=alice)
    as_sue.get("/activity/")

    with django_assert_max_num_queries(12):
        as_sue.get("/activity/")


def test_the_file_holds_the_rows_of_the_list_with_what_changed(as_max, moved):
    [row] = exported(as_max, "ip=203.0.113.7")

    assert (row["type"], row["ip"], row["request_id"], row["livemode"]) == ("customer.updated", "203.0.113.7", "abc123", "false")
    assert "canary@secret.example" in row["changes"]
    assert "call canary" in row["data"]
    assert newest("events.exported").data["query"] == "format=csv&ip=203.0.113.7"


# --- one event ------------------------------------------------------------------------------------------


def test_an_event_shows_before_and_after_why_and_from_where(as_sue, moved):
    page = as_sue.get(newest("customer.updated").get_absolute_url()).text

    for said in ("<del>Ana</del>", "<ins>Anna</ins>", "call canary@secret.example", "203.0.113.7", "abc123", "Alice"):
        assert said in page
    assert f'href="{moved.get_absolute_url()}"' in page


def test_amounts_are_told_in_their_currency(as_sue, alice, moved):
    event = events.record("payment.paid", moved, by=alice, amount=123456, currency="USD", changes={"total": [100, 250]})
    page = as_sue.get(event.get_absolute_url()).text

    for amount in ("1,234.56", "1.00", "2.50"):
        assert amount in page


def test_what_somebody_typed_cannot_become_markup(as_sue, alice, moved):
    event = events.record("customer.updated", moved, by=alice, changes={"name": ["<b>x", "<script>y"]}, why="<i>z", to="<u>w")
    page = as_sue.get(event.get_absolute_url()).text

    assert not [mark for mark in ("<b>x", "<script>y", "<i>z", "<u>w") if mark in page]


def test_an_event_of_the_other_mode_is_not_there(as_sue, alice):
    make_customer(by=alice, livemode=True)

    assert as_sue.get(newest("customer.created").get_absolute_url()).status_code == 404


def test_a_sealed_event_names_its_seal(as_sue, moved, tmp_path, settings):
    from dashboard.tests.test_audit import seal_all

    settings.DATA_DIR = tmp_path
    assert "Comes within minutes" in as_sue.get(newest("customer.updated").get_absolute_url()).text
    seal_all()

    assert as_sue.get(newest("customer.updated").get_absolute_url()).context["seal"].seal_id == 1


# --- contact data ---------------------------------------------------------------------------------------


def test_reporting_sees_what_changed_and_no_contact_data(as_rita, as_sue, moved):
    url = newest("customer.updated").get_absolute_url()
    secrets = ("canary@secret", "9175550123", "canary-meta", "203.0.113.7")
    assert all(secret in as_sue.get(url).text for secret in secrets)

    page = as_rita.get(url).text
    assert not [secret for secret in secrets if secret in page]
    for said in ("Anna", "c•••@secret.example", "•••23", "abc123"):
        assert said in page


def test_reporting_exports_no_contact_data(as_rita, moved):
    rows = exported(as_rita)
    told = str(rows)

    assert not [secret for secret in ("canary", "9175550123", "203.0.113.7") if secret in told]
    [row] = [row for row in rows if row["type"] == "customer.updated"]
    assert (row["changes"], row["data"], row["ip"], row["request_id"]) == ("•••", "•••", "•••", "abc123")


def test_reporting_cannot_ask_for_an_address(as_rita, moved):
    assert "customer.updated" in listed(as_rita, "ip=198.51.100.1")  # no such filter for them: everything is shown
    assert "203.0.113.7" not in as_rita.get("/activity/?columns=ip,why,what").text


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("status", "past_due", True), ("currency", "USD", True), ("amount", 100, True), ("due_at", "2026-11-22T10:00:00Z", True),
        ("payment", "pay_0193f0c1d2a7b34e5f607182", True), ("active", False, True), ("first_name", "Ana-María 2", True),
        ("email", "a@b.example", False), ("to", "ana", False), ("metadata", {"a": 1}, False), ("phone", 639175550123, False),
        ("line1", "rizal", False), ("description", "Call 0917 555", False), ("anything", ["a@b.example"], False),
        ("postal_code", "1000", False), ("body", "hello", False), ("unknown", "a@b.example", False),
    ],
)  # fmt: skip
def test_what_is_plainly_no_contact_data(name, value, plain):
    assert is_plain(name, value) == plain


def test_an_erased_events_pages_say_by_whom_and_when_its_data_was_removed(as_sue, alice, moved):
    event = newest("customer.updated")
    erasure = events.record("customer.erased", moved, by=alice)
    rewrite = lambda e: ({name: ["", ""] for name in e.changes}, {}, "")  # noqa: E731
    redact_events(Event.objects.filter(pk=event.pk), rewrite, erasure=erasure)

    page = as_sue.get(event.get_absolute_url()).text
    for said in ("Personal data was removed", ", by Alice: ", f'<a href="{erasure.get_absolute_url()}">Customer erased</a>'):
        assert said in page
    assert page.count('<span class="muted">removed</span>') == 2 * len(event.changes)
    assert "canary" not in page
    assert as_sue.get("/activity/").text.count("Personal data removed") == 1  # of three events
    assert "Personal data was removed" not in as_sue.get(erasure.get_absolute_url()).text
    assert as_sue.get("/activity/?type=nothing").status_code == 200

    again = events.record("customer.erased", moved, by=alice)
    redact_events(Event.objects.filter(pk=event.pk), lambda e: ({}, {}, ""), erasure=again)
    page = as_sue.get(event.get_absolute_url()).text
    assert again.get_absolute_url() in page
    assert erasure.get_absolute_url() not in page


# --- in the browser -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_the_log_and_an_event_in_the_browser(open_as, axe, sue, moved, width, theme):
    page = open_as(sue, width=width, theme=theme)
    page.goto("/activity/")
    axe(page)
    page.get_by_role("link", name=re.compile("^Customer updated: ")).click()
    page.get_by_role("heading", name="What changed").wait_for()
    axe(page)

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.django_db(transaction=True)
def test_an_event_is_read_without_scripts(open_as, sue, moved):
    page = open_as(sue, scripts=False)
    page.goto("/activity/")
    page.get_by_role("link", name=re.compile("^Customer updated: ")).click()
    page.wait_for_url(f"**{newest('customer.updated').get_absolute_url()}")

    assert page.get_by_text("canary@secret.example").first.is_visible()
