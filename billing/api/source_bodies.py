"""What the API lets one say about a payment source. Which fields must be there, and well-formed, depends on its type (R-63).

A card number is taken in one field alone, in test mode alone, and only one of the sandbox's list: it becomes the list's
own entry right here and goes no further.
"""

import re
from datetime import date
from typing import Annotated, Literal

from django.utils import timezone
from pydantic import AfterValidator, BeforeValidator, ConfigDict, WithJsonSchema, WrapValidator, model_validator

from billing.api.gateways import slug_of
from billing.api.sources import ADDRESS
from billing.domain.card_links import gateway_saving
from billing.domain.sources import SANDBOX, NewSource
from billing.gateways.sandbox.cards import WALLET, TestCard, find_card
from billing.models import PaymentMethod
from dashboard.api.errors import ApiError, required
from dashboard.api.fields import Body, Country, Email, Flag, Id, Text, drop, inside, optional, stated

FLOWS = {  # type: the fields that are its own, the mandatory ones first
    "card": ("card_name", "expire_month", "expire_year", "card_number_last4", "card_number_bin", "card_number"),
    "bank_account": (
        "account_name", "account_bank_name", "account_number_last4", "account_type", "account_holder_type", "account_number",
    ),
    "checkout": ("checkout_email", "checkout_holder"),
}  # fmt: skip
MANDATORY = {"card": 3, "bank_account": 1, "checkout": 2}  # how many of them
LATEST = 2099  # no card lives so long


# --- kinds of values ---------------------------------------------------------------------------------------
def digits(pattern, words):
    """Text of digits alone, such as "09"."""

    def check(value):
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"must be {words}")
        return value

    return Annotated[str, BeforeValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})]


def _not_past(year):
    if not timezone.localdate().year <= int(year) <= LATEST:
        raise ValueError("is in the past" if int(year) <= LATEST else f"is later than {LATEST}")
    return year


def listed_number(kind, words):
    """The entry of the sandbox's list that has this number. Any other number is refused and kept nowhere."""

    def check(value):
        found = find_card(value) if isinstance(value, str) and len(value) <= 40 else None
        if not found or found.type != kind:
            raise ValueError(f"is not one of the sandbox's test {words}. It was not kept, and nothing was saved")
        return found

    return Annotated[TestCard, BeforeValidator(check), WithJsonSchema({"type": "string", "maxLength": 40})]


Month = digits("(?:0[1-9]|1[0-2])", "two digits from 01 to 12")
Year = Annotated[digits("20[0-9]{2}", "four digits, such as 2030"), AfterValidator(_not_past)]
Last4 = digits("[0-9]{4}", "four digits")
Bin = digits("[0-9]{6,8}", "six to eight digits")
EXAMPLE = {
    "type": "card", "card_name": "John Doe", "expire_month": "09", "expire_year": "2034", "card_number": "4242424242424242",
    "address_line1": "123 Main Street", "address_city": "San Francisco", "address_state": "CA", "address_country": "US",
    "address_postcode": "94105",
}  # fmt: skip


class SourceBody(Body):
    """A payment source: the `token` your gateway's own form gave you, with what is to be shown of it. What such a token
    stands for is asked of the gateway. Only in test mode, a listed test card's `card_number` or test account's
    `account_number` does instead, and a wallet account needs neither. No other number is ever taken.

    `type` says what must be there: card_name, expire_month and expire_year for a card, account_name for a bank account,
    checkout_email and checkout_holder for a wallet account. `vault_token` names a source the customer has already.
    """

    read_only = ("_id", "status", "gateway_type", "gateway_name", "card_scheme")
    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": EXAMPLE})

    type: Literal[tuple(FLOWS)]
    token: stated(Text(255), description="What the gateway calls it.")
    vault_token: stated(Text(64), description="Instead of everything else: a source of this customer.")
    gateway_id: optional(Id("gw"), description="Which gateway keeps it; the preferred one unless told.")
    make_default: optional(Flag, clears=False, description="The first source becomes the default by itself.")
    card_name: stated(Text(255), description="As on the card.")
    expire_month: stated(Month)
    expire_year: stated(Year)
    card_number_last4: stated(Last4)
    card_number_bin: stated(Bin)
    card_number: stated(listed_number("card", "cards"), description="Test mode alone: a listed test card.")
    account_name: stated(Text(255), description="Whose account it is.")
    account_bank_name: stated(Text(255))
    account_number_last4: stated(Last4)
    account_type: stated(Text(20), description="Such as checking or savings.")
    account_holder_type: stated(Text(20), description="Such as individual or company.")
    account_number: stated(listed_number("bank_account", "accounts"), description="Test mode alone: a listed test account.")
    checkout_email: stated(Email)
    checkout_holder: stated(Text(255))
    address_line1: optional(Text(255))
    address_line2: optional(Text(255))
    address_city: optional(Text(255))
    address_state: optional(Text(255))
    address_postcode: optional(Text(20))
    address_country: optional(Country)

    @model_validator(mode="wrap")
    @classmethod
    def _one_flow(cls, data, handler):
        """The fields of other flows are disregarded, whatever they hold."""
        kind = data.get("type") if isinstance(data, dict) else None
        if not isinstance(kind, str) or kind not in FLOWS:
            return handler(data)
        others = {name for flow, names in FLOWS.items() if flow != kind for name in names if data.get(name) is not None}
        for name in sorted(others):
            drop(name)
        return handler({name: value for name, value in data.items() if name not in others})


