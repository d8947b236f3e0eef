"""Payments as staff work with them: filters, sums, the choice of export columns, details, the address check, edits."""

import csv
import io
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.domain.address_check import check_address, compare_parts
from billing.domain.checkouts import check_again, start_payment
from billing.domain.payment_edits import update_payment, version_of
from billing.domain.payments import record_payment
from billing.domain.refunds import create_refund
from billing.models import Payment
from billing.tables.payments import DISPLAY_STATUS
from billing.tests.factories import (
    DECLINED,
    make_customer,
    make_dispute,
    make_open_statement,
    make_request,
    make_unknown_attempt,
    submit_card,
)
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
URL = "/billing/payments/"


def make_payment(customer=None, **fields):
    given = {"amount": 4850, "currency": "USD", "by": None, "product_type": Payment.Product.API, "description": "Order 7"}
    return record_payment(customer or make_customer(), **(given | fields))


def pay_by_card(customer, number="4242424242424242", **fields):
    """The newest payment of a request paid, or not, on the sandbox's page."""
    request = make_request(customer, **fields)
    submit_card(start_payment(request), number)
    check_again(request)
    return request.payments.order_by("-pk").first()


def found(client, **query):
    response = client.get(URL, query)
    assert response.status_code == 200, response.status_code
    return set(response.context["page"].rows)


def set_columns(payment, **columns):
    Payment.objects.filter(pk=payment.pk).update(**columns)
    return Payment.objects.get(pk=payment.pk)


# --- filters ---------------------------------------------------------------------------------------------
@pytest.fixture
def kinds(db, max):
    """One payment of each kind the status filter knows."""
    customer = make_customer()
    made = {name: make_payment(customer) for name in ("plain", "whole", "part", "disputed", "won", "authorized", "pending")}
    create_refund(made["whole"], amount=4850, reason="others", by=max)
    create_refund(made["part"], amount=850, reason="others", by=max)
    make_dispute(made["disputed"])
    make_dispute(made["won"], status="won")
    made["authorized"] = set_columns(made["authorized"], status="authorized", paid_at=None)
    made["pending"] = set_columns(made["pending"], status="pending", paid_at=None)
    made["failed"] = pay_by_card(customer, DECLINED)
    return SimpleNamespace(**{name: Payment.objects.get(pk=p.pk) for name, p in made.items()})


def test_the_status_filter_knows_what_became_of_the_money(as_max, kinds):
    assert found(as_max, status="refunded") == {kinds.whole}
    assert found(as_max, status="partly_refunded") == {kinds.part}
    assert found(as_max, status="disputed") == {kinds.disputed}
    assert found(as_max, status="authorized") == {kinds.authorized}
    assert found(as_max, status="failed") == {kinds.failed}
    assert found(as_max, status="paid") == {kinds.plain, kinds.whole, kinds.part, kinds.disputed, kinds.won}


def test_tabs_count_the_payments_of_each_kind(as_max, kinds):
    tabs = as_max.get(URL).context["list_tabs"]
    assert {tab["label"]: tab["count"] for tab in tabs} == {
        "All": "8", "Succeeded": "5", "Processing": "1", "Authorised": "1", "Failed": "1", "Refunded": "1",
        "Partly refunded": "1", "Disputed": "1",
    }  # fmt: skip


def test_the_exported_status_is_the_badge_of_every_kind(kinds):
    said = dict(Payment.objects.annotate(said=DISPLAY_STATUS).values_list("pk", "said"))

    assert said == {p.pk: p.badge for p in Payment.objects.all()}
    assert {"Refunded", "Partly refunded", "Disputed", "Succeeded", "Authorised", "Processing", "Failed"} == set(said.values())


def test_a_refund_that_failed_does_not_make_a_payment_refunded(as_max, max):
    payment = make_payment()
    refund = create_refund(payment, amount=4850, reason="others", by=max)
    type(refund).objects.filter(pk=refund.pk).update(status="failed", succeeded_at=None)
    set_columns(payment, amount_refunded=0)

    assert found(as_max, status="refunded") == set()


def test_payments_are_found_by_method_brand_last_four_and_gateway(as_max):
    customer = make_customer()
    cash, visa = make_payment(customer, method_type="cash"), pay_by_card(customer)
    master = pay_by_card(customer, "5555555555554444")

    assert found(as_max, method="cash") == {cash}
    assert found(as_max, brand="visa") == found(as_max, brand="VISA") == found(as_max, last4="4242") == {visa}
    assert found(as_max, last4="4444") == {master}
    assert found(as_max, gateway="sandbox") == {visa, master}
    assert found(as_max, gateway="none") == {cash}


