"""How a value looks in the admin: times, states, amounts and records as the dashboard shows them.

Django's admin takes a function for a column; each is made once, for it is asked for by name and by itself.
"""

import json
from functools import cache

from django.db import models
from django.utils.html import format_html

from dashboard.templatetags.ui import badge_html, when_html

STATES = ("badge", "status", "state")
NONE = "—"


def shown(site, model, name, viewer):
    """What to give Django for a column or field of this name: a function, or the name where Django does well."""
    field = fields(model).get(name)
    if is_record(model, name):
        there = site._registry.get(field.related_model)
        url_of = there.url_of if there and viewer.has_perm(there.permission) else None
        return record_column(name, field.verbose_name, url_of)
    if name in STATES:
        return badge_column(name, "status" if name == "badge" else name)
    if name.endswith("_money"):
        return plain_column(name, name.removesuffix("_money").replace("_", " "))
    return next((column(name, field.verbose_name) for kind, column in KINDS if isinstance(field, kind)), name)


@cache
def fields(model):
    return {field.name: field for field in model._meta.concrete_fields}


def is_record(model, name):
    """Whether a field points to another record."""
    return name in fields(model) and fields(model)[name].is_relation


def named(show, name, label):
    """The function with what Django's admin wants to know of a column."""
    show.__name__, show.short_description = name, label
    return show


@cache
def record_column(name, label, url_of):
    """Another record: a link to it, for who may open it."""

    def show(obj):
        record = getattr(obj, name)
        if record is None:
            return NONE
        return format_html('<a href="{}">{}</a>', url_of(record), record) if url_of else record

    return named(show, name, label)


@cache
def when_column(name, label):
    """A point in time as the dashboard shows it."""
    return named(lambda obj: when_html(getattr(obj, name)), name, label)


@cache
def badge_column(name, label):
    """A state in a badge, as the dashboard shows it."""

    def show(obj):
        word = getattr(obj, "badge", None) or getattr(obj, f"get_{name}_display", lambda: getattr(obj, name))()
        return badge_html(word or NONE, obj._meta.model_name)

    return named(show, name, label)


@cache
def plain_column(name, label):
    return named(lambda obj: str(getattr(obj, name)), name, label)


@cache
def yes_column(name, label):
    """Yes or no in words: Django's red cross makes every no look like a fault."""
    return named(lambda obj: {True: "Yes", False: "No"}.get(getattr(obj, name), NONE), name, label)


@cache
def json_column(name, label):
    """What is stored as JSON, a line for each value there is."""
    return named(lambda obj: "\n".join(_lines(getattr(obj, name))) or NONE, name, label)


def _lines(value):
    if isinstance(value, dict):
        return [f"{key}: {_said(inner)}" for key, inner in value.items() if inner not in ("", None)]
    return [_said(inner) for inner in value] if isinstance(value, list) else [_said(value)]


def _said(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


KINDS = ((models.DateTimeField, when_column), (models.BooleanField, yes_column), (models.JSONField, json_column))
