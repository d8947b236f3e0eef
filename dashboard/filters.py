"""Filters: django-filter reads the URL; here are search, periods, chips and calm about nonsense."""

import copy
from datetime import datetime, time, timedelta

import django_filters
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import cached_property

from dashboard import search
from dashboard.text import clean_text, unsafe

PERIODS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "this_month": "This month",
    "last_month": "Last month",
    "this_quarter": "This quarter",
    "this_year": "This year",
    "last_year": "Last year",
}


def period(name, today=None):
    """(first day, day after the last) of a period, in the dashboard's time zone."""
    today = today or timezone.localdate()
    month = today.replace(day=1)
    tomorrow, year = today + timedelta(days=1), today.replace(month=1, day=1)
    return {
        "today": (today, tomorrow),
        "yesterday": (today - timedelta(days=1), today),
        "7d": (today - timedelta(days=6), tomorrow),
        "30d": (today - timedelta(days=29), tomorrow),
        "this_month": (month, tomorrow),
        "last_month": ((month - timedelta(days=1)).replace(day=1), month),
        "this_quarter": (today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1), tomorrow),
        "this_year": (year, tomorrow),
        "last_year": (year.replace(year=year.year - 1), year),
    }[name]


def midnight(day):
    """The moment a day begins where the dashboard is."""
    return datetime.combine(day, time.min, settings.ZONE)


class SearchField(forms.CharField):
    """Search text: cut at the limit rather than refused; what cannot be typed is left out."""

    def to_python(self, value):
        return search.clean_query(value)

    def run_validators(self, value):
        pass


class TextField(forms.CharField):
    def to_python(self, value):
        text = super().to_python(value)
        if unsafe(text):
            raise ValidationError("This holds characters that cannot be typed.")
        return clean_text(text, 600)


class SearchFilter(django_filters.CharFilter):
    field_class = SearchField

    def filter(self, queryset, value):
        if not value:
            return queryset
        viewer = self.parent.viewer
        if viewer and not viewer.has_perm("dashboard.view_contact_data"):  # no oracle: the name only
            return search.matching_name(queryset, value)
        return search.matching(queryset, value)


class TextFilter(django_filters.CharFilter):
    field_class = TextField


class PeriodFilter(django_filters.ChoiceFilter):
    """A named period of a time column: start included, end not, by the dashboard's midnights."""

    def __init__(self, **kwargs):
        super().__init__(choices=list(PERIODS.items()), empty_label="Any time", **kwargs)

    def filter(self, queryset, value):
        if not value:
            return queryset
        start, end = period(value)
        return queryset.filter(**{f"{self.field_name}__gte": midnight(start), f"{self.field_name}__lt": midnight(end)})


def refuse_far_off(day):
    """Validator: days at either end of the calendar have no midnight in every zone, nor a day after."""
    if not 1900 <= day.year <= 9000:
        raise ValidationError("Choose a year from 1900 to 9000.")


class FromFilter(django_filters.DateFilter):
    def __init__(self, **kwargs):
        super().__init__(widget=forms.DateInput(attrs={"type": "date"}), validators=[refuse_far_off], **kwargs)

    def filter(self, queryset, value):
        return queryset.filter(**{f"{self.field_name}__gte": midnight(value)}) if value else queryset


class ToFilter(FromFilter):
    """Up to and including a day."""

    def filter(self, queryset, value):
        return queryset.filter(**{f"{self.field_name}__lt": midnight(value + timedelta(days=1))}) if value else queryset


