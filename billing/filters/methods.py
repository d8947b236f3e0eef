"""The filters of the list of a customer's payment methods."""

import django_filters
from django.db.models import Q
from django.utils import timezone

from billing.gateways import GATEWAYS, about
from billing.models import PaymentMethod
from dashboard.filters import FilterSet, PeriodFilter

STATES = [("active", "Active"), ("expired", "Expired"), ("removed", "Removed")]


class MethodFilter(FilterSet):
    """At first all of them: this is the page that shows the removed ones as well."""

    status = django_filters.ChoiceFilter(label="Status", choices=STATES, empty_label="Any status", method="by_status")
    type = django_filters.ChoiceFilter(label="Type", choices=PaymentMethod.Type.choices, empty_label="Any type")
    gateway = django_filters.ChoiceFilter(
        label="Gateway", choices=[(slug, about(slug).name) for slug in GATEWAYS], empty_label="Any gateway"
    )
    created = PeriodFilter(field_name="created_at", label="Added")

    groups = {"Status": ["status"], "Type": ["type"], "Gateway": ["gateway"], "Added": ["created"]}

    class Meta:
        model = PaymentMethod
        fields = []

    def by_status(self, queryset, name, value):
        """By the calendar: a card past its last day is expired, whatever its status says."""
        if value == "removed":
            return queryset.filter(status=PaymentMethod.Status.ARCHIVED)
        today = timezone.localdate()
        past = Q(expire_year__lt=today.year) | Q(expire_year=today.year, expire_month__lt=today.month)
        expired = Q(past, type=PaymentMethod.Type.CARD)
        return queryset.active().filter(expired if value == "expired" else ~expired)
