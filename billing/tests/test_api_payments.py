"""Payments through the API: charged once, told truly, in one mode, and under the rules of the pages."""

import copy
import csv
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from threading import Barrier
from urllib.parse import quote

import pytest
from django.apps import apps
from django.core import serializers
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.api.payment_answers import PAYMENT
from billing.domain import checkouts, vault
from billing.domain.ledger import ledger_errors
from billing.domain.payments import record_payment
from billing.gateways.sandbox.models import SandboxCharge
from billing.models import Attempt, CustomerTotal, Payment
from billing.tests.factories import (
    DECLINED,
    GOOD,
    make_customer,
    make_dispute,
    make_method,
    make_open_statement,
    make_request,
    submit_card,
)
from customers.domain import archive_customer
from customers.models import Customer
from dashboard.api import idempotency
from dashboard.api_models import IdempotencyKey
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db
ASKS, DEBIT, UNLISTED = "4000002500003155", "000123456789", "4539578763621486"


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def marta(db):
    """A customer with a card on file."""
    customer = make_customer()
    make_method(customer)
    return customer


def asked(customer, **fields):
    return {"customer_id": customer.pk, "amount": 4850, "currency": "USD"} | fields


def charge(api, customer, *, key="", **fields):
    headers = {"idempotency_key": key} if key else {}
    return api.post("/payments", asked(customer, **fields), **headers)


def refused(response, status, match, parameter=None):
    """The answer is this refusal, and no money moved or is moving."""
    assert (response.status_code, match in detail_of(response)) == (status, True), response.content
    if parameter:
        assert response.json()["errors"][0]["parameter"] == parameter
    assert not Attempt.objects.open().exists()
    return response


def nothing_charged():
    return not (Payment.objects.exists() or Attempt.objects.exists() or SandboxCharge.objects.exists())


def at_once(api, count, send):
    """send(n, api) of `count` threads, all begun at one moment: their responses."""
    start = Barrier(count)

    def run(n):
        own = copy.copy(api)
        own.client = Client(raise_request_exception=False)
        try:
            start.wait(60)
            return send(n, own)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# --- a charge ------------------------------------------------------------------------------------------------
def test_a_charge_takes_the_money_and_is_recorded_as_the_keys(api, marta):
    response = charge(api, marta, description="Order 1001", metadata={"order": "1001"}, statement_descriptor="HARBOUR")

    shown, payment = response.json(), Payment.objects.get()
    assert response.status_code == 201
    assert (shown["id"], shown["status"], shown["amount"], shown["currency"]) == (payment.pk, "paid", 4850, "USD")
    assert (shown["product_type"], shown["method_last4"], shown["user_id"]) == ("api", "4242", None)
    assert (payment.description, payment.metadata, payment.statement_descriptor) == ("Order 1001", {"order": "1001"}, "HARBOUR")
    assert CustomerTotal.objects.get(customer=marta).collected == 4850
    told = Event.objects.filter(object_id=payment.pk, type="payment.created").get()
    assert (told.actor, told.by, told.data["key"]) == ("api", None, api.key.pk)
    assert ledger_errors() == []


def test_the_answer_has_the_keys_of_its_example_in_that_order(api, marta):
    shown = charge(api, marta).json()

    assert list(shown) == list(PAYMENT)
    assert {k: type(v) for k, v in shown.items() if v is not None and PAYMENT[k] is not None} == {
        k: type(v) for k, v in PAYMENT.items() if v is not None and shown[k] is not None
    }
    assert shown == api.get(f"/payments/{shown['id']}").json() == api.get(f"/payments/{shown['id'][4:]}").json()


def test_what_is_secret_is_in_no_answer(api, marta):
    pk = charge(api, marta, key="one").json()["id"]
    payment = Payment.objects.select_related("source").get(pk=pk)

    text = api.get(f"/payments/{pk}").text + api.get("/payments").text
    for secret in (payment.source.gateway_token, payment.source.fingerprint, payment.form_key, payment.source.vault_token):
        assert secret
        assert secret not in text


def test_a_persons_token_carries_their_name(max, marta):
    shown = charge(Api(user=max), marta).json()

    assert Payment.objects.get().created_by == max
    assert shown["user_id"] == max.pk.rpartition("_")[2]


