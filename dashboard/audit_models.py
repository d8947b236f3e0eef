"""Seals over the events, and redactions of them: written by dashboard.audit and dashboard.redaction, never altered."""

from django.db import models
from django.utils import timezone

from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField


class EventSeal(models.Model):
    """One seal over some events: so many, these, after that seal. Append-only."""

    sequence = models.PositiveIntegerField(primary_key=True)  # 1, 2, 3 … without a gap
    count = models.PositiveIntegerField()
    through = ByteOrderedField(max_length=29)  # when it was made, all events known up to this ID had their seal
    events = models.CharField(max_length=64)  # SHA-256 of the IDs and signatures of its events, in the order of the IDs
    previous = models.CharField(max_length=32, blank=True)  # the digest of the seal before it
    digest = models.CharField(max_length=32)  # signs all of the above
    sealed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["sequence"]
        get_latest_by = "sequence"

    def __str__(self):
        return f"Seal {self.sequence}"


class SealedEvent(models.Model):
    """Which seal an event is under. No foreign key to it: this row is to stand when the event is gone. Append-only."""

    event_id = ByteOrderedField(max_length=29, primary_key=True)
    seal = models.ForeignKey(EventSeal, models.PROTECT, related_name="+", db_index=False, db_constraint=False)

    def __str__(self):
        return self.event_id


class Redaction(models.Model):
    """Personal data was taken out of an event: it had that signature before and this one after. Append-only.

    An event may be redacted again (nth 2, 3 …). The seals stay over the signature it was written with: nth 1's `before`.
    """

    id = PublicIdField("rdc")
    event_id = ByteOrderedField("event", max_length=29)  # no foreign keys here: this row is to stand when an event is gone
    nth = models.PositiveSmallIntegerField()
    before = models.CharField(max_length=32)
    after = models.CharField(max_length=32)
    erasure = ByteOrderedField(max_length=29, db_index=True)  # the event that says who erased, and when
    signature = models.CharField(max_length=32)  # of all of the above

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event_id", "nth"], name="redaction_nth")]

    def __str__(self):
        return f"Redaction {self.nth} of {self.event_id}"
