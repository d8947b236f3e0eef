"""Coupons and each use of one."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Case, CharField, F, Q, Value, When
from django.db.models.functions import Now, Upper
from django.urls import reverse
from django.utils import timezone

from billing.models.amounts import money_of, within_bounds
from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField, bare
from dashboard.money import Money
from dashboard.text import fold, search_text

CODE = RegexValidator(r"^[A-Za-z0-9_]{1,64}\Z", "Use up to 64 letters, digits and underscores, without spaces.")


STATUSES = {"active": "Active", "scheduled": "Scheduled", "used_up": "Used up", "expired": "Expired", "off": "Off"}


def status_at(now=None):
    """The status of a coupon as an expression; without a time, by the database's clock. Coupon.status_word says the same."""
    now = now or Now()
    return Case(
        When(active=False, then=Value("off")),
        When(redeem_by__lt=now, then=Value("expired")),
        When(times_redeemed__gte=F("max_redemptions"), then=Value("used_up")),
        When(starts_at__gt=now, then=Value("scheduled")),
        default=Value("active"),
        output_field=CharField(),
    )


class CouponQuerySet(models.QuerySet):
    def in_status(self, name, now=None):
        """Those that are active, scheduled, used_up, expired or off."""
        return self.alias(status_now=status_at(now)).filter(status_now=name)

    def usable(self, now=None):
        """Those that can be used now, whoever asks: switched on, begun, not over, not used up."""
        now = now or timezone.now()
        begun = Q(starts_at=None) | Q(starts_at__lte=now)
        lasts = Q(redeem_by=None) | Q(redeem_by__gte=now)
        left = Q(max_redemptions=None) | Q(times_redeemed__lt=F("max_redemptions"))
        return self.filter(begun, lasts, left, active=True)

    def of_customer(self, customer):
        """Those only this customer may use, and those the customer has used."""
        used = CouponRedemption.objects.filter(customer=customer).values("coupon")
        return self.filter(Q(customer=customer) | Q(pk__in=used))


class Coupon(models.Model):
    """So much off: a percentage or an amount. Its status is derived; billing.domain.coupons writes it."""

    class Duration(models.TextChoices):
        ONCE = "once", "Once"
        REPEATING = "repeating", "For some months"
        FOREVER = "forever", "Forever"

    SEARCH_PREFIX = ("sort_name",)
    SEARCH_NAME = "sort_name"

    id = PublicIdField("coupon")
    livemode = models.BooleanField()
    code = models.CharField(max_length=64, validators=[CODE])  # as typed; "a" and "A" are one code
    name = models.CharField(max_length=255, blank=True)
    description = models.CharField(max_length=500, blank=True)  # for staff
    percent_off = models.DecimalField(max_digits=5, decimal_places=2, null=True, blank=True)
    amount_off = models.BigIntegerField(null=True, blank=True)  # minor units
    currency = models.CharField(max_length=3, blank=True)  # of amount_off
    duration = models.CharField(max_length=9, choices=Duration, default=Duration.ONCE)
    duration_in_months = models.PositiveIntegerField(null=True, blank=True)
    customer = models.ForeignKey(
        "customers.Customer", models.PROTECT, null=True, related_name="coupons"
    )  # the only one who may use it
    max_redemptions = models.PositiveIntegerField(null=True, blank=True)  # empty: no limit
    max_per_customer = models.PositiveIntegerField(null=True, blank=True)  # empty: no limit
    starts_at = models.DateTimeField(null=True, blank=True)
    redeem_by = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True)  # staff can switch it off
    times_redeemed = models.PositiveIntegerField(default=0)  # uses that count; billing.domain.coupons.redeem writes it
    metadata = models.JSONField(default=dict, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)  # counts edits; a stale form is told
    form_key = models.CharField(max_length=64, blank=True, editable=False)  # one form makes one coupon
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    sort_name = ByteOrderedField(max_length=64, editable=False)  # derived: the code, folded
    search = models.TextField(editable=False)  # derived: what the coupon is found by

    objects = CouponQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("livemode", Upper("code"), name="coupon_code_once"),
            models.CheckConstraint(
                condition=Q(percent_off__gt=0, percent_off__lte=100, amount_off__isnull=True, currency="")
                | Q(percent_off__isnull=True, amount_off__gt=0) & ~Q(currency=""),
                name="coupon_one_kind",
            ),
            models.CheckConstraint(
                condition=Q(duration="repeating", duration_in_months__gte=1)
                | ~Q(duration="repeating") & Q(duration_in_months__isnull=True),
                name="coupon_months",
            ),
            models.CheckConstraint(
                condition=Q(max_redemptions__isnull=True) | Q(times_redeemed__lte=F("max_redemptions")),
                name="coupon_within_limit",
            ),
            models.UniqueConstraint("form_key", condition=~Q(form_key=""), name="coupon_form_once"),
        ]
        indexes = [
            models.Index("livemode", F("created_at").desc(), F("id").desc(), name="coupon_created"),
            models.Index("livemode", "sort_name", "id", name="coupon_name"),
            models.Index("livemode", "redeem_by", "id", name="coupon_redeem_by"),
            models.Index("livemode", F("times_redeemed").desc(), F("id").desc(), name="coupon_redeemed"),
        ]

    def __str__(self):
        return self.code

    def get_absolute_url(self):
        return reverse("billing:coupon", args=[self.pk])

    def derive(self):
        """Set the derived columns; call before every save. Returns the coupon."""
        self.sort_name = fold(self.code)[:64]
        self.search = search_text(self.code, self.name, self.description, bare(self.pk), *self.metadata.values())
        return self

    @property
    def amount_off_money(self):
        return None if self.amount_off is None else Money(self.amount_off, self.currency)

    @property
    def discount(self):
        """ "10 %", "12.5 %", "$5.00"."""
        return str(self.amount_off_money) if self.percent_off is None else f"{self.percent_off.normalize():f} %"

    @property
    def lasts(self):
        """For how long a subscription gets it: "Once", "For 3 months", "Forever"."""
        if self.duration != self.Duration.REPEATING:
            return self.get_duration_display()
        return f"For {self.duration_in_months} month{'' if self.duration_in_months == 1 else 's'}"

    @property
    def off(self):
        """ "10 % off", "$5.00 off, for 3 months", "10 % off, forever"."""
        words = f"{self.discount} off"
        return words if self.duration == self.Duration.ONCE else f"{words}, {self.lasts.lower()}"

    def status_word_at(self, now):
        """active, scheduled, used_up, expired or off; status_at says the same of rows."""
        if not self.active:
            return "off"
        if self.redeem_by and self.redeem_by < now:
            return "expired"
        if self.uses_left == 0:
            return "used_up"
        return "scheduled" if self.starts_at and self.starts_at > now else "active"

    @property
    def status_word(self):
        return self.status_word_at(timezone.now())

    @property
    def badge(self):
        return STATUSES[self.status_word]

    @property
    def uses_left(self):
        """How often it can still be used; None when there is no limit."""
        return None if self.max_redemptions is None else max(0, self.max_redemptions - self.times_redeemed)

    @property
    def uses(self):
        """ "3 / 10", or "3" without a limit."""
        return f"{self.times_redeemed:,}" + ("" if self.max_redemptions is None else f" / {self.max_redemptions:,}")


