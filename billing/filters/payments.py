"""The filters of the list of payments."""

import re

import django_filters
from django.db.models import F, Q

from billing.domain.address_check import WORDS
from billing.filters.base import AmountFilter, BillingFilter
from billing.gateways import GATEWAYS
from billing.models import Dispute, Payment, PaymentMethod, Refund
from dashboard.filters import FromFilter, PeriodFilter, TextFilter, ToFilter
from dashboard.ids import HEX

STATUSES = [
    *Payment.Status.choices,
    ("refunded", "Refunded"),
    ("partly_refunded", "Partly refunded"),
    ("disputed", "Disputed"),
]
PRODUCTS = [("other", "All but billing statements"), *Payment.Product.choices]
_STATEMENT_ID = re.compile(rf"(?:bstm_)?{HEX}")


class PaymentFilter(BillingFilter):
    status = django_filters.ChoiceFilter(label="Status", choices=STATUSES, empty_label="Any status", method="by_status")
    product = django_filters.ChoiceFilter(label="Product", choices=PRODUCTS, empty_label="Any product", method="by_product")
    method = django_filters.ChoiceFilter(
        field_name="method_type", label="Method", choices=Payment.Method.choices, empty_label="Any method"
    )
    brand = TextFilter(field_name="method_brand", lookup_expr="iexact", label="Brand", help_text="Such as Visa or GCash.")
    last4 = TextFilter(field_name="method_last4", label="Last four digits")
    source = TextFilter(field_name="source_id", label="Payment method ID", help_text="Of a method on file.")
    amount_from = AmountFilter(field_name="amount", lookup_expr="gte", label="Amount from")
    amount_to = AmountFilter(field_name="amount", lookup_expr="lte", label="Amount to")
    paid = PeriodFilter(field_name="paid_at", label="Paid")
    paid_from = FromFilter(field_name="paid_at", label="Paid from")
    paid_to = ToFilter(field_name="paid_at", label="Paid to")
    statement = TextFilter(label="Statement", method="by_statement", help_text="Its number or ID.")
    gateway = django_filters.ChoiceFilter(
        label="Gateway",
        choices=[*((slug, slug.capitalize()) for slug in GATEWAYS), ("none", "None: recorded here")],
        empty_label="Any gateway",
        method="by_gateway",
    )
    address_check = django_filters.ChoiceFilter(label="Address check", choices=list(WORDS.items()), empty_label="Any outcome")
    failure = TextFilter(label="Why it failed", method="by_failure", help_text="A code, or words of the reason.")

    groups = {
        "Status": ["status", "failure"],
        "Created": ["created", "created_from", "created_to"],
        "Paid": ["paid", "paid_from", "paid_to"],
        "Product": ["product"],
        "Method": ["method", "brand", "last4", "source"],
        "Amount": ["amount_from", "amount_to", "currency"],
        "More filters": ["customer", "statement", "gateway", "address_check"],
    }

    class Meta:
        model = Payment
        fields = []

    @property
    def chips(self):
        """A method on file by its words, not by ID."""
        return [
            ("Payment method", self._method(value), name) if name == "source" else (label, value, name)
            for label, value, name in super().chips
        ]

    def _method(self, pk):
        found = PaymentMethod.objects.filter(pk=pk)
        found = found.filter(livemode=self.request.livemode) if self.request else found
        return str(found.first() or pk)

    def filter_queryset(self, queryset):
        """What was paid at some time is paid: said as well, because the index of times holds nothing else."""
        asked = any(self.form.cleaned_data.get(name) for name in ("paid", "paid_from", "paid_to"))
        return super().filter_queryset(queryset.paid() if asked else queryset)

    def by_status(self, queryset, name, value):
        """Refunded and disputed ones are found from their refunds and disputes: those are few, payments are many."""
        if value == "disputed":
            among = Dispute.objects.exclude(status=Dispute.Status.WON).values("payment")
            return queryset.filter(pk__in=among, dispute__in=[Dispute.Status.OPEN, Dispute.Status.LOST])
        if value not in ("refunded", "partly_refunded"):
            return queryset.filter(status=value)
        whole = Q(amount_refunded=F("amount"))
        given_back = queryset.filter(pk__in=Refund.objects.counted().values("payment"), amount_refunded__gt=0)
        return given_back.filter(whole if value == "refunded" else ~whole)

    def by_product(self, queryset, name, value):
        """`other` is every product but billing statements (R-45)."""
        if value == "all":
            return queryset
        return queryset.other_products() if value == "other" else queryset.filter(product_type=value)

    def by_statement(self, queryset, name, value):
        if not value:
            return queryset
        by_id = _STATEMENT_ID.fullmatch(value)
        return queryset.filter(statement=value) if by_id else queryset.filter(statement__number=value.upper())

    def by_gateway(self, queryset, name, value):
        return queryset.filter(gateway="" if value == "none" else value)

    def by_failure(self, queryset, name, value):
        if not value:
            return queryset
        failed = queryset.filter(status=Payment.Status.FAILED)
        return failed.filter(Q(failure_code__iexact=value) | Q(failure_message__icontains=value))


class CustomerPaymentFilter(PaymentFilter):
    """On a customer's own page, where statements have a section of their own: the other products first (C5)."""

    product = django_filters.ChoiceFilter(
        label="Product", choices=[*PRODUCTS, ("all", "All")], empty_label=None, method="by_product"
    )
    defaults = {"product": "other"}

    class Meta(PaymentFilter.Meta):
        pass

    @property
    def chips(self):
        """All products is a tab here, not a filter to take off."""
        return [chip for chip in super().chips if chip[2] != "product" or self.form.cleaned_data["product"] != "all"]
