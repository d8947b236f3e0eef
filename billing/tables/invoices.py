"""The columns of the list of subscription invoices, and of its export (R-60)."""

from django.utils.html import escape

from billing.domain.invoicing import days_text
from billing.models import BillingStatement
from billing.tables.cells import DayColumn, StatusColumn, TitleColumn
from billing.tables.statements import IS_OVERDUE
from dashboard import tables
from dashboard.export import Csv


class PeriodColumn(tables.Column):
    """The days an invoice bills, the last one included."""

    css = "tnum"

    def html(self, row):
        return escape(days_text(row.period_start, row.period_end))


class InvoiceTable(tables.Table):
    number = TitleColumn(verbose_name="Number")
    subscription = tables.RelatedColumn(verbose_name="Subscription")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    period = PeriodColumn(accessor="period_start", verbose_name="Period")
    status = StatusColumn(verbose_name="Status")
    due_at = DayColumn(verbose_name="Due")
    paid_at = DayColumn(verbose_name="Paid")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    total = tables.MoneyColumn(sort="total", css="num strong m2", verbose_name="Amount")
    amount_remaining = tables.MoneyColumn(css="num", verbose_name="Remaining")
    next_charge_at = tables.WhenColumn(css="tnum", verbose_name="Next charge")
    sent_at = DayColumn(verbose_name="Sent")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = BillingStatement
        fields = ()
        order_by = "-created_at"

    caption = "Invoices"
    always = ("number",)
    default = ("subscription", "customer", "period", "status", "due_at", "paid_at", "total")
    csv = (
        Csv("id", kind="code"),
        Csv("number"),
        Csv("subscription_id", kind="code"),
        Csv("subscription", "subscription__name"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("period_start", kind="date"),
        Csv("period_end", kind="date"),
        Csv("status", kind="code"),
        Csv("overdue", IS_OVERDUE, kind="flag"),
        Csv("currency", kind="code"),
        Csv("subtotal", kind="money"),
        Csv("discount", "discount_amount", kind="money"),
        Csv("total", kind="money"),
        Csv("credit_applied", kind="money"),
        Csv("amount_paid", kind="money"),
        Csv("amount_remaining", kind="money"),
        Csv("billing", kind="code"),
        Csv("billing_reason", kind="code"),
        Csv("charges_failed", kind="number"),
        Csv("next_charge_at", kind="time"),
        Csv("due_at", kind="time"),
        Csv("finalized_at", kind="time"),
        Csv("sent_at", kind="time"),
        Csv("paid_at", kind="time"),
        Csv("created_at", kind="time"),
        Csv("description"),
        Csv("metadata", kind="json", contact="text"),
    )


class CustomerInvoiceTable(InvoiceTable):
    """The same on a customer's own pages, where every row has the same customer."""

    customer = None
    period = PeriodColumn(accessor="period_start", css="tnum m3", verbose_name="Period")

    class Meta(InvoiceTable.Meta):
        pass
