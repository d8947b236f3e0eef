"""What gateways tell us, kept as it came: the inbox staff can read and replay."""

from django.db import models
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from dashboard.ids import PublicIdField


class WebhookDelivery(models.Model):
    """One event of a gateway whose signature was good. Written by billing.domain.webhooks alone.

    A repeated event finds its row: the id the gateway gave it is there once. The body is only a trigger; what we
    believe is what the gateway answers when it is asked.
    """

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        PROCESSED = "processed", "Processed"
        IGNORED = "ignored", "Not ours"  # of another type, or about nothing of ours
        PARKED = "parked", "Waiting"  # about something of ours that is not there yet
        FAILED = "failed", "Failed"

    OPEN = (State.RECEIVED, State.PARKED, State.FAILED)  # those a later look may still settle

    id = PublicIdField("whd")
    gateway = models.CharField(max_length=20)
    livemode = models.BooleanField()
    event_id = models.CharField(max_length=255)
    type = models.CharField(max_length=64)
    object_kind = models.CharField(max_length=16, blank=True)  # a gateways.base.Kind
    remote_id = models.CharField(max_length=255, blank=True)
    body = models.TextField()
    state = models.CharField(max_length=10, choices=State, default=State.RECEIVED)
    deliveries = models.PositiveIntegerField(default=1)  # how often it came
    tries = models.PositiveIntegerField(default=0)  # how often it was worked on
    error = models.CharField(max_length=500, blank=True)
    received_at = models.DateTimeField(default=timezone.now, editable=False)
    touched_at = models.DateTimeField(default=timezone.now, editable=False)
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints = [models.UniqueConstraint("gateway", "event_id", name="delivery_once")]
        indexes = [
            models.Index("livemode", F("received_at").desc(), F("id").desc(), name="delivery_received"),
            models.Index("livemode", "state", F("received_at").desc(), F("id").desc(), name="delivery_state"),
            models.Index("touched_at", name="delivery_open", condition=models.Q(state__in=["received", "parked", "failed"])),
        ]

    def __str__(self):
        return f"{self.type} {self.event_id}"

    def get_absolute_url(self):
        return reverse("billing:delivery", args=[self.pk])
