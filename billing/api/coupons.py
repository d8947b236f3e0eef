"""Coupons: what they take off, for whom, until when, and what they took off already."""

import re
from copy import copy
from decimal import Decimal
from typing import Annotated, Literal
from uuid import uuid4

from django.db import transaction
from ninja import Query as Parameters
from ninja import Schema, Status
from pydantic import BeforeValidator, ConfigDict, WithJsonSchema

from billing.api.sorting import sort_of, sorts_of
from billing.domain import coupons as domain
from billing.domain.coupon_checks import faults
from billing.filters import CouponFilter, RedemptionFilter
from billing.models import Coupon, CouponRedemption
from billing.models.coupons import STATUSES
from billing.tables import CouponTable, RedemptionTable
from customers.api.answers import shown_to
from customers.api.bodies import one_of
from customers.api.finding import find_customer, find_one
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.errors import ApiError, Invalid, problem, required
from dashboard.api.fields import Amount, Body, Currency, Metadata, Moment, Text, Whole, optional, stated, timestamp
from dashboard.api.lists import Filtered, Paged, Paging, filtered_list, listing

router = Resource(tags=["Coupons"])
SORTS, USE_SORTS = sorts_of(CouponTable), sorts_of(RedemptionTable)
TESTS = "dashboard.view_contact_data"  # whoever may search customers by e-mail may try a coupon on one, as on its page
DAY = "A day, in the dashboard's time zone: 2026-11-22."
_PERCENT = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,2}0*)?")


# --- what is answered --------------------------------------------------------------------------------------
EXAMPLE = {
    "id": "coupon_65f0c1d2a7b34e5f607182c0",
    "object": "coupon",
    "livemode": False,
    "code": "WELCOME10",
    "name": "Welcome",
    "description": "For new customers",
    "percent_off": "10.00",
    "amount_off": None,
    "currency": None,
    "duration": "repeating",
    "duration_in_months": 3,
    "customer_id": None,
    "max_redemptions": 100,
    "max_per_customer": 1,
    "times_redeemed": 12,
    "starts_at": None,
    "redeem_by": "2027-01-31T23:59:59.000Z",
    "active": True,
    "status": "active",
    "metadata": {"campaign": "autumn"},
    "created_at": "2026-10-27T10:00:00.000Z",
    "updated_at": "2026-10-27T10:00:00.000Z",
}


class CouponOut(Schema):
    """A coupon takes off a percentage, or an amount in one currency. `status` follows from its days and uses."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    id: str
    object: Literal["coupon"]
    livemode: bool
    code: str
    name: str
    description: str
    percent_off: str | None
    amount_off: int | None
    currency: str | None
    duration: str
    duration_in_months: int | None
    customer_id: str | None
    max_redemptions: int | None
    max_per_customer: int | None
    times_redeemed: int
    starts_at: str | None
    redeem_by: str | None
    active: bool
    status: Literal[tuple(STATUSES)]
    metadata: dict[str, str]
    created_at: str
    updated_at: str


class CouponList(Paged[CouponOut]):
    model_config = ConfigDict(
        json_schema_extra={"example": {"count": 1, "list": [EXAMPLE], "paging": {"page": 1, "pageSize": 20}}}
    )


USE = {
    "id": "red_65f0c1d2a7b34e5f607182c7",
    "object": "coupon_redemption",
    "livemode": False,
    "coupon_id": "coupon_65f0c1d2a7b34e5f607182c0",
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "billing_statement_id": "bstm_65f0c1d2a7b34e5f607182b1",
    "payment_request_id": None,
    "subscription_id": None,
    "amount_discounted": 486,
    "currency": "USD",
    "counts": True,
    "status": "used",
    "redeemed_at": "2026-10-27T10:00:00.000Z",
    "released_at": None,
}


class RedemptionOut(Schema):
    """One use of a coupon. `counts` is false for a subscription's invoices: the subscription took the use."""

    model_config = ConfigDict(json_schema_extra={"example": USE})

    id: str
    object: Literal["coupon_redemption"]
    livemode: bool
    coupon_id: str
    customer_id: str
    billing_statement_id: str | None
    payment_request_id: str | None
    subscription_id: str | None
    amount_discounted: int
    currency: str
    counts: bool
    status: Literal["used", "released"]
    redeemed_at: str
    released_at: str | None


