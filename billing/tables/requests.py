"""The columns of the list of payment requests, and of its export."""

from django.db.models import F, OuterRef, Subquery

from billing.models import PaymentRequest
from billing.tables.cells import MethodTypesColumn, StatusColumn, TitleColumn
from dashboard import tables
from dashboard.export import Csv
from dashboard.models import Event
from dashboard.templatetags.ui import badge_html


def last_opened():
    """When a payer opened the link last."""
    views = Event.objects.filter(object_id=OuterRef("pk"), type="payment_request.viewed")
    return Subquery(views.order_by("-pk").values("created_at")[:1])


class RequestTitleColumn(TitleColumn):
    """Marks what staff opened at the virtual terminal: nobody was sent a link."""

    def html(self, row):
        title = super().html(row)
        return f"{title} {badge_html('Terminal')}" if row.by_staff else title


class RequestTable(tables.Table):
    description = RequestTitleColumn(verbose_name="Request")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    status = StatusColumn(verbose_name="Status")
    methods = MethodTypesColumn(accessor="method_types", verbose_name="Methods")
    expires_at = tables.WhenColumn(sort="expires_at", css="tnum", verbose_name="Link expires")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    amount = tables.MoneyColumn(sort="amount", css="num strong m2", verbose_name="Amount")
    merchant_reference_id = tables.Column(verbose_name="Your reference")
    discount_amount = tables.MoneyColumn(verbose_name="Discount")
    coupon = tables.RelatedColumn(verbose_name="Coupon")
    sent_at = tables.WhenColumn(css="tnum", verbose_name="Sent")
    last_opened_at = tables.WhenColumn(css="tnum", verbose_name="Last opened")
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
    prefetch = {"created_by": "created_by", "coupon": "coupon"}
    annotated = {"last_opened_at": last_opened}
    csv = (
        Csv("id", kind="code"),
        Csv("created_at", kind="time"),
        Csv("status", kind="code"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("subtotal", F("amount") + F("discount_amount"), kind="money"),
        Csv("discount_amount", kind="money"),
        Csv("coupon_code", "coupon__code"),
        Csv("amount", kind="money"),
        Csv("currency", kind="code"),
        Csv("country", kind="code"),
        Csv("method_types", kind="json"),
        Csv("description"),
        Csv("merchant_reference_id"),
        Csv("expires_at", kind="time"),
        Csv("by_staff", kind="flag"),
        Csv("created_by", "created_by__email"),
        Csv("sent_at", kind="time"),
        Csv("last_opened_at", last_opened(), kind="time"),
        Csv("completed_at", kind="time"),
        Csv("canceled_at", kind="time"),
        Csv("metadata", kind="json", contact="text"),
    )


class CustomerRequestTable(RequestTable):
    customer = None
    created_at = tables.WhenColumn(sort="created_at", css="tnum m3", verbose_name="Created at")

    class Meta(RequestTable.Meta):
        pass
