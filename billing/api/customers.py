"""The customer, whole: who they are, what they pay with, what they paid. Keys and their order are those of spec 4.1."""

from collections import defaultdict
from typing import Annotated, Literal

from django.conf import settings
from django.db import transaction
from django.db.models import Sum
from ninja import Query as Parameters
from ninja import Schema, Status
from pydantic import ConfigDict, Field

from billing.api.examples import CUSTOMER
from billing.api.source_bodies import NestedSource, new_source
from billing.api.source_routes import keep
from billing.api.sources import SourceOut, source_json
from billing.domain.sources import UnknownToken, look_at
from billing.gateways import GATEWAYS, about
from billing.models import Coupon, CouponRedemption, CustomerTotal, PaymentMethod, Refund
from customers import domain
from customers.api.answers import AddressOut, AddressPart, address_json, address_part, shown_to
from customers.api.bodies import CustomerFields, columns
from customers.api.finding import find_customer
from customers.filters import CustomerFilter
from customers.models import Address, Customer
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.errors import ApiError, unknown
from dashboard.api.fields import Flag, Id, Text, drop, optional, timestamp
from dashboard.api.lists import NEWEST, Filtered, Paged, Paging, listing
from dashboard.ids import bare
from dashboard.money import Money
from dashboard.paging import Order
from dashboard.states import DomainError
from dashboard.together import fetch_together

router = Resource(tags=["Customers"])
CUSTOMERS = Customer.objects.with_delinquent().select_related(None)
SORTS = {  # sort=: the order
    "created_at": Order("created_at"),
    "-created_at": NEWEST,
    "name": Order("sort_name"),
    "email": Order("email"),
    "updated_at": Order("updated_at"),
}
MOST = 10_000  # rows of one kind that a page of customers carries


# --- what is answered --------------------------------------------------------------------------------------
class InCurrency(Schema):
    currency: str
    collected: float
    refunded: float
    count: int


class Statistics(Schema):
    """What was collected in the customer's own currency, gross, in its units; `by_currency` tells the others too."""

    total_collected_amount: float
    successful_transactions: int
    by_currency: list[InCurrency]


class CouponPart(Schema):
    id: str
    code: str
    name: str
    status: Literal["used", "assigned"]


class CustomerOut(Schema):
    """A customer, expanded."""

    model_config = ConfigDict(json_schema_extra={"example": CUSTOMER})

    id: str
    did: str | None
    livemode: bool
    name: str
    email: str | None
    phone: str | None
    address: AddressPart | None
    balance: str = Field(description="Credit in the customer's own currency, as decimal text.")
    delinquent: bool
    metadata: dict[str, str]
    created_at: str
    updated_at: str
    hex_id: str = Field(alias="_id")
    first_name: str
    last_name: str
    company_name: str
    reference: str
    description: str
    user_id: str | None
    status: str
    archived: bool
    currency: str
    default_source: str | None
    payment_sources: list[SourceOut]
    statistics: Statistics
    addresses: list[AddressOut]
    coupons: list[CouponPart]
    kind: str
    tax_id: str
    erased_at: str | None = Field(description="When everything personal was erased; such a customer takes nothing new.")


class CustomerList(Paged[CustomerOut]):
    pass


def expand(customers, caller, *, archived_sources=False):
    """The JSON of customers, each with what belongs to it: one query for all of them together."""
    pks = [customer.pk for customer in customers]
    methods = PaymentMethod.objects.filter(customer__in=pks).order_by("-is_default", "-id")
    uses = CouponRedemption.objects.standing().filter(customer__in=pks).select_related("coupon").order_by("id")
    refunds = Refund.objects.filter(customer__in=pks, status=Refund.Status.SUCCEEDED).order_by().values("customer", "currency")
    found = fetch_together(
        addresses=Address.objects.filter(customer__in=pks).order_by("customer", "-is_default", "id")[:MOST],
        methods=(methods if archived_sources else methods.active())[:MOST],
        totals=CustomerTotal.objects.filter(customer__in=pks).order_by("customer", "currency")[:MOST],
        refunds=refunds.annotate(minor=Sum("amount"))[:MOST],
        uses=uses.values("customer", "coupon", "coupon__code", "coupon__name")[:MOST],
        bound=Coupon.objects.filter(customer__in=pks).order_by("id").values("customer", "pk", "code", "name")[:MOST],
    ) if pks else {}  # fmt: skip
    parts = {name: _by_customer(rows) for name, rows in found.items()}
    return [_customer_json(customer, {name: rows[customer.pk] for name, rows in parts.items()}, caller) for customer in customers]


