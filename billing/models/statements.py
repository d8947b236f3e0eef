"""Billing statements and their lines. A subscription's invoice is a statement with its subscription set."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from billing.models.amounts import money_of, within_bounds
from billing.models.links import HasLink, hash_token
from dashboard.fields import ByteOrderedField
from dashboard.ids import PublicIdField, bare
from dashboard.text import fold, search_text


class BillingStatementQuerySet(models.QuerySet):
    def for_customer(self, customer):
        return self.filter(customer=customer)

    def one_off(self):
        """Those that bill no subscription: what is called billing statements wherever invoices are not meant."""
        return self.filter(subscription=None)

    def invoices(self):
        """Those that bill a period of a subscription."""
        return self.filter(subscription__isnull=False)

    def owed(self):
        """Finalised and not paid in full: open, or given up on with something left."""
        return self.filter(status__in=BillingStatement.OWED)

    def overdue(self, now=None):
        """Open and past due (P4): derived from the clock, so it is never stale."""
        return self.filter(status=BillingStatement.Status.OPEN, due_at__lt=now or timezone.now())

    def past_due(self, now=None):
        """What makes a customer delinquent (R-22): still owed, and past due or given up on whenever it was due.

        The database's clock, because views keep such querysets for as long as the process lives.
        """
        return self.owed().filter(Q(due_at__lt=now or Now()) | Q(status=BillingStatement.Status.UNCOLLECTIBLE))

    def uncollectible(self):
        """Given up on, and still owed."""
        return self.filter(status=BillingStatement.Status.UNCOLLECTIBLE)

    def recent(self):
        """The five newest, for a section of the customer page."""
        return self.order_by("-created_at", "-id")[:5]

    def for_token(self, token):
        """The finalised statement a payer's link names, or None. A draft has a token that opens nothing."""
        found = self.exclude(status=BillingStatement.Status.DRAFT).select_related("customer")
        return found.filter(token_hash=hash_token(token)).first()


