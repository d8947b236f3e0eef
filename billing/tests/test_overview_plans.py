"""How the database adds up the overview: by the indexes of what was paid when and of what is open, at any size.

With thousands of payments and fresh statistics, in a database of its own.
"""

import re

import pytest
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from billing import days, overview
from billing.models import Payment
from billing.views.overview import Overview
from dashboard.bench import pages
from dashboard.bench.databases import Databases
from dashboard.tests.ready import MANY, copy_of_many

PAYMENTS, STATEMENTS = "billing_payment", "billing_billingstatement"


@pytest.fixture(scope="module")
def many_payments(django_db_setup, django_db_blocker):
    """The default connection leads to thousands of payments over three years meanwhile."""
    databases = Databases()
    with django_db_blocker.unblock():
        copy_of_many(databases.name("overview"))
        try:
            with databases.using("overview"):
                yield
        finally:
            databases.drop("overview")
            databases.close()


def plans_of(run, table):
    """[(statement, plan)] of what `run` asks about a table."""
    ran = []

    def note(execute, sql, params, many, context):
        if f'"{table}"' in sql and sql.startswith("SELECT"):
            ran.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        run()
    assert ran, f"nothing was asked about {table}"
    return [(sql, plan_of(sql, params)) for sql, params in ran]


def plan_of(sql, params):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET random_page_cost = 1.1")  # a disk without moving parts, as everybody has
        cursor.execute(f"{'EXPLAIN' if connection.vendor == 'postgresql' else 'EXPLAIN QUERY PLAN'} {sql}", params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def reads_whole(plan, table):
    return re.search(rf"Seq Scan on {table}\b|SCAN {table}\b(?! USING)", plan)


def show():
    request = RequestFactory().get("/overview/")
    request.user, request.livemode, request.session = pages.viewer(), False, {}
    return Overview.as_view()(request).render()


def span():
    return days.span_of("30d", timezone.localdate())


def test_a_table_read_whole_is_noticed(many_payments):
    """The control: without it the tests below could not fail."""
    for sql, plan in plans_of(lambda: list(Payment.objects.filter(description__contains="nobody wrote this")), PAYMENTS):
        assert reads_whole(plan, PAYMENTS), f"{sql}\n\n{plan}"


@pytest.mark.parametrize(
    "run",
    [
        lambda: overview.collected_by_day(False, span()),
        lambda: overview.ways_paid(False, span(), "USD"),
    ],
    ids=["collected_by_day", "ways_paid"],
)
def test_what_was_paid_is_added_up_from_the_index_of_times_paid(run, many_payments):
    for sql, plan in plans_of(run, PAYMENTS):
        assert "payment_paid" in plan, f"{sql}\n\n{plan}"


@pytest.mark.parametrize("table", [PAYMENTS, STATEMENTS])
def test_the_page_reads_no_table_whole(table, many_payments):
    for sql, plan in plans_of(show, table):
        assert not reads_whole(plan, table), f"{sql}\n\n{plan}"


def test_a_year_is_still_added_up_by_the_database(many_payments):
    """A row for each day and currency comes back, however many payments there were."""
    year = days.custom_span(span().last - 364 * days.DAY, span().last)
    found = overview.collected_by_day(False, year)

    assert all(len(by_day) <= 365 for by_day in found.values())
    assert sum(count for by_day in found.values() for _, count in by_day.values()) > MANY / 5
