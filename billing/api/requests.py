"""Payment requests: a link that asks a customer for one amount."""

from datetime import timedelta
from typing import Annotated, Literal

from django.db import transaction
from django.utils import timezone
from ninja import Query as Parameters
from ninja import Schema, Status
from pydantic import ConfigDict, Field

from billing.api.payers import PayerBody, payer_of
from billing.api.payment_answers import PaymentOut, payment_json, user_id
from billing.api.payments import DAY, MAJOR
from billing.api.sorting import sort_of, sorts_of
from billing.domain import coupons, sending
from billing.domain import requests as domain
from billing.filters import RequestFilter
from billing.gateways import method_types_for
from billing.models import PaymentRequest
from billing.tables import METHODS, RequestTable
from billing.views.records import SHARES
from customers.api.answers import shown_to
from customers.api.finding import find_one
from customers.models import Customer
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.errors import ApiError, required
from dashboard.api.fields import (
    Amount,
    Body,
    Count,
    Country,
    Currency,
    Email,
    Flag,
    Metadata,
    Moment,
    Text,
    optional,
    timestamp,
)
from dashboard.api.lists import Paged, Paging, filtered_list

router = Resource(tags=["Payment requests"])
REQUESTS = PaymentRequest.objects.defer("search")
SORTS = sorts_of(RequestTable)
FILTER = {"new": "open", "done": "completed"}  # a status: what the page's filter calls it
MOST = 50  # payments told with a request
FAR = 10**9  # seconds: the domain says how long a link may work
_AT = "2026-10-27T10:00:00.000Z"
REQUEST = {
    "id": "checkout_65f0c1d2a7b34e5f60718310",
    "object": "payment_request",
    "livemode": False,
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "status": "new",
    "amount": 4850,
    "discount_amount": 0,
    "subtotal": 4850,
    "currency": "USD",
    "coupon_id": None,
    "country": "US",
    "method_types": ["card"],
    "description": "Order 1001",
    "merchant_reference_id": "1001",
    "customer_name": "John Doe",
    "customer_email": "john.doe@example.com",
    "save_card": False,
    "authorize_only": False,
    "by_staff": False,
    "metadata": {},
    "user_id": None,
    "expires_at": "2026-11-10T10:00:00.000Z",
    "sent_at": None,
    "completed_at": None,
    "canceled_at": None,
    "created_at": _AT,
    "updated_at": _AT,
    "url": "https://shop.example.com/pay/checkout/OFlwXdB2/",
    "payments": [],
}


# --- what is answered --------------------------------------------------------------------------------------
class RequestOut(Schema):
    """A payment request. `url` and `payments` are told of a single request alone, not in lists."""

    model_config = ConfigDict(json_schema_extra={"example": REQUEST})

    id: str
    object: str
    livemode: bool
    customer_id: str
    status: Literal[tuple(PaymentRequest.Status.values)]
    amount: int = Field(description="Minor units to pay: what is left after the discount.")
    discount_amount: int
    subtotal: int
    currency: str
    coupon_id: str | None
    country: str
    method_types: list[str]
    description: str
    merchant_reference_id: str
    customer_name: str
    customer_email: str | None
    save_card: bool
    authorize_only: bool
    by_staff: bool
    metadata: dict[str, str]
    user_id: str | None
    expires_at: str
    sent_at: str | None
    completed_at: str | None
    canceled_at: str | None
    created_at: str
    updated_at: str
    url: str | None = Field(None, description="The payer's link, while it takes payment and for whoever may send it.")
    payments: list[PaymentOut] = []


class RequestList(Paged[RequestOut]):
    pass


def request_json(row, caller):
    """A request as lists carry it: by the clock, one past its time is expired."""
    email, _phone, text = shown_to(caller)
    same = (
        "livemode", "customer_id", "amount", "discount_amount", "subtotal", "currency", "coupon_id", "country", "method_types",
        "description", "merchant_reference_id", "customer_name", "save_card", "authorize_only", "by_staff",
    )  # fmt: skip
    times = ("expires_at", "sent_at", "completed_at", "canceled_at", "created_at", "updated_at")
    return {name: getattr(row, name) for name in same} | {
        "id": row.pk,
        "object": "payment_request",
        "status": PaymentRequest.Status.EXPIRED if row.lapsed else row.status,
        "customer_email": email(row.customer_email) or None,
        "metadata": {key: text(str(value)) for key, value in row.metadata.items()},
        "user_id": user_id(row),
        **{name: timestamp(getattr(row, name)) for name in times},
    }


