"""Card tokenization links: a page on which a customer saves a card. No money moves."""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import uuid4

from django.utils import timezone
from ninja import Query as Parameters
from ninja import Schema, Status
from pydantic import ConfigDict

from billing.api.gateways import slug_of
from billing.api.sorting import sort_of, sorts_of
from billing.domain import card_links as domain
from billing.filters import CardLinkFilter
from billing.gateways import GATEWAYS, about
from billing.models import TokenizationLink
from billing.tables import CardLinkTable
from billing.views.records import SHARES
from customers.api.answers import shown_to
from customers.api.bodies import one_of
from customers.api.finding import find_customer, find_one
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.fields import Body, Count, Email, Flag, Id, Moment, Text, optional, stated, timestamp
from dashboard.api.lists import Filtered, Paged, Paging, listing
from dashboard.ids import bare

router = Resource(tags=["Card tokenization links"])
SORTS = sorts_of(CardLinkTable)
DAY = "A day, in the dashboard's time zone: 2026-11-22."
CENTURY = 100 * 366 * 24 * 3600  # seconds: what is far out of bounds need not be reckoned


# --- what is answered --------------------------------------------------------------------------------------
EXAMPLE = {
    "id": "hp_card_65f0c1d2a7b34e5f607182d1",
    "object": "tokenization_link",
    "livemode": False,
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "status": "new",
    "gateway_id": "0b7d0f3c9f1e4a5b6c7d8e9f",
    "gateway_type": "sandbox",
    "gateway_name": "Sandbox",
    "make_default": False,
    "description": "For the monthly plan",
    "customer_name": "John Doe",
    "customer_email": "john.doe@example.com",
    "payment_source_id": None,
    "expires_at": "2026-11-10T10:00:00.000Z",
    "opened_at": None,
    "sent_at": None,
    "completed_at": None,
    "canceled_at": None,
    "created_at": "2026-10-27T10:00:00.000Z",
    "updated_at": "2026-10-27T10:00:00.000Z",
}
WITH_URL = EXAMPLE | {"url": "https://billing.example.com/pay/card/…/"}


class LinkRow(Schema):
    """A link as lists have it. `payment_source_id` is the card that was saved on it."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    id: str
    object: Literal["tokenization_link"]
    livemode: bool
    customer_id: str
    status: Literal[tuple(TokenizationLink.Status.values)]
    gateway_id: str
    gateway_type: str
    gateway_name: str
    make_default: bool
    description: str
    customer_name: str
    customer_email: str | None
    payment_source_id: str | None
    expires_at: str
    opened_at: str | None
    sent_at: str | None
    completed_at: str | None
    canceled_at: str | None
    created_at: str
    updated_at: str


class LinkOut(LinkRow):
    """One link. `url` is the payer's secret page; empty once it saves no card, and for roles that reach no customers."""

    model_config = ConfigDict(json_schema_extra={"example": WITH_URL})

    url: str | None


class LinkList(Paged[LinkRow]):
    model_config = ConfigDict(
        json_schema_extra={"example": {"count": 1, "list": [EXAMPLE], "paging": {"page": 1, "pageSize": 20}}}
    )


def link_row(link, caller):
    """A link without what opens it."""
    email, *_ = shown_to(caller)
    gateway = about(link.gateway)
    return {
        "id": link.pk,
        "object": "tokenization_link",
        "livemode": link.livemode,
        "customer_id": link.customer_id,
        "status": "expired" if link.lapsed else link.status,
        "gateway_id": bare(gateway.id),
        "gateway_type": gateway.type,
        "gateway_name": gateway.name,
        "make_default": link.make_default,
        "description": link.description,
        "customer_name": link.customer_name,
        "customer_email": email(link.customer_email) or None,
        "payment_source_id": link.method_id,
        "expires_at": timestamp(link.expires_at),
        "opened_at": timestamp(link.opened_at),
        "sent_at": timestamp(link.sent_at),
        "completed_at": timestamp(link.completed_at),
        "canceled_at": timestamp(link.canceled_at),
        "created_at": timestamp(link.created_at),
        "updated_at": timestamp(link.updated_at),
    }


def link_json(link, caller):
    """A link with its URL, where the page shows that to the caller."""
    shares = link.payable and not link.customer.archived and caller.has_perm(SHARES)
    return link_row(link, caller) | {"url": (link.url or None) if shares else None}


