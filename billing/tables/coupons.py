"""The columns of the lists of coupons and of their uses, and of their exports."""

from django.urls import reverse
from django.utils.html import escape, format_html

from billing.models import Coupon, CouponRedemption
from billing.models.coupons import status_at
from billing.tables.cells import StatusColumn, TitleColumn
from dashboard import tables
from dashboard.export import Csv
from dashboard.templatetags.ui import badge_html


class CouponStatusColumn(tables.BadgeColumn):
    def html(self, row):
        return badge_html(row.badge, "coupon")


class WordsColumn(tables.Column):
    """A property in words."""

    def html(self, row):
        return escape(self.value(row))


class CouponTable(tables.Table):
    code = TitleColumn(sort="sort_name", css="strong m1", verbose_name="Code")
    name = tables.Column(verbose_name="Name")
    status = CouponStatusColumn(accessor="badge", verbose_name="Status")
    discount = WordsColumn(css="num strong m2", verbose_name="Discount")
    currency = tables.Column(verbose_name="Currency")
    duration = WordsColumn(accessor="lasts", css="m3", verbose_name="Duration")
    redeemed = WordsColumn(accessor="uses", sort="times_redeemed", css="num tnum", verbose_name="Redeemed")
    redeem_by = tables.WhenColumn(css="tnum", verbose_name="Redeem by")
    customer = tables.RelatedColumn(verbose_name="Customer")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    starts_at = tables.WhenColumn(css="tnum", verbose_name="Starts")
    max_per_customer = tables.Column(css="num tnum", verbose_name="Uses by one customer")
    created_by = tables.Column(verbose_name="Created by")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = Coupon
        fields = ()
        order_by = "-created_at"

    caption = "Coupons"
    always = ("code",)
    default = ("name", "status", "discount", "duration", "redeemed", "redeem_by", "customer", "created_at")
    prefetch = {"created_by": "created_by"}
    csv = (
        Csv("id", kind="code"),
        Csv("code"),
        Csv("name"),
        Csv("status", status_at(), kind="code"),
        Csv("percent_off", kind="number"),
        Csv("amount_off", kind="money"),
        Csv("currency", kind="code"),
        Csv("duration", kind="code"),
        Csv("duration_in_months", kind="number"),
        Csv("times_redeemed", kind="number"),
        Csv("max_redemptions", kind="number"),
        Csv("max_per_customer", kind="number"),
        Csv("starts_at", kind="time"),
        Csv("redeem_by", kind="time"),
        Csv("active", kind="flag"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("created_at", kind="time"),
        Csv("description"),
        Csv("metadata", kind="json", contact="text"),
    )


class CustomerCouponTable(CouponTable):
    default = ("name", "status", "discount", "duration", "redeemed", "redeem_by", "created_at")

    class Meta(CouponTable.Meta):
        pass


class UsedOnColumn(tables.LinkColumn):
    """What a coupon was used on, leading to its page."""

    def value(self, row):
        return str(row.used_on)


class CodeColumn(tables.Column):
    """The coupon's code, leading to its page."""

    def html(self, row):
        url = reverse("billing:coupon", args=[row.coupon_id])
        return format_html('<a class="over" href="{}">{}</a>', url, row.coupon)


class RedemptionTable(tables.Table):
    used_on = UsedOnColumn(verbose_name="Used on")
    coupon = CodeColumn(css="m3", verbose_name="Coupon")
    customer = tables.RelatedColumn(verbose_name="Customer")
    state = StatusColumn(accessor="badge", verbose_name="Status")
    redeemed_at = tables.WhenColumn(sort="pk", css="tnum", verbose_name="Used at")
    amount_discounted = tables.MoneyColumn(css="num strong m2", verbose_name="Taken off")
    released_at = tables.WhenColumn(css="tnum", verbose_name="Given back at")
    created_by = tables.Column(verbose_name="By")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = CouponRedemption
        fields = ()
        order_by = "-redeemed_at"

    caption = "Uses of coupons"
    always = ("used_on",)
    default = ("coupon", "customer", "state", "redeemed_at", "amount_discounted")
    prefetch = {"created_by": "created_by"}
    csv = (
        Csv("id", kind="code"),
        Csv("redeemed_at", kind="time"),
        Csv("released_at", kind="time"),
        Csv("coupon_id", kind="code"),
        Csv("code", "coupon__code"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("statement_id", kind="code"),
        Csv("statement_number", "statement__number"),
        Csv("request_id", kind="code"),
        Csv("subscription_id", kind="code"),
        Csv("counts", kind="flag"),
        Csv("amount_discounted", kind="money"),
        Csv("currency", kind="code"),
    )
