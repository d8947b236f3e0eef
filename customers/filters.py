"""The filters of the customers list (R-7)."""

import django_filters

from customers.models import Customer
from dashboard.filters import FilterSet, FromFilter, PeriodFilter, SearchFilter, TextFilter, ToFilter
from dashboard.money import currency_choices
from dashboard.places import countries


def _methods():
    """The model of payment methods, by the reverse relation: billing imports customers, never the other way round."""
    return Customer._meta.get_field("methods").related_model


def gateways():
    return _methods()._meta.app_config.gateway_choices()


def method_types():
    return _methods().Type.choices


class CustomerFilter(FilterSet):
    q = SearchFilter(label="Search")
    status = django_filters.ChoiceFilter(
        label="Status", choices=[*Customer.Status.choices, ("all", "All")], empty_label=None, method="by_status"
    )
    delinquent = django_filters.ChoiceFilter(
        label="Overdue", choices=[("yes", "Overdue"), ("no", "Not overdue")], empty_label="Either", method="by_delinquent"
    )
    created = PeriodFilter(field_name="created_at", label="Created")
    created_from = FromFilter(field_name="created_at", label="Created from")
    created_to = ToFilter(field_name="created_at", label="Created to")
    updated = PeriodFilter(field_name="updated_at", label="Updated")
    country = django_filters.ChoiceFilter(choices=countries, label="Country", empty_label="Any country")
    kind = django_filters.ChoiceFilter(choices=Customer.Kind.choices, label="Kind", empty_label="Any kind")
    origin = django_filters.ChoiceFilter(choices=Customer.Origin.choices, label="Origin", empty_label="Anywhere")
    currency = django_filters.ChoiceFilter(choices=currency_choices, label="Currency", empty_label="Any currency")
    reference = TextFilter(field_name="reference", label="Reference")
    company_name = TextFilter(field_name="company_name", label="Company")
    did = TextFilter(field_name="did", label="DID")
    gateway = django_filters.ChoiceFilter(choices=gateways, label="Gateway", empty_label="Any gateway", method="by_gateway")
    method = django_filters.ChoiceFilter(
        choices=method_types, label="Payment method", empty_label="Any kind, or none", method="by_method"
    )
    card = django_filters.ChoiceFilter(
        label="Card on file",
        choices=[("expiring", "Expires soon"), ("expired", "Expired")],
        empty_label="Any",
        method="by_card",
    )
    has_coupon = django_filters.ChoiceFilter(
        label="Coupon", choices=[("yes", "Made for them or used"), ("no", "None")], empty_label="Either", method="by_coupon"
    )

    groups = {
        "Created": ["created", "created_from", "created_to"],
        "Status": ["status", "delinquent"],
        "Country": ["country"],
        "Payment method": ["method", "gateway", "card"],
        "More filters": ["kind", "origin", "currency", "updated", "has_coupon", "reference", "company_name", "did"],
    }
    defaults = {"status": "active"}
    ordered = ("status", "country", "kind", "origin", "currency", "created", "created_from", "created_to")

    class Meta:
        model = Customer
        fields = []

    def by_status(self, queryset, name, value):
        return queryset if value == "all" else queryset.filter(status=value)

    def by_delinquent(self, queryset, name, value):
        return queryset.delinquent() if value == "yes" else queryset.not_delinquent()

    def by_gateway(self, queryset, name, value):
        return queryset.with_method(livemode=self.livemode, gateway=value)

    def by_method(self, queryset, name, value):
        return queryset.with_method(livemode=self.livemode, type=value)

    def by_card(self, queryset, name, value):
        return queryset.with_card(value, self.livemode)

    def by_coupon(self, queryset, name, value):
        return queryset.with_coupon() if value == "yes" else queryset.without_coupon()

    @property
    def livemode(self):
        return bool(self.request and self.request.livemode)
