"""Refunds: never above what is left, once for each form, and true whatever the bank answers."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.domain import attempts, checkouts, refunds, settle
from billing.domain.credit import balance
from billing.domain.ledger import ledger_errors
from billing.domain.payments import record_payment
from billing.gateways import InsideTransaction, gateway_for
from billing.gateways.base import Kind, OutcomeUnknown, RefundRequest, Rejected, Unavailable
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.gateways.sandbox.models import SandboxRefund
from billing.models import Attempt, BalanceEntry, Payment, Refund
from billing.tests.factories import GOOD, make_customer, make_request, submit_card
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
ASYNC_REFUND = "4000000000005126"


def pay(request, number=GOOD):
    """The payment of a request paid by card."""
    attempt = checkouts.start_payment(request)
    submit_card(attempt, number)
    checkouts.settle_attempt(attempt)
    return Payment.objects.get(request=request)


def refund(payment, amount, **fields):
    return refunds.create_refund(payment, amount=amount, reason=Refund.Reason.REQUESTED, **{"by": None} | fields)


def refused(payment, amount, match, **fields):
    with pytest.raises(DomainError, match=match):
        refund(payment, amount, **fields)
    payment.refresh_from_db()
    assert ledger_errors() == []


def test_a_refund_goes_back_and_is_a_record_of_its_own(max):
    payment = pay(make_request())

    made = refund(payment, 1850, by=max, remarks="Two bags burst")

    payment.refresh_from_db()
    assert (made.status, made.amount, made.currency, made.payment) == ("succeeded", 1850, "USD", payment)
    assert (payment.amount_refunded, payment.refundable, payment.badge) == (1850, 3000, "Partly refunded")
    assert SandboxRefund.objects.get().amount == 1850
    assert list(Event.objects.filter(object_id=made.pk).order_by("pk").values_list("type", "by")) == [
        ("refund.created", max.pk),
        ("refund.succeeded", None),
    ]
    assert ledger_errors() == []


def test_what_is_refunded_in_full_says_so():
    payment = pay(make_request())
    refund(payment, 4850)

    payment.refresh_from_db()
    assert (payment.badge, payment.refundable, payment.status) == ("Refunded", 0, "paid")


def test_no_more_than_what_is_left_is_refunded():
    payment = pay(make_request())
    refund(payment, 4000)

    refused(payment, 851, r"\$8.50 of this payment can still be refunded. No money moved")
    refused(payment, 0, "above zero")
    assert refund(payment, 850).status == "succeeded"
    refused(payment, 1, r"\$0.00")


def test_the_database_itself_refuses_more_than_was_paid():
    payment = pay(make_request())

    with pytest.raises(IntegrityError), transaction.atomic():
        Payment.objects.filter(pk=payment.pk).update(amount_refunded=4851)


def test_only_what_is_paid_can_be_refunded():
    declined = pay(make_request(), "4000000000000002")

    refused(declined, 100, "failed, so there is nothing to refund")
    assert not Refund.objects.exists()


def test_one_form_makes_one_refund():
    payment = pay(make_request())

    first, second = (refund(payment, 1000, form_key="f1") for _ in range(2))

    assert first == second
    assert SandboxRefund.objects.count() == Refund.objects.count() == 1
    refused(payment, 2000, "made the refund", form_key="f1")


def test_a_refund_may_go_to_the_credit_balance_instead():
    customer = make_customer()
    payment = pay(make_request(customer))

    made = refund(payment, 1000, destination="credit")

    assert (made.status, made.gateway) == ("succeeded", "")
    assert balance(customer, "USD").minor == 1000
    assert BalanceEntry.objects.get().refund == made
    assert not SandboxRefund.objects.exists()
    assert ledger_errors() == []


def test_money_received_elsewhere_is_given_back_elsewhere():
    payment = record_payment(make_customer(), amount=5000, currency="USD", by=None, method_type="cash")

    assert refund(payment, 2000).status == "succeeded"
    assert not Attempt.objects.exists()


def test_a_refund_is_never_made_inside_a_transaction():
    payment = pay(make_request())

    with transaction.atomic(), pytest.raises(InsideTransaction):
        refund(payment, 100)


# --- the bank does not answer as one hopes ---------------------------------------------------------------------
def raising(error):
    def call(self, request, *, key):
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "status", "left"),
    [
        (Rejected("This payment cannot be refunded."), "failed", 4850),
        (Unavailable("Too many requests."), "pending", 3850),
        (OutcomeUnknown("Nobody answered."), "pending", 3850),
    ],
)
def test_only_a_final_no_gives_the_amount_back(monkeypatch, error, status, left):
    payment = pay(make_request())
    monkeypatch.setattr(SandboxGateway, "refund", raising(error))

    made = refund(payment, 1000)

    payment.refresh_from_db()
    assert (made.status, payment.refundable) == (status, left)
    assert made.failure_message == (str(error) if status == "failed" else "")
    assert ledger_errors() == []


@pytest.mark.parametrize("ending", [1, 2, 3, 9])
def test_what_nobody_knows_is_found_out_and_happens_once(ending):
    payment = pay(make_request(amount=4850))

    made = refund(payment, 1000 + ending)
    assert made.status == "pending"
    call_command("reconcile", older_than=0, stdout=StringIO())

    made.refresh_from_db()
    assert (made.status, SandboxRefund.objects.count()) == ("succeeded", 1)
    assert not Attempt.objects.open().exists()
    assert ledger_errors() == []


def test_a_refund_that_was_never_sent_is_sent_by_reconcile(monkeypatch):
    payment = pay(make_request())
    with monkeypatch.context() as broken:
        broken.setattr(refunds, "settle_attempt", lambda attempt: attempt)
        made = refund(payment, 1000)
    assert Attempt.objects.get(kind="refund").state == "new"

    call_command("reconcile", older_than=0, stdout=StringIO())

    made.refresh_from_db()
    assert made.status == "succeeded"


def test_after_a_day_without_an_answer_a_person_has_to_look(monkeypatch):
    payment = pay(make_request())
    monkeypatch.setattr(SandboxGateway, "refund", raising(OutcomeUnknown("Nobody answered.")))
    refund(payment, 1000)
    Attempt.objects.filter(kind="refund").update(created_at=timezone.now() - timedelta(hours=24))

    call_command("reconcile", older_than=0, stdout=StringIO())

    attempt = Attempt.objects.get(kind="refund")
    assert (attempt.state, attempt.error) == ("unknown", attempts.NEEDS_PERSON)


def test_a_refund_the_bank_sends_back_can_be_made_again():
    from billing.gateways.sandbox import bank

    payment = pay(make_request(), ASYNC_REFUND)
    made = refund(payment, 4850)
    assert made.status == "pending"

    bank.tick()
    call_command("reconcile", older_than=0, stdout=StringIO())

    made.refresh_from_db()
    payment.refresh_from_db()
    assert (made.status, bool(made.failure_message), payment.refundable) == ("failed", True, 4850)
    assert ledger_errors() == []


# --- what others do ---------------------------------------------------------------------------------------------
def test_a_refund_made_at_the_gateway_itself_is_recorded():
    payment = pay(make_request())
    call = RefundRequest(reference="their-own", payment=payment.gateway_reference, amount_minor=700, currency="USD")
    theirs = gateway_for("sandbox").refund(call, key="their-own")

    assert settle.look("sandbox", Kind.REFUND, theirs.remote_id) is True
    assert settle.look("sandbox", Kind.PAYMENT, payment.gateway_reference) is True

    payment.refresh_from_db()
    made = Refund.objects.get()
    assert (made.amount, made.status, made.created_by, payment.amount_refunded) == (700, "succeeded", None, 700)
    assert ledger_errors() == []


def test_a_disputed_payment_is_not_refunded():
    payment = pay(make_request())
    Payment.objects.filter(pk=payment.pk).update(dispute="open")

    refused(payment, 100, "dispute")
