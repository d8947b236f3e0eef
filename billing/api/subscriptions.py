"""Subscriptions: an amount billed again and again. Their invoices are in billing.api.invoices."""

from datetime import timedelta
from typing import Annotated, Literal

from django.db import transaction
from django.utils import timezone
from ninja import Query as Parameters
from ninja import Schema, Status
from pydantic import ConfigDict, Field

from billing.api.bill_bodies import Day, Quantity, WhyBody
from billing.api.bills import DAY, PERIOD
from billing.api.payers import CUSTOMER_ID, SAID, source_of
from billing.api.payment_answers import user_id
from billing.api.sorting import sort_of, sorts_of
from billing.api.statements import coupon_of
from billing.domain import subscriptions as domain
from billing.filters import SubscriptionFilter
from billing.models import Subscription
from billing.tables import SubscriptionTable
from customers.api.answers import shown_to
from customers.api.finding import find_customer, find_one
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.fields import Amount, Body, Count, Currency, Flag, Id, Metadata, Text, optional, stated, timestamp
from dashboard.api.lists import Paged, Paging, filtered_list

router = Resource(tags=["Subscriptions"])
PATH = "/subscriptions/{subscription_id}"
SUBSCRIPTIONS = Subscription.objects.select_related("customer", "coupon", "method")
ROWS = SUBSCRIPTIONS.defer("search", "customer__search", "customer__metadata", "customer__description")
AHEAD = 3  # periods told of those to come, as on its page
Interval, Billing = Literal[tuple(Subscription.Interval.values)], Literal[tuple(Subscription.Billing.values)]
SORTS = sorts_of(SubscriptionTable)
NEW = {
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "name": "Beans, monthly",
    "amount": 2900,
    "currency": "USD",
    "interval": "month",
    "billing": "pay_automatically",
    "started_on": "2026-12-01",
}
SUBSCRIPTION = {
    "id": "sub_65f0c1d2a7b34e5f60718293",
    "object": "subscription",
    "livemode": False,
    "status": "active",
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "name": "Beans, monthly",
    "amount": 2900,
    "quantity": 1,
    "period_amount": 2900,
    "currency": "USD",
    "interval": "month",
    "interval_count": 1,
    "billing": "pay_automatically",
    "days_until_due": 14,
    "payment_source_id": None,
    "coupon": None,
    "discount_ends_on": None,
    "started_on": "2026-12-01",
    "current_period_start": None,
    "current_period_end": None,
    "next_invoice_on": "2026-12-01",
    "cancel_at_period_end": False,
    "problem": "",
    "metadata": {},
    "paused_at": None,
    "canceled_at": None,
    "user_id": None,
    "created_at": "2026-11-22T09:00:00.000Z",
    "updated_at": "2026-11-22T09:00:00.000Z",
}
UPCOMING = {"period_start": "2026-12-01", "period_end": "2027-01-01", "amount": 2900, "discount_amount": 0, "total": 2900}


# --- what is said ------------------------------------------------------------------------------------------
class TermsFields(Body):
    """What may be changed of a subscription, for the periods to come. Metadata alone is dropped when malformed: what
    decides how much is charged, and when, is an error."""

    read_only = (
        "id", "object", "livemode", "status", "customer_id", "currency", "interval", "interval_count", "period_amount",
        "started_on", "coupon", "next_invoice_on", "cancel_at_period_end", "problem", "user_id", "created_at", "updated_at",
    )  # fmt: skip

    name: stated(Text(255, 1), description="What it is for. It stands on each invoice.")
    amount: stated(Amount, description="Minor units, of one.")
    quantity: stated(Quantity)
    billing: stated(Billing)
    payment_source_id: stated(Id("src"), description="What is charged; null: the customer's default.")
    days_until_due: stated(Count(0, domain.LATEST_DUE), description="Of a sent invoice, from the day it is issued.")
    metadata: optional(Metadata, clears={})

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"quantity": 2}})

    def terms(self):
        """What came, as the domain takes it; the payment source apart."""
        given = self.given()
        given.pop("payment_source_id", None)
        return {name: value for name, value in given.items() if value is not None}


