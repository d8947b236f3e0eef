"""Receipts for payers, and the way back from a gateway's page."""

from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client

from billing.domain import checkouts, payments
from billing.models import Attempt, Payment, Refund
from billing.models.links import make_token
from billing.tests.factories import make_customer, make_open_statement, make_request, make_statement, submit_card
from dashboard.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


@pytest.fixture
def payer():
    return Client()


@pytest.fixture
def paid():
    """A statement paid in cash, and its payment."""
    statement = make_open_statement(description="Wholesale order, November")
    payment = payments.record_payment(
        statement.customer, amount=4860, currency="USD", statement=statement, by=None, method_type="cash",
        description="Wholesale order, November",
    )  # fmt: skip
    statement.refresh_from_db()
    return statement, payment


def receipt_of(statement, payment):
    return f"/pay/bill/{statement.token}/receipt/{payment.pk}/"


def give_back(payment, amount, **fields):
    """A refund row as the refund functions leave it; what makes one is proved elsewhere."""
    defaults = {"reason": "others", "status": "succeeded", "currency": payment.currency, "remarks": "CANARY-REMARK"}
    Refund(payment=payment, customer=payment.customer, livemode=False, amount=amount, **defaults | fields).derive().save()
    if fields.get("status") != "failed":
        Payment.objects.filter(pk=payment.pk).update(amount_refunded=payment.amount_refunded + amount)


def test_a_receipt_tells_who_paid_whom_what_when_and_how(payer, paid):
    statement, payment = paid

    text = payer.get(receipt_of(statement, payment)).text

    for words in ("Receipt from Harbour &amp; Pine", "$48.60", "Cash", "Marta Santos", "1 Harbor Drive", statement.number,
                  "Wholesale order, November", payment.pk):  # fmt: skip
        assert words in text
    assert "Refunds" not in text


def test_a_receipt_names_a_card_by_brand_and_last_four(payer, paid):
    statement, payment = paid
    Payment.objects.update(method_type="card", method_brand="visa", method_last4="4242")

    assert "Visa •••• 4242" in payer.get(receipt_of(statement, payment)).text


def test_the_paid_page_leads_to_the_receipt(payer, paid):
    statement, payment = paid

    page = payer.get(f"/pay/bill/{statement.token}/").text

    assert f'href="receipt/{payment.pk}/"' in page
    assert "has your payment of" in page


def test_a_receipt_shows_what_was_given_back_so_far(payer, paid):
    statement, payment = paid
    give_back(payment, 1000)
    give_back(payment, 500, status="pending")
    give_back(payment, 77, status="failed")
    give_back(payment, 300, destination="credit")

    text = payer.get(receipt_of(statement, payment)).text

    assert "$10.00" in text
    assert "Given back" in text
    assert "$5.00" in text
    assert "On its way back" in text
    assert "$3.00" in text
    assert "as credit with Harbour &amp; Pine" in text
    assert "$0.77" not in text
    assert "CANARY" not in text


def test_another_links_payment_is_404(payer, paid):
    statement, payment = paid
    other = make_open_statement(statement.customer)
    request = make_request(statement.customer)

    assert payer.get(receipt_of(other, payment)).status_code == 404
    assert payer.get(f"/pay/checkout/{request.token}/receipt/{payment.pk}/").status_code == 404
    assert payer.get(f"/pay/checkout/{statement.token}/receipt/{payment.pk}/").status_code == 404
    assert payer.get(f"/pay/bill/{'a' * 43}/receipt/{payment.pk}/").status_code == 404
    assert payer.get(receipt_of(statement, payment)).status_code == 200


@pytest.mark.parametrize("status", ["pending", "authorized", "failed", "canceled", "expired"])
def test_what_was_not_paid_has_no_receipt(payer, paid, status):
    statement, payment = paid
    Payment.objects.update(status=status, paid_at=None)

    assert payer.get(receipt_of(statement, payment)).status_code == 404


def test_a_receipt_is_private_and_opening_it_writes_nothing(payer, paid):
    statement, payment = paid
    before = Event.objects.count()

    headers = payer.get(receipt_of(statement, payment)).headers

    assert headers["Referrer-Policy"] == "no-referrer"
    assert "noindex" in headers["X-Robots-Tag"]
    assert "no-store" in headers["Cache-Control"]
    assert Event.objects.count() == before


@pytest.mark.usefixtures("stopped_clock")
def test_guessing_payments_has_to_wait(payer, paid):
    statement, _ = paid

    codes = [payer.get(f"/pay/bill/{statement.token}/receipt/pay_{n:024x}/").status_code for n in range(21)]

    assert codes == [404] * 20 + [429]