def test_a_charge_may_name_the_source_and_takes_the_default_otherwise(api, marta):
    other = make_method(marta, number="5555555555554444")

    assert charge(api, marta).json()["method_last4"] == "4242"
    assert charge(api, marta, payment_source_id=other.pk).json()["payment_source_id"] == other.pk


def test_a_source_that_is_anothers_or_gone_is_not_charged(api, marta, max):
    refused(charge(api, marta, payment_source_id=make_method().pk), 404, "No payment source of this customer")
    refused(charge(api, marta, payment_source_id="src_" + "0" * 24), 404, "No payment source of this customer")
    gone = vault.remove_method(make_method(marta), by=max)
    refused(charge(api, marta, payment_source_id=gone.pk), 409, "was removed. Choose another payment method. No money moved.")
    refused(charge(api, make_customer(email="no@example.com")), 409, "has no payment method on file")
    assert nothing_charged()


@pytest.mark.parametrize("given", [DECLINED, "4000000000000341"])
def test_a_decline_is_an_answer_not_an_error(api, marta, given):
    how = {"card_number": given} if given == DECLINED else {"payment_source_id": make_method(marta, number=given).pk}
    response = charge(api, marta, **how)

    shown = response.json()
    assert (response.status_code, shown["status"]) == (201, "failed")
    assert shown["failure_code"]
    assert "No money moved" in shown["failure_message"]
    assert not CustomerTotal.objects.filter(collected__gt=0).exists()


def test_an_unknown_outcome_is_pending_until_somebody_knows(api, marta):
    shown = charge(api, marta, amount=4801, key="k").json()
    assert (shown["status"], shown["checking"], shown["attempts"][0]["state"]) == ("pending", True, "unknown")

    call_command("reconcile", older_than=0, stdout=StringIO())

    now = api.get(f"/payments/{shown['id']}").json()
    assert (now["status"], now["checking"], SandboxCharge.objects.count()) == ("paid", False, 1)


def test_where_the_customer_confirms_is_told_to_whoever_may_send_it(api, marta, rita):
    shown = charge(api, marta, card_number=ASKS).json()

    assert (shown["status"], shown["next_action_url"]) == ("pending", Payment.objects.get().confirm_url)
    assert shown["next_action_url"]
    assert Api(["read"], user=rita).get(f"/payments/{shown['id']}").json()["next_action_url"] is None


# --- what decides about the money is never dropped -----------------------------------------------------------
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"amount": "ten"}, "parameter_invalid"),
        ({"amount": 48.5}, "parameter_invalid"),
        ({"amount": True}, "parameter_invalid"),
        ({"amount": 0}, "parameter_below_minimum"),
        ({"amount": 10**13}, "parameter_above_maximum"),
        ({"currency": "XXX"}, "parameter_invalid"),
        ({"customer_id": ""}, "parameter_required"),
        ({"customer_id": 7}, "parameter_invalid"),
        ({"payment_source_id": "visa"}, "parameter_invalid"),
        ({"payment_source_id": ""}, "parameter_invalid"),
        ({"capture": "later"}, "parameter_invalid"),
        ({"card_number": UNLISTED}, "parameter_invalid"),
        ({"card_number": 4242424242424242}, "parameter_invalid"),
        ({"card_number": ""}, "parameter_invalid"),
        ({"card_number": DEBIT}, "parameter_invalid"),
    ],
    ids=str,
)
def test_a_charge_with_a_malformed_part_is_not_made_without_it(api, marta, wrong, code):
    (name,) = wrong
    response = refused(charge(api, marta, **wrong), 400, name, name)
    assert code_of(response) == code
    assert nothing_charged()


@pytest.mark.parametrize("name", ["customer_id", "amount", "currency"])
def test_a_charge_says_what_it_lacks(api, marta, name):
    body = asked(marta)
    del body[name]
    response = refused(api.post("/payments", body), 400, f"{name} is required.", name)
    assert code_of(response) == "parameter_required"
    assert nothing_charged()


def test_the_rest_is_left_out_when_it_is_malformed_and_named(api, marta):
    response = charge(api, marta, description="x" * 501, statement_descriptor="x" * 23, metadata={"a": ["b"], "c": "d"}, fee=5)

    assert response.status_code == 201
    dropped = set(response["X-Disregarded-Fields"].split(","))
    assert dropped == {"fee", "description", "metadata.a", "statement_descriptor"}
    assert (response.json()["description"], response.json()["metadata"], response.json()["fee"]) == ("", {"c": "d"}, 0)


