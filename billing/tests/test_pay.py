"""The payer's pages, from the link to the paid request."""

import re

import pytest
from django.core.cache import cache
from django.test import Client

from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout
from billing.models import Attempt, Payment, PaymentRequest
from billing.tests.factories import DECLINED, GOOD, make_customer, make_request
from dashboard.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


@pytest.fixture
def payer():
    return Client()


def path_of(request):
    return f"/pay/checkout/{request.token}/"


def pay(payer, request, number=GOOD):
    """What a payer does in a browser; gives the last page."""
    to_card_page = payer.post(path_of(request), {"pay": "1"})
    page = payer.get(to_card_page.url)
    version = re.search(r'name="version" value="(\d+)"', page.content.decode())[1]
    return payer.post(to_card_page.url, {"number": number, "version": version}, follow=True)


def test_a_payer_pays_a_request_with_a_test_card(payer):
    request = make_request()

    page = pay(payer, request)

    request.refresh_from_db()
    payment = Payment.objects.get()
    assert page.redirect_chain[-1][0] == path_of(request)
    assert "Paid to" in page.content.decode()
    assert payment.pk in page.content.decode()
    assert (request.status, payment.status, payment.amount, payment.currency) == ("done", "paid", 4850, "USD")
    assert (payment.customer, payment.request, payment.method) == (request.customer, request, "Visa •••• 4242")
    assert request.customer.totals.get().collected == 4850
    assert Event.objects.get(type="payment.paid").actor == "payer"
    assert Event.objects.filter(type="payment_request.done", customer_id=request.customer_id).exists()


def test_a_declined_card_says_why_and_leaves_the_request_open(payer):
    request = make_request()

    page = pay(payer, request, DECLINED)

    request.refresh_from_db()
    payment = Payment.objects.get()
    assert "The bank declined the card without giving a reason. No money moved." in page.content.decode()
    assert 'name="pay"' in page.content.decode()
    assert (request.status, payment.status, payment.failure_code) == ("new", "failed", "generic_decline")
    assert not request.customer.totals.exists()


def test_after_a_decline_another_card_pays(payer):
    request = make_request()
    pay(payer, request, DECLINED)

    pay(payer, request)

    request.refresh_from_db()
    assert request.status == "done"
    assert sorted(Payment.objects.values_list("status", flat=True)) == ["failed", "paid"]
    assert Attempt.objects.count() == 1


def test_a_card_may_be_chosen_from_the_list_instead_of_typed(payer):
    request = make_request()
    url = payer.post(path_of(request)).url

    payer.post(url, {"card": GOOD, "number": "", "version": "0"})

    assert Payment.objects.get().status == "paid"


@pytest.mark.parametrize("number", ["4111111111111111", "5105 1051 0510 5100", "987650", "not-a-number", "", "4" * 41, "4\0"])
def test_any_other_number_is_refused_and_kept_nowhere(payer, number, caplog):
    request = make_request()
    url = payer.post(path_of(request)).url

    page = payer.post(url, {"number": number, "version": "0"})

    assert page.status_code == 422
    assert not number or number not in page.content.decode()
    assert not SandboxCharge.objects.exists()
    assert not number or number not in caplog.text


def test_a_paid_request_takes_no_second_payment(payer):
    request = make_request()
    url = payer.post(path_of(request)).url
    pay(payer, request)

    again = payer.post(path_of(request))
    payer.post(url, {"number": GOOD, "version": "1"})

    assert again.status_code == 409
    assert Payment.objects.count() == SandboxCharge.objects.count() == 1
    assert request.customer.totals.get().successful_payments == 1


def test_the_same_card_form_sent_twice_charges_once(payer):
    request = make_request()
    url = payer.post(path_of(request)).url

    for _ in range(2):
        payer.post(url, {"number": DECLINED, "version": "0"})

    assert SandboxCharge.objects.count() == Payment.objects.count() == 1


def test_the_amount_is_read_from_the_database_only(payer):
    request = make_request()

    payer.post(path_of(request), {"pay": "1", "amount": "1", "amount_minor": "1", "currency": "JPY"})

    checkout = SandboxCheckout.objects.get()
    assert (checkout.amount, checkout.currency) == (4850, "USD")


@pytest.mark.parametrize(
    "then, words",
    [(None, "Nothing has been taken yet."), ("capture", "has your payment of"), ("release", "Nothing was taken")],
)
def test_a_payer_who_authorised_is_told_what_became_of_the_money(payer, max, then, words):
    from billing.domain import captures

    request = make_request()
    PaymentRequest.objects.update(authorize_only=True)
    pay(payer, request)
    if then:
        getattr(captures, f"{then}_payment")(Payment.objects.get(), by=max)

    page, again = payer.get(path_of(request)), payer.post(path_of(request))

    assert words in page.text
    assert 'name="pay"' not in page.text
    assert again.status_code == 409


def test_an_expired_link_takes_no_payment(payer):
    request = make_request()
    PaymentRequest.objects.update(expires_at=request.created_at)

    shown, tried = payer.get(path_of(request)), payer.post(path_of(request))

    assert "This link has expired" in shown.content.decode()
    assert "No money moved" in shown.content.decode()
    assert tried.status_code == 409
    assert not Attempt.objects.exists()


