"""The filters of the list of card tokenization links."""

import django_filters

from billing.filters.base import BillingFilter
from billing.gateways import GATEWAYS, about
from billing.models import TokenizationLink
from dashboard.filters import FromFilter, ToFilter


class CardLinkFilter(BillingFilter):
    status = django_filters.ChoiceFilter(
        label="Status", choices=TokenizationLink.Status.choices, empty_label="Any status", method="by_status"
    )
    gateway = django_filters.ChoiceFilter(
        label="Gateway", choices=[(slug, about(slug).name) for slug in GATEWAYS], empty_label="Any gateway"
    )
    expires_from = FromFilter(field_name="expires_at", label="Link expires from")
    expires_to = ToFilter(field_name="expires_at", label="Link expires to")
    currency = None  # no money moves on a link

    groups = {
        "Status": ["status"],
        "Created": ["created", "created_from", "created_to"],
        "Expires": ["expires_from", "expires_to"],
        "More filters": ["customer", "gateway"],
    }

    class Meta:
        model = TokenizationLink
        fields = []

    def by_status(self, queryset, name, value):
        """By the clock: a link past its time is expired, marked or not."""
        if value == TokenizationLink.Status.NEW:
            return queryset.open()
        return queryset.expired() if value == TokenizationLink.Status.EXPIRED else queryset.filter(status=value)
