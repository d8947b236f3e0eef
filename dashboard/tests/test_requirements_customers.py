"""What the product promises about customers and nothing else proves whole: lists, filters, identity, figures, sections."""

import csv
import io
import re
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from billing.domain.balance import adjust_credit
from billing.domain.checkouts import check_again, start_payment
from billing.domain.payments import record_payment
from billing.domain.statements import finalize_statement, mark_uncollectible, update_metadata, void_statement
from billing.models import BalanceEntry, BillingStatement
from billing.tests.factories import DECLINED, make_open_statement, make_request, make_statement, submit_card
from customers import domain
from customers.models import Customer
from customers.tests.factories import make_address, make_customer
from customers.tests.test_customers import edit_data, edit_url
from dashboard.ids import new_hex
from dashboard.imports import runs
from dashboard.models import Event

pytestmark = pytest.mark.django_db


def listed(client, **query):
    page = client.get("/customers/", query)
    assert page.status_code == 200, query
    return {row.pk for row in page.context["page"].rows}


def exported(client, **query):
    file = client.get("/customers/", query | {"format": "csv"})
    return list(csv.DictReader(io.StringIO(file.getvalue().decode("utf-8-sig"))))


def page_of(client, customer):
    return client.get(customer.get_absolute_url()).text


def path_of(url):
    return "/" + url.partition("://")[2].partition("/")[2]


def part(html, start, end="</section>"):
    return html.partition(start)[2].partition(end)[0]


# --- the menu and the list ----------------------------------------------------------------


def test_collect_holds_customers_and_all_that_is_collected_from_them(as_alice):
    menu = dict(as_alice.get("/customers/").context["menu"])

    assert [entry["label"] for entry in menu["Collect"]][:2] == ["Customers", "Payments"]
    assert {entry["label"] for entry in menu["Collect"]} >= {
        "Customers", "Payments", "Billing statements", "Payment requests", "Coupons", "Card tokenization links",
        "Subscriptions", "Invoices",
    }  # fmt: skip


def make_by_every_route(client, by):
    """One customer by each way there is, as {name: origin}."""
    client.post("/customers/new/", {"kind": "individual", "first_name": "Form", "currency": "USD"})
    for name, origin in (("Bill", "billing_statement"), ("Pay", "payment"), ("Ask", "payment_request")):
        email = f"{name.lower()}@example.com"
        domain.find_or_create_customer(name=name, email=email, livemode=False, origin=origin, by=by)
    run = runs.start_import(SimpleUploadedFile("a.csv", b"first_name\r\nFile\r\n"), importer="customers", livemode=False, by=by)
    runs.check_import(run, mapping=run.mapping, match="", country="", clear=False, by=by)
    run.refresh_from_db()
    runs.confirm_import(run, by=by)
    runs.apply_rows(run.pk)
    return {"Form": "dashboard", "Bill": "billing_statement", "Pay": "payment", "Ask": "payment_request", "File": "import"}


def test_however_a_customer_came_to_be_it_is_listed_and_exported(as_max, max):
    made = make_by_every_route(as_max, max)

    assert dict(Customer.objects.values_list("name", "origin")) == made
    assert listed(as_max) == {row["id"] for row in exported(as_max)} == set(Customer.objects.values_list("pk", flat=True))
    assert {row["name"]: row["origin"] for row in exported(as_max)} == made


def test_created_at_tells_day_time_and_zone_and_the_file_says_it_too(as_max, max):
    customer = make_customer(by=max)
    page = as_max.get("/customers/")

    assert re.search(r'<time datetime="[^"]+(?:Z|\+00:00)"[^>]*title="[^"]*\d{1,2}:\d\d[^"]*UTC', page.text)
    assert exported(as_max)[0]["id"] == customer.pk
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?\+00:00", exported(as_max)[0]["created_at (UTC)"])


