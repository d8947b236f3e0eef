"""The invoices of subscriptions: each period's exactly once, whatever crashes, however late, however many ticks at once."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import periods
from billing.domain import coupons, invoicing, statements, subscriptions
from billing.domain.invoicing import bill_due
from billing.domain.ledger import ledger_errors
from billing.models import BillingStatement, Coupon, Subscription
from billing.tests.factories import make_customer, make_open_statement, make_subscription
from billing.tests.test_attempts import at_once
from customers.domain import archive_customer, update_customer
from dashboard import mail
from dashboard.models import Event, Mail
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def today():
    return timezone.localdate()


def begun(subscription, day):
    """The same subscription as if it had begun on an earlier day and nothing had run since."""
    Subscription.objects.filter(pk=subscription.pk).update(started_on=day, next_invoice_on=day)
    subscription.refresh_from_db()
    return subscription


def invoices_of(subscription):
    return list(subscription.invoices.order_by("period_start"))


def assert_each_once(subscription, count):
    """So many periods are billed, each once, with numbers in their order and nothing missing between."""
    found, subscription = invoices_of(subscription), Subscription.objects.get(pk=subscription.pk)
    days = [subscriptions.period_days(subscription, n) for n in range(count)]
    assert [(i.period_start, i.period_end) for i in found] == days
    assert subscription.next_period == count
    assert subscription.next_invoice_on == subscriptions.period_days(subscription, count)[0]
    numbers = [int(i.number.rpartition("-")[2]) for i in found]
    assert numbers == sorted(set(numbers))
    assert len(Event.objects.filter(object_id=subscription.pk, type="subscription.invoiced")) == count
    assert ledger_errors() == []


# --- what is issued --------------------------------------------------------------------------------------------
def test_a_period_that_begins_is_billed_and_the_next_one_waits():
    sub = make_subscription(quantity=2, amount=1450, name="Beans")

    assert (bill_due(), bill_due()) == (1, 0)

    invoice = sub.invoices.get()
    assert (invoice.status, invoice.total, invoice.billing, invoice.billing_reason) == (
        "open", 2900, "pay_automatically", "subscription_create",
    )  # fmt: skip
    line = invoice.lines.get()
    assert (line.quantity, line.unit_price) == (2, 1450)
    assert line.description == invoice.description == f"Beans, {invoicing.days_text(invoice.period_start, invoice.period_end)}"
    assert (timezone.localdate(invoice.due_at), invoice.number[-5:]) == (today(), "-0001")
    assert invoice.next_charge_at
    assert_each_once(sub, 1)


def test_one_that_begins_tomorrow_is_left_alone_until_then():
    sub = make_subscription(started_on=today() + DAY)

    assert bill_due() == 0
    assert bill_due(timezone.now() + DAY) == 1
    assert sub.invoices.get().period_start == today() + DAY


def test_a_sent_invoice_goes_out_with_the_transaction_that_made_it_and_is_due_later():
    sub = make_subscription(billing="send_invoice", days_until_due=30, with_method=False)

    bill_due()

    invoice, letter = sub.invoices.get(), Mail.objects.get()
    assert (letter.object_id, letter.to, letter.kind) == (invoice.pk, "marta@example.com", "statement")
    assert (invoice.sent_count, timezone.localdate(invoice.due_at)) == (1, today() + 30 * DAY)
    assert invoice.next_charge_at is None


def test_the_second_one_is_told_apart_from_the_first():
    sub = begun(make_subscription(), today() - 40 * DAY)
    bill_due()

    assert [i.billing_reason for i in invoices_of(sub)] == ["subscription_create", "subscription_cycle"]


def test_month_ends_are_billed_on_the_last_day():
    sub = begun(make_subscription(), date(today().year - 1, 1, 31))
    bill_due()

    found = invoices_of(sub)
    assert [i.period_start for i in found[:3]] == [periods.begins_on(sub.started_on, n, "month") for n in range(3)]
    assert (found[1].period_start.month, found[1].period_start.day > 27, found[2].period_start.day) == (2, True, 31)


def test_a_coupon_is_named_on_the_invoices_it_takes_from_and_takes_one_use():
    coupon = coupons.create_coupon(
        livemode=False, by=None, percent_off=Decimal(50), duration="repeating", duration_in_months=2, max_redemptions=1
    )
    sub = make_subscription(coupon=coupon, amount=2001)
    begun(sub, today() - 100 * DAY)
    Subscription.objects.filter(pk=sub.pk).update(discount_ends_on=periods.begins_on(today() - 100 * DAY, 2, "month"))
    bill_due()

    found = invoices_of(sub)
    assert [(i.discount_amount, i.total, i.coupon_id) for i in found[:3]] == [
        (1001, 1000, coupon.pk), (1001, 1000, coupon.pk), (0, 2001, None),
    ]  # fmt: skip
    assert [i.redemptions.filter(counts=False, released_at=None).count() for i in found[:3]] == [1, 1, 0]
    assert Coupon.objects.get().times_redeemed == 1
    assert list(coupons.coupon_errors()) == []


def test_a_discount_of_everything_is_paid_at_once_and_charged_never():
    coupon = coupons.create_coupon(livemode=False, by=None, percent_off=Decimal(100), duration="forever")
    sub = make_subscription(coupon=coupon)

    bill_due()

    invoice = sub.invoices.get()
    assert (invoice.status, invoice.total, invoice.next_charge_at) == ("paid", 0, None)


# --- late ----------------------------------------------------------------------------------------------------
def test_a_tick_three_years_late_issues_every_period_in_its_order():
    sub = begun(make_subscription(), (first := today() - timedelta(days=3 * 365 + 3)))
    due = periods.period_number_from(first, today() + DAY, "month")

    runs = [bill_due() for _ in range(4)]

    assert runs == [24, due - 24, 0, 0]
    assert_each_once(sub, due)


def test_two_subscriptions_of_one_customer_keep_their_numbers_apart():
    customer = make_customer()
    subs = [begun(make_subscription(customer, name=f"Beans {n}"), today() - 100 * DAY) for n in range(2)]
    make_open_statement(customer)

    bill_due()

    numbers = [i.number for s in subs for i in invoices_of(s)]
    assert len(set(numbers)) == len(numbers) == 8
    for sub in subs:
        assert_each_once(sub, 4)


# --- crashes ---------------------------------------------------------------------------------------------------
STEPS = [
    (invoicing, "_take"),
    (invoicing, "_write"),
    (statements, "make_lines"),
    (statements, "take_number"),
    (statements, "finalize_statement"),
    (invoicing.sending, "send_statement"),
    (mail, "queue"),
    (invoicing, "_issue"),
]


class Crash(Exception):
    pass


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("module", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_crash_at_any_step_leaves_nothing_half_done_and_the_next_tick_does_it_once(module, name, after, monkeypatch):
    sub = begun(make_subscription(billing="send_invoice", with_method=False), today() - 40 * DAY)
    real = getattr(module, name)

    def crash(*args, **kwargs):
        if after:
            real(*args, **kwargs)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(module, name, crash)
        with pytest.raises(Crash):
            bill_due()
    assert (invoices_of(sub), Mail.objects.count()) == ([], 0)
    assert Subscription.objects.get().next_period == 0
    assert sub.customer.__class__.objects.get().next_billing_statement_sequence_number == 1

    assert bill_due() == 2
    assert_each_once(sub, 2)
    assert Mail.objects.count() == 2


def test_one_subscriptions_crash_is_not_the_others(monkeypatch):
    broken, sound = make_subscription(name="Broken"), make_subscription(name="Sound")
    write = invoicing._write

    def fail(subscription, *args):
        if subscription.name == "Broken":
            raise Crash
        return write(subscription, *args)

    monkeypatch.setattr(invoicing, "_write", fail)
    with pytest.raises(Crash):
        bill_due()

    assert (invoices_of(broken), len(invoices_of(sound))) == ([], 1)


# --- many at once ----------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_eight_ticks_at_once_bill_each_period_once():
    subs = [begun(make_subscription(name=f"Beans {n}"), today() - 100 * DAY) for n in range(3)]

    results = at_once(8, lambda n: bill_due())

    assert sum(results) == 12, results
    for sub in subs:
        assert_each_once(sub, 4)


@pytest.mark.django_db(transaction=True)
def test_without_lock_and_compare_and_set_eight_ticks_run_into_the_net(monkeypatch):
    """The control: what is looked at before the transaction, and taken whatever it is now, is taken many times over."""
    sub = make_subscription()
    seen = subscriptions.lock

    def careless_due(pk, now):
        return found[0]

    def careless_take(subscription, first, after):
        fields = {"next_period": subscription.next_period + 1, "next_invoice_on": after}
        return Subscription.objects.filter(pk=subscription.pk).update(**fields)

    with transaction.atomic():
        found = [seen(sub)]
    monkeypatch.setattr(invoicing, "_due", careless_due)
    monkeypatch.setattr(invoicing, "_take", careless_take)
    results = at_once(8, lambda n: invoicing._bill_period(sub.pk, timezone.now()))

    assert sum(isinstance(r, IntegrityError) and "period" in str(r) for r in results) == 7, results
    assert len(invoices_of(sub)) == 1  # the unique constraint is the net


def test_a_period_taken_by_another_tick_is_left_to_it(monkeypatch):
    sub = make_subscription()
    stale = subscriptions.lock(sub)
    bill_due()

    monkeypatch.setattr(invoicing, "_due", lambda pk, now: stale)
    assert invoicing._bill_period(sub.pk, timezone.now()) is None
    assert_each_once(sub, 1)


# --- what refuses, pauses and ends -------------------------------------------------------------------------------
def test_what_refuses_is_said_once_and_tried_again():
    sub = make_subscription()
    customer = update_customer(sub.customer, version=sub.customer.version, by=None, email="")

    assert (bill_due(), bill_due()) == (0, 0)
    sub.refresh_from_db()
    assert "has no e-mail" in sub.problem
    assert Event.objects.filter(object_id=sub.pk, type="subscription.problem").count() == 1

    update_customer(customer, version=customer.version, by=None, email="new@example.com")
    assert bill_due() == 1
    sub.refresh_from_db()
    assert sub.problem == ""
    assert_each_once(sub, 1)


def test_a_number_another_customer_has_is_a_problem_and_not_a_crash():
    customer, other = make_customer(billing_statement_prefix="ACME"), make_customer()
    sub = make_subscription(customer)
    taken = make_open_statement(other)
    BillingStatement.objects.filter(pk=taken.pk).update(number="ACME-0001")

    assert bill_due() == 0
    sub.refresh_from_db()
    assert "ACME-0001 is taken" in sub.problem
    assert invoices_of(sub) == []


def test_an_archived_customers_subscription_is_paused_by_the_system():
    sub = make_subscription()
    archive_customer(sub.customer, by=None)

    assert bill_due() == 0
    sub.refresh_from_db()
    event = Event.objects.get(type="subscription.paused")
    assert (sub.status, event.by, event.actor, "is archived" in event.data["why"]) == ("paused", None, "system", True)


def test_one_that_ends_with_its_period_is_canceled_instead_of_billed():
    sub = make_subscription()
    bill_due()
    sub = subscriptions.cancel_subscription(sub, at_period_end=True, by=None)
    assert bill_due(timezone.now() + 20 * DAY) == 0
    sub.refresh_from_db()
    assert sub.status == "active"

    assert bill_due(timezone.now() + 40 * DAY) == 0
    sub.refresh_from_db()
    assert (sub.status, sub.next_invoice_on, len(invoices_of(sub))) == ("canceled", None, 1)


@pytest.mark.parametrize("end", ["pause", "cancel"])
def test_paused_and_canceled_ones_are_not_billed(end):
    sub = make_subscription()
    if end == "pause":
        subscriptions.pause(sub, by=None)
    else:
        subscriptions.cancel_subscription(sub, at_period_end=False, by=None)

    assert bill_due() == 0
    assert invoices_of(sub) == []


@pytest.mark.django_db(transaction=True)
def test_paused_while_ticks_run_it_is_billed_before_or_not_at_all():
    sub = begun(make_subscription(), today() - 100 * DAY)

    results = at_once(4, lambda n: bill_due() if n else subscriptions.pause(sub, by=None))

    assert not [r for r in results if isinstance(r, Exception) and not isinstance(r, DomainError)], results
    assert_each_once(sub, len(invoices_of(sub)))
