"""How the API shows payment sources: what may be shown of a card, bank account or wallet account, never its number."""

from typing import Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from billing.api.examples import CUSTOMER
from billing.gateways import about
from billing.models import PaymentMethod
from customers.api.answers import shown_to
from dashboard.api.lists import Paged
from dashboard.ids import bare

(EXAMPLE,) = CUSTOMER["payment_sources"]
TYPED = {  # the keys of each type
    "card": ("card_name", "card_number_last4", "card_number_bin", "card_scheme", "expire_month", "expire_year"),
    "bank_account": ("account_name", "account_bank_name", "account_number_last4", "account_type", "account_holder_type"),
    "checkout": ("checkout_email", "checkout_holder"),
}
ADDRESS = {  # key: part of the stored address; told only where there is one
    "address_line1": "line1",
    "address_line2": "line2",
    "address_city": "city",
    "address_state": "state",
    "address_postcode": "postal_code",
    "address_country": "country",
}


class SourceOut(Schema):
    """A stored payment source. Which keys it has follows from its type."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    hex_id: str = Field(alias="_id", description="24 hex digits.")
    gateway_id: str
    gateway_type: str
    gateway_name: str
    type: Literal[tuple(PaymentMethod.Type.values)]
    status: Literal[tuple(PaymentMethod.Status.values)]
    card_name: str = ""
    card_number_last4: str = ""
    card_number_bin: str = ""
    card_scheme: str = ""
    expire_month: str = Field("", description="Two digits.")
    expire_year: str = Field("", description="Four digits.")
    account_name: str = ""
    account_bank_name: str = ""
    account_number_last4: str = ""
    account_type: str = ""
    account_holder_type: str = ""
    checkout_email: str = ""
    checkout_holder: str = ""
    address_line1: str = ""
    address_line2: str = ""
    address_city: str = ""
    address_state: str = ""
    address_postcode: str = ""
    address_country: str = ""


class SourceList(Paged[SourceOut]):
    model_config = ConfigDict(
        json_schema_extra={"example": {"count": 1, "list": [EXAMPLE], "paging": {"page": 1, "pageSize": 20}}}
    )


def source_json(method, caller):
    """A payment method with the keys of its type alone; contact data masked for whoever may not see it."""
    email, _phone, text = shown_to(caller)
    gateway = about(method.gateway)
    found = {
        "_id": bare(method.pk),
        "gateway_id": bare(gateway.id),
        "gateway_type": gateway.type,
        "gateway_name": gateway.name,
        "type": method.type,
        "status": method.status,
        **{name: getattr(method, name) for name in TYPED[method.type]},
    }
    if method.type == PaymentMethod.Type.CARD:
        found |= {"expire_month": f"{method.expire_month:02}", "expire_year": f"{method.expire_year:04}"}
    if method.type == PaymentMethod.Type.CHECKOUT:
        found["checkout_email"] = email(method.checkout_email)
    address = {key: method.address.get(part) for key, part in ADDRESS.items()}
    hidden = ("address_line1", "address_line2", "address_postcode")
    return found | {key: text(value) if key in hidden else value for key, value in address.items() if value}
