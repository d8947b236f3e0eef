"""The filters of the lists of statements, payments and payment requests."""

from decimal import Decimal

import django_filters
from django.db.models import Q

from billing.models import BillingStatement, Payment, PaymentRequest
from customers.models import Customer
from dashboard.filters import FilterSet, FromFilter, PeriodFilter, SearchFilter, TextFilter, ToFilter
from dashboard.money import EXPONENTS, currency_choices

_UNUSUAL = {places: [c for c, p in EXPONENTS.items() if p == places] for places in set(EXPONENTS.values())}


class AmountFilter(django_filters.NumberFilter):
    """An amount in major units, whatever the row's currency: 100 means 100.00 USD as well as 100 JPY."""

    def __init__(self, **kwargs):
        super().__init__(min_value=0, max_value=10**10, max_digits=15, **kwargs)

    def filter(self, queryset, value):
        if value is None:
            return queryset
        usual = self._at(value, 2) & ~Q(currency__in=list(EXPONENTS))
        others = [self._at(value, places) & Q(currency__in=codes) for places, codes in _UNUSUAL.items()]
        return queryset.filter(Q(usual, *others, _connector=Q.OR))

    def _at(self, value, places):
        return Q(**{f"{self.field_name}__{self.lookup_expr}": int(Decimal(value).scaleb(places))})


class BillingFilter(FilterSet):
    """What all three lists are filtered by."""

    q = SearchFilter(label="Search")
    created = PeriodFilter(field_name="created_at", label="Created")
    created_from = FromFilter(field_name="created_at", label="Created from")
    created_to = ToFilter(field_name="created_at", label="Created to")
    customer = TextFilter(field_name="customer_id", label="Customer ID")
    currency = django_filters.ChoiceFilter(choices=currency_choices, label="Currency", empty_label="Any currency")

    @property
    def chips(self):
        """The customer by name, not by ID."""
        return [
            ("Customer", self._name(value), name) if name == "customer" else (label, value, name)
            for label, value, name in super().chips
        ]

    def _name(self, pk):
        found = Customer.objects.filter(pk=pk)
        found = found.filter(livemode=self.request.livemode) if self.request else found
        return found.values_list("name", flat=True).first() or pk


class StatementFilter(BillingFilter):
    status = django_filters.ChoiceFilter(
        label="Status",
        choices=[*BillingStatement.Status.choices, ("overdue", "Overdue")],
        empty_label="Any status",
        method="by_status",
    )
    due = PeriodFilter(field_name="due_at", label="Due")
    due_from = FromFilter(field_name="due_at", label="Due from")
    due_to = ToFilter(field_name="due_at", label="Due to")
    total_from = AmountFilter(field_name="total", lookup_expr="gte", label="Total from")
    total_to = AmountFilter(field_name="total", lookup_expr="lte", label="Total to")

    groups = {
        "Status": ["status"],
        "Created": ["created", "created_from", "created_to"],
        "Due": ["due", "due_from", "due_to"],
        "Amount": ["total_from", "total_to", "currency"],
        "More filters": ["customer"],
    }

    class Meta:
        model = BillingStatement
        fields = []

    def by_status(self, queryset, name, value):
        return queryset.overdue() if value == "overdue" else queryset.filter(status=value)


PRODUCTS = [("other", "All but billing statements"), *Payment.Product.choices]


class PaymentFilter(BillingFilter):
    status = django_filters.ChoiceFilter(label="Status", choices=Payment.Status.choices, empty_label="Any status")
    product = django_filters.ChoiceFilter(label="Product", choices=PRODUCTS, empty_label="Any product", method="by_product")
    method = django_filters.ChoiceFilter(
        field_name="method_type", label="Method", choices=Payment.Method.choices, empty_label="Any method"
    )
    amount_from = AmountFilter(field_name="amount", lookup_expr="gte", label="Amount from")
    amount_to = AmountFilter(field_name="amount", lookup_expr="lte", label="Amount to")

    groups = {
        "Status": ["status"],
        "Created": ["created", "created_from", "created_to"],
        "Product": ["product"],
        "Method": ["method"],
        "Amount": ["amount_from", "amount_to", "currency"],
        "More filters": ["customer"],
    }

    class Meta:
        model = Payment
        fields = []

    def by_product(self, queryset, name, value):
        """`other` is every product but billing statements (R-45)."""
        if value == "all":
            return queryset
        return queryset.other_products() if value == "other" else queryset.filter(product_type=value)


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
