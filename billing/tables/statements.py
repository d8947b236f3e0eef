"""The columns of the list of billing statements, and of its export."""

from django.db.models import BooleanField, Case, Value, When
from django.db.models.functions import Now

from billing.models import BillingStatement
from billing.tables.cells import DayColumn, StatusColumn, TitleColumn
from dashboard import tables
from dashboard.export import Csv

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
    sent_at = DayColumn(verbose_name="Sent")
    fulfilled_at = DayColumn(verbose_name="Fulfilled")
    paid_at = tables.WhenColumn(css="tnum", verbose_name="Paid at")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = BillingStatement
        fields = ()
        order_by = "-created_at"

    caption = "Billing statements"
    always = ("number",)
    default = ("customer", "status", "due_at", "created_at", "sent_at", "total", "amount_remaining")
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