def test_the_gateways_and_the_customers_rules_are_those_of_the_page(api, marta, max):
    refused(charge(api, marta, amount=49), 409, "The gateway takes amounts from $0.50")
    refused(charge(api, marta, amount=49, card_number=GOOD), 409, "The gateway takes amounts from $0.50")
    debit = make_method(marta, number=DEBIT)
    refused(charge(api, marta, payment_source_id=debit.pk, capture=False), 409, "cannot be authorised first")
    archive_customer(marta, by=max)
    refused(charge(api, marta), 409, "is archived")
    assert nothing_charged()


# --- test cards ----------------------------------------------------------------------------------------------
def everything_stored():
    """All rows of all tables of ours, as text."""
    rows = (row for model in apps.get_models() for row in model._default_manager.all())
    return serializers.serialize("json", rows)


def test_a_test_card_pays_and_its_number_is_kept_nowhere(api, marta, caplog):
    caplog.set_level(logging.DEBUG)
    response = charge(api, marta, card_number="4701 3222 1111 1234", key="card")

    assert (response.status_code, response.json()["status"], response.json()["method_last4"]) == (201, "paid", "1234")
    held = everything_stored() + caplog.text + response.text
    assert "4701322211111234" not in held
    assert "4701 3222 1111 1234" not in held
    assert "1234" in held


def test_any_other_number_is_refused_and_kept_nowhere(api, marta, caplog):
    caplog.set_level(logging.DEBUG)
    response = refused(charge(api, marta, card_number=UNLISTED, key="card"), 400, "The number was not kept, and no money moved")

    assert UNLISTED not in everything_stored() + caplog.text + response.text
    assert nothing_charged()


def test_no_card_number_is_taken_in_live_mode_nor_beside_a_source(api, marta):
    live = Api(livemode=True)
    customer = make_customer(livemode=True)
    refused(charge(live, customer, card_number=GOOD), 400, "Live cards are typed on the gateway's own page", "card_number")
    refused(charge(api, marta, card_number=GOOD, payment_source_id=marta.methods.get().pk), 400, "not both", "card_number")
    assert nothing_charged()


def test_a_card_number_in_a_text_is_left_out(api, marta):
    response = charge(api, marta, description=f"Card {UNLISTED}", merchant_reference_id=UNLISTED)
    assert set(response["X-Disregarded-Fields"].split(",")) == {"description", "merchant_reference_id"}
    assert UNLISTED not in everything_stored()


# --- once ----------------------------------------------------------------------------------------------------
def test_the_same_key_twice_charges_once(api, marta):
    first, second = charge(api, marta, key="k-1"), charge(api, marta, key="k-1")

    assert (first.status_code, second.status_code, second["Idempotent-Replayed"]) == (201, 201, "true")
    assert first.json() == second.json()
    assert Payment.objects.count() == SandboxCharge.objects.count() == 1
    refused(charge(api, marta, key="k-1", amount=100), 409, "came before with other content")
    assert Payment.objects.count() == SandboxCharge.objects.count() == 1


def test_without_a_key_every_request_charges(api, marta):
    charge(api, marta)
    charge(api, marta)
    assert Payment.objects.count() == SandboxCharge.objects.count() == 2


def test_a_crash_after_the_charge_and_a_repeat_charge_once(api, marta, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "_keep", lambda row, response: 1 / 0)
        assert charge(api, marta, key="k-1").status_code == 500
    assert charge(api, marta, key="k-1").status_code == 409  # nobody knows yet that its process is dead

    IdempotencyKey.objects.update(created_at=timezone.now() - 2 * idempotency.STALE)
    again = charge(api, marta, key="k-1")

    assert (again.status_code, again.json()["status"]) == (201, "paid")
    assert Payment.objects.count() == SandboxCharge.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_with_one_key_charge_once():
    marta, api = make_customer(), Api()
    make_method(marta)

    responses = at_once(api, 8, lambda n, own: charge(own, marta, key="k-1"))

    statuses = [response.status_code for response in responses]
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert {r.json()["id"] for r in responses if r.status_code == 201} == {Payment.objects.get().pk}
    assert SandboxCharge.objects.count() == 1
    assert ledger_errors() == []


