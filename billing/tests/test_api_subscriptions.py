"""Subscriptions through the API: started, changed, paused and ended by the rules of their pages."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.domain import subscriptions as domain
from billing.domain.invoicing import bill_due
from billing.models import BillingStatement, Coupon, Subscription
from billing.tests.factories import make_coupon, make_customer, make_method, make_subscription
from dashboard.api_models import IdempotencyKey
from dashboard.models import Event
from dashboard.paging import counts
from dashboard.states import DomainError
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db
PATH = "/subscriptions"
BEANS = {"name": "Beans, monthly", "amount": 2900}


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def customer(db):
    customer = make_customer()
    make_method(customer)
    return customer


def the_event(pk, kind):
    return Event.objects.get(object_id=pk, type=f"subscription.{kind}")


# --- start ---------------------------------------------------------------------------------------------------
def test_a_subscription_starts_today_and_every_month_unless_something_else_is_said(api, customer):
    response = api.post(PATH, {"customer_id": customer.pk} | BEANS)

    shown = response.json()
    assert response.status_code == 201, response.content
    assert list(shown)[:5] == ["id", "object", "livemode", "status", "customer_id"]
    assert (shown["object"], shown["status"], shown["name"]) == ("subscription", "active", "Beans, monthly")
    assert (shown["amount"], shown["quantity"], shown["period_amount"], shown["currency"]) == (2900, 1, 2900, "USD")
    assert (shown["interval"], shown["interval_count"], shown["billing"]) == ("month", 1, "pay_automatically")
    assert shown["started_on"] == shown["next_invoice_on"] == timezone.localdate().isoformat()
    assert (shown["payment_source_id"], shown["coupon"], shown["user_id"]) == (None, None, None)
    assert [period["total"] for period in shown["upcoming"]] == [2900] * 3
    assert shown["upcoming"][0]["period_end"] == shown["upcoming"][1]["period_start"]
    assert (the_event(shown["id"], "created").actor, the_event(shown["id"], "created").data["key"]) == ("api", api.key.pk)
    assert api.get(f"{PATH}/{shown['id']}").json() == shown


def test_everything_the_form_has_can_be_said(api, customer):
    other, coupon = make_method(customer, number="5425233430109903"), make_coupon(duration="forever")
    first = timezone.localdate() - timedelta(days=30)
    said = {
        "customer_id": customer.pk, "name": "Tea", "amount": 500, "quantity": 3, "currency": "eur", "interval": "week",
        "interval_count": 2, "billing": "send_invoice", "days_until_due": 7, "payment_source_id": other.pk,
        "coupon": coupon.code.lower(), "started_on": first.isoformat(), "bill_past": True, "metadata": {"plan": "T"},
    }  # fmt: skip

    shown = api.post(PATH, said).json()

    kept = ("name", "amount", "quantity", "interval", "interval_count", "billing", "days_until_due", "payment_source_id")
    assert {name: shown[name] for name in kept} == {name: said[name] for name in kept}
    assert (shown["currency"], shown["coupon"], shown["metadata"]) == ("EUR", coupon.code, {"plan": "T"})
    assert (shown["period_amount"], shown["upcoming"][0]["discount_amount"]) == (1500, 150)
    assert Coupon.objects.get().times_redeemed == 1


@pytest.mark.parametrize(
    "said, code, parameter",
    [
        ({"customer_id": ""}, "parameter_required", "customer_id"),
        ({"name": None}, "parameter_invalid", "name"),
        ({"amount": 0}, "parameter_below_minimum", "amount"),
        ({"amount": "29.00"}, "parameter_invalid", "amount"),
        ({"amount": 10**13}, "parameter_above_maximum", "amount"),
        ({"quantity": "many"}, "parameter_invalid", "quantity"),
        ({"interval": "fortnight"}, "parameter_invalid", "interval"),
        ({"interval_count": 0}, "parameter_below_minimum", "interval_count"),
        ({"billing": "later"}, "parameter_invalid", "billing"),
        ({"started_on": "soon"}, "parameter_invalid", "started_on"),
        ({"started_on": "0001-01-01"}, "parameter_invalid", "started_on"),
        ({"currency": "XXX"}, "parameter_invalid", "currency"),
        ({"payment_source_id": "src_1"}, "parameter_invalid", "payment_source_id"),
        ({"coupon": "NOSUCH"}, "parameter_invalid", "coupon"),
        ({"bill_past": "perhaps"}, "parameter_invalid", "bill_past"),
        ({"days_until_due": 366}, "parameter_above_maximum", "days_until_due"),
    ],
)
def test_what_decides_how_much_is_charged_and_when_is_never_guessed(api, customer, said, code, parameter):
    response = api.post(PATH, {"customer_id": customer.pk} | BEANS | said)

    error = response.json()["errors"][0]
    assert (response.status_code, error["code"], error["parameter"]) == (400, code, parameter)
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("missing", ["customer_id", "name", "amount"])
def test_what_must_be_there_is_asked_for(api, customer, missing):
    said = {"customer_id": customer.pk} | BEANS
    del said[missing]

    error = api.post(PATH, said).json()["errors"][0]

    assert (error["code"], error["parameter"]) == ("parameter_required", missing)


def test_metadata_that_is_malformed_is_left_out_and_named(api, customer):
    response = api.post(PATH, {"customer_id": customer.pk, "metadata": {"a": {}, "b": "1"}, "status": "paused"} | BEANS)

    assert response.json()["metadata"] == {"b": "1"}
    assert response.json()["status"] == "active"
    assert set(response.headers["X-Disregarded-Fields"].split(",")) == {"metadata.a", "status"}


def test_a_refusal_says_what_the_page_says(api):
    nobody = make_customer()

    refused = api.post(PATH, {"customer_id": nobody.pk} | BEANS)

    assert (refused.status_code, code_of(refused)) == (409, "state_conflict")
    assert "Customer must have a default source" in detail_of(refused)
    past = {"started_on": "2020-01-01", "bill_past": True, "billing": "send_invoice"}
    assert "at most one year back" in detail_of(api.post(PATH, {"customer_id": nobody.pk} | BEANS | past))


def test_somebody_else_s_payment_source_is_not_found(api, customer):
    theirs = make_method(make_customer(email="bo@example.com"))

    response = api.post(PATH, {"customer_id": customer.pk, "payment_source_id": theirs.pk} | BEANS)

    assert (response.status_code, code_of(response)) == (404, "resource_not_found")
    assert not Subscription.objects.exists()


def test_one_idempotency_key_starts_one_even_after_its_answer_is_lost(api, customer):
    said = {"customer_id": customer.pk} | BEANS
    first = api.post(PATH, said, idempotency_key="sub-1").json()
    IdempotencyKey.objects.all().delete()

    assert api.post(PATH, said, idempotency_key="sub-1").json() == first
    assert Subscription.objects.count() == 1
    api.post(PATH, said)
    assert Subscription.objects.count() == 2


# --- change --------------------------------------------------------------------------------------------------
def test_a_change_sets_what_comes_for_the_periods_to_come(api, customer):
    subscription = make_subscription(customer, metadata={"plan": "B"})
    path = f"{PATH}/{subscription.pk}"
    before = api.get(path).json()

    response = api.patch(path, {"quantity": 2, "currency": "EUR", "customer_id": "cus_" + "0" * 24})

    after = response.json()
    assert {n for n in before if before[n] != after[n]} == {"quantity", "period_amount", "upcoming", "updated_at"}
    assert set(response.headers["X-Disregarded-Fields"].split(",")) == {"currency", "customer_id"}
    assert the_event(subscription.pk, "updated").changes == {"quantity": [1, 2]}
    assert api.patch(path, {"quantity": 2}).status_code == 200
    assert Event.objects.filter(object_id=subscription.pk, type="subscription.updated").count() == 1
    assert api.patch(path, {"amount": -5}).status_code == 400


def test_its_payment_source_is_set_and_set_back_to_the_default(api, customer):
    subscription, other = make_subscription(customer), make_method(customer, number="5425233430109903")
    path = f"{PATH}/{subscription.pk}"

    assert api.patch(path, {"payment_source_id": other.pk[4:]}).json()["payment_source_id"] == other.pk
    assert api.patch(path, {"name": "Beans"}).json()["payment_source_id"] == other.pk
    assert api.patch(path, {"payment_source_id": None}).json()["payment_source_id"] is None
    assert api.patch(path, {"payment_source_id": f"src_{'0' * 24}"}).status_code == 404


# --- pause and end -------------------------------------------------------------------------------------------
def test_it_is_paused_and_resumed(api, customer):
    subscription = make_subscription(customer)
    path = f"{PATH}/{subscription.pk}"

    paused = api.post(f"{path}/pause", {"reason": "Holidays"}).json()
    refused = api.post(f"{path}/pause")

    assert (paused["status"], bool(paused["paused_at"])) == ("paused", True)
    assert the_event(subscription.pk, "paused").data["why"] == "Holidays"
    with pytest.raises(DomainError) as said:
        domain.pause(subscription, by=None)
    assert (refused.status_code, detail_of(refused)) == (409, str(said.value))
    assert api.post(f"{path}/resume").json()["status"] == "active"
    assert api.post(f"{path}/resume").status_code == 409


def test_it_ends_with_its_period_and_can_be_kept(api, customer):
    subscription = make_subscription(customer)
    bill_due()
    path = f"{PATH}/{subscription.pk}"

    ending = api.post(f"{path}/cancel", {"at_period_end": True, "reason": "Moved"}).json()
    kept = api.post(f"{path}/keep").json()

    assert (ending["status"], ending["cancel_at_period_end"], ending["upcoming"]) == ("active", True, [])
    assert the_event(subscription.pk, "cancel_planned").data["why"] == "Moved"
    assert (kept["cancel_at_period_end"], len(kept["upcoming"])) == (False, 3)
    assert api.post(f"{path}/keep").status_code == 409


def test_it_ends_now_and_for_good(api, customer):
    path = f"{PATH}/{make_subscription(customer).pk}"

    assert api.post(f"{path}/cancel", {"at_period_end": "perhaps"}).status_code == 400
    ended = api.post(f"{path}/cancel").json()

    assert (ended["status"], ended["next_invoice_on"], ended["upcoming"]) == ("canceled", None, [])
    for action in ("cancel", "pause", "resume", "keep"):
        assert api.post(f"{path}/{action}").status_code == 409
    assert api.patch(path, {"quantity": 2}).status_code == 409
    bill_due()
    assert not BillingStatement.objects.exists()


# --- list ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query, count",
    [
        ("", 3),
        ("status=paused", 1),
        ("billing=send_invoice&sort=customer", 1),
        ("q=tea", 1),
        ("interval=week", 0),
        ("ends=no&sort=created_at", 3),
        ("customer={one}", 2),
        ("problem=nonsense", 3),
    ],
)
def test_page_file_and_api_have_the_same_rows(api, as_max, customer, query, count):
    make_subscription(customer)
    domain.pause(make_subscription(customer, name="Filters"), by=None)
    make_subscription(make_customer(email="bo@example.com"), name="Tea", billing="send_invoice", with_method=False)
    query = query.format(one=customer.pk)

    shown = [row["id"] for row in api.get(f"{PATH}?{query}").json()["list"]]

    page = as_max.get(f"/billing/subscriptions/?{query}").context["page"].rows
    text = b"".join(as_max.get(f"/billing/subscriptions/?{query}&format=csv").streaming_content).decode("utf-8-sig")
    assert len(shown) == count
    assert shown == [row.pk for row in page] == [row["id"] for row in csv.DictReader(io.StringIO(text))]


def test_a_list_costs_the_same_however_many_rows_it_has(api, customer):
    def cost():
        counts.forget()
        with CaptureQueriesContext(connection) as found:
            assert api.get(PATH).status_code == 200
        return len(found)

    make_subscription(customer)
    api.get(PATH)
    few = cost()
    for _n in range(5):
        make_subscription(customer, coupon=make_coupon())

    assert cost() == few


def test_other_modes_and_lesser_keys_get_nowhere(api, customer, sue, rita):
    subscription = make_subscription(customer, metadata={"note": "Marta"})
    live, path = Api(livemode=True), f"{PATH}/{subscription.pk}"

    assert live.get(PATH).json()["count"] == 0
    assert live.get(path).status_code == 404 == live.patch(path, {}).status_code
    assert live.post(PATH, {"customer_id": customer.pk} | BEANS).status_code == 404
    for action in ("pause", "resume", "cancel", "keep"):
        assert live.post(f"{path}/{action}").status_code == 404
        assert Api(scopes=["read"]).post(f"{path}/{action}").status_code == 403
        assert Api(user=sue).post(f"{path}/{action}").status_code == 403
    assert Api(scopes=["read"]).patch(path, {}).status_code == 403
    assert Api(scopes=["read"]).post(PATH, {"customer_id": customer.pk} | BEANS).status_code == 403
    assert Api(scopes=["read"], user=rita).get(path).json()["metadata"] == {"note": "•••"}
    assert api.get(f"{PATH}/sub_{'0' * 24}").status_code == 404
    assert Subscription.objects.get().status == "active"
