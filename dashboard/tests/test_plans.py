"""How the database finds the rows of the customers list: by an index, whatever is sorted, filtered or searched.

With thousands of customers and fresh statistics, in a database of its own. The plans asked for are those of the very
statements the pages run.
"""

import re
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import RequestFactory
from django.urls import reverse

from billing.models import Payment
from customers.models import Customer
from customers.tables import CustomerTable
from customers.views import CustomerDetail, CustomerPanel
from dashboard.bench import details, ledger, lists, pages, search
from dashboard.bench.databases import Databases
from dashboard.paging import counts
from dashboard.tests.ready import MANY, copy_of_many

TABLE = "customers_customer"
SORTS = [f"sort={sign}{name}" for name in CustomerTable.sorts() for sign in ("", "-")]


@pytest.fixture(scope="module")
def many_customers(django_db_setup, django_db_blocker):
    """The default connection leads to thousands of customers meanwhile."""
    databases = Databases()
    with django_db_blocker.unblock():
        copy_of_many(databases.name("plans"))
        try:
            with databases.using("plans"):
                yield
        finally:
            counts.forget()
            databases.drop("plans")
            databases.close()


@pytest.fixture
def known(many_customers):
    """A customer who has a phone and an order number."""
    with_all = Customer.objects.filter(livemode=False, status="active").exclude(phone="").exclude(metadata={})
    return with_all.order_by("-id")[MANY // 4]


class Statements(list):
    """Every statement about customers that runs: `with connection.execute_wrapper(statements): …`."""

    def __call__(self, execute, sql, params, many, context):
        if TABLE in sql and sql.startswith("SELECT"):
            self.append((sql, params))
        return execute(sql, params, many, context)


def plans_of(run):
    """[(statement, plan)] of what `run` asks the database about customers."""
    counts.forget()
    ran = Statements()
    with connection.execute_wrapper(ran):
        run()
    assert ran, "nothing was asked about customers"
    return [(sql, plan_of(sql, params)) for sql, params in ran]


def plan_of(sql, params):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET random_page_cost = 1.1")  # a disk without moving parts, as everybody has
        cursor.execute(f"{'EXPLAIN' if connection.vendor == 'postgresql' else 'EXPLAIN QUERY PLAN'} {sql}", params)
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def read_whole(sql, plan):
    """The line of a plan that goes through the whole table of customers, or None."""
    if connection.vendor == "postgresql":
        return re.search(rf".*Seq Scan on {TABLE}\b.*", plan)
    names = "|".join([TABLE, *re.findall(rf'"{TABLE}" "(\w+)"', sql)])  # in a subquery Django calls it V0 or U0
    return re.search(rf"SCAN ({names})\b(?! USING).*", plan)


def assert_by_index(run):
    for sql, plan in plans_of(run):
        assert not read_whole(sql, plan), f"{sql}\n\n{plan}"


def list_page(query):
    return lambda: pages.show(query, pages.viewer())


def test_a_table_read_whole_is_noticed(many_customers):
    """The control: without it the tests below could not fail."""
    found = plans_of(lambda: list(Customer.objects.filter(description__contains="nobody wrote this")))

    assert all(read_whole(sql, plan) for sql, plan in found)


def test_the_first_page_reads_no_table_whole(many_customers):
    assert_by_index(list_page(""))


@pytest.mark.parametrize("query", SORTS)
def test_each_sort_walks_an_index(query, many_customers):
    assert_by_index(list_page(query))


def test_a_page_in_the_middle_starts_where_it_starts(many_customers):
    assert_by_index(list_page(pages.middle()))


@pytest.mark.parametrize("query", lists.FILTERS)
def test_each_filter_has_an_index(query, many_customers):
    assert_by_index(list_page(query))


def test_each_kind_of_search_has_an_index(known):
    for text in search.queries(known).values():
        assert_by_index(lambda text=text: search.ours(text, pages.viewer()))


def test_a_pasted_id_or_e_mail_is_one_look_into_an_index(known):
    for text in (known.pk, known.email):
        view = pages.opened(urlencode({"q": text}), pages.viewer())
        found = plans_of(view.jump)

        assert len(found) == 1
        assert not read_whole(*found[0])


@pytest.mark.parametrize("view", [CustomerDetail, CustomerPanel])
def test_a_customer_is_found_by_an_index(view, known):
    request = RequestFactory().get(reverse("customers:customer", args=[known.pk]))
    request.user, request.livemode, request.session = pages.viewer(), False, {}

    assert_by_index(lambda: view.as_view()(request, pk=known.pk).render())


def every_plan(run):
    """[(statement, plan)] of everything `run` asks."""
    ran = []

    def note(execute, sql, params, many, context):
        ran.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        run()
    return [(sql, plan_of(sql, params)) for sql, params in ran]


def read_whole_of(tables, plan):
    """The lines of a plan that go through one of the tables from end to end, be it along an index."""
    names = "|".join(tables)
    return re.findall(rf".*(?:Seq Scan on|SCAN) (?:{names})\b.*", plan)


GROWING = [
    "customers_address",
    "customers_comment",
    "customers_customer",
    "dashboard_event",
    *(m._meta.db_table for m in ledger.MODELS),
]


@pytest.mark.parametrize("view", [CustomerDetail, CustomerPanel])
@pytest.mark.parametrize("kind", [details.ORDINARY, details.HEAVY])
def test_a_customers_page_reads_that_customers_rows_alone(view, kind, many_customers):
    customer = details.customers(kind)[0]
    request = RequestFactory().get(reverse("customers:customer", args=[customer.pk]))
    request.user, request.livemode, request.session = pages.viewer(), False, {}
    found = every_plan(lambda: view.as_view()(request, pk=customer.pk).render())

    assert len(found) == 3
    assert any("billing_payment" in sql for sql, _ in found)
    for sql, plan in found:
        assert not read_whole_of(GROWING, plan), f"{read_whole_of(GROWING, plan)}\n\n{sql}\n\n{plan}"


def test_a_payment_table_read_whole_is_noticed(many_customers):
    """The control of the test above."""
    for sql, plan in every_plan(lambda: list(Payment.objects.filter(description__contains="nobody wrote this"))):
        assert read_whole_of(GROWING, plan), sql


def test_deep_pages_and_page_1_list_the_same_customers_as_one_query_would(many_customers):
    active = Customer.objects.filter(livemode=False, status="active")
    expected = list(active.order_by("-created_at", "-id").values_list("pk", flat=True)[:75])
    found, after = [], ""
    for _ in range(3):
        view = pages.opened(urlencode({"after": after}) if after else "", pages.viewer())
        found += [row.pk for row in view.page.rows]
        after = view.page.next

    assert found == expected


@pytest.mark.parametrize("table", ["customers_customer", "customers_address"])
def test_who_made_a_record_is_shown_and_not_indexed(table, db):
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table).values()
    indexed = [constraint["columns"] for constraint in found if constraint["index"]]

    assert ["created_by_id"] not in indexed
    assert ["customer_id"] in indexed or ["livemode", "sort_name", "id"] in indexed
