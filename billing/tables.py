"""The columns of the lists of statements, payments and payment requests, and of their exports."""

from django.db.models import BooleanField, Case, CharField, F, Value, When
from django.db.models.fields.json import KT
from django.db.models.functions import Now
from django.utils.html import escape
from django.utils.safestring import mark_safe

from billing.models import BillingStatement, Payment, PaymentRequest
from dashboard import tables
from dashboard.export import Csv
from dashboard.templatetags.ui import badge_html, day_html

METHODS = {
    "card": "Card",
    "bank_transfer": "Bank transfer",
    "bank_redirect": "Bank redirect",
    "cash": "Cash",
    "ewallet": "E-wallet",
}


class TitleColumn(tables.LinkColumn):
    """The row's link, with the record's own words."""

    def value(self, row):
        return str(row)


class StatusColumn(tables.BadgeColumn):
    """The status as people read it: overdue is open, seen by the clock."""

    def html(self, row):
        return badge_html(row.badge)


class DayColumn(tables.Column):
    """A day without its time."""

    css = "tnum"

    def html(self, row):
        return day_html(self.value(row))


class MethodColumn(tables.Column):
    def html(self, row):
        return method_html(row)


class ProductColumn(tables.Column):
    def html(self, row):
        return escape(row.get_product_type_display())


class MethodTypesColumn(tables.Column):
    """The methods a request lets its payer choose from."""

    def html(self, row):
        return escape(method_words(row.method_types))


def method_html(payment):
    """How a payment was made: a mark for the brand and the last four digits, or the kind of method in words."""
    if not payment.method_last4:
        return escape(payment.method)
    brand = escape(payment.method_brand or payment.get_method_type_display())
    return mark_safe(f'<span class="pm"><span class="pm-mark">{brand}</span>•••• {escape(payment.method_last4)}</span>')


def method_words(types):
    """Method types in words: "Card, E-wallet"."""
    return ", ".join(METHODS.get(t, t.replace("_", " ").capitalize()) for t in types)


# --- statements --------------------------------------------------------------------------------------
IS_OVERDUE = Case(
    When(status=BillingStatement.Status.OPEN, due_at__lt=Now(), then=Value(True)),
    default=Value(False),
    output_field=BooleanField(),
)


