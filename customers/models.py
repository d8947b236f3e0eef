"""Who: customers, where they live, what we said about them."""

import re

from django.conf import settings
from django.core.validators import RegexValidator, validate_email
from django.db import models
from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField, bare
from dashboard.text import fold, search_text

E164 = re.compile(r"\+[1-9]\d{6,14}")
DID = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9.%:_-]+|z[1-9A-HJ-NP-Za-km-z]{20,60}")


class CustomerQuerySet(models.QuerySet):
    def active(self):
        return self.filter(status=Customer.Status.ACTIVE)

    def with_delinquent(self):
        """Annotate `delinquent`: whether a statement of the customer is past due or given up on, and still owed (R-22)."""
        found = self._statements().past_due().filter(customer=OuterRef("pk")).values_list(Value(True))[:1]
        # not Exists: PostgreSQL answers that by reading every past due statement there is, for the rows of one page
        return self.annotate(delinquent=Coalesce(Subquery(found, output_field=models.BooleanField()), False))

    def delinquent(self):
        # one condition: a page is found by asking customer after customer; a union would be read whole first
        return self.filter(pk__in=self._statements().past_due().values("customer"))

    def not_delinquent(self):
        return self.filter(~Exists(self._statements().past_due().filter(customer=OuterRef("pk"))))

    def with_method(self, **like):
        """Customers with an active payment method of these columns; say the livemode too, its indexes begin with it."""
        return self.filter(pk__in=self._related("methods").active().filter(**like).values("customer"))

    def with_card(self, condition, livemode):
        """Customers with an active card for which a PaymentMethodQuerySet method holds: "expired", "expiring"."""
        cards = getattr(self._related("methods").active().filter(livemode=livemode, type="card"), condition)()
        return self.filter(pk__in=cards.values("customer"))

    def with_coupon(self):
        """Customers a coupon was made for, or who use one."""
        own, found = Q(customer=OuterRef("pk")), {"found": Value(1)}
        bound, used = self._related("coupons").filter(own), self._redemptions().filter(own)
        return self.filter(Exists(bound.values(**found).union(used.values(**found), all=True)))

    def without_coupon(self):
        bound, used = self._related("coupons"), self._redemptions()
        own = Q(customer=OuterRef("pk"))
        return self.filter(~Exists(bound.filter(own)), ~Exists(used.filter(own)))

    def with_default_address(self):
        """Let expressions read `default_address__city`: one join for all of them, and none where nothing reads it."""
        return self.annotate(default_address=FilteredRelation("addresses", condition=Q(addresses__is_default=True)))

    def _statements(self):
        return self._related("statements")

    def _redemptions(self):
        return self._related("redemptions").filter(released_at=None)

    def listed(self):
        """With all that columns of the list and of its export read beside the customer; what is not read costs nothing."""
        return self.with_delinquent().with_default_address().with_own_total().with_default_method()

    def with_own_total(self):
        """Let expressions read `own_total__collected`: what they paid and have as credit, in their own currency."""
        return self.annotate(own_total=FilteredRelation("totals", condition=Q(totals__currency=F("currency"))))

    def with_default_method(self):
        """Let expressions read `default_method__pk`: one row at most, and no join where nothing reads it."""
        return self.annotate(default_method=FilteredRelation("methods", condition=Q(methods__is_default=True)))

    def _related(self, name):
        """All records of a reverse relation: billing imports customers, never the other way round."""
        return self.model._meta.get_field(name).related_model.objects.all()

    def named_like(self, email="", phone=""):
        """Active customers that may be the same person: same e-mail or same phone."""
        same = Q(pk=None)
        if email:
            same |= Q(email=email.lower())
        if phone:
            same |= Q(phone=phone)
        return self.active().filter(same).order_by("id")