@pytest.mark.parametrize("sort", ["name", "email", "created_at"])
def test_the_columns_that_are_always_there_sort_both_ways(as_max, max, sort):
    made = [make_customer(by=max, first_name=f"N{n}", email=f"m{9 - n}@example.com") for n in (3, 1, 2)]
    column = {"name": "sort_name"}.get(sort, sort)
    up = [c.pk for c in sorted(made, key=lambda c: getattr(c, column))]

    assert [c.pk for c in as_max.get("/customers/", {"sort": sort}).context["page"].rows] == up
    assert [c.pk for c in as_max.get("/customers/", {"sort": f"-{sort}"}).context["page"].rows] == up[::-1]


SEARCHED = {
    "name": "ana cr", "e-mail": "cruz@exam", "DID": "web:ana", "first name": "an", "last name": "ruz", "company": "trading",
    "phone": "5550123", "reference": "r-771", "metadata": "po 981", "id": None,
}  # fmt: skip


@pytest.mark.parametrize("field", SEARCHED)
def test_a_fragment_of_any_of_these_finds_the_customer(as_max, max, field):
    ana = make_customer(
        by=max, first_name="Ana", last_name="Cruz", company_name="Harbour Trading", email="ana.cruz@example.com",
        did="did:web:ana.example", phone="+639175550123", reference="R-7712", metadata={"Order ID": "PO 98123"},
    )  # fmt: skip
    make_customer(by=max, first_name="Bo", last_name="Li", email="bo@other.test")

    assert listed(as_max, q=SEARCHED[field] or ana.pk.removeprefix("cus_")[4:20]) == {ana.pk}


def test_a_search_without_a_hit_says_so_and_offers_to_clear_it(as_max, max):
    make_customer(by=max)
    page = as_max.get("/customers/", {"q": "nobody of this name"})

    assert page.context["page"].rows == []
    assert "Clear search" in page.text


@pytest.mark.parametrize("sign", ["%", "_", "'", '"', "\\"])
def test_signs_are_only_themselves(as_max, max, sign):
    make_customer(by=max, first_name="Ana")

    assert listed(as_max, q=f"An{sign}a") == listed(as_max, q=f"A{sign}a") == set()


# --- who made it, and its name ------------------------------------------------------------------


def test_a_record_says_who_made_it_on_its_page_and_in_its_history(as_max, max):
    done = as_max.post("/customers/new/", {"kind": "individual", "first_name": "Ana", "currency": "USD"})
    customer = Customer.objects.get()

    assert customer.created_by == max
    assert "Dashboard, by Max" in as_max.get(done.url).text
    assert Event.objects.get(object_id=customer.pk).by == max
    assert make_customer(by=None).created_by is None  # made by a payer or a machine


def test_a_million_ids_are_a_million_names():
    ids = {f"cus_{new_hex()}" for _ in range(1_000_000)}

    assert len(ids) == 1_000_000
    assert all(re.fullmatch("cus_[0-9a-f]{24}", each) for each in list(ids)[:1000])


def test_no_form_sets_or_changes_an_id(as_max, max):
    mine = "cus_" + "a" * 24
    as_max.post("/customers/new/", {"kind": "individual", "first_name": "Ana", "currency": "USD", "id": mine, "pk": mine})
    customer = Customer.objects.get()
    as_max.post(edit_url(customer), edit_data(customer, first_name="Eva", id=mine, pk=mine))

    assert [(c.pk, c.first_name) for c in Customer.objects.all()] == [(customer.pk, "Eva")]
    assert re.fullmatch("cus_[0-9a-f]{24}", customer.pk)


# --- how to reach them -------------------------------------------------------------------