def test_payments_are_found_by_statement_number_or_id(as_max):
    statement = make_open_statement()
    paid = record_payment(statement.customer, amount=4860, currency="USD", by=None, statement=statement)
    make_payment(statement.customer)

    for spelling in (statement.number, statement.number.lower(), statement.pk):
        assert found(as_max, statement=spelling) == {paid}
    assert found(as_max, statement="NOSUCH-0001") == set()


def test_payments_are_found_by_why_they_failed(as_max):
    customer = make_customer()
    declined, short = pay_by_card(customer, DECLINED), pay_by_card(customer, "4000000000009995")

    assert found(as_max, failure="insufficient_funds") == found(as_max, failure="insufficient funds") == {short}
    assert found(as_max, failure="card") == {declined, short}


def test_paid_filters_go_by_the_time_of_payment(as_max):
    old = make_payment(paid_at=timezone.now() - timedelta(days=60))
    new = make_payment(old.customer)
    set_columns(make_payment(old.customer), status="failed")  # keeps its time: only what is paid counts

    assert found(as_max, paid="today") == {new}
    assert found(as_max, paid_to=(timezone.now() - timedelta(days=50)).date().isoformat()) == {old}
    assert found(as_max, paid_from=(timezone.now() - timedelta(days=70)).date().isoformat()) == {old, new}


def test_the_address_check_has_a_filter_and_a_flag(as_max):
    odd = set_columns(make_payment(), address_check="differs")
    make_payment(odd.customer)

    assert found(as_max, address_check="differs") == {odd}
    page = as_max.get(URL, {"columns": "address_check"}).content.decode()
    assert page.count('badge-warn"><svg') == 1
    assert "Another address." in as_max.get(odd.get_absolute_url()).content.decode()


# --- sums ------------------------------------------------------------------------------------------------
def test_the_sums_are_those_of_the_rows_shown_by_currency(as_max, max):
    customer = make_customer()
    first = set_columns(make_payment(customer, amount=10000), fee=300)
    create_refund(first, amount=2500, reason="others", by=max)
    make_payment(customer, amount=500, currency="JPY")
    set_columns(make_payment(customer, amount=7700), status="failed", paid_at=None)

    sums = {s.gross.currency: s for s in as_max.get(URL).context["sums"]}
    assert sums.keys() == {"USD", "JPY"}
    assert [str(m) for m in (sums["USD"].gross, sums["USD"].refunded, sums["USD"].fees, sums["USD"].net)] == [
        "$100.00", "$25.00", "$3.00", "$72.00",
    ]  # fmt: skip
    assert [s.gross.currency for s in as_max.get(URL, {"currency": "JPY"}).context["sums"]] == ["JPY"]
    assert as_max.get(URL, {"status": "failed"}).context["sums"] == []


def test_a_list_of_more_rows_than_are_counted_is_not_added_up(as_max, monkeypatch):
    customer = make_customer()
    make_payment(customer), make_payment(customer)
    monkeypatch.setattr("dashboard.paging.CAP", 1)
    page = as_max.get(URL)

    assert page.context["sums"] == []
    assert "Sums are shown for lists of up to" in page.content.decode()


def test_sums_cost_one_query(as_max):
    make_payment()
    as_max.get(URL)
    with CaptureQueriesContext(connection) as seen:
        as_max.get(URL)

    assert sum("SUM(" in q["sql"].upper() for q in seen) == 1


# --- the export's columns --------------------------------------------------------------------------------
def test_the_page_of_columns_offers_every_column_and_ticks_those_on_screen(as_max):
    make_payment()
    page = as_max.get(URL, {"format": "columns", "status": "paid"})

    ticked = {name for name, _, on in page.context["columns"] if on}
    assert len(page.context["columns"]) == 31
    assert {"id", "description", "customer_name", "card_last4", "display_status", "amount", "currency"} <= ticked
    assert "metadata" not in ticked
    assert '<input type="hidden" name="status" value="paid">' in page.content.decode()


