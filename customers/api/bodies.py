"""What the API lets one say about customers and their addresses, and the columns that sets."""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, WithJsonSchema

from customers.models import DID, Address, Customer
from dashboard.api.errors import required
from dashboard.api.fields import Body, Country, Currency, Email, Flag, Metadata, Phone, Text, drop, optional


def _did(value):
    if not isinstance(value, str) or len(value) > 255 or not DID.fullmatch(value):
        raise ValueError("must be a DID")
    return value


Did = Annotated[str, BeforeValidator(_did), WithJsonSchema({"type": "string", "maxLength": 255})]


def one_of(choices):
    """A word out of a model's choices."""

    def check(value):
        if value not in choices.values:
            raise ValueError(f"must be one of {', '.join(choices.values)}")
        return value

    return Annotated[str, BeforeValidator(check), WithJsonSchema({"type": "string", "enum": list(choices.values)})]


PART = 255  # characters of a part of a name
ADDRESS = {"line1": "1 Harbor Drive", "city": "San Francisco", "state": "CA", "postal_code": "94105", "country": "US"}


class AddressBody(Body):
    """Where somebody lives. Every part is optional; `country` is ISO 3166-1 alpha-2."""

    country: optional(Country, clears="")
    state: optional(Text(255), clears="")
    city: optional(Text(255), clears="")
    line1: optional(Text(255), clears="")
    line2: optional(Text(255), clears="")
    postal_code: optional(Text(20), clears="")

    def fields(self):
        """All columns of Address there are here; those that did not come are empty: an address is set whole (C20)."""
        given = self.given()
        return {name: given.get(name) or "" for name in type(self).model_fields}


class AddressFields(AddressBody):
    """What may be changed of an address."""

    kind: optional(one_of(Address.Kind))
    name: optional(Text(255), clears="")
    phone_number: optional(Phone, clears="")
    line3: optional(Text(255), clears="")
    is_default: optional(Flag)

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"line2": "Apt 4B", "is_default": True}})

    def changes(self):
        """The columns that came."""
        return {name: value for name, value in self.given().items() if value is not None}


class NewAddress(AddressFields):
    """An address to add."""

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": ADDRESS})

    def fields(self):
        given = self.changes()
        if not any(given.get(name) for name in AddressBody.model_fields):
            raise required("line1")
        return given


class CommentBody(Body):
    """What is said about a customer: plain text of at most 2,000 characters."""

    body: Text(2000, 1)
    pinned: optional(Flag, clears=False)

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"body": "Prefers to be called after 14:00."}})


class CustomerFields(Body):
    """What may be set of a customer. A malformed field is left out and named in X-Disregarded-Fields."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "name": "John Doe",
                "email": "john.doe@example.com",
                "phone": "+15551234567",
                "address": ADDRESS,
                "metadata": {"internal_id": "user-456"},
            }
        },
    )

    read_only = (
        "id", "_id", "livemode", "status", "archived", "created_at", "updated_at", "balance", "delinquent", "statistics",
        "user_id", "addresses", "payment_sources", "coupons", "default_source", "erased_at",
    )  # fmt: skip

    name: optional(Text(511, 1))
    kind: optional(one_of(Customer.Kind))
    first_name: optional(Text(255), clears="")
    last_name: optional(Text(255), clears="")
    company_name: optional(Text(255), clears="")
    email: optional(Email, clears="")
    phone: optional(Phone, clears="")
    did: optional(Did)
    address: optional(AddressBody)
    reference: optional(Text(255), clears="")
    description: optional(Text(1000), clears="")
    tax_id: optional(Text(64), clears="")
    currency: optional(Currency)
    metadata: optional(Metadata, clears={})


def set_names(given, customer=None):
    """The columns of a name, `name` split as one writes it: an individual at the first space, a company whole (I1).

    A name of which a part is longer than its column is malformed.
    """
    names = {n: given[n] for n in ("first_name", "last_name", "company_name", "kind") if given.get(n) is not None}
    kind = names.get("kind") or (customer.kind if customer else _kind_of(names))
    if whole := given.get("name"):
        first, _, last = whole.partition(" ")
        split = {"company_name": whole} if kind == Customer.Kind.COMPANY else {"first_name": first, "last_name": last.strip()}
        if any(len(part) > PART for part in split.values()):
            drop("name")
        else:
            names = split | names if customer is None else names | split
    if customer is None:
        names["kind"] = kind
    return names


def _kind_of(names):
    person = names.get("first_name") or names.get("last_name")
    return Customer.Kind.COMPANY if names.get("company_name") and not person else Customer.Kind.INDIVIDUAL


def columns(given, customer=None):
    """The columns of Customer a body sets. Raises ApiError 400 when no name would be left."""
    kept = {n: given[n] for n in ("email", "phone", "did", "reference", "description", "tax_id", "metadata") if n in given}
    if given.get("currency"):
        kept["currency"] = given["currency"]
    kept |= set_names(given, customer)
    left = {n: kept.get(n, getattr(customer, n, "")) for n in ("first_name", "last_name", "company_name")}
    if not any(left.values()):
        raise required("name")
    return kept