def test_a_payments_new_email_is_on_the_overview_with_its_history(as_max, max):
    ana = make_customer(by=max, email="old@example.com")
    before = ana.updated_at
    record_payment(ana, amount=100, currency="USD", email="new@example.com", by=max)
    ana.refresh_from_db()

    assert ana.email == "new@example.com"
    assert ana.updated_at > before
    assert "new@example.com" in part(page_of(as_max, ana), 'id="overview"')
    assert Event.objects.filter(object_id=ana.pk, changes__email=["old@example.com", "new@example.com"]).exists()


def test_a_phone_can_be_dialled_from_the_page(as_max, max):
    ana = make_customer(by=max, phone="+12345678901")

    assert ana.phone == "+12345678901"
    assert 'href="tel:+12345678901"' in page_of(as_max, ana)


# --- internal words ----------------------------------------------------------------------------


def test_reference_description_comments_and_metadata_are_on_no_payers_page(as_max, client, max):
    ana = make_customer(
        by=max, email="ana@example.com", reference="REF-INTERNAL", description="Pays late", metadata={"crm": "META-INTERNAL"}
    )
    domain.add_comment(ana, body="COMMENT <script>", by=max)
    statement, request = make_open_statement(ana, by=max), make_request(ana, by=max)
    payment = record_payment(ana, amount=statement.total, currency="USD", statement=statement, by=max)
    statement.refresh_from_db()
    paths = [statement.url, request.url, f"{statement.url}receipt/{payment.pk}/"]
    pages = [client.get(path_of(url)) for url in paths]

    assert [page.status_code for page in pages] == [200, 200, 200]
    for word in ("REF-INTERNAL", "Pays late", "META-INTERNAL", "COMMENT"):
        assert word in page_of(as_max, ana), word
        assert not [page for page in pages if word in page.text], word


def test_a_payment_keeps_the_metadata_its_statement_had_when_it_was_paid(max):
    statement = make_open_statement(by=max, metadata={"Order ID": "before"})
    update_metadata(statement, metadata={"Order ID": "after"}, version=statement.version, by=max)
    submit_card(start_payment(statement))
    check_again(statement)

    assert statement.payments.get().metadata == {"Order ID": "after"}


# --- figures and states ----------------------------------------------------------------------


def test_a_hundred_given_and_thirty_taken_leave_seventy(as_max, max):
    ana = make_customer(by=max)
    for amount in (10000, -3000):
        adjust_credit(ana, amount=amount, currency="USD", reason="Goodwill", by=max)

    assert ana.totals.get().credit_balance == sum(BalanceEntry.objects.values_list("amount", flat=True)) == 7000
    assert "$70.00" in as_max.get(f"/customers/{ana.pk}/balance/").text


def is_delinquent(statement):
    return Customer.objects.with_delinquent().get(pk=statement.customer_id).delinquent


def late(by, days=1):
    statement = make_open_statement(by=by)
    BillingStatement.objects.filter(pk=statement.pk).update(due_at=timezone.now() - timedelta(days=days))
    statement.refresh_from_db()
    return statement


def test_delinquent_is_who_has_something_past_due_or_given_up_on(as_max, max):
    for end, then in (("pay", False), ("void", False), ("give up", True), ("", True)):
        statement = late(max)
        assert is_delinquent(statement)
        if end == "pay":
            record_payment(statement.customer, amount=statement.total, currency="USD", statement=statement, by=max)
        if end == "void":
            void_statement(statement, reason="Wrong", by=max)
        if end == "give up":
            mark_uncollectible(statement, why="Gone", by=max)
        assert is_delinquent(statement) == then, end
        assert (statement.customer_id in listed(as_max, delinquent="yes")) == then
    assert not is_delinquent(late(max, days=-1))


