"""Asking a customer for money: two steps, one link, and what staff may do with it afterwards."""

import re

import pytest
from django.utils import timezone

from billing.models import PaymentRequest
from billing.templatetags.billing import qr_svg
from billing.tests.factories import make_customer, make_request
from customers.domain import archive_customer
from dashboard.models import Event

pytestmark = pytest.mark.django_db
KEY = "0" * 32


@pytest.fixture
def marta(db):
    return make_customer()


def url_of(customer):
    return f"/customers/{customer.pk}/request-payment/"


def typed(**fields):
    """What the form of step 2 sends."""
    given = {"amount_currency": "USD", "country": "PH", "expires": "20160", "method": ["card"], "form_key": KEY}
    return given | {"amount": "48.50", "description": "Wholesale order", "merchant_reference_id": "PO 7"} | fields


def names_in(page):
    return set(re.findall(r'name="([a-z_0-9]+)"', page))


def ask(client, customer, **fields):
    return client.post(f"{url_of(customer)}?step=2", typed(**fields))


# --- step 1 -------------------------------------------------------------------------------------------------
def test_step_one_offers_the_methods_a_gateway_of_this_mode_takes(as_max, marta):
    page = as_max.get(url_of(marta)).content.decode()
    assert re.findall(r'type="checkbox" name="method" value="(\w+)" checked', page) == ["card", "bank_account"]


def test_next_without_a_method_stays_and_says_so(as_max, marta):
    response = as_max.get(url_of(marta), {"step": "2"})
    assert response.status_code == 422
    assert "Choose at least one way to pay." in response.content.decode()
    assert as_max.get(url_of(marta), {"step": "2", "method": "gold"}).status_code == 422


def test_back_keeps_the_methods_chosen_and_all_that_was_typed(as_max, marta):
    half = typed(amount="48.5x", coupon="nope", authorize_only="on", metadata_key=["order"], metadata_value=["7 & 8"])
    step_one = as_max.post(f"{url_of(marta)}?step=2", half | {"back": "1"}).content.decode()
    assert re.findall(r'name="method" value="(\w+)" checked', step_one) == ["card"]

    carried = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', step_one))
    assert carried["next"] == "1"
    again = as_max.post(f"{url_of(marta)}?step=2", carried | {"method": ["card", "bank_account"]}).content.decode()
    for kept in ('value="48.5x"', 'value="Wholesale order"', 'value="PO 7"', 'value="nope"', 'value="order"', f'value="{KEY}"'):
        assert kept in again, kept
    assert re.search(r'name="authorize_only"[^>]* checked', again)
    assert re.findall(r'name="method" value="(\w+)"', again) == ["card", "bank_account"]
    assert not PaymentRequest.objects.exists()


def test_back_and_next_without_a_method_keep_what_was_typed(as_max, marta):
    response = as_max.post(f"{url_of(marta)}?step=2", {"next": "1", "amount": "12.50", "description": "Beans"})
    assert response.status_code == 422
    page = response.content.decode()
    assert "Choose at least one way to pay." in page
    assert 'name="amount" value="12.50"' in page
    assert 'name="description" value="Beans"' in page


def test_step_two_starts_with_the_customers_currency_and_country(as_max, marta):
    page = as_max.get(url_of(marta), {"step": "2", "method": "card"}).content.decode()
    assert '<option value="PH" selected>' in page
    assert re.search(r'<option value="USD"[^>]* selected', page)
    assert '<option value="20160" selected>In 14 days' in page
    assert names_in(page) >= set(typed())


def test_looking_at_the_form_writes_nothing(as_max, marta):
    events = Event.objects.count()
    for query in ({}, {"step": "2"}, {"step": "2", "method": "card"}):
        as_max.get(url_of(marta), query)
    assert Event.objects.count() == events
    assert not PaymentRequest.objects.exists()


# --- step 2 -------------------------------------------------------------------------------------------------
def test_creating_shows_the_link_to_send(as_max, max, marta):
    response = ask(as_max, marta)
    made = PaymentRequest.objects.get()
    assert response.url == f"{made.get_absolute_url()}?created=1"
    assert (made.amount, made.currency, made.country, made.method_types) == (4850, "USD", "PH", ["card"])
    assert (made.created_by, made.customer, made.livemode) == (max, marta, False)
    assert 13 <= (made.expires_at - timezone.now()).days <= 14
    page = as_max.get(response.url).content.decode()
    assert "Checkout page created" in page
    assert f'value="{made.url}"' in page
    assert Event.objects.get(object_id=made.pk).by == max


def test_the_dialog_is_shown_once_and_the_link_stays(as_max, marta):
    ask(as_max, marta)
    made = PaymentRequest.objects.get()
    page = as_max.get(made.get_absolute_url()).content.decode()
    assert "Checkout page created" not in page
    assert f'value="{made.url}"' in page