class NewSubscription(TermsFields):
    """What to bill a customer, how often, and how it is paid."""

    read_only = ("id", "object", "livemode", "status", "period_amount", "next_invoice_on", "cancel_at_period_end", "user_id")

    customer_id: CUSTOMER_ID = Field(description=SAID)
    name: Text(255, 1) = Field(description="What it is for. It stands on each invoice.")
    amount: Amount = Field(description="Minor units, of one.")
    currency: stated(Currency, description="The customer's own unless told.")
    interval: stated(Interval, description="month unless told.")
    interval_count: stated(Count(1, max(domain.LONGEST.values())), description="Bills every so many intervals; 1 unless told.")
    started_on: stated(Day, description="The first day of the first period; today unless told.")
    bill_past: stated(Flag, description="Bill at once what has begun, for a first day up to a year back.")
    coupon: stated(Text(64), description="Its code. It takes one of the coupon's uses.")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": NEW})

    def terms(self):
        """All of it, with what is usual where nothing is said; customer, payment source and coupon apart."""
        given = super().terms()
        usual = {"quantity": 1, "billing": "pay_automatically", "interval": "month", "interval_count": 1}
        kept = {name: value for name, value in given.items() if name not in ("customer_id", "coupon")}
        return usual | {"started_on": timezone.localdate()} | kept


class CancelBody(WhyBody):
    """Now, unless `at_period_end`: then it can still be kept until its period ends."""

    at_period_end: stated(Flag)

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"at_period_end": True, "reason": "Moved away."}})


# --- what is answered --------------------------------------------------------------------------------------
class Upcoming(Schema):
    """A period that is yet to be billed; `period_end` is the day after its last."""

    period_start: str
    period_end: str
    amount: int
    discount_amount: int
    total: int


class SubscriptionRow(Schema):
    """A subscription. Amounts are minor units; a period costs quantity × amount."""

    model_config = ConfigDict(json_schema_extra={"example": SUBSCRIPTION})

    id: str
    object: Literal["subscription"]
    livemode: bool
    status: Literal[tuple(Subscription.Status.values)]
    customer_id: str
    name: str
    amount: int
    quantity: int
    period_amount: int
    currency: str
    interval: str
    interval_count: int
    billing: str
    days_until_due: int
    payment_source_id: str | None = Field(description="null: the customer's default.")
    coupon: str | None
    discount_ends_on: str | None = Field(description="Periods that begin from this day on get no discount.")
    started_on: str
    current_period_start: str | None
    current_period_end: str | None = Field(description="The day after its last.")
    next_invoice_on: str | None
    cancel_at_period_end: bool
    problem: str = Field(description="Why the last invoice could not be issued.")
    metadata: dict[str, str]
    paused_at: str | None
    canceled_at: str | None
    user_id: str | None
    created_at: str
    updated_at: str


class SubscriptionOut(SubscriptionRow):
    """A subscription, and the next periods it bills."""

    model_config = ConfigDict(json_schema_extra={"example": SUBSCRIPTION | {"upcoming": [UPCOMING]}})

    upcoming: list[Upcoming]


class SubscriptionList(Paged[SubscriptionRow]):
    pass


def subscription_json(subscription, caller):
    *_, text = shown_to(caller)
    days = ("discount_ends_on", "started_on", "current_period_start", "current_period_end", "next_invoice_on")
    times = ("paused_at", "canceled_at", "created_at", "updated_at")
    same = (
        "name", "amount", "quantity", "period_amount", "currency", "interval", "interval_count", "billing", "days_until_due",
        "cancel_at_period_end", "problem",
    )  # fmt: skip
    return {
        "id": subscription.pk,
        "object": "subscription",
        "livemode": subscription.livemode,
        "status": subscription.status,
        "customer_id": subscription.customer_id,
        **{name: getattr(subscription, name) for name in same},
        "payment_source_id": subscription.method_id,
        "coupon": subscription.coupon.code if subscription.coupon_id else None,
        **{name: _day(getattr(subscription, name)) for name in days},
        "metadata": {key: text(value) for key, value in subscription.metadata.items()},
        "user_id": user_id(subscription),
        **{name: timestamp(getattr(subscription, name)) for name in times},
    }


def _day(day):
    return day and day.isoformat()


def _upcoming_json(subscription):
    return [
        {
            "period_start": period.first.isoformat(),
            "period_end": (period.last + timedelta(days=1)).isoformat(),
            "amount": period.amount.minor,
            "discount_amount": period.discount.minor,
            "total": period.total.minor,
        }
        for period in domain.upcoming(subscription, AHEAD)
    ]


def whole(request, subscription):
    """The JSON of one subscription, read anew, with the periods to come."""
    found = SUBSCRIPTIONS.get(pk=subscription.pk)
    return subscription_json(found, request.auth) | {"upcoming": _upcoming_json(found)}


