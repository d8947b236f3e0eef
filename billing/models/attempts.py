"""Attempts: what we set out to do at a gateway, written down before we do it."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.models.amounts import money_of
from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField


class AttemptQuerySet(models.QuerySet):
    def open(self):
        return self.filter(state__in=Attempt.OPEN)

    def for_target(self, target, kind):
        return self.filter(target_id=target.pk, kind=kind)

    def unknown(self):
        """Those nobody knows the outcome of yet: what the page of payments being checked lists."""
        return self.filter(state=Attempt.State.UNKNOWN)

    def overdue(self, before):
        """Open ones nobody has worked on since `before`: what reconcile takes up."""
        return self.open().filter(touched_at__lt=before)


class Attempt(models.Model):
    """One intention at a gateway. Its id is the idempotency key, so whoever sends it again causes nothing twice.

    new: written, not sent. sent: sent, or its checkout page is open. done: it had its effect, which is applied.
    failed: it certainly has none. unknown: nobody knows yet; never to be read as failed.
    """

    class Kind(models.TextChoices):
        CHECKOUT = "checkout", "Checkout"  # of a payment request, a statement, or a link that saves a card (amount 0)
        CHARGE = "charge", "Charge"  # of a payment, with a saved method
        CAPTURE = "capture", "Capture"  # of an authorised payment
        RELEASE = "release", "Release"  # of an authorised payment
        REFUND = "refund", "Refund"  # of a refund

    class State(models.TextChoices):
        NEW = "new", "New"
        SENT = "sent", "Sent"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown"

    OPEN = (State.NEW, State.SENT, State.UNKNOWN)

    id = PublicIdField("att")
    livemode = models.BooleanField()
    kind = models.CharField(max_length=12, choices=Kind)
    customer = models.ForeignKey("customers.Customer", models.PROTECT, null=True, related_name="+")
    target_id = ByteOrderedField(max_length=40)  # the payment request, statement, payment or refund it is for
    gateway = models.CharField(max_length=20)
    amount = models.BigIntegerField()  # minor units
    currency = models.CharField(max_length=3)
    request = models.JSONField()  # the call's body, as it was and will be sent
    request_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=State, default=State.NEW)
    remote_id = models.CharField(max_length=255, blank=True)
    url = models.CharField(max_length=2000, blank=True)  # where the payer goes on
    error = models.CharField(max_length=500, blank=True)
    tries = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    touched_at = models.DateTimeField(default=timezone.now, editable=False)  # when someone last worked on it
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "target_id", "kind", condition=Q(state__in=["new", "sent", "unknown"]), name="attempt_one_open"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0) | Q(kind="checkout", amount=0), name="attempt_amount"),
        ]
        indexes = [
            models.Index("target_id", F("id").desc(), name="attempt_target"),
            models.Index("livemode", "state", F("id").desc(), name="attempt_state"),
            models.Index("touched_at", name="attempt_open", condition=Q(state__in=["new", "sent", "unknown"])),
            models.Index("gateway", "remote_id", name="attempt_remote", condition=~Q(remote_id="")),
        ]

    def __str__(self):
        return self.pk

    amount_money = money_of("amount")

    @property
    def is_open(self):
        return self.state in self.OPEN
