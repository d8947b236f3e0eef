"""The filters of the list of payment requests."""

import django_filters
from django.db.models import Exists, OuterRef, TextField
from django.db.models.functions import Cast

from billing.filters.base import AmountFilter, BillingFilter
from billing.models import PaymentRequest
from billing.tables.cells import METHODS
from dashboard.filters import FromFilter, StaffFilter, ToFilter
from dashboard.models import Event, User


class RequestFilter(BillingFilter):
    status = django_filters.ChoiceFilter(
        label="Status",
        choices=[("open", "Open"), ("completed", "Completed"), ("expired", "Expired"), ("canceled", "Canceled")],
        empty_label="Any status",
        method="by_status",
    )
    method = django_filters.ChoiceFilter(
        label="Method", choices=list(METHODS.items()), empty_label="Any method", method="by_method"
    )
    opened = django_filters.ChoiceFilter(
        label="Opened by the payer",
        choices=[("yes", "Opened"), ("no", "Not opened yet")],
        empty_label="Opened or not",
        method="by_opened",
    )
    origin = django_filters.ChoiceFilter(
        label="Made for",
        choices=[("link", "A link to send"), ("terminal", "The virtual terminal")],
        empty_label="Either",
        method="by_origin",
    )
    created_by = StaffFilter(label="Created by", queryset=User.objects.order_by("name"), empty_label="Anybody")
    expires_from = FromFilter(field_name="expires_at", label="Link expires from")
    expires_to = ToFilter(field_name="expires_at", label="Link expires to")
    amount_from = AmountFilter(field_name="amount", lookup_expr="gte", label="Amount from")
    amount_to = AmountFilter(field_name="amount", lookup_expr="lte", label="Amount to")

    groups = {
        "Status": ["status", "opened"],
        "Created": ["created", "created_from", "created_to"],
        "Expires": ["expires_from", "expires_to"],
        "Amount": ["amount_from", "amount_to", "currency"],
        "Method": ["method"],
        "More filters": ["customer", "created_by", "origin"],
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

    def by_method(self, queryset, name, value):
        """Those that let their payer choose it. The list of types is text to both databases."""
        return queryset.alias(types=Cast("method_types", TextField())).filter(types__contains=f'"{value}"')

    def by_opened(self, queryset, name, value):
        seen = Exists(Event.objects.filter(object_id=OuterRef("pk"), type="payment_request.viewed"))
        return queryset.filter(seen if value == "yes" else ~seen)

    def by_origin(self, queryset, name, value):
        return queryset.filter(by_staff=value == "terminal")
