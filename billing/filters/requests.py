"""The filters of the list of payment requests."""

import django_filters

from billing.filters.base import AmountFilter, BillingFilter
from billing.models import PaymentRequest
from dashboard.filters import FromFilter, ToFilter


class RequestFilter(BillingFilter):
    status = django_filters.ChoiceFilter(
        label="Status",
        choices=[("open", "Open"), ("completed", "Completed"), ("expired", "Expired"), ("canceled", "Canceled")],
        empty_label="Any status",
        method="by_status",
    )
    expires_from = FromFilter(field_name="expires_at", label="Link expires from")
    expires_to = ToFilter(field_name="expires_at", label="Link expires to")
    amount_from = AmountFilter(field_name="amount", lookup_expr="gte", label="Amount from")
    amount_to = AmountFilter(field_name="amount", lookup_expr="lte", label="Amount to")

    groups = {
        "Status": ["status"],
        "Created": ["created", "created_from", "created_to"],
        "Expires": ["expires_from", "expires_to"],
        "Amount": ["amount_from", "amount_to", "currency"],
        "More filters": ["customer"],
    }

    class Meta:
        model = PaymentRequest
        fields = []

    def by_status(self, queryset, name, value):
        """By the clock: a request past its time is expired, marked or not."""
        if value == "open":
            return queryset.open()
        if value == "expired":
            return queryset.expired()
        return queryset.filter(status={"completed": PaymentRequest.Status.DONE}.get(value, value))