class BillingStatement(HasLink, models.Model):
    """A bill. A draft may change; once finalised, its number, lines, amounts and bill-to stand for ever."""

    class Status(models.TextChoices):
        DRAFT = "draft", "Draft"
        OPEN = "open", "Open"
        PAID = "paid", "Paid"
        VOID = "void", "Void"
        UNCOLLECTIBLE = "uncollectible", "Uncollectible"

    MOVES = {
        Status.DRAFT: {Status.OPEN, Status.PAID},
        Status.OPEN: {Status.PAID, Status.VOID, Status.UNCOLLECTIBLE},
        Status.UNCOLLECTIBLE: {Status.PAID, Status.VOID},
        Status.PAID: set(),
        Status.VOID: set(),
    }
    OWED = (Status.OPEN, Status.UNCOLLECTIBLE)  # by a constraint something remains to be paid of these
    SEARCH_PREFIX = ("sort_name",)
    SEARCH_NAME = "sort_name"

    id = PublicIdField("bstm")
    livemode = models.BooleanField()
    customer = models.ForeignKey("customers.Customer", models.PROTECT, related_name="statements", db_index=False)
    number = ByteOrderedField(max_length=32, blank=True)  # PREFIX-0001, given when finalised; gapless per customer
    status = models.CharField(max_length=14, choices=Status, default=Status.DRAFT)
    description = models.CharField(max_length=500, blank=True)
    currency = models.CharField(max_length=3)
    subtotal = models.BigIntegerField(default=0)  # minor units, here and below
    discount_amount = models.BigIntegerField(default=0)
    total = models.BigIntegerField(default=0)
    credit_applied = models.BigIntegerField(default=0)
    amount_paid = models.BigIntegerField(default=0)
    amount_remaining = models.BigIntegerField(default=0)
    merchant_name = models.CharField(max_length=255, blank=True)  # frozen when finalised, as all of bill-to
    bill_to_name = models.CharField(max_length=511, blank=True)
    bill_to_email = ByteOrderedField(max_length=512, blank=True)
    bill_to_phone = models.CharField(max_length=16, blank=True)
    bill_to_tax_id = models.CharField(max_length=64, blank=True)
    bill_to_address = models.JSONField(default=dict, blank=True)  # the fields of an address
    statement_descriptor = models.CharField(max_length=22, blank=True)
    billing_details_collection = models.CharField(max_length=6, default="always")
    allowed_methods = models.JSONField(default=list, blank=True)
    setup_future_usage = models.CharField(max_length=11, blank=True)
    merchant_reference_id = ByteOrderedField("your reference", max_length=255, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    coupon = models.ForeignKey("billing.Coupon", models.PROTECT, null=True, related_name="statements")
    subscription = models.ForeignKey(
        "billing.Subscription", models.PROTECT, null=True, related_name="invoices", db_index=False
    )  # set: an invoice, of the period below
    period_start = models.DateField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True)  # the day after its last
    billing = models.CharField(max_length=17, blank=True)  # of an invoice: pay_automatically or send_invoice
    billing_reason = models.CharField(max_length=20, blank=True)  # of an invoice: subscription_create or subscription_cycle
    charges_failed = models.PositiveSmallIntegerField(default=0)  # automatic charges of an invoice that failed
    next_charge_at = models.DateTimeField(null=True, blank=True)  # when an invoice is charged automatically, again
    due_at = models.DateTimeField(null=True, blank=True)
    finalized_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    sent_count = models.PositiveIntegerField(default=0)
    paid_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)
    marked_uncollectible_at = models.DateTimeField(null=True, blank=True)
    fulfilled_at = models.DateTimeField(null=True, blank=True)
    fulfilled_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    reminders_paused = models.BooleanField(default=False)
    promised_on = models.DateField(null=True, blank=True)  # the day the customer promised to pay; until then no reminder
    promise_note = models.CharField(max_length=200, blank=True)
    version = models.PositiveIntegerField(default=1, editable=False)  # counts edits of the draft; a stale form is told
    form_key = models.CharField(max_length=64, blank=True, editable=False)  # one form makes one statement
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    sort_name = ByteOrderedField(max_length=600, editable=False)  # derived: bill-to name, folded
    search = models.TextField(editable=False)  # derived: what the statement is found by, lines included

    objects = BillingStatementQuerySet.as_manager()

    class Meta:
        verbose_name = "billing statement"
        constraints = [
            *within_bounds("statement", "subtotal", "discount_amount", "total", "credit_applied", "amount_paid"),
            models.CheckConstraint(
                condition=Q(discount_amount__lte=F("subtotal"), total=F("subtotal") - F("discount_amount")), name="statement_p1"
            ),
            models.CheckConstraint(
                condition=Q(amount_remaining=F("total") - F("credit_applied") - F("amount_paid"), amount_remaining__gte=0),
                name="statement_p2",
            ),
            models.CheckConstraint(
                condition=~Q(status="paid") | Q(amount_remaining=0, finalized_at__isnull=False, paid_at__isnull=False),
                name="statement_p3_paid",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=["open", "uncollectible"]) | Q(amount_remaining__gt=0), name="statement_p3_open"
            ),
            models.CheckConstraint(
                condition=Q(status="draft", number="") | (~Q(status="draft") & ~Q(number="")), name="statement_numbered"
            ),
            models.UniqueConstraint("livemode", "number", condition=~Q(number=""), name="statement_number_once"),
            models.UniqueConstraint("form_key", condition=~Q(form_key=""), name="statement_form_once"),
            models.UniqueConstraint("subscription", "period_start", name="invoice_period_once"),  # also finds a subscription's
            models.CheckConstraint(
                condition=Q(subscription__isnull=True) | Q(period_start__isnull=False, period_end__gt=F("period_start")),
                name="invoice_has_period",
            ),
        ]
        indexes = [
            models.Index("livemode", F("created_at").desc(), F("id").desc(), name="statement_created"),
            models.Index("livemode", "status", F("created_at").desc(), F("id").desc(), name="statement_status"),
            models.Index("livemode", F("total").desc(), F("id").desc(), name="statement_total"),
            models.Index("livemode", "due_at", "id", name="statement_due", condition=Q(status="open")),
            models.Index("customer", F("created_at").desc(), F("id").desc(), name="statement_customer"),
            models.Index("customer", "merchant_reference_id", name="statement_reference", condition=~Q(merchant_reference_id="")),
            models.Index("livemode", "sort_name", "id", name="statement_name"),
            models.Index(
                "livemode",
                F("created_at").desc(),
                F("id").desc(),
                name="statement_one_off",
                condition=Q(subscription__isnull=True),
            ),
            models.Index(
                "livemode",
                F("created_at").desc(),
                F("id").desc(),
                name="statement_invoice",
                condition=Q(subscription__isnull=False),
            ),
            models.Index("next_charge_at", name="invoice_to_charge", condition=Q(next_charge_at__isnull=False)),
            models.Index("sort_name", name="statement_by_name"),
            models.Index("customer", "due_at", name="statement_owed", condition=Q(status__in=["open", "uncollectible"])),
            models.Index("status", "due_at", "customer", name="statement_status_due"),  # who is overdue, and reminders
        ]

    @property
    def is_invoice(self):
        """Whether it bills a period of a subscription."""
        return self.subscription_id is not None

    def __str__(self):
        return self.number or f"Draft {bare(self.pk)[-6:]}"

    def get_absolute_url(self):
        return reverse("billing:statement", args=[self.pk])

    def derive(self, lines):
        """Set the derived columns from the statement and its lines; call before every save. Returns the statement."""
        self.sort_name = fold(self.bill_to_name)[:600]
        self.search = search_text(
            self.number,
            self.bill_to_name,
            self.bill_to_email,
            self.description,
            self.merchant_reference_id,
            bare(self.pk),
            *[line.description for line in lines],
            *self.metadata.values(),
        )
        return self

    subtotal_money = money_of("subtotal")
    discount_money = money_of("discount_amount")
    total_money = money_of("total")
    credit_applied_money = money_of("credit_applied")
    amount_paid_money = money_of("amount_paid")
    amount_remaining_money = money_of("amount_remaining")

    @property
    def payable(self):
        """Whether a payer may pay it now: past due or given up on is no obstacle."""
        return self.status in self.OWED

    @property
    def url(self):
        """The payer's link, complete with the site's address; "" for a draft or when it cannot be told any more."""
        if self.status == self.Status.DRAFT or not self.token:
            return ""
        return f"{settings.SITE_URL}{reverse('pay_statement', args=[self.token])}"

    @property
    def overdue(self):
        return self.status == self.Status.OPEN and bool(self.due_at) and self.due_at < timezone.now()

    @property
    def badge(self):
        if self.overdue:
            return "Overdue"
        return "Partly paid" if self.status == self.Status.OPEN and self.amount_paid else self.get_status_display()


