"""What a request's body and parameters may say, and what becomes of a value that is malformed (R-63).

A field that may be left out and is malformed is dropped, its name told in X-Disregarded-Fields. One that must be there
and is missing or malformed is an error naming it. `null` and "" clear an optional field.
"""

import math
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, WrapValidator, model_validator

from dashboard.api.errors import problem
from dashboard.card_numbers import find_card_number, hide_card_numbers
from dashboard.ids import HEX
from dashboard.money import CURRENCIES, LARGEST
from dashboard.phones import E164
from dashboard.places import country_name
from dashboard.text import clean_text

PAIRS, KEY, VALUE = 50, 40, 500  # metadata (spec 4.4)
EMPTY = "must not be empty"
DROPPED = object()  # the value of a field that was malformed
_names = ContextVar("dropped")
_within = ContextVar("within", default="")


# --- what is dropped ---------------------------------------------------------------------------------------
@contextmanager
def watching():
    """The list of the names dropped inside."""
    token = _names.set([])
    try:
        yield _names.get()
    finally:
        _names.reset(token)


def drop(name):
    """Note that a field is disregarded; `address.country` inside an address."""
    found, name = _names.get([]), hide_card_numbers(f"{_within.get()}{name}")
    if name not in found:
        found.append(name)
    return DROPPED


@contextmanager
def inside(name):
    token = _within.set(f"{_within.get()}{name}.")
    try:
        yield
    finally:
        _within.reset(token)


def _or_drop(value, handler, info):
    try:
        with inside(info.field_name):
            return handler(value)
    except ValueError:  # pydantic's own error is one
        return drop(info.field_name)


def optional(kind, *, clears=None, **about):
    """A field that may be left out. null and "" give `clears`; what is malformed is dropped. A type for an annotation."""

    def wrapped(value, handler, info):
        if value is None or (isinstance(value, str) and not value.strip()):
            return clears
        return _or_drop(value, handler, info)

    return Annotated[kind | None, WrapValidator(wrapped), Field(default=None, **about)]


def stated(kind, *, clears=None, **about):
    """A field that may be left out, but not be malformed. null and "" give `clears`. A type for an annotation."""

    def wrapped(value, handler):
        blank = value is None or (isinstance(value, str) and not value.strip())
        return clears if blank else handler(value)

    return Annotated[kind | None, WrapValidator(wrapped), Field(default=None, **about)]


class Body(Schema):
    """A request's body. `given()` is what came and is well-formed. Keys nobody knows are ignored; those of `read_only`
    are named among what was disregarded."""

    model_config = ConfigDict(extra="ignore")
    read_only: ClassVar = ()

    @model_validator(mode="wrap")
    @classmethod
    def _note_read_only(cls, data, handler):
        if isinstance(data, dict):
            for name in cls.read_only:
                if name in data:
                    drop(name)
        return handler(data)

    def given(self):
        """{field: value} of what came, without what was dropped."""
        found = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return {name: value for name, value in found.items() if value is not DROPPED}


class Query(Schema):
    """A list's parameters. All are optional; `given()` is what came, was not empty and is well-formed."""

    model_config = ConfigDict(extra="ignore")

    def given(self):
        found = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in found.items() if value is not DROPPED and value is not None}


# --- kinds of values ---------------------------------------------------------------------------------------
def _text(value, *, limit, least=0):
    """Text as the forms clean it. Too long is malformed: what was meant cannot be guessed."""
    if not isinstance(value, str):
        raise ValueError("must be text")
    text = clean_text(value)
    if len(text) > limit:
        raise ValueError(f"must be at most {limit} characters")
    if len(text) < least:
        raise ValueError(EMPTY)
    if find_card_number(text):
        raise ValueError("looks like a payment card number, which is never stored")
    return text


def Text(limit, least=0):
    """Text of at most so many characters, cleaned: no controls, no NUL, no card number."""
    schema = {"type": "string", "maxLength": limit} | ({"minLength": least} if least else {})
    return Annotated[str, BeforeValidator(partial(_text, limit=limit, least=least)), WithJsonSchema(schema)]


def _email(value):
    text = _text(value, limit=512).lower()
    try:
        validate_email(text)
    except ValidationError:
        raise ValueError("must be an email address") from None
    return text


def _phone(value):
    text = _text(value, limit=32)
    if not E164.fullmatch(text):
        raise ValueError("must be a phone number in E.164 form, such as +12345678901")
    return text


