"""The virtual terminal: charging a customer at once. What moves, what does not, and what staff read of it."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from billing import gateways
from billing.domain import checkouts
from billing.domain.ledger import ledger_errors
from billing.gateways.base import OutcomeUnknown
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout
from billing.models import Attempt, Payment, PaymentMethod, PaymentRequest
from billing.tests.factories import DECLINED, GOOD, make_customer, make_method, submit_card
from customers.domain import add_comment, archive_customer
from dashboard.models import Event

pytestmark = pytest.mark.django_db
KEY, MASTERCARD = "0" * 32, "5555555555554444"
REASON = "The bank declined the card without giving a reason. No money moved. Use another card."


@pytest.fixture
def marta(db):
    return make_customer()


def url_of(customer):
    return f"/customers/{customer.pk}/charge/"


def typed(method, /, **fields):
    given = {"method": getattr(method, "pk", method), "amount": "48.50", "amount_currency": "USD", "country": "PH"}
    return given | {"description": "Order 7", "form_key": KEY} | fields


def charge(client, customer, method, /, **fields):
    return client.post(url_of(customer), typed(method, **fields))


def page_of(client, customer, **query):
    response = client.get(url_of(customer), query)
    assert response.status_code == 200
    return response.content.decode()


def refused(response):
    """The page of a refused form, which always says that no money moved."""
    assert response.status_code == 422
    html = response.content.decode()
    assert re.search("[Nn]o (further )?money moved", html)
    return html


# --- the form -----------------------------------------------------------------------------------------------------
def test_the_form_offers_the_methods_on_file_with_the_default_chosen(as_max, marta):
    make_method(marta, number=MASTERCARD)
    default = make_method(marta, make_default=True)
    make_method(make_customer(first_name="Ana"), number="378282246310005")

    html = page_of(as_max, marta)

    assert re.findall(r'value="([^"]+)" checked', html) == [default.pk]
    assert "Mastercard •••• 4444" in html
    assert "0005</b>" not in html
    assert "A test card" in html
    assert "Open the gateway’s page now" in html
    assert '<optgroup label="Fails">' in html
    assert '<option value="PH" selected>' in html
    assert re.search(r'<option value="USD"[^>]* selected', html)
    assert '<h2 id="vt-title">Create payment</h2>' in html
    assert "<title>Virtual terminal" in html


def test_the_form_is_filled_in_from_its_address(as_max, marta):
    make_method(marta)
    asked = make_method(marta, number=MASTERCARD)
    html = page_of(as_max, marta, method=asked.pk, amount="1,200.50", currency="PHP", description="Order 8", reference="PO 9")
    assert re.findall(r'value="([^"]+)" checked', html) == [asked.pk]
    for value in ("1,200.50", "Order 8", "PO 9"):
        assert f'value="{value}"' in html
    assert re.search(r'<option value="PHP"[^>]* selected', html)
    assert page_of(as_max, marta, amount="x", currency="??", method="nothing")


def test_a_customer_with_nothing_on_file_starts_with_the_gateways_page(as_max, marta):
    assert re.findall(r'value="([^"]+)" checked', page_of(as_max, marta)) == ["page"]


def test_an_expired_card_is_shown_and_cannot_be_chosen(as_max, marta):
    make_method(marta, expire_year=2020)
    html = page_of(as_max, marta)
    assert "Visa •••• 4242" in html
    assert re.findall(r'value="([^"]+)" checked', html) == ["page"]
    assert html.count("disabled>") == 1


def test_looking_at_the_form_writes_nothing(as_max, marta):
    events = Event.objects.count()
    page_of(as_max, marta)
    assert (Event.objects.count(), Payment.objects.count()) == (events, 0)


def test_pinned_warnings_stand_above_the_form(as_max, max, marta):
    add_comment(marta, body="Disputes everything.", by=max, pinned=True)
    assert "Disputes everything." in page_of(as_max, marta)


# --- what comes of a charge --------------------------------------------------------------------------------------------
def test_a_stored_card_is_charged_and_the_payment_has_a_receipt(as_max, max, marta):
    method = make_method(marta)

    response = charge(
        as_max, marta, method, statement_descriptor="SANTOS", merchant_reference_id="PO 7",
        metadata_key=["order"], metadata_value=["7"],
    )  # fmt: skip

    payment = Payment.objects.get()
    assert response.url == payment.get_absolute_url()
    assert (payment.status, payment.amount, payment.currency, payment.source) == ("paid", 4850, "USD", method)
    assert (payment.product_type, payment.created_by, payment.customer) == ("virtual_terminal", max, marta)
    assert (payment.statement_descriptor, payment.merchant_reference_id, payment.metadata) == ("SANTOS", "PO 7", {"order": "7"})
    assert payment.custom_fields == {"Payer’s country": "Philippines"}
    html = as_max.get(response.url).content.decode()
    assert "$48.50 was charged to Visa •••• 4242." in html
    assert f"{payment.get_absolute_url()}receipt.pdf" in html
    assert method.get_absolute_url() in html
    assert Event.objects.get(type="payment.created").by == max
    assert ledger_errors() == []


def test_a_decline_says_why_and_what_to_do_next(as_max, marta):
    response = charge(as_max, marta, make_method(marta, number="4000000000000341"), merchant_reference_id="PO 7")

    payment = Payment.objects.get()
    assert (payment.status, payment.failure_message, payment.method) == ("failed", REASON, "Visa •••• 0341")
    html = as_max.get(response.url).content.decode()
    assert REASON in html
    asked = "?amount=48.50&amp;currency=USD&amp;description=Order%207&amp;reference=PO%207"
    assert f'href="{url_of(marta)}{asked}"' in html
    assert f'href="/customers/{marta.pk}/request-payment/{asked}"' in html
    assert f'href="/customers/{marta.pk}/card-links/new/"' in html
    assert "was charged" not in html


def test_customer_service_reads_of_a_decline_only_the_steps_it_may_take(as_max, as_sue, as_rita, marta):
    url = charge(as_max, marta, make_method(marta, number="4000000000000341")).url
    html = as_sue.get(url).content.decode()
    assert url_of(marta) not in html
    assert f"/customers/{marta.pk}/card-links/new/" in html
    assert f"/customers/{marta.pk}/card-links/new/" not in as_rita.get(url).content.decode()


def test_two_steps_authorise_first(as_max, marta):
    response = charge(as_max, marta, make_method(marta), two_step="on")

    payment = Payment.objects.get()
    assert payment.status == "authorized"
    html = as_max.get(response.url).content.decode()
    assert "$48.50 is authorised on Visa •••• 4242. Capture it to be paid." in html
    for path in ("capture/", "release/"):
        assert f"{payment.get_absolute_url()}{path}" in html
    as_max.post(f"{payment.get_absolute_url()}capture/", {"amount": "48.50", "amount_currency": "USD"})
    payment.refresh_from_db()
    assert payment.status == "paid"


def test_an_answer_that_does_not_come_is_being_checked_and_not_to_be_repeated(as_max, marta, monkeypatch):
    def silence(self, request, *, key):
        raise OutcomeUnknown("The gateway did not answer in time.")

    monkeypatch.setattr(SandboxGateway, "charge", silence)
    response = charge(as_max, marta, make_method(marta))
    assert Payment.objects.get().status == "pending"
    html = as_max.get(response.url).content.decode()
    assert "This is being checked with the bank." in html
    assert "Do not try again" in html
    assert "was charged" not in html


# --- a test card ----------------------------------------------------------------------------------------------------
def test_a_test_card_is_charged_and_not_kept_unless_asked(as_max, marta):
    charge(as_max, marta, "test_card", card=GOOD)
    assert Payment.objects.get().status == "paid"
    assert not PaymentMethod.objects.exists()

    charge(as_max, marta, "test_card", card=MASTERCARD, save_card="on", form_key="1" * 32)
    method = PaymentMethod.objects.get()
    assert (str(method), method.is_default) == ("Mastercard •••• 4444", True)
    assert method.payments.get().status == "paid"


def test_a_test_card_that_is_declined_is_not_kept(as_max, marta):
    charge(as_max, marta, "test_card", card=DECLINED, save_card="on")
    payment = Payment.objects.get()
    assert (payment.status, payment.failure_message) == ("failed", REASON)
    assert not PaymentMethod.objects.exists()


@pytest.mark.parametrize("card", ["", "4111111111111111", "4242424242424241", "000123456789", "0" * 5000], ids=lambda c: c[:20])
def test_no_number_but_those_of_the_list_is_taken_or_shown_again(as_max, marta, card):
    html = refused(charge(as_max, marta, "test_card", card=card))
    assert f'value="{card}"' not in html or not card
    assert "4111111111111111" not in html
    assert not Payment.objects.exists()


def test_going_back_and_choosing_another_card_is_no_further_charge(as_max, marta):
    charge(as_max, marta, "test_card", card=DECLINED)
    html = refused(charge(as_max, marta, "test_card", card=GOOD))
    assert "This form charged Visa •••• 0002 already" in html
    assert '<b class="b">Nothing was charged.</b>' not in html
    assert Payment.objects.count() == SandboxCharge.objects.count() == 1


# --- the gateway's page ------------------------------------------------------------------------------------------------
def test_the_gateways_page_opens_now_and_its_payment_is_the_terminals(as_max, max, marta):
    response = charge(as_max, marta, "page", save_card="on", merchant_reference_id="PO 7")

    request = PaymentRequest.objects.get()
    assert response.url.startswith("/sandbox/checkout/")
    assert (request.by_staff, request.save_card, request.created_by) == (True, True, max)
    assert (request.amount, request.country, request.method_types) == (4850, "PH", ["card"])
    assert timedelta(minutes=58) < request.expires_at - timezone.now() < timedelta(minutes=61)
    submit_card(Attempt.objects.get())
    checkouts.check_again(request)
    payment = Payment.objects.get()
    assert (payment.status, payment.product_type) == ("paid", "virtual_terminal")
    assert PaymentMethod.objects.get().card_number_last4 == "4242"


def test_the_way_back_from_the_gateways_page_is_the_requests_own(as_max, marta):
    leads = charge(as_max, marta, "page")
    page = SandboxCheckout.objects.get()
    back = as_max.post(leads.url, {"number": GOOD, "version": page.version})
    while back.status_code == 302 and "/pay/return/" in back.url:
        back = as_max.get(back.url)
    assert back.url == PaymentRequest.objects.get().get_absolute_url()
    assert Payment.objects.get().get_absolute_url() in as_max.get(back.url).content.decode()


def test_the_gateways_page_authorises_first_when_asked(as_max, marta):
    charge(as_max, marta, "page", two_step="on")
    submit_card(Attempt.objects.get())
    checkouts.check_again(PaymentRequest.objects.get())
    assert Payment.objects.get().status == "authorized"


def test_the_gateways_page_takes_no_statement_descriptor(as_max, marta):
    assert "does not take one" in refused(charge(as_max, marta, "page", statement_descriptor="SANTOS"))
    assert not PaymentRequest.objects.exists()


# --- once ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["stored", "test_card", "page"])
def test_the_same_form_twice_charges_once(as_max, marta, how):
    method = make_method(marta) if how == "stored" else how
    card = {"card": GOOD, "save_card": "on"} if how == "test_card" else {}

    assert charge(as_max, marta, method, **card).url == charge(as_max, marta, method, **card).url

    assert Payment.objects.count() == SandboxCharge.objects.count() == (how != "page")
    assert PaymentRequest.objects.count() == (how == "page")
    assert PaymentMethod.objects.count() == (how != "page")


def test_the_same_form_with_another_amount_is_refused(as_max, marta):
    method = make_method(marta)
    charge(as_max, marta, method)
    html = refused(charge(as_max, marta, method, amount="50.00"))
    assert "Open a new form for another. No further money moved." in html
    assert SandboxCharge.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_clients_sending_one_form_at_once_charge_once(max):
    marta = make_customer()
    method = make_method(marta)

    def send(_):
        client = Client()
        client.force_login(max)
        try:
            return charge(client, marta, method).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(send, range(4)))

    assert set(statuses) == {302}
    assert Payment.objects.count() == SandboxCharge.objects.count() == 1
    assert Payment.objects.get().status == "paid"
    assert ledger_errors() == []


# --- what is refused ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"amount": ""}, "Enter an amount"),
        ({"amount": "0"}, "Enter an amount above zero"),
        ({"amount": "-5"}, "Enter an amount"),
        ({"amount": "0.49"}, "takes amounts from $0.50"),
        ({"amount": "9" * 20}, "The largest amount"),
        ({"amount": "10.5", "amount_currency": "JPY"}, "JPY has no decimal places"),
        ({"amount_currency": "XXX"}, "No gateway takes this currency here"),
        ({"country": ""}, "This field is required"),
        ({"country": "ZZ"}, "Select a valid choice"),
        ({"method": ""}, "Choose what to charge"),
        ({"method": "src_" + "0" * 24}, "not on file any more"),
        ({"statement_descriptor": "x" * 23}, "at most 22 characters"),
        ({"description": "Card 4242 4242 4242 4242"}, "looks like a payment card number"),
        ({"description": "a\0b"}, "control characters"),
        ({"metadata_key": ["a", "a"], "metadata_value": ["1", "2"]}, "is there twice"),
        ({"form_key": ""}, "A part of this form is missing"),
        ({"form_key": "x"}, "A part of this form is missing"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_said_and_nothing_is_charged(as_max, marta, wrong, told):
    method = make_method(marta)
    assert told in refused(charge(as_max, marta, method, **wrong))
    assert not Payment.objects.exists()
    assert not Attempt.objects.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"expire_year": 2020}, "expired at the end of December 2020"),
        ({"status": "archived", "is_default": False}, "not on file any more"),
        ({"gateway": "old_company"}, "is not connected any more"),
    ],
    ids=str,
)
def test_a_method_that_cannot_be_charged_is_refused_at_the_field(as_max, marta, changes, told):
    method = make_method(marta, **changes)
    html = refused(charge(as_max, marta, method))
    assert told in html.partition('id="id_method_error"')[2]
    assert not Payment.objects.exists()


def test_another_customers_method_is_not_charged(as_max, marta):
    refused(charge(as_max, marta, make_method(make_customer(first_name="Ana"))))
    assert not Payment.objects.exists()


def test_an_archived_customer_is_not_charged(as_max, max, marta):
    method = make_method(marta)
    archive_customer(marta, by=max)
    assert "Restore the customer first." in page_of(as_max, marta)
    for how in (method, "page", "test_card"):
        assert "is archived" in refused(charge(as_max, marta, how, card=GOOD))
    assert not Payment.objects.exists()
    assert not PaymentRequest.objects.exists()


def test_a_bank_account_cannot_be_authorised_first(as_max, marta):
    account = make_method(marta, number="000123456789")
    assert "cannot be authorised first" in refused(charge(as_max, marta, account, two_step="on"))
    assert not Payment.objects.exists()


def test_only_those_who_run_billing_use_the_terminal(as_sue, as_rita, marta):
    method = make_method(marta)
    for client in (as_sue, as_rita):
        assert client.get(url_of(marta)).status_code == 403
        assert charge(client, marta, method).status_code == 403
        assert url_of(marta) not in client.get(marta.get_absolute_url()).content.decode()
    assert not Payment.objects.exists()


# --- live mode -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def live(as_max):
    as_max.post("/mode/", {"mode": "live"})
    return make_customer(livemode=True)


@pytest.fixture
def far_away(monkeypatch):
    monkeypatch.setitem(gateways.GATEWAYS, "faraway", "billing.tests.test_methods.FarAway")


def fields_of(html):
    """The names of everything a person can type into or choose from on a page."""
    form = html.partition('class="terminal"')[2].partition("</form>")[0]
    return set(re.findall(r'<(?:input|select|textarea)[^>]*\bname="([^"]+)"', form))


def test_live_mode_has_no_field_for_a_card_number(as_max, live, far_away):
    make_method(live, gateway="faraway")
    html = page_of(as_max, live)
    assert fields_of(html) == {
        "method", "amount", "amount_currency", "description", "country", "statement_descriptor", "merchant_reference_id",
        "two_step", "save_card", "metadata_key", "metadata_value", "form_key", "csrfmiddlewaretoken",
    }  # fmt: skip
    assert "test card" not in html.partition('class="terminal"')[2]
    assert GOOD not in html


def test_live_mode_refuses_a_test_card_that_is_sent_all_the_same(as_max, live, far_away):
    refused(charge(as_max, live, "test_card", card=GOOD))
    assert not Payment.objects.exists()
    assert not SandboxCharge.objects.exists()


def test_live_mode_opens_the_page_elsewhere_by_a_link(as_max, live, far_away):
    response = charge(as_max, live, "page")
    link = Attempt.objects.get().url
    assert response.status_code == 200
    assert link.startswith("https://pay.example/")
    assert f'href="{link}"' in response.content.decode()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"amount_currency": "PHP"}, "No gateway takes this currency here"),
        ({"amount": "1000.01"}, "from $0.50 to $1,000.00"),
        ({"two_step": "on"}, "cannot be authorised first"),
    ],
    ids=str,
)
def test_what_the_live_gateway_does_not_take_is_said(as_max, live, far_away, wrong, told):
    for method in (make_method(live, gateway="faraway"), "page"):
        assert told in refused(charge(as_max, live, method, **wrong))
    assert not Payment.objects.exists()
    assert not PaymentRequest.objects.exists()


def test_a_customer_billed_in_another_currency_is_charged_in_one_the_gateway_takes(as_max, far_away, live):
    peso = make_customer(livemode=True, currency="PHP")
    assert 'class="terminal"' in page_of(as_max, peso)
    assert charge(as_max, peso, "page").status_code == 200
    assert PaymentRequest.objects.get().currency == "USD"


def test_live_mode_without_a_gateway_charges_nothing(as_max, live):
    assert "No payment gateway is connected in live mode" in page_of(as_max, live)
    refused(charge(as_max, live, "page"))
    assert not PaymentRequest.objects.exists()