@pytest.mark.django_db(transaction=True)
def test_even_if_all_of_them_get_through_one_key_charges_once(monkeypatch):
    """The record of answers is one guard; the payment's own key is the other."""
    monkeypatch.setattr(idempotency, "once", lambda request, work: work())
    marta, api = make_customer(), Api()
    make_method(marta)

    responses = at_once(api, 4, lambda n, own: charge(own, marta, key="k-1"))

    assert {r.status_code for r in responses} == {201}
    assert Payment.objects.count() == SandboxCharge.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_control_without_a_key_each_of_them_charges():
    marta, api = make_customer(), Api()
    make_method(marta)

    responses = at_once(api, 4, lambda n, own: charge(own, marta))

    assert {r.status_code for r in responses} == {201}
    assert Payment.objects.count() == SandboxCharge.objects.count() == 4


# --- who may, and where --------------------------------------------------------------------------------------
def test_a_key_that_reads_charges_nothing_and_a_role_that_may_not_neither(marta, sue):
    for api in (Api(["read"]), Api(["billing:read"]), Api(["customers:write"])):
        refused(charge(api, marta), 403, "lacks the scope billing:write")
    refused(charge(Api(user=sue), marta), 403, "Your role does not allow this")
    assert nothing_charged()


def test_a_key_of_the_other_mode_sees_and_changes_nothing(api, marta):
    pk, live = charge(api, marta).json()["id"], Api(livemode=True)

    assert live.get("/payments").json()["count"] == 0
    assert live.get(f"/payments?customer={marta.pk}").json()["list"] == []
    refused(charge(live, marta), 404, "in live mode")
    refused(live.get(f"/payments/{pk}"), 404, "in live mode")
    refused(live.patch(f"/payments/{pk}", {"description": "x"}), 404, "in live mode")
    for action in ("capture", "release"):
        refused(live.post(f"/payments/{pk}/{action}"), 404, "in live mode")
    refused(live.post("/payments/record", asked(marta)), 404, "in live mode")
    assert Payment.objects.get().description == ""


@pytest.mark.parametrize("pk", ["pay_" + "0" * 24, "nonsense", "pay_\0", "x" * 300])
def test_an_id_that_is_nobodys_is_not_found(api, pk):
    response = api.get(f"/payments/{quote(pk)}")
    assert (response.status_code, code_of(response)) == (404, "resource_not_found")


def test_whoever_may_not_see_contact_data_does_not_see_it_here(api, marta, rita):
    pk = charge(api, marta, metadata={"door": "7"}).json()["id"]

    shown = Api(["read"], user=rita).get(f"/payments/{pk}").json()

    assert (shown["billing_email"], shown["metadata"]) == ("m•••@example.com", {"door": "•••"})
    assert (shown["billing_address"]["line1"], shown["billing_address"]["city"]) == ("•••", "Manila")


# --- two steps -----------------------------------------------------------------------------------------------
def test_a_charge_may_be_authorised_first_and_captured_in_part(api, marta):
    held = charge(api, marta, capture=False).json()
    assert (held["status"], held["amount_refundable"]) == ("authorized", 0)

    response = api.post(f"/payments/{held['id']}/capture", {"amount": 3000})

    assert (response.status_code, response.json()["status"], response.json()["amount"]) == (200, "paid", 3000)
    assert Event.objects.filter(object_id=held["id"], type="payment.paid").get().actor == "api"
    refused(api.post(f"/payments/{held['id']}/capture"), 409, "This payment is succeeded, not authorised. No money moved.")
    assert ledger_errors() == []


def test_a_malformed_amount_captures_nothing(api, marta):
    pk = charge(api, marta, capture=False).json()["id"]

    refused(api.post(f"/payments/{pk}/capture", {"amount": "all"}), 400, "amount", "amount")
    refused(api.post(f"/payments/{pk}/capture", {"amount": 4851}), 409, "Capture at most $48.50. No money moved.")
    refused(Api(["read"]).post(f"/payments/{pk}/capture"), 403, "lacks the scope")
    assert Payment.objects.get().status == "authorized"


def test_capturing_twice_with_one_key_captures_once_and_an_empty_body_takes_all(api, marta):
    pk = charge(api, marta, capture=False).json()["id"]

    first, second = (api.post(f"/payments/{pk}/capture", idempotency_key="c") for _ in range(2))

    assert (first.json()["status"], first.json()["amount"]) == ("paid", 4850)
    assert second.json() == first.json()
    assert Attempt.objects.filter(kind="capture").count() == 1