@pytest.mark.parametrize("missing", [{"amount": ""}, {"country": ""}, {"amount_currency": "XXX"}], ids=str)
def test_amount_country_and_currency_are_needed(as_max, marta, missing):
    response = ask(as_max, marta, **missing)
    assert response.status_code == 422
    assert response.context["form"].errors
    assert not PaymentRequest.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": "NaN"},
        {"amount": "-5"},
        {"amount": "1e9"},
        {"amount": "0"},
        {"amount": "0.001"},
        {"amount": "9" * 20},
        {"amount": "10.5", "amount_currency": "JPY"},
        {"amount": "0.01"},
        {"country": "ZZ"},
        {"expires": "1"},
        {"expires": "9999999"},
        {"method": ["gold"]},
        {"method": []},
        {"form_key": "x"},
        {"form_key": ""},
        {"description": "a\0b"},
        {"description": "x" * 501},
        {"description": "Card 4242 4242 4242 4242"},
        {"merchant_reference_id": "x" * 256},
        {"metadata_key": ["a", "a"], "metadata_value": ["1", "2"]},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_said_at_the_form_and_nothing_is_made(as_max, marta, wrong):
    response = ask(as_max, marta, **wrong)
    assert response.status_code == 422
    assert 'class="error"' in response.content.decode() or "note-bad" in response.content.decode()
    assert not PaymentRequest.objects.exists()


def test_an_amount_is_read_as_people_write_it(as_max, marta):
    ask(as_max, marta, amount="4,850.00")
    assert PaymentRequest.objects.get().amount == 485_000


def test_sending_the_same_form_twice_makes_one_request(as_max, marta):
    assert ask(as_max, marta).url == ask(as_max, marta).url
    assert PaymentRequest.objects.count() == 1
    assert Event.objects.filter(type="payment_request.created").count() == 1


def test_asking_for_the_same_amount_again_is_noticed(as_max, marta):
    first = make_request(marta)
    response = ask(as_max, marta)
    assert response.status_code == 409
    assert first.get_absolute_url() in response.content.decode()
    assert PaymentRequest.objects.count() == 1
    assert ask(as_max, marta, again="1").status_code == 302
    assert PaymentRequest.objects.count() == 2


def test_another_amount_currency_or_customer_is_no_repetition(as_max, marta):
    make_request(marta, amount=4851)
    make_request(marta, currency="PHP", amount=4850)
    make_request(make_customer(first_name="Ana"))
    assert ask(as_max, marta).status_code == 302


# --- who may, and when -----------------------------------------------------------------------------------------
def test_customer_service_and_reporting_may_not_ask_for_money(as_sue, as_rita, marta):
    for client in (as_sue, as_rita):
        assert client.get(url_of(marta)).status_code == 403
        assert ask(client, marta).status_code == 403
        assert "Request payment" not in client.get(marta.get_absolute_url()).content.decode()
    assert not PaymentRequest.objects.exists()


def test_an_archived_customer_is_asked_for_nothing(as_max, max, marta):
    archive_customer(marta, by=max)
    assert "Restore the customer first." in as_max.get(url_of(marta)).content.decode()
    response = ask(as_max, marta)
    assert response.status_code == 422
    assert "is archived" in response.content.decode()
    assert not PaymentRequest.objects.exists()


def test_live_mode_has_no_sandbox_to_pay_in(as_max):
    live = make_customer(livemode=True)
    as_max.post("/mode/", {"mode": "live"})
    assert "No payment gateway takes USD in live mode" in as_max.get(url_of(live)).content.decode()
    assert ask(as_max, live).status_code == 422
    assert not PaymentRequest.objects.exists()


def test_a_warning_about_the_customer_follows_here(as_max, max, marta):
    from customers.domain import add_comment

    add_comment(marta, body="Disputes everything.", by=max, pinned=True)
    assert "Disputes everything." in as_max.get(url_of(marta)).content.decode()


# --- afterwards --------------------------------------------------------------------------------------------------
def test_canceling_ends_the_link_and_is_recorded(as_max, max):
    request = make_request()
    page = as_max.get(f"{request.get_absolute_url()}cancel/").content.decode()
    assert "No money moves" in page
    as_max.post(f"{request.get_absolute_url()}cancel/")
    request.refresh_from_db()
    assert request.status == "canceled"
    assert Event.objects.filter(object_id=request.pk, by=max).latest().changes["status"] == ["new", "canceled"]
    assert request.url not in as_max.get(request.get_absolute_url()).content.decode()


def test_canceling_twice_says_that_it_is_over(as_max):
    request = make_request()
    as_max.post(f"{request.get_absolute_url()}cancel/")
    again = as_max.post(f"{request.get_absolute_url()}cancel/")
    assert again.status_code == 422
    assert "canceled already" in again.content.decode()


def test_looking_at_cancel_changes_nothing(as_max):
    request = make_request()
    as_max.get(f"{request.get_absolute_url()}cancel/")
    request.refresh_from_db()
    assert request.status == "new"


def test_only_those_who_ask_for_money_may_cancel(as_sue, as_rita):
    request = make_request()
    for client in (as_sue, as_rita):
        assert client.post(f"{request.get_absolute_url()}cancel/").status_code == 403
        assert "Cancel request" not in client.get(request.get_absolute_url()).content.decode()


def test_the_link_is_for_those_who_talk_to_customers(as_sue, as_rita):
    request = make_request()
    assert request.url in as_sue.get(request.get_absolute_url()).content.decode()
    for query in ({}, {"created": "1"}):
        assert request.token not in as_rita.get(request.get_absolute_url(), query).content.decode()
    assert as_rita.get(f"{request.get_absolute_url()}qr.svg").status_code == 403


def test_the_qr_code_is_a_plain_picture(as_sue):
    request = make_request()
    response = as_sue.get(f"{request.get_absolute_url()}qr.svg")
    assert response["Content-Type"] == "image/svg+xml"
    assert response.content.decode() == qr_svg(request.url)
    assert not re.search(r"style=|<script|href=|data:", response.content.decode())
    assert qr_svg(request.url) != qr_svg(f"{request.url}x")
