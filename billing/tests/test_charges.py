"""Charging a saved method, capturing and releasing: once, in the open, and told truly."""

import shutil
from dataclasses import replace
from datetime import timedelta
from functools import partial
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing import gateways
from billing.domain import captures, charges, checkouts, payments, statements
from billing.domain.credit import balance
from billing.domain.ledger import ledger_errors
from billing.drills.bank import SLUG, FileBank
from billing.gateways.base import ChargeStatus, Declined, Failure, Kind, OutcomeUnknown, Rejected
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.models import Attempt, CustomerTotal, Payment
from billing.tests.factories import make_customer, make_open_statement, make_request, submit_card
from customers.domain import archive_customer
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db


@pytest.fixture
def bank(monkeypatch):
    """A gateway that charges any token."""
    monkeypatch.setitem(gateways.GATEWAYS, SLUG, "billing.drills.bank.FileBank")
    folder = FileBank.begin()
    yield FileBank
    shutil.rmtree(folder)


def charge(customer, amount=4850, form_key="form-1", **fields):
    about = {"gateway": SLUG, "token": "tok", "currency": "USD", "by": None}
    return charges.charge_method(customer, amount=amount, form_key=form_key, **about | fields)


def answering(error):
    def call(self, request, *, key):
        raise error

    return call


# --- charges -----------------------------------------------------------------------------------------------------
def test_a_charge_is_paid_and_counted(bank):
    customer = make_customer()

    payment = charge(customer)

    assert (payment.status, payment.amount, payment.method, payment.attempt.state) == ("paid", 4850, "Visa •••• 4242", "done")
    assert CustomerTotal.objects.get(customer=customer).collected == 4850
    assert ledger_errors() == []


def test_the_same_form_charges_once(bank):
    customer = make_customer()

    assert charge(customer) == charge(customer)
    assert len(bank.entries("charge")) == Payment.objects.count() == 1
    with pytest.raises(DomainError, match="Open a new form"):
        charge(customer, amount=1)


def test_a_declined_charge_says_why(bank, monkeypatch):
    monkeypatch.setattr(bank, "charge", answering(Declined(Failure("lost_card", "The bank declined the card."), "ch_1")))

    payment = charge(make_customer())

    assert (payment.status, payment.failure_code, payment.failure_message) == (
        "failed",
        "lost_card",
        "The bank declined the card.",
    )
    assert payment.gateway_reference == "ch_1"
    assert not Attempt.objects.open().exists()


def test_an_unknown_outcome_is_processing_until_reconcile_knows(bank, monkeypatch):
    customer = make_customer()
    with monkeypatch.context() as broken:
        real = FileBank.charge

        def silent(self, request, *, key):
            real(self, request, key=key)
            raise OutcomeUnknown("The answer did not arrive.")

        broken.setattr(bank, "charge", silent)
        payment = charge(customer)
    assert payment.status == "pending"

    call_command("reconcile", older_than=0, stdout=StringIO())

    payment.refresh_from_db()
    assert (payment.status, len(bank.entries("charge"))) == ("paid", 1)
    assert ledger_errors() == []


def test_a_statement_is_charged_what_remains_and_no_more(bank):
    statement = make_open_statement()

    with pytest.raises(DomainError, match="remains to be paid"):
        charge(statement.customer, amount=statement.total + 1, statement=statement)
    payment = charge(statement.customer, amount=statement.total, statement=statement)

    statement.refresh_from_db()
    assert (payment.status, payment.product_type, statement.status) == ("paid", "billing_statement", "paid")
    with pytest.raises(DomainError, match="paid already"):
        charge(statement.customer, amount=1, statement=statement, form_key="form-2")
    assert ledger_errors() == []


def test_an_archived_customer_is_not_charged(bank, max):
    customer = make_customer()
    archive_customer(customer, by=max)

    with pytest.raises(DomainError):
        charge(customer)
    assert not Attempt.objects.exists()


# --- two steps -----------------------------------------------------------------------------------------------------
def authorised(**fields):
    request = make_request(authorize_only=True, **fields)
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    checkouts.settle_attempt(attempt)
    return Payment.objects.get(request=request)


def test_an_authorised_payment_is_held_and_not_yet_collected():
    payment = authorised()

    assert (payment.status, payment.badge, payment.request.status) == ("authorized", "Authorised", "done")
    assert not CustomerTotal.objects.filter(collected__gt=0).exists()


def test_capturing_takes_it(max):
    payment = captures.capture_payment(authorised(), by=max)

    assert (payment.status, payment.amount) == ("paid", 4850)
    assert CustomerTotal.objects.get(customer=payment.customer).collected == 4850
    assert ledger_errors() == []


def test_a_part_may_be_captured_and_the_rest_is_released(max):
    payment = captures.capture_payment(authorised(), by=max, amount=3000)

    assert (payment.status, payment.amount, payment.refundable) == ("paid", 3000, 3000)
    assert ledger_errors() == []


def test_releasing_lets_it_go(max):
    payment = captures.release_payment(authorised(), by=max)

    assert payment.status == "canceled"
    with pytest.raises(DomainError, match="canceled, not authorised"):
        captures.capture_payment(payment, by=max)