def test_the_file_has_the_columns_ticked_in_their_order_and_nothing_else(as_max):
    payment = make_payment(metadata={"order": "7"})
    answer = as_max.get(URL, {"format": "csv", "column": ["metadata", "amount", "nonsense"], "status": "paid"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))

    assert rows == [{"amount": "48.50", "metadata": '{"order": "7"}'}]
    assert Event.objects.get(type="payments.exported").data["columns"] == ["amount", "metadata"]
    assert payment.pk not in str(rows)


def test_who_may_not_export_is_not_asked_for_columns(as_sue, as_rita):
    assert as_sue.get(URL, {"format": "columns"}).status_code == 403
    assert as_rita.get(URL, {"format": "columns"}).status_code == 200


def test_a_customers_payments_have_no_export_of_any_kind(as_max):
    customer = make_customer()
    for form in ("csv", "columns"):
        assert as_max.get(f"/customers/{customer.pk}/payments/", {"format": form}).status_code == 404
    assert "Choose columns" not in as_max.get(f"/customers/{customer.pk}/payments/").content.decode()


# --- details ---------------------------------------------------------------------------------------------
def test_the_details_show_what_was_refunded_and_what_is_left(as_sue, max):
    payment = pay_by_card(make_customer())
    refund = create_refund(payment, amount=1000, reason="product_was_damaged", by=max)
    page = as_sue.get(payment.get_absolute_url()).content.decode()

    assert "Partly refunded" in page
    assert "$38.50" in page
    assert refund.get_absolute_url() in page
    assert "Product was damaged" in page
    assert "Refund succeeded" in page  # on the payment's timeline too


def test_the_details_show_the_other_tries_of_the_same_request_with_reason_and_code(as_sue):
    request = make_request()
    for number in (DECLINED, "4242424242424242"):
        submit_card(start_payment(request), number)
        check_again(request)
    paid = request.payments.get(status="paid")
    page = as_sue.get(paid.get_absolute_url()).content.decode()

    assert "Other payments of this request" in page
    assert request.payments.get(status="failed").failure_message in page
    assert "generic_decline" in page


def test_a_payment_that_is_being_checked_says_so_and_offers_to_ask(as_sue, as_rita):
    request = make_request()
    payment = make_payment(request.customer)
    set_columns(payment, request=request)
    attempt = make_unknown_attempt(request)
    page = as_sue.get(payment.get_absolute_url()).content.decode()

    assert "It is not known yet whether money moved." in page
    assert f"/billing/attempts/{attempt.pk}/check/" in page
    assert "/check/" not in as_rita.get(payment.get_absolute_url()).content.decode()


def test_the_buttons_are_those_of_the_role_and_the_status(as_max, as_sue, as_rita):
    payment = make_payment()
    links = lambda client: [w for w in ("refund/", "edit/", "capture/", "release/") if f"{payment.pk}/{w}" in client.get(  # noqa: E731
        payment.get_absolute_url()).content.decode()]  # fmt: skip

    assert (links(as_max), links(as_sue), links(as_rita)) == (["refund/", "edit/"], ["refund/"], [])
    set_columns(payment, status="authorized", paid_at=None)
    assert (links(as_max), links(as_sue)) == (["edit/", "capture/", "release/"], [])
    set_columns(payment, status="failed")
    assert links(as_max) == ["edit/"]


def test_a_disputed_payment_offers_no_refund_and_says_why(as_max):
    payment = make_payment()
    make_dispute(payment)
    page = as_max.get(payment.get_absolute_url()).content.decode()

    assert f"{payment.pk}/refund/" not in page
    assert "bank wants $48.50 back" in page


def test_reporting_sees_no_value_of_custom_fields(as_rita, as_sue):
    payment = set_columns(make_payment(), custom_fields={"Delivery to": "Rua 7"})

    assert "Rua 7" not in as_rita.get(payment.get_absolute_url()).content.decode()
    assert "Rua 7" in as_sue.get(payment.get_absolute_url()).content.decode()


# --- the address check (R-28) ----------------------------------------------------------------------------
HOME = {"line1": "1 Harbor Drive", "city": "Manila", "postal_code": "1008", "country": "PH"}


