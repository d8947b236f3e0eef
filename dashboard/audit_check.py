"""Checking the audit trail: see dashboard.audit for what it shows and what it cannot show.

One pass over the events, one over the seals and one over the redactions, each a stream: memory does not grow with the
trail, and nobody who writes meanwhile is kept waiting.
"""

import hashlib
from datetime import timedelta
from itertools import groupby
from operator import attrgetter, itemgetter

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Subquery
from django.utils import timezone

from dashboard import append_only, audit
from dashboard.models import Event, EventSeal, Redaction, SealedEvent
from dashboard.redaction import ERASING, SUMMARY, what_is_signed
from dashboard.signing import COLUMNS, content, is_signed

TABLES = [model._meta.db_table for model in (Event, EventSeal, SealedEvent, Redaction)]
AT_ONCE = 2000  # rows a stream holds
BEHIND = timedelta(hours=1)  # events this old have their seal, where a worker runs


class Check:
    """Goes through the whole trail: `faults()` yields a sentence for each thing wrong, the rest is counted on the way.

    noted: whether to compare with the newest seal this machine has noted. Leave it out for a copy, such as a backup.
    """

    def __init__(self, *, noted=True):
        self.noted = audit.read_note() if noted else None
        self.newest = EventSeal.objects.last()
        self.events = self.sealed = self.seals = self.redacted = self.erasures = 0

    def faults(self):
        """Sentences, one for each fault; none when the trail is whole."""
        yield from self._open_tables()
        yield from self._foreign_events()
        yield from self._broken_seals()
        yield from self._broken_redactions()
        yield from self._missing_redactions()
        yield from self._missing_end()

    @property
    def behind(self):
        """How many events should have a seal by now and have none. That is no fault: the worker may have been off."""
        return audit.unsealed(before=audit.id_at(timezone.now() - BEHIND)).count()

    def _open_tables(self):
        for table in TABLES:
            if not append_only.is_guarded(table, connection):
                yield f"The database does not refuse changes of {table} any more: somebody took its triggers away."

    def _foreign_events(self):
        """Events whose signature is not that of their content."""
        for *values, signature in Event.objects.order_by("pk").values_list(*COLUMNS, "signature").iterator(AT_ONCE):
            self.events += 1
            if not is_signed(content(values), signature):
                yield f"Event {values[0]} was changed, or was not written by this installation."

    def _broken_seals(self):
        """The chain from its beginning, and under each seal the events it was made over."""
        if not self.newest:
            return
        lists, previous = _Lists(self.newest.sequence), None
        for seal in EventSeal.objects.filter(sequence__lte=self.newest.sequence).order_by("sequence").iterator(AT_ONCE):
            yield from self._broken_chain(seal, previous)
            yield from lists.without_seal(seal.sequence)
            yield from self._broken_list(seal, lists.of(seal.sequence))
            self.seals += 1
            previous = seal

    def _broken_chain(self, seal, previous):
        """What is wrong with a seal itself, or between it and the one before."""
        expected = previous.sequence + 1 if previous else 1
        if seal.sequence > expected:
            gone = f"Seal {expected} is" if seal.sequence == expected + 1 else f"Seals {expected} to {seal.sequence - 1} are"
            yield f"{gone} gone."
        elif seal.previous != (previous.digest if previous else ""):
            yield f"Seal {seal.sequence} does not follow from the seal before it."
        if not is_signed(audit.what_is_sealed(seal), seal.digest):
            yield f"Seal {seal.sequence} was changed, or was not made by this installation."

    def _broken_list(self, seal, rows):
        """Whether a seal's events are all there, and are those it was made over."""
        found, count, missing = hashlib.sha256(), 0, False
        for pk, signature in rows:
            count += 1
            if signature is None:
                missing = True
                yield f"Event {pk} is gone. It was under seal {seal.sequence}."
            found.update(f"{pk} {signature}\n".encode())
        self.sealed += count
        if count != seal.count:
            yield f"Seal {seal.sequence} was made over {seal.count:,} events, and its list has {count:,}."
        elif not missing and found.hexdigest() != seal.events:
            yield f"Seal {seal.sequence} was made over other events than those of its list."

    def _broken_redactions(self):
        """The redactions of each event, from what it was written with to what it is now."""
        event = Event.objects.filter(pk=OuterRef("event_id")).values("signature")
        erasure = Event.objects.filter(pk=OuterRef("erasure"), type__in=ERASING).values("type")
        rows = Redaction.objects.order_by("event_id", "nth").annotate(now=Subquery(event), erased=Subquery(erasure))
        for _, chain in groupby(rows.iterator(AT_ONCE), key=attrgetter("event_id")):
            yield from _broken_redaction(list(chain))
            self.redacted += 1

    def _missing_redactions(self):
        """Whether there are as many redactions as each erasure's own events say."""
        rows = Redaction.objects.filter(erasure=OuterRef("object_id")).order_by().values("erasure").annotate(n=Count("pk"))
        found, told = {}, {}
        summaries = Event.objects.filter(type=SUMMARY).annotate(found=Subquery(rows.values("n")))
        for erasure, count, there in summaries.values_list("object_id", "data__count", "found").iterator(AT_ONCE):
            found[erasure] = there or 0
            told[erasure] = told.get(erasure, 0) + (count if isinstance(count, int) else 0)
        for erasure, count in told.items():
            if count != found[erasure]:
                yield f"Erasure {erasure} redacted {count:,} events, and {found[erasure]:,} redactions of it are there."
        self.erasures = len(told)
        summary = Event.objects.filter(type=SUMMARY, object_id=OuterRef("erasure"))
        for erasure in (
            Redaction.objects.filter(~Exists(summary)).order_by("erasure").values_list("erasure", flat=True).distinct()
        ):
            yield f"Redactions of erasure {erasure} are there, and no event says how many."

    def _missing_end(self):
        if self.noted and not EventSeal.objects.filter(sequence=self.noted[0], digest=self.noted[1]).exists():
            yield (
                f"Seal {self.noted[0]}, which this machine noted when it was made, is not in the database. Either the end of "
                "the trail was deleted, or an older backup was restored. If you restored one, run ./run verify_audit --restored."
            )