# --- files -----------------------------------------------------------------------------------------
def test_statement_and_receipt_come_as_pdf(payer, paid):
    statement, payment = paid

    for path, name in (
        (f"/pay/bill/{statement.token}/statement.pdf", f"{statement.number}.pdf"),
        (receipt_of(statement, payment) + "receipt.pdf", "receipt-"),
    ):
        answer = payer.get(path)
        assert answer.content.startswith(b"%PDF-")
        assert answer["Content-Type"] == "application/pdf"
        assert answer["Content-Disposition"].startswith(f'attachment; filename="{name}')
        assert "no-store" in answer["Cache-Control"]
        assert "noindex" in answer["X-Robots-Tag"]


def test_no_file_for_another_link_or_a_draft(payer, paid):
    statement, payment = paid
    other, draft = make_open_statement(statement.customer), make_statement(statement.customer)

    assert payer.get(receipt_of(other, payment) + "receipt.pdf").status_code == 404
    assert payer.get(f"/pay/bill/{make_token(draft.pk, draft.token_nonce)}/statement.pdf").status_code == 404


@pytest.mark.usefixtures("stopped_clock")
def test_files_asked_for_too_often_have_to_wait(payer, paid, monkeypatch):
    monkeypatch.setattr("billing.views.receipts.FILES.burst", 2)
    statement, _ = paid

    codes = [payer.get(f"/pay/bill/{statement.token}/statement.pdf").status_code for _ in range(3)]

    assert codes == [200, 200, 429]


# --- the way back from a gateway's page ------------------------------------------------------------
@pytest.fixture(params=["bill", "checkout"])
def left(request, payer):
    """A payer who went to the gateway's page: the target, its path, the attempt and the way back."""
    target = make_open_statement() if request.param == "bill" else make_request()
    path = f"/pay/{request.param}/{target.token}/"
    payer.post(path)
    attempt = Attempt.objects.get()
    return SimpleNamespace(target=target, path=path, attempt=attempt, back=f"/pay/return/{attempt.pk}/")


def test_back_from_the_gateways_page_nothing_is_believed_until_it_is_asked(payer, left):
    submit_card(left.attempt)  # the gateway's message about it is lost

    page = payer.get(left.back)

    assert "Confirming" in page.text
    assert "Do not try again until the next page says so." in page.text
    left.target.refresh_from_db()
    assert left.target.status in ("open", "new")
    assert payer.post(left.back).url == left.path
    assert "Paid to" in payer.get(left.path).text


def test_coming_back_from_the_gateways_page_proves_nothing(payer, left):
    payer.get(left.back)

    assert payer.post(left.back).url == left.path
    assert 'name="pay"' in payer.get(left.path).text
    assert not Payment.objects.exists()


def test_a_payment_the_gateway_told_of_already_leads_straight_to_the_answer(payer, left):
    submit_card(left.attempt)
    checkouts.settle_checkout("sandbox", left.attempt.remote_id)

    assert payer.get(left.back).url == left.path
    assert "Paid to" in payer.get(left.path).text


def test_looking_at_the_way_back_writes_nothing(payer, left):
    payer.get(left.back)

    now = Attempt.objects.get()
    assert (now.touched_at, now.tries, now.state) == (left.attempt.touched_at, left.attempt.tries, "sent")
    assert Event.objects.filter(type__endswith=".viewed").count() == 0


@pytest.mark.parametrize("method", ["get", "post"])
def test_the_way_back_tells_nothing_to_another_browser(left, method):
    submit_card(left.attempt)

    page = getattr(Client(), method)(left.back)

    assert page.status_code == 200
    assert "Open your link again" in page.text
    assert left.target.token not in page.text
    left.attempt.refresh_from_db()
    assert left.attempt.state == "sent"
    assert Client().get("/pay/return/att_0193f0c1d2a7b34e5f607182/").status_code == 404


def signed(value):
    """What a browser would hold had we set this value."""
    response = HttpResponse()
    response.set_signed_cookie("pay", value)
    return response.cookies["pay"].value


def test_a_cookie_of_another_link_leads_nowhere(payer, left):
    other = make_request(make_customer(email="other@example.com"))

    def with_cookie(value):
        payer.cookies["pay"] = value
        return payer.get(left.back)

    assert with_cookie(signed(f"{left.target.token}.0")).url == left.path
    for wrong in (signed(f"{other.token}.0"), signed(""), f"{left.target.token}.0", "nonsense"):
        assert "Open your link again" in with_cookie(wrong).text