@pytest.mark.parametrize(
    ("given", "directory", "verdict"),
    [
        (HOME, HOME, "match"),
        ({"country": "PH", "postal_code": "1008"}, HOME, "match"),
        ({"country": "ph", "postal_code": " 10-08 "}, HOME, "match"),
        ({"country": "Philippines"}, HOME, "match"),
        ({"line1": "1, harbor dr.", "country": "PH"}, HOME, "match"),
        ({"line1": "1 Harbor Drive, Unit 5"}, HOME, "match"),
        ({"country": "US", "postal_code": "94105-1234"}, {"country": "US", "postal_code": "94105"}, "match"),
        ({"country": "US", "postal_code": "1008"}, HOME, "differs"),
        ({"country": "PH", "postal_code": "1009"}, HOME, "differs"),
        ({"country": "PH", "line1": "9 Other Road"}, HOME, "differs"),
        ({"country": "BR", "postal_code": "01000-000"}, {"country": "BR", "postal_code": "01000-999"}, "differs"),
        ({"country": "PH", "postal_code": "1008"}, {"country": "PH"}, "missing"),
        (HOME, {}, "missing"),
        (HOME, None, "missing"),
        ({}, HOME, "not_checked"),
        (None, HOME, "not_checked"),
        ({"country": "", "postal_code": None}, HOME, "not_checked"),
        ({"postal_code": "-"}, HOME, "not_checked"),
        ({"city": "Manila"}, HOME, "not_checked"),
        ({}, {}, "not_checked"),
    ],
)
def test_an_address_is_judged_by_country_postcode_and_street(given, directory, verdict):
    assert check_address(given, directory) == verdict


def test_nothing_compared_is_never_a_match():
    for given in ({}, None, {"country": ""}, HOME):
        assert check_address(given, {}) != "match"


def test_each_part_has_its_own_verdict():
    given = {"country": "PH", "postal_code": "9", "line1": "x"}

    assert compare_parts(given, {"country": "PH", "postal_code": "1008"}) == {
        "country": "match", "postal_code": "differs", "line1": "missing",
    }  # fmt: skip


def test_a_customer_stands_for_its_default_address():
    customer = make_customer()

    assert check_address({"country": "PH", "postal_code": "1008"}, customer) == "match"
    assert check_address({"country": "DE"}, customer) == "differs"
    assert check_address({"country": "DE"}, make_customer(address=None)) == "missing"


# --- edits -----------------------------------------------------------------------------------------------
def edit(client, payment, **data):
    given = {"description": payment.description, "version": version_of(payment)}
    return client.post(f"{payment.get_absolute_url()}edit/", given | data)


def test_description_and_metadata_are_edited_and_recorded(as_max, max):
    payment = make_payment(metadata={"order": "7"})
    answer = edit(as_max, payment, description="Order 8", metadata_key=["crm"], metadata_value=["CRM-779"])

    assert answer.url == payment.get_absolute_url()
    payment.refresh_from_db()
    assert (payment.description, payment.metadata) == ("Order 8", {"crm": "CRM-779"})
    event = Event.objects.get(type="payment.updated")
    assert event.by == max
    assert event.changes == {"description": ["Order 7", "Order 8"], "metadata": [{"order": "7"}, {"crm": "CRM-779"}]}
    assert found(as_max, q="CRM-779") == {payment}


def test_an_edit_that_changes_nothing_writes_nothing(as_max):
    payment = make_payment()
    edit(as_max, payment)

    assert not Event.objects.filter(type="payment.updated").exists()


def test_an_edit_of_what_someone_else_changed_meanwhile_is_refused(as_max, alice):
    payment = make_payment()
    seen = version_of(payment)
    update_payment(payment, version=seen, by=alice, description="Theirs", metadata={})
    answer = edit(as_max, payment, description="Mine", version=seen)

    assert answer.status_code == 422
    assert "Someone else changed this payment" in answer.content.decode()
    assert Payment.objects.get().description == "Theirs"


def test_an_edit_touches_no_money(max):
    payment = make_payment()
    with pytest.raises(TypeError):
        update_payment(payment, version=version_of(payment), by=max, description="x", metadata={}, amount=1)
    with pytest.raises(DomainError):
        update_payment(payment, version="", by=max, description="x", metadata={})


def test_support_and_reporting_may_not_edit(as_sue, as_rita):
    payment = make_payment()
    for client in (as_sue, as_rita):
        assert edit(client, payment, description="x").status_code == 403


def test_a_card_number_in_the_metadata_is_refused(as_max):
    payment = make_payment()
    answer = edit(as_max, payment, metadata_key=["card"], metadata_value=["4242 4242 4242 4242"])

    assert answer.status_code == 422
    assert Payment.objects.get().metadata == {}
