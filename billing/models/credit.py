"""The credit balance of a customer, entry by entry."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from billing.models.amounts import money_of
from dashboard.ids import PublicIdField


class BalanceEntry(models.Model):
    """One change of a customer's credit in one currency. Never altered: their sum is the balance (I6)."""

    class Kind(models.TextChoices):
        ADJUSTMENT = "adjustment", "Adjustment"
        APPLIED = "applied", "Applied to a statement"
        RELEASED = "released", "Returned from a statement"
        REFUND = "refund_to_credit", "Refund"
        OVERPAID = "overpaid", "Paid beyond what was due"

    id = PublicIdField("bal")
    livemode = models.BooleanField()
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="balance_entries", db_index=False)
    currency = models.CharField(max_length=3)
    amount = models.BigIntegerField()  # minor units, signed: above zero is credit the customer gains
    kind = models.CharField(max_length=16, choices=Kind)
    reason = models.CharField(max_length=500, blank=True)
    statement = models.ForeignKey("billing.BillingStatement", models.PROTECT, null=True, related_name="balance_entries")
    payment = models.ForeignKey("billing.Payment", models.PROTECT, null=True, related_name="balance_entries")
    refund = models.ForeignKey("billing.Refund", models.PROTECT, null=True, related_name="balance_entries")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "balance entries"
        constraints = [models.CheckConstraint(condition=~Q(amount=0), name="balance_entry_moves")]
        indexes = [models.Index("customer", "currency", F("id").desc(), name="balance_customer")]

    def __str__(self):
        return f"{self.get_kind_display()}: {self.amount_money}"

    amount_money = money_of("amount")
