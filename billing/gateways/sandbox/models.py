"""The sandbox's own tables: the remote world. They hold no link to ours; the gateway's answers are all we see.

No table holds a card number: of a card only what a receipt shows is kept, and its `trait`, which says what it does.
"""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.gateways.sandbox.cards import failure_of_saved
from dashboard.ids import PublicIdField


class CardColumns(models.Model):
    """What is known of a payment method."""

    type = models.CharField(max_length=20, default="card")  # card or bank_account
    brand = models.CharField(max_length=12)
    last4 = models.CharField(max_length=4)
    funding = models.CharField(max_length=8, blank=True)
    bin = models.CharField(max_length=8, blank=True)
    fingerprint = models.CharField(max_length=32, blank=True)  # the same for the same card, and tells nothing of it
    trait = models.CharField(max_length=20, blank=True)  # a cards.Trait

    class Meta:
        abstract = True


class SandboxCustomer(models.Model):
    """One of our customers, as the sandbox knows it."""

    id = PublicIdField("sbcu")
    reference = models.CharField(max_length=40, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self):
        return self.pk


class SandboxMethod(CardColumns):
    """A method saved for a customer, or for one charge of a test card. Its id is the token that charges it."""

    id = PublicIdField("sbpm")
    customer = models.ForeignKey(SandboxCustomer, models.PROTECT, null=True, related_name="methods")  # null: of a payer not named
    detached_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    @property
    def failure(self):
        """Why every charge of it fails; "" when they do not. A page saves no such card, a test card is charged all the same."""
        return failure_of_saved(self.fingerprint)

    def __str__(self):
        return self.pk


class SandboxCheckout(models.Model):
    """A checkout page at the sandbox. `version` counts its submits: only one at a time gets through."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        COMPLETE = "complete", "Complete"
        EXPIRED = "expired", "Expired"
        CANCELED = "canceled", "Canceled"

    class Mode(models.TextChoices):
        PAY = "pay", "Pay"
        SAVE_CARD = "save_card", "Save a card"

    id = PublicIdField("sbcs")
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.PAY)
    reference = models.CharField(max_length=40)
    amount = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    description = models.CharField(max_length=500, blank=True)
    method_types = models.JSONField(default=list)
    return_url = models.CharField(max_length=500)  # names our attempt; the payer's secret link is in no table
    customer = models.ForeignKey(SandboxCustomer, models.PROTECT, null=True, related_name="checkouts")
    save_card = models.BooleanField(default=False)
    capture = models.BooleanField(default=True)
    status = models.CharField(max_length=8, choices=Status, default=Status.OPEN)
    version = models.PositiveIntegerField(default=0)
    faulted = models.BooleanField(default=False)  # the odd amount's fault has happened: it happens once
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0) | Q(mode="save_card", amount=0), name="sandbox_checkout_amount"),
        ]
        indexes = [models.Index("expires_at", name="sandbox_checkout_open", condition=Q(status="open"))]

    def __str__(self):
        return self.pk


class SandboxCharge(CardColumns):
    """One charge tried on a checkout or on a saved method. At most one of a checkout's charges is under way or made.

    One of amount 0 is the check of a card that is only saved.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        ACTION = "requires_action", "Waits for the payer"
        AUTHORIZED = "authorized", "Authorised"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELED = "canceled", "Canceled"

    GOOD = (Status.PENDING, Status.AUTHORIZED, Status.SUCCEEDED)

    id = PublicIdField("sbch")
    checkout = models.ForeignKey(SandboxCheckout, models.PROTECT, null=True, related_name="charges")
    method = models.ForeignKey(SandboxMethod, models.PROTECT, null=True, related_name="charges")  # saved, or to be charged
    reference = models.CharField(max_length=40)
    status = models.CharField(max_length=15, choices=Status)
    amount = models.BigIntegerField()
    captured = models.BigIntegerField(default=0)
    refunded = models.BigIntegerField(default=0)  # by refunds that have not failed
    currency = models.CharField(max_length=3)
    capture = models.BooleanField(default=True)
    failure_code = models.CharField(max_length=32, blank=True)
    failure_message = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "checkout",
                condition=Q(status__in=["pending", "requires_action", "authorized", "succeeded"]),
                name="sandbox_charge_once",
            ),
            models.CheckConstraint(
                condition=Q(refunded__gte=0, refunded__lte=F("captured"), captured__lte=F("amount")), name="sandbox_charge_sums"
            ),
        ]
        indexes = [
            models.Index("id", name="sandbox_charge_pending", condition=Q(status="pending")),
            models.Index("id", name="sandbox_charge_disputed", condition=Q(trait="disputed")),
        ]

    def __str__(self):
        return self.pk


class SandboxRefund(models.Model):
    """Money given back from a charge."""

    class Status(models.TextChoices):
        PENDING = "pending", "Pending"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    id = PublicIdField("sbre")
    charge = models.ForeignKey(SandboxCharge, models.PROTECT, related_name="refunds")
    reference = models.CharField(max_length=40)
    amount = models.BigIntegerField()
    status = models.CharField(max_length=9, choices=Status)
    failure_code = models.CharField(max_length=32, blank=True)
    failure_message = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="sandbox_refund_amount")]
        indexes = [models.Index("id", name="sandbox_refund_pending", condition=Q(status="pending"))]

    def __str__(self):
        return self.pk


class SandboxDispute(models.Model):
    """The payer's bank wants a charge back. One a charge."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        WON = "won", "Won"
        LOST = "lost", "Lost"

    id = PublicIdField("sbdp")
    charge = models.OneToOneField(SandboxCharge, models.PROTECT, related_name="dispute")
    amount = models.BigIntegerField()
    reason = models.CharField(max_length=32, default="fraudulent")
    status = models.CharField(max_length=4, choices=Status, default=Status.OPEN)
    opened_at = models.DateTimeField(default=timezone.now, editable=False)

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


class SandboxDelivery(models.Model):
    """A message to us that something happened. Its id is the event's; `due_at` is empty when it need not be sent any more."""

    id = PublicIdField("sbev")
    type = models.CharField(max_length=64)
    remote_id = models.CharField(max_length=40)  # of the object it is about
    body = models.TextField()
    due_at = models.DateTimeField(null=True)
    lost = models.BooleanField(default=False)  # the amount asked for it: it is never sent by itself
    copies = models.PositiveIntegerField(default=1)  # how often it is to arrive
    arrived = models.PositiveIntegerField(default=0)  # how often it was answered with 200
    times = models.PositiveIntegerField(default=0)  # how often it was sent
    answer = models.PositiveIntegerField(null=True)  # the last answer's status
    sent_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "sandbox deliveries"
        indexes = [
            models.Index("due_at", name="sandbox_delivery_due", condition=Q(due_at__isnull=False)),
            models.Index("remote_id", name="sandbox_delivery_object"),
        ]

    def __str__(self):
        return f"{self.type} {self.pk}"
