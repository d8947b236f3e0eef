"""Refunds, captures and releases as staff make them: who may, what the form says, and that one form moves money once."""

import csv
import io
import re

import pytest
from django.utils import timezone

from billing.domain.checkouts import check_again, start_payment
from billing.domain.payments import record_payment
from billing.domain.refunds import create_refund
from billing.gateways.base import Declined, Failure, OutcomeUnknown
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.models import Attempt, BalanceEntry, Payment, Refund
from billing.tests.factories import GOOD, make_customer, make_dispute, make_request, submit_card
from conftest import PASSWORD
from dashboard.models import Event
from dashboard.tests.test_signin import make_stale

pytestmark = pytest.mark.django_db
KEY = "ab" * 16


def make_payment(customer=None, **fields):
    return record_payment(customer or make_customer(), **({"amount": 4850, "currency": "USD", "by": None} | fields))


def pay_by_card(customer=None, number=GOOD, **fields):
    request = make_request(customer or make_customer(), **fields)
    submit_card(start_payment(request), number)
    check_again(request)
    return request.payments.order_by("-pk").first()


def refund(client, payment, **data):
    given = {"amount": "10.00", "amount_currency": payment.currency, "reason": "requested_by_customer", "destination": "method"}
    return client.post(f"{payment.get_absolute_url()}refund/", given | {"form_key": KEY} | data, follow=True)


def text(answer):
    return re.sub(r"\s+", " ", answer.content.decode())


def trouble(monkeypatch, name, error):
    """The sandbox's operation of that name fails so."""

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(SandboxGateway, name, fail)


# --- the form --------------------------------------------------------------------------------------------
def test_the_form_starts_with_what_is_left_and_lists_what_is_gone(as_sue, max, monkeypatch):
    payment = pay_by_card()
    create_refund(payment, amount=1000, reason="others", by=max)
    trouble(monkeypatch, "refund", OutcomeUnknown("The gateway did not answer in time."))
    create_refund(payment, amount=500, reason="others", by=max)
    page = as_sue.get(f"{payment.get_absolute_url()}refund/")

    assert page.context["form"].initial["amount"].minor == 3350
    assert 'value="33.50"' in text(page)
    assert "$10.00" in text(page)
    assert '$5.00 <span class="muted">(under way)' in text(page)


def test_support_refunds_a_part_and_it_is_recorded(as_sue, sue):
    payment = pay_by_card()
    answer = refund(as_sue, payment, remarks="Called us.", merchant_reference_id="RMA-1")

    made = Refund.objects.get()
    assert (made.amount, made.status, made.reason, made.remarks) == (1000, "succeeded", "requested_by_customer", "Called us.")
    assert made.merchant_reference_id == "RMA-1"
    assert Event.objects.get(type="refund.created").by == sue
    assert "$10.00 goes back to Visa •••• 4242." in text(answer)
    payment.refresh_from_db()
    assert payment.badge == "Partly refunded"


def test_the_same_form_sent_twice_refunds_once(as_sue):
    payment = pay_by_card()
    for _ in range(2):
        answer = refund(as_sue, payment, amount="48.50")
        assert answer.status_code == 200

    assert Refund.objects.count() == 1
    assert Payment.objects.get().amount_refunded == 4850


def test_reporting_may_not_refund(as_rita):
    payment = pay_by_card()

    assert refund(as_rita, payment).status_code == 403
    assert as_rita.get(f"{payment.get_absolute_url()}refund/").status_code == 403
    assert not Refund.objects.exists()


