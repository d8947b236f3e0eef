"""Erasing a customer: everything personal goes, now; what the law keeps goes when its time is over.

What is kept is taken out of the documents' own rows as well, into KeptRecords, so that no list, search, export, API answer
or page shows it; admins read it on a page of its own. Amounts, numbers, dates and links between records stay where they
are: ledger, totals and statistics are what they were.
"""

from dataclasses import dataclass, field
from datetime import date

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from customers.models import Customer, KeptRecord
from customers.privacy import traces
from customers.privacy.redaction import left_to_redact, redact
from customers.privacy.registry import Derived, Kept, Obstacle, Removed, ask, holdings, person
from dashboard import events
from dashboard.states import DomainError

BATCH = 500
ERASED, SCRUBBED = "customer.erased", "customer.scrubbed"  # events
LOG = "dashboard.Event"


class Why(models.TextChoices):
    """Reasons to erase: words of ours, because what somebody typed here would be kept for ever."""

    ASKED = "asked", "They asked for it"
    OVER = "no_longer_needed", "The data is no longer needed"
    WITHDRAWN = "consent_withdrawn", "They withdrew their consent, or objected"
    UNLAWFUL = "unlawful", "It should not have been stored"


@dataclass
class Report:
    """What erasing a customer would do. Counts of rows by what they are, in words."""

    obstacles: list[Obstacle] = field(default_factory=list)
    removed: list[tuple] = field(default_factory=list)  # (words, count)
    kept: list[tuple] = field(default_factory=list)  # (words, count, the last day)


def report_on(customer):
    """What erasing this customer would do. Changes nothing."""
    who, found = person(customer), Report(obstacles=obstacles(customer))
    for holding in holdings():
        count = _count(holding, who)
        if count and holding.of(Kept):
            found.kept.append((holding.words, count, _last_day(holding, who)))
        elif count:
            found.removed.append((holding.words, count))
    return found


def _count(holding, who):
    if holding.model == LOG:
        return left_to_redact(who)
    return holding.rows(who).count() if holding.words and holding.rows else 0


def _last_day(holding, who):
    return max(kept_until(holding, row) for row in holding.rows(who).iterator(chunk_size=BATCH))


def obstacles(customer):
    """Why it cannot be erased yet; none for a customer who was erased already."""
    return [] if customer.erased else list(ask("obstacles", customer))


def erase_customer(customer, *, why, by):
    """Take everything personal out for good; then ask payment companies to forget stored methods.

    why: a value of Why. Returns (customer, [sentences about what may still be stored elsewhere]). May be done again, which
    takes leftovers. Raises DomainError while money is open, and when nothing is left. Not to be called inside a transaction.
    """
    traces.overwrite_deleted()
    erased = _erase(customer, Why(why), by)
    traces.tidy()
    return erased, list(ask("afterwards", erased))


@transaction.atomic
def _erase(customer, why, by):
    current = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    if found := next(iter(obstacles(current)), None):
        raise DomainError(f"{found.sentence} Nothing was erased.")
    again, who = current.erased, person(current)
    counts = {"drafts": len(list(ask("before_erasing", current, by)))}
    counts |= {_noun(holding): erase_rows(holding, who) for holding in holdings()}
    counts[_noun_of(LOG)] = left_to_redact(who)
    counts = {noun: count for noun, count in counts.items() if count}
    elsewhere = again and list(ask("left_elsewhere", current))
    if again and not counts and not elsewhere:
        raise DomainError("Nothing personal is left of this customer. Nothing was changed.")
    current.refresh_from_db()
    erasure = events.record(ERASED, current, by=by, reason=why.value, counts=counts)
    redact(who, erasure)
    return current


def _noun(holding):
    return _noun_of(holding.model)


def _noun_of(label):
    """ "customers.KeptRecord" as an event's data calls it: "keptrecord"."""
    return label.partition(".")[2].lower()


# --- one table -------------------------------------------------------------------------------------------------------
def erase_rows(holding, who):
    """Erase what one table holds of a person; returns how many rows were changed or deleted."""
    if holding.erase:
        return holding.erase(who)
    if holding.rows is None or holding.model == LOG:
        return 0
    if holding.delete:
        return holding.rows(who).delete()[0]
    return sum(_replace(holding, who, batch) for batch in _batches(holding.rows(who)))


def _batches(rows):
    """Lists of rows by key: a row that is erased may not be among the rows any more."""
    rows = left = rows.order_by("pk")
    while batch := list(left[:BATCH]):
        yield batch
        left = rows.filter(pk__gt=batch[-1].pk)


def _replace(holding, who, batch):
    names = [*holding.of(Removed), *holding.of(Derived), *holding.extra]
    found = [(row, before) for row in batch if (before := _replaced(holding, who, row, names)) is not None]
    _keep(holding, who, found)
    if found and names:
        holding.table._default_manager.bulk_update([row for row, _ in found], names, batch_size=100)
    return len(found)


def _replaced(holding, who, row, names):
    """Replace the columns of a row; what stood there before, or None when all was as it should be."""
    before = {name: getattr(row, name) for name in names}
    for name, fate in holding.of(Removed).items():
        setattr(row, name, fate.value(row) if callable(fate.value) else fate.value)
    if holding.settle:
        holding.settle(row, who)
    return before if any(getattr(row, name) != was for name, was in before.items()) else None


# --- what the law keeps ------------------------------------------------------------------------------------------------
def _keep(holding, who, found):
    """Put the kept columns of documents into KeptRecords; of one that was kept before, only what is new."""
    columns = holding.of(Kept)
    if not columns:
        return
    there = {k.object_id: k for k in _kept(who.customer).filter(object_id__in=[row.pk for row, _ in found])}
    for row, before in found:
        values = {name: before[name] for name in columns if before[name] and before[name] != getattr(row, name)}
        if values and (old := there.get(row.pk)):
            KeptRecord.objects.filter(pk=old.pk).update(values=values | old.values)
        elif values:
            KeptRecord.objects.create(
                livemode=who.customer.livemode,
                customer=who.customer,
                object_type=holding.table._meta.label_lower,
                object_id=row.pk,
                values=values,
                kept_until=kept_until(holding, row),
            )


def kept_until(holding, row):
    """The last day a document's personal columns are kept: the end of the year RETENTION_YEARS after its own."""
    return date(holding.dated(row).astimezone(settings.ZONE).year + settings.RETENTION_YEARS, 12, 31)


def _kept(customer):
    return KeptRecord.objects.filter(customer=customer)


def as_it_was(*rows):
    """Rows of one table, of a document of an erased customer, with what is kept put back to be read; not to be saved."""
    label = rows[0]._meta.label_lower if rows else ""
    there = KeptRecord.objects.filter(object_type=label, object_id__in=[row.pk for row in rows])
    values = dict(there.values_list("object_id", "values"))
    for row in rows:
        for name, value in values.get(row.pk, {}).items():
            setattr(row, name, value)
    return rows


def kept_overdue(now=None):
    """Erased customers of whom something is kept whose time is over."""
    today = timezone.localdate(now)
    return Customer.objects.filter(pk__in=KeptRecord.objects.filter(kept_until__lt=today).values("customer"))


@transaction.atomic
def scrub_kept(customer, *, by, now=None):
    """Delete what was kept of an erased customer and need not be kept any more; amounts and numbers stay. Returns how many
    documents lost their names; an event says so, unless there were none."""
    count = _kept(customer).filter(kept_until__lt=timezone.localdate(now)).delete()[0]
    if count:
        events.record(SCRUBBED, customer, by=by, count=count)
    return count
