"""What is left of an event about somebody who was erased: that it happened, when and by whom; IDs, amounts, days and words
of ours. Whatever anybody typed is gone, and where a payer's request came from."""

import re

from django.db.models import Q

from customers.privacy.registry import as_text, naming
from dashboard.ids import HEX
from dashboard.masking import HIDDEN
from dashboard.models import Event
from dashboard.redaction import ERASING, SUMMARY, redact_events

_TELLS_NOTHING = re.compile(
    rf"""(?:[a-z_]+_)?{HEX}                     # an ID
    | -?\d{{1,12}}\.\d{{1,3}}                  # an amount; digits alone may be a phone number
    | \d{{4}}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:\d\d)?)?  # a day or moment
    """,
    re.VERBOSE,
)
OURS = frozenset(  # fields of events that hold words of ours, whatever stands in them
    ("status", "was", "origin", "currency", "gateway", "number", "key", "kind", "source", "interval", "billing")
)


def erasable_events(customer_id):
    """A customer's events, but for those of erasures: these hold counts."""
    return Event.objects.filter(customer_id=customer_id).exclude(type__in=(*ERASING, SUMMARY))


def events_about(person):
    """A person's events, and those about no record of the business that name them: an export that was filtered by e-mail."""
    notes = as_text(Event.objects.exclude(type__in=(*ERASING, SUMMARY)), data_text="data", changes_text="changes")
    return notes.filter(Q(customer_id=person.pk) | Q(customer_id="") & naming(person, "data_text", "changes_text"))


def rewriting(person):
    """The `rewrite` of dashboard.redaction for a person's events."""

    def rewrite(event):
        clean = _without_text if event.customer_id == person.pk else lambda value, name="": _without_words(value, person.words)
        ip = "" if event.by_id is None and event.customer_id == person.pk else event.ip
        return _fields(event.changes, clean), _fields(event.data, clean), ip

    return rewrite


def redact(person, erasure):
    """Rewrite the events of a person in the course of an erasure; returns how many."""
    return redact_events(events_about(person), rewriting(person), erasure=erasure)


def left_to_redact(person):
    """How many events redact() would rewrite."""
    rewrite, count = rewriting(person), 0
    for event in events_about(person).iterator(chunk_size=500):
        count += rewrite(event) != (event.changes, event.data, event.ip)
    return count


def _fields(values, clean):
    return {name: clean(value, name) for name, value in values.items()}


def _without_text(value, name=""):
    if isinstance(value, list):
        return [_without_text(part, name) for part in value]
    if isinstance(value, dict):
        return HIDDEN if value else value  # its names may be somebody's words, too
    if not isinstance(value, str) or not value or name in OURS or _TELLS_NOTHING.fullmatch(value):
        return value
    return HIDDEN


def _without_words(value, words):
    if isinstance(value, list):
        return [_without_words(part, words) for part in value]
    if isinstance(value, dict):
        return {name: _without_words(part, words) for name, part in value.items()}
    return HIDDEN if isinstance(value, str) and any(word in value.lower() for word in words) else value
