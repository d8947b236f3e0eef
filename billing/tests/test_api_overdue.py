"""Overdue invoices of a customer through the API, in the shape the interface it follows documents (R-61)."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.domain.invoicing import bill_due
from billing.domain.payments import record_payment
from billing.domain.statements import mark_uncollectible
from billing.models import BillingStatement
from billing.tests.factories import make_customer, make_open_statement, make_subscription
from dashboard.tests.api_client import Api, code_of

pytestmark = pytest.mark.django_db
SEED_S2 = {  # "Overdue Invoices Response", as its page has it; where it has "…", nothing is said
    "customer": {"id": "cus_xxxxxxxxxxxxxxxx"},
    "invoices": [
        {
            "id": "in_yyyyyyyyyyyyyyyy",
            "status": "uncollectible",
            "amount_remaining": "2500",
            "currency_id": "curr_zzzzzzzzzzzzzzzz",
        }
    ],
    "summary": {"curr_zzzzzzzzzzzzzzzz": {"amount": "2500", "currency": {}, "method": {}}},
}


@pytest.fixture
def api(db):
    return Api()


def given_up(customer, price, currency="USD", days=10):
    """A statement due days ago that nobody expects to be paid."""
    due_at = timezone.now() - timedelta(days=days)
    bill = make_open_statement(customer, lines=[("Beans", 1, price)], currency=currency, due_at=due_at)
    return mark_uncollectible(bill, by=None)


def overdue(api, customer, query=""):
    response = api.get(f"/customers/{customer.pk}/overdue/invoices{query}")
    assert response.status_code == 200, response.content
    return response.json()


def test_the_answer_has_the_seed_s_shape_key_by_key(api):
    customer = make_customer()
    bill = given_up(customer, 2500)

    shown = overdue(api, customer)

    assert list(shown) == list(SEED_S2)
    (invoice,), (expected,) = shown["invoices"], SEED_S2["invoices"]
    assert [name for name in invoice if name in expected] == list(expected)
    assert {n: type(invoice[n]) for n in expected} == {n: type(value) for n, value in expected.items()}
    assert (invoice["status"], invoice["amount_remaining"]) == (expected["status"], expected["amount_remaining"])
    ((currency_id, owed),) = shown["summary"].items()
    assert currency_id.startswith("curr_")
    assert (currency_id, len(currency_id)) == (invoice["currency_id"], 29)
    assert list(owed) == list(SEED_S2["summary"]["curr_zzzzzzzzzzzzzzzz"])
    assert owed["amount"] == "2500"
    assert list(invoice) == [
        "id", "object", "status", "amount_remaining", "currency_id", "number", "amount_due", "amount_paid", "due_date",
        "customer_id",
    ]  # fmt: skip
    assert (invoice["id"], invoice["number"], invoice["customer_id"]) == (bill.pk, bill.number, customer.pk)
    assert owed["currency"] == {"id": currency_id, "code": "USD", "symbol": "$", "decimal": 2, "name": "US Dollar"}
    assert list(owed["method"]) == ["id", "name", "type", "livemode"]
    assert (owed["method"]["type"], owed["method"]["livemode"]) == ("sandbox", False)


def test_the_customer_is_the_whole_one(api):
    customer = make_customer()

    assert overdue(api, customer)["customer"] == api.get(f"/customers/{customer.pk}").json()


def test_without_anything_owed_lists_and_sums_are_empty(api):
    customer = make_customer()
    make_open_statement(customer)

    assert overdue(api, customer) | {"customer": None} == {"customer": None, "invoices": [], "summary": {}}


def test_two_currencies_have_two_sums_and_the_oldest_comes_first(api):
    customer = make_customer()
    newer, older = given_up(customer, 2500, days=3), given_up(customer, 1000, days=30)
    yen = given_up(customer, 700, "JPY", days=5)

    shown = overdue(api, customer)

    assert [invoice["id"] for invoice in shown["invoices"]] == [older.pk, yen.pk, newer.pk]
    assert {owed["currency"]["code"]: owed["amount"] for owed in shown["summary"].values()} == {"USD": "3500", "JPY": "700"}
    assert {owed["currency"]["decimal"] for owed in shown["summary"].values()} == {0, 2}
    for currency_id, owed in shown["summary"].items():
        own = [int(i["amount_remaining"]) for i in shown["invoices"] if i["currency_id"] == currency_id]
        assert int(owed["amount"]) == sum(own)


def test_what_is_paid_is_gone_and_what_is_paid_in_part_is_told_so(api):
    customer = make_customer()
    paid, some = given_up(customer, 1000), given_up(customer, 2500)
    record_payment(customer, amount=1000, currency="USD", by=None, statement=paid)
    record_payment(customer, amount=300, currency="USD", by=None, statement=some)

    (invoice,) = overdue(api, customer)["invoices"]

    assert [invoice[n] for n in ("amount_due", "amount_paid", "amount_remaining")] == ["2500", "300", "2200"]


def test_invoices_and_statements_are_told_apart(api):
    customer = make_customer()
    statement = given_up(customer, 1000)
    subscription = make_subscription(customer)
    bill_due()
    invoice = mark_uncollectible(subscription.invoices.get(), by=None)

    told = {row["id"]: row["object"] for row in overdue(api, customer)["invoices"]}

    assert told == {statement.pk: "billing_statement", invoice.pk: "invoice"}


def test_what_is_open_and_past_due_comes_on_request_alone(api):
    customer = make_customer()
    late = make_open_statement(customer, due_at=timezone.now() - timedelta(days=2))
    make_open_statement(customer)

    assert overdue(api, customer)["invoices"] == []
    assert [row["id"] for row in overdue(api, customer, "?include=past_due")["invoices"]] == [late.pk]


def test_nobody_else_s_and_no_other_mode_s_are_told(api):
    customer, other, live = make_customer(), make_customer(email="bo@example.com"), make_customer(livemode=True)
    given_up(other, 1000)
    given_up(live, 1000)

    assert overdue(api, customer)["invoices"] == []
    unknown = api.get(f"/customers/{live.pk}/overdue/invoices")
    assert (unknown.status_code, code_of(unknown)) == (404, "resource_not_found")
    shown = overdue(Api(livemode=True), live)
    assert len(shown["invoices"]) == 1
    assert [owed["method"] for owed in shown["summary"].values()] == [None]  # no gateway takes live money here


def test_the_other_path_and_the_other_ids_find_the_same(api):
    customer = make_customer(did="did:abt:zNKjhsdf8sdfKJHsdf8sdf7sdfKJH")
    given_up(customer, 1000)
    shown = overdue(api, customer)

    assert api.get(f"/customers/{customer.pk}/overdue-invoices").json() == shown
    assert api.get(f"/customers/{customer.pk[4:]}/overdue/invoices").json() == shown
    assert api.get(f"/customers/{customer.did}/overdue/invoices").json() == shown


def test_reporting_sees_the_customer_masked(rita):
    shown = overdue(Api(scopes=["read"], user=rita), make_customer())

    assert shown["customer"]["email"] == "m•••@example.com"


def test_keys_for_customers_alone_see_no_bills(api):
    assert Api(scopes=["customers:read"]).get(f"/customers/{make_customer().pk}/overdue/invoices").status_code == 403


def test_it_costs_the_same_however_much_is_owed(api):
    def cost():
        with CaptureQueriesContext(connection) as found:
            overdue(api, customer)
        return len(found)

    customer = make_customer()
    given_up(customer, 1000)
    overdue(api, customer)
    few = cost()
    for _n in range(5):
        given_up(customer, 1000)

    assert cost() == few
    assert BillingStatement.objects.uncollectible().count() == 6