def test_a_canceled_link_takes_no_payment(payer, max):
    from billing.domain.requests import cancel_payment_request

    request = make_request()
    url = payer.post(path_of(request)).url
    cancel_payment_request(request, by=max)

    payer.post(url, {"number": GOOD, "version": "0"})

    assert "This request was canceled" in payer.get(path_of(request)).content.decode()
    assert payer.post(path_of(request)).status_code == 409
    assert not Payment.objects.exists()


@pytest.mark.parametrize("token", ["x", "A" * 43, "a" * 2000, "..-_"])
def test_an_unknown_link_is_404(payer, token):
    assert payer.get(f"/pay/checkout/{token}/").status_code == 404
    assert payer.post(f"/pay/checkout/{token}/").status_code == 404


def test_neither_id_nor_stored_hash_opens_the_page(payer):
    request = make_request()

    for guess in (request.pk, request.token_hash, request.token_nonce):
        assert payer.get(f"/pay/checkout/{guess}/").status_code == 404


def test_the_page_shows_nothing_internal(payer, max):
    customer = make_customer(reference="CANARY-REF", description="CANARY-NOTE", metadata={"k": "CANARY-META"})
    request = make_request(customer, by=max, merchant_reference_id="CANARY-ORDER", metadata={"k": "CANARY-PAIR"})

    pages = [payer.get(path_of(request)), pay(payer, request)]

    for page in pages:
        text = page.content.decode()
        assert "Wholesale order" in text
        for word in ("CANARY", customer.pk, request.pk, "Marta", "marta@", "1 Harbor Drive", "Max"):
            assert word not in text


def test_pages_for_payers_are_private(payer):
    request = make_request()
    card_page = payer.post(path_of(request)).url

    for path in (path_of(request), card_page, "/pay/checkout/unknown/"):
        headers = payer.get(path).headers
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]
        assert "no-store" in headers["Cache-Control"]


def test_looking_writes_only_that_a_link_was_opened(payer):
    """The one GET that writes: a payer's view of a link is an event (test_visits.py). All other looking changes nothing."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    request = make_request()
    card_page = payer.post(path_of(request)).url
    back = SandboxCheckout.objects.get().return_url.replace("http://127.0.0.1:8000", "")

    events_of = {path_of(request): ["INSERT"], card_page: [], back: []}
    for path, expected in events_of.items():
        with CaptureQueriesContext(connection) as seen:
            payer.get(path)
        written = [q["sql"] for q in seen if re.match(r"INSERT|UPDATE|DELETE", q["sql"]) and "cache" not in q["sql"]]
        assert [sql.split()[0] for sql in written] == expected
        assert all('INTO "dashboard_event"' in sql for sql in written)


def test_the_return_address_leads_back_only_in_the_browser_that_left(payer):
    request = make_request()
    payer.post(path_of(request))
    back = f"/pay/return/{Attempt.objects.get().pk}/"

    assert payer.post(back).url == path_of(request)
    assert request.token not in Client().get(back).content.decode()
    assert Client().get(back).status_code == 200
    assert payer.get("/pay/return/att_0193f0c1d2a7b34e5f607182/").status_code == 404


def test_an_amount_ending_in_01_is_checking_until_it_is_looked_at_again(payer):
    request = make_request(amount=5001)

    page = pay(payer, request)

    assert "We are checking with the bank. Do not pay again." in page.content.decode()
    assert 'name="pay"' not in page.content.decode()
    payer.post(path_of(request), {"check": "1"})
    request.refresh_from_db()
    assert request.status == "done"
    assert SandboxCharge.objects.count() == 1


def test_a_gateway_that_is_away_tells_the_payer_that_no_money_moved(payer):
    request = make_request(amount=5009)

    first = payer.post(path_of(request))

    assert first.status_code == 409
    assert "No money moved. Try again in a minute." in first.content.decode()
    assert payer.post(path_of(request)).status_code == 302


@pytest.mark.usefixtures("stopped_clock")
def test_too_many_tries_have_to_wait(payer):
    request = make_request(amount=5009)

    answers = [payer.post(path_of(request), {"check": "1"}) for _ in range(11)]

    assert [a.status_code for a in answers] == [302] * 10 + [429]
    assert answers[-1]["Retry-After"]


@pytest.mark.usefixtures("stopped_clock")
def test_guessing_links_has_to_wait(payer):
    codes = [payer.get(f"/pay/checkout/guess{n}/").status_code for n in range(21)]

    assert codes == [404] * 20 + [429]


def test_a_form_from_elsewhere_is_refused():
    strict = Client(enforce_csrf_checks=True)

    assert strict.post(path_of(make_request())).status_code == 403
    assert not Attempt.objects.exists()


def test_a_refused_try_leaves_the_link_out_of_the_log(payer, caplog):
    request = make_request(amount=5009)

    payer.post(path_of(request))
    Client(enforce_csrf_checks=True).post(path_of(request))

    assert caplog.text.count("/pay/checkout/…") == 2
    assert request.token not in caplog.text


def test_no_table_holds_the_link_or_a_card_number(payer):
    from django.apps import apps

    request = make_request()
    pay(payer, request, DECLINED)
    pay(payer, request)

    stored = " ".join(str(list(m.objects.values_list())) for m in apps.get_models() if m._meta.managed)
    assert request.token_hash in stored  # the whole database was looked at
    for secret in (request.token, GOOD, DECLINED):
        assert secret not in stored