def test_statistics_count_what_was_paid_and_nothing_that_failed(as_max, max):
    ana = make_customer(by=max)
    new = part(page_of(as_max, ana), "<dt>Successful payments</dt>", "</dd>")
    for amount in (1000, 550):
        record_payment(ana, amount=amount, currency="USD", by=max)
    request = make_request(ana, by=max, amount=900)
    submit_card(start_payment(request), DECLINED)
    check_again(request)
    page = page_of(as_max, ana)

    assert re.search(r"\b0\b", new)
    assert "$15.50" in part(page, "<dt>Total collected</dt>", "</dd>")
    assert re.search(r"\b2\b", part(page, "<dt>Successful payments</dt>", "</dd>"))
    assert (ana.totals.get().collected, ana.totals.get().successful_payments) == (1550, 2)


REFUSED = {"statements/new/": {}, "request-payment/": {}, "charge/": {}, "methods/new/": {}, "card-links/new/": {}}


def test_an_archived_customer_stays_readable_and_takes_nothing_new(as_max, max):
    gone = make_customer(by=max, archived=True)
    assert page_of(as_max, gone)
    tried = {path: as_max.post(f"{gone.get_absolute_url()}{path}", data) for path, data in REFUSED.items()}

    assert {path: answer.status_code for path, answer in tried.items() if answer.status_code not in (409, 422)} == {}
    assert [path for path, answer in tried.items() if "archived" not in answer.text.lower()] == []
    assert gone.pk not in listed(as_max)


def test_a_customer_is_made_active_whatever_the_browser_sends(as_max):
    as_max.post(
        "/customers/new/",
        {"kind": "individual", "first_name": "Ana", "currency": "USD", "archived": "true", "status": "archived"},
    )

    assert (Customer.objects.get().status, Customer.objects.get().archived) == ("active", False)


# --- the page ----------------------------------------------------------------------------------

SECTIONS = ("overview", "addresses", "methods", "statements", "payments", "requests", "coupons", "subscriptions", "comments",
            "metadata", "timeline")  # fmt: skip


def test_the_page_has_every_section_in_order(as_max, max):
    page = page_of(as_max, make_customer(by=max))
    places = [page.find(f'id="{name}"') for name in SECTIONS]

    assert -1 not in places
    assert places == sorted(places)


def test_every_create_action_of_the_page_is_about_this_customer(as_max, max):
    ana = make_customer(by=max, first_name="Ana", last_name="Preselected")
    links = re.findall(rf'href="({ana.get_absolute_url()}[^"#]*(?:new|request-payment|charge)/)"', page_of(as_max, ana))

    assert len(set(links)) >= 7  # request, coupon, payment, card, card details, address, statement, subscription
    for url in sorted(set(links)):
        page = as_max.get(url)
        assert page.status_code == 200, url
        assert "Ana Preselected" in page.text, url


def test_both_addresses_are_listed_and_one_is_the_default(as_max, max):
    ana = make_customer(by=max)
    for line in ("1 Rizal", "2 Mabini"):
        make_address(ana, by=max, line1=line, country="PH")
    card = part(page_of(as_max, ana), 'id="addresses"')

    assert ("1 Rizal" in card, "2 Mabini" in card) == (True, True)
    assert card.count('<span class="badge">Default</span>') == 1
    assert "Add new address" in card


@pytest.mark.parametrize(("country", "taken"), [("US", True), ("USA", False), ("ZZ", False)])
def test_a_country_is_one_of_the_iso_list(as_max, max, country, taken):
    ana = make_customer(by=max)
    done = as_max.post(f"{ana.get_absolute_url()}addresses/new/", {"kind": "billing", "line1": "1 Main", "country": country})

    assert (done.status_code == 302) == ana.addresses.exists() == taken


def test_a_statement_prints_the_address_as_it_was_when_it_was_finalised(as_max, max, client):
    ana = make_customer(by=max, email="ana@example.com")
    address = make_address(ana, by=max, line1="1 Old Street", country="US")
    statement = finalize_statement(make_statement(ana, by=max), by=max)
    domain.update_address(address, by=max, line1="2 New Street")

    assert "1 Old Street" in client.get(path_of(statement.url)).text
    assert "2 New Street" not in client.get(path_of(statement.url)).text
