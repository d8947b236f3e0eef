"""What may be done to subscriptions. billing.domain.invoicing issues and charges their invoices."""

from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from billing import periods
from billing.domain import coupons, vault
from billing.domain.once import made_before, make_once
from billing.domain.requests import limits
from billing.gateways import gateways_for
from billing.models import Coupon, PaymentMethod, Subscription
from customers.domain import Stale, refuse_archived
from customers.models import Customer
from dashboard import events, states
from dashboard.money import CURRENCIES, LARGEST, Money
from dashboard.states import DomainError

Status, Billing = Subscription.Status, Subscription.Billing
LARGEST_QUANTITY = 1_000_000
LONGEST = {"day": 1096, "week": 156, "month": 36, "year": 3}  # intervals in one period: three years
LATEST_DUE = 365  # days
PAST, AHEAD = timedelta(days=366), timedelta(days=5 * 366)  # how far back and ahead a first day may lie
EDITABLE = ("name", "amount", "quantity", "method", "billing", "days_until_due", "metadata")
_SAME_FORM = (
    "customer_id", "name", "amount", "currency", "interval", "interval_count", "quantity", "billing", "started_on",
    "method_id", "coupon_id",
)  # fmt: skip


class Upcoming(NamedTuple):
    """A period that is yet to be billed: its days, what it costs, and what the coupon takes off."""

    first: object
    last: object
    amount: Money
    discount: Money

    @property
    def total(self):
        return self.amount - self.discount


# --- starting --------------------------------------------------------------------------------------------
def start_subscription(
    customer,
    *,
    name,
    amount,
    currency,
    interval,
    interval_count,
    quantity,
    billing,
    started_on,
    by,
    method=None,
    coupon=None,
    days_until_due=14,
    metadata=None,
    form_key="",
    bill_past=False,
):
    """Bill a customer `quantity` × `amount` minor units for every period from started_on. One form_key starts one.

    A first day in the past, at most a year back, needs bill_past: its periods are billed at once. A coupon takes one
    of its uses. Raises DomainError when the customer or the terms do not allow it.
    """
    subscription = Subscription(
        livemode=customer.livemode,
        customer=customer,
        name=name,
        amount=amount,
        quantity=quantity,
        currency=currency,
        interval=interval,
        interval_count=interval_count,
        billing=billing,
        days_until_due=days_until_due,
        method=method,
        coupon=coupon,
        started_on=started_on,
        next_invoice_on=started_on,
        metadata=metadata or {},
        form_key=form_key,
        created_by=by,
    )
    return make_once(subscription, lambda: _save_new(subscription, bill_past, by), same=_SAME_FORM)


@transaction.atomic
def _save_new(subscription, bill_past, by):
    """The customer is locked: nobody archives it, nor removes its method, between the look and the write."""
    customer = _lock_customer(subscription)
    if found := made_before(subscription, same=_SAME_FORM):
        return found
    refuse_archived(customer)
    refuse_terms(subscription)
    refuse_first_day(subscription, bill_past)
    refuse_unbillable(subscription, customer)
    subscription.discount_ends_on = discount_end(subscription)
    subscription.derive().save(force_insert=True)
    if subscription.coupon:
        about = {"subtotal": subscription.period_amount, "currency": subscription.currency}
        coupons.redeem(subscription.coupon, customer=customer, on=subscription, by=by, **about)
    terms = {"amount": subscription.period_amount, "currency": subscription.currency, "terms": subscription.every}
    events.record("subscription.created", subscription, by=by, **terms)
    return subscription


def _lock_customer(subscription):
    return Customer.objects.select_for_update(no_key=True).get(pk=subscription.customer_id)


def refuse_terms(subscription):
    """Raise DomainError when name, amount, quantity, currency or interval are out of bounds."""
    if not subscription.name:
        raise DomainError("Say what the subscription is for.")
    if subscription.currency not in CURRENCIES:
        raise DomainError(f"{subscription.currency} is not a currency.")
    if subscription.amount < 1 or not 1 <= subscription.quantity <= LARGEST_QUANTITY:
        raise DomainError("Enter an amount above zero and a quantity from 1 to 1,000,000.")
    if subscription.period_amount > LARGEST:
        raise DomainError(f"A period can cost at most {Money(LARGEST, subscription.currency)}.")
    if not 1 <= subscription.interval_count <= LONGEST.get(subscription.interval, 0):
        raise DomainError("A period is at least one day and at most three years long.")
    if not 0 <= subscription.days_until_due <= LATEST_DUE:
        raise DomainError("An invoice is due at most 365 days after it is issued.")