class RedemptionList(Paged[RedemptionOut]):
    model_config = ConfigDict(json_schema_extra={"example": {"count": 1, "list": [USE], "paging": {"page": 1, "pageSize": 20}}})


class CheckOut(Schema):
    """Whether a coupon can be used, why not, and how many minor units it would take off."""

    model_config = ConfigDict(json_schema_extra={"example": {"valid": True, "reason": None, "discount": 486}})

    valid: bool
    reason: str | None
    discount: int


def coupon_json(coupon, caller):
    *_, text = shown_to(caller)
    return {
        "id": coupon.pk,
        "object": "coupon",
        "livemode": coupon.livemode,
        "code": coupon.code,
        "name": coupon.name,
        "description": coupon.description,
        "percent_off": None if coupon.percent_off is None else f"{coupon.percent_off:.2f}",
        "amount_off": coupon.amount_off,
        "currency": coupon.currency or None,
        "duration": coupon.duration,
        "duration_in_months": coupon.duration_in_months,
        "customer_id": coupon.customer_id,
        "max_redemptions": coupon.max_redemptions,
        "max_per_customer": coupon.max_per_customer,
        "times_redeemed": coupon.times_redeemed,
        "starts_at": timestamp(coupon.starts_at),
        "redeem_by": timestamp(coupon.redeem_by),
        "active": coupon.active,
        "status": coupon.status_word,
        "metadata": {key: text(value) for key, value in coupon.metadata.items()},
        "created_at": timestamp(coupon.created_at),
        "updated_at": timestamp(coupon.updated_at),
    }


def redemption_json(use):
    return {
        "id": use.pk,
        "object": "coupon_redemption",
        "livemode": use.livemode,
        "coupon_id": use.coupon_id,
        "customer_id": use.customer_id,
        "billing_statement_id": use.statement_id,
        "payment_request_id": use.request_id,
        "subscription_id": use.subscription_id,
        "amount_discounted": use.amount_discounted,
        "currency": use.currency,
        "counts": use.counts,
        "status": "released" if use.released_at else "used",
        "redeemed_at": timestamp(use.redeemed_at),
        "released_at": timestamp(use.released_at),
    }


# --- what is asked -----------------------------------------------------------------------------------------
def _percent(value):
    """A number or decimal text of at most two decimals. Whether it is from 1 to 100 is the domain's to say."""
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if not _PERCENT.fullmatch(text):
        raise ValueError("must be a number with two decimals at most, such as 12.5")
    return Decimal(text)


_NUMBER, _DECIMAL = {"type": "number", "minimum": 1, "maximum": 100}, {"type": "string", "pattern": f"^{_PERCENT.pattern}$"}
Percent = Annotated[Decimal, BeforeValidator(_percent), WithJsonSchema({"anyOf": [_NUMBER, _DECIMAL]})]
Code = Annotated[Text(255), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_]{1,64}$"})]
BODY = {
    "code": "WELCOME10", "name": "Welcome", "percent_off": "10", "duration": "repeating", "duration_in_months": 3,
    "max_redemptions": 100, "max_per_customer": 1, "redeem_by": "2027-01-31T23:59:59Z", "metadata": {"campaign": "autumn"},
}  # fmt: skip


