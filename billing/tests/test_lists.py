"""The lists of statements, payments and requests: what they show, find, filter and export, and to whom."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.domain.payments import record_payment
from billing.models import BillingStatement, Payment, PaymentRequest
from billing.tests.factories import make_customer, make_open_statement, make_request, make_statement
from dashboard.ids import bare
from dashboard.models import Event
from dashboard.paging import counts

pytestmark = pytest.mark.django_db
LISTS = ("/billing/statements/", "/billing/payments/", "/billing/payment-requests/")


def make_payment(customer=None, **fields):
    given = {"amount": 4850, "currency": "USD", "by": None, "product_type": Payment.Product.API, "description": "Order 7"}
    return record_payment(customer or make_customer(), **(given | fields))


def page_of(client, url, **query):
    response = client.get(url, query)
    assert response.status_code == 200, response.status_code
    return response


def rows_of(client, url, **query):
    """The records a list shows, as a set."""
    return set(page_of(client, url, **query).context["page"].rows)


def csv_of(client, url, **query):
    response = page_of(client, url, format="csv", **query)
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def counts_of(client, url):
    return {tab["label"]: tab["count"] for tab in page_of(client, url).context["list_tabs"]}


# --- who -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", LISTS)
def test_every_role_reads_the_lists_and_a_stranger_signs_in_first(as_alice, as_max, as_sue, as_rita, url):
    for client in (as_alice, as_max, as_sue, as_rita):
        assert client.get(url).status_code == 200
    assert Client().get(url).status_code == 302


@pytest.mark.parametrize("url", LISTS)
def test_customer_service_reads_but_may_not_export(as_sue, as_rita, url):
    assert as_sue.get(url, {"format": "csv"}).status_code == 403
    assert "Export" not in as_sue.get(url).content.decode()
    assert as_rita.get(url, {"format": "csv"}).status_code == 200


def test_lists_and_details_keep_to_the_mode_of_the_session(as_max):
    statement = make_open_statement(make_customer(livemode=True))
    payment = make_payment(statement.customer)
    assert rows_of(as_max, "/billing/statements/") == rows_of(as_max, "/billing/payments/") == set()
    assert as_max.get(statement.get_absolute_url()).status_code == 404
    assert as_max.get(payment.get_absolute_url()).status_code == 404
    as_max.post("/mode/", {"mode": "live"})
    assert rows_of(as_max, "/billing/statements/") == {statement}
    assert as_max.get(payment.get_absolute_url()).status_code == 200


# --- statements ------------------------------------------------------------------------------------------
@pytest.fixture
def six(db):
    """A statement of every kind, of one customer."""
    customer, ago = make_customer(), timezone.now() - timedelta(days=11)
    found = {name: make_open_statement(customer) for name in ("open", "paid", "void", "uncollectible", "overdue")}
    found["draft"] = make_statement(customer)
    record_payment(customer, amount=4860, currency="USD", by=None, statement=found["paid"])
    rows = BillingStatement.objects
    rows.filter(pk=found["void"].pk).update(status="void", voided_at=ago)
    rows.filter(pk=found["uncollectible"].pk).update(status="uncollectible", marked_uncollectible_at=ago)
    rows.filter(pk=found["overdue"].pk).update(due_at=ago)
    return {name: rows.get(pk=s.pk) for name, s in found.items()}


def test_tabs_count_the_statements_of_each_kind(as_max, six):
    assert counts_of(as_max, "/billing/statements/") == {
        "All": "6", "Draft": "1", "Open": "2", "Overdue": "1", "Paid": "1", "Void": "1", "Uncollectible": "1",
    }  # fmt: skip
    for name in ("draft", "paid", "void", "uncollectible", "overdue"):
        assert rows_of(as_max, "/billing/statements/", status=name) == {six[name]}
    assert rows_of(as_max, "/billing/statements/", status="open") == {six["open"], six["overdue"]}


def test_an_open_statement_past_due_reads_overdue_in_list_details_and_export(as_max, six):
    assert "Overdue</span>" in page_of(as_max, "/billing/statements/", status="overdue").content.decode()
    assert "11 days overdue" in page_of(as_max, six["overdue"].get_absolute_url()).content.decode()
    exported = {row["id"]: row["overdue"] for row in csv_of(as_max, "/billing/statements/")}
    assert {pk for pk, overdue in exported.items() if overdue == "true"} == {six["overdue"].pk}


def test_a_statement_is_found_by_customer_line_and_number(as_max):
    wanted = make_open_statement(make_customer(first_name="Zoë", last_name="Brâncuși"), lines=[("Lathe rental", 1, 9900)])
    make_open_statement(make_customer(first_name="Ana", email="ana@example.com"))
    for text in ("brancusi zoe", "lathe", wanted.number[:8].lower()):
        assert rows_of(as_max, "/billing/statements/", q=text) == {wanted}, text


def test_a_whole_number_or_id_leads_straight_to_its_statement(as_max):
    statement = make_open_statement()
    for text in (statement.number.lower(), statement.pk, bare(statement.pk)):
        assert as_max.get("/billing/statements/", {"q": text}).url == statement.get_absolute_url()
    live_search = as_max.get("/billing/statements/", {"q": statement.number}, headers={"HX-Request": "true"})
    assert live_search.status_code == 200  # a redirect would put a whole page where rows belong


def test_statements_sort_by_total_and_by_customer(as_max):
    small = make_open_statement(make_customer(last_name="Zorn", first_name=""), lines=[("Pin", 1, 100)])
    large = make_open_statement(make_customer(last_name="Abel", first_name=""), lines=[("Safe", 1, 90000)])
    order = lambda sort: page_of(as_max, "/billing/statements/", sort=sort).context["page"].rows  # noqa: E731
    assert order("total") == order("-customer") == [small, large]
    assert order("-total") == order("customer") == [large, small]


def test_a_frozen_bill_does_not_follow_its_customer(as_max, max):
    from customers.domain import update_customer

    customer = make_customer()
    statement = make_open_statement(customer)
    customer.refresh_from_db()
    update_customer(customer, version=customer.version, by=max, first_name="Berta", email="berta@example.com")
    paper = (
        page_of(as_max, statement.get_absolute_url()).content.decode().partition('class="paper"')[2].partition("</article>")[0]
    )
    assert "Marta Santos" in paper
    assert "marta@example.com" in paper
    assert "Berta" not in paper


def test_a_draft_shows_the_customer_as_it_is_now(as_max, max):
    from customers.domain import update_customer

    draft = make_statement()
    update_customer(draft.customer, version=1, by=max, first_name="Berta")
    assert "Berta Santos</b>" in page_of(as_max, draft.get_absolute_url()).content.decode()


def test_reporting_sees_no_street_and_no_whole_e_mail(as_rita, as_sue):
    statement = make_open_statement()
    payment = make_payment(statement.customer)
    for record in (statement, payment):
        seen = page_of(as_rita, record.get_absolute_url()).content.decode()
        assert "Harbor Drive" not in seen
        assert "marta@example.com" not in seen
        assert "Manila" in seen
        assert "Harbor Drive" in page_of(as_sue, record.get_absolute_url()).content.decode()


def test_the_statement_export_has_exactly_the_columns_of_the_spec(as_max):
    statement = make_open_statement()
    (row,) = csv_of(as_max, "/billing/statements/")
    names = [name.partition(" (")[0] for name in row]
    assert (
        names
        == (
            "id number status overdue customer_id customer_name customer_email currency subtotal discount total credit_applied "
            "amount_paid amount_remaining due_at finalized_at sent_at paid_at fulfilled_at created_at description metadata"
        ).split()
    )
    assert (row["id"], row["number"], row["total"], row["amount_paid"]) == (statement.pk, statement.number, "48.60", "0.00")


# --- filters ---------------------------------------------------------------------------------------------
def test_an_amount_filter_means_the_same_amount_in_every_currency(as_max):
    customer = make_customer()
    dollars = make_payment(customer, amount=10000, currency="USD")
    yen = make_payment(customer, amount=100, currency="JPY")
    dinars = make_payment(customer, amount=100_000, currency="KWD")
    below = {make_payment(customer, amount=9999, currency="USD"), make_payment(customer, amount=99, currency="JPY")}
    assert rows_of(as_max, "/billing/payments/", amount_from="100") == {dollars, yen, dinars}
    assert rows_of(as_max, "/billing/payments/", amount_to="99.99") == below


def test_the_customer_filter_takes_both_spellings_of_the_id_and_names_the_customer(as_max):
    mine = make_payment()
    make_payment(make_customer(first_name="Ana"))
    for spelling in (mine.customer_id, bare(mine.customer_id)):
        assert rows_of(as_max, "/billing/payments/", customer=spelling) == {mine}
    chips = page_of(as_max, "/billing/payments/", customer=mine.customer_id).context["chips"]
    assert [(c["label"], c["value"]) for c in chips] == [("Customer", "Marta Santos")]


@pytest.mark.parametrize("url", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        {"status": "nonsense"},
        {"amount_from": "NaN"},
        {"amount_to": "-5"},
        {"total_from": "9" * 40},
        {"created_from": "yesterday"},
        {"customer": "cus_\0"},
        {"customer": "' OR 1=1"},
        {"q": "\0"},
        {"q": "x" * 10_000},
        {"q": "%_"},
        {"sort": "secret"},
        {"after": "abc"},
        {"currency": "XXX"},
        {"expires_to": "31/31/2026"},
        {"due_to": "9999-12-31"},
        {"created_from": "0001-01-01"},
    ],
    ids=str,
)
def test_nonsense_in_the_address_is_told_or_ignored_and_never_breaks_the_list(as_max, url, query):
    make_request(make_open_statement().customer)
    assert as_max.get(url, query).status_code == 200


# --- payments --------------------------------------------------------------------------------------------
def test_the_payment_export_has_exactly_the_columns_of_the_spec(as_max):
    payment = make_payment(description="=cmd()", metadata={"order": "7"})
    (row,) = csv_of(as_max, "/billing/payments/")
    names = [name.partition(" (")[0] for name in row]
    assert (
        names
        == (
            "id created_at paid_at status display_status product_type amount fee net_amount amount_refunded currency "
            "method_type method_brand card_last4 customer_id customer_name customer_email billing_name billing_email "
            "billing_phone billing_country description merchant_reference_id payment_intent_id billing_statement_number "
            "gateway_name gateway_reference failure_code address_check custom_fields metadata"
        ).split()
    )
    assert (row["id"], row["display_status"], row["amount"], row["net_amount"]) == (payment.pk, "Succeeded", "48.50", "48.50")
    assert row["billing_country"] == "PH"
    assert row["description"] == "'=cmd()"


def test_the_payment_export_holds_the_rows_and_columns_asked_for_and_is_recorded(as_max, max):
    mine = make_payment()
    make_payment(make_customer(first_name="Ana"), currency="JPY")
    rows = csv_of(as_max, "/billing/payments/", customer=mine.customer_id, columns="amount,id,billing_statement_number")
    assert rows == [{"amount": "48.50", "id": mine.pk, "billing_statement_number": ""}]
    assert Event.objects.get(type="payments.exported").by == max


def test_reporting_exports_payments_with_contact_data_masked(as_rita):
    make_payment(metadata={"phone": "12345"})
    (row,) = csv_of(as_rita, "/billing/payments/")
    assert row["customer_email"] == row["billing_email"] == "m•••@example.com"
    assert "12345" not in row["metadata"]


def test_a_failed_payment_says_why_and_that_no_money_moved(as_sue):
    payment = make_payment()
    why = {"failure_code": "funds_insufficient", "failure_message": "The card has not enough money on it."}
    Payment.objects.filter(pk=payment.pk).update(status="failed", paid_at=None, **why)
    page = page_of(as_sue, payment.get_absolute_url()).content.decode()
    assert "No money moved." in page
    assert "The card has not enough money on it." in page
    assert rows_of(as_sue, "/billing/payments/", status="failed") == {payment}


# --- requests --------------------------------------------------------------------------------------------
def test_requests_are_sorted_into_tabs_by_the_clock(as_max):
    customer = make_customer()
    found = {name: make_request(customer) for name in ("open", "lapsed", "expired", "completed", "canceled")}
    rows = PaymentRequest.objects
    rows.filter(pk=found["lapsed"].pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    rows.filter(pk=found["expired"].pk).update(status="expired", expires_at=timezone.now() - timedelta(days=1))
    rows.filter(pk=found["completed"].pk).update(status="done", completed_at=timezone.now())
    rows.filter(pk=found["canceled"].pk).update(status="canceled")
    assert counts_of(as_max, "/billing/payment-requests/") == {
        "All": "5", "Open": "1", "Completed": "1", "Expired": "2", "Canceled": "1",
    }  # fmt: skip
    assert rows_of(as_max, "/billing/payment-requests/", status="expired") == {found["lapsed"], found["expired"]}


# --- cost ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("url", LISTS)
def test_more_rows_cost_no_more_queries(as_max, url):
    customer = make_customer()

    def add():
        make_request(customer)
        record_payment(customer, amount=4860, currency="USD", by=None, statement=make_open_statement(customer))

    def queries():
        counts.forget()
        with CaptureQueriesContext(connection) as seen:
            page_of(as_max, url)
        return len(seen)

    add()
    queries()
    few = queries()
    for _ in range(4):
        add()
    assert queries() == few
