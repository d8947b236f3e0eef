"""The columns of the list of a customer's payment methods."""

from django.utils.html import escape, format_html

from billing.gateways import about
from billing.models import PaymentMethod
from billing.tables.cells import StatusColumn, TitleColumn
from dashboard import tables
from dashboard.templatetags.ui import badge_html


class MethodNameColumn(TitleColumn):
    """The row's link, and whether charges go there when nobody chooses."""

    def html(self, row):
        default = format_html(' <span class="badge">{}</span>', "Default") if row.is_default else ""
        return f"{super().html(row)}{default}"


class ExpiryColumn(tables.Column):
    def html(self, row):
        return f"{row.expire_month:02} / {row.expire_year}" if row.last_day else '<span class="muted">No expiry</span>'


class GatewayColumn(tables.Column):
    """A gateway by its name, also one that is not connected any more."""

    def html(self, row):
        return escape(about(row.gateway).name)


class MethodStatusColumn(StatusColumn):
    def html(self, row):
        return badge_html(row.badge, "paymentmethod")


class MethodTable(tables.Table):
    description = MethodNameColumn(verbose_name="Method")
    type = tables.Column(accessor="get_type_display", verbose_name="Type")
    expires = ExpiryColumn(css="tnum m3", verbose_name="Expires")
    gateway = GatewayColumn(verbose_name="Gateway")
    status = MethodStatusColumn(css="m2", verbose_name="Status")
    created_at = tables.WhenColumn(sort="pk", css="tnum", verbose_name="Added")
    archived_at = tables.WhenColumn(css="tnum", verbose_name="Removed")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = PaymentMethod
        fields = ()
        order_by = "-created_at"

    caption = "Payment methods"
    always = ("description",)
    default = ("type", "expires", "gateway", "status", "created_at", "archived_at")