class CouponRedemptionQuerySet(models.QuerySet):
    def standing(self):
        """Uses that were not given back."""
        return self.filter(released_at=None)

    def counted(self):
        """Those that take one of their coupon's uses."""
        return self.standing().filter(counts=True)


class CouponRedemption(models.Model):
    """One use of a coupon: on a statement, a payment request, or by a subscription. Written by billing.domain.coupons.

    A subscription takes one use when it begins (`counts`); its invoices name the coupon without taking another.
    """

    id = PublicIdField("red")
    livemode = models.BooleanField()
    coupon = models.ForeignKey(Coupon, models.PROTECT, related_name="redemptions", db_index=False)
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="redemptions", db_index=False)
    statement = models.ForeignKey("billing.BillingStatement", models.PROTECT, null=True, related_name="redemptions")
    request = models.ForeignKey("billing.PaymentRequest", models.PROTECT, null=True, related_name="redemptions")
    subscription = models.ForeignKey("billing.Subscription", models.PROTECT, null=True, related_name="redemptions")
    counts = models.BooleanField(default=True)  # takes one of the coupon's uses
    amount_discounted = models.BigIntegerField(default=0)  # minor units
    currency = models.CharField(max_length=3)
    redeemed_at = models.DateTimeField(default=timezone.now, editable=False)
    released_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")

    objects = CouponRedemptionQuerySet.as_manager()

    class Meta:
        constraints = [
            *within_bounds("redemption", "amount_discounted"),
            models.UniqueConstraint("statement", condition=Q(released_at__isnull=True), name="redemption_statement_once"),
            models.UniqueConstraint("request", condition=Q(released_at__isnull=True), name="redemption_request_once"),
        ]
        indexes = [
            models.Index("coupon", "customer", name="redemption_coupon"),
            models.Index("customer", F("id").desc(), name="redemption_customer"),
        ]

    def __str__(self):
        return f"{self.coupon}: {self.amount_money}"

    amount_money = money_of("amount_discounted")

    def get_absolute_url(self):
        return (self.used_on or self.coupon).get_absolute_url()

    @property
    def badge(self):
        return "Given back" if self.released_at else "Used"

    @property
    def used_on(self):
        """The statement, request or subscription it was used on."""
        return self.statement or self.request or self.subscription