class Customer(models.Model):
    """A person or company that pays. Found by `search`, sorted by `sort_name`; both are derived."""

    class Kind(models.TextChoices):
        INDIVIDUAL = "individual", "Individual"
        COMPANY = "company", "Company"

    class Status(models.TextChoices):
        ACTIVE = "active", "Active"
        ARCHIVED = "archived", "Archived"

    class Origin(models.TextChoices):
        DASHBOARD = "dashboard", "Dashboard"
        API = "api", "API"
        IMPORT = "import", "Import"
        STATEMENT = "billing_statement", "Billing statement"
        PAYMENT = "payment", "Payment"
        REQUEST = "payment_request", "Payment request"

    MOVES = {Status.ACTIVE: {Status.ARCHIVED}, Status.ARCHIVED: {Status.ACTIVE}}
    SEARCH_PREFIX = ("sort_name", "email", "phone")
    SEARCH_NAME = "sort_name"

    id = PublicIdField("cus")
    livemode = models.BooleanField()
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.INDIVIDUAL)
    first_name = models.CharField(max_length=255, blank=True)
    last_name = models.CharField(max_length=255, blank=True)
    company_name = models.CharField("company", max_length=255, blank=True)
    name = models.CharField(max_length=511)  # derived, see derive()
    sort_name = ByteOrderedField(max_length=600, editable=False)  # derived: name, folded
    email = ByteOrderedField(max_length=512, blank=True, validators=[validate_email])  # lower case
    phone = ByteOrderedField(max_length=16, blank=True)  # E.164
    did = ByteOrderedField("DID", max_length=255, null=True, blank=True)
    reference = ByteOrderedField(max_length=255, blank=True, help_text="Your own identifier. Customers never see it.")
    description = models.CharField(max_length=1000, blank=True)
    tax_id = models.CharField("tax ID", max_length=64, blank=True)
    country = ByteOrderedField(max_length=2, blank=True, editable=False)  # derived: the default address's; lists filter by it
    currency = models.CharField(max_length=3)
    billing_statement_prefix = models.CharField(
        "statement prefix",
        max_length=15,
        validators=[RegexValidator(r"^[A-Z0-9]{3,15}$", "Use 3 to 15 capital letters or digits.")],
    )
    next_billing_statement_sequence_number = models.PositiveIntegerField(default=1)  # written by finalising only
    status = models.CharField(max_length=8, choices=Status, default=Status.ACTIVE)
    archived_at = models.DateTimeField(null=True, blank=True)
    erased_at = models.DateTimeField(null=True, blank=True, editable=False)  # customers.privacy writes it: nothing comes back
    origin = models.CharField(max_length=20, choices=Origin, default=Origin.DASHBOARD)
    reminders_paused = models.BooleanField("no payment reminders", default=False)
    email_source_at = models.DateTimeField(null=True, editable=False)  # the statement or payment that last set the e-mail
    metadata = models.JSONField(default=dict, blank=True)  # text to text
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)  # counts edits; a stale form is told
    search = models.TextField(editable=False)  # derived: what the customer is found by

    objects = CustomerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("livemode", "did", name="customer_did_once", condition=Q(did__isnull=False)),
            models.UniqueConstraint("livemode", "billing_statement_prefix", name="customer_prefix_once"),
            models.CheckConstraint(condition=~Q(name=""), name="customer_named"),
        ]
        # One per offered sort and filter, each ending in the id: keyset paging walks them, the newest first from their end.
        # Ascending, for what is new goes to the end then, which costs a fifth less and leaves fuller pages.
        indexes = [
            models.Index("livemode", "created_at", "id", name="customer_created"),
            models.Index("livemode", "updated_at", "id", name="customer_updated"),
            models.Index("livemode", "sort_name", "id", name="customer_name"),
            models.Index("livemode", "email", "id", name="customer_email"),
            models.Index("livemode", "status", "created_at", "id", name="customer_status"),
            models.Index("livemode", "origin", "created_at", "id", name="customer_origin"),
            models.Index("livemode", "kind", "created_at", "id", name="customer_kind"),
            models.Index("livemode", "country", "created_at", "id", name="customer_country"),
            models.Index("livemode", "currency", "created_at", "id", name="customer_currency"),
            models.Index("livemode", "company_name", name="customer_company", condition=~Q(company_name="")),
            models.Index("livemode", "reference", "id", name="customer_reference", condition=~Q(reference="")),
            models.Index("phone", name="customer_by_phone"),
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("customers:customer", args=[self.pk])

    def derive(self):
        """Set the derived columns (I1) from the typed ones; call before every save. Returns the customer."""
        person = f"{self.first_name} {self.last_name}".strip()
        self.name = (self.company_name if self.kind == self.Kind.COMPANY else person) or self.company_name or person
        self.sort_name = fold(self.name)[:600]
        self.search = search_text(
            self.name,
            person,
            self.company_name,
            self.email,
            self.phone,
            self.did,
            self.reference,
            bare(self.pk),
            *self.metadata.values(),
        )
        return self

    @property
    def archived(self):
        return self.status == self.Status.ARCHIVED

    @property
    def erased(self):
        return self.erased_at is not None

    @property
    def why_closed(self):
        """Why it takes nothing new, as a sentence; "" when it does."""
        if self.erased:
            return "This customer was erased. Nothing new is stored about them, and nothing can be put back."
        return f"{self} is archived. Restore the customer first." if self.archived else ""

    @property
    def initials(self):
        parts = [w for w in self.name.split() if w[0].isalnum()]
        return "".join(w[0] for w in (parts[:1] + parts[-1:] if len(parts) > 1 else parts)).upper()[:2]

    @property
    def address(self):
        """The default address, or None. Uses a prefetch of addresses when there is one."""
        return next((a for a in self.addresses.all() if a.is_default), None)


class Address(models.Model):
    """One of a customer's addresses. One of them is the default: statements and receipts print it."""

    class Kind(models.TextChoices):
        BILLING = "billing", "Billing"
        SHIPPING = "shipping", "Delivery"
        OTHER = "other", "Other"

    id = PublicIdField("addr")
    livemode = models.BooleanField()
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="addresses")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.BILLING)
    name = models.CharField(max_length=255, blank=True)
    phone_number = models.CharField(max_length=16, blank=True)
    line1 = models.CharField(max_length=255, blank=True)
    line2 = models.CharField(max_length=255, blank=True)
    line3 = models.CharField(max_length=255, blank=True)
    city = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=255, blank=True)
    postal_code = models.CharField(max_length=20, blank=True)
    country = models.CharField(max_length=2, blank=True)  # ISO 3166-1 alpha-2
    is_default = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+", db_index=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "addresses"
        ordering = ["-is_default", "id"]
        constraints = [models.UniqueConstraint("customer", condition=Q(is_default=True), name="address_one_default")]
        indexes = [models.Index("country", "customer", condition=Q(is_default=True), name="address_country")]

    def __str__(self):
        return ", ".join(p for p in (self.line1, self.city, self.country) if p) or self.pk