def _by_customer(rows):
    found = defaultdict(list)
    for row in rows:
        found[row["customer"] if isinstance(row, dict) else row.customer_id].append(row)
    return found


def _customer_json(customer, parts, caller):
    email, phone, text = shown_to(caller)
    default = next((a for a in parts["addresses"] if a.is_default), None)
    own = next((t for t in parts["totals"] if t.currency == customer.currency), None)
    return {
        "id": customer.pk,
        "did": customer.did,
        "livemode": customer.livemode,
        "name": customer.name,
        "email": email(customer.email) or None,
        "phone": phone(customer.phone) or None,
        "address": address_part(default, caller),
        "balance": Money(own.credit_balance if own else 0, customer.currency).plain,
        "delinquent": customer.delinquent,
        "metadata": {key: text(value) for key, value in customer.metadata.items()},
        "created_at": timestamp(customer.created_at),
        "updated_at": timestamp(customer.updated_at),
        "_id": bare(customer.pk),
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "company_name": customer.company_name,
        "reference": customer.reference,
        "description": customer.description,
        "user_id": bare(customer.created_by_id) if customer.created_by_id else None,
        "status": customer.status,
        "archived": customer.archived,
        "currency": customer.currency,
        "default_source": next((bare(m.pk) for m in parts["methods"] if m.is_default), None),
        "payment_sources": [source_json(method, caller) for method in parts["methods"]],
        "statistics": _statistics(customer, own, parts),
        "addresses": [address_json(address, caller) for address in parts["addresses"]],
        "coupons": _coupons(parts),
        "kind": customer.kind,
        "tax_id": customer.tax_id,
        "erased_at": timestamp(customer.erased_at),
    }


def _statistics(customer, own, parts):
    back = {row["currency"]: row["minor"] for row in parts["refunds"]}
    return {
        "total_collected_amount": float(Money(own.collected if own else 0, customer.currency).major),
        "successful_transactions": sum(total.successful_payments for total in parts["totals"]),
        "by_currency": [
            {
                "currency": total.currency,
                "collected": float(total.collected_money.major),
                "refunded": float(Money(back.get(total.currency, 0), total.currency).major),
                "count": total.successful_payments,
            }
            for total in parts["totals"]
        ],
    }


def _coupons(parts):
    """Those the customer has used, then those made for them alone (D-7)."""
    used = {row["coupon"]: (row["coupon__code"], row["coupon__name"]) for row in parts["uses"]}
    bound = {row["pk"]: (row["code"], row["name"]) for row in parts["bound"] if row["pk"] not in used}
    every = [("used", used), ("assigned", bound)]
    return [
        {"id": pk, "code": code, "name": name, "status": status}
        for status, coupons in every
        for pk, (code, name) in coupons.items()
    ]


def whole(request, customer, **how):
    """The JSON of one customer, read anew."""
    return expand([find_customer(request, customer.pk, CUSTOMERS)], request.auth, **how)[0]


