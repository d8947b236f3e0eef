"""The filters of the list of billing statements, and those it shares with invoices."""

import django_filters

from billing.ages import CHOICES, aged
from billing.filters.base import AmountFilter, BillingFilter
from billing.models import BillingStatement
from dashboard.filters import FromFilter, PeriodFilter, ToFilter


class BillFilter(BillingFilter):
    """What statements and invoices are both filtered by."""

    status = django_filters.ChoiceFilter(
        label="Status",
        choices=[*BillingStatement.Status.choices, ("overdue", "Overdue")],
        empty_label="Any status",
        method="by_status",
    )
    due = PeriodFilter(field_name="due_at", label="Due")
    due_from = FromFilter(field_name="due_at", label="Due from")
    due_to = ToFilter(field_name="due_at", label="Due to")
    age = django_filters.ChoiceFilter(label="Still to pay", choices=CHOICES, empty_label="However late", method="by_age")
    total_from = AmountFilter(field_name="total", lookup_expr="gte", label="Total from")
    total_to = AmountFilter(field_name="total", lookup_expr="lte", label="Total to")

    def by_status(self, queryset, name, value):
        return queryset.overdue() if value == "overdue" else queryset.filter(status=value)

    def by_age(self, queryset, name, value):
        """Open statements alone: what the overview counts as owed, by how late it is."""
        return queryset.filter(aged(value), status=BillingStatement.Status.OPEN)


class StatementFilter(BillFilter):
    bills = django_filters.ChoiceFilter(
        label="Bills",
        choices=[("one_off", "Billing statements"), ("all", "Billing statements and invoices")],
        empty_label=None,
        method="by_bills",
    )
    fulfilled = django_filters.ChoiceFilter(
        label="Fulfilled",
        choices=[("yes", "Fulfilled"), ("no", "Not fulfilled yet")],
        empty_label="Fulfilled or not",
        method="by_fulfilment",
    )

    defaults = {"bills": "one_off"}
    ordered = ("bills",)
    groups = {
        "Status": ["status", "fulfilled"],
        "Created": ["created", "created_from", "created_to"],
        "Due": ["age", "due", "due_from", "due_to"],
        "Amount": ["total_from", "total_to", "currency"],
        "More filters": ["bills", "customer"],
    }

    class Meta:
        model = BillingStatement
        fields = []

    def by_bills(self, queryset, name, value):
        """Statements alone, unless the invoices of subscriptions are asked for as well."""
        return queryset if value == "all" else queryset.one_off()

    def by_fulfilment(self, queryset, name, value):
        """Not fulfilled yet: finalised, not void, and without the mark."""
        if value == "yes":
            return queryset.filter(fulfilled_at__isnull=False)
        status = BillingStatement.Status
        return queryset.filter(fulfilled_at=None).exclude(status__in=[status.DRAFT, status.VOID])