class CouponFields(Body):
    """What may be set of a coupon. Once it was used, its code and what it takes off stand."""

    read_only = ("id", "object", "livemode", "times_redeemed", "active", "status", "created_at", "updated_at")
    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"name": "Welcome back", "max_redemptions": 200}})

    code: optional(Code)
    name: optional(Text(255), clears="")
    description: optional(Text(500), clears="", description="For your team. The customer never sees it.")
    percent_off: stated(Percent, description="From 1 to 100. Or say `amount_off` and `currency`.")
    amount_off: stated(Amount, description="Minor units.")
    currency: stated(Currency, clears="", description="Of `amount_off`; bills in other currencies do not take it.")
    duration: optional(one_of(Coupon.Duration), description="For how long a subscription gets it; `once` unless told.")
    duration_in_months: optional(Whole, description="With `repeating` alone: from 1 to 120.")
    customer_id: stated(Text(255), description="The only customer who may use it.")
    max_redemptions: optional(Whole, description="Empty: no limit.")
    max_per_customer: optional(Whole, description="Empty: no limit.")
    starts_at: optional(Moment)
    redeem_by: optional(Moment)
    metadata: optional(Metadata, clears={})

    def columns(self, request):
        """The columns of Coupon that came. Raises ApiError 404 for an unknown customer."""
        given = {name: value for name, value in self.given().items() if value is not None or name not in ("code", "duration")}
        if "customer_id" in given:
            named = given.pop("customer_id")
            given["customer"] = find_customer(request, named) if named else None
        return given


class NewCoupon(CouponFields):
    """A coupon to make. It takes off a percentage, or an amount in a currency. Without a code it gets one."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": BODY})


class CheckBody(Body):
    """A bill to try a coupon on. Nothing is used."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={"example": {"customer_id": "cus_65f0c1d2a7b34e5f60718293", "amount": 4860, "currency": "USD"}},
    )

    customer_id: stated(Text(255))
    amount: Amount
    currency: Currency


class CouponQuery(Paging):
    """Filters of the list; a malformed one is disregarded."""

    q: optional(Text(200), description="Words of a code, name or description.")
    status: optional(Literal[tuple(STATUSES)])
    kind: optional(Literal["percent", "amount"])
    duration: optional(one_of(Coupon.Duration))
    currency: optional(Text(3))
    bound: optional(Literal["yes", "no"], description="Whether it is for one customer alone.")
    customer: optional(Text(255), description="A customer's ID.")
    redeem_by_from: optional(Text(10), description=DAY)
    redeem_by_to: optional(Text(10), description=DAY)
    created_from: optional(Text(10), description=DAY)
    created_to: optional(Text(10), description=DAY)
    sort: sort_of(CouponTable)


class RedemptionQuery(Paging):
    state: optional(Literal["used", "released"])
    customer: optional(Text(255), description="A customer's ID.")
    currency: optional(Text(3))
    redeemed_from: optional(Text(10), description=DAY)
    redeemed_to: optional(Text(10), description=DAY)
    sort: sort_of(RedemptionTable)


# --- operations --------------------------------------------------------------------------------------------
def find_coupon(request, coupon_id):
    """The coupon of an ID or a code, whatever its case. Raises ApiError 404."""
    try:
        return find_one(request, Coupon.objects.filter(livemode=request.livemode), "coupon", coupon_id, pk=coupon_id)
    except ApiError:
        if found := domain.find(coupon_id, request.livemode):
            return found
        raise


@router.get("/coupons", response=reads(CouponList), summary="List coupons")
@allowed_to("billing.view_coupon")
def list_coupons(request, query: Annotated[CouponQuery, Parameters()]):
    """The newest first, unless `sort` says otherwise."""
    return filtered_list(request, query, CouponFilter, Coupon.objects.all(), coupon_json, SORTS)


@router.post("/coupons", response=writes(CouponOut, 201), summary="Create a coupon")
@allowed_to("billing.change_coupon")
def create_coupon(request, body: NewCoupon):
    """Say `percent_off`, or `amount_off` with its `currency`. A code that is taken, in whatever case, is refused."""
    columns = body.columns(request)
    if columns.get("percent_off") is None and columns.get("amount_off") is None:
        raise required("percent_off")
    if columns.get("amount_off") is not None and not columns.get("currency"):
        raise required("currency")
    refuse_faults(Coupon(livemode=request.livemode, code="GENERATED"), columns)
    form_key = idempotency.form_key(request) or uuid4().hex
    coupon = domain.create_coupon(livemode=request.livemode, by=request.auth.by, form_key=form_key, **columns)
    return Status(201, coupon_json(coupon, request.auth))


