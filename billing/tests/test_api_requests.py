"""Payment requests through the API: a link for one amount, made once, told to whoever may send it."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.api.requests import REQUEST
from billing.domain import checkouts
from billing.domain.requests import TOO_LONG
from billing.models import Coupon, CouponRedemption, PaymentRequest
from billing.tests.factories import make_coupon, make_customer, make_request, submit_card
from billing.tests.test_api_payments import at_once, refused
from customers.domain import archive_customer
from customers.models import Customer
from dashboard.api import idempotency
from dashboard.api_models import IdempotencyKey
from dashboard.mail_models import Mail
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def marta(db):
    return make_customer()


def asked(customer, **fields):
    return {"customer_id": customer.pk, "amount": 4850, "currency": "USD", "country": "US"} | fields


def ask(api, customer, *, key="", **fields):
    headers = {"idempotency_key": key} if key else {}
    return api.post("/payment_requests", asked(customer, **fields), **headers)


# --- making one ----------------------------------------------------------------------------------------------
def test_a_request_is_made_its_link_opens_and_it_is_recorded_as_the_keys(api, marta):
    about = {"description": "Order 1001", "merchant_reference_id": "1001", "metadata": {"order": "1001"}, "save_card": True}
    response = ask(api, marta, method_types=["card", "card"], **about)

    shown, made = response.json(), PaymentRequest.objects.get()
    assert (response.status_code, shown["id"], shown["status"], shown["url"]) == (201, made.pk, "new", made.url)
    assert (made.description, made.merchant_reference_id, made.metadata, made.save_card) == tuple(about.values())
    assert (made.method_types, made.amount, made.created_by) == (["card"], 4850, None)
    assert timedelta(days=13) < made.expires_at - timezone.now() < timedelta(days=15)
    assert "Order 1001" in Client().get(shown["url"].partition("/pay/")[1] + shown["url"].partition("/pay/")[2]).text
    told = Event.objects.filter(object_id=made.pk, type="payment_request.created").get()
    assert (told.actor, told.data["key"]) == ("api", api.key.pk)


def test_the_answer_has_the_keys_of_its_example_in_that_order(api, marta):
    shown = ask(api, marta, description="Order 1001", merchant_reference_id="1001").json()

    assert list(shown) == list(REQUEST)
    assert {k: type(v) for k, v in shown.items() if REQUEST[k] is not None} == {
        k: type(v) for k, v in REQUEST.items() if v is not None
    }
    assert shown == api.get(f"/payment_requests/{shown['id']}").json()
    row = PaymentRequest.objects.get()
    assert row.token_nonce not in str(shown)
    assert row.token_hash not in str(shown)


def test_without_method_types_the_payer_may_choose_among_all(api, marta):
    assert ask(api, marta).json()["method_types"] == ["card", "bank_account"]


def test_somebody_new_is_asked_by_name_and_email_and_kept_once(api, marta):
    body = {"name": "Jo Doe", "email": "Jo@Example.com", "amount": 4850, "currency": "USD", "country": "US"}

    first, second = (api.post("/payment_requests", body).json() for _ in range(2))

    jo = Customer.objects.get(email="jo@example.com")
    assert first["customer_id"] == second["customer_id"] == jo.pk
    assert (jo.name, jo.origin, first["customer_email"]) == ("Jo Doe", "payment_request", "jo@example.com")
    known = api.post("/payment_requests", body | {"email": marta.email.upper()}).json()
    assert known["customer_id"] == marta.pk


def test_a_refused_request_leaves_no_customer_behind(api):
    body = {"name": "Jo Doe", "email": "jo@example.com", "amount": 1, "currency": "USD", "country": "US"}
    refused(api.post("/payment_requests", body), 409, "Enter an amount from $0.50")
    assert not Customer.objects.exists()
    assert not Event.objects.filter(type="customer.created").exists()


def test_a_coupon_takes_its_part_off_and_a_bad_one_is_said(api, marta):
    coupon = make_coupon(code="WELCOME")
    make_coupon(code="EUROS", amount_off=100, currency="EUR")

    shown = ask(api, marta, coupon="welcome").json()

    assert (shown["amount"], shown["discount_amount"], shown["subtotal"], shown["coupon_id"]) == (4365, 485, 4850, coupon.pk)
    assert CouponRedemption.objects.get().coupon == coupon
    refused(ask(api, marta, coupon="NOPE"), 400, "There is no coupon NOPE.", "coupon")
    refused(ask(api, marta, coupon=7), 400, "coupon", "coupon")
    refused(ask(api, marta, coupon="EUROS"), 409, "EUR")
    refused(ask(api, make_customer(livemode=True), coupon="WELCOME"), 404, "in test mode")
    Coupon.objects.update(active=False)
    refused(ask(api, marta, coupon="WELCOME"), 409, "WELCOME is switched off.")
    assert PaymentRequest.objects.count() == 1


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"expires_at": "2026-01-01T00:00:00Z"}, TOO_LONG),
        ({"expires_in": 59 * 24 * 3600}, TOO_LONG),
        ({"expires_in": 1}, TOO_LONG),
        ({"amount": 49}, "Enter an amount from $0.50"),
        ({"method_types": ["cash"]}, "No gateway takes these payment methods in USD"),
        ({"method_types": []}, "No gateway takes these payment methods in USD"),
    ],
    ids=str,
)
def test_the_rules_are_those_of_the_page(api, marta, given, told):
    refused(ask(api, marta, **given), 409, told)
    assert not PaymentRequest.objects.exists()


def test_an_archived_customer_is_asked_for_nothing(api, marta, max):
    archive_customer(marta, by=max)
    refused(ask(api, marta), 409, "is archived")


def test_when_it_ends_may_be_said_either_way(api, marta):
    until = (timezone.now() + timedelta(days=2)).replace(microsecond=0)

    assert ask(api, marta, expires_at=until.isoformat()).json()["expires_at"] == f"{until:%Y-%m-%dT%H:%M:%S}.000Z"
    seconds = datetime.fromisoformat(ask(api, marta, expires_in=3600).json()["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=58) < seconds < timedelta(minutes=61)


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        ({"amount": "ten"}, "amount"),
        ({"currency": "Dollar"}, "currency"),
        ({"country": "Mars"}, "country"),
        ({"method_types": "card"}, "method_types"),
        ({"method_types": ["card", "barter"]}, "method_types.1"),
        ({"authorize_only": "perhaps"}, "authorize_only"),
        ({"customer_id": None, "name": "Jo", "email": "jo"}, "email"),
        ({"customer_id": None, "email": "jo@example.com"}, "name"),
    ],
    ids=str,
)
def test_a_request_with_a_malformed_part_is_not_made_without_it(api, marta, wrong, parameter):
    refused(ask(api, marta, **wrong), 400, parameter, parameter)
    assert not PaymentRequest.objects.exists()


@pytest.mark.parametrize("name", ["customer_id", "amount", "currency", "country"])
def test_a_request_says_what_it_lacks(api, marta, name):
    body = asked(marta)
    del body[name]
    response = refused(api.post("/payment_requests", body), 400, f"{name} is required.", name)
    assert code_of(response) == "parameter_required"


def test_the_rest_is_left_out_when_it_is_malformed_and_named(api, marta):
    response = ask(api, marta, description="x" * 501, expires_in="soon", save_card=3, metadata=[], status="done", url="x")

    assert response.status_code == 201
    dropped = {"description", "expires_in", "save_card", "metadata", "status", "url"}
    assert set(response["X-Disregarded-Fields"].split(",")) == dropped


# --- who may, and where --------------------------------------------------------------------------------------
def test_who_may_not_ask_does_not(api, marta, sue, rita):
    pk = ask(api, marta).json()["id"]
    more = {"expires_in": 10**6}
    for reader in (Api(["read"]), Api(["customers:write"])):
        for path, body in (("", asked(marta)), (f"/{pk}/cancel", None), (f"/{pk}/extend", more), (f"/{pk}/send", None)):
            refused(reader.post(f"/payment_requests{path}", body), 403, "lacks the scope billing:write")
    refused(ask(Api(user=sue), marta), 403, "Your role does not allow this")
    refused(Api(user=rita).post(f"/payment_requests/{pk}/send"), 403, "Your role does not allow this")
    assert PaymentRequest.objects.get().status == "new"


def test_the_link_is_told_to_whoever_may_send_it_and_in_no_list(api, marta, rita, sue):
    made = ask(api, marta).json()

    assert Api(["read"], user=sue).get(f"/payment_requests/{made['id']}").json()["url"] == made["url"]
    masked = Api(["read"], user=rita).get(f"/payment_requests/{made['id']}").json()
    assert (masked["url"], masked["customer_email"]) == (None, "m•••@example.com")
    assert made["url"].split("/")[-2] not in api.get("/payment_requests").text


def test_a_link_that_takes_no_payment_is_not_told(api, marta):
    pk = ask(api, marta).json()["id"]
    PaymentRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))

    shown = api.get(f"/payment_requests/{pk}").json()

    assert (shown["status"], shown["url"]) == ("expired", None)
    assert api.get("/payment_requests?status=expired").json()["list"][0]["status"] == "expired"


def test_a_key_of_the_other_mode_sees_and_changes_nothing(api, marta):
    pk, live = ask(api, marta).json()["id"], Api(livemode=True)

    assert live.get("/payment_requests").json()["count"] == 0
    refused(live.get(f"/payment_requests/{pk}"), 404, "in live mode")
    refused(ask(live, marta), 404, "in live mode")
    for path, body in (("cancel", None), ("extend", {"expires_in": 10**6}), ("send", None)):
        refused(live.post(f"/payment_requests/{pk}/{path}", body), 404, "in live mode")
    refused(api.get("/payment_requests/checkout_" + "0" * 24), 404, "No payment request")
    assert PaymentRequest.objects.get().status == "new"


# --- what is done to one -------------------------------------------------------------------------------------
def test_canceling_ends_it_once(api, marta):
    pk = ask(api, marta).json()["id"]

    response = api.post(f"/payment_requests/{pk}/cancel")

    assert (response.json()["status"], response.json()["url"]) == ("canceled", None)
    assert Event.objects.filter(object_id=pk, type="payment_request.canceled").get().actor == "api"
    refused(api.post(f"/payment_requests/{pk}/cancel"), 409, "This request is canceled already.")


def test_more_time_opens_the_same_link_again(api, marta):
    made = ask(api, marta, expires_in=3600).json()
    PaymentRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))

    shown = api.post(f"/payment_requests/{made['id']}/extend", {"expires_in": 7200}).json()

    assert (shown["status"], shown["url"]) == ("new", made["url"])
    assert Event.objects.filter(object_id=made["id"], type="payment_request.extended").get().actor == "api"
    path = f"/payment_requests/{made['id']}/extend"
    refused(api.post(path, {"expires_in": 60}), 409, "The link works until then already.")
    refused(api.post(path, {"expires_at": "soon"}), 400, "expires_at", "expires_at")
    refused(api.post(path, {}), 400, "expires_at is required.", "expires_at")
    refused(api.post(path, {"expires_in": 10**8}), 409, TOO_LONG)


def test_the_link_is_mailed_once_for_a_key(api, marta):
    pk = ask(api, marta).json()["id"]

    body = {"to": "Other@Example.com", "message": "Thank you"}
    first, second = (api.post(f"/payment_requests/{pk}/send", body, idempotency_key="s") for _ in range(2))

    mail = Mail.objects.get(kind="payment_request")
    assert (mail.to.lower(), "Thank you" in mail.text) == ("other@example.com", True)
    assert first.json()["sent_at"] == second.json()["sent_at"] is not None
    assert Event.objects.filter(object_id=pk, type="payment_request.sent").get().actor == "api"
    api.post(f"/payment_requests/{pk}/send")
    assert Mail.objects.filter(kind="payment_request", to=marta.email).count() == 1


def test_mail_goes_nowhere_else_than_was_meant(api, marta):
    pk = ask(api, marta).json()["id"]
    refused(api.post(f"/payment_requests/{pk}/send", {"to": "nobody"}), 400, "to must be", "to")
    api.post(f"/payment_requests/{pk}/cancel")
    refused(api.post(f"/payment_requests/{pk}/send"), 409, "its link takes no payment and is not sent")
    assert not Mail.objects.filter(kind="payment_request").exists()


def test_what_was_paid_on_it_is_told(api, marta):
    row = make_request(marta)
    attempt = checkouts.start_payment(row)
    submit_card(attempt)
    checkouts.settle_attempt(attempt)

    shown = api.get(f"/payment_requests/{row.pk}").json()

    assert (shown["status"], [(p["status"], p["amount"]) for p in shown["payments"]]) == ("done", [("paid", 4850)])
    assert shown["payments"][0]["payment_request_id"] == row.pk


# --- once ----------------------------------------------------------------------------------------------------
def test_the_same_key_twice_makes_one_request(api, marta):
    first, second = ask(api, marta, key="q"), ask(api, marta, key="q")

    assert (first.json(), second["Idempotent-Replayed"]) == (second.json(), "true")
    assert PaymentRequest.objects.count() == 1
    refused(ask(api, marta, key="q", amount=100), 409, "came before with other content")


def test_a_crash_after_it_was_made_and_a_repeat_make_one(api, marta, monkeypatch):
    make_coupon(code="ONCE", max_redemptions=1)
    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "_keep", lambda row, response: 1 / 0)
        assert ask(api, marta, key="q", coupon="ONCE").status_code == 500
    IdempotencyKey.objects.update(created_at=timezone.now() - 2 * idempotency.STALE)

    again = ask(api, marta, key="q", coupon="ONCE")

    assert (again.status_code, again.json()["id"]) == (201, PaymentRequest.objects.get().pk)
    assert CouponRedemption.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_with_one_key_make_one_request_and_one_customer():
    api, body = Api(), {"name": "Jo Doe", "email": "jo@example.com", "amount": 4850, "currency": "USD", "country": "US"}

    responses = at_once(api, 8, lambda n, own: own.post("/payment_requests", body, idempotency_key="q"))

    assert {r.status_code for r in responses} <= {201, 409}
    assert PaymentRequest.objects.count() == Customer.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_even_if_all_of_them_get_through_one_key_makes_one_request(monkeypatch):
    """The record of answers is one guard; the request's own key is the other."""
    monkeypatch.setattr(idempotency, "once", lambda request, work: work())
    api, body = Api(), {"name": "Jo Doe", "email": "jo@example.com", "amount": 4850, "currency": "USD", "country": "US"}

    responses = at_once(api, 4, lambda n, own: own.post("/payment_requests", body, idempotency_key="q"))

    assert {r.status_code for r in responses} == {201}
    assert PaymentRequest.objects.count() == Customer.objects.count() == 1


