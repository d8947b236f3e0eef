"""Addresses and comments of a customer."""

from ninja import Status

from customers import domain
from customers.api.answers import AddressList, AddressOut, CommentList, CommentOut, address_json, comment_json
from customers.api.bodies import AddressFields, CommentBody, NewAddress
from customers.api.finding import find_customer, find_part
from customers.models import Address
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.lists import PagingParameters, listing

router = Resource(tags=["Customers"])


@router.get("/customers/{customer_id}/addresses", response=reads(AddressList), summary="List a customer's addresses")
@allowed_to("customers.view_customer")
def list_addresses(request, customer_id: str, paging: PagingParameters):
    """The default address comes first."""
    addresses = find_customer(request, customer_id).addresses.all()
    return listing(addresses, paging, lambda rows: [address_json(row, request.auth) for row in rows])


@router.post("/customers/{customer_id}/addresses", response=writes(AddressOut, 201), summary="Add an address")
@allowed_to("customers.change_customer")
def add_address(request, customer_id: str, body: NewAddress):
    """The first address is the default. `is_default: true` makes a later one so."""
    address = domain.add_address(find_customer(request, customer_id), by=request.auth.by, **body.fields())
    return Status(201, address_json(address, request.auth))


@router.patch("/customers/{customer_id}/addresses/{address_id}", response=writes(AddressOut), summary="Change an address")
@allowed_to("customers.change_customer")
def change_address(request, customer_id: str, address_id: str, body: AddressFields):
    """Only the fields that come are changed. `is_default: true` prints it from now on."""
    address = find_part(request, Address, customer_id, address_id)
    return address_json(domain.update_address(address, by=request.auth.by, **body.changes()), request.auth)


@router.delete("/customers/{customer_id}/addresses/{address_id}", response=writes(AddressOut), summary="Remove an address")
@allowed_to("customers.change_customer")
def remove_address(request, customer_id: str, address_id: str):
    """If it was the default, the oldest other one takes its place. Answers with the address as it was."""
    address = find_part(request, Address, customer_id, address_id)
    shown = address_json(address, request.auth)
    domain.remove_address(address, by=request.auth.by)
    return shown


@router.get("/customers/{customer_id}/comments", response=reads(CommentList), summary="List a customer's comments")
@allowed_to("customers.view_customer")
def list_comments(request, customer_id: str, paging: PagingParameters):
    """The newest first. Of a deleted comment the text is gone, the trace stays."""
    comments = find_customer(request, customer_id).comments.select_related("author")
    return listing(comments, paging, lambda rows: [comment_json(row) for row in rows])


@router.post("/customers/{customer_id}/comments", response=writes(CommentOut, 201), summary="Comment on a customer")
@allowed_to("customers.comment")
def add_comment(request, customer_id: str, body: CommentBody):
    """A pinned comment is a warning that follows the customer. Customers never see comments."""
    customer = find_customer(request, customer_id)
    return Status(201, comment_json(domain.add_comment(customer, by=request.auth.by, **body.given())))
