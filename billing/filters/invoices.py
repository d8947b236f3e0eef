"""The filters of the list of subscription invoices."""

import django_filters

from billing.filters.statements import BillFilter
from billing.models import BillingStatement, Subscription
from dashboard.filters import FromFilter, TextFilter, ToFilter


class InvoiceFilter(BillFilter):
    subscription = TextFilter(field_name="subscription_id", label="Subscription ID")
    billing = django_filters.ChoiceFilter(
        field_name="billing", label="Billing", choices=Subscription.Billing.choices, empty_label="Charged or sent"
    )
    period_from = FromFilter(field_name="period_start", label="Period begins from")
    period_to = ToFilter(field_name="period_start", label="Period begins to")

    groups = {
        "Status": ["status", "billing"],
        "Period": ["period_from", "period_to"],
        "Due": ["age", "due", "due_from", "due_to"],
        "Created": ["created", "created_from", "created_to"],
        "Amount": ["total_from", "total_to", "currency"],
        "More filters": ["customer", "subscription"],
    }

    class Meta:
        model = BillingStatement
        fields = []

    @property
    def chips(self):
        """The subscription by name, not by ID."""
        return [
            ("Subscription", self._subscription(value), name) if name == "subscription" else (label, value, name)
            for label, value, name in super().chips
        ]

    def _subscription(self, pk):
        found = Subscription.objects.filter(pk=pk)
        found = found.filter(livemode=self.request.livemode) if self.request else found
        return found.values_list("name", flat=True).first() or pk
