"""Refunds and disputes: money that goes back, or may have to. Each is a record of its own."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from billing.models.amounts import money_of, within_bounds
from billing.models.payments import Payment
from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField, bare
from dashboard.text import fold, search_text


class RefundQuerySet(models.QuerySet):
    def for_customer(self, customer):
        return self.filter(customer=customer)

    def counted(self):
        """Those that take from what is refundable: a failed one has given it back."""
        return self.exclude(status=Refund.Status.FAILED)


class Refund(models.Model):
    """Money given back from one payment. Written by billing.domain.refunds alone."""

    class Status(models.TextChoices):
        PENDING = "pending", "Processing"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"

    class Reason(models.TextChoices):
        REQUESTED = "requested_by_customer", "Requested by customer"
        FRAUDULENT = "fraudulent", "Fraudulent"
        OUT_OF_STOCK = "product_out_of_stock", "Product out of stock"
        NOT_PROVIDED = "service_not_provided", "Service not provided"
        DAMAGED = "product_was_damaged", "Product was damaged"
        MISALIGNED = "service_misaligned", "Service not as agreed"
        WRONG_PRODUCT = "wrong_product_received", "Wrong product received"
        OTHER = "others", "Other"

    class Destination(models.TextChoices):
        METHOD = "method", "The way it was paid"
        CREDIT = "credit", "The customer's credit balance"

    MOVES = {  # a bank may send a refund back after it succeeded
        Status.PENDING: {Status.SUCCEEDED, Status.FAILED},
        Status.SUCCEEDED: {Status.FAILED},
        Status.FAILED: set(),
    }
    SEARCH_PREFIX = ("sort_name",)
    SEARCH_NAME = "sort_name"

    id = PublicIdField("re")
    livemode = models.BooleanField()
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="refunds")
    customer = models.ForeignKey("customers.Customer", models.PROTECT, null=True, related_name="refunds")
    amount = models.BigIntegerField()  # minor units of the payment's currency
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=24, choices=Reason)
    remarks = models.CharField(max_length=500, blank=True)  # internal
    merchant_reference_id = models.CharField("your reference", max_length=255, blank=True)
    destination = models.CharField(max_length=8, choices=Destination, default=Destination.METHOD)
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=500, blank=True)
    gateway = models.CharField(max_length=20, blank=True)  # empty: given back outside any gateway
    gateway_reference = models.CharField(max_length=255, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    form_key = models.CharField(max_length=64, blank=True, editable=False)  # one form makes one refund
    succeeded_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")  # null: at the gateway
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    sort_name = ByteOrderedField(max_length=600, editable=False)  # derived: the payer's name, folded
    search = models.TextField(editable=False)  # derived: what the refund is found by

    objects = RefundQuerySet.as_manager()

    class Meta:
        constraints = [
            *within_bounds("refund", "amount"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="refund_amount_positive"),
            models.UniqueConstraint("form_key", condition=~Q(form_key=""), name="refund_form_once"),
            models.UniqueConstraint(
                "gateway", "gateway_reference", condition=~Q(gateway_reference=""), name="refund_reference_once"
            ),
        ]
        indexes = [
            models.Index("livemode", F("created_at").desc(), F("id").desc(), name="refund_created"),
            models.Index("livemode", "status", F("created_at").desc(), F("id").desc(), name="refund_status"),
            models.Index("livemode", F("amount").desc(), F("id").desc(), name="refund_amount"),
            models.Index("livemode", "sort_name", "id", name="refund_name"),
            models.Index("sort_name", name="refund_by_name"),
        ]

    def __str__(self):
        return f"Refund of {self.amount_money}"

    def get_absolute_url(self):
        return reverse("billing:refund", args=[self.pk])

    def derive(self):
        """Set the derived columns; call before every save. Returns the refund."""
        payer = self.payment
        self.sort_name = fold(payer.billing_name)[:600]
        self.search = search_text(
            payer.billing_name,
            payer.billing_email,
            payer.description,
            self.merchant_reference_id,
            self.remarks,
            self.gateway_reference,
            bare(self.pk),
            bare(payer.pk),
            *self.metadata.values(),
        )
        return self

    amount_money = money_of("amount")

    @property
    def badge(self):
        return self.get_status_display()


class Dispute(models.Model):
    """A payer's bank wants money back (a chargeback). Written by billing.domain.refunds from what the gateway says."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        WON = "won", "Won"
        LOST = "lost", "Lost"

    MOVES = {Status.OPEN: {Status.WON, Status.LOST}, Status.WON: set(), Status.LOST: set()}

    id = PublicIdField("dp")
    livemode = models.BooleanField()
    payment = models.ForeignKey(Payment, models.PROTECT, related_name="disputes")
    customer = models.ForeignKey("customers.Customer", models.PROTECT, null=True, related_name="+")
    amount = models.BigIntegerField()  # minor units
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=4, choices=Status, default=Status.OPEN)
    gateway = models.CharField(max_length=20)
    gateway_reference = models.CharField(max_length=255)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            *within_bounds("dispute", "amount"),
            models.UniqueConstraint("gateway", "gateway_reference", name="dispute_reference_once"),
        ]

    def __str__(self):
        return f"Dispute of {self.amount_money}"

    amount_money = money_of("amount")
