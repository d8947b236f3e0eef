"""The filters of the list of webhook deliveries."""

import django_filters

from billing.gateways import GATEWAYS
from billing.models import WebhookDelivery
from dashboard.filters import FilterSet, FromFilter, PeriodFilter, TextFilter, ToFilter

STATES = [("waiting", "Not settled yet"), *WebhookDelivery.State.choices]


class DeliveryFilter(FilterSet):
    state = django_filters.ChoiceFilter(label="State", choices=STATES, empty_label="Any state", method="by_state")
    received = PeriodFilter(field_name="received_at", label="Received")
    received_from = FromFilter(field_name="received_at", label="Received from")
    received_to = ToFilter(field_name="received_at", label="Received to")
    type = TextFilter(lookup_expr="startswith", label="Event", help_text="Its type, or the beginning of it.")
    remote_id = TextFilter(label="About", help_text="The gateway's ID of a checkout, payment or refund.")
    event_id = TextFilter(label="Event ID")
    gateway = django_filters.ChoiceFilter(
        label="Gateway", choices=[(slug, slug.capitalize()) for slug in GATEWAYS], empty_label="Any gateway"
    )

    groups = {
        "State": ["state"],
        "Received": ["received", "received_from", "received_to"],
        "Event": ["type", "event_id", "remote_id"],
        "More filters": ["gateway"],
    }

    class Meta:
        model = WebhookDelivery
        fields = []

    def by_state(self, queryset, name, value):
        return queryset.filter(state__in=WebhookDelivery.OPEN) if value == "waiting" else queryset.filter(state=value)
