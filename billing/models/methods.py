"""Payment methods a customer has on file. What is kept of a card is what may be shown; the number never comes here."""

import secrets
import string
from datetime import date, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from dashboard.ids import PublicIdField

ALPHABET = string.ascii_letters + string.digits
SOON = 60  # days before its last day from which a card is said to expire soon


def new_vault_token():
    """32 letters and digits that stand for a method in our vault (R-37): random, so they tell nothing of it."""
    return "".join(secrets.choice(ALPHABET) for _ in range(32))


class PaymentMethodQuerySet(models.QuerySet):
    def active(self):
        return self.filter(status=PaymentMethod.Status.ACTIVE)

    def for_customer(self, customer):
        return self.filter(customer=customer)

    def expired(self):
        """Cards past their last day."""
        day = timezone.localdate()
        return self.filter(Q(expire_year__lt=day.year) | Q(expire_year=day.year, expire_month__lt=day.month))

    def expiring(self):
        """Cards that can still be charged, for less than SOON days: as the badge of one says."""
        first, months = timezone.localdate().replace(day=1), []
        while (first + timedelta(days=32)).replace(day=1) - timezone.localdate() <= timedelta(days=SOON):
            months.append(Q(expire_year=first.year, expire_month=first.month))
            first = (first + timedelta(days=32)).replace(day=1)
        return self.filter(Q(*months, _connector=Q.OR)) if months else self.none()

    def shown_first(self):
        """The default, then the newest."""
        return self.order_by("-is_default", "-id")


class PaymentMethod(models.Model):
    """A card, bank account or wallet account a gateway keeps for a customer. billing.domain.vault writes it."""

    class Type(models.TextChoices):
        CARD = "card", "Card"
        BANK_ACCOUNT = "bank_account", "Bank account"
        CHECKOUT = "checkout", "Wallet account"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        ARCHIVED = "archived", "Removed"

    MOVES = {Status.ACTIVE: {Status.ARCHIVED}, Status.ARCHIVED: set()}

    id = PublicIdField("src")
    livemode = models.BooleanField()
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="methods", db_index=False)
    gateway = models.CharField(max_length=20)
    type = models.CharField(max_length=12, choices=Type)
    status = models.CharField(max_length=8, choices=Status, default=Status.ACTIVE)
    is_default = models.BooleanField(default=False)
    vault_token = models.CharField(max_length=32, unique=True, default=new_vault_token, editable=False)
    gateway_token = models.CharField(max_length=255, editable=False)  # what charges it at the gateway; shown to nobody
    card_name = models.CharField(max_length=255, blank=True)
    card_number_last4 = models.CharField(max_length=4, blank=True)
    card_number_bin = models.CharField(max_length=8, blank=True)  # the first six to eight digits
    card_scheme = models.CharField(max_length=20, blank=True)
    card_funding_method = models.CharField(max_length=20, blank=True)
    card_issuer = models.CharField(max_length=255, blank=True)
    expire_month = models.PositiveSmallIntegerField(null=True, blank=True)
    expire_year = models.PositiveSmallIntegerField(null=True, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True, editable=False)  # the same for the same card; tells nothing of it
    account_name = models.CharField(max_length=255, blank=True)
    account_bank_name = models.CharField(max_length=255, blank=True)
    account_number_last4 = models.CharField(max_length=4, blank=True)
    account_type = models.CharField(max_length=20, blank=True)
    account_holder_type = models.CharField(max_length=20, blank=True)
    checkout_email = models.CharField(max_length=512, blank=True)
    checkout_holder = models.CharField(max_length=255, blank=True)
    wallet_type = models.CharField(max_length=20, blank=True)
    external_payer_id = models.CharField(max_length=255, blank=True)
    address = models.JSONField(default=dict, blank=True)  # the fields of an address, those the payer gave
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = PaymentMethodQuerySet.as_manager()

    class Meta:
        verbose_name = "payment method"
        constraints = [
            models.UniqueConstraint("customer", condition=Q(is_default=True), name="method_one_default"),
            models.CheckConstraint(condition=Q(is_default=False) | Q(status="active"), name="method_default_active"),
            models.UniqueConstraint("gateway", "gateway_token", name="method_token_once"),
            models.CheckConstraint(condition=~Q(gateway_token=""), name="method_has_token"),
            models.CheckConstraint(
                condition=~Q(type="card")
                | (
                    ~Q(card_number_last4="")
                    & ~Q(card_scheme="")
                    & Q(expire_month__gte=1, expire_month__lte=12, expire_year__gte=2000)
                ),
                name="method_card_whole",
            ),
            models.CheckConstraint(
                condition=~Q(type="checkout") | (~Q(checkout_email="") & ~Q(checkout_holder="")), name="method_checkout_whole"
            ),
        ]
        indexes = [
            models.Index("customer", F("id").desc(), name="method_customer"),
            models.Index("livemode", "gateway", "customer", name="method_gateway", condition=Q(status="active")),
            models.Index("livemode", "type", "customer", name="method_type", condition=Q(status="active")),
            models.Index(
                "livemode", "expire_year", "expire_month", name="method_expiry", condition=Q(status="active", type="card")
            ),
        ]

    def __str__(self):
        """ "Visa •••• 4242", "Bank account •••• 6789", "Wallet account of Ana"."""
        if self.type == self.Type.CHECKOUT:
            return f"{(self.wallet_type or 'Wallet account').capitalize()} of {self.checkout_holder}"
        if self.type == self.Type.BANK_ACCOUNT:
            return f"{self.account_bank_name or 'Bank account'} •••• {self.account_number_last4}"
        return f"{self.card_scheme.capitalize()} •••• {self.card_number_last4}"

    def get_absolute_url(self):
        return reverse("customer_billing:method", args=[self.customer_id, self.pk])

    @property
    def last4(self):
        """The last digits of a card or account; "" for a wallet account."""
        return self.card_number_last4 or self.account_number_last4

    @property
    def told(self):
        """The columns in which a payment tells what it was charged to, be it in vain."""
        return {
            "method_type": self.type,
            "method_brand": (self.card_scheme or self.account_bank_name)[:20],
            "method_last4": self.last4,
            "method_bin": self.card_number_bin,
            "method_holder": self.card_name or self.account_name or self.checkout_holder,
        }

    @property
    def archived(self):
        return self.status == self.Status.ARCHIVED

    @property
    def last_day(self):
        """The last day a card can be charged; None for other methods."""
        if self.type != self.Type.CARD or not self.expire_month or not self.expire_year:
            return None
        years, month = divmod(self.expire_month, 12)
        return date.fromordinal(date(self.expire_year + years, month + 1, 1).toordinal() - 1)

    @property
    def expired(self):
        return bool(self.last_day) and self.last_day < timezone.localdate()

    @property
    def expires_soon(self):
        """Not expired, and its last day is less than SOON days away."""
        return bool(self.last_day) and 0 <= (self.last_day - timezone.localdate()).days < SOON

    @property
    def badge(self):
        if self.archived:
            return "Removed"
        if self.expired:
            return "Expired"
        return "Expires soon" if self.expires_soon else "Active"


class GatewayCustomer(models.Model):
    """How a gateway names one of our customers: what it saves methods under. billing.domain.vault writes it."""

    id = PublicIdField("gwc")
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="+", db_index=False)
    gateway = models.CharField(max_length=20)
    remote_id = models.CharField(max_length=255)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("customer", "gateway", name="gateway_customer_once")]

    def __str__(self):
        return self.remote_id
