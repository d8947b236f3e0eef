"""Card tokenization links through the API: made once, told with their URL to whom the page tells it, sent, ended."""

import csv
from datetime import timedelta
from io import StringIO

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from billing.api.links import EXAMPLE
from billing.domain.card_links import OUT_OF_BOUNDS, cancel_card_link
from billing.models import TokenizationLink
from billing.tests.factories import make_card_link, make_customer
from billing.tests.test_card_links import lapsed
from billing.tests.test_card_links import used as saved
from customers.domain import archive_customer
from dashboard.mail_models import Mail
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def marta(db):
    return make_customer()


def parameter_of(response):
    return response.json()["errors"][0].get("parameter")


# --- made ----------------------------------------------------------------------------------------------------
def test_a_link_is_made_and_its_url_opens_the_payers_page(api, marta):
    response = api.post("/tokenization_links", {"customer_id": marta.pk, "description": "For the plan", "make_default": True})

    assert response.status_code == 201
    shown = response.json()
    assert list(shown) == [*EXAMPLE, "url"]
    assert (shown["object"], shown["status"], shown["customer_id"], shown["livemode"]) == (
        "tokenization_link", "new", marta.pk, False,
    )  # fmt: skip
    assert (shown["description"], shown["make_default"], shown["gateway_type"]) == ("For the plan", True, "sandbox")
    days = parse_datetime(shown["expires_at"]) - timezone.now()
    assert timedelta(days=13, hours=23) < days < timedelta(days=14)
    page = Client().get("/" + shown["url"].split("/", 3)[3])
    assert (page.status_code, "For the plan" in page.text) == (200, True)
    event = Event.objects.get(type="tokenization_link.created")
    assert (event.actor, event.object_id) == ("api", shown["id"])


def test_it_says_how_long_it_works(api, marta):
    def lasts(**body):
        shown = api.post("/tokenization_links", {"customer_id": marta.pk} | body).json()
        return parse_datetime(shown["expires_at"]) - timezone.now()

    until = timezone.now() + timedelta(days=2)
    assert timedelta(minutes=59) < lasts(expires_in=3600) < timedelta(minutes=61)
    assert timedelta(days=1, hours=23) < lasts(expires_at=until.isoformat()) <= timedelta(days=2)
    assert timedelta(days=13) < lasts(expires_in="soon")  # malformed: the usual time


@pytest.mark.parametrize("seconds", [-5, 0, 10, 31 * 24 * 3600, 10**9])
def test_other_times_are_refused_with_the_sentence_of_the_page(api, marta, as_max, seconds):
    response = api.post("/tokenization_links", {"customer_id": marta.pk, "expires_in": seconds})

    assert (response.status_code, detail_of(response)) == (409, OUT_OF_BOUNDS)
    form = {"gateway": "sandbox", "length": "31", "unit": "days", "form_key": "a" * 32}
    assert OUT_OF_BOUNDS in as_max.post(reverse("customer_billing:card_link_new", args=[marta.pk]), form).text
    assert not TokenizationLink.objects.exists()


def test_whom_it_asks_must_be_said(api):
    missing, unknown = api.post("/tokenization_links", {}), api.post("/tokenization_links", {"customer_id": "cus_0"})

    assert (missing.status_code, code_of(missing), parameter_of(missing)) == (400, "parameter_required", "customer_id")
    assert unknown.status_code == 404


def test_an_archived_customer_is_not_asked(api, marta):
    archive_customer(marta, by=None)

    response = api.post("/tokenization_links", {"customer_id": marta.pk})

    assert (response.status_code, detail_of(response)) == (409, "Marta Santos is archived. Restore the customer first.")
    assert not TokenizationLink.objects.exists()


def test_where_no_gateway_saves_cards_the_answer_says_so(db):
    customer = make_customer(livemode=True)

    response = Api(livemode=True).post("/tokenization_links", {"customer_id": customer.pk})

    assert response.status_code == 409
    assert detail_of(response) == "No payment gateway of live mode saves cards of customers billed in USD."


