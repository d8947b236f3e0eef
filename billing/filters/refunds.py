"""The filters of the list of refunds."""

import django_filters

from billing.filters.base import AmountFilter, BillingFilter
from billing.models import Refund
from dashboard.filters import PeriodFilter, TextFilter


class RefundFilter(BillingFilter):
    status = django_filters.ChoiceFilter(label="Status", choices=Refund.Status.choices, empty_label="Any status")
    reason = django_filters.ChoiceFilter(label="Reason", choices=Refund.Reason.choices, empty_label="Any reason")
    destination = django_filters.ChoiceFilter(label="Goes back to", choices=Refund.Destination.choices, empty_label="Anywhere")
    succeeded = PeriodFilter(field_name="succeeded_at", label="Succeeded")
    amount_from = AmountFilter(field_name="amount", lookup_expr="gte", label="Amount from")
    amount_to = AmountFilter(field_name="amount", lookup_expr="lte", label="Amount to")
    payment = TextFilter(field_name="payment_id", label="Payment ID")

    groups = {
        "Status": ["status"],
        "Reason": ["reason", "destination"],
        "Created": ["created", "created_from", "created_to", "succeeded"],
        "Amount": ["amount_from", "amount_to", "currency"],
        "More filters": ["customer", "payment"],
    }

    class Meta:
        model = Refund
        fields = []