# --- what is asked -----------------------------------------------------------------------------------------
class NewLink(Body):
    """Whom to ask for a card, and how long the link works: 14 days unless told, at least 1 minute and at most 30 days."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "customer_id": "cus_65f0c1d2a7b34e5f60718293",
                "description": "For the monthly plan",
                "expires_in": 604800,
                "make_default": True,
            }
        },
    )

    customer_id: Text(255, 1)
    expires_at: optional(Moment, description="Until when the link works.")
    expires_in: optional(Count(-CENTURY, CENTURY), description="Or for how many seconds.")
    description: optional(Text(500), clears="", description="What the card is for. It stands on the page they open.")
    make_default: optional(Flag, clears=False, description="Charges use the new card unless another one is chosen.")
    gateway_id: optional(Id("gw"), description="Which gateway keeps the card; the preferred one unless told.")


class SendBody(Body):
    """Where to, and a message of your own."""

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"example": {"to": "john.doe@example.com", "message": "As agreed on the phone."}}
    )

    to: stated(Email, clears="", description="The customer's address unless told.")
    message: optional(Text(1000), clears="", description="It stands between the greeting and the link.")


class LinkQuery(Paging):
    """Filters of the list; a malformed one is disregarded."""

    q: optional(Text(200), description="Words of the customer's name or of the message.")
    status: optional(one_of(TokenizationLink.Status))
    customer: optional(Text(255), description="A customer's ID.")
    gateway: optional(Literal[tuple(GATEWAYS)])
    expires_from: optional(Text(10), description=DAY)
    expires_to: optional(Text(10), description=DAY)
    created_from: optional(Text(10), description=DAY)
    created_to: optional(Text(10), description=DAY)
    sort: sort_of(CardLinkTable)


# --- operations --------------------------------------------------------------------------------------------
def find_link(request, link_id):
    """The link of an ID, of those made for payers. Raises ApiError 404."""
    links = TokenizationLink.objects.sent().filter(livemode=request.livemode).select_related("customer")
    return find_one(request, links, "tokenization link", link_id, pk=link_id)


@router.get("/tokenization_links", response=reads(LinkList), summary="List card tokenization links")
@allowed_to("billing.view_cardlink")
def list_links(request, query: Annotated[LinkQuery, Parameters()]):
    """The newest first, unless `sort` says otherwise. What opens a link is told of one link alone, not in lists."""
    given = query.given()
    kept = {name: value for name, value in given.items() if name not in ("page", "pageSize", "sort")}
    found = Filtered(request, CardLinkFilter, TokenizationLink.objects.sent(), **kept)
    how = {"order": SORTS[given.get("sort", "-created_at")], "narrowed": found.narrowed, "key": found.key}
    return listing(found.rows, query, lambda rows: [link_row(link, request.auth) for link in rows], **how)


@router.post("/tokenization_links", response=writes(LinkOut, 201), summary="Create a card tokenization link")
@allowed_to("billing.add_cardlink")
def create_link(request, body: NewLink):
    """Answers with the `url` to give to the customer, who saves a card there. It works once."""
    given = body.given()
    customer = find_customer(request, body.customer_id)
    gateway = domain.gateway_saving(customer, slug_of(given.get("gateway_id")))
    link = domain.create_card_link(
        customer,
        gateway=gateway,
        by=request.auth.by,
        expires_at=_end(given),
        make_default=given.get("make_default") or False,
        description=given.get("description") or "",
        form_key=idempotency.form_key(request) or uuid4().hex,
    )
    return Status(201, link_json(link, request.auth))


def _end(given):
    """When the link is to end; None for the usual time."""
    seconds = given.get("expires_in")
    return given.get("expires_at") or (None if seconds is None else timezone.now() + timedelta(seconds=seconds))


@router.get("/tokenization_links/{link_id}", response=reads(LinkOut), summary="Retrieve a card tokenization link")
@allowed_to("billing.view_cardlink")
def retrieve_link(request, link_id: str):
    """With its `url`, as long as a card can be saved on it."""
    return link_json(find_link(request, link_id), request.auth)


@router.post("/tokenization_links/{link_id}/cancel", response=writes(LinkOut), summary="Cancel a card tokenization link")
@allowed_to("billing.add_cardlink")
def cancel_link(request, link_id: str):
    """The link stops working at once and for good: nobody can save a card on it any more."""
    domain.cancel_card_link(find_link(request, link_id), by=request.auth.by)
    return link_json(find_link(request, link_id), request.auth)


@router.post("/tokenization_links/{link_id}/send", response=writes(LinkOut), summary="Send a card tokenization link")
@allowed_to("billing.add_cardlink")
def send_link(request, link_id: str, body: SendBody):
    """By e-mail, to the customer unless `to` names somebody else."""
    about_it = {"to": body.to or "", "message": body.given().get("message") or ""}
    form_key = idempotency.form_key(request) or uuid4().hex
    domain.send_card_link(find_link(request, link_id), by=request.auth.by, form_key=form_key, **about_it)
    return link_json(find_link(request, link_id), request.auth)
