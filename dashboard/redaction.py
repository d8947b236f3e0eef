"""Taking personal data out of events, and proving afterwards that nothing else was done to them.

Events are never altered, with one exception: a person's right to be erased. An event that is redacted keeps what happened,
when, to what and by whom; `changes`, `data` and `ip` are rewritten, and it is signed anew. A Redaction beside it says which
signature it had, which it has now, and in the course of which erasure; only with that row does the database let the
change pass (dashboard.append_only). What keeps the proof whole:

- A seal is over the signatures events were written with. For a redacted event that is the `before` of its first Redaction,
  so seals stay as they are, and an event redacted before it is sealed goes under its seal like any other.
- Redactions are signed: nobody without the key can make one, change one, or move one to another event.
- Each run leaves an event that says how many events it redacted. It is sealed like all events: whoever takes redactions
  away, and puts the old content back from a copy, is missed there.
- The erasure is an event itself, of one of the ERASING types: verify_audit looks for it.

An event can be redacted again, by a second erasure that finds leftovers: its Redactions form a chain of their own.
"""

from django.db import connection, transaction
from django.db.models import Max

from dashboard import events as trail
from dashboard.models import Event, Redaction
from dashboard.signing import COLUMNS, content, is_signed, sign

ERASING = ("customer.erased", "customer.scrubbed")  # the types of the events in whose course others are redacted
SUMMARY = "audit.redacted"  # how many events were, one for each run
NEVER = (*ERASING, SUMMARY)  # hold counts, and are what the proof rests on
AT_ONCE = 500
REWRITTEN = ("changes", "data", "ip")


def redact_events(events, rewrite, *, erasure):
    """Take personal data out of events, in the caller's transaction; returns how many were redacted.

    events: a queryset of Event, in any order, not sliced. They are read AT_ONCE at a time, so there may be very many.
    rewrite(event) -> (changes, data, ip) as they shall be from now on, or None to leave an event alone. One that comes back
    as it was is left alone, so that a second run redacts only what is left. Field names may stay: the event's page shows
    them, and says by whom their contents were removed.
    erasure: the Event that records who erases, of one of the ERASING types, written before. Such events are never redacted
    themselves: they hold nothing personal, counts at most.

    Raises ValueError for an erasure of another type.
    """
    if erasure.type not in ERASING:
        raise ValueError(f"{erasure.type} erases nothing: an erasure's event is one of {', '.join(ERASING)}.")
    with transaction.atomic():
        count = sum(_redact(batch, rewrite, erasure) for batch in _batches(events.exclude(type__in=NEVER)))
        if count:
            _summarise(count, erasure)
    return count


def _batches(events):
    """Lists of events by ID, locked: two erasures at once redact an event one after the other."""
    events, after = events.order_by("pk").select_for_update(of=("self",)), ""
    while batch := list(events.filter(pk__gt=after)[:AT_ONCE]):
        after = batch[-1].pk
        yield batch


def _redact(batch, rewrite, erasure):
    redacted = [event for event in batch if _is_rewritten(event, rewrite)]
    times = _times(redacted)
    Redaction.objects.bulk_create([_redaction(event, times.get(event.pk, 0) + 1, erasure) for event in redacted])
    _write(redacted)
    return len(redacted)


def _write(events):
    """One statement for all: bulk_update takes three times as long, and others wait."""
    fields = [Event._meta.get_field(name) for name in (*REWRITTEN, "signature")]
    rows = [[*(f.get_db_prep_save(getattr(e, f.attname), connection) for f in fields), e.pk] for e in events]
    columns = ", ".join(f"{field.column} = %s" for field in fields)
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE dashboard_event SET {columns} WHERE id = %s", rows)  # noqa: S608  (our own columns)


def _is_rewritten(event, rewrite):
    """Whether an event is another one now. One that was not as it was signed loses its contents as well, and stays a fault:
    erasing is no way to make good a change somebody made."""
    before = _content(event)
    if (values := rewrite(event)) is None:
        return False
    for name, value in zip(REWRITTEN, values, strict=True):
        setattr(event, name, value)
    after = _content(event)
    if after == before:
        return False
    event.signature_before = event.signature
    event.signature = sign(after if is_signed(before, event.signature) else b"not as it was written " + after)
    return True


def _content(event):
    return content([getattr(event, name) for name in COLUMNS])


def _times(events):
    """{event ID: how often it was redacted before}."""
    found = Redaction.objects.filter(event_id__in=[e.pk for e in events]).values_list("event_id")
    return dict(found.annotate(Max("nth")))


def _redaction(event, nth, erasure):
    row = Redaction(event_id=event.pk, nth=nth, before=event.signature_before, after=event.signature, erasure=erasure.pk)
    row.signature = sign(what_is_signed(row))
    return row


def what_is_signed(redaction):
    """The bytes of a redaction that its signature signs."""
    r = redaction
    return f"redaction {r.event_id} {r.nth} {r.before} {r.after} {r.erasure}".encode()


def _summarise(count, erasure):
    """The event of a run: about the erasure, and so in the timeline of the same customer."""
    trail.record(SUMMARY, erasure, by=erasure.by, count=count)
