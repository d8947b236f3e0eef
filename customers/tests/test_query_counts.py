"""What each page about customers asks the database, counted: a query more is a decision, not an accident."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.tests.everything import give_everything
from customers.tests.factories import make_address, make_comment, make_customer
from dashboard.paging import counts

EVERY_PAGE = 2  # the session, the member of staff
LIST = EVERY_PAGE + 2  # rows with what they paid; the newest event and the saved views: while none is newer, nothing is counted
DETAILS = EVERY_PAGE + 3  # the customer; addresses, comments, warnings and timeline; everything about money
PANEL = EVERY_PAGE + 3  # the customer; warnings; everything about money
MOST = EVERY_PAGE + 7  # what the customer's page may ever ask


@pytest.fixture(autouse=True)
def nothing_is_remembered():
    counts.forget()


def queries(client, url):
    """What the second visit asks: the first one may note in the session when it was."""
    client.get(url)
    with CaptureQueriesContext(connection) as asked:
        response = client.get(url)
        if response.streaming:
            b"".join(response)
    assert response.status_code == 200
    return [query["sql"] for query in asked.captured_queries]


def assert_asks(client, url, number):
    found = queries(client, url)
    assert len(found) == number, "\n".join(found)


def make_customers(number, by):
    for n in range(number):
        customer = make_customer(by=by, last_name=f"Cruz {n:02}", email=f"ana{n}@example.com")
        make_address(customer, by=by)


def test_the_list_asks_four_queries_with_one_customer_and_with_thirty(as_max, max):
    make_customers(1, max)
    assert_asks(as_max, "/customers/", LIST)

    make_customers(29, max)
    assert_asks(as_max, "/customers/", LIST)


@pytest.mark.parametrize("query", ["sort=name", "per_page=100", "status=archived&country=PH", "created=30d&kind=individual"])
def test_sorting_and_the_filters_that_are_walked_ask_no_more(query, as_max, max):
    make_customers(3, max)
    make_customer(by=max, archived=True)

    assert len(queries(as_max, f"/customers/?{query}")) <= LIST + 1  # a list with no rows says where there are some


def test_a_page_behind_the_first_asks_no_more(as_max, max):
    make_customers(30, max)
    following = as_max.get("/customers/").context["page"].next

    assert following
    assert_asks(as_max, f"/customers/?after={following}", LIST)


def test_a_search_finds_and_counts_in_one_query(as_max, max):
    make_customers(30, max)

    assert_asks(as_max, "/customers/?q=cruz", LIST + 1)  # one finds them, which stands for their count


@pytest.fixture
def customer(max, sue):
    """One with a record of each kind."""
    customer = make_customer(by=max)
    make_address(customer, by=max)
    make_comment(customer, by=sue)
    give_everything(customer, 1, by=max)
    return customer


def give_more(customer, max, sue, payments=7):
    for n in range(7):
        make_address(customer, by=max, line1=f"{n} Mabini Street")
        make_comment(customer, by=sue, body=f"Note {n}.", pinned=n % 2 == 0)
    give_everything(customer, 7, by=max, payments=payments)


@pytest.mark.parametrize("query", ["", "?links=1", "?comments=all"])
def test_a_customer_page_asks_the_same_with_few_and_with_many_records(query, customer, as_max, max, sue):
    bare = make_customer(by=max)
    for someone in (bare, customer):
        assert_asks(as_max, f"/customers/{someone.pk}/{query}", DETAILS)

    give_more(customer, max, sue)

    assert_asks(as_max, f"/customers/{customer.pk}/{query}", DETAILS)
    assert DETAILS <= MOST


def test_5_000_payments_ask_no_more(customer, as_max, max, sue):
    give_more(customer, max, sue, payments=5000)

    assert_asks(as_max, f"/customers/{customer.pk}/", DETAILS)
    assert "100+" in as_max.get(f"/customers/{customer.pk}/").text


@pytest.mark.parametrize("who", ["as_alice", "as_sue", "as_rita"])
def test_other_roles_ask_no_more(who, customer, max, sue, request):
    give_more(customer, max, sue)

    assert_asks(request.getfixturevalue(who), f"/customers/{customer.pk}/", DETAILS)


def test_the_panel_asks_the_same_whatever_there_is_to_say(customer, as_max, max, sue):
    for someone in (make_customer(by=max), customer):
        assert_asks(as_max, f"/customers/{someone.pk}/panel/", PANEL)

    give_more(customer, max, sue, payments=500)

    assert_asks(as_max, f"/customers/{customer.pk}/panel/", PANEL)


def test_an_export_reads_the_customers_once_with_all_it_tells_of_them(as_max, max):
    make_customers(30, max)

    about_customers = [sql for sql in queries(as_max, "/customers/?format=csv") if "customers_" in sql and "SELECT" in sql]

    assert len(about_customers) == 1
    assert about_customers[0].count("JOIN") == 3  # the default address, what was paid, the default payment method