def _broken_redaction(chain):
    """What is wrong with the redactions of one event."""
    pk, before = chain[0].event_id, None
    for nth, row in enumerate(chain, 1):
        if not is_signed(what_is_signed(row), row.signature):
            yield f"{row} was changed, or was not made by this installation."
        if row.nth != nth or (before and row.before != before):
            yield f"Of the redactions of {pk}, one before the {row.nth}. is gone."
        if not row.erased:
            yield f"{row} names an erasure that is not there: {row.erasure}."
        before = row.after
    if chain[-1].now != before:
        yield f"Event {pk} is {'gone' if chain[-1].now is None else 'not as it was redacted'}."


class _Lists:
    """The lists of all seals as one stream of (ID, signature or None), handed out seal by seal."""

    def __init__(self, last):
        signature = Subquery(Event.objects.filter(pk=OuterRef("event_id")).values(was=audit.FIRST_SIGNATURE))
        rows = SealedEvent.objects.filter(seal_id__lte=last).order_by("seal_id", "event_id")
        stream = rows.values_list("seal_id", "event_id", signature).iterator(AT_ONCE)
        self.groups = groupby(stream, key=itemgetter(0))
        self.next = next(self.groups, None)

    def without_seal(self, sequence):
        """A sentence for each list before this seal that was not asked for."""
        while self.next and self.next[0] < sequence:
            yield f"The list of seal {self.next[0]} is there, and the seal is not."
            self.next = next(self.groups, None)

    def of(self, sequence):
        if self.next and self.next[0] == sequence:
            yield from ((pk, signature) for _, pk, signature in self.next[1])
            self.next = next(self.groups, None)
