"""Coupons through the API: made, changed, switched and tried under the rules of the pages."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.api.coupons import EXAMPLE
from billing.domain import coupons
from billing.models import Coupon
from billing.tests.factories import make_coupon, make_customer, make_open_statement
from customers.domain import archive_customer
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db
TEN = {"code": "TEN", "percent_off": "10"}


@pytest.fixture
def api(db):
    return Api()


def parameter_of(response):
    return response.json()["errors"][0].get("parameter")


def used(coupon):
    """A statement of $48.60 that takes a coupon."""
    return make_open_statement(make_customer(email="used@example.com"), coupon=coupon)


# --- made ----------------------------------------------------------------------------------------------------
def test_a_coupon_is_made_with_every_field(api):
    customer = make_customer()
    body = {
        "code": "Spring_25", "name": "Spring", "description": "For our newsletter", "percent_off": 12.5,
        "duration": "repeating", "duration_in_months": 3, "customer_id": customer.pk, "max_redemptions": 100,
        "max_per_customer": 1, "starts_at": "2026-01-01T00:00:00Z", "redeem_by": "2099-01-31T23:59:59+08:00",
        "metadata": {"campaign": "spring"},
    }  # fmt: skip

    response = api.post("/coupons", body)

    assert response.status_code == 201
    shown = response.json()
    assert list(shown) == list(EXAMPLE)
    same = {n: v for n, v in body.items() if n not in ("percent_off", "starts_at", "redeem_by")}
    assert {n: shown[n] for n in same} == same
    assert (shown["percent_off"], shown["amount_off"], shown["currency"]) == ("12.50", None, None)
    assert (shown["starts_at"], shown["redeem_by"]) == ("2026-01-01T00:00:00.000Z", "2099-01-31T15:59:59.000Z")
    assert (shown["object"], shown["livemode"], shown["active"], shown["status"]) == ("coupon", False, True, "active")
    event = Event.objects.get(type="coupon.created")
    assert (event.actor, event.by, event.object_id) == ("api", None, shown["id"])


def test_an_amount_needs_its_currency(api):
    made = api.post("/coupons", {"amount_off": 500, "currency": "usd"}).json()
    response = api.post("/coupons", {"amount_off": 500})

    assert (made["amount_off"], made["currency"], made["percent_off"]) == (500, "USD", None)
    assert len(made["code"]) == 10  # it got one
    assert (response.status_code, code_of(response), parameter_of(response)) == (400, "parameter_required", "currency")


@pytest.mark.parametrize(
    ("body", "code", "parameter"),
    [
        ({}, "parameter_required", "percent_off"),
        ({"percent_off": None}, "parameter_required", "percent_off"),
        ({"percent_off": "ten"}, "parameter_invalid", "percent_off"),
        ({"percent_off": 12.345}, "parameter_invalid", "percent_off"),
        ({"percent_off": True}, "parameter_invalid", "percent_off"),
        ({"percent_off": 0.5}, "parameter_invalid", "percent_off"),
        ({"percent_off": 101}, "parameter_invalid", "percent_off"),
        ({"percent_off": 10, "amount_off": 5, "currency": "USD"}, "parameter_invalid", "amount_off"),
        ({"percent_off": 10, "currency": "USD"}, "parameter_invalid", "currency"),
        ({"amount_off": 0, "currency": "USD"}, "parameter_below_minimum", "amount_off"),
        ({"amount_off": "5.00", "currency": "USD"}, "parameter_invalid", "amount_off"),
        ({"amount_off": 5, "currency": "XXX"}, "parameter_invalid", "currency"),
        (TEN | {"code": "two words"}, "parameter_invalid", "code"),
        (TEN | {"duration": "repeating"}, "parameter_invalid", "duration_in_months"),
        (TEN | {"duration_in_months": 3}, "parameter_invalid", "duration_in_months"),
        (TEN | {"max_redemptions": -5}, "parameter_invalid", "max_redemptions"),
        (TEN | {"max_redemptions": 10**30}, "parameter_invalid", "max_redemptions"),
        (TEN | {"redeem_by": "2020-01-01T00:00:00Z"}, "parameter_invalid", "redeem_by"),
        (TEN | {"starts_at": "2099-01-01T00:00:00Z", "redeem_by": "2098-01-01T00:00:00Z"}, "parameter_invalid", "starts_at"),
    ],
)
def test_what_is_wrong_is_named(api, body, code, parameter):
    response = api.post("/coupons", body)

    assert (response.status_code, code_of(response), parameter_of(response)) == (400, code, parameter)
    assert not Coupon.objects.exists()


def test_the_sentences_are_those_of_the_page(api, as_max):
    detail = detail_of(api.post("/coupons", TEN | {"duration": "repeating"}))
    form = {"percent_off": "10", "duration": "repeating", "form_key": "a" * 32}

    assert detail in as_max.post("/billing/coupons/new/", form).text


def test_what_is_optional_is_disregarded_when_malformed(api):
    response = api.post("/coupons", TEN | {"name": 5, "metadata": "x", "starts_at": "0001-01-01T00:00:00Z", "times_redeemed": 9})

    assert response.status_code == 201
    assert set(response["X-Disregarded-Fields"].split(",")) == {"name", "metadata", "starts_at", "times_redeemed"}
    assert (response.json()["name"], response.json()["metadata"], response.json()["times_redeemed"]) == ("", {}, 0)


def test_a_code_that_is_taken_is_refused_in_whatever_case(api, as_max):
    make_coupon(code="TEN")

    response = api.post("/coupons", TEN | {"code": "ten"})

    assert (response.status_code, code_of(response)) == (409, "duplicate")
    assert detail_of(response) == "There is a coupon ten already, in whatever case. Choose another code."
    page = as_max.post("/billing/coupons/new/", {"percent_off": "10", "duration": "once", "code": "ten", "form_key": "a" * 32})
    assert "in whatever case. Choose another code." in page.text


def test_a_coupon_is_not_made_for_a_customer_who_is_unknown_archived_or_of_the_other_mode(api):
    archived, live = archive_customer(make_customer(), by=None), make_customer(livemode=True)

    statuses = [api.post("/coupons", TEN | {"customer_id": pk}).status_code for pk in ("cus_0", live.pk, archived.pk)]

    assert statuses == [404, 404, 409]
    assert not Coupon.objects.exists()


def test_the_same_idempotency_key_makes_one_coupon(api):
    first = api.post("/coupons", {"percent_off": 10}, idempotency_key="c-1")
    again = api.post("/coupons", {"percent_off": 10}, idempotency_key="c-1")
    other = api.post("/coupons", {"percent_off": 20}, idempotency_key="c-1")

    assert (first.status_code, again.json(), other.status_code) == (201, first.json(), 409)
    assert again["Idempotent-Replayed"] == "true"
    assert Coupon.objects.count() == 1
    api.post("/coupons", {"percent_off": 10})
    assert Coupon.objects.count() == 2


def test_a_coupon_whose_answer_was_lost_is_not_made_again(api, monkeypatch):
    from dashboard.api import idempotency
    from dashboard.api_models import IdempotencyKey

    def dies(row, response):
        raise RuntimeError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "_keep", dies)
        assert api.post("/coupons", {"percent_off": 10}, idempotency_key="c-2").status_code == 500
    IdempotencyKey.objects.all().delete()

    assert api.post("/coupons", {"percent_off": 10}, idempotency_key="c-2").status_code == 201
    assert Coupon.objects.count() == 1


# --- found ---------------------------------------------------------------------------------------------------
def test_a_coupon_is_found_by_id_bare_hex_or_code(api):
    coupon = make_coupon(code="Autumn")

    found = [api.get(f"/coupons/{name}").json() for name in (coupon.pk, coupon.pk.removeprefix("coupon_"), "Autumn", "AUTUMN")]

    assert [shown["id"] for shown in found] == [coupon.pk] * 4
    assert api.get("/coupons/NOBODY").status_code == 404
    assert api.get("/coupons/%00").status_code == 404


def test_a_live_key_neither_sees_nor_changes_a_test_coupon(api):
    coupon, live = make_coupon(code="TEN"), Api(livemode=True)
    body = {"amount": 100, "currency": "USD"}

    asked = [live.get(f"/coupons/{name}") for name in (coupon.pk, "TEN", f"{coupon.pk}/redemptions")]
    asked += [live.patch(f"/coupons/{coupon.pk}", {"name": "x"}), live.post(f"/coupons/{coupon.pk}/check", body)]
    asked += [live.post(f"/coupons/{coupon.pk}/{verb}") for verb in ("activate", "deactivate")]

    assert [response.status_code for response in asked] == [404] * 7
    assert live.get("/coupons").json() == {"count": 0, "list": [], "paging": {"page": 1, "pageSize": 20}}
    assert live.post("/coupons", TEN).json()["livemode"] is True  # the same code in another mode


# --- the list ------------------------------------------------------------------------------------------------
@pytest.fixture
def several(db):
    now = timezone.now()
    customer = make_customer(first_name="Zoe")
    make_coupon(code="OFF", name="Spring")
    coupons.switch(Coupon.objects.get(), active=False, by=None)
    make_coupon(code="USED", max_redemptions=1)
    used(Coupon.objects.get(code="USED"))
    make_coupon(code="SOON", starts_at=now + timedelta(days=2), description="Spring, too")
    make_coupon(code="PLAIN", amount_off=500, currency="EUR")
    make_coupon(code="MONTHS", duration="repeating", duration_in_months=2, customer=customer)
    make_coupon(code="LIVE", livemode=True)
    return customer


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("", "MONTHS PLAIN SOON USED OFF"),
        ("status=active", "MONTHS PLAIN"),
        ("status=used_up", "USED"),
        ("status=off", "OFF"),
        ("q=spring", "SOON OFF"),
        ("kind=amount&currency=EUR", "PLAIN"),
        ("duration=repeating&bound=yes", "MONTHS"),
        ("sort=code", "MONTHS OFF PLAIN SOON USED"),
        ("sort=-redeemed&kind=percent", "USED MONTHS SOON OFF"),
        ("created_to=2020-01-01", ""),
    ],
)
def test_list_page_csv_and_api_have_the_same_rows(api, as_max, several, query, codes):
    shown = api.get(f"/coupons?{query}").json()
    page = as_max.get(f"/billing/coupons/?{query}").text
    written = csv.DictReader(StringIO(as_max.get(f"/billing/coupons/?{query}&format=csv").getvalue().decode().lstrip("\ufeff")))

    found = [row["code"] for row in shown["list"]]
    assert " ".join(found) == codes
    assert shown["count"] == len(found)
    assert {code for code in ("MONTHS", "PLAIN", "SOON", "USED", "OFF", "LIVE") if f">{code}<" in page} == set(found)
    assert [row["code"] for row in written] == found


def test_what_makes_no_sense_filters_nothing_and_is_named(api, several):
    response = api.get("/coupons?status=lost&created_from=yesterday&sort=luck&page=0&pageSize=abc")

    assert response.json()["count"] == 5
    named = {"status", "created_from", "sort", "page", "pageSize"}
    assert set(response["X-Disregarded-Fields"].split(",")) == named


def test_pages_of_the_list_hold_each_coupon_once(api, several):
    pages = [api.get(f"/coupons?page={number}&pageSize=2").json() for number in (1, 2, 3, 4)]

    assert [len(page["list"]) for page in pages] == [2, 2, 1, 0]
    assert {page["count"] for page in pages} == {5}
    assert len({row["id"] for page in pages for row in page["list"]}) == 5


def test_the_list_costs_the_same_however_long_it_is(api):
    def cost():
        with CaptureQueriesContext(connection) as asked:
            assert api.get("/coupons").status_code == 200
        return len(asked)

    for number in range(3):
        make_coupon(code=f"C{number}", customer=make_customer(email=f"c{number}@example.com"))
    api.get("/coupons")  # the key's first use is noted
    few = cost()
    for number in range(3, 10):
        make_coupon(code=f"C{number}", customer=make_customer(email=f"c{number}@example.com"))

    assert cost() == few


# --- changed -------------------------------------------------------------------------------------------------
def test_only_what_comes_is_changed(api):
    coupon = make_coupon(code="TEN", name="Ten", max_redemptions=5, metadata={"a": "b"})

    shown = api.patch(f"/coupons/{coupon.pk}", {"name": "Ten percent", "max_redemptions": None}).json()

    assert (shown["name"], shown["max_redemptions"], shown["metadata"], shown["percent_off"]) == (
        "Ten percent", None, {"a": "b"}, "10.00",
    )  # fmt: skip
    event = Event.objects.get(type="coupon.updated")
    assert event.actor == "api"
    assert event.changes == {"name": ["Ten", "Ten percent"], "max_redemptions": [5, None]}


def test_a_percentage_becomes_an_amount(api):
    coupon = make_coupon(code="TEN")

    refused = api.patch(f"/coupons/{coupon.pk}", {"amount_off": 500, "currency": "USD"})
    shown = api.patch(f"/coupons/{coupon.pk}", {"percent_off": None, "amount_off": 500, "currency": "USD"}).json()

    assert (refused.status_code, parameter_of(refused)) == (400, "amount_off")
    assert (shown["percent_off"], shown["amount_off"], shown["currency"]) == (None, 500, "USD")


def test_the_terms_of_a_used_coupon_stand(api):
    coupon = make_coupon(code="TEN")
    used(coupon)

    response = api.patch(f"/coupons/{coupon.pk}", {"percent_off": 20, "name": "New"})
    shown = api.patch(f"/coupons/{coupon.pk}", {"percent_off": 10, "name": "New"}).json()  # what it is already

    assert (response.status_code, detail_of(response)) == (409, coupons.LOCKED)
    assert (shown["name"], shown["percent_off"]) == ("New", "10.00")


def test_a_malformed_change_leaves_the_value(api):
    coupon = make_coupon(code="TEN", name="Ten")

    response = api.patch(f"/coupons/{coupon.pk}", {"name": ["x"], "status": "off"})

    assert response["X-Disregarded-Fields"] == "status,name"
    assert response.json()["name"] == "Ten"
    assert not Event.objects.filter(type="coupon.updated").exists()


def test_a_coupon_is_switched_off_and_on_once_each(api):
    coupon = make_coupon(code="TEN")

    off = [api.post(f"/coupons/{coupon.pk}/deactivate").json()["status"] for _ in range(2)]
    on = [api.post(f"/coupons/{coupon.pk}/activate").json()["status"] for _ in range(2)]

    assert (off, on) == (["off", "off"], ["active", "active"])
    switched = Event.objects.filter(type__startswith="coupon.switched").order_by("pk")
    assert [(e.type, e.actor) for e in switched] == [("coupon.switched_off", "api"), ("coupon.switched_on", "api")]


# --- used and tried ------------------------------------------------------------------------------------------
def test_the_uses_of_a_coupon_are_listed(api):
    coupon = make_coupon(code="TEN")
    statement = used(coupon)
    used(make_coupon(code="OTHER"))

    (use,) = api.get(f"/coupons/{coupon.pk}/redemptions").json()["list"]

    assert (use["billing_statement_id"], use["customer_id"], use["coupon_id"]) == (statement.pk, statement.customer_id, coupon.pk)
    assert (use["amount_discounted"], use["currency"], use["status"], use["counts"]) == (486, "USD", "used", True)
    coupons.release(statement, by=None)
    assert api.get("/coupons/TEN/redemptions?state=used").json()["count"] == 0
    assert api.get("/coupons/TEN/redemptions?state=released").json()["list"][0]["status"] == "released"


def test_trying_a_coupon_says_what_it_takes_off_and_uses_nothing(api):
    coupon = make_coupon(code="TEN", max_redemptions=1)

    answer = api.post(f"/coupons/{coupon.pk}/check", {"customer_id": make_customer().pk, "amount": 4865, "currency": "usd"})

    assert (answer.status_code, answer.json()) == (200, {"valid": True, "reason": None, "discount": 487})
    coupon.refresh_from_db()
    assert coupon.times_redeemed == 0


def test_trying_a_coupon_says_why_it_cannot_be_used_as_its_page_does(api, as_max):
    customer = make_customer()
    bound = make_coupon(code="BOUND", customer=make_customer(email="other@example.com", first_name="Ana", last_name="Cruz"))
    five = make_coupon(code="FIVE", amount_off=500, currency="EUR")

    told = api.post("/coupons/BOUND/check", {"customer_id": customer.pk, "amount": 100, "currency": "USD"}).json()
    currency = api.post(f"/coupons/{five.pk}/check", {"amount": 100, "currency": "USD"}).json()

    assert told == {"valid": False, "reason": "BOUND is for Ana Cruz alone.", "discount": 0}
    page = as_max.get(bound.get_absolute_url(), {"customer": customer.email, "amount": "1.00", "amount_currency": "USD"})
    assert told["reason"] in page.text
    assert currency["reason"] == "FIVE takes €5.00 off bills in EUR. This is in USD."


@pytest.mark.parametrize(
    ("body", "code", "parameter"),
    [
        ({"currency": "USD"}, "parameter_required", "amount"),
        ({"amount": 0, "currency": "USD"}, "parameter_below_minimum", "amount"),
        ({"amount": 10**12 + 1, "currency": "USD"}, "parameter_above_maximum", "amount"),
        ({"amount": 100}, "parameter_required", "currency"),
        ({"amount": 100, "currency": "US"}, "parameter_invalid", "currency"),
    ],
)
def test_a_bill_to_try_needs_an_amount_and_a_currency(api, body, code, parameter):
    response = api.post(f"/coupons/{make_coupon(code='TEN').pk}/check", body)

    assert (response.status_code, code_of(response), parameter_of(response)) == (400, code, parameter)


# --- who may -------------------------------------------------------------------------------------------------
def test_reading_keys_read_and_do_not_write(db):
    coupon, api = make_coupon(code="TEN"), Api(scopes=["billing:read"])

    asked = [api.post("/coupons", TEN), api.patch("/coupons/TEN", {"name": "x"}), api.post(f"/coupons/{coupon.pk}/deactivate")]

    assert [response.status_code for response in asked] == [403] * 3
    assert api.get("/coupons/TEN").status_code == 200
    assert Api(scopes=["customers:write"]).get("/coupons").status_code == 403


def test_a_personal_token_may_what_its_person_may(sue, rita, max):
    coupon = make_coupon(code="TEN", metadata={"crm": "walk-77"})
    body = {"amount": 100, "currency": "USD"}

    assert Api(user=sue).patch("/coupons/TEN", {"name": "x"}).status_code == 403
    assert Api(user=sue).post("/coupons/TEN/check", body).status_code == 200
    assert Api(user=rita).post("/coupons/TEN/check", body).status_code == 403
    assert Api(user=rita).get(f"/coupons/{coupon.pk}").json()["metadata"]["crm"] != "walk-77"
    assert Api(user=max).patch("/coupons/TEN", {"name": "x"}).status_code == 200
    assert Event.objects.get(type="coupon.updated").by == max