class Reminder(models.Model):
    """A reminder that went out, once for each kind and statement. Written by billing.domain.reminders."""

    class Kind(models.TextChoices):
        WILL_BE_DUE = "will_be_due", "Will be due"
        OVERDUE = "overdue", "Overdue"

    id = PublicIdField("rem")
    statement = models.ForeignKey(BillingStatement, models.PROTECT, related_name="reminders", db_index=False)
    kind = models.CharField(max_length=12, choices=Kind)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("statement", "kind", name="reminder_once")]

    def __str__(self):
        return self.get_kind_display()


class LineItem(models.Model):
    """One line of a statement: quantity × unit price, minor units of the statement's currency."""

    id = PublicIdField("bstm_li")
    statement = models.ForeignKey(BillingStatement, models.CASCADE, related_name="lines")  # only a draft is ever deleted
    position = models.PositiveIntegerField()
    description = models.CharField(max_length=500)
    quantity = models.BigIntegerField(default=1)
    unit_price = models.BigIntegerField()
    amount = models.BigIntegerField()  # quantity × unit_price, kept by a constraint

    class Meta:
        ordering = ["position"]
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gte=1, quantity__lte=1_000_000), name="line_quantity"),
            *within_bounds("line", "unit_price", "amount"),
            models.CheckConstraint(condition=Q(amount=F("quantity") * F("unit_price")), name="line_amount"),
            models.CheckConstraint(condition=~Q(description=""), name="line_described"),
            models.UniqueConstraint("statement", "position", name="line_position_once"),
        ]

    def __str__(self):
        return self.description

    unit_price_money = money_of("unit_price")
    amount_money = money_of("amount")

    @property
    def currency(self):
        return self.statement.currency
