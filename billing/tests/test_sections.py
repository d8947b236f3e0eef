"""Money on the customer's page, and the customer's own lists."""

from datetime import timedelta

import pytest
from django.db import connection
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.domain.payments import record_payment
from billing.models import BillingStatement, Payment
from billing.tests.factories import make_customer, make_open_statement, make_request
from customers.views import CustomerList

pytestmark = pytest.mark.django_db


@pytest.fixture
def marta(db):
    return make_customer()


@pytest.fixture
def ana(db):
    return make_customer(first_name="Ana", email="ana@example.com")


def pay(customer, product, **fields):
    given = {"amount": 4850, "currency": "USD", "by": None, "description": product.label}
    return record_payment(customer, product_type=product, **(given | fields))


def rows_of(client, url, **query):
    response = client.get(url, query)
    assert response.status_code == 200
    return response.context["page"].rows


def section_of(client, customer, name):
    """The HTML of one card of the customer's page."""
    page = client.get(customer.get_absolute_url()).content.decode()
    return page.partition(f'id="{name}"')[2].partition("</section>")[0]


def figure(client, customer, name):
    page = client.get(customer.get_absolute_url()).content.decode()
    return page.partition(f"<dt>{name}</dt>")[2].partition("</dd>")[0]


# --- the same list, one customer's rows --------------------------------------------------------------------
@pytest.mark.parametrize(
    "noun, path",
    [("statements", "/billing/statements/"), ("payments", "/billing/payments/"), ("requests", "/billing/payment-requests/")],
)
@pytest.mark.parametrize(
    "query",
    [{}, {"q": "delivery"}, {"created": "today"}, {"currency": "JPY"}, {"status": "paid"}, {"sort": "created_at"}],
    ids=str,
)
def test_a_section_is_the_main_list_filtered_by_the_customer(as_max, marta, ana, noun, path, query):
    for customer in (marta, ana):
        record_payment(
            customer, amount=4860, currency="USD", by=None, statement=make_open_statement(customer), description="Delivery"
        )
        make_open_statement(customer, currency="JPY")
        make_request(customer, currency="JPY", description="Delivery")
        pay(customer, Payment.Product.PAGE, description="Delivery")
    query = query | ({"product": "all"} if noun == "payments" else {})
    section = rows_of(as_max, f"/customers/{marta.pk}/{noun}/", **query)
    main = rows_of(as_max, path, customer=marta.pk, **{k: v for k, v in query.items() if k != "product"})
    assert section == main
    assert section or (noun, query.get("status")) == ("requests", "paid") or "JPY" in query.values()


def test_a_section_of_another_mode_or_of_nobody_is_not_there(as_max):
    elsewhere = make_customer(livemode=True)
    for pk in (elsewhere.pk, "cus_" + "0" * 24):
        assert as_max.get(f"/customers/{pk}/payments/").status_code == 404


# --- payments: products, and no export (R-45, R-47) --------------------------------------------------------
def test_the_payments_section_hides_those_of_statements_until_asked(as_max, marta):
    made = {product: pay(marta, product) for product in Payment.Product if product != Payment.Product.STATEMENT}
    statement = record_payment(marta, amount=4860, currency="USD", by=None, statement=make_open_statement(marta))
    url = f"/customers/{marta.pk}/payments/"
    assert set(rows_of(as_max, url)) == set(made.values())
    assert rows_of(as_max, url, product="billing_statement") == [statement]
    assert set(rows_of(as_max, url, product="all")) == {statement, *made.values()}
    assert rows_of(as_max, url) == rows_of(as_max, "/billing/payments/", customer=marta.pk, product="other")


def test_payments_are_exported_from_the_main_list_and_nowhere_else(as_alice, marta):
    pay(marta, Payment.Product.API)
    url = f"/customers/{marta.pk}/payments/"
    assert as_alice.get(url, {"format": "csv"}).status_code == 404
    assert "Export" not in as_alice.get(url).content.decode()
    assert "Export" not in section_of(as_alice, marta, "payments")
    assert as_alice.get("/billing/payments/", {"format": "csv", "customer": marta.pk}).status_code == 200
    assert f"/billing/payments/?customer={marta.pk}" in section_of(as_alice, marta, "payments")


