"""Card tokenization links: a page where a payer saves a card, and no money moves."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from billing.models.links import HasLink, hash_token
from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField, bare
from dashboard.text import fold, search_text


class TokenizationLinkQuerySet(models.QuerySet):
    def for_customer(self, customer):
        return self.filter(customer=customer)

    def sent(self):
        """Those made for a payer. Adding a card oneself makes one too, which nobody is sent."""
        return self.filter(by_staff=False)

    def open(self, now=None):
        """Those a payer can still use. A link past its time is not open, marked or not."""
        return self.filter(status=TokenizationLink.Status.NEW, expires_at__gt=now or timezone.now())

    def lapsed(self, now=None):
        """Past their time and not marked yet."""
        return self.filter(status=TokenizationLink.Status.NEW, expires_at__lte=now or timezone.now())

    def expired(self):
        return self.filter(status=TokenizationLink.Status.EXPIRED) | self.lapsed()

    def for_token(self, token):
        """The link a payer's address names, or None."""
        return self.sent().select_related("customer").filter(token_hash=hash_token(token)).first()


class TokenizationLink(HasLink, models.Model):
    """Asks a customer to save one card. billing.domain.card_links writes it; the card itself is a PaymentMethod."""

    class Status(models.TextChoices):
        NEW = "new", "New"
        DONE = "done", "Done"
        EXPIRED = "expired", "Expired"
        CANCELED = "canceled", "Canceled"

    # A card that was being saved while the link ended is saved: the payer did what was asked.
    MOVES = {
        Status.NEW: {Status.DONE, Status.EXPIRED, Status.CANCELED},
        Status.EXPIRED: {Status.DONE},
        Status.CANCELED: {Status.DONE},
        Status.DONE: set(),
    }
    SEARCH_PREFIX = ("sort_name",)
    SEARCH_NAME = "sort_name"

    id = PublicIdField("hp_card")
    livemode = models.BooleanField()
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="card_links", db_index=False)
    status = models.CharField(max_length=8, choices=Status, default=Status.NEW)
    gateway = models.CharField(max_length=20)
    currency = models.CharField(max_length=3)  # the customer's: some gateways check a card in a currency
    by_staff = models.BooleanField(default=False)  # made to add a card at once: not in lists, and no payer's page opens
    make_default = models.BooleanField(default=False)
    description = models.CharField(max_length=500, blank=True)  # the payer reads this
    customer_name = models.CharField(max_length=511)  # frozen when made
    customer_email = models.CharField(max_length=512, blank=True)  # frozen when made
    method = models.ForeignKey("billing.PaymentMethod", models.PROTECT, null=True, related_name="links")  # the result
    form_key = models.CharField(max_length=64, blank=True, editable=False)  # one form makes one link
    expires_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    canceled_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    sort_name = ByteOrderedField(max_length=600, editable=False)  # derived: the customer's name then, folded
    search = models.TextField(editable=False)  # derived: what the link is found by

    objects = TokenizationLinkQuerySet.as_manager()

    class Meta:
        verbose_name = "tokenization link"
        constraints = [models.UniqueConstraint("form_key", condition=~Q(form_key=""), name="card_link_form_once")]
        indexes = [
            models.Index(
                "livemode", F("created_at").desc(), F("id").desc(), name="card_link_created", condition=Q(by_staff=False)
            ),
            models.Index("livemode", "status", F("created_at").desc(), F("id").desc(), name="card_link_status"),
            models.Index("livemode", "expires_at", "id", name="card_link_expires"),
            models.Index("customer", F("created_at").desc(), F("id").desc(), name="card_link_customer"),
            models.Index("livemode", "sort_name", "id", name="card_link_name"),
            models.Index("sort_name", name="card_link_by_name"),
        ]

    def __str__(self):
        return f"Card details of {self.customer_name}"

    def get_absolute_url(self):
        return reverse("billing:card_link", args=[self.pk])

    def derive(self):
        """Set the derived columns; call before every save. Returns the link."""
        self.sort_name = fold(self.customer_name)[:600]
        self.search = search_text(self.customer_name, self.customer_email, self.description, bare(self.pk))
        return self

    @property
    def lapsed(self):
        return self.status == self.Status.NEW and self.expires_at <= timezone.now()

    @property
    def payable(self):
        """Whether it can still be used; named as on what is paid, because the same code opens the gateway's page."""
        return self.status == self.Status.NEW and not self.lapsed

    @property
    def badge(self):
        return "Expired" if self.lapsed else self.get_status_display()

    @property
    def url(self):
        """The payer's link, complete with the site's address; "" when it cannot be told any more, or is for staff."""
        if self.by_staff or not self.token:
            return ""
        return f"{settings.SITE_URL}{reverse('pay_card', args=[self.token])}"
