"""Invoices of subscriptions through the API: listed, charged at once, ended."""

import csv
import io

import pytest

from billing.domain.invoicing import bill_due
from billing.gateways.sandbox.models import SandboxCharge
from billing.models import Payment
from billing.tests.factories import make_customer, make_method, make_open_statement, make_subscription
from dashboard.api_models import IdempotencyKey
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db
PATH = "/invoices"
DECLINES_LATER = "4000000000000341"


@pytest.fixture
def api(db):
    return Api()


def make_invoice(number="4242424242424242", customer=None, **fields):
    """An open invoice of $29.00 of a subscription that is charged to a listed card."""
    customer = customer or make_customer()
    make_method(customer, number=number)
    subscription = make_subscription(customer, **fields)
    bill_due()
    return subscription.invoices.get()


def test_an_invoice_says_which_period_of_what_it_bills(api):
    invoice = make_invoice()

    shown = api.get(f"{PATH}/{invoice.pk}").json()

    assert (shown["object"], shown["number"], shown["total"]) == ("invoice", invoice.number, 2900)
    assert shown["subscription_id"] == invoice.subscription_id
    assert (shown["period_start"], shown["period_end"]) == (str(invoice.period_start), str(invoice.period_end))
    assert (shown["billing"], shown["billing_reason"], shown["charges_failed"]) == ("pay_automatically", "subscription_create", 0)
    assert shown["next_charge_at"] is not None
    assert api.get(f"/billing_statements/{invoice.pk}").json() == shown


def test_invoices_and_statements_have_lists_of_their_own(api, as_max):
    invoice, statement = make_invoice(), make_open_statement(make_customer(email="bo@example.com"))

    def ids(path):
        return [row["id"] for row in api.get(path).json()["list"]]

    assert ids(PATH) == [invoice.pk]
    assert ids("/billing_statements") == [statement.pk]
    assert ids("/billing_statements?bills=all") == [statement.pk, invoice.pk]
    assert api.get(f"{PATH}/{statement.pk}").status_code == 404


@pytest.mark.parametrize(
    "query, count",
    [("", 2), ("status=paid", 0), ("billing=send_invoice", 1), ("subscription={sub}", 1), ("q=beans&sort=total", 2)],
)
def test_page_file_and_api_have_the_same_rows(api, as_max, query, count):
    first = make_invoice()
    make_invoice(customer=make_customer(email="bo@example.com"), billing="send_invoice", amount=900)
    query = query.format(sub=first.subscription_id)

    shown = [row["id"] for row in api.get(f"{PATH}?{query}").json()["list"]]

    page = as_max.get(f"/billing/invoices/?{query}").context["page"].rows
    text = b"".join(as_max.get(f"/billing/invoices/?{query}&format=csv").streaming_content).decode("utf-8-sig")
    assert len(shown) == count
    assert shown == [row.pk for row in page] == [row["id"] for row in csv.DictReader(io.StringIO(text))]


def test_an_invoice_is_charged_once_for_one_key(api):
    """Even when the stored answer is lost. The control: without a key the second try is another charge, and refused."""
    invoice = make_invoice()

    first = api.post(f"{PATH}/{invoice.pk}/pay", idempotency_key="pay-1")
    IdempotencyKey.objects.all().delete()
    again = api.post(f"{PATH}/{invoice.pk}/pay", idempotency_key="pay-1")

    assert (first.status_code, again.status_code) == (200, 200)
    assert (first.json()["status"], first.json()["amount_remaining"]) == ("paid", 0)
    assert first.json()["payment"]["status"] == "paid"
    assert first.json()["payment"]["id"] == again.json()["payment"]["id"]
    assert (Payment.objects.count(), SandboxCharge.objects.filter(status="succeeded").count()) == (1, 1)
    refused = api.post(f"{PATH}/{invoice.pk}/pay")
    assert (refused.status_code, detail_of(refused)) == (409, "This is paid already. No further money moved.")


def test_a_decline_is_no_error_and_says_why(api):
    invoice = make_invoice(DECLINES_LATER)

    response = api.post(f"{PATH}/{invoice.pk}/pay")

    shown = response.json()
    assert (response.status_code, shown["status"], shown["payment"]["status"]) == (200, "open", "failed")
    assert shown["payment"]["failure_message"]
    assert Event.objects.filter(object_id=shown["payment"]["id"], actor="api").exists()


def test_an_invoice_is_voided_or_given_up(api):
    one, other = make_invoice(), make_invoice(customer=make_customer(email="bo@example.com"))

    assert api.post(f"{PATH}/{one.pk}/void", {"reason": "Wrong plan"}).json()["status"] == "void"
    assert api.post(f"{PATH}/{other.pk}/mark_uncollectible").json()["status"] == "uncollectible"
    assert api.post(f"{PATH}/{one.pk}/void").status_code == 400
    assert api.post(f"{PATH}/{one.pk}/pay").status_code == 409
    assert Event.objects.get(object_id=one.pk, type="billing_statement.void").actor == "api"


def test_other_modes_and_lesser_keys_charge_nothing(api, sue):
    invoice, live = make_invoice(), Api(livemode=True)
    path = f"{PATH}/{invoice.pk}"

    assert live.get(PATH).json()["count"] == 0
    for action in ("pay", "void", "mark_uncollectible"):
        said = {"reason": "x"}
        assert live.post(f"{path}/{action}", said).status_code == 404
        assert Api(scopes=["read"]).post(f"{path}/{action}", said).status_code == 403
        assert code_of(Api(user=sue).post(f"{path}/{action}", said)) == "permission_denied"
    assert live.get(path).status_code == 404
    assert not Payment.objects.exists()