def test_statements_are_exported_from_the_section_too(as_max, marta, ana):
    mine = make_open_statement(marta)
    make_open_statement(ana)
    sent = as_max.get(f"/customers/{marta.pk}/statements/", {"format": "csv"})
    lines = b"".join(sent.streaming_content).decode().splitlines()
    assert len(lines) == 2
    assert mine.pk in lines[1]


def test_a_search_among_other_products_says_where_the_rest_is(as_max, marta):
    record_payment(marta, amount=4860, currency="USD", by=None, statement=make_open_statement(marta), description="Lathe rental")
    response = as_max.get(f"/customers/{marta.pk}/payments/", {"q": "lathe"})
    assert response.context["page"].rows == []
    assert ("1", "among all products") in [(count, label) for count, label, _url in response.context["near"]]


# --- the cards on the customer's page ------------------------------------------------------------------------
def test_a_card_shows_five_rows_and_how_many_there_are(as_max, marta):
    statements = [make_open_statement(marta) for _ in range(7)]
    card = section_of(as_max, marta, "statements")
    assert [s.number in card for s in statements] == [False, False] + [True] * 5
    assert "See all 7 statements" in card


def test_five_rows_are_all_there_are_and_offer_no_more(as_max, marta):
    for _ in range(5):
        make_open_statement(marta)
    assert "See all" not in section_of(as_max, marta, "statements")


@pytest.mark.parametrize("tag", ["customer_sections", "panel_sections"])
def test_all_cards_cost_one_query(marta, tag, django_assert_num_queries):
    for _ in range(7):
        make_request(make_open_statement(marta).customer)
        pay(marta, Payment.Product.API)
    template = Template(f"{{% load billing %}}{{% {tag} customer as found %}}{{{{ found.payments.count }}}}")
    with django_assert_num_queries(1):
        assert template.render(Context({"customer": marta})) == "7"


def test_the_cards_cost_the_same_however_much_a_customer_has(as_max, marta):
    def queries():
        with CaptureQueriesContext(connection) as seen:
            as_max.get(marta.get_absolute_url())
        return len(seen)

    make_request(make_open_statement(marta).customer)
    pay(marta, Payment.Product.API)
    queries()
    few = queries()
    for _ in range(7):
        make_request(make_open_statement(marta).customer)
        pay(marta, Payment.Product.API)
    assert queries() == few


# --- the figures ---------------------------------------------------------------------------------------------
def test_collected_is_told_by_currency_the_customers_own_first(as_sue, marta):
    pay(marta, Payment.Product.API, amount=500, currency="JPY")
    pay(marta, Payment.Product.API, amount=1050)
    pay(marta, Payment.Product.API, amount=200)
    collected = figure(as_sue, marta, "Total collected")
    assert collected.index("$12.50") < collected.index("¥500")
    assert ">3<" in figure(as_sue, marta, "Successful payments").replace("<dd>", ">").replace("<p", "<")


def test_overdue_adds_up_what_is_past_due_and_still_owed(as_sue, marta):
    for _ in range(2):
        late = make_open_statement(marta)
        BillingStatement.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(days=3))
    make_open_statement(marta)  # due later
    assert "$97.20" in figure(as_sue, marta, "Overdue")
    assert "2 statements, 3 days late" in figure(as_sue, marta, "Overdue")


def test_only_links_that_can_be_paid_count_as_open_requests(as_sue, marta):
    from billing.models import PaymentRequest

    make_request(marta)
    lapsed = make_request(marta)
    PaymentRequest.objects.filter(pk=lapsed.pk).update(expires_at=timezone.now())
    assert "$48.50 asked for" in figure(as_sue, marta, "Open requests")


def test_the_panel_names_the_latest_payments(as_sue, marta):
    pay(marta, Payment.Product.API, description="Order 7")
    panel = as_sue.get(f"{marta.get_absolute_url()}panel/", headers={"HX-Request": "true"}).content.decode()
    assert "Order 7" in panel
    assert "$48.50" in panel


def test_a_statement_that_falls_due_while_the_process_lives_makes_its_customer_overdue(as_sue, marta):
    """A view keeps its queryset for as long as the process lives: its clock must not stand still."""
    make_open_statement(marta, due_at=timezone.now() - timedelta(seconds=1))

    assert [c.delinquent for c in CustomerList.queryset.filter(pk=marta.pk)] == [True]
    assert "STATEMENT_TIMESTAMP" in str(CustomerList.queryset.query) or "NOW" in str(CustomerList.queryset.query)