class StatementTable(tables.Table):
    number = TitleColumn(verbose_name="Number")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    status = StatusColumn(verbose_name="Status")
    due_at = DayColumn(verbose_name="Due")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    total = tables.MoneyColumn(sort="total", css="num strong m2", verbose_name="Total")
    amount_remaining = tables.MoneyColumn(css="num", verbose_name="Remaining")
    amount_paid = tables.MoneyColumn(css="num", verbose_name="Paid")
    description = tables.Column(verbose_name="Description")
    merchant_reference_id = tables.Column(verbose_name="Your reference")
    sent_at = tables.WhenColumn(css="tnum", verbose_name="Sent")
    paid_at = tables.WhenColumn(css="tnum", verbose_name="Paid at")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = BillingStatement
        fields = ()
        order_by = "-created_at"

    caption = "Billing statements"
    always = ("number",)
    default = ("customer", "status", "due_at", "created_at", "total", "amount_remaining")
    csv = (
        Csv("id", kind="code"),
        Csv("number"),
        Csv("status", kind="code"),
        Csv("overdue", IS_OVERDUE, kind="flag"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("currency", kind="code"),
        Csv("subtotal", kind="money"),
        Csv("discount", "discount_amount", kind="money"),
        Csv("total", kind="money"),
        Csv("credit_applied", kind="money"),
        Csv("amount_paid", kind="money"),
        Csv("amount_remaining", kind="money"),
        Csv("due_at", kind="time"),
        Csv("finalized_at", kind="time"),
        Csv("sent_at", kind="time"),
        Csv("paid_at", kind="time"),
        Csv("fulfilled_at", kind="time"),
        Csv("created_at", kind="time"),
        Csv("description"),
        Csv("metadata", kind="json", contact="text"),
    )


class CustomerStatementTable(StatementTable):
    """The same on a customer's own pages, where every row has the same customer."""

    customer = None
    created_at = tables.WhenColumn(sort="created_at", css="tnum m3", verbose_name="Created at")

    class Meta(StatementTable.Meta):
        pass


# --- payments ----------------------------------------------------------------------------------------
STATUS_WORDS = Case(*[When(status=s, then=Value(s.label)) for s in Payment.Status], output_field=CharField())


class PaymentTable(tables.Table):
    description = TitleColumn(verbose_name="Description")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    method = MethodColumn(accessor="pk", verbose_name="Method")
    product = ProductColumn(accessor="product_type", verbose_name="Product")
    status = StatusColumn(verbose_name="Status")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    amount = tables.MoneyColumn(sort="amount", css="num strong m2", verbose_name="Amount")
    fee = tables.MoneyColumn(css="num", verbose_name="Fee")
    failure_message = tables.Column(verbose_name="Why it failed")
    merchant_reference_id = tables.Column(verbose_name="Your reference")
    gateway = tables.Column(verbose_name="Gateway")
    billing_email = tables.EmailColumn(contact=True, verbose_name="Email then")
    paid_at = tables.WhenColumn(css="tnum", verbose_name="Paid at")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = Payment
        fields = ()
        order_by = "-created_at"

    caption = "Payments"
    always = ("description",)
    default = ("customer", "method", "product", "status", "created_at", "amount")
    csv = (
        Csv("id", kind="code"),
        Csv("created_at", kind="time"),
        Csv("paid_at", kind="time"),
        Csv("status", kind="code"),
        Csv("display_status", STATUS_WORDS, kind="code"),
        Csv("product_type", kind="code"),
        Csv("amount", kind="money"),
        Csv("fee", kind="money"),
        Csv("net_amount", F("amount") - F("fee"), kind="money"),
        Csv("currency", kind="code"),
        Csv("method_type", kind="code"),
        Csv("method_brand"),
        Csv("card_last4", "method_last4"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("billing_name"),
        Csv("billing_email", contact="email"),
        Csv("billing_phone", contact="phone"),
        Csv("billing_country", KT("billing_address__country")),
        Csv("description"),
        Csv("merchant_reference_id"),
        Csv("payment_intent_id"),
        Csv("billing_statement_number", "statement__number"),
        Csv("gateway_name", "gateway", kind="code"),
        Csv("gateway_reference"),
        Csv("failure_code"),
        Csv("address_check", kind="code"),
        Csv("custom_fields", kind="json", contact="text"),
        Csv("metadata", kind="json", contact="text"),
    )


class CustomerPaymentTable(PaymentTable):
    customer = None
    created_at = tables.WhenColumn(sort="created_at", css="tnum m3", verbose_name="Created at")

    class Meta(PaymentTable.Meta):
        pass


# --- payment requests --------------------------------------------------------------------------------
class RequestTable(tables.Table):
    description = TitleColumn(verbose_name="Request")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    status = StatusColumn(verbose_name="Status")
    methods = MethodTypesColumn(accessor="method_types", verbose_name="Methods")
    expires_at = tables.WhenColumn(sort="expires_at", css="tnum", verbose_name="Link expires")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    amount = tables.MoneyColumn(sort="amount", css="num strong m2", verbose_name="Amount")
    merchant_reference_id = tables.Column(verbose_name="Your reference")
    created_by = tables.Column(verbose_name="Created by")
    completed_at = tables.WhenColumn(css="tnum", verbose_name="Paid at")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = PaymentRequest
        fields = ()
        order_by = "-created_at"

    caption = "Payment requests"
    always = ("description",)
    default = ("customer", "status", "methods", "expires_at", "created_at", "amount")
    prefetch = {"created_by": "created_by"}
    csv = (
        Csv("id", kind="code"),
        Csv("created_at", kind="time"),
        Csv("status", kind="code"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("amount", kind="money"),
        Csv("currency", kind="code"),
        Csv("country", kind="code"),
        Csv("method_types", kind="json"),
        Csv("description"),
        Csv("merchant_reference_id"),
        Csv("expires_at", kind="time"),
        Csv("completed_at", kind="time"),
        Csv("canceled_at", kind="time"),
        Csv("metadata", kind="json", contact="text"),
    )


class CustomerRequestTable(RequestTable):
    customer = None
    created_at = tables.WhenColumn(sort="created_at", css="tnum m3", verbose_name="Created at")

    class Meta(RequestTable.Meta):
        pass