# --- lists and search --------------------------------------------------------------------------------------
class CustomerQuery(Paging):
    """Filters of the list; a malformed one is disregarded."""

    did: optional(Text(255))
    id: optional(Id("cus"))
    status: optional(Literal["active", "archived", "all"])
    archived: optional(Flag)
    delinquent: optional(Flag)
    gateway_id: optional(Id("gw"))
    payment_source_id: optional(Id("src"))
    reference: optional(Text(255))
    company_name: optional(Text(255))
    country: optional(Text(2))
    kind: optional(Literal["individual", "company"])
    origin: optional(Text(20))
    currency: optional(Text(3))
    created_from: optional(Text(10), description="A day, in the dashboard's time zone: 2026-11-22.")
    created_to: optional(Text(10), description="A day, in the dashboard's time zone: 2026-11-22.")
    sort: optional(Literal[tuple(SORTS)])

    def filters(self):
        """As the page's filterset has them: active customers, unless one is named or a status is."""
        given = self.given()
        named = {"did", "id", "payment_source_id"} & given.keys()
        archived = {True: "archived", False: "active"}.get(given.get("archived"), "all" if named else "active")
        same = ("did", "reference", "company_name", "country", "kind", "origin", "currency", "created_from", "created_to")
        return {name: given.get(name) for name in same} | {
            "status": given.get("status") or archived,
            "delinquent": {True: "yes", False: "no"}.get(given.get("delinquent")),
            "gateway": _slug(given["gateway_id"]) if "gateway_id" in given else None,
        }


def _slug(gateway_id):
    return next((slug for slug in GATEWAYS if bare(about(slug).id) == bare(gateway_id)), None)


class SearchQuery(CustomerQuery):
    query: Text(200, 1) = Field(description="Words of a name, e-mail, phone, DID, reference, ID or metadata, in any order.")


def _page(request, query, **more):
    """The list a query asks for. Raises nothing: what is malformed is disregarded."""
    given = query.given()
    found = Filtered(request, CustomerFilter, CUSTOMERS, **query.filters(), **more)
    rows, key = found.rows, found.key
    for name, column in (("id", "pk"), ("payment_source_id", "methods__pk")):
        if name in given:
            rows, key = rows.filter(**{column: given[name]}), None
    if "gateway_id" in given and _slug(given["gateway_id"]) is None:
        rows = rows.none()
    order = SORTS[_sort(request, given)]
    narrowed = found.narrowed or key is None
    return listing(rows, query, lambda found: expand(found, request.auth), order=order, narrowed=narrowed, key=key)


def _sort(request, given):
    """The sort asked for; who may not see e-mail addresses does not learn their order either."""
    asked = given.get("sort", "-created_at")
    if asked != "email" or request.user.has_perm("dashboard.view_contact_data"):
        return asked
    drop("sort")
    return "-created_at"


@router.get("/customers", response=reads(CustomerList), summary="List customers")
@allowed_to("customers.view_customer")
def list_customers(request, query: Annotated[CustomerQuery, Parameters()]):
    """Active customers, the newest first, unless `status`, `archived` or `sort` say otherwise. `did`, `id` and
    `payment_source_id` find archived ones too."""
    return _page(request, query)


@router.get("/customers/search", response=reads(CustomerList), summary="Search customers")
@allowed_to("customers.view_customer")
def search_customers(request, query: Annotated[SearchQuery, Parameters()]):
    """By part of a name, e-mail address, phone number, DID, reference, ID or metadata value."""
    return _page(request, query, q=query.query)


# --- one ---------------------------------------------------------------------------------------------------
class Expansion(Schema):
    include: str = Field("", description="`archived_sources` tells removed payment sources as well.")


class NewCustomer(CustomerFields):
    """A customer to make, with a payment source if there is one already."""

    payment_source: NestedSource = None

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"example": {"name": "John Doe", "email": "john.doe@example.com"}}
    )


