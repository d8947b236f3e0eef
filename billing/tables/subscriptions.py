"""The columns of the list of subscriptions, and of its export."""

from django.db.models import F

from billing.models import Subscription
from billing.tables.cells import DayColumn, TitleColumn
from dashboard import tables
from dashboard.export import Csv
from dashboard.templatetags.ui import badge_html


class StandingColumn(tables.BadgeColumn):
    """The status, and beside it what staff should know: it ends, or its last invoice could not be issued."""

    def html(self, row):
        found = [badge_html(row.get_status_display(), "subscription")]
        if row.cancel_at_period_end and row.next_invoice_on:
            found.append(badge_html("Ends with its period"))
        if row.problem and row.status in Subscription.BILLING:
            found.append(badge_html("Error"))
        return " ".join(found)


class SubscriptionTable(tables.Table):
    name = TitleColumn(verbose_name="Name")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    status = StandingColumn(verbose_name="Status")
    every = tables.Column(verbose_name="Billed")
    next_invoice_on = DayColumn(verbose_name="Next invoice")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    amount = tables.MoneyColumn(accessor="period_amount", css="num strong m2", verbose_name="Amount")
    quantity = tables.Column(css="num", verbose_name="Quantity")
    billing = tables.Column(accessor="get_billing_display", verbose_name="Billing")
    started_on = DayColumn(verbose_name="First day")
    current_period_end = DayColumn(verbose_name="Period until")
    problem = tables.Column(verbose_name="Invoice problem")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = Subscription
        fields = ()
        order_by = "-created_at"

    caption = "Subscriptions"
    always = ("name",)
    default = ("customer", "status", "every", "next_invoice_on", "created_at", "amount")
    csv = (
        Csv("id", kind="code"),
        Csv("name"),
        Csv("status", kind="code"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("amount", kind="money"),
        Csv("quantity", kind="number"),
        Csv("period_amount", F("amount") * F("quantity"), kind="money"),
        Csv("currency", kind="code"),
        Csv("interval", kind="code"),
        Csv("interval_count", kind="number"),
        Csv("billing", kind="code"),
        Csv("days_until_due", kind="number"),
        Csv("coupon", "coupon__code"),
        Csv("started_on", kind="date"),
        Csv("next_invoice_on", kind="date"),
        Csv("current_period_start", kind="date"),
        Csv("current_period_end", kind="date"),
        Csv("cancel_at_period_end", kind="flag"),
        Csv("problem"),
        Csv("canceled_at", kind="time"),
        Csv("created_at", kind="time"),
        Csv("metadata", kind="json", contact="text"),
    )


class CustomerSubscriptionTable(SubscriptionTable):
    """The same on a customer's own pages, where every row has the same customer."""

    customer = None
    created_at = tables.WhenColumn(sort="created_at", css="tnum m3", verbose_name="Created at")

    class Meta(SubscriptionTable.Meta):
        pass
