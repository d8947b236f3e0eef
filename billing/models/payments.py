"""Payments, and what each customer has paid in all."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from billing.models.amounts import money_of, within_bounds
from billing.models.attempts import Attempt
from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField, bare
from dashboard.text import fold, search_text


class PaymentQuerySet(models.QuerySet):
    def for_customer(self, customer):
        return self.filter(customer=customer)

    def paid(self):
        return self.filter(status=Payment.Status.PAID)

    def other_products(self):
        """All but those of billing statements: what the customer page shows at first (R-45)."""
        return self.exclude(product_type=Payment.Product.STATEMENT)

    def recent(self):
        """The five newest, for the customer's panel."""
        return self.order_by("-created_at", "-id")[:5]


class Payment(models.Model):
    """Money that moved, is moving, or did not. Written by billing.domain.payments and by imports alone."""

    class Status(models.TextChoices):
        PENDING = "pending", "Processing"
        AUTHORIZED = "authorized", "Authorised"
        PAID = "paid", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELED = "canceled", "Canceled"
        EXPIRED = "expired", "Expired"

    class Product(models.TextChoices):
        STATEMENT = "billing_statement", "Billing statement"
        REQUEST = "payment_request", "Payment request"
        TERMINAL = "virtual_terminal", "Virtual terminal"
        INVOICE = "subscription_invoice", "Subscription invoice"
        PAGE = "page", "Page"
        SHOPIFY = "shopify", "Shopify"
        API = "api", "API"

    class Method(models.TextChoices):
        CARD = "card", "Card"
        BANK_ACCOUNT = "bank_account", "Bank account"
        CHECKOUT = "checkout", "Wallet account"
        BANK_REDIRECT = "bank_redirect", "Bank redirect"
        BANK_TRANSFER = "bank_transfer", "Bank transfer"
        CASH = "cash", "Cash"
        EWALLET = "ewallet", "E-wallet"
        CREDIT_BALANCE = "credit_balance", "Credit balance"
        ELSEWHERE = "recorded_elsewhere", "Recorded elsewhere"  # imported: how it was paid is not known here

    # Paid and the other ends are final: a late message of the gateway cannot lower them.
    MOVES = {
        Status.PENDING: {Status.AUTHORIZED, Status.PAID, Status.FAILED, Status.CANCELED, Status.EXPIRED},
        Status.AUTHORIZED: {Status.PAID, Status.CANCELED},
        Status.PAID: set(),
        Status.FAILED: set(),
        Status.CANCELED: set(),
        Status.EXPIRED: set(),
    }
    SEARCH_PREFIX = ("sort_name", "billing_email")
    SEARCH_NAME = "sort_name"

    id = PublicIdField("pay")
    livemode = models.BooleanField()
    customer = models.ForeignKey("customers.Customer", models.PROTECT, null=True, related_name="payments", db_index=False)
    product_type = models.CharField(max_length=20, choices=Product)
    request = models.ForeignKey("billing.PaymentRequest", models.PROTECT, null=True, related_name="payments")
    statement = models.ForeignKey("billing.BillingStatement", models.PROTECT, null=True, related_name="payments")
    attempt = models.ForeignKey(Attempt, models.PROTECT, null=True, related_name="payments")
    source = models.ForeignKey(
        "billing.PaymentMethod", models.PROTECT, null=True, related_name="payments", db_index=False
    )  # the stored method it was charged to or saved as
    status = models.CharField(max_length=12, choices=Status, default=Status.PENDING)
    amount = models.BigIntegerField()  # minor units
    fee = models.BigIntegerField(default=0)
    amount_refunded = models.BigIntegerField(default=0)  # what refunds have taken or are taking; billing.domain.refunds writes it
    dispute = models.CharField(max_length=4, blank=True)  # open, won or lost, as the newest of its disputes
    currency = models.CharField(max_length=3)
    method_type = models.CharField(max_length=20, choices=Method)
    method_brand = models.CharField(max_length=20, blank=True)
    method_last4 = models.CharField(max_length=4, blank=True)
    method_bin = models.CharField(max_length=8, blank=True)
    method_holder = models.CharField(max_length=255, blank=True)
    billing_name = models.CharField(max_length=511, blank=True)  # the payer as they were then
    billing_email = ByteOrderedField(max_length=512, blank=True)
    billing_phone = models.CharField(max_length=16, blank=True)
    billing_address = models.JSONField(default=dict, blank=True)
    address_check = models.CharField(max_length=12, default="not_checked")
    description = models.CharField(max_length=500, blank=True)
    merchant_reference_id = models.CharField("your reference", max_length=255, blank=True)
    statement_descriptor = models.CharField(max_length=22, blank=True)
    custom_fields = models.JSONField(default=dict, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    payment_intent_id = models.CharField(max_length=255, blank=True)
    gateway = models.CharField(max_length=20, blank=True)  # empty: recorded elsewhere
    gateway_reference = models.CharField(max_length=255, blank=True)
    failure_code = models.CharField(max_length=64, blank=True)
    failure_message = models.CharField(max_length=500, blank=True)
    form_key = models.CharField(max_length=64, blank=True, editable=False)  # one form makes one payment
    authorized_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    sort_name = ByteOrderedField(max_length=600, editable=False)  # derived: the payer's name, folded
    search = models.TextField(editable=False)  # derived: what the payment is found by

    objects = PaymentQuerySet.as_manager()

    class Meta:
        constraints = [
            *within_bounds("payment", "amount", "fee", "amount_refunded"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(condition=Q(fee__lte=F("amount")), name="payment_fee_within"),
            models.CheckConstraint(condition=Q(amount_refunded__lte=F("amount")), name="payment_refunded_within"),
            models.CheckConstraint(condition=Q(status="paid") | Q(amount_refunded=0), name="payment_refunded_when_paid"),
            models.UniqueConstraint("form_key", condition=~Q(form_key=""), name="payment_form_once"),
            models.CheckConstraint(condition=~Q(status="paid") | Q(paid_at__isnull=False), name="payment_paid_when"),
            models.UniqueConstraint(
                "gateway", "gateway_reference", condition=~Q(gateway_reference=""), name="payment_reference_once"
            ),
        ]
        indexes = [
            models.Index("livemode", F("created_at").desc(), F("id").desc(), name="payment_created"),
            models.Index("livemode", "status", F("created_at").desc(), F("id").desc(), name="payment_status"),
            models.Index("livemode", "product_type", F("created_at").desc(), F("id").desc(), name="payment_product"),
            models.Index("livemode", F("amount").desc(), F("id").desc(), name="payment_amount"),
            models.Index("customer", F("created_at").desc(), F("id").desc(), name="payment_customer"),
            models.Index("livemode", F("paid_at").desc(), "currency", "amount", name="payment_paid", condition=Q(status="paid")),
            models.Index("source", F("id").desc(), name="payment_source", condition=Q(source__isnull=False)),
            models.Index("livemode", "sort_name", "id", name="payment_name"),
            models.Index("sort_name", name="payment_by_name"),
            models.Index("billing_email", name="payment_by_email"),
        ]

    def __str__(self):
        return self.description or f"Payment of {self.amount_money}"

    def get_absolute_url(self):
        return reverse("billing:payment", args=[self.pk])

    def derive(self):
        """Set the derived columns; call before every save. Returns the payment."""
        self.sort_name = fold(self.billing_name)[:600]
        self.search = search_text(
            self.billing_name,
            self.billing_email,
            self.billing_phone,
            self.description,
            self.merchant_reference_id,
            self.payment_intent_id,
            self.gateway_reference,
            self.method_last4,
            bare(self.pk),
            *self.metadata.values(),
            *self.custom_fields.values(),
        )
        return self

    amount_money = money_of("amount")
    fee_money = money_of("fee")
    net_money = money_of("net_amount")

    amount_refunded_money = money_of("amount_refunded")
    refundable_money = money_of("refundable")

    @property
    def refundable(self):
        """Minor units that can still be refunded: refunds under way count as gone."""
        return self.amount - self.amount_refunded if self.status == self.Status.PAID else 0

    @property
    def badge(self):
        """The status in words, with what became of the money since."""
        if self.dispute in ("open", "lost"):
            return "Disputed"
        if self.amount_refunded:
            return "Refunded" if self.amount_refunded == self.amount else "Partly refunded"
        return self.get_status_display()

    @property
    def confirm_url(self):
        """Where its payer confirms a charge of a stored method that the bank asks about; "" when nothing is asked."""
        waits = self.status == self.Status.PENDING and self.attempt and self.attempt.kind == Attempt.Kind.CHARGE
        return self.attempt.url if waits else ""

    @property
    def net_amount(self):
        """Minor units that are the merchant's after the gateway's fee; a refund does not bring the fee back."""
        return self.amount - self.fee

    @property
    def method(self):
        """The method in words: "Visa •••• 4242", "Recorded elsewhere"."""
        if self.method_last4:
            return f"{self.method_brand.capitalize()} •••• {self.method_last4}"
        return self.get_method_type_display()


class CustomerTotal(models.Model):
    """What one customer paid in one currency. billing.domain.payments.collect writes it, check_ledger proves it."""

    id = PublicIdField("ctot")
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="totals", db_index=False)
    currency = models.CharField(max_length=3)
    collected = models.BigIntegerField(default=0)  # minor units
    successful_payments = models.PositiveIntegerField(default=0)
    credit_balance = models.BigIntegerField(default=0)  # minor units

    class Meta:
        ordering = ["currency"]
        constraints = [
            models.UniqueConstraint("customer", "currency", name="total_once"),
            models.CheckConstraint(condition=Q(collected__gte=0, credit_balance__gte=0), name="total_not_negative"),
        ]
        indexes = [models.Index("currency", F("collected").desc(), "customer", name="total_collected")]

    collected_money = money_of("collected")
    credit_balance_money = money_of("credit_balance")

    def __str__(self):
        return str(self.collected_money)
