"""Pages of a list: their cursors, their counts, and what is kept ready between two requests."""

import re
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.sql.compiler import SQLCompiler
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from customers.domain import archive_customer
from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard import events
from dashboard.models import SavedView, User
from dashboard.paging import REMEMBERED_SECONDS, Counts, Cursor, Order, Page, queries
from dashboard.tests.test_lists import LISTS

# --- cursors ------------------------------------------------------------------------------------------------


def test_a_cursor_names_its_row_and_comes_back_as_it_was(alice):
    customer = make_customer(by=alice, first_name="Zoë")
    for order in (Order("created_at", True), Order("sort_name"), Order("pk"), Order("email")):
        value, pk = Cursor.read(Cursor.of(customer, order), order, Customer)
        assert (value, pk) == (getattr(customer, order.column), customer.pk)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "====",
        "bnVsbA",
        "W10",
        "WzFd",
        "WzEsMl0",
        "e30",
        "W251bGwsICJjdXNfMCJd",
        "Ws-A",
        "WyJcdTAwMDAiLCAiYSJd",
        "é",
        "W" * 9000,
    ],
)
def test_a_made_up_cursor_is_no_cursor(alice, text):
    for order in (Order("created_at"), Order("sort_name"), Order("pk")):
        place = Cursor.read(text, order, Customer)
        assert place is None
        make_customer(by=alice)
        assert Page(Customer.objects.all(), Customer.objects.all(), order, after=text).rows


def test_a_count_stops_at_the_cap(alice, monkeypatch):
    monkeypatch.setattr("dashboard.paging.CAP", 3)
    for _ in range(5):
        make_customer(by=alice)
    page = Page(Customer.objects.all(), Customer.objects.all(), Order("created_at", True))

    assert (page.count, page.capped, page.count_text) == (4, True, "3+")
    assert len(page.rows) == 5


def test_a_page_walks_on_when_its_first_row_is_gone(alice):
    made = [make_customer(by=alice) for _ in range(6)]
    order = Order("created_at")
    first = Page(Customer.objects.all(), Customer.objects.all(), order, size=3)
    cursor = first.next
    made[2].delete()

    assert [c.pk for c in Page(Customer.objects.all(), Customer.objects.all(), order, size=3, after=cursor).rows] == [
        c.pk for c in made[3:]
    ]


def test_counts_are_right_at_once_after_a_change_and_are_not_counted_anew_before(as_max, max):
    customer = make_customer(by=max)
    counted = "count(*)"

    def tabs():
        with CaptureQueriesContext(connection) as queries:
            page = as_max.get("/customers/").text
        return re.findall(r'(\w[\w ]*) <span class="n">([\d,]+)</span>', page), sum(counted in q["sql"] for q in queries)

    first, asked = tabs()
    assert asked == 1
    assert tabs() == (first, 0)

    archive_customer(customer, by=max)
    changed, asked = tabs()
    assert asked == 1
    assert dict(changed)["Archived"] == str(int(dict(first)["Archived"]) + 1)


def test_a_count_of_another_state_or_of_a_minute_ago_is_not_given_back(monkeypatch):
    known = Counts()
    known.learn("list", 12, "evt_1")

    assert known.recall("list", as_of="evt_1") == 12
    assert known.recall("list", as_of="evt_2") is None
    assert known.recall("list") is None

    monkeypatch.setattr("dashboard.paging.time.monotonic", lambda: time.monotonic_ns() / 1e9 + REMEMBERED_SECONDS + 1)
    assert known.recall("list", as_of="evt_1") is None


# --- what is kept ready -------------------------------------------------------------------------------------
def asked(route, user):
    """The statement of a list's first page, made anew."""
    request = RequestFactory().get(f"/{route.path}")
    request.user, request.livemode = user, False
    view = route.view_class()
    view.setup(request)
    queries.known.clear()
    return view.filterset.qs.order_by(*view.order.fields).query.sql_with_params()


@pytest.mark.parametrize("route", [r for r in LISTS if r.view_class.settled], ids=lambda route: route.path)
def test_what_a_settled_list_asks_is_the_same_for_any_person_of_a_role_and_at_any_time(route, alice, monkeypatch):
    before = asked(route, alice)
    later = timezone.now() + timedelta(days=400, minutes=7)
    monkeypatch.setattr("django.utils.timezone.now", lambda: later)

    assert asked(route, User.objects.create_user("ann@example.com", role=alice.role)) == before