def whole(row, caller):
    """The JSON of one request, as its page shows it."""
    shares = row.payable and caller.has_perm(SHARES)
    payments = row.payments.defer("search").order_by("-created_at", "-pk")[:MOST]
    told = {"url": (row.url or None) if shares else None, "payments": [payment_json(payment, caller) for payment in payments]}
    return request_json(row, caller) | told


# --- what one may say --------------------------------------------------------------------------------------
class Until(Body):
    """Until when the link works: 1 minute to 30 days from now."""

    expires_at: optional(Moment, description="A time; it takes the place of `expires_in`.")
    expires_in: optional(Count(1, FAR), description="Seconds from now.")

    def until(self):
        """The moment, or None when neither came."""
        given = self.given()
        if given.get("expires_at"):
            return given["expires_at"]
        return timezone.now() + timedelta(seconds=given["expires_in"]) if given.get("expires_in") else None


class NewRequest(PayerBody, Until):
    """What is asked of whom. What decides about the money is never disregarded: a malformed part of it is an error."""

    read_only = ("id", "livemode", "status", "created_at", "updated_at", "user_id", "url", "subtotal", "discount_amount")

    amount: Amount = Field(description="Minor units, before the coupon's discount.")
    currency: Currency
    country: Country = Field(description="Where the payer's bank or card is from.")
    method_types: list[Literal[tuple(METHODS)]] | None = Field(None, description="All the currency has unless told.")
    coupon: Text(64, 1) | None = Field(None, description="A coupon's code.")
    authorize_only: Flag | None = Field(None, description="true: the payer authorises, and you capture later.")
    save_card: optional(Flag, description="Keep the card it is paid with as a payment source.")
    description: optional(Text(500), clears="", description="What it is for. The payer reads it.")
    merchant_reference_id: optional(Text(255), clears="", description="Your order number. The payer never sees it.")
    metadata: optional(Metadata, clears={})

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "customer_id": "cus_65f0c1d2a7b34e5f60718293",
                "amount": 4850,
                "currency": "USD",
                "country": "US",
                "method_types": ["card"],
                "description": "Order 1001",
                "merchant_reference_id": "1001",
                "expires_in": 1209600,
            }
        },
    )


class Extension(Until):
    """More time. One of the two is needed."""

    expires_at: Moment | None = Field(None, description="A time; it takes the place of `expires_in`.")
    expires_in: Count(1, FAR) | None = Field(None, description="Seconds from now.")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"expires_in": 604800}})


class Letter(Body):
    """To whom the link goes, with a few words of your own."""

    to: Email | None = Field(None, description="The customer's address as the request has it unless told.")
    message: optional(Text(sending.MESSAGE), clears="")

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"example": {"to": "john.doe@example.com", "message": "Thank you for your order."}}
    )


class RequestQuery(Paging):
    """Filters of the list, as the page has them; a malformed one is disregarded."""

    q: optional(Text(200), description="Words of the description, customer, reference or ID.")
    status: optional(Literal["new", "done", "expired", "canceled", "open", "completed"])
    method: optional(Literal[tuple(METHODS)])
    opened: optional(Literal["yes", "no"], description="Whether the payer has opened the link.")
    origin: optional(Literal["link", "terminal"])
    customer: optional(Text(40), description="The ID of a customer.")
    created_by: optional(Text(40), description="The ID of a member of staff.")
    currency: optional(Currency)
    amount_from: optional(Text(15), description=MAJOR)
    amount_to: optional(Text(15), description=MAJOR)
    created: optional(Text(20), description="today, 7d, this_month and so on.")
    created_from: optional(Text(10), description=DAY)
    created_to: optional(Text(10), description=DAY)
    expires_from: optional(Text(10), description=DAY)
    expires_to: optional(Text(10), description=DAY)
    sort: sort_of(RequestTable)

    def filters(self):
        given = super().filters()
        return given | ({"status": FILTER.get(given["status"], given["status"])} if "status" in given else {})


