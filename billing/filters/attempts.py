"""The filters of the list of attempts."""

import django_filters

from billing.gateways import GATEWAYS
from billing.models import Attempt
from dashboard.filters import FilterSet, PeriodFilter, TextFilter

STATES = [("unknown", "Being checked"), ("open", "Open"), ("done", "Done"), ("failed", "Failed"), ("all", "All")]


class AttemptFilter(FilterSet):
    """At first those whose outcome nobody knows."""

    state = django_filters.ChoiceFilter(label="State", choices=STATES, empty_label=None, method="by_state")
    kind = django_filters.ChoiceFilter(label="What", choices=Attempt.Kind.choices, empty_label="Anything")
    gateway = django_filters.ChoiceFilter(
        label="Gateway", choices=[(slug, slug.capitalize()) for slug in GATEWAYS], empty_label="Any gateway"
    )
    created = PeriodFilter(field_name="created_at", label="Since")
    target = TextFilter(field_name="target_id", label="For ID", help_text="The payment, refund, request or statement.")
    customer = TextFilter(field_name="customer_id", label="Customer ID")

    defaults = {"state": "unknown"}
    groups = {
        "State": ["state"],
        "What": ["kind", "gateway"],
        "Since": ["created"],
        "More filters": ["target", "customer"],
    }

    class Meta:
        model = Attempt
        fields = []

    def by_state(self, queryset, name, value):
        """Open ones have an index of their own, which the unknown ones are found by too."""
        if value == "unknown":
            return queryset.open().unknown()
        if value == "open":
            return queryset.open()
        return queryset if value == "all" else queryset.filter(state=value)

    @property
    def chips(self):
        """All is a tab here, not a filter to take off."""
        return [chip for chip in super().chips if chip[2] != "state" or self.form.cleaned_data["state"] != "all"]