def refuse_first_day(subscription, bill_past):
    """Raise DomainError for a first day too far off, or a past one when staff did not say that it is billed."""
    today, first = timezone.localdate(), subscription.started_on
    if first < today - PAST:
        raise DomainError("Choose a first day at most one year back.")
    if first > today + AHEAD:
        raise DomainError("Choose a first day at most five years ahead.")
    if first < today and not bill_past:
        raise DomainError("This first day is past. Choose today or a later one, or tick that past periods are billed.")


def refuse_unbillable(subscription, customer):
    """Raise DomainError when the customer cannot get invoices, or has nothing they can be charged to."""
    if not customer.email:
        raise DomainError(f"{customer} has no e-mail. Add one: invoices and receipts go there.")
    if subscription.method and (subscription.method.customer_id, subscription.method.livemode) != (
        customer.pk, customer.livemode,
    ):  # fmt: skip
        raise DomainError(f"{subscription.method} is not a payment method of {customer}.")
    if subscription.billing == Billing.AUTOMATIC:
        _refuse_uncharged(subscription, customer)


def _refuse_uncharged(subscription, customer):
    chosen = PaymentMethod.objects.filter(pk=subscription.method_id).first()  # as it is now, not as it was read
    method = chosen or vault.default_method(customer)
    if not method:
        raise DomainError(
            f"Customer must have a default source: {customer} has no payment method. "
            "Add a card, request card details, or send invoices instead."
        )
    vault.refuse_unchargeable(method)
    if not gateways_for(subscription.livemode, subscription.currency):
        mode = "live" if subscription.livemode else "test"
        raise DomainError(f"No gateway takes {subscription.currency} in {mode} mode. Send invoices instead.")
    smallest, largest = limits(subscription.livemode, subscription.currency)
    if not smallest.minor <= subscription.period_amount <= largest.minor:
        raise DomainError(f"A period costs {subscription.period_money}, and charges can be from {smallest} to {largest}.")


# --- what a period costs -----------------------------------------------------------------------------------
def discount_end(subscription):
    """The day from which periods get no discount any more; None when all get it (or there is no coupon)."""
    coupon, first = subscription.coupon, subscription.started_on
    if not coupon or coupon.duration == Coupon.Duration.FOREVER:
        return None
    if coupon.duration == Coupon.Duration.ONCE:
        return periods.begins_on(first, 1, subscription.interval, subscription.interval_count)
    return periods.begins_on(first, coupon.duration_in_months, "month")


def discount_on(subscription, day):
    """Minor units the coupon takes off a period that begins on a day."""
    coupon, ends_on = subscription.coupon, subscription.discount_ends_on
    if not coupon or (ends_on and day >= ends_on):
        return 0
    return coupons.discount_of(coupon, subscription.period_amount, subscription.currency)


def period_days(subscription, n):
    """(first day, day after the last) of a subscription's period n."""
    return periods.period(subscription.started_on, n, subscription.interval, subscription.interval_count)


def upcoming(subscription, count):
    """The next `count` periods to be billed, each an Upcoming; none when it is canceled or ends with its period."""
    if not subscription.next_invoice_on or subscription.cancel_at_period_end:
        return []
    first = subscription.next_period
    if subscription.status == Status.PAUSED:
        first = max(first, _number_from(subscription, timezone.localdate()))
    return [_upcoming(subscription, n) for n in range(first, first + count)]


def _upcoming(subscription, n):
    first, after = period_days(subscription, n)
    discount = Money(discount_on(subscription, first), subscription.currency)
    return Upcoming(first, after - timedelta(days=1), subscription.period_money, discount)


def _number_from(subscription, day):
    return periods.period_number_from(subscription.started_on, day, subscription.interval, subscription.interval_count)


# --- changing ----------------------------------------------------------------------------------------------
def lock(subscription):
    """The subscription as it is now, its row locked."""
    rows = Subscription.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("customer", "coupon", "method").get(pk=subscription.pk)