# --- lists and one -----------------------------------------------------------------------------------------
class SubscriptionQuery(Paging):
    """Filters of the list; a malformed one is disregarded."""

    q: optional(Text(200), description="Part of a name, customer or e-mail; or an ID.")
    status: optional(Literal[tuple(Subscription.Status.values)])
    customer: optional(Id("cus"), description="A customer's ID.")
    ends: optional(Literal["yes", "no"], description="Whether it ends with its period.")
    problem: optional(Literal["yes", "no"], description="Whether its last invoice could not be issued.")
    interval: optional(Interval)
    billing: optional(Billing)
    currency: optional(Currency)
    created: optional(Text(20), description=PERIOD)
    created_from: optional(Text(10), description=DAY)
    created_to: optional(Text(10), description=DAY)
    next_from: optional(Text(10), description="Its next invoice is issued on this day or later.")
    next_to: optional(Text(10), description="Its next invoice is issued on this day or before.")
    sort: sort_of(SubscriptionTable)


@router.get("/subscriptions", response=reads(SubscriptionList), summary="List subscriptions")
@allowed_to("billing.view_subscription")
def list_subscriptions(request, query: Annotated[SubscriptionQuery, Parameters()]):
    """The newest first, unless `sort` says otherwise."""
    return filtered_list(request, query, SubscriptionFilter, ROWS, subscription_json, SORTS)


@router.get(PATH, response=reads(SubscriptionOut), summary="Retrieve a subscription")
@allowed_to("billing.view_subscription")
def retrieve_subscription(request, subscription_id: str):
    """By ID, with the next periods it bills."""
    return whole(request, _find(request, subscription_id))


def _find(request, pk):
    return find_one(request, SUBSCRIPTIONS.filter(livemode=request.livemode), "subscription", pk, pk=pk)


# --- start and change --------------------------------------------------------------------------------------
@router.post("/subscriptions", response=writes(SubscriptionOut, 201), summary="Start a subscription")
@allowed_to("billing.change_subscription")
def start_subscription(request, body: NewSubscription):
    """Bills a customer from `started_on` on. Each period's invoice is issued, and charged or sent, by itself. The same
    Idempotency-Key starts one."""
    customer = find_customer(request, body.customer_id)
    started = domain.start_subscription(
        customer,
        by=request.auth.by,
        form_key=idempotency.form_key(request),
        method=source_of(request, customer, body.payment_source_id),
        coupon=coupon_of(request, body.coupon),
        **{"currency": customer.currency} | body.terms(),
    )
    return Status(201, whole(request, started))


@router.patch(PATH, response=writes(SubscriptionOut), summary="Change a subscription")
@allowed_to("billing.change_subscription")
def update_subscription(request, subscription_id: str, body: TermsFields):
    """Sets what comes for the periods to come. Invoices issued before stay as they are."""
    found, terms = _find(request, subscription_id), body.terms()
    if "payment_source_id" in body.given():
        terms["method"] = source_of(request, found.customer, body.payment_source_id)
    with transaction.atomic():
        current = domain.lock(found)
        domain.update_subscription(current, version=current.version, by=request.auth.by, **terms)
    return whole(request, current)


# --- pause and end -----------------------------------------------------------------------------------------
@router.post(f"{PATH}/pause", response=writes(SubscriptionOut), summary="Pause a subscription")
@allowed_to("billing.change_subscription")
def pause_subscription(request, subscription_id: str, body: WhyBody | None = None):
    """Periods that begin while it is paused are not billed. Invoices issued before stay owed."""
    why = body.why if body else ""
    return whole(request, domain.pause(_find(request, subscription_id), by=request.auth.by, why=why))


@router.post(f"{PATH}/resume", response=writes(SubscriptionOut), summary="Resume a subscription")
@allowed_to("billing.change_subscription")
def resume_subscription(request, subscription_id: str):
    """Bills it again, from the first period that begins today or later."""
    return whole(request, domain.resume(_find(request, subscription_id), by=request.auth.by))


@router.post(f"{PATH}/cancel", response=writes(SubscriptionOut), summary="Cancel a subscription")
@allowed_to("billing.change_subscription")
def cancel_subscription(request, subscription_id: str, body: CancelBody | None = None):
    """Ends it for good, now or with its period. Nothing is given back, and invoices issued before stay owed."""
    how = {"at_period_end": bool(body and body.at_period_end), "why": body.why if body else ""}
    return whole(request, domain.cancel_subscription(_find(request, subscription_id), by=request.auth.by, **how))


@router.post(f"{PATH}/keep", response=writes(SubscriptionOut), summary="Keep a subscription")
@allowed_to("billing.change_subscription")
def keep_subscription(request, subscription_id: str):
    """Takes back that it ends with its period: it goes on."""
    return whole(request, domain.keep_subscription(_find(request, subscription_id), by=request.auth.by))