# --- looking -----------------------------------------------------------------------------------------------
@router.get("/payment_requests", response=reads(RequestList), summary="List payment requests")
@allowed_to("billing.view_paymentrequest")
def list_requests(request, query: Annotated[RequestQuery, Parameters()]):
    """The newest first, unless filters or `sort` say otherwise."""
    return filtered_list(request, query, RequestFilter, REQUESTS, request_json, SORTS)


@router.get("/payment_requests/{request_id}", response=reads(RequestOut), summary="Retrieve a payment request")
@allowed_to("billing.view_paymentrequest")
def retrieve_request(request, request_id: str):
    """With the payer's link while it takes payment, and the payments made on it, the newest first."""
    return whole(find_request(request, request_id), request.auth)


def find_request(request, request_id):
    """The request of an ID in the caller's mode. Raises ApiError 404."""
    rows = REQUESTS.filter(livemode=request.livemode).select_related("customer")
    return find_one(request, rows, "payment request", request_id, pk=request_id)


def _now(request, row):
    """A request as it is after an action."""
    return whole(find_request(request, row.pk), request.auth)


# --- acting ------------------------------------------------------------------------------------------------
@router.post("/payment_requests", response=writes(RequestOut, 201), summary="Request a payment")
@allowed_to("billing.request_payment")
def create_request(request, body: NewRequest):
    """Makes a link for one amount: `url` is what the payer opens. The customer is on your list (`customer_id`), or is
    found by `email` and made, with `name`, if need be. No money moves until the payer pays. The link works for 14 days unless
    `expires_at` or `expires_in` says otherwise. Send an `Idempotency-Key`: with it, the same request makes one link."""
    names = ("description", "merchant_reference_id", "metadata", "save_card")
    kept = {name: value for name, value in body.given().items() if name in names and value is not None}
    types = method_types_for(request.livemode, body.currency) if body.method_types is None else body.method_types
    with transaction.atomic():  # a refusal leaves no new customer behind
        made = domain.create_payment_request(
            payer_of(request, body, Customer.Origin.REQUEST),
            amount=body.amount,
            currency=body.currency,
            country=body.country,
            method_types=list(dict.fromkeys(types)),
            coupon=_coupon(request, body.coupon),
            authorize_only=bool(body.authorize_only),
            expires_at=body.until(),
            by=request.auth.by,
            form_key=idempotency.form_key(request),
            **kept,
        )
    return Status(201, _now(request, made))


def _coupon(request, code):
    """The coupon of a code, whether it can be used or not; None for no code. Raises ApiError 400."""
    found = coupons.find(code, request.livemode) if code else None
    if code and not found:
        raise ApiError("parameter_invalid", f"There is no coupon {code}. Check the spelling, or leave it out.", "coupon")
    return found


@router.post("/payment_requests/{request_id}/cancel", response=writes(RequestOut), summary="Cancel a payment request")
@allowed_to("billing.cancel_paymentrequest")
def cancel_request(request, request_id: str):
    """Ends the link for good and gives back the use of its coupon. What was paid already stays paid."""
    row = find_request(request, request_id)
    domain.cancel_payment_request(row, by=request.auth.by)
    return _now(request, row)


@router.post("/payment_requests/{request_id}/extend", response=writes(RequestOut), summary="Give a payer more time")
@allowed_to("billing.request_payment")
def extend_request(request, request_id: str, body: Extension):
    """The same link works until then, also when it has expired already."""
    row, until = find_request(request, request_id), body.until()
    if until is None:
        raise required("expires_at")
    domain.extend_request(row, expires_at=until, by=request.auth.by)
    return _now(request, row)


@router.post("/payment_requests/{request_id}/send", response=writes(RequestOut), summary="Send a payment request")
@allowed_to("billing.send_statement")
def send_request(request, request_id: str, body: Letter | None = None):
    """Mails the link. The mail waits in the outbox and leaves in a moment. With an `Idempotency-Key` it is sent once."""
    row, body = find_request(request, request_id), body or Letter()
    message = body.given().get("message", "")
    sending.send_request(row, by=request.auth.by, to=body.to or "", message=message, form_key=idempotency.form_key(request))
    return _now(request, row)
