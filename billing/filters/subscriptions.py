"""The filters of the list of subscriptions."""

import django_filters

from billing.filters.base import BillingFilter
from billing.models import Subscription
from dashboard.filters import FromFilter, ToFilter


class SubscriptionFilter(BillingFilter):
    status = django_filters.ChoiceFilter(label="Status", choices=Subscription.Status.choices, empty_label="Any status")
    ends = django_filters.ChoiceFilter(
        label="Ends",
        choices=[("yes", "With its period"), ("no", "Goes on")],
        empty_label="Ends or goes on",
        method="by_end",
    )
    problem = django_filters.ChoiceFilter(
        label="Invoice problem",
        choices=[("yes", "Its last invoice was not issued"), ("no", "None")],
        empty_label="With or without a problem",
        method="by_problem",
    )
    interval = django_filters.ChoiceFilter(label="Billed", choices=Subscription.Interval.choices, empty_label="However often")
    billing = django_filters.ChoiceFilter(label="Billing", choices=Subscription.Billing.choices, empty_label="Charged or sent")
    next_from = FromFilter(field_name="next_invoice_on", label="Next invoice from")
    next_to = ToFilter(field_name="next_invoice_on", label="Next invoice to")

    groups = {
        "Status": ["status", "ends", "problem"],
        "Billing": ["interval", "billing", "currency"],
        "Next invoice": ["next_from", "next_to"],
        "Created": ["created", "created_from", "created_to"],
        "More filters": ["customer"],
    }

    class Meta:
        model = Subscription
        fields = []

    def by_end(self, queryset, name, value):
        live = queryset.exclude(status=Subscription.Status.CANCELED)
        return live.filter(cancel_at_period_end=value == "yes")

    def by_problem(self, queryset, name, value):
        return queryset.exclude(problem="") if value == "yes" else queryset.filter(problem="")
