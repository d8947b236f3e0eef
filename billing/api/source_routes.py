"""Payment sources of a customer: listed, added, chosen and removed."""

from typing import Annotated, Literal

from ninja import Query as Parameters
from ninja import Status

from billing.api.source_bodies import SourceBody, new_source
from billing.api.sources import SourceList, SourceOut, source_json
from billing.domain import vault
from billing.domain.sources import UnknownToken, save_source
from billing.filters.methods import MethodFilter
from billing.models import PaymentMethod
from customers.api.bodies import one_of
from customers.api.finding import find_customer, find_part
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.errors import ApiError, unknown
from dashboard.api.fields import Text, optional
from dashboard.api.lists import Filtered, Paging, listing
from dashboard.paging import Order

router = Resource(tags=["Payment sources"])
ALL = "/customers/{customer_id}/payment_sources"
ONE = f"{ALL}/{{source_id}}"
DEFAULT_FIRST = Order("is_default", descending=True)


class SourceQuery(Paging):
    """Filters of the list; a malformed one is disregarded."""

    include: optional(Text(255), description="`archived_sources` lists removed ones as well.")
    status: optional(Literal["active", "expired", "removed"], description="By the calendar: as the page shows it.")
    type: optional(one_of(PaymentMethod.Type))


@router.get(ALL, response=reads(SourceList), summary="List a customer's payment sources")
@allowed_to("billing.view_method")
def list_sources(request, customer_id: str, query: Annotated[SourceQuery, Parameters()]):
    """The default comes first, then the newest. Removed ones are listed on request alone."""
    given, methods = query.given(), PaymentMethod.objects.for_customer(find_customer(request, customer_id))
    if "archived_sources" not in given.get("include", "").split(",") and "status" not in given:
        methods = methods.active()
    found = Filtered(request, MethodFilter, methods, status=given.get("status"), type=given.get("type"))
    return listing(found.rows, query, lambda rows: [source_json(row, request.auth) for row in rows], order=DEFAULT_FIRST)


@router.post(ALL, response=writes(SourceOut, 201) | {200: SourceOut}, summary="Add a payment source")
@allowed_to("billing.add_method")
def add_source(request, customer_id: str, body: SourceBody):
    """The gateway is asked what the token stands for, and keeps it for this customer; a token it does not know is refused,
    so none can be made up. A `vault_token` of this customer answers 200 with the source it names."""
    customer = find_customer(request, customer_id)
    if body.vault_token:
        return Status(200, source_json(find_vaulted(request, customer, body.vault_token), request.auth))
    default = body.given().get("make_default") or False
    return Status(201, source_json(keep(request, customer, new_source(body, customer), make_default=default), request.auth))


def keep(request, customer, source, *, make_default=False, prefix=""):
    """Put a NewSource on file. Raises ApiError 400 naming a token the gateway does not know."""
    form_key = idempotency.form_key(request)
    try:
        return save_source(customer, source, by=request.auth.by, make_default=make_default, form_key=form_key)
    except UnknownToken as error:
        raise ApiError("parameter_invalid", str(error), f"{prefix}token") from None


def find_vaulted(request, customer, token):
    """The customer's source of a vault token. Raises ApiError 404 for anybody else's, 409 for a removed one."""
    found = PaymentMethod.objects.filter(customer=customer, livemode=request.livemode, vault_token=token).first()
    if not found:
        raise unknown("payment source")
    if found.archived:
        raise ApiError("state_conflict", f"{found} was removed. To use it again, the customer has to give it again.")
    return found


@router.get(
    "/customers/{customer_id}/payment_sources/{source_id}", response=reads(SourceOut), summary="Retrieve a payment source"
)
@allowed_to("billing.view_method")
def retrieve_source(request, customer_id: str, source_id: str):
    """Removed ones are found too."""
    return source_json(find_part(request, PaymentMethod, customer_id, source_id), request.auth)


@router.post(f"{ONE}/default", response=writes(SourceOut), summary="Make a payment source the default")
@allowed_to("billing.add_method")
def make_default(request, customer_id: str, source_id: str):
    """Charges without a chosen source, and subscriptions without one, use it from now on."""
    source = find_part(request, PaymentMethod, customer_id, source_id)
    if not source.is_default:
        source = vault.make_default(source, by=request.auth.by)
    return source_json(source, request.auth)


@router.delete(ONE, response=writes(SourceOut), summary="Remove a payment source")
@allowed_to("billing.remove_method")
def remove_source(request, customer_id: str, source_id: str):
    """Its status becomes `archived`: it stays for history, is never charged again, and its gateway forgets it."""
    source = find_part(request, PaymentMethod, customer_id, source_id)
    if not source.archived:
        source = vault.remove_method(source, by=request.auth.by)
    return source_json(source, request.auth)
