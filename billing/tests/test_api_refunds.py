"""Refunds through the API: once, never above what is left, and told truly."""

import csv
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.api.payment_answers import REFUND
from billing.domain.credit import balance
from billing.domain.ledger import ledger_errors
from billing.domain.payments import record_payment
from billing.gateways.sandbox.models import SandboxRefund
from billing.models import Payment, Refund
from billing.tests.factories import make_customer, make_dispute, make_method
from billing.tests.test_api_payments import at_once, charge, refused
from dashboard.api import idempotency
from dashboard.api_models import IdempotencyKey
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of

pytestmark = pytest.mark.django_db
SLOW = "4000000000007726"


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def payment(api):
    """One of $48.50, made through the API."""
    return paid(api)


def paid(api, **how):
    customer = make_customer()
    make_method(customer)
    return Payment.objects.get(pk=charge(api, customer, **how).json()["id"])


def refund(api, payment, amount=1850, *, key="", **fields):
    headers = {"idempotency_key": key} if key else {}
    return api.post("/refunds", {"payment_id": payment.pk, "amount": amount, "reason": "others"} | fields, **headers)


def test_a_refund_goes_back_and_is_recorded_as_the_keys(api, payment):
    about = {"reason": "product_was_damaged", "remarks": "Two bags burst.", "metadata": {"case": "7"}}
    response = refund(api, payment, merchant_reference_id="R-7", **about)

    shown, made = response.json(), Refund.objects.get()
    payment.refresh_from_db()
    assert (response.status_code, shown["id"], shown["status"], shown["payment_id"]) == (201, made.pk, "succeeded", payment.pk)
    assert (made.reason, made.remarks, made.metadata, made.merchant_reference_id) == (*about.values(), "R-7")
    assert (payment.amount_refunded, SandboxRefund.objects.get().amount) == (1850, 1850)
    told = Event.objects.filter(object_id=made.pk, type="refund.created").get()
    assert (told.actor, told.by, told.data["key"]) == ("api", None, api.key.pk)
    assert ledger_errors() == []


def test_the_answer_has_the_keys_of_its_example_in_that_order(api, payment):
    shown = refund(api, payment).json()

    assert list(shown) == [*REFUND, "attempts"]
    assert {k: type(v) for k, v in shown.items() if REFUND.get(k) is not None} == {
        k: type(v) for k, v in REFUND.items() if v is not None
    }
    assert shown == api.get(f"/refunds/{shown['id']}").json() == api.get(f"/refunds/{shown['id'][3:]}").json()
    assert Refund.objects.get().form_key == ""


def test_a_refund_may_become_credit(api, payment):
    shown = refund(api, payment, destination="credit").json()

    assert (shown["destination"], shown["gateway"], shown["status"]) == ("credit", None, "succeeded")
    assert balance(payment.customer, "USD").minor == 1850
    assert not SandboxRefund.objects.exists()


def test_a_refund_the_bank_works_on_is_pending_and_may_fail_later(api):
    shown = refund(api, paid(api, card_number=SLOW)).json()
    assert (shown["status"], api.get(f"/refunds/{shown['id']}").json()["status"]) == ("pending", "pending")


def test_an_unknown_outcome_is_pending_until_somebody_knows(api, payment):
    shown = refund(api, payment, 1801, key="k").json()
    assert (shown["status"], shown["attempts"][0]["state"]) == ("pending", "unknown")

    call_command("reconcile", older_than=0, stdout=StringIO())

    assert api.get(f"/refunds/{shown['id']}").json()["status"] == "succeeded"
    assert SandboxRefund.objects.count() == 1


# --- what is refused -----------------------------------------------------------------------------------------
def test_no_more_goes_back_than_is_left(api, payment):
    refund(api, payment, 4000)

    refused(refund(api, payment, 851), 409, "$8.50 of this payment can still be refunded. No money moved.")
    assert refund(api, payment, 850).status_code == 201
    assert Refund.objects.count() == 2


def test_the_rules_are_those_of_the_page(api, payment):
    make_dispute(payment)
    refused(refund(api, payment), 409, "taken this up as a dispute")
    held = paid(api, capture=False)
    refused(refund(api, held), 409, "authorised, so there is nothing to refund. No money moved.")
    assert not Refund.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"amount": "all"}, "parameter_invalid"),
        ({"amount": 0}, "parameter_below_minimum"),
        ({"reason": "because"}, "parameter_invalid"),
        ({"destination": "cash"}, "parameter_invalid"),
        ({"destination": ""}, "parameter_invalid"),
        ({"payment_id": "cus_" + "0" * 24}, "parameter_invalid"),
    ],
    ids=str,
)
def test_a_refund_with_a_malformed_part_is_not_made_without_it(api, payment, wrong, code):
    (name,) = wrong
    assert code_of(refused(refund(api, payment, **wrong), 400, name, name)) == code
    assert not Refund.objects.exists()


@pytest.mark.parametrize("name", ["payment_id", "amount", "reason"])
def test_a_refund_says_what_it_lacks(api, payment, name):
    body = {"payment_id": payment.pk, "amount": 1850, "reason": "others"}
    del body[name]
    refused(api.post("/refunds", body), 400, f"{name} is required.", name)


def test_the_rest_is_left_out_when_it_is_malformed_and_named(api, payment):
    response = refund(api, payment, remarks="x" * 501, merchant_reference_id=["a"], status="failed")

    assert (response.status_code, response.json()["status"], response.json()["remarks"]) == (201, "succeeded", "")
    assert set(response["X-Disregarded-Fields"].split(",")) == {"remarks", "merchant_reference_id", "status"}