class FilterSet(django_filters.FilterSet):
    """A list's filters. `groups` names the menus: {"Created": ["created", "created_from", "created_to"]}.

    A value that makes no sense is told at its filter and filters nothing; the list is still shown. `filters` and
    `form` hold the filters that data and defaults name: the others filter nothing, and making them is most of the cost.
    """

    groups = {}
    defaults = {}  # what a parameter means when the URL does not say: {"status": "active"}
    ordered = ()  # filters whose rows an index gives in the list's own order: those are walked, however few they leave
    hidden_from_masked = ()  # filters on contact data: no oracle for roles that may not see it

    def __init__(self, data=None, queryset=None, *, request=None, viewer=None, **kwargs):
        self.viewer = viewer or getattr(request, "user", None)
        given = self.defaults | {k: v for k, v in (data or {}).items() if v not in ("", None)}
        self.base_filters = {}  # the package copies all there are, and deeply
        super().__init__(given, queryset, request=request, **kwargs)
        del self.base_filters
        self.filters = {name: self._own(name) for name in self.base_filters if name in given and self.offers(name)}

    def offers(self, name):
        """Whether the viewer may filter by it."""
        if name not in self.hidden_from_masked or not self.viewer:
            return name in self.base_filters
        return self.viewer.has_perm("dashboard.view_contact_data")

    def _own(self, name):
        """A filter as this request has it: it knows its set, and makes a field of its own when asked for it."""
        found = copy.copy(self.base_filters[name])
        found.__dict__.pop("_field", None)
        found.parent, found.model = self, self.queryset.model
        found.method = found.method  # which binds the set's method to this filter instead of the declared one
        return found

    @cached_property
    def qs(self):
        self.errors  # noqa: B018  (validates the form; cleaned_data holds what made sense)
        return self.filter_queryset(self.queryset)

    @cached_property
    def form(self):
        return self._form_of(self.filters)

    def _form_of(self, filters):
        """A form of some filters. Their fields are this request's own already: no class is made to copy them from."""
        form = self._meta.form(self.data, auto_id="filter_%s")  # a form opened over the list has ids of its own
        form.fields = {name: filter_.field for name, filter_ in filters.items()}
        return form

    def filter_queryset(self, queryset):
        for name, value in self.form.cleaned_data.items():
            queryset = self.filters[name].filter(queryset, value)
        return queryset

    def is_active(self, name):
        """Whether a parameter narrows the list beyond its default."""
        return name in self.active

    @cached_property
    def active(self):
        """The names of the parameters in force, search included."""
        self.errors  # noqa: B018
        empty = (None, "", [])
        found = self.form.cleaned_data
        return [n for n in self.filters if found.get(n) not in empty and found[n] != self.defaults.get(n, "")]

    @property
    def chips(self):
        """(label, value in words, parameter) of every filter in force but the search."""
        return [(self.filters[n].label or n, self._words(n), n) for n in self.active if n != "q"]

    def _words(self, name):
        value, field = self.form.cleaned_data[name], self.form.fields[name]
        if (choices := getattr(field, "choices", None)) is not None:  # django-filter's has no len() when given a function
            return str(dict(choices).get(value, value))
        return value.strftime("%-d %b %Y") if hasattr(value, "strftime") else str(value)

    @property
    def menus(self):
        """(heading, fields as HTML, whether one is in force) of every filter menu."""
        marked = {*self.active, *self.errors}
        return [
            (heading, [self._field_html(n) for n in names if self.offers(n)], not marked.isdisjoint(names))
            for heading, names in self.groups.items()
        ]

    def _field_html(self, name):
        """A field as it stands in its menu. Unset and good choices are rendered once: a choice of country has
        250 options, and rendering the menus anew took longer than all the rest of a page."""
        key = (type(self), name, self.data.get(name))
        if key not in _RENDERED:
            form = self._form_of({name: self._own(name)})
            html = form[name].as_field_group()
            if not _may_keep(form, name):
                return html
            _RENDERED[key] = html
        return _RENDERED[key]


_RENDERED = {}  # (filter set, field, value) -> its HTML


def _may_keep(form, name):
    """Not what was typed, and not choices that are rows of a table: there is no end of them."""
    field = form.fields[name]
    is_choice = isinstance(field, forms.ChoiceField) and not isinstance(field, forms.ModelChoiceField)
    return name not in form.errors and (is_choice or (name not in form.data and not hasattr(field, "queryset")))


class StaffField(django_filters.fields.ModelChoiceField):
    """One of the staff. What cannot be typed is nobody's ID, and is not asked about: PostgreSQL takes no NUL."""

    def to_python(self, value):
        if unsafe(str(value)):
            raise ValidationError(self.error_messages["invalid_choice"], code="invalid_choice", params={"value": value})
        return super().to_python(value)


class StaffFilter(django_filters.ModelChoiceFilter):
    field_class = StaffField
