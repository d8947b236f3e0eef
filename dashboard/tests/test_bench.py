"""The benchmark runs, on both databases, and says something about every goal. How fast anything is, is not a test's business."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils.html import strip_tags

from customers.models import Customer
from customers.tables import CustomerTable
from dashboard.bench import data, details, lists, pages
from dashboard.bench.databases import Databases
from dashboard.bench.report import Line, as_markdown, figure
from dashboard.tests.ready import copy_to

GOALS = {"1", "2", "3", "4", "5", "7", "8", "9", "10", "13", "16", "17"}


def bench(*arguments):
    out = io.StringIO()
    call_command("bench", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def no_databases_left(db, monkeypatch):
    """None of the benchmark's outlives a test. A new one has its tables already: to make them takes longer than all the rest."""
    copy = Databases.copy

    def copy_migrated(databases, source, label):
        if source is not None:
            return copy(databases, source, label)
        databases.close(label)
        copy_to(databases.name(label))

    monkeypatch.setattr(Databases, "copy", copy_migrated)
    yield
    databases = Databases()
    for label in databases.labels():
        databases.drop(label)
    databases.close()


def test_the_benchmark_says_something_about_every_goal_and_touches_no_customer_of_ours(no_databases_left, settings):
    parts = "list,details,search,api,export,import"  # what a crowd does to a server is looked at in test_web_server.py
    said = bench("--rows", "120,240", "--rounds", "1", "--only", parts, "--markdown")

    rows = [line.split(" | ") for line in said.splitlines() if line.startswith("| ")][2:]
    assert {row[0].removeprefix("| ") for row in rows} == GOALS
    assert all("not measured" not in row for row in rows)
    assert "Python 3" in said
    assert not Customer.objects.exists()
    assert sorted(Databases().labels()) == ["120", "240", "empty"]

    again = bench("--rows", "120", "--rounds", "1", "--only", "search")
    assert "Making" not in again

    bench("--drop")
    assert Databases().labels() == []


def test_the_hand_written_rows_show_what_our_rows_show(no_databases_left):
    """Else the comparison would be one of different pages."""
    databases = Databases()
    databases.make("rows", fill)
    with databases.using("rows"):
        view = pages.opened("", pages.viewer())
        rows = view.page.rows
        ours = CustomerTable(rows, viewer=view.request.user, sort=view.sort).body
        hand = lists.by_hand(rows)()
    databases.close()

    assert len(rows) == 25
    assert words(ours) == words(hand)


def test_the_pages_compared_differ_in_payments_alone(no_databases_left):
    databases = Databases()
    databases.make("details", lambda: (data.make_empty(), data.fill(600, lambda sentence: None)))
    with databases.using("details"):
        heavy, ordinary = details.customers(details.HEAVY), details.customers(details.ORDINARY)
        assert len(heavy) == 1  # one in ten thousand
        assert len(ordinary) == details.SEVERAL
        assert {c.payments.count() for c in ordinary} == {10}
        assert heavy[0].payments.count() > 300
        for kind in ("methods", "requests", "card_links", "subscriptions", "statements"):
            assert {getattr(c, kind).count() for c in (*heavy, *ordinary)} == {1}, kind
        assert details.queries(heavy[0]) == details.queries(ordinary[0]) <= details.MOST_QUERIES
    databases.close()


def fill():
    data.make_empty()
    data.fill(100, lambda sentence: None)


def words(html):
    return "".join(strip_tags(html).split())


def test_a_debugging_installation_is_not_measured(settings, db):
    settings.DEBUG = True

    with pytest.raises(CommandError, match="DEBUG is on"):
        bench()


@pytest.mark.parametrize("arguments", [("--rows", "12"), ("--rows", "many"), ("--only", "everything")])
def test_arguments_that_make_no_sense_are_refused(arguments, db):
    with pytest.raises(CommandError):
        bench(*arguments)


def test_a_target_is_met_or_missed_or_there_is_none():
    assert Line("1", "x", "10", 1.05, 1.1).met is True
    assert Line("1", "x", "10", 1.15, 1.1).met is False
    assert Line("4", "x", "10", 25, 20, at_least=True).met is True
    assert Line("7", "x", "10", 25).met is None
    assert Line("10", "x", "10", None, 1.5).met is None
    assert "| not measured |" in as_markdown([Line("10", "x", "10", None, 1.5)])
    assert [figure(n) for n in (1.046, 21.73, 254.4, 1234.5)] == ["1.05", "21.7", "254", "1,234"]


def test_the_databases_stand_next_to_the_configured_one(db):
    name = str(connection.settings_dict["NAME"])

    assert Databases().name(1000) != name
    assert "_bench_1000" in Databases().name(1000)