class Comment(models.Model):
    """What staff said about a customer. Edits leave a trace; deleting hides the text and keeps the row."""

    id = PublicIdField("cmt")
    livemode = models.BooleanField()
    customer = models.ForeignKey(Customer, models.CASCADE, related_name="comments")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="comments")  # null: by API key
    body = models.CharField(max_length=2000)
    pinned = models.BooleanField(default=False)  # a warning: shown wherever staff work on the customer
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    edited_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index("customer", F("id").desc(), name="comment_customer")]

    def __str__(self):
        return self.body[:60]

    @property
    def who(self):
        """The author's name; "API" for a key that is nobody's."""
        return str(self.author) if self.author_id else "API"


class KeptRecord(models.Model):
    """What the law keeps of an erased customer: the personal columns of one document, taken out of its own row.

    Lists, searches, exports and the API read the documents and find nothing there; this table is read on one page, by
    admins. customers.privacy writes it, and deletes a row when its time is over.
    """

    id = PublicIdField("kept")
    livemode = models.BooleanField()
    customer = models.ForeignKey(Customer, models.PROTECT, related_name="kept_records")
    object_type = models.CharField(max_length=64)  # "billing.payment", ...
    object_id = models.CharField(max_length=40)  # ... and its ID
    values = models.JSONField()  # {column: what stood there}
    kept_until = models.DateField()  # the last day it is kept
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("object_id", "object_type", name="kept_record_once")]
        indexes = [models.Index("kept_until", "customer", name="kept_record_until")]

    def __str__(self):
        return f"{self.object_type} {self.object_id}"
