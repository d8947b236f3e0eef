"""What the lists of money are all filtered by."""

from decimal import Decimal

import django_filters
from django.db.models import Q

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