@transaction.atomic
def update_subscription(subscription, *, version, by, **fields):
    """Set some of the EDITABLE fields for the periods to come; invoices issued already stay as they are.

    Raises Stale when the stored version is not `version`, DomainError for terms out of bounds or a canceled one.
    """
    if unknown := set(fields) - set(EDITABLE):
        raise TypeError(f"A subscription's {', '.join(sorted(unknown))} cannot be set.")
    current = lock(subscription)
    _refuse_canceled(current)
    if current.version != version:
        raise Stale(current)
    changes = events.changed(current, fields)
    if changes:
        _save_changed(current, fields, by, changes)
    return current


def _save_changed(current, fields, by, changes):
    for name, value in fields.items():
        setattr(current, name, value)
    refuse_terms(current)
    if current.status != Status.PAUSED:
        refuse_unbillable(current, _lock_customer(current))
    was, current.version, current.updated_at = current.version, current.version + 1, timezone.now()
    saved = {n: getattr(current.derive(), n) for n in (*fields, "search", "version", "updated_at")}
    if not Subscription.objects.live().filter(pk=current.pk, version=was).update(**saved):
        raise Stale(Subscription.objects.get(pk=current.pk))
    if "method" in changes:
        changes["method"] = [str(m or "the default") for m in changes["method"]]
    events.record("subscription.updated", current, by=by, changes=changes)


def _refuse_canceled(subscription):
    if subscription.status == Status.CANCELED:
        raise DomainError("This subscription is canceled. Start a new one instead.")


@transaction.atomic
def pause(subscription, *, by, why=""):
    """Stop billing: periods that begin while it is paused are not billed, nor any that is not billed yet."""
    current = lock(subscription)
    if current.cancel_at_period_end:
        raise DomainError("This subscription ends with its period, so there is nothing to pause. Keep it first.")
    now = timezone.now()
    return states.move(current, Status.PAUSED, by=by, why=why, paused_at=now, updated_at=now)


@transaction.atomic
def resume(subscription, *, by):
    """Bill a paused subscription again, from the first period that begins today or later.

    Raises DomainError when the customer cannot be billed (archived, no e-mail, nothing to charge).
    """
    current = lock(subscription)
    if current.status != Status.PAUSED:
        raise DomainError(f"This subscription is {current.get_status_display().lower()} and cannot be resumed.")
    customer = _lock_customer(current)
    refuse_archived(customer)
    refuse_unbillable(current, customer)
    number = max(current.next_period, _number_from(current, timezone.localdate()))
    first, _ = period_days(current, number)
    fields = {"next_period": number, "next_invoice_on": first, "paused_at": None, "problem": ""}
    return states.move(current, Status.ACTIVE, by=by, updated_at=timezone.now(), **fields)


# --- ending ------------------------------------------------------------------------------------------------
@transaction.atomic
def cancel_subscription(subscription, *, at_period_end, by, why=""):
    """End a subscription, now or when its current period ends. Invoices issued already stay owed.

    Canceled before anything was billed, it gives its coupon's use back. Raises DomainError when it is canceled already.
    """
    current = lock(subscription)
    _refuse_canceled(current)
    return _end_later(current, by, why) if at_period_end else end_now(current, by=by, why=why)


def end_now(subscription, *, by, why=""):
    """Cancel a locked subscription; nothing will be billed any more. For the transaction that locked it."""
    if subscription.coupon_id and not subscription.invoices.exists():
        coupons.release(subscription, by=by)
    now = timezone.now()
    fields = {"canceled_at": now, "next_invoice_on": None, "problem": "", "updated_at": now}
    return states.move(subscription, Status.CANCELED, by=by, why=why, **fields)


def _end_later(current, by, why):
    if current.status == Status.PAUSED or not current.current_period_end:
        raise DomainError("No period is running that it could end with. Cancel it now.")
    ends_on = current.next_invoice_on.isoformat()
    return _plan_end(current, True, "subscription.cancel_planned", by=by, why=why, ends_on=ends_on)


@transaction.atomic
def keep_subscription(subscription, *, by):
    """Take back that a subscription ends with its period: it goes on. Raises DomainError when it does not end."""
    current = lock(subscription)
    _refuse_canceled(current)
    if not current.cancel_at_period_end:
        raise DomainError("This subscription goes on already.")
    return _plan_end(current, False, "subscription.cancel_undone", by=by)


def _plan_end(current, ends, kind, *, by, why="", **told):
    rows = Subscription.objects.billing().filter(pk=current.pk, cancel_at_period_end=not ends)
    if rows.update(cancel_at_period_end=ends, updated_at=timezone.now()):
        events.record(kind, current, by=by, why=why, **told)
    current.refresh_from_db()
    return current
