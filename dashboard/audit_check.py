"""Checking the audit trail: see dashboard.audit for what it shows and what it cannot show.

One pass over the events and one over the seals, each a stream: memory does not grow with the trail, and nobody who
writes meanwhile is kept waiting.
"""

import hashlib
from datetime import timedelta
from itertools import groupby
from operator import itemgetter

from django.db import connection
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from dashboard import append_only, audit
from dashboard.models import Event, EventSeal, SealedEvent
from dashboard.signing import COLUMNS, content, is_signed

TABLES = [model._meta.db_table for model in (Event, EventSeal, SealedEvent)]
AT_ONCE = 2000  # rows a stream holds
BEHIND = timedelta(hours=1)  # events this old have their seal, where a worker runs


class Check:
    """Goes through the whole trail: `faults()` yields a sentence for each thing wrong, the rest is counted on the way.

    noted: whether to compare with the newest seal this machine has noted. Leave it out for a copy, such as a backup.
    """

    def __init__(self, *, noted=True):
        self.noted = audit.read_note() if noted else None
        self.newest = EventSeal.objects.last()
        self.events = self.sealed = self.seals = 0

    def faults(self):
        """Sentences, one for each fault; none when the trail is whole."""
        yield from self._open_tables()
        yield from self._foreign_events()
        yield from self._broken_seals()
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

    def _missing_end(self):
        if self.noted and not EventSeal.objects.filter(sequence=self.noted[0], digest=self.noted[1]).exists():
            yield (
                f"Seal {self.noted[0]}, which this machine noted when it was made, is not in the database. Either the end of "
                "the trail was deleted, or an older backup was restored. If you restored one, run ./run verify_audit --restored."
            )


class _Lists:
    """The lists of all seals as one stream of (ID, signature or None), handed out seal by seal."""

    def __init__(self, last):
        signature = Subquery(Event.objects.filter(pk=OuterRef("event_id")).values("signature"))
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