def test_opening_the_form_moves_nothing(as_max):
    payment = pay_by_card()
    as_max.get(f"{payment.get_absolute_url()}refund/")

    assert not Refund.objects.exists()
    assert not Attempt.objects.filter(kind="refund").exists()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"amount": "48.51"}, "$48.50 of this payment can still be refunded. No money moved."),
        ({"amount": "1e9"}, "Enter an amount such as 4,850.00."),
        ({"amount": "NaN"}, "Enter an amount such as 4,850.00."),
        ({"amount": "-5"}, "Enter an amount such as 4,850.00."),
        ({"amount": "0"}, "Enter an amount above zero."),
        ({"amount": "0.001"}, "USD has 2 decimal places."),
        ({"amount": ""}, "Enter an amount such as 4,850.00."),
        ({"reason": ""}, "Choose why it is refunded."),
        ({"reason": "because"}, "Select a valid choice"),
        ({"destination": "elsewhere"}, "Select a valid choice"),
        ({"form_key": ""}, "A part of this form is missing. No money moved."),
        ({"remarks": "card 4242 4242 4242 4242"}, "This looks like a payment card number."),
    ],
)
def test_what_cannot_be_refunded_is_said_at_the_form_and_moves_nothing(as_max, data, sentence):
    payment = pay_by_card()
    answer = refund(as_max, payment, **data)

    assert answer.status_code == 422
    assert sentence in text(answer)
    assert not Refund.objects.exists()
    assert Payment.objects.get().amount_refunded == 0


def test_the_currency_is_the_payments_whatever_is_sent(as_max):
    payment = pay_by_card()
    answer = refund(as_max, payment, amount_currency="JPY")

    assert answer.status_code == 422
    assert not Refund.objects.exists()


@pytest.mark.parametrize("status", ["failed", "pending", "authorized", "canceled"])
def test_only_a_paid_payment_is_refunded(as_max, status):
    payment = make_payment()
    Payment.objects.filter(pk=payment.pk).update(status=status, paid_at=None)

    assert "there is nothing to refund. No money moved." in text(as_max.get(f"{payment.get_absolute_url()}refund/"))
    assert refund(as_max, payment).status_code == 422
    assert not Refund.objects.exists()


def test_a_disputed_payment_is_not_refunded(as_max):
    payment = pay_by_card()
    make_dispute(payment)

    assert "taken this payment up as a dispute" in text(as_max.get(f"{payment.get_absolute_url()}refund/"))
    assert refund(as_max, payment).status_code == 422


def test_a_payment_refunded_in_full_says_so(as_max, max):
    payment = make_payment()
    create_refund(payment, amount=4850, reason="others", by=max)
    page = as_max.get(f"{payment.get_absolute_url()}refund/")

    assert "All of this payment is refunded already." in text(page)
    assert '<form method="post" data-busy' not in text(page).partition('id="action"')[2].partition("</dialog>")[0]


# --- the answers -----------------------------------------------------------------------------------------
def test_an_answer_that_does_not_come_is_said_to_be_checked(as_max, monkeypatch):
    payment = pay_by_card()
    trouble(monkeypatch, "refund", OutcomeUnknown("The gateway did not answer in time."))
    answer = refund(as_max, payment)

    assert Refund.objects.get().status == "pending"
    assert "is being checked with the bank" in text(answer)
    assert "Do not refund it again" in text(answer)
    assert "It is not known yet whether money moved." in text(as_max.get(Refund.objects.get().get_absolute_url()))


def test_a_refund_that_fails_says_why_and_that_no_money_moved(as_max, monkeypatch):
    payment = pay_by_card()
    trouble(monkeypatch, "refund", Declined(Failure("closed", "The account is closed.")))
    answer = refund(as_max, payment)

    made = Refund.objects.get()
    assert (made.status, made.failure_code) == ("failed", "closed")
    assert "The refund of $10.00 failed. The account is closed. No money moved." in text(answer)
    page = text(as_max.get(made.get_absolute_url()))
    assert "The account is closed. No money moved." in page
    assert Payment.objects.get().refundable == 4850


def test_a_refund_to_credit_goes_to_the_balance(as_max):
    payment = make_payment()
    answer = refund(as_max, payment, destination="credit")

    assert "was added to the credit balance of Marta Santos" in text(answer)
    assert BalanceEntry.objects.get().amount == 1000


def test_a_refund_of_no_gateway_says_that_the_money_is_handed_over(as_max):
    payment = make_payment()

    assert "no gateway" in text(as_max.get(f"{payment.get_absolute_url()}refund/"))
    assert "give the money back yourself" in text(refund(as_max, payment))


def test_a_payment_of_nobody_offers_no_credit_balance(as_max):
    payment = make_payment()
    Payment.objects.filter(pk=payment.pk).update(customer=None)

    page = as_max.get(f"{payment.get_absolute_url()}refund/")
    assert "credit balance" not in text(page).partition("<form")[2]
    assert refund(as_max, payment, destination="credit").status_code == 422


