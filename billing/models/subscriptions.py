"""Subscriptions: an amount billed again and again. Each period's invoice is a billing statement."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from billing.models.amounts import money_of, within_bounds
from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField, bare
from dashboard.text import fold, search_text


class SubscriptionQuerySet(models.QuerySet):
    def for_customer(self, customer):
        return self.filter(customer=customer)

    def live(self):
        """Those that bill, or will again when resumed."""
        return self.exclude(status=Subscription.Status.CANCELED)

    def billing(self):
        """Those whose periods are billed: active, or with an invoice that was not paid."""
        return self.filter(status__in=Subscription.BILLING)


class Subscription(models.Model):
    """Bills `quantity` × `amount` at the start of every period, from `started_on`. billing.domain.subscriptions writes it.

    Periods are whole days where the dashboard is (TIME_ZONE). Period n begins n intervals after `started_on`, on the
    same day of the month or the month's last; it is counted from the start, so a short month shifts no later one.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        PAST_DUE = "past_due", "Past due"
        PAUSED = "paused", "Paused"
        CANCELED = "canceled", "Canceled"

    class Interval(models.TextChoices):
        DAY = "day", "Day"
        WEEK = "week", "Week"
        MONTH = "month", "Month"
        YEAR = "year", "Year"

    class Billing(models.TextChoices):
        AUTOMATIC = "pay_automatically", "Charge the payment method"
        INVOICE = "send_invoice", "Send an invoice"

    MOVES = {
        Status.ACTIVE: {Status.PAST_DUE, Status.PAUSED, Status.CANCELED},
        Status.PAST_DUE: {Status.ACTIVE, Status.PAUSED, Status.CANCELED},
        Status.PAUSED: {Status.ACTIVE, Status.CANCELED},
        Status.CANCELED: set(),
    }
    BILLING = (Status.ACTIVE, Status.PAST_DUE)
    SEARCH_PREFIX = ("sort_name",)
    SEARCH_NAME = "sort_name"

    id = PublicIdField("sub")
    livemode = models.BooleanField()
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="subscriptions", db_index=False)
    name = models.CharField(max_length=255)  # what it is for: each invoice's line
    status = models.CharField(max_length=8, choices=Status, default=Status.ACTIVE)
    amount = models.BigIntegerField()  # minor units, of one
    quantity = models.PositiveIntegerField(default=1)
    currency = models.CharField(max_length=3)
    interval = models.CharField(max_length=5, choices=Interval, default=Interval.MONTH)
    interval_count = models.PositiveSmallIntegerField(default=1)
    billing = models.CharField(max_length=17, choices=Billing, default=Billing.AUTOMATIC)
    days_until_due = models.PositiveSmallIntegerField(default=14)  # of a sent invoice
    method = models.ForeignKey(
        "billing.PaymentMethod", models.PROTECT, null=True, related_name="subscriptions"
    )  # null: the default
    coupon = models.ForeignKey("billing.Coupon", models.PROTECT, null=True, related_name="subscriptions")
    discount_ends_on = models.DateField(null=True, blank=True)  # periods that begin from then on get no discount; null: all do
    started_on = models.DateField()
    next_period = models.PositiveIntegerField(default=0)  # the number of the period to be billed next
    next_invoice_on = models.DateField(null=True)  # its first day; null when nothing will be billed any more
    current_period_start = models.DateField(null=True, blank=True)  # of the newest period billed
    current_period_end = models.DateField(null=True, blank=True)  # the day after its last
    cancel_at_period_end = models.BooleanField(default=False)
    problem = models.CharField(max_length=500, blank=True)  # why the last invoice could not be issued; empty when it was
    metadata = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)
    form_key = models.CharField(max_length=64, blank=True, editable=False)  # one form makes one subscription
    paused_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    sort_name = ByteOrderedField(max_length=600, editable=False)  # derived: the customer's name, folded
    search = models.TextField(editable=False)  # derived: what the subscription is found by

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        constraints = [
            *within_bounds("subscription", "amount"),
            models.CheckConstraint(condition=Q(quantity__gte=1, interval_count__gte=1), name="subscription_counts"),
            models.CheckConstraint(condition=~Q(name=""), name="subscription_named"),
            models.UniqueConstraint("form_key", condition=~Q(form_key=""), name="subscription_form_once"),
        ]
        indexes = [
            models.Index("livemode", F("created_at").desc(), F("id").desc(), name="subscription_created"),
            models.Index("livemode", "status", F("created_at").desc(), F("id").desc(), name="subscription_status"),
            models.Index("livemode", "sort_name", "id", name="subscription_name"),
            models.Index("livemode", "next_invoice_on", "id", name="subscription_next"),
            models.Index("customer", F("created_at").desc(), F("id").desc(), name="subscription_customer"),
            models.Index("next_invoice_on", name="subscription_due", condition=Q(status__in=["active", "past_due"])),
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("billing:subscription", args=[self.pk])

    def derive(self):
        """Set the derived columns; call before every save. Returns the subscription."""
        self.sort_name = fold(self.customer.name)[:600]
        self.search = search_text(self.name, self.customer.name, self.customer.email, bare(self.pk), *self.metadata.values())
        return self

    amount_money = money_of("amount")
    period_money = money_of("period_amount")

    @property
    def period_amount(self):
        """Minor units of one period, before any discount."""
        return self.quantity * self.amount

    @property
    def every(self):
        """ "every month", "every 3 weeks"."""
        unit = self.get_interval_display().lower()
        return f"every {unit}" if self.interval_count == 1 else f"every {self.interval_count} {unit}s"
