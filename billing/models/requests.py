"""Payment requests: a page of one amount, sent as a link."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from billing.models.amounts import money_of, within_bounds
from billing.models.links import HasLink, hash_token
from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField, bare
from dashboard.text import fold, search_text


class PaymentRequestQuerySet(models.QuerySet):
    def for_customer(self, customer):
        return self.filter(customer=customer)

    def open(self, now=None):
        """Those a payer can still pay. A request past its time is not open, marked or not."""
        return self.filter(status=PaymentRequest.Status.OPEN, expires_at__gt=now or timezone.now())

    def lapsed(self, now=None):
        """Past their time and not marked yet."""
        return self.filter(status=PaymentRequest.Status.OPEN, expires_at__lte=now or timezone.now())

    def expired(self):
        return self.filter(status=PaymentRequest.Status.EXPIRED) | self.lapsed()

    def recent(self):
        """The five newest, for a section of the customer page."""
        return self.order_by("-created_at", "-id")[:5]

    def for_token(self, token):
        """The request a payer's link names, or None."""
        return self.select_related("customer").filter(token_hash=hash_token(token)).first()


class PaymentRequest(HasLink, models.Model):
    """Asks a customer for one amount. Whether it is paid is written by billing.domain.payments alone."""

    class Status(models.TextChoices):
        OPEN = "new", "Open"
        DONE = "done", "Completed"
        EXPIRED = "expired", "Expired"
        CANCELED = "canceled", "Canceled"

    # Money is true whatever else was: a payment that was under way while the link ended still completes it.
    MOVES = {
        Status.OPEN: {Status.DONE, Status.EXPIRED, Status.CANCELED},
        Status.EXPIRED: {Status.DONE, Status.OPEN},  # open again: staff gave it more time
        Status.CANCELED: {Status.DONE},
        Status.DONE: set(),
    }
    SEARCH_PREFIX = ("sort_name",)
    SEARCH_NAME = "sort_name"

    id = PublicIdField("checkout")
    livemode = models.BooleanField()
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="requests", db_index=False)
    status = models.CharField(max_length=12, choices=Status, default=Status.OPEN)
    amount = models.BigIntegerField()  # minor units, to be paid: what is left after the discount
    discount_amount = models.BigIntegerField(default=0)  # minor units a coupon took off
    coupon = models.ForeignKey("billing.Coupon", models.PROTECT, null=True, related_name="requests")
    currency = models.CharField(max_length=3)
    country = models.CharField(max_length=2)  # ISO 3166-1 alpha-2
    method_types = models.JSONField(default=list)
    description = models.CharField(max_length=500, blank=True)  # the payer reads this
    merchant_reference_id = models.CharField("your reference", max_length=255, blank=True)  # the payer does not
    metadata = models.JSONField(default=dict, blank=True)
    customer_name = models.CharField(max_length=511)  # frozen when made
    customer_email = models.CharField(max_length=512, blank=True)  # frozen when made
    save_card = models.BooleanField(default=False)
    by_staff = models.BooleanField(default=False)  # opened at the virtual terminal: staff fill in the page themselves
    authorize_only = models.BooleanField(default=False)  # two steps: the payer authorises, staff capture later
    complete_url = models.CharField(max_length=2000, blank=True)
    cancel_url = models.CharField(max_length=2000, blank=True)
    language = models.CharField(max_length=8, blank=True)
    form_key = models.CharField(max_length=64, blank=True)  # one form makes one request
    expires_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    sort_name = ByteOrderedField(max_length=600, editable=False)  # derived: the customer's name then, folded
    search = models.TextField(editable=False)  # derived: what the request is found by

    objects = PaymentRequestQuerySet.as_manager()

    class Meta:
        verbose_name = "payment request"
        constraints = [
            *within_bounds("request", "amount", "discount_amount"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="request_amount_positive"),
            models.UniqueConstraint("form_key", condition=~Q(form_key=""), name="request_form_once"),
        ]
        indexes = [
            models.Index("livemode", F("created_at").desc(), F("id").desc(), name="request_created"),
            models.Index("livemode", "status", F("created_at").desc(), F("id").desc(), name="request_status"),
            models.Index("livemode", F("amount").desc(), F("id").desc(), name="request_amount"),
            models.Index("livemode", "expires_at", "id", name="request_expires"),
            models.Index("customer", F("created_at").desc(), F("id").desc(), name="request_customer"),
            models.Index("livemode", "sort_name", "id", name="request_name"),
            models.Index("sort_name", name="request_by_name"),
        ]

    def __str__(self):
        return self.description or f"{self.amount_money} from {self.customer_name}"

    def get_absolute_url(self):
        return reverse("billing:request", args=[self.pk])

    def derive(self):
        """Set the derived columns; call before every save. Returns the request."""
        self.sort_name = fold(self.customer_name)[:600]
        self.search = search_text(
            self.customer_name,
            self.customer_email,
            self.description,
            self.merchant_reference_id,
            bare(self.pk),
            *self.metadata.values(),
        )
        return self

    amount_money = money_of("amount")
    discount_money = money_of("discount_amount")
    subtotal_money = money_of("subtotal")

    @property
    def subtotal(self):
        """Minor units before the discount."""
        return self.amount + self.discount_amount

    @property
    def lapsed(self):
        """Past its time and not paid: takes no payment any more."""
        return self.status == self.Status.OPEN and self.expires_at <= timezone.now()

    @property
    def payable(self):
        return self.status == self.Status.OPEN and not self.lapsed

    @property
    def badge(self):
        return "Expired" if self.lapsed else self.get_status_display()

    @property
    def url(self):
        """The payer's link, complete with the site's address; "" when it cannot be told any more."""
        return f"{settings.SITE_URL}{reverse('pay_checkout', args=[self.token])}" if self.token else ""