def _within_source(value, handler, info):
    """Whoever sends no object sends no source; what is in one is named with its place."""
    if value is None or value == "":
        return None
    if not isinstance(value, dict):
        return drop(info.field_name)
    with inside(info.field_name):
        return handler(value)


NestedSource = Annotated[SourceBody | None, WrapValidator(_within_source)]


# --- what is meant -----------------------------------------------------------------------------------------
def new_source(body, customer, *, prefix=""):
    """The NewSource a body means for a customer, who need not be saved yet. Changes nothing.

    Raises ApiError 400 naming what is missing or impossible, DomainError when no gateway keeps the customer's sources.
    """
    given = {name: value for name, value in body.given().items() if value is not None}
    for name in FLOWS[body.type][: MANDATORY[body.type]]:
        if name not in given:
            raise required(f"{prefix}{name}")
    _refuse_expired(given, prefix)
    test_card = _test_card(body.type, given, customer.livemode, prefix)
    if not test_card and "token" not in given:
        raise required(f"{prefix}token")
    wanted = slug_of(given.get("gateway_id"), f"{prefix}gateway_id") or (SANDBOX if test_card else "")
    return NewSource(
        type=body.type,
        gateway=gateway_saving(customer, wanted),
        token="" if test_card else given["token"],
        test_card=test_card,
        shown=_shown(body.type, given),
        columns=_columns(given),
    )


def _refuse_expired(given, prefix):
    if "expire_year" not in given:
        return
    if date(int(given["expire_year"]), int(given["expire_month"]), 1) < timezone.localdate().replace(day=1):
        name = f"{prefix}expire_month"
        raise ApiError("parameter_invalid", f"{name} is in the past: this card has expired.", name)


def _test_card(kind, given, livemode, prefix):
    """The test card or account a body names; in test mode a wallet account without a token is the sandbox's own."""
    name = next((name for name in ("card_number", "account_number") if name in given), "")
    if name and livemode:
        detail = f"{prefix}{name} is taken in test mode alone. Send the token of your gateway instead. It was not kept."
        raise ApiError("parameter_invalid", detail, f"{prefix}{name}")
    own_wallet = kind == PaymentMethod.Type.CHECKOUT and not livemode and "token" not in given
    return WALLET if own_wallet else given.get(name)


def _shown(kind, given):
    """The fields of MethodSummary a body tells."""
    names = {
        "card": {
            "card_name": "holder", "expire_month": "expire_month", "expire_year": "expire_year", "card_number_last4": "last4",
            "card_number_bin": "bin",
        },
        "bank_account": {"account_name": "holder", "account_number_last4": "last4"},
        "checkout": {"checkout_email": "email", "checkout_holder": "holder"},
    }[kind]  # fmt: skip
    numbers = ("expire_month", "expire_year")
    return {ours: int(given[name]) if name in numbers else given[name] for name, ours in names.items() if name in given}


def _columns(given):
    """The columns of PaymentMethod a body tells and no gateway does. An address is set whole."""
    columns = {name: given[name] for name in ("account_bank_name", "account_type", "account_holder_type") if name in given}
    address = {part: given[name] for name, part in ADDRESS.items() if given.get(name)}
    return columns | ({"address": address} if address else {})