@router.post("/customers", response=writes(CustomerOut, 201), summary="Create a customer")
@allowed_to("customers.add_customer")
def create_customer(request, body: NewCustomer):
    """A name is needed: `name`, `first_name`/`last_name` or `company_name`. Everything else is optional; what a
    `payment_source` needs depends on its type. The gateway is asked about it first, so a source that is refused makes no
    customer; only if the gateway fails right after that is the customer there without it, and the error names them."""
    given = body.given()
    kept = {"currency": settings.DEFAULT_CURRENCY} | columns(given)
    address = given["address"].fields() if given.get("address") else None
    source = _source_of(request, given.get("payment_source"), kept["currency"])
    customer = domain.create_customer(
        by=request.auth.by,
        livemode=request.livemode,
        origin=Customer.Origin.API,
        address=address if address and any(address.values()) else None,
        **kept,
    )
    if source:
        _keep_first(request, customer, source)
    return Status(201, whole(request, customer))


SOURCE = "payment_source."


def _source_of(request, body, currency):
    """The source a new customer comes with, as the gateway knows it; None for none. Nothing is saved yet."""
    if not body:
        return None
    request.auth.require("billing.add_method", writing=True)
    if body.vault_token:  # a customer who is not there yet has none
        raise unknown("payment source")
    source = new_source(body, Customer(livemode=request.livemode, currency=currency), prefix=SOURCE)
    try:
        look_at(source)
    except UnknownToken as error:
        raise ApiError("parameter_invalid", str(error), f"{SOURCE}token") from None
    return source


def _keep_first(request, customer, source):
    """Their first source. Raises ApiError 409 naming the customer, who is there by now."""
    try:
        keep(request, customer, source)
    except (DomainError, ApiError) as error:
        detail = f"The customer {customer.pk} was created, but without the payment source. {error}"
        raise ApiError("state_conflict", detail) from error


@router.get("/customers/{customer_id}", response=reads(CustomerOut), summary="Retrieve a customer")
@allowed_to("customers.view_customer")
def retrieve_customer(request, customer_id: str, query: Annotated[Expansion, Parameters()]):
    """By ID, its 24 hex digits alone, or DID. Archived customers are found too."""
    customer = find_customer(request, customer_id, CUSTOMERS)
    return expand([customer], request.auth, archived_sources="archived_sources" in query.include.split(","))[0]


def update_customer(request, customer_id: str, body: CustomerFields):
    """Sets what comes and leaves the rest as it is. `metadata` and `address` are set whole; `null` clears a field."""
    customer, given = find_customer(request, customer_id), body.given()
    with transaction.atomic():
        current = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        domain.update_customer(current, version=current.version, by=request.auth.by, **columns(given, current))
        if "address" in given:
            _set_address(current, given["address"], by=request.auth.by)
    return whole(request, customer)


def _set_address(customer, body, *, by):
    """Set the default address whole, or add the first; null removes it."""
    default, fields = customer.address, body.fields() if body else {}
    if not any(fields.values()):
        return domain.remove_address(default, by=by) if default else None
    return domain.update_address(default, by=by, **fields) if default else domain.add_address(customer, by=by, **fields)


for _verb in ("PUT", "PATCH"):
    router.api_operation(
        [_verb],
        "/customers/{customer_id}",
        response=writes(CustomerOut),
        summary="Update a customer",
        operation_id=f"update_customer_{_verb.lower()}",
    )(allowed_to("customers.change_customer")(update_customer))


@router.delete("/customers/{customer_id}", response=writes(CustomerOut), summary="Archive a customer")
@allowed_to("customers.archive_customer")
def archive_customer(request, customer_id: str):
    """Nothing is deleted: the customer takes nothing new that has to do with money, and stays retrievable."""
    customer = find_customer(request, customer_id)
    if not customer.archived:
        domain.archive_customer(customer, by=request.auth.by)
    return whole(request, customer)


@router.post("/customers/{customer_id}/restore", response=writes(CustomerOut), summary="Restore a customer")
@allowed_to("customers.archive_customer")
def restore_customer(request, customer_id: str):
    """Takes an archived customer back."""
    customer = find_customer(request, customer_id)
    if customer.archived:
        domain.restore_customer(customer, by=request.auth.by)
    return whole(request, customer)