def test_a_list_is_compiled_once_and_shows_what_changed_since(as_max, max, monkeypatch):
    compile_query, compiled = SQLCompiler.as_sql, []
    customer = make_customer(by=max, first_name="Ana", last_name="Cruz")
    assert "Ana Cruz" in as_max.get("/customers/").text
    monkeypatch.setattr(
        SQLCompiler, "as_sql", lambda self, *args, **kw: compiled.append(self) or compile_query(self, *args, **kw)
    )

    archive_customer(customer, by=max)
    make_customer(by=max, first_name="Bo", last_name="Reyes")
    compiled.clear()
    page = as_max.get("/customers/")

    assert "Bo Reyes" in page.text
    assert "Ana Cruz" not in page.text
    assert page.context["page"].rows[0].delinquent is False
    assert compiled  # the counts, which are of another state now
    assert 26 not in [compiler.query.high_mark for compiler in compiled]  # a page of rows, and one more


def test_a_page_further_on_is_compiled_once_and_shows_its_own_place(as_max, max, monkeypatch):
    for n in range(9):
        make_customer(by=max, first_name=f"Ana{n}", last_name="Cruz")
    monkeypatch.setattr("dashboard.views.lists.SIZES", (3, 50))
    pages = [as_max.get("/customers/?sort=name").context["page"]]
    pages.append(as_max.get(f"/customers/?sort=name&after={pages[0].next}").context["page"])
    compile_query, compiled = SQLCompiler.as_sql, []
    monkeypatch.setattr(
        SQLCompiler, "as_sql", lambda self, *args, **kw: compiled.append(self) or compile_query(self, *args, **kw)
    )

    pages.append(as_max.get(f"/customers/?sort=name&after={pages[1].next}").context["page"])

    assert [[row.first_name for row in page.rows] for page in pages] == [[f"Ana{n + i}" for i in range(3)] for n in (0, 3, 6)]
    assert 4 not in [compiler.query.high_mark for compiler in compiled]  # a page of rows, and one more


def test_a_list_kept_ready_is_kept_apart_by_mode_order_columns_and_size(as_max, max):
    for n in range(30):
        make_customer(by=max, first_name=f"Ana{n:02}", reference=f"R-{n:02}")
    make_customer(by=max, first_name="Zoe", livemode=True)

    def names(query):
        return [customer.first_name for customer in as_max.get(f"/customers/?{query}").context["page"].rows]

    for _ in range(2):
        as_max.post("/mode/", {"mode": "test"})
        assert names("sort=name")[:2] == ["Ana00", "Ana01"]
        assert names("sort=-name")[:2] == ["Ana29", "Ana28"]
        assert (len(names("")), len(names("per_page=50"))) == (25, 30)
        assert "R-29" not in as_max.get("/customers/").text
        assert "R-29" in as_max.get("/customers/?columns=reference").text
        as_max.post("/mode/", {"mode": "live"})
        assert names("") == ["Zoe"]


def test_a_filter_that_makes_no_sense_is_not_kept_as_the_list_itself(as_max, max):
    make_customer(by=max)
    make_customer(by=max, archived=True)
    queries.known.clear()

    for query, number in [("status=nonsense", 2), ("", 1), ("status=nonsense", 2), ("status=all", 2), ("", 1)]:
        assert len(as_max.get(f"/customers/?{query}").context["page"].rows) == number


def test_saved_views_are_ones_own_and_everybodys_of_this_list_and_mode(max, sue):
    def make(name, owner, **fields):
        return SavedView.objects.create(name=name, owner=owner, **{"list": "a:b", "livemode": False, **fields})

    make("Mine", max, query="q=x")
    make("Hers", sue)
    make("Everybody's", sue, shared=True)
    make("Of live mode", max, livemode=True)
    make("Of another list", max, list="a:c")

    _, found = SavedView.objects.beside("a:b", max, False)
    event = events.note("test.began", by=None, livemode=False)

    assert [(view.name, view.query) for view in found] == [("Everybody's", ""), ("Mine", "q=x")]
    assert SavedView.objects.beside("a:d", max, False) == (event.pk, [])
