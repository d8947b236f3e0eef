"""The filters of the lists of coupons and of their uses."""

import django_filters

from billing.filters.base import BillingFilter
from billing.models import Coupon, CouponRedemption
from billing.models.coupons import STATUSES
from dashboard.filters import FilterSet, FromFilter, PeriodFilter, TextFilter, ToFilter


class CouponFilter(BillingFilter):
    status = django_filters.ChoiceFilter(
        label="Status", choices=list(STATUSES.items()), empty_label="Any status", method="by_status"
    )
    kind = django_filters.ChoiceFilter(
        label="Takes off",
        choices=[("percent", "A percentage"), ("amount", "An amount")],
        empty_label="Either",
        method="by_kind",
    )
    duration = django_filters.ChoiceFilter(label="Duration", choices=Coupon.Duration.choices, empty_label="Any duration")
    bound = django_filters.ChoiceFilter(
        label="For", choices=[("yes", "One customer"), ("no", "Anyone")], empty_label="Either", method="by_customer"
    )
    redeem_by_from = FromFilter(field_name="redeem_by", label="Redeem by, from")
    redeem_by_to = ToFilter(field_name="redeem_by", label="Redeem by, to")

    groups = {
        "Status": ["status"],
        "Discount": ["kind", "currency", "duration"],
        "Redeem by": ["redeem_by_from", "redeem_by_to"],
        "Created": ["created", "created_from", "created_to"],
        "Customer": ["bound", "customer"],
    }

    class Meta:
        model = Coupon
        fields = []

    def by_status(self, queryset, name, value):
        return queryset.in_status(value)

    def by_kind(self, queryset, name, value):
        return queryset.filter(percent_off__isnull=value == "amount")

    def by_customer(self, queryset, name, value):
        return queryset.filter(customer__isnull=value == "no")


class RedemptionFilter(FilterSet):
    state = django_filters.ChoiceFilter(
        label="Status", choices=[("used", "Used"), ("released", "Given back")], empty_label="Either", method="by_state"
    )
    redeemed = PeriodFilter(field_name="redeemed_at", label="Used")
    redeemed_from = FromFilter(field_name="redeemed_at", label="Used from")
    redeemed_to = ToFilter(field_name="redeemed_at", label="Used to")
    coupon = TextFilter(field_name="coupon_id", label="Coupon ID")
    code = TextFilter(field_name="coupon__sort_name", label="Coupon code", method="by_code")
    customer = TextFilter(field_name="customer_id", label="Customer ID")
    currency = BillingFilter.base_filters["currency"]

    groups = {
        "Status": ["state"],
        "Used": ["redeemed", "redeemed_from", "redeemed_to"],
        "Coupon": ["code", "coupon"],
        "More filters": ["customer", "currency"],
    }

    class Meta:
        model = CouponRedemption
        fields = []

    def by_state(self, queryset, name, value):
        return queryset.standing() if value == "used" else queryset.exclude(released_at=None)

    def by_code(self, queryset, name, value):
        return queryset.filter(coupon__code__iexact=value) if value else queryset