def refuse_faults(coupon, columns, was=None):
    """Raise ApiError 400 naming each column that is wrong: what the page says at its boxes."""
    trial = domain.set_fields(coupon, **columns)
    if wrong := faults(trial, was):
        names = {"customer": "customer_id"}
        raise Invalid([problem("parameter_invalid", said, names.get(name, name)) for name, said in wrong.items()])


@router.get("/coupons/{coupon_id}", response=reads(CouponOut), summary="Retrieve a coupon")
@allowed_to("billing.view_coupon")
def retrieve_coupon(request, coupon_id: str):
    """By ID or by code, whatever its case."""
    return coupon_json(find_coupon(request, coupon_id), request.auth)


@router.patch("/coupons/{coupon_id}", response=writes(CouponOut), summary="Update a coupon")
@allowed_to("billing.change_coupon")
def update_coupon(request, coupon_id: str, body: CouponFields):
    """Sets what comes and leaves the rest as it is. Of a used coupon only name, description, limits, days and metadata
    can be changed."""
    found = find_coupon(request, coupon_id)
    columns = body.columns(request)
    with transaction.atomic():
        current = Coupon.objects.select_for_update(no_key=True).get(pk=found.pk)
        refuse_faults(copy(current), columns, current)
        changed = domain.update_coupon(current, version=current.version, by=request.auth.by, **columns)
    return coupon_json(changed, request.auth)


@router.post("/coupons/{coupon_id}/deactivate", response=writes(CouponOut), summary="Switch a coupon off")
@allowed_to("billing.change_coupon")
def deactivate_coupon(request, coupon_id: str):
    """Nobody can use it from now on. What it took off already stays."""
    return coupon_json(domain.switch(find_coupon(request, coupon_id), active=False, by=request.auth.by), request.auth)


@router.post("/coupons/{coupon_id}/activate", response=writes(CouponOut), summary="Switch a coupon on")
@allowed_to("billing.change_coupon")
def activate_coupon(request, coupon_id: str):
    """It can be used again, as far as its days and limits let it."""
    return coupon_json(domain.switch(find_coupon(request, coupon_id), active=True, by=request.auth.by), request.auth)


@router.get("/coupons/{coupon_id}/redemptions", response=reads(RedemptionList), summary="List a coupon's uses")
@allowed_to("billing.view_coupon")
def list_redemptions(request, coupon_id: str, query: Annotated[RedemptionQuery, Parameters()]):
    """The newest first; those given back too."""
    uses = CouponRedemption.objects.filter(coupon=find_coupon(request, coupon_id))
    found = Filtered(request, RedemptionFilter, uses, **query.filters())
    order = USE_SORTS[query.given().get("sort", "-redeemed_at")]
    return listing(found.rows, query, lambda rows: [redemption_json(use) for use in rows], order=order, narrowed=found.narrowed)


@router.post("/coupons/{coupon_id}/check", response=writes(CheckOut), summary="Try a coupon on a bill")
@allowed_to("billing.view_coupon")
def check_coupon(request, coupon_id: str, body: CheckBody):
    """What it would take off a bill of so many minor units, for anybody or for one customer. Nothing is used."""
    if not request.auth.has_perm(TESTS):
        raise ApiError("permission_denied", "Your role does not allow this.")
    coupon = find_coupon(request, coupon_id)
    customer = find_customer(request, body.customer_id) if body.customer_id else None
    why = domain.why_not_valid(coupon, customer=customer, currency=body.currency, subtotal=body.amount)
    discount = 0 if why else domain.discount_of(coupon, body.amount, body.currency)
    return {"valid": not why, "reason": why or None, "discount": discount}
