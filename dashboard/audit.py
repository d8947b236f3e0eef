"""The audit trail proves itself: every event is signed, and signed events are sealed in a chain.

What shows an intrusion, and what does not:

- Each event carries a signature of all its columns (dashboard.signing), made as it is written and without waiting for
  any other writer. A changed event, a copied one, or one put in by hand does not match, whatever moment it claims.
- A signature cannot show that an event is gone. So events are sealed afterwards: a seal counts and digests some events
  and names the seal before it. A missing event, a missing or altered seal, or seals in another order show.
- The newest seals can be deleted together with their events, which leaves a shorter chain that is whole. So the newest
  seal is noted in a file beside the secret key, outside of the database, and `verify_audit` prints its digest for you to
  keep elsewhere.
- Personal data can be taken out of an event, and nothing else be done to it: see dashboard.redaction. Seals are over the
  signatures events were written with, which redactions keep.
- All of this protects from somebody who reaches the database and not the secret key. Somebody with both can write a new
  trail; only a digest kept elsewhere tells then. Events deleted within the few minutes before they are sealed are missed.

Seals wait until events are HORIZON old: an ID holds the moment it was made, and most transactions that were under way at
that moment are over by then (the database ends one that idles for a minute, and one that waits ten seconds for a lock).
Those that are not, such as a long import, are no trouble: an event that turns up late, with an ID among sealed ones, goes
under the next seal. That is why a seal keeps a list of its events and not a range.
"""

import hashlib
import json
import logging
import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from dashboard.models import Event, EventSeal, Redaction, SealedEvent
from dashboard.signing import sign

HORIZON = timedelta(minutes=5)  # younger events may still have company coming
LATE = timedelta(hours=1)  # how far behind the newest seal each minute's work looks for late events; once a day, everywhere
MOST = 5_000  # events under one seal
SEALS_AT_ONCE = 20  # in one go: what is left waits for the next
FIRST_SIGNATURE = Coalesce(  # in a query of events: what each was signed with when it was written, redacted since or not
    Subquery(Redaction.objects.filter(event_id=OuterRef("pk"), nth=1).values("before")), F("signature")
)
log = logging.getLogger(__name__)


# --- sealing ----------------------------------------------------------------------------------------


def seal_events(now=None):
    """Put all events older than HORIZON that have no seal under one; returns how many. Several may do so at once."""
    now = now or timezone.now()
    since, before, count = _where_to_look(now), id_at(now - HORIZON), 0
    for _ in range(SEALS_AT_ONCE):
        seal, since = _seal_some(since, before)
        if not seal:
            break
        count += seal.count
    return count


def _where_to_look(now):
    """The ID from which to look for events without a seal. Late ones are rare: far back they are looked for once a day."""
    newest = EventSeal.objects.last()
    if not newest or cache.add("audit:looked-everywhere", 1, 24 * 3600):
        return ""
    return id_at(_moment_of(newest.through) - LATE)


def unsealed(since="", before=None):
    """The events that have no seal yet, by ID."""
    found = Event.objects.filter(~Exists(SealedEvent.objects.filter(event_id=OuterRef("pk"))), pk__gte=since).order_by("pk")
    return found.filter(pk__lt=before) if before else found


def _seal_some(since, before):
    """(the next seal, the last event under it); (None, since) when there is none to make, or another process makes it.

    The first event is looked for before anything is locked: mostly there is none, and once a day it takes a while.
    """
    first = unsealed(since, before).values_list("pk", flat=True).first()
    if not first:
        return None, since
    try:
        with transaction.atomic():
            last = EventSeal.objects.last()
            rows = list(unsealed(first, before).values_list("pk", FIRST_SIGNATURE)[:MOST])
            seal = _write_seal(last, rows) if rows else None
    except IntegrityError:  # the number is taken: another process is at it
        return None, since
    if seal:
        _note(seal)
    return seal, rows[-1][0] if rows else since


def _write_seal(last, rows):
    seal = EventSeal(
        sequence=last.sequence + 1 if last else 1,
        count=len(rows),
        through=max(last.through if last else "", rows[-1][0]),
        events=digest_of(rows),
        previous=last.digest if last else "",
        sealed_at=timezone.now(),
    )
    seal.digest = sign(what_is_sealed(seal))
    seal.save(force_insert=True)
    SealedEvent.objects.bulk_create([SealedEvent(event_id=pk, seal=seal) for pk, _ in rows])
    return seal


def digest_of(rows):
    """SHA-256 of (ID, signature) pairs."""
    found = hashlib.sha256()
    for pk, signature in rows:
        found.update(f"{pk} {signature}\n".encode())
    return found.hexdigest()


def what_is_sealed(seal):
    """The bytes a seal's digest signs."""
    at = seal.sealed_at.timestamp()
    return f"seal {seal.sequence} {seal.count} {seal.through} {seal.events} {seal.previous} {at:.6f}".encode()


def id_at(moment):
    """The first ID of a moment."""
    return f"evt_{max(0, int(moment.timestamp() * 1000)):012x}{'0' * 12}"


def _moment_of(event_id):
    return datetime.fromtimestamp(int(event_id.removeprefix("evt_")[:12], 16) / 1000, tz=UTC)


# --- the note beside the secret key -------------------------------------------------------------------


def note_path():
    """The file of this machine about this database: somebody who has only the database cannot change it."""
    about = connection.settings_dict
    name = "\n".join(str(about[k]) for k in ("HOST", "PORT", "NAME"))
    return Path(settings.DATA_DIR) / f"audit-{hashlib.sha256(f'{connection.vendor}\n{name}'.encode()).hexdigest()[:12]}.json"


def read_note():
    """(sequence, digest) of the newest seal this machine has noted; None when it has noted none."""
    try:
        said = json.loads(note_path().read_text())
        return int(said["seal"]), str(said["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _note(seal):
    """Note a seal. A note that the chain does not bear out any more stays: verify_audit tells of it until somebody looks."""
    noted = read_note()
    if noted and not EventSeal.objects.filter(sequence=noted[0], digest=noted[1]).exists():
        log.error("Seal %s, which this machine noted, is not in the database any more. Run ./run verify_audit.", noted[0])
        return
    write_note(seal)


def write_note(seal):
    """Note a seal, whole or not at all; without one, forget what was noted. A folder that cannot be written is logged."""
    path = note_path()
    try:
        if seal is None:
            return path.unlink(missing_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent)
        with open(handle, "w") as file:
            json.dump({"seal": seal.sequence, "digest": seal.digest, "sealed_at": seal.sealed_at.isoformat()}, file)
        os.replace(draft, path)
    except OSError as error:
        log.error("The newest seal of the audit trail could not be noted in %s: %s.", path, error.strerror)