def test_an_authorised_payment_may_be_let_go(api, marta):
    pk = charge(api, marta, capture=False).json()["id"]

    assert api.post(f"/payments/{pk}/release").json()["status"] == "canceled"
    refused(api.post(f"/payments/{pk}/release"), 409, "canceled, not authorised")
    assert not CustomerTotal.objects.filter(collected__gt=0).exists()


# --- what may be written on one ------------------------------------------------------------------------------
def test_description_and_metadata_change_alone(api, marta):
    pk = charge(api, marta, description="Order 1001", metadata={"a": "1"}).json()["id"]

    response = api.patch(f"/payments/{pk}", {"metadata": {"b": "2"}, "amount": 1})

    assert (response.status_code, response["X-Disregarded-Fields"]) == (200, "amount")
    assert (response.json()["description"], response.json()["metadata"], response.json()["amount"]) == (
        "Order 1001",
        {"b": "2"},
        4850,
    )
    told = Event.objects.filter(object_id=pk, type="payment.updated").get()
    assert (told.actor, told.changes) == ("api", {"metadata": [{"a": "1"}, {"b": "2"}]})
    assert api.patch(f"/payments/{pk}", {"description": None}).json()["description"] == ""
    api.patch(f"/payments/{pk}", {"description": "x" * 501})
    assert Event.objects.filter(object_id=pk, type="payment.updated").count() == 2
    assert refused(Api(["read"]).patch(f"/payments/{pk}", {}), 403, "lacks the scope")


# --- money received elsewhere --------------------------------------------------------------------------------
def test_a_payment_made_elsewhere_is_recorded_and_brings_its_customer(api):
    body = {"name": "Jo Doe", "email": "Jo@Example.com", "amount": 4850, "currency": "USD", "product_type": "shopify"}
    body |= {"method_type": "cash", "paid_at": "2026-10-27T10:00:00Z", "merchant_reference_id": "1001"}

    first, second = api.post("/payments/record", body), api.post("/payments/record", body)

    shown, customer = first.json(), Customer.objects.get()
    assert (first.status_code, second.status_code) == (201, 201)
    assert (shown["status"], shown["product_type"], shown["method_type"], shown["gateway"]) == ("paid", "shopify", "cash", None)
    assert (shown["paid_at"], shown["customer_id"]) == ("2026-10-27T10:00:00.000Z", customer.pk)
    assert (customer.email, customer.origin, customer.name) == ("jo@example.com", "payment", "Jo Doe")
    assert CustomerTotal.objects.get(customer=customer).collected == 9700
    assert not Attempt.objects.exists()
    assert ledger_errors() == []


def test_the_email_it_was_paid_with_becomes_the_customers(api, marta):
    api.post("/payments/record", asked(marta, email="new@example.com"))
    marta.refresh_from_db()
    assert marta.email == "new@example.com"


def test_a_recorded_payment_pays_off_its_statement_once(api):
    statement = make_open_statement()
    body = {"billing_statement_id": statement.pk, "amount": 4860, "currency": "USD"}

    first, second = (api.post("/payments/record", body, idempotency_key="r") for _ in range(2))

    statement.refresh_from_db()
    assert (first.status_code, first.json()["product_type"], statement.status) == (201, "billing_statement", "paid")
    assert (second.json(), Payment.objects.count()) == (first.json(), 1)
    refused(api.post("/payments/record", body), 409, "It takes no payment, and none was recorded.")
    assert ledger_errors() == []


def test_a_crash_after_recording_and_a_repeat_record_once(api, monkeypatch):
    statement = make_open_statement()
    body = {"billing_statement_id": statement.pk, "amount": 4860, "currency": "USD"}
    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "_keep", lambda row, response: 1 / 0)
        assert api.post("/payments/record", body, idempotency_key="r").status_code == 500
    IdempotencyKey.objects.update(created_at=timezone.now() - 2 * idempotency.STALE)

    assert api.post("/payments/record", body, idempotency_key="r").json()["id"] == Payment.objects.get().pk