def test_the_same_idempotency_key_makes_one_link(api, marta):
    first = api.post("/tokenization_links", {"customer_id": marta.pk}, idempotency_key="l-1")
    again = api.post("/tokenization_links", {"customer_id": marta.pk}, idempotency_key="l-1")

    assert (first.status_code, again.json()) == (201, first.json())
    assert TokenizationLink.objects.count() == 1
    api.post("/tokenization_links", {"customer_id": marta.pk})
    assert TokenizationLink.objects.count() == 2


# --- told ----------------------------------------------------------------------------------------------------
def test_the_url_is_told_as_long_as_the_page_tells_it_and_never_in_lists(api, marta, rita):
    link, over, done = make_card_link(marta), lapsed(), saved()

    assert api.get(f"/tokenization_links/{link.pk}").json()["url"] == link.url
    assert api.get(f"/tokenization_links/{over.pk}").json()["url"] is None
    assert api.get(f"/tokenization_links/{done.pk}").json()["url"] is None
    assert Api(user=rita).get(f"/tokenization_links/{link.pk}").json()["url"] is None
    listed = api.get("/tokenization_links")
    assert [sorted(row) for row in listed.json()["list"]] == [sorted(EXAMPLE)] * 3
    assert link.token not in listed.content.decode()
    archive_customer(marta, by=None)
    assert api.get(f"/tokenization_links/{link.pk}").json()["url"] is None


def test_a_used_link_names_the_source_that_was_saved(api):
    link = saved()

    shown = api.get(f"/tokenization_links/{link.pk}").json()

    assert (shown["status"], shown["payment_source_id"]) == ("done", link.method.pk)
    assert shown["completed_at"]


def test_links_that_staff_made_for_themselves_are_unknown_here(api, marta):
    own = make_card_link(marta, by_staff=True)

    assert api.get(f"/tokenization_links/{own.pk}").status_code == 404
    assert api.get("/tokenization_links").json()["count"] == 0


def test_contact_data_is_masked_for_reporting(marta, rita):
    link = make_card_link(marta)

    assert Api(user=rita).get(f"/tokenization_links/{link.pk}").json()["customer_email"] != marta.email
    assert Api().get(f"/tokenization_links/{link.pk}").json()["customer_email"] == marta.email


def test_a_live_key_neither_sees_nor_ends_a_test_link(api, marta):
    link, live = make_card_link(marta), Api(livemode=True)

    asked = [live.get(f"/tokenization_links/{link.pk}"), live.post("/tokenization_links", {"customer_id": marta.pk})]
    asked += [live.post(f"/tokenization_links/{link.pk}/cancel"), live.post(f"/tokenization_links/{link.pk}/send", {})]

    assert [response.status_code for response in asked] == [404] * 4
    assert live.get("/tokenization_links").json()["count"] == 0
    link.refresh_from_db()
    assert (link.status, Mail.objects.count()) == ("new", 0)


# --- the list ------------------------------------------------------------------------------------------------
@pytest.fixture
def several(db):
    zoe = make_customer(first_name="Zoe", last_name="Ang", email="zoe@example.com")
    made = {"open": make_card_link(zoe, description="Monthly plan"), "lapsed": lapsed(), "done": saved()}
    made["canceled"] = make_card_link(zoe, expires_at=timezone.now() + timedelta(days=2))
    cancel_card_link(made["canceled"], by=None)
    make_card_link(zoe, by_staff=True)
    return {link.pk: name for name, link in made.items()} | {"zoe": zoe.pk}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "canceled done lapsed open"),
        ("status=new", "open"),
        ("status=expired", "lapsed"),
        ("status=done", "done"),
        ("q=zoe", "canceled open"),
        ("customer={zoe}", "canceled open"),
        ("gateway=sandbox&status=canceled", "canceled"),
        ("sort=expires_at&q=zoe", "canceled open"),
        ("expires_to=2020-01-01", ""),
    ],
)
def test_list_page_csv_and_api_have_the_same_rows(api, as_max, several, query, names):
    query = query.format(**{"zoe": several["zoe"]})
    shown = api.get(f"/tokenization_links?{query}").json()
    page = as_max.get(f"/billing/tokenization-links/?{query}").text
    answer = as_max.get(f"/billing/tokenization-links/?{query}&format=csv")
    written = list(csv.DictReader(StringIO(answer.getvalue().decode().lstrip("\ufeff"))))

    found = [row["id"] for row in shown["list"]]
    assert " ".join(several[pk] for pk in found) == names
    assert shown["count"] == len(found)
    assert {pk for pk in several if f"/tokenization-links/{pk}/" in page} == set(found)
    assert [row["id"] for row in written] == found
    assert [row["status"] for row in written] == [row["status"] for row in shown["list"]]


