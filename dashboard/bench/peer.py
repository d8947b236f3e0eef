"""What the list is compared with: the same list as the manuals of its packages have it.

django-tables2's own table and template, django-filter's form rendered by Django, Django's Paginator with its
exact count and OFFSET. Same rows, columns, indexes and page frame.
"""

import django_filters
import django_tables2
from django.forms import Form
from django.forms.renderers import DjangoTemplates
from django.template import engines
from django.utils.functional import cached_property
from django_filters.views import FilterView

from customers.models import Customer
from customers.views import CustomerList
from dashboard.places import countries

PAGE = """{% extends "base.html" %}{% load render_table from django_tables2 %}{% block main %}
<h1>Customers</h1><form method="get">{{ filter.form.as_p }}<button>Filter</button></form>{% render_table table %}{% endblock %}"""
SEARCHED = ("name", "email", "phone", "reference", "metadata")


class PlainForm(Form):
    default_renderer = DjangoTemplates()


class PlainFilter(django_filters.FilterSet):
    country = django_filters.ChoiceFilter(choices=countries)

    class Meta:
        model = Customer
        fields = ["status", "kind", "origin", "reference", "created_at"]
        form = PlainForm


class PlainTable(django_tables2.Table):
    name = django_tables2.Column(linkify=True)
    collected = django_tables2.Column(empty_values=())

    class Meta:
        model = Customer
        fields = ["name", "email", "phone", "country", "status", "created_at", "collected"]
        order_by = ["-created_at", "-id"]
        template_name = "django_tables2/table.html"

    def render_collected(self, record):
        return next((str(t.collected_money) for t in record.totals.all() if t.currency == record.currency), "0")


class PlainList(django_tables2.SingleTableMixin, FilterView):
    queryset = CustomerList.queryset.filter(livemode=False, status="active").prefetch_related("totals")
    filterset_class = PlainFilter
    table_class = PlainTable
    table_pagination = {"per_page": 25}
    strict = False

    def get_template_names(self):
        return self.page

    @cached_property
    def page(self):
        return engines["django"].from_string(PAGE)
