"""The sandbox's own tables: the remote world. They hold no link to ours; the gateway's answers are all we see."""

from django.db import models
from django.utils import timezone

from dashboard.ids import PublicIdField


class SandboxCheckout(models.Model):
    """A checkout page at the sandbox. `version` counts its submits: only one at a time gets through."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        COMPLETE = "complete", "Complete"
        EXPIRED = "expired", "Expired"
        CANCELED = "canceled", "Canceled"

    id = PublicIdField("sbcs")
    reference = models.CharField(max_length=40)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    description = models.CharField(max_length=500, blank=True)
    return_url = models.CharField(max_length=500)  # names our attempt; the payer's secret link is in no table
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    version = models.PositiveIntegerField(default=0)
    faulted = models.BooleanField(default=False)  # the odd amount's fault has happened: it happens once
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(amount__gt=0), name="sandbox_checkout_amount")]

    def __str__(self):
        return self.pk


class SandboxCharge(models.Model):
    """One charge tried on a checkout. At most one of a checkout's charges succeeds. No card number is kept."""

    id = PublicIdField("sbch")
    checkout = models.ForeignKey(SandboxCheckout, models.PROTECT, related_name="charges")
    succeeded = models.BooleanField()
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    brand = models.CharField(max_length=12)
    last4 = models.CharField(max_length=4)
    funding = models.CharField(max_length=8)
    failure_code = models.CharField(max_length=32, blank=True)
    failure_message = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint("checkout", condition=models.Q(succeeded=True), name="sandbox_charge_once"),
        ]

    def __str__(self):
        return self.pk


class SandboxRequestLog(models.Model):
    """Every call that carries a key: what was asked, what was answered, how often it came."""

    key = models.CharField(max_length=80, unique=True)
    operation = models.CharField(max_length=20)
    body_hash = models.CharField(max_length=64)
    response = models.JSONField(null=True)  # empty while a fault has kept it from running
    calls = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self):
        return f"{self.operation} {self.key}"
