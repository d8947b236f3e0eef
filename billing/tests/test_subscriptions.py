"""Subscriptions: started, changed, paused, resumed and ended, each with its refusals and its event."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from billing.domain import coupons, vault
from billing.domain import subscriptions as domain
from billing.models import BillingStatement, Coupon, Subscription
from billing.tests.factories import make_customer, make_method, make_subscription
from billing.tests.test_attempts import at_once
from customers.domain import Stale, archive_customer
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def today():
    return timezone.localdate()


def events_of(subscription):
    found = Event.objects.filter(object_id=subscription.pk).order_by("pk")
    return [kind.partition(".")[2] for kind in found.values_list("type", flat=True)]


# --- starting ----------------------------------------------------------------------------------------------
def test_a_subscription_begins_with_its_first_day_and_is_recorded(max):
    sub = make_subscription(by=max, quantity=3, amount=1000, started_on=today() + 9 * DAY)

    assert (sub.status, sub.next_period, sub.next_invoice_on) == ("active", 0, today() + 9 * DAY)
    assert (sub.period_amount, sub.every) == (3000, "every month")
    event = Event.objects.get(type="subscription.created")
    assert (event.by, event.customer_id, event.data["amount"]) == (max, sub.customer_id, 3000)


def test_one_form_starts_one_subscription():
    customer = make_customer()
    make_method(customer)

    made = [make_subscription(customer, form_key="form-1") for _ in range(3)]

    assert len({sub.pk for sub in made}) == Subscription.objects.count() == 1
    with pytest.raises(DomainError, match="This form made the subscription"):
        make_subscription(customer, form_key="form-1", amount=1)


@pytest.mark.django_db(transaction=True)
def test_the_same_form_at_the_same_moment_starts_one_subscription():
    customer = make_customer()
    make_method(customer)

    results = at_once(6, lambda n: make_subscription(customer, form_key="form-1"))

    assert len({getattr(r, "pk", r) for r in results}) == Subscription.objects.count() == 1, results


REFUSED = [
    ({"name": ""}, "Say what the subscription is for"),
    ({"amount": 0}, "above zero"),
    ({"amount": -5}, "above zero"),
    ({"quantity": 0}, "quantity from 1"),
    ({"quantity": 1_000_001}, "quantity from 1"),
    ({"amount": 10**12, "quantity": 2}, "can cost at most"),
    ({"amount": 10}, "charges can be from"),
    ({"currency": "XAU"}, "not a currency"),
    ({"interval_count": 0}, "at most three years"),
    ({"interval_count": 37}, "at most three years"),
    ({"interval": "year", "interval_count": 4}, "at most three years"),
    ({"days_until_due": 366}, "at most 365 days"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_terms_out_of_bounds_are_refused_in_a_sentence(changes, sentence):
    with pytest.raises(DomainError, match=sentence):
        make_subscription(**changes)
    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    ("days", "bill_past", "sentence"),
    [(-1, False, "tick that past periods"), (-400, True, "one year back"), (2000, False, "five years ahead")],
)
def test_a_first_day_out_of_reach_is_refused(days, bill_past, sentence):
    with pytest.raises(DomainError, match=sentence):
        make_subscription(started_on=today() + days * DAY, bill_past=bill_past)


def test_a_past_first_day_is_taken_when_staff_say_so():
    assert make_subscription(started_on=today() - 40 * DAY, bill_past=True).next_invoice_on == today() - 40 * DAY


def test_automatic_charges_need_a_method_and_sent_invoices_do_not():
    customer = make_customer()
    with pytest.raises(DomainError, match="Customer must have a default source"):
        make_subscription(customer, method=None, with_method=False)

    assert make_subscription(customer, billing="send_invoice", with_method=False).billing == "send_invoice"


def test_the_chosen_method_is_the_customers_and_can_be_charged():
    customer = make_customer()
    gone = make_method(customer)
    vault.remove_method(gone, by=None)
    old = make_method(customer, number="5555555555554444", expire_year=2020)

    for method, sentence in [(gone, "was removed"), (old, "expired"), (make_method(make_customer()), "not a payment method")]:
        with pytest.raises(DomainError, match=sentence):
            make_subscription(customer, method=method, with_method=False)


def test_an_archived_customer_and_one_without_email_get_none():
    with pytest.raises(DomainError, match="archived"):
        make_subscription(archive_customer(make_customer(), by=None), billing="send_invoice", with_method=False)
    with pytest.raises(DomainError, match="no e-mail"):
        make_subscription(make_customer(email=""))


# --- coupons -----------------------------------------------------------------------------------------------
def make_coupon(**fields):
    return coupons.create_coupon(**{"livemode": False, "by": None, "percent_off": Decimal(10), **fields})


@pytest.mark.parametrize(
    ("fields", "discounts"),
    [
        ({"duration": "once"}, [200, 0, 0, 0]),
        ({"duration": "repeating", "duration_in_months": 2}, [200, 200, 0, 0]),
        ({"duration": "forever"}, [200, 200, 200, 200]),
    ],
)
def test_a_coupon_takes_off_as_many_periods_as_its_duration_says(fields, discounts):
    coupon = make_coupon(**fields)

    sub = make_subscription(coupon=coupon, amount=2000, started_on=date(today().year + 1, 1, 31))

    assert [p.discount.minor for p in domain.upcoming(sub, 4)] == discounts
    assert [p.total.minor for p in domain.upcoming(sub, 1)] == [1800]
    assert Coupon.objects.get().times_redeemed == 1


def test_a_coupon_nobody_can_use_starts_nothing():
    coupon = coupons.switch(make_coupon(), active=False, by=None)

    with pytest.raises(DomainError, match="switched off"):
        make_subscription(coupon=coupon)
    assert not Subscription.objects.exists()


def test_canceled_before_anything_was_billed_it_gives_the_use_back():
    coupon = make_coupon(max_redemptions=1)
    sub = make_subscription(coupon=coupon, started_on=today() + DAY)

    domain.cancel_subscription(sub, at_period_end=False, by=None)

    coupon.refresh_from_db()
    assert coupon.times_redeemed == 0


# --- changing ----------------------------------------------------------------------------------------------
def test_a_change_counts_for_the_periods_to_come(max):
    sub = make_subscription()

    changed = domain.update_subscription(sub, version=1, by=max, name="Beans, large", amount=9900, quantity=2)

    assert (changed.period_amount, changed.version) == (19800, 2)
    assert domain.upcoming(changed, 1)[0].amount.minor == 19800
    assert Event.objects.get(type="subscription.updated").changes["amount"] == [2900, 9900]
    assert "beans large" in Subscription.objects.get().search


def test_an_old_version_overwrites_nothing_and_no_change_writes_nothing():
    sub = make_subscription()
    domain.update_subscription(sub, version=1, by=None, name=sub.name)
    assert events_of(sub) == ["created"]
    domain.update_subscription(sub, version=1, by=None, name="New")

    with pytest.raises(Stale):
        domain.update_subscription(sub, version=1, by=None, name="Newer")
    assert Subscription.objects.get().name == "New"


def test_another_method_is_told_by_its_name():
    sub = make_subscription()
    other = make_method(sub.customer, number="5555555555554444")

    domain.update_subscription(sub, version=1, by=None, method=other)

    assert Event.objects.get(type="subscription.updated").changes["method"] == ["the default", "Mastercard •••• 4444"]


def test_a_change_keeps_the_rules_of_the_start():
    sub = make_subscription()

    for changes, sentence in [({"amount": 0}, "above zero"), ({"quantity": 10**7}, "quantity"), ({"name": ""}, "Say what")]:
        with pytest.raises(DomainError, match=sentence):
            domain.update_subscription(sub, version=1, by=None, **changes)
    with pytest.raises(TypeError):
        domain.update_subscription(sub, version=1, by=None, status="paused")
    assert events_of(sub) == ["created"]


# --- pausing, resuming, ending --------------------------------------------------------------------------------
def test_paused_and_resumed_it_skips_what_began_meanwhile(max):
    sub = make_subscription(started_on=today() - 100 * DAY, bill_past=True, interval="day", interval_count=30)

    domain.pause(sub, by=max, why="On holiday")
    resumed = domain.resume(sub, by=max)

    assert (resumed.status, resumed.next_period, resumed.next_invoice_on) == ("active", 4, today() + 20 * DAY)
    assert events_of(sub) == ["created", "paused", "active"]


def test_a_period_that_begins_today_is_billed_after_resuming():
    sub = make_subscription(started_on=today() - 14 * DAY, bill_past=True, interval="week", interval_count=1)
    domain.pause(sub, by=None)

    assert domain.resume(sub, by=None).next_invoice_on == today()


def test_only_a_paused_one_is_resumed_and_only_when_it_can_be_billed():
    sub = make_subscription()
    with pytest.raises(DomainError, match="cannot be resumed"):
        domain.resume(sub, by=None)
    domain.pause(sub, by=None)
    with pytest.raises(DomainError, match="paused and cannot become paused"):
        domain.pause(sub, by=None)
    archive_customer(sub.customer, by=None)

    with pytest.raises(DomainError, match="archived"):
        domain.resume(sub, by=None)


def test_canceled_at_once_nothing_more_is_billed(max):
    sub = domain.cancel_subscription(make_subscription(), at_period_end=False, by=max, why="Moved away")

    assert (sub.status, sub.next_invoice_on) == ("canceled", None)
    assert domain.upcoming(sub, 3) == []
    assert Event.objects.get(type="subscription.canceled").data["why"] == "Moved away"
    for act in (
        lambda: domain.cancel_subscription(sub, at_period_end=False, by=max),
        lambda: domain.update_subscription(sub, version=1, by=max, name="x"),
        lambda: domain.keep_subscription(sub, by=max),
    ):
        with pytest.raises(DomainError, match="is canceled"):
            act()


def test_canceled_at_its_periods_end_it_can_be_kept_after_all(max):
    sub = make_subscription()
    with pytest.raises(DomainError, match="No period is running"):
        domain.cancel_subscription(sub, at_period_end=True, by=max)
    Subscription.objects.filter(pk=sub.pk).update(
        next_period=1, next_invoice_on=today() + 30 * DAY, current_period_start=today(), current_period_end=today() + 30 * DAY
    )

    planned = domain.cancel_subscription(sub, at_period_end=True, by=max)
    assert (planned.status, planned.cancel_at_period_end) == ("active", True)
    assert domain.upcoming(planned, 3) == []
    with pytest.raises(DomainError, match="ends with its period"):
        domain.pause(sub, by=max)

    kept = domain.keep_subscription(sub, by=max)
    assert not kept.cancel_at_period_end
    assert events_of(sub) == ["created", "cancel_planned", "cancel_undone"]
    with pytest.raises(DomainError, match="goes on already"):
        domain.keep_subscription(sub, by=max)


@pytest.mark.django_db(transaction=True)
def test_of_many_who_pause_one_does():
    sub = make_subscription()

    results = at_once(6, lambda n: domain.pause(sub, by=None))

    assert sum(isinstance(r, Subscription) for r in results) == 1, results
    assert events_of(sub) == ["created", "paused"]


def test_a_live_subscription_keeps_its_method():
    sub = make_subscription()

    with pytest.raises(DomainError, match="is charged to"):
        vault.remove_method(sub.customer.methods.get(), by=None)
    domain.cancel_subscription(sub, at_period_end=False, by=None)
    vault.remove_method(sub.customer.methods.get(), by=None)
    assert not BillingStatement.objects.exists()