def _country(value):
    code = _text(value, limit=2).upper()
    if len(code) != 2 or country_name(code) == code:
        raise ValueError("must be a two-letter country code (ISO 3166-1 alpha-2)")
    return code


def _currency(value):
    code = _text(value, limit=3).upper()
    if code not in CURRENCIES:
        raise ValueError("must be a currency code (ISO 4217)")
    return code


def _metadata(value):
    """Pairs of texts. One that breaks a limit is dropped by name, the others stay; null takes a key away."""
    if not isinstance(value, dict):
        raise ValueError("must be an object of texts")
    kept = {}
    for key, text in value.items():
        pair = _pair(key, text)
        if pair is None or len(kept) >= PAIRS:
            drop(key[:KEY])
        else:
            kept |= pair
    return kept


def _pair(key, text):
    """{key: text} where both keep the limits; {} where there is no text; None otherwise."""
    if text is None:
        return {}
    if isinstance(text, bool) or not isinstance(text, str | int | float) or (isinstance(text, float) and not math.isfinite(text)):
        return None
    key, text = clean_text(key), clean_text(str(text))
    fits = 0 < len(key) <= KEY and len(text) <= VALUE and "[" not in key and "]" not in key
    return {key: text} if fits and not find_card_number(f"{key}\n{text}") else None


def _moment(value):
    """A time with its offset, as ISO 8601 writes it; without one it is UTC."""
    if not isinstance(value, str):
        raise ValueError("must be a time such as 2026-11-22T10:00:00Z")
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-11-22T10:00:00Z") from None
    if not 1900 <= moment.year <= 9000:  # days at either end of the calendar have no midnight in every zone
        raise ValueError("must be in a year from 1900 to 9000")
    return moment


def _whole(value):
    """A whole number: 10, "10"; not true, 1.5 or ten."""
    if isinstance(value, str) and value.strip().lstrip("-").isdecimal() and value.isascii() and len(value) < 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number")


def _flag(value):
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise ValueError("must be true or false")


Email = Annotated[str, BeforeValidator(_email), WithJsonSchema({"type": "string", "format": "email", "maxLength": 512})]
Phone = Annotated[str, BeforeValidator(_phone), WithJsonSchema({"type": "string", "pattern": r"^\+[1-9][0-9]{6,14}$"})]
Country = Annotated[str, BeforeValidator(_country), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{2}$"})]
Currency = Annotated[str, BeforeValidator(_currency), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$"})]
Metadata = Annotated[
    dict[str, str],
    BeforeValidator(_metadata),
    WithJsonSchema({"type": "object", "maxProperties": PAIRS, "additionalProperties": {"type": "string", "maxLength": VALUE}}),
]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
Whole = Annotated[int, BeforeValidator(_whole), WithJsonSchema({"type": "integer"})]
Amount = Annotated[int, Field(ge=1, le=LARGEST), BeforeValidator(_whole)]  # minor units


def Id(prefix):
    """A record's id, with its prefix or as the bare 24 hex digits."""
    return Annotated[str, Field(pattern=rf"^(?:{prefix}_)?{HEX}$")]


def Count(least, most):
    """A whole number within bounds."""
    return Annotated[int, Field(ge=least, le=most), BeforeValidator(_whole)]


# --- mandatory fields: what is wrong, in the API's words ---------------------------------------------------
CODES = {
    "missing": "parameter_required",
    "greater_than_equal": "parameter_below_minimum",
    "greater_than": "parameter_below_minimum",
    "less_than_equal": "parameter_above_maximum",
    "less_than": "parameter_above_maximum",
}


def problems_of(error):
    """The API's problems of a pydantic error's entries ({"type", "loc", "msg", "ctx"})."""
    return [_problem(entry) for entry in error[:20]]


def _problem(entry):
    source, *places = [str(part) for part in entry["loc"]]
    if source == "body" and len(places) > 1:
        places = places[1:]  # the argument's name
    name = ".".join(p for p in places if not p.startswith("function-")) or source
    kind, said = entry["type"], entry["msg"].removeprefix("Value error, ")
    if kind == "missing" or said == EMPTY:
        return problem("parameter_required", f"{name} is required.", name)
    if kind == "value_error":
        return problem("parameter_invalid", f"{name} {said}.", name)
    code = CODES.get(kind, "parameter_type_invalid" if kind.endswith("_type") else "parameter_invalid")
    return problem(code, f"{name}: {said[:1].lower()}{said[1:]}.", name)


def timestamp(moment):
    """2026-11-22T10:00:00.000Z: UTC, to the millisecond; None for none."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
