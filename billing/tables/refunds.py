"""The columns of the list of refunds, and of its export."""

from django.utils.html import escape

from billing.models import Refund
from billing.tables.cells import StatusColumn
from dashboard import tables
from dashboard.export import Csv


class PaymentColumn(tables.LinkColumn):
    """The payment's own words, leading to the refund's page."""

    def value(self, row):
        return str(row.payment)


class ReasonColumn(tables.Column):
    def html(self, row):
        return escape(row.get_reason_display())


class DestinationColumn(tables.Column):
    def html(self, row):
        return escape(row.get_destination_display())


class RefundTable(tables.Table):
    description = PaymentColumn(verbose_name="Payment")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    reason = ReasonColumn(verbose_name="Reason")
    status = StatusColumn(verbose_name="Status")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    amount = tables.MoneyColumn(sort="amount", css="num strong m2", verbose_name="Amount")
    destination = DestinationColumn(verbose_name="Goes back to")
    failure_message = tables.Column(verbose_name="Why it failed")
    remarks = tables.Column(contact=True, verbose_name="Remarks")
    merchant_reference_id = tables.Column(verbose_name="Your reference")
    created_by = tables.Column(verbose_name="Created by")
    succeeded_at = tables.WhenColumn(css="tnum", verbose_name="Succeeded at")
    payment_id = tables.IdColumn(verbose_name="Payment ID")
    gateway_name = tables.Column(accessor="gateway", verbose_name="Gateway")
    gateway_reference = tables.IdColumn(verbose_name="Gateway reference")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = Refund
        fields = ()
        order_by = "-created_at"

    caption = "Refunds"
    always = ("description",)
    default = ("customer", "reason", "status", "created_at", "amount")
    prefetch = {"created_by": "created_by"}
    csv = (
        Csv("id", kind="code"),
        Csv("created_at", kind="time"),
        Csv("succeeded_at", kind="time"),
        Csv("status", kind="code"),
        Csv("amount", kind="money"),
        Csv("currency", kind="code"),
        Csv("reason", kind="code"),
        Csv("destination", kind="code"),
        Csv("payment_id", kind="code"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("description", "payment__description"),
        Csv("remarks", contact="text"),
        Csv("merchant_reference_id"),
        Csv("gateway_name", "gateway", kind="code"),
        Csv("gateway_reference"),
        Csv("failure_code"),
        Csv("failure_message"),
        Csv("created_by", "created_by__name"),
        Csv("metadata", kind="json", contact="text"),
    )
