"""What one cell of a customers file says: each function gives (value, problem), as rows.Field expects.

A problem ends the sentence “Phone: …”; its value is left out (R-63).
"""

import json
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from customers.models import DID, Customer
from dashboard import phones, places
from dashboard.imports.rows import zone_in
from dashboard.money import CURRENCIES

PAIRS, KEY, VALUE = 50, 40, 500  # metadata limits (spec 4.4)
LEFT_OUT = "It was left out."
_KINDS = frozenset(Customer.Kind.values)
_ID = Customer._meta.get_field("id")
_EMAIL = re.compile(r"[a-z0-9][a-z0-9._+-]{0,63}@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,18}")  # surely valid: most are


def parse_id(text, row, options, header):
    try:
        return _ID.to_python(text), ""
    except ValidationError:
        row.refuse(f"“{text[:40]}” is not a customer ID. Leave the cell empty to create a customer.")
        return None, ""


def parse_email(text, row, options, header):
    text = text.lower()
    if len(text) <= 254 and _EMAIL.fullmatch(text) and ".." not in text and ".@" not in text:
        return text, ""
    try:
        validate_email(text)
    except ValidationError:
        return None, f"“{text[:80]}” is not an email address. {LEFT_OUT}"
    return text, ""


def parse_phone(text, row, options, header):
    country = row.values.get("address_country") or options.country
    if found := phones.parse(text, country):
        return found, ""
    return None, f"“{text[:40]}” is not a valid number{' in ' + places.country_name(country) if country else ''}. {LEFT_OUT}"


def parse_country(text, row, options, header):
    code = text if len(text) == 2 and places.country_name(text) != text else places.country_code(text)
    return (code, "") if code else (None, f"“{text[:40]}” is not a country. {LEFT_OUT}")


def parse_currency(text, row, options, header):
    code = text.upper()
    return (code, "") if code in CURRENCIES else (None, f"“{text[:20]}” is not an ISO 4217 currency code. {LEFT_OUT}")


def parse_kind(text, row, options, header):
    kind = text.lower()
    return (kind, "") if kind in _KINDS else (None, f"“{text[:20]}” is neither individual nor company. {LEFT_OUT}")


def parse_did(text, row, options, header):
    return (text, "") if DID.fullmatch(text) and len(text) <= 255 else (None, f"“{text[:60]}” is not a DID. {LEFT_OUT}")


def parse_metadata(text, row, options, header):
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return None, f"it is not a JSON object. {LEFT_OUT}"
    kept = {k: v if isinstance(v, str) else json.dumps(v) for k, v in found.items() if v is not None}
    if len(kept) > PAIRS or any(not fits(k, v) for k, v in kept.items()):
        return None, f"it has more than {PAIRS} pairs, a key over {KEY} or a value over {VALUE} characters. {LEFT_OUT}"
    return kept, ""


def fits(key, value):
    return 0 < len(key) <= KEY and len(value) <= VALUE and "[" not in key and "]" not in key and "\0" not in key + value


def parse_created_at(text, row, options, header):
    """A time with its offset; without one, in the zone the heading names, else the dashboard's."""
    try:
        moment = parse_datetime(text) or datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=_zone(header))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None, f"“{text[:40]}” is not a date and time such as 2026-11-22 14:05. {LEFT_OUT}"
    if not moment.year >= 1970 or moment > timezone.now() + timedelta(days=1):
        return None, f"“{text[:40]}” is not a time in the past. {LEFT_OUT}"
    return moment, ""


@lru_cache(100)
def _zone(header):
    try:
        return ZoneInfo(zone_in(header))
    except (ValueError, KeyError, OSError):
        return settings.ZONE