def test_a_refused_record_leaves_nothing_behind(api, marta):
    statement, body = make_open_statement(make_customer(email="b@example.com")), {"amount": 100, "currency": "USD"}
    customers = Customer.objects.count()

    late = (timezone.now() + timedelta(days=1)).isoformat()
    refused(api.post("/payments/record", body), 400, "customer_id is required.", "customer_id")
    refused(api.post("/payments/record", body | {"email": "c@example.com"}), 400, "name is required.", "name")
    refused(api.post("/payments/record", body | {"name": "C", "email": "c"}), 400, "email", "email")
    refused(api.post("/payments/record", asked(marta, paid_at=late)), 400, "yet to come", "paid_at")
    refused(api.post("/payments/record", asked(marta, paid_at="soon")), 400, "paid_at", "paid_at")
    refused(api.post("/payments/record", asked(marta, billing_statement_id=statement.pk)), 409, "another customer's")
    refused(api.post("/payments/record", asked(marta, billing_statement_id="bstm_" + "0" * 24)), 404, "No billing statement")
    refused(Api(["read"]).post("/payments/record", asked(marta)), 403, "lacks the scope")
    assert (Customer.objects.count(), Payment.objects.count()) == (customers, 0)


# --- lists ---------------------------------------------------------------------------------------------------
@pytest.fixture
def several(marta, max):
    """Payments of every kind, by three customers."""
    statement = make_open_statement(make_customer(first_name="Bo", email="bo@example.com"))
    record_payment(statement.customer, amount=4860, currency="USD", by=max, statement=statement)
    for number in (GOOD, DECLINED):
        request = make_request(marta, amount=9900, currency="EUR")
        attempt = checkouts.start_payment(request)
        submit_card(attempt, number)
        checkouts.settle_attempt(attempt)
    make_dispute(Payment.objects.filter(currency="EUR", status="paid").get())
    api = Api()
    for amount in (700, 4850, 12000):
        charge(api, marta, amount=amount, description="Espresso beans", capture=amount != 700)
    return marta


FILTERS = {  # query: how many rows
    "": 6,
    "status=paid": 4,
    "status=disputed&currency=EUR": 1,
    "product=api&amount_from=48.50&sort=amount": 2,
    "q=espresso&sort=-amount": 3,
}


@pytest.mark.parametrize("query", FILTERS)
def test_page_export_and_api_list_the_same(as_max, several, query):
    page = as_max.get(f"/billing/payments/?{query}").context["page"].rows
    content = b"".join(as_max.get(f"/billing/payments/?{query}&format=csv").streaming_content).decode("utf-8-sig")

    found = Api(["read"]).get(f"/payments?{query}").json()

    ids = [row["id"] for row in found["list"]]
    assert ids == [row.pk for row in page] == [row["id"] for row in csv.DictReader(StringIO(content))]
    assert (found["count"], found["paging"]) == (len(ids), {"page": 1, "pageSize": 20})
    assert len(ids) == FILTERS[query]


def test_the_list_is_paged_and_nonsense_is_named(api, several):
    found = api.get("/payments?pageSize=2&page=2&sort=amount&status=gone&created_from=yesterday&amount_from=x")

    assert set(found["X-Disregarded-Fields"].split(",")) == {"status", "created_from", "amount_from"}
    assert [row["amount"] for row in found.json()["list"]] == sorted(Payment.objects.values_list("amount", flat=True))[2:4]
    assert "attempts" not in found.json()["list"][0]


def test_a_longer_list_asks_the_database_no_more(api, marta):
    for n in range(10):
        record_payment(marta, amount=100 + n, currency="USD", by=None)
    api.get("/payments")
    counts = []
    for size in (3, 10):
        with CaptureQueriesContext(connection) as asked_for:
            assert len(api.get(f"/payments?pageSize={size}").json()["list"]) == size
        counts.append(len(asked_for))
    assert counts[0] == counts[1] <= 6


def test_one_payment_tells_its_refunds_disputes_and_attempts(api, marta):
    pk = charge(api, marta).json()["id"]
    api.post("/refunds", {"payment_id": pk, "amount": 1850, "reason": "others"})
    make_dispute(Payment.objects.get())

    shown = api.get(f"/payments/{pk}").json()

    assert [(r["amount"], r["status"]) for r in shown["refunds"]] == [(1850, "succeeded")]
    assert (shown["amount_refunded"], shown["amount_refundable"], shown["dispute"]) == (1850, 3000, "open")
    assert [d["status"] for d in shown["disputes"]] == ["open"]
    assert [(a["kind"], a["state"]) for a in shown["attempts"]] == [("refund", "done"), ("charge", "done")]
    assert "url" not in json.dumps(shown["attempts"])