# --- lists ---------------------------------------------------------------------------------------------------
@pytest.fixture
def several(marta, max):
    make_request(marta, amount=700, description="Espresso beans")
    make_request(marta, amount=4850, currency="EUR", description="Espresso cups", method_types=["card", "bank_account"])
    make_request(make_customer(first_name="Bo", email="bo@example.com"), amount=12000, by=max)
    PaymentRequest.objects.filter(pk=make_request(marta, amount=9900).pk).update(expires_at=timezone.now() - timedelta(days=1))
    return marta


FILTERS = {  # query: how many rows
    "": 4,
    "status=open&sort=amount": 3,
    "status=expired": 1,
    "method=bank_account&currency=EUR": 1,
    "q=espresso&amount_from=7&sort=-expires_at": 2,
}


@pytest.mark.parametrize("query", FILTERS)
def test_page_export_and_api_list_the_same(as_max, several, query):
    page = as_max.get(f"/billing/payment-requests/?{query}").context["page"].rows
    content = b"".join(as_max.get(f"/billing/payment-requests/?{query}&format=csv").streaming_content).decode("utf-8-sig")

    found = Api(["read"]).get(f"/payment_requests?{query}").json()

    ids = [row["id"] for row in found["list"]]
    assert ids == [row.pk for row in page] == [row["id"] for row in csv.DictReader(StringIO(content))]
    assert found["count"] == len(ids) == FILTERS[query]


def test_the_words_of_the_answer_are_taken_as_filters_too(api, several, max):
    assert api.get("/payment_requests?status=new").json()["count"] == 3
    assert api.get(f"/payment_requests?created_by={max.pk}").json()["count"] == 1
    found = api.get("/payment_requests?status=done&created_by=x&opened=maybe")
    assert (found.json()["count"], set(found["X-Disregarded-Fields"].split(","))) == (0, {"created_by", "opened"})


def test_a_longer_list_asks_the_database_no_more(api, marta):
    for n in range(10):
        make_request(marta, amount=1000 + n)
    counts = []
    for size in (3, 3, 10):
        with CaptureQueriesContext(connection) as asked_for:
            assert len(api.get(f"/payment_requests?pageSize={size}").json()["list"]) == size
        counts.append(len(asked_for))
    assert counts[1] == counts[2] <= 6
