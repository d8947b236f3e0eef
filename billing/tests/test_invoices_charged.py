"""Invoices charged automatically: once for each try, again after some days, and given up in the end."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.domain import charges, checkouts, invoicing, payments, statements, subscriptions, vault
from billing.domain.invoicing import bill_due, charge_due
from billing.domain.ledger import ledger_errors
from billing.domain.payments import record_payment
from billing.gateways.base import OutcomeUnknown
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.gateways.sandbox.models import SandboxCharge
from billing.models import BillingStatement, Payment, Subscription
from billing.tests.factories import make_customer, make_method, make_subscription, submit_card
from billing.tests.test_attempts import at_once
from customers.domain import archive_customer
from dashboard.models import Event, Mail
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
DECLINES_LATER, CONFIRMS = "4000000000000341", "4000002500003155"


def billed(number="4242424242424242", **fields):
    """An open invoice of $29.00 of a subscription that is charged to a listed card."""
    customer = make_customer()
    make_method(customer, number=number)
    sub = make_subscription(customer, **fields)
    bill_due()
    return sub.invoices.get()


def fresh(invoice):
    return BillingStatement.objects.select_related("subscription").get(pk=invoice.pk)


def failures(invoice):
    return Event.objects.filter(object_id=invoice.pk, type="billing_statement.charge_failed").order_by("pk")


def taken():
    """The charges the bank has taken money for."""
    return SandboxCharge.objects.filter(status="succeeded").count()


# --- paid ------------------------------------------------------------------------------------------------------
def test_an_invoice_is_charged_to_the_default_method_once():
    invoice = billed()

    assert (charge_due(), charge_due()) == (1, 0)

    payment = Payment.objects.get()
    assert (payment.status, payment.amount, payment.product_type) == ("paid", 2900, "subscription_invoice")
    assert payment.source == invoice.customer.methods.get()
    assert payment.created_by is None
    assert (fresh(invoice).status, fresh(invoice).next_charge_at, taken()) == ("paid", None, 1)
    assert Mail.objects.get().kind == "receipt"
    assert ledger_errors() == []


def test_it_is_charged_to_the_subscriptions_own_method():
    customer = make_customer()
    make_method(customer)
    own = make_method(customer, number="5555555555554444")
    make_subscription(customer, method=own)
    bill_due()
    charge_due()

    assert Payment.objects.get().source == own


def test_what_was_paid_before_is_not_charged_again():
    invoice = billed()
    record_payment(invoice.customer, amount=900, currency="USD", statement=invoice, by=None)
    charge_due()

    assert Payment.objects.get(gateway="sandbox").amount == 2000
    assert fresh(invoice).status == "paid"


def test_a_sent_invoice_is_charged_by_nobody():
    make_subscription(billing="send_invoice")
    bill_due()

    assert charge_due() == 0
    assert not Payment.objects.exists()


@pytest.mark.parametrize("ending", ["void", "uncollectible"])
def test_an_invoice_that_is_given_up_or_void_is_not_charged(ending):
    invoice = billed()
    if ending == "void":
        statements.void_statement(invoice, reason="Wrong", by=None)
    else:
        statements.mark_uncollectible(invoice, by=None)

    assert charge_due() == 0
    assert taken() == 0


# --- declined ----------------------------------------------------------------------------------------------------
def test_a_declined_charge_is_tried_again_after_three_five_and_seven_days_and_then_given_up(settings):
    assert settings.SUBSCRIPTION_RETRY_DAYS == [3, 5, 7]
    invoice, now = billed(DECLINES_LATER), timezone.now()

    for tries, pause in enumerate([3, 5, 7], start=1):
        assert charge_due(now) == 1
        assert (charge_due(now), charge_due(now + pause * DAY - timedelta(seconds=1))) == (0, 0)
        kept = fresh(invoice)
        assert (kept.status, kept.charges_failed, kept.next_charge_at) == ("open", tries, now + pause * DAY)
        now += pause * DAY
    assert charge_due(now) == 1

    kept = fresh(invoice)
    assert (kept.status, kept.charges_failed, kept.next_charge_at) == ("uncollectible", 4, None)
    assert kept.subscription.status == "past_due"
    assert [e.data["tries"] for e in failures(invoice)] == [1, 2, 3, 4]
    assert "declined" in failures(invoice)[0].data["why"]
    assert (charge_due(now + 90 * DAY), Payment.objects.filter(status="failed").count(), taken()) == (0, 4, 0)


def test_a_past_due_subscription_goes_on_being_billed():
    invoice, now = billed(DECLINES_LATER), timezone.now()
    for _ in range(4):
        charge_due(now)
        now += 8 * DAY

    assert fresh(invoice).subscription.status == "past_due"
    assert bill_due(now + 10 * DAY) == 1


def test_without_a_method_a_try_has_failed_and_says_why():
    invoice = billed()
    invoice.customer.methods.update(is_default=False, status="archived")

    assert charge_due() == 1
    assert "has no payment method on file" in failures(invoice).get().data["why"]
    assert fresh(invoice).charges_failed == 1
    assert not Payment.objects.exists()


def test_a_new_card_is_charged_at_the_next_try():
    invoice, now = billed(DECLINES_LATER), timezone.now()
    charge_due(now)
    vault.make_default(make_method(invoice.customer), by=None)

    charge_due(now + 3 * DAY)

    assert (fresh(invoice).status, taken()) == ("paid", 1)


def test_an_archived_customer_is_not_charged():
    invoice = billed()
    archive_customer(invoice.customer, by=None)
    charge_due()

    assert "archived" in failures(invoice).get().data["why"]
    assert taken() == 0


# --- not settled -------------------------------------------------------------------------------------------------
def test_a_charge_that_is_not_settled_is_left_alone_until_it_is(monkeypatch):
    invoice, now = billed(CONFIRMS), timezone.now()
    assert charge_due(now) == 1
    payment = Payment.objects.get()
    assert payment.status == "pending"

    for days in (0, 4, 40):
        assert charge_due(now + days * DAY) == 0
    assert (Payment.objects.count(), fresh(invoice).charges_failed, fresh(invoice).status) == (1, 0, "open")

    Payment.objects.filter(pk=payment.pk).update(status="failed", failure_message="The payment was not confirmed.")
    charge_due(now + 41 * DAY)
    assert fresh(invoice).charges_failed == 1
    assert failures(invoice).get().data["payment"] == payment.pk


def test_an_answer_that_got_lost_is_asked_for_and_never_charged_again(monkeypatch):
    invoice, real = billed(), SandboxGateway.charge

    def lose(self, request, *, key):
        real(self, request, key=key)
        raise OutcomeUnknown("The line went dead.")

    with monkeypatch.context() as patch:
        patch.setattr(SandboxGateway, "charge", lose)
        charge_due()
        charge_due()
    assert (Payment.objects.get().status, fresh(invoice).status, taken()) == ("pending", "open", 1)

    charges.settle_attempt(Payment.objects.get().attempt)
    charge_due()
    assert (Payment.objects.get().status, fresh(invoice).status, taken()) == ("paid", "paid", 1)


def test_while_the_customer_pays_nothing_is_charged():
    invoice = billed()
    page = checkouts.start_payment(invoice)

    assert charge_due() == 0
    assert (failures(invoice).count(), Payment.objects.count()) == (0, 0)

    submit_card(page)
    checkouts.check_again(invoice)
    assert charge_due() == 0
    assert (fresh(invoice).status, Payment.objects.count()) == ("paid", 1)


# --- crashes -----------------------------------------------------------------------------------------------------
class Crash(BaseException):
    """Ends the process as far as the code can tell."""


STEPS = [
    (charges, "charge_method", False),
    (charges.attempts, "write_attempt", True),
    (charges.attempts, "mark_sent", True),
    (SandboxGateway, "charge", True),
    (payments, "collect", False),
    (invoicing, "_apply", False),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("module", "name", "after"), STEPS, ids=[name for _, name, _ in STEPS])
def test_a_crash_at_any_step_charges_once_in_the_end(module, name, after, monkeypatch):
    invoice, real = billed(), getattr(module, name)

    def crash(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(module, name, crash)
        with pytest.raises(Crash):
            charge_due()

    for _ in range(2):
        charge_due()
        for payment in Payment.objects.filter(status="pending"):
            charges.settle_attempt(payment.attempt)
    assert (fresh(invoice).status, Payment.objects.count(), taken()) == ("paid", 1, 1)
    assert ledger_errors() == []


@pytest.mark.django_db(transaction=True)
def test_a_crash_after_a_decline_counts_it_once(monkeypatch):
    invoice, now = billed(DECLINES_LATER), timezone.now()

    def crash(*args, **kwargs):
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(invoicing, "_count_failure", crash)
        with pytest.raises(Crash):
            charge_due(now)
    charge_due(now)
    charge_due(now)

    assert (fresh(invoice).charges_failed, failures(invoice).count(), Payment.objects.count()) == (1, 1, 1)


# --- many at once ------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", ["4242424242424242", DECLINES_LATER])
def test_eight_ticks_at_once_charge_once(number):
    invoice, now = billed(number), timezone.now()

    results = at_once(8, lambda n: charge_due(now))

    assert not [r for r in results if isinstance(r, Exception)], results
    assert Payment.objects.count() == 1
    declined = number == DECLINES_LATER
    charge_due(now)
    assert (taken(), fresh(invoice).charges_failed, failures(invoice).count()) == ((0, 1, 1) if declined else (1, 0, 0))
    assert ledger_errors() == []


@pytest.mark.django_db(transaction=True)
def test_without_the_key_of_the_try_a_crash_charges_twice(monkeypatch):
    """The control: a key that tells no try from another."""
    import secrets

    invoice = billed()
    monkeypatch.setattr(invoicing, "charge_key", lambda found: secrets.token_hex(16))
    monkeypatch.setattr(invoicing, "_busy", lambda found: False)
    monkeypatch.setattr(charges.payables, "refuse_if_paying", lambda target: None)
    monkeypatch.setattr(charges.payables, "refuse_unpayable", lambda target: None)
    with monkeypatch.context() as patch:

        def crash(*args, **kwargs):
            raise Crash

        patch.setattr(payments, "collect", crash)
        with pytest.raises(Crash):
            charge_due()
    charge_due()

    assert taken() == 2
    assert fresh(invoice).status == "paid"


# --- settled after all ---------------------------------------------------------------------------------------------
def given_up():
    """An invoice that was given up, and its past due subscription."""
    invoice, now = billed(DECLINES_LATER), timezone.now()
    for _ in range(4):
        charge_due(now)
        now += 8 * DAY
    return fresh(invoice)


@pytest.mark.parametrize("how", ["recorded", "payer", "void", "pay now"])
def test_a_past_due_subscription_is_active_again_when_nothing_is_owed(how):
    invoice = given_up()
    if how == "recorded":
        record_payment(invoice.customer, amount=2900, currency="USD", statement=invoice, by=None)
    elif how == "payer":
        submit_card(checkouts.start_payment(invoice))
        checkouts.check_again(invoice)
    elif how == "void":
        statements.void_statement(invoice, reason="Goodwill", by=None)
    else:
        vault.make_default(make_method(invoice.customer), by=None)
        invoicing.pay_invoice(invoice, by=None, form_key="a" * 32)

    charge_due()

    assert Subscription.objects.get().status == "active"
    assert [e.data.get("why") for e in Event.objects.filter(type="subscription.active")] == ["Its invoices are settled."]


def test_one_with_something_owed_past_due_stays_past_due():
    invoice = given_up()
    record_payment(invoice.customer, amount=900, currency="USD", statement=invoice, by=None)
    charge_due(timezone.now() + 60 * DAY)

    assert Subscription.objects.get().status == "past_due"


def test_a_paused_subscription_stays_paused_when_an_invoice_is_given_up():
    invoice, now = billed(DECLINES_LATER), timezone.now()
    subscriptions.pause(invoice.subscription, by=None)
    for _ in range(4):
        charge_due(now)
        now += 8 * DAY

    assert (fresh(invoice).status, Subscription.objects.get().status) == ("uncollectible", "paused")


# --- pay now -----------------------------------------------------------------------------------------------------
def test_pay_now_charges_what_remains_once(max):
    invoice = billed()

    made = [invoicing.pay_invoice(invoice, by=max, form_key="a" * 32) for _ in range(3)]

    assert len({p.pk for p in made}) == 1
    assert (made[0].status, made[0].created_by, fresh(invoice).status, taken()) == ("paid", max, "paid", 1)
    with pytest.raises(DomainError, match="paid already"):
        invoicing.pay_invoice(fresh(invoice), by=max, form_key="b" * 32)


def test_a_declined_pay_now_leaves_the_plan_as_it_is(max):
    planned = fresh(billed(DECLINES_LATER))

    payment = invoicing.pay_invoice(planned, by=max, form_key="a" * 32)

    assert payment.status == "failed"
    assert planned.next_charge_at
    assert (fresh(planned).charges_failed, fresh(planned).next_charge_at) == (0, planned.next_charge_at)


def test_a_one_off_statement_is_not_paid_that_way(max):
    from billing.tests.factories import make_open_statement

    with pytest.raises(DomainError, match="no invoice of a subscription"):
        invoicing.pay_invoice(make_open_statement(), by=max, form_key="a" * 32)
