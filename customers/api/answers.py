"""How the API shows customers' addresses and comments."""

from ninja import Schema
from pydantic import ConfigDict

from dashboard.api.fields import timestamp
from dashboard.api.lists import Paged
from dashboard.ids import bare
from dashboard.masking import mask_email, mask_phone, mask_text

ADDRESS = {
    "country": "US",
    "state": "CA",
    "city": "San Francisco",
    "line1": "1 Harbor Drive",
    "line2": "Apt 4B",
    "postal_code": "94105",
    "id": "addr_0193f0c1d2a7b34e5f607183",
    "kind": "billing",
    "name": "",
    "phone_number": None,
    "line3": "",
    "is_default": True,
    "created_at": "2026-11-22T10:00:00.000Z",
    "updated_at": "2026-11-22T10:00:00.000Z",
}
COMMENT = {
    "id": "cmt_0193f0c1d2a7b34e5f607184",
    "body": "Prefers to be called after 14:00.",
    "user_id": None,
    "author": "API",
    "pinned": False,
    "created_at": "2026-11-22T10:00:00.000Z",
    "edited_at": None,
    "deleted_at": None,
}


class Identified(Schema):
    id: str
    is_default: bool


class AddressPart(Schema):
    """A customer's default address."""

    country: str
    state: str
    city: str
    line1: str
    line2: str
    postal_code: str


class AddressOut(AddressPart, Identified):  # its id first
    model_config = ConfigDict(json_schema_extra={"example": ADDRESS})

    kind: str
    name: str
    phone_number: str | None
    line3: str
    created_at: str
    updated_at: str


class AddressList(Paged[AddressOut]):
    pass


class CommentOut(Schema):
    """What was said about a customer. `user_id` is empty when a key said it that is nobody's."""

    model_config = ConfigDict(json_schema_extra={"example": COMMENT})

    id: str
    body: str | None
    user_id: str | None
    author: str
    pinned: bool
    created_at: str
    edited_at: str | None
    deleted_at: str | None


class CommentList(Paged[CommentOut]):
    pass


def shown_to(caller):
    """(e-mail, phone, text) functions: what a caller sees of contact data."""
    if caller.has_perm("dashboard.view_contact_data"):
        return str, str, str
    return mask_email, mask_phone, mask_text


def address_part(address, caller):
    """A default address as customers carry it; None for none."""
    if address is None:
        return None
    *_, text = shown_to(caller)
    return {
        "country": address.country,
        "state": address.state,
        "city": address.city,
        "line1": text(address.line1),
        "line2": text(address.line2),
        "postal_code": text(address.postal_code),
    }


def address_json(address, caller):
    _email, phone, text = shown_to(caller)
    return address_part(address, caller) | {
        "id": address.pk,
        "kind": address.kind,
        "name": text(address.name),
        "phone_number": phone(address.phone_number) or None,
        "line3": text(address.line3),
        "is_default": address.is_default,
        "created_at": timestamp(address.created_at),
        "updated_at": timestamp(address.updated_at),
    }


def comment_json(comment):
    return {
        "id": comment.pk,
        "body": None if comment.deleted_at else comment.body,
        "user_id": bare(comment.author_id) if comment.author_id else None,
        "author": comment.who,
        "pinned": comment.pinned,
        "created_at": timestamp(comment.created_at),
        "edited_at": timestamp(comment.edited_at),
        "deleted_at": timestamp(comment.deleted_at),
    }
