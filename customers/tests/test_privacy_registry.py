"""Every column that may hold somebody's words has a decided fate: what happens to it when a customer is erased."""

from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import models

from customers.privacy import registry
from customers.privacy.registry import Holding, Kept, Removed, removed

TEXT = (models.CharField, models.TextField, models.JSONField, models.GenericIPAddressField, models.BinaryField, models.FileField)

pytestmark = pytest.mark.one_database


def columns(model):
    """The columns of a model that can hold what somebody typed or where they came from."""
    return {f.name for f in model._meta.concrete_fields if isinstance(f, TEXT) and not f.choices and not f.primary_key}


def undecided(tables, holdings):
    """What nobody decided about, and what was decided about nothing, as "label.column"."""
    decided = {f"{h.model}.{name}" for h in holdings for name in h.columns}
    known = {f"{model._meta.label}.{name}" for model in tables for name in columns(model)}
    there = {f"{model._meta.label}.{f.name}" for model in tables for f in model._meta.concrete_fields}
    return sorted(known - decided), sorted(decided - there)


def tables():
    """All there are, the framework's and packages' own included."""
    return apps.get_models(include_auto_created=True)


def test_every_text_column_of_every_table_has_a_fate():
    missing, unknown = undecided(tables(), registry.holdings())

    assert missing == [], "Say in the app's personal.py what becomes of these when a customer is erased."
    assert unknown == []
    assert sum(len(columns(model)) for model in tables()) > 200


def test_a_column_nobody_decided_about_is_found():
    one = [h for h in registry.holdings() if h.model != "customers.Comment"]
    other = [*registry.holdings(), Holding("customers.Comment", removed("sidenote"))]

    assert undecided(tables(), one)[0] == ["customers.Comment.body"]
    assert undecided(tables(), other)[1] == ["customers.Comment.sidenote"]


def test_each_table_is_told_of_once_and_reasons_are_given():
    labels = [h.model for h in registry.holdings()]

    assert len(labels) == len(set(labels))
    for holding in registry.holdings():
        assert holding.pack or holding.left_out or not holding.columns, holding.model
        assert all(fate.why for fate in holding.columns.values() if hasattr(fate, "why")), holding.model
        assert not holding.of(Kept) or holding.dated, f"{holding.model}: since when are its documents kept?"
        if holding.of(Removed) and holding.rows:
            assert holding.words, f"{holding.model}: the report has no words for it"


def test_rows_that_are_about_somebody_by_their_words_need_words():
    nobody = SimpleNamespace(words=frozenset())

    assert str(registry.naming(nobody, "text")) == "(AND: ('pk__in', ()))"
    assert "text__icontains" in str(registry.naming(SimpleNamespace(words={"a@example.com"}), "text"))