# --- the list and the details ----------------------------------------------------------------------------
@pytest.fixture
def three(max):
    """A refund of each status."""
    customer = make_customer()
    made = {n: create_refund(make_payment(customer, description=f"Order {n}"), amount=1000, reason=r, by=max) for n, r in (
        ("good", "others"), ("bad", "fraudulent"), ("slow", "product_was_damaged"))}  # fmt: skip
    Refund.objects.filter(pk=made["bad"].pk).update(status="failed", succeeded_at=None, failure_message="No.")
    Refund.objects.filter(pk=made["slow"].pk).update(status="pending", succeeded_at=None, remarks="Wait for Monday")
    return {name: Refund.objects.get(pk=r.pk) for name, r in made.items()}


def listed(client, **query):
    return set(client.get("/billing/refunds/", query).context["page"].rows)


def test_refunds_are_listed_filtered_and_counted(as_rita, three):
    counts = {tab["label"]: tab["count"] for tab in as_rita.get("/billing/refunds/").context["list_tabs"]}

    assert counts == {"All": "3", "Succeeded": "1", "Processing": "1", "Failed": "1"}
    assert listed(as_rita, status="failed") == listed(as_rita, reason="fraudulent") == {three["bad"]}
    assert listed(as_rita, succeeded="today") == {three["good"]}
    assert listed(as_rita, currency="JPY") == set()
    assert listed(as_rita, amount_to="10") == set(three.values())
    assert listed(as_rita, payment=three["slow"].payment_id) == {three["slow"]}


def test_a_refund_is_found_by_its_payment_and_its_remarks(as_max, three, max):
    assert listed(as_max, q="monday") == set()  # the remark came by another way than the form
    made = create_refund(make_payment(description="Lathe rental"), amount=1, reason="others", by=max, remarks="Wait for Monday")

    assert listed(as_max, q="monday") == listed(as_max, q="lathe") == {made}
    assert as_max.get("/billing/refunds/", {"q": made.pk}).url == made.get_absolute_url()