def test_who_may_not_refund_does_not(payment, rita, sue):
    for api in (Api(["read"]), Api(["billing:read"]), Api(["customers:write"])):
        refused(refund(api, payment), 403, "lacks the scope billing:write")
    refused(refund(Api(user=rita), payment), 403, "Your role does not allow this")
    assert not Refund.objects.exists()
    assert refund(Api(user=sue), payment).json()["user_id"] == sue.pk.rpartition("_")[2]


def test_a_key_of_the_other_mode_sees_and_refunds_nothing(api, payment):
    pk, live = refund(api, payment).json()["id"], Api(livemode=True)

    assert live.get("/refunds").json() == {"count": 0, "list": [], "paging": {"page": 1, "pageSize": 20}}
    refused(live.get(f"/refunds/{pk}"), 404, "in live mode")
    refused(refund(live, payment), 404, "in live mode")
    refused(api.get("/refunds/re_" + "0" * 24), 404, "No refund")
    assert Refund.objects.count() == 1


def test_whoever_may_not_see_contact_data_does_not_see_it_here(api, payment, rita):
    pk = refund(api, payment, remarks="Ana called", metadata={"door": "7"}).json()["id"]
    shown = Api(["read"], user=rita).get(f"/refunds/{pk}").json()
    assert (shown["remarks"], shown["metadata"]) == ("•••", {"door": "•••"})


# --- once ----------------------------------------------------------------------------------------------------
def test_the_same_key_twice_refunds_once(api, payment):
    first, second = refund(api, payment, key="r-1"), refund(api, payment, key="r-1")

    assert (first.json(), second["Idempotent-Replayed"]) == (second.json(), "true")
    assert Refund.objects.count() == SandboxRefund.objects.count() == 1
    refused(refund(api, payment, 100, key="r-1"), 409, "came before with other content")


def test_a_crash_after_the_refund_and_a_repeat_refund_once(api, payment, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "_keep", lambda row, response: 1 / 0)
        assert refund(api, payment, key="r-1").status_code == 500
    IdempotencyKey.objects.update(created_at=timezone.now() - 2 * idempotency.STALE)

    assert refund(api, payment, key="r-1").json()["id"] == Refund.objects.get().pk
    assert SandboxRefund.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_with_one_key_refund_once():
    api = Api()
    payment = paid(api)

    responses = at_once(api, 8, lambda n, own: refund(own, payment, 500, key="r-1"))

    assert {r.status_code for r in responses} <= {201, 409}
    assert Refund.objects.count() == SandboxRefund.objects.count() == 1
    assert ledger_errors() == []


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_never_give_back_more_than_was_paid():
    api = Api()
    payment = paid(api)

    responses = at_once(api, 8, lambda n, own: refund(own, payment, 1000, key=f"r-{n}"))

    payment.refresh_from_db()
    assert sorted(r.status_code for r in responses) == [201] * 4 + [409] * 4
    assert payment.amount_refunded == sum(SandboxRefund.objects.values_list("amount", flat=True)) == 4000
    assert ledger_errors() == []


# --- lists ---------------------------------------------------------------------------------------------------
@pytest.fixture
def several(api, payment, max):
    """Refunds of two payments: succeeded, pending, to credit, and one of cash."""
    refund(api, payment, 1000, reason="fraudulent", remarks="Chargeback threatened")
    refund(api, payment, 500, destination="credit")
    refund(api, paid(api, card_number=SLOW), 4850)
    cash = record_payment(make_customer(email="bo@example.com"), amount=9900, currency="EUR", by=max, method_type="cash")
    refund(Api(user=max), cash, 100)
    return payment


FILTERS = {  # query: how many rows
    "": 4,
    "status=pending": 1,
    "reason=others&sort=amount": 3,
    "destination=credit&currency=USD": 1,
    "q=chargeback&amount_to=10": 1,
}


@pytest.mark.parametrize("query", FILTERS)
def test_page_export_and_api_list_the_same(as_max, several, query):
    page = as_max.get(f"/billing/refunds/?{query}").context["page"].rows
    content = b"".join(as_max.get(f"/billing/refunds/?{query}&format=csv").streaming_content).decode("utf-8-sig")

    found = Api(["read"]).get(f"/refunds?{query}").json()

    ids = [row["id"] for row in found["list"]]
    assert ids == [row.pk for row in page] == [row["id"] for row in csv.DictReader(StringIO(content))]
    assert found["count"] == len(ids) == FILTERS[query]


def test_those_of_one_payment_are_found_and_nonsense_is_named(api, several):
    found = api.get(f"/refunds?payment={several.pk}&reason=because&created_from=x&pageSize=1")

    assert (found.json()["count"], len(found.json()["list"])) == (2, 1)
    assert set(found["X-Disregarded-Fields"].split(",")) == {"reason", "created_from"}
    assert "attempts" not in found.json()["list"][0]


def test_a_longer_list_asks_the_database_no_more(api, payment):
    for _ in range(10):
        refund(api, payment, 100)
    counts = []
    for size in (3, 3, 10):
        with CaptureQueriesContext(connection) as asked_for:
            assert len(api.get(f"/refunds?pageSize={size}").json()["list"]) == size
        counts.append(len(asked_for))
    assert counts[1] == counts[2] <= 6