def test_the_list_costs_the_same_however_long_it_is(api):
    def cost():
        with CaptureQueriesContext(connection) as asked:
            assert api.get("/tokenization_links").status_code == 200
        return len(asked)

    for number in range(3):
        make_card_link(make_customer(email=f"c{number}@example.com"))
    api.get("/tokenization_links")  # the key's first use is noted
    few = cost()
    for number in range(3, 10):
        make_card_link(make_customer(email=f"c{number}@example.com"))

    assert cost() == few


# --- ended and sent ------------------------------------------------------------------------------------------
def test_a_canceled_link_saves_no_card(api, marta):
    link = make_card_link(marta)

    response = api.post(f"/tokenization_links/{link.pk}/cancel")
    again = api.post(f"/tokenization_links/{link.pk}/cancel")

    assert (response.status_code, response.json()["status"], response.json()["url"]) == (200, "canceled", None)
    assert (again.status_code, detail_of(again)) == (409, "This link is canceled already.")
    assert Event.objects.get(type="tokenization_link.canceled").actor == "api"


def test_a_used_link_cannot_be_canceled_and_the_page_says_the_same(api, as_max):
    link = saved()

    response = api.post(f"/tokenization_links/{link.pk}/cancel")

    assert response.status_code == 409
    assert detail_of(response) in as_max.post(f"/billing/tokenization-links/{link.pk}/cancel/").text


def test_a_link_is_mailed_to_the_customer_or_to_somebody_else(api, marta):
    link = make_card_link(marta)

    first = api.post(f"/tokenization_links/{link.pk}/send", {"message": "As agreed."})
    api.post(f"/tokenization_links/{link.pk}/send", {"to": "Office@Example.com"})

    assert (first.status_code, bool(first.json()["sent_at"])) == (200, True)
    assert list(Mail.objects.order_by("id").values_list("to", flat=True)) == ["marta@example.com", "office@example.com"]
    mail = Mail.objects.earliest("id")
    assert "As agreed." in mail.text
    assert link.token not in mail.text
    assert Event.objects.filter(type="tokenization_link.sent", actor="api").count() == 2


def test_a_malformed_address_is_an_error_and_nothing_is_sent(api, marta):
    link = make_card_link(marta)

    response = api.post(f"/tokenization_links/{link.pk}/send", {"to": "nobody"})

    assert (response.status_code, code_of(response), parameter_of(response)) == (400, "parameter_invalid", "to")
    assert not Mail.objects.exists()


def test_a_link_that_is_over_is_not_sent_and_the_page_says_the_same(api, as_max):
    link = lapsed()

    response = api.post(f"/tokenization_links/{link.pk}/send", {})

    assert response.status_code == 409
    assert detail_of(response) in as_max.get(f"/billing/tokenization-links/{link.pk}/send/").text
    assert not Mail.objects.exists()


def test_the_same_idempotency_key_sends_once(api, marta):
    link = make_card_link(marta)

    for _ in range(2):
        assert api.post(f"/tokenization_links/{link.pk}/send", {}, idempotency_key="m-1").status_code == 200

    assert Mail.objects.count() == 1


# --- who may -------------------------------------------------------------------------------------------------
def test_reading_keys_read_and_do_not_write(marta):
    link, api = make_card_link(marta), Api(scopes=["read"])

    asked = [api.post("/tokenization_links", {"customer_id": marta.pk}), api.post(f"/tokenization_links/{link.pk}/cancel")]
    asked += [api.post(f"/tokenization_links/{link.pk}/send", {})]

    assert [response.status_code for response in asked] == [403] * 3
    assert api.get(f"/tokenization_links/{link.pk}").status_code == 200


def test_a_personal_token_may_what_its_person_may(marta, sue, rita):
    body = {"customer_id": marta.pk}

    assert Api(user=sue).post("/tokenization_links", body).status_code == 201
    assert Api(user=rita).post("/tokenization_links", body).status_code == 403
    assert TokenizationLink.objects.get().created_by == sue