def test_reporting_exports_refunds_masked_and_support_does_not(as_rita, as_sue, three):
    answer = as_rita.get("/billing/refunds/", {"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))

    assert {r["id"] for r in rows} == {r.pk for r in three.values()}
    assert {r["customer_email"] for r in rows} == {"m•••@example.com"}
    assert {r["remarks"] for r in rows} == {"", "•••"}
    assert {r["amount"] for r in rows} == {"10.00"}
    assert as_sue.get("/billing/refunds/", {"format": "csv"}).status_code == 403


def test_the_details_lead_to_payment_and_customer(as_rita, three):
    page = text(as_rita.get(three["good"].get_absolute_url()))

    assert three["good"].payment.get_absolute_url() in page
    assert three["good"].customer.get_absolute_url() in page
    assert "Created by</dt><dd>Max" in page


def test_a_refund_of_the_other_mode_is_unknown(as_max, max):
    payment = make_payment(make_customer(livemode=True))
    made = create_refund(payment, amount=1, reason="others", by=max)

    assert listed(as_max) == set()
    assert as_max.get(made.get_absolute_url()).status_code == 404
    assert refund(as_max, payment).status_code == 404


# --- capture and release ---------------------------------------------------------------------------------
@pytest.fixture
def reserved(monkeypatch):
    """A payment whose money the sandbox has reserved."""
    from billing.domain.charges import charge_method
    from billing.gateways.base import ChargeStatus, MethodSummary, PaymentResult

    def answer(status, amount, captured=0):
        method = MethodSummary("card", "visa", "4242")
        return PaymentResult("sb_auth_1", status, amount, "USD", method, timezone.now(), captured_minor=captured)

    monkeypatch.setattr(SandboxGateway, "charge", lambda self, call, *, key: answer(ChargeStatus.AUTHORIZED, 4850))
    taken = lambda self, remote_id, amount_minor, *, key: answer(ChargeStatus.SUCCEEDED, 4850, amount_minor)  # noqa: E731
    monkeypatch.setattr(SandboxGateway, "capture", taken)
    monkeypatch.setattr(SandboxGateway, "cancel", lambda self, kind, remote_id, *, key: answer(ChargeStatus.CANCELED, 4850))
    given = {"gateway": "sandbox", "token": "t", "amount": 4850, "currency": "USD", "by": None, "form_key": "f", "capture": False}
    payment = charge_method(make_customer(), **given)
    assert payment.status == "authorized"
    return payment


def act(client, payment, name, **data):
    return client.post(f"{payment.get_absolute_url()}{name}/", data, follow=True)


def test_a_manager_captures_all_that_is_reserved(as_max, max, reserved):
    assert as_max.get(f"{reserved.get_absolute_url()}capture/").context["form"].initial["amount"].minor == 4850
    answer = act(as_max, reserved, "capture", amount="48.50", amount_currency="USD")

    reserved.refresh_from_db()
    assert (reserved.status, reserved.amount) == ("paid", 4850)
    assert "$48.50 was captured." in text(answer)
    assert Event.objects.filter(type="payment.paid", by=max).exists()


def test_a_part_is_captured_and_the_rest_let_go(as_max, reserved):
    act(as_max, reserved, "capture", amount="20", amount_currency="USD")

    reserved.refresh_from_db()
    assert (reserved.status, reserved.amount) == ("paid", 2000)


def test_more_than_is_reserved_is_not_captured(as_max, reserved):
    answer = act(as_max, reserved, "capture", amount="48.51", amount_currency="USD")

    assert answer.status_code == 422
    assert "Capture at most $48.50. No money moved." in text(answer)
    reserved.refresh_from_db()
    assert reserved.status == "authorized"


def test_a_manager_releases_what_is_reserved_and_says_why(as_max, max, reserved):
    answer = act(as_max, reserved, "release", why="Out of stock")

    reserved.refresh_from_db()
    assert reserved.status == "canceled"
    assert "The payer is not charged." in text(answer)
    assert Event.objects.filter(type="payment.canceled", by=max).exists()


def test_a_capture_without_an_answer_is_said_to_be_checked(as_max, reserved, monkeypatch):
    trouble(monkeypatch, "capture", OutcomeUnknown("The gateway did not answer in time."))
    answer = act(as_max, reserved, "capture", amount="48.50", amount_currency="USD")

    assert "It is being checked" in text(answer)
    assert "Do not try again." in text(answer)
    again = act(as_max, reserved, "release")
    assert again.status_code == 422
    assert "being captured or released right now" in text(again)


@pytest.mark.parametrize("name", ["capture", "release"])
def test_support_and_reporting_neither_capture_nor_release(as_sue, as_rita, reserved, name):
    for client in (as_sue, as_rita):
        assert act(client, reserved, name, amount="1", amount_currency="USD").status_code == 403


@pytest.mark.parametrize("name", ["capture", "release"])
def test_what_is_paid_can_neither_be_captured_nor_released(as_max, name):
    payment = make_payment()

    assert "not authorised" in text(as_max.get(f"{payment.get_absolute_url()}{name}/"))
    assert act(as_max, payment, name, amount="1", amount_currency="USD").status_code == 422


def test_a_large_refund_asks_who_it_is_when_the_sign_in_is_old(as_max):
    payment = pay_by_card(amount=300_000)
    as_max.get(payment.get_absolute_url())
    make_stale(as_max)

    asked = refund(as_max, payment, amount="2000.00")
    assert asked.status_code == 422
    assert "Confirm that it is you" in text(asked)
    assert 'value="2000.00"' in text(asked)
    wrong = refund(as_max, payment, amount="2000.00", confirm_password="not mine at all")
    assert "This is not your password. No money moved." in text(wrong)
    assert not Refund.objects.exists()

    refund(as_max, payment, amount="2000.00", confirm_password=PASSWORD)
    assert Refund.objects.get().amount == 200_000


def test_a_small_refund_asks_nothing(as_max):
    payment = pay_by_card(amount=300_000)
    as_max.get(payment.get_absolute_url())
    make_stale(as_max)

    refund(as_max, payment, amount="1000.00")

    assert Refund.objects.get().amount == 100_000