def test_no_more_than_was_authorised_is_captured(max):
    payment = authorised()

    with pytest.raises(DomainError, match="at most"):
        captures.capture_payment(payment, by=max, amount=4851)
    assert not Attempt.objects.filter(kind="capture").exists()


def test_a_gateway_that_refuses_leaves_it_authorised(max, monkeypatch):
    payment = authorised()
    monkeypatch.setattr(SandboxGateway, "capture", lambda self, remote_id, amount, *, key: raise_(Rejected("It has lapsed.")))

    with pytest.raises(DomainError, match="It has lapsed"):
        captures.capture_payment(payment, by=max)

    payment.refresh_from_db()
    assert payment.status == "authorized"
    assert not Attempt.objects.open().exists()


def raise_(error):
    raise error


@pytest.mark.parametrize("ending", [1, 2, 3, 9])
def test_a_capture_nobody_answered_is_found_out(max, ending):
    payment = captures.capture_payment(authorised(amount=5000), by=max, amount=4000 + ending)
    assert payment.status == "authorized"
    with pytest.raises(DomainError, match="right now"):
        captures.release_payment(payment, by=max)

    call_command("reconcile", older_than=0, stdout=StringIO())

    payment.refresh_from_db()
    assert (payment.status, payment.amount) == ("paid", 4000 + ending)


# --- money that comes late or twice -----------------------------------------------------------------------------
def paid_snapshot(statement):
    """The gateway's page of a statement, paid, and nothing of it applied yet."""
    attempt = checkouts.start_payment(statement)
    submit_card(attempt)
    return attempt, gateways.gateway_for("sandbox").fetch(Kind.CHECKOUT, attempt.remote_id)


def test_money_for_a_statement_that_was_voided_meanwhile_becomes_credit(max):
    statement = make_open_statement()
    attempt, snapshot = paid_snapshot(statement)
    type(statement).objects.filter(pk=statement.pk).update(status="void")

    payments.apply_snapshot(attempt, snapshot)

    statement.refresh_from_db()
    assert (statement.status, statement.amount_paid) == ("void", 0)
    assert balance(statement.customer, "USD").minor == statement.total
    assert ledger_errors() == []


def test_money_paid_with_a_method_we_do_not_know_is_recorded_all_the_same():
    statement = make_open_statement()
    attempt, snapshot = paid_snapshot(statement)
    charge = snapshot.payments[0]
    odd = replace(charge, method=replace(charge.method, type="buy_now_pay_later", brand=""))

    payments.apply_snapshot(attempt, replace(snapshot, payments=(odd,)))

    payment = Payment.objects.get()
    assert (payment.status, payment.method_type, payment.method_brand) == ("paid", "recorded_elsewhere", "buy_now_pay_later")


def test_a_statement_cannot_be_voided_while_its_customer_pays(max):
    statement = make_open_statement()
    paid_snapshot(statement)

    with pytest.raises(DomainError, match="has just paid"):
        statements.void_statement(statement, reason="wrong", by=max)

    statement.refresh_from_db()
    assert statement.status == "paid"


def test_a_late_failure_does_not_lower_what_is_paid():
    statement = make_open_statement()
    attempt, snapshot = paid_snapshot(statement)
    payments.apply_snapshot(attempt, snapshot)
    failed = replace(snapshot.payments[0], status=ChargeStatus.FAILED, failure=Failure("late", "Late."))

    payments.apply_snapshot(attempt, replace(snapshot, payments=(failed,)))

    assert Payment.objects.get().status == "paid"
    assert ledger_errors() == []


def test_a_page_made_before_the_amount_changed_is_closed_first(max):
    statement = make_open_statement()
    first = checkouts.start_payment(statement)
    statements_total = statement.total
    checkouts.close_checkout(statement)
    payments.record_payment(statement.customer, amount=1000, currency="USD", by=max, statement=statement, method_type="cash")

    second = checkouts.start_payment(statement)

    first.refresh_from_db()
    assert (first.state, second.amount) == ("failed", statements_total - 1000)


def test_cash_is_not_recorded_while_the_customer_pays(max):
    statement = make_open_statement()
    checkouts.start_payment(statement)

    with pytest.raises(DomainError, match="paying this right now"):
        payments.record_payment(statement.customer, amount=1000, currency="USD", by=max, statement=statement)


# --- the e-mail of the latest statement or payment -----------------------------------------------------------
def test_the_email_of_a_payment_becomes_the_customers_and_an_older_ones_does_not(max):
    customer = make_customer(by=max)
    was = customer.email
    now = timezone.now()
    record = partial(payments.record_payment, customer, amount=500, currency="USD", by=max)

    newer = record(email="new@example.com", paid_at=now)
    record(email="older@example.com", paid_at=now - timedelta(minutes=1))

    customer.refresh_from_db()
    assert (customer.email, newer.billing_email) == ("new@example.com", "new@example.com")
    changed = Event.objects.filter(object_id=customer.pk, type="customer.updated")
    assert [e.changes["email"] for e in changed] == [[was, "new@example.com"]]
