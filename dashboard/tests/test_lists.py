"""The contract of every list: a new list is held to all of it by having a route."""

import csv
import io
import re
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models.sql.compiler import SQLCompiler
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone

from customers.domain import archive_customer
from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard import events
from dashboard.models import SavedView, User
from dashboard.paging import REMEMBERED_SECONDS, Counts, Cursor, Order, Page, queries
from dashboard.tests.routes import argument, routes

ROWS = 9


def is_list(route):
    return hasattr(route.view_class, "table_class")


LISTS = [r for r in routes() if is_list(r)] if get_resolver() else []
every_list = pytest.mark.parametrize("route", LISTS, ids=[r.path for r in LISTS])
EXPORTED = [r for r in LISTS if r.view_class.export_name]


@pytest.fixture
def filled(alice, monkeypatch):
    """At least ROWS rows on every list, half of them with the same time; pages of four."""
    from billing.domain.invoicing import bill_due
    from billing.domain.payments import record_payment
    from billing.domain.refunds import create_refund
    from billing.tests.factories import (
        make_card_link,
        make_coupon,
        make_delivery,
        make_method,
        make_open_statement,
        make_request,
        make_statement,
        make_subscription,
        make_unknown_attempt,
    )
    from dashboard import mail
    from dashboard.import_models import Import

    cache.clear()
    monkeypatch.setattr("dashboard.views.lists.SIZES", (4, 50))
    big = make_customer(by=alice, email="big@example.com")
    for n in range(ROWS):
        make_customer(by=alice, email=f"c{n % 3}@example.com", reference=f"R{n}")
        make_statement(big, by=alice, lines=[(f"Line {n}", 1, 100 * (n % 4 + 1))])
        make_unknown_attempt(make_request(big, by=alice, amount=100 * (n % 4 + 1)))
        payment = record_payment(big, amount=100 * (n % 4 + 1), currency="USD", by=alice)
        create_refund(payment, amount=10 * (n % 4 + 1), reason="others", by=alice)
        make_delivery(event_id=f"evt_{n}")
        make_card_link(big, by=alice)
        coupon = make_coupon(by=alice, customer=big)
        make_open_statement(big, by=alice, coupon=coupon)
        make_method(big, by=alice)
        make_subscription(big, by=alice, amount=100 * (n % 4 + 1))
        mail.queue("receipt", payment, to=f"c{n % 3}@example.com", subject=f"Receipt {n}", text="Paid.")
        Import.objects.create(
            livemode=False, importer="customers", file_name=f"f{n}.csv", size=1, sha256="0" * 64, created_by=alice
        )
    bill_due()
    same = timezone.now() - timedelta(days=40)
    for model in {route.view_class.queryset.model for route in LISTS}:
        if model._meta.model_name != "event":
            half = list(model.objects.order_by("id").values_list("pk", flat=True))[::2]
            others = {"webhookdelivery": "received_at", "couponredemption": "redeemed_at"}
            named = others.get(model._meta.model_name, "created_at")
            model.objects.filter(pk__in=half).update(**{named: same})
    return SimpleNamespace(customer=big.pk)


def address(route, world):
    return route.url(world)


def rows(page):
    return [row.pk for row in page.context["page"].rows]


def walk(client, url, link):
    """The pages from a list's URL onwards by its own links."""
    while url:
        page = client.get(url)
        assert page.status_code == 200, url
        yield page
        url = page.context[link]


def expected(route, world, client, query=""):
    """All rows of a list in its order, by one plain query."""
    context = client.get(f"{address(route, world)}?{query}").context
    view = context["view"]
    return list(view.filterset.qs.order_by(*view.order.fields).values_list("pk", flat=True))


@every_list
def test_paging_shows_every_row_once_in_every_sort_both_ways(route, filled, as_alice):
    names = list(route.view_class.table_class.sorts())
    assert names, "a list without any sort cannot be paged"
    for sort in [s for name in names for s in (name, f"-{name}")]:
        wanted = expected(route, filled, as_alice, f"sort={sort}")
        pages = list(walk(as_alice, f"{address(route, filled)}?sort={sort}", "next_url"))
        assert [pk for page in pages for pk in rows(page)] == wanted, sort
        back = list(walk(as_alice, pages[-1].wsgi_request.get_full_path(), "previous_url"))
        assert [pk for page in reversed(back) for pk in rows(page)] == wanted, sort
        assert len(wanted) >= ROWS
        assert len(back) == len(pages) > 2


def test_no_row_is_missed_or_shown_twice_while_others_are_added(filled, as_alice, alice):
    for sort in ("name", "-name", "created_at", "-created_at", "email"):
        before = set(Customer.objects.values_list("pk", flat=True))
        seen = []
        for page in walk(as_alice, f"/customers/?sort={sort}", "next_url"):
            seen += rows(page)
            make_customer(by=alice, first_name="Aaa")
            make_customer(by=alice, first_name="Zzz")
            if len(seen) > len(before) + 50:
                break
        assert len(seen) == len(set(seen)), sort
        assert before <= set(seen), sort
        Customer.objects.exclude(pk__in=before).delete()


def test_a_search_and_a_filter_page_alike(filled, as_alice):
    for query in ("q=ana", "q=example", "created=this_year", "kind=individual", "created=30d&q=ana"):
        wanted = expected(LISTS_BY_PATH["customers/"], filled, as_alice, query)
        assert [pk for page in walk(as_alice, f"/customers/?{query}", "next_url") for pk in rows(page)] == wanted, query


LISTS_BY_PATH = {r.path: r for r in LISTS}


@pytest.mark.parametrize("route", EXPORTED, ids=[r.path for r in EXPORTED])
def test_the_export_is_the_list(route, filled, as_alice):
    for sort in [s for name in route.view_class.table_class.sorts() for s in (name, f"-{name}")]:
        wanted = expected(route, filled, as_alice, f"sort={sort}")
        answer = as_alice.get(f"{address(route, filled)}?sort={sort}&format=csv&columns=id")
        got = [r["id"] for r in csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig")))]
        assert [pk for pk in got if pk in set(wanted)] == wanted
        assert len(got) - len(wanted) in (0, 1)  # the log of events grew by the export before this one


@every_list
def test_nonsense_in_the_address_is_ignored_calmly(route, filled, as_alice):
    url = address(route, filled)
    plain = rows(as_alice.get(url))
    for query in (
        "sort=nonsense",
        "sort=-",
        "sort=pk",
        "sort=password",
        "per_page=999",
        "per_page=-1",
        "per_page=x",
        "columns=nonsense,,",
        "after=x",
        "before=%00",
    ):
        page = as_alice.get(f"{url}?{query}")
        assert (page.status_code, rows(page)) == (200, plain), query


@every_list
def test_every_filter_and_each_of_its_choices_narrows_the_list(route, filled, as_alice):
    url, filterset = address(route, filled), route.view_class.filterset_class
    everything = set(expected(route, filled, as_alice, "&".join(f"{n}=all" for n in filterset.defaults)))
    for name, filter_ in filterset.base_filters.items():
        choices = [c for c, _ in list(getattr(filter_.field, "choices", [])) if c][:12] or ["2024-01-31", "nobody"]
        for value in choices:
            page = as_alice.get(url, {name: value})
            assert page.status_code == 200, (name, value)
            assert set(rows(page)) <= everything, (name, value)


@every_list
def test_a_filter_value_that_makes_no_sense_is_told_and_filters_nothing(route, filled, as_alice):
    url, filterset = address(route, filled), route.view_class.filterset_class
    plain = rows(as_alice.get(url))
    for name, filter_ in filterset.base_filters.items():
        if hasattr(filter_.field, "choices") or name.endswith(("_from", "_to")):
            page = as_alice.get(url, {name: "no-such-thing"})
            assert page.context["filter_errors"], name
            assert rows(page) == plain or name in filterset.defaults, name
            assert "The list is shown without this filter" in page.text


@every_list
def test_an_applied_filter_shows_a_chip_that_takes_it_away(route, filled, as_alice):
    url, filterset = address(route, filled), route.view_class.filterset_class
    for name, filter_ in filterset.base_filters.items():
        choices = [
            c for c, _ in list(getattr(filter_.field, "choices", [])) if c and c not in ("all", filterset.defaults.get(name))
        ]
        if choices and name != "q":
            page = as_alice.get(url, {name: choices[0], "sort": ""})
            chip = page.context["chips"][0]
            assert name not in chip["remove"].partition("?")[2]
            assert as_alice.get(chip["remove"]).context["chips"] == []


@every_list
def test_a_longer_page_asks_no_more_queries(route, filled, as_alice):
    url = address(route, filled)
    as_alice.get(url)
    counts = []
    for query in ("", "per_page=50"):
        with CaptureQueriesContext(connection) as asked:
            as_alice.get(f"{url}?{query}")
        counts.append(len(asked))

    assert counts[0] == counts[1] <= 14


@every_list
def test_the_rows_hold_all_that_any_column_shows(route, filled, as_alice):
    url, table = address(route, filled), route.view_class.table_class
    as_alice.get(url)
    with CaptureQueriesContext(connection) as usual:
        as_alice.get(url)
    with CaptureQueriesContext(connection) as all_shown:
        as_alice.get(f"{url}?columns={','.join(table.base_columns)}")

    assert len(all_shown) <= len(usual) + len(table.prefetch)


@every_list
def test_a_row_leads_to_its_own_page(route, filled, as_alice):
    page = as_alice.get(address(route, filled)).context
    if page["table"].page_name:
        for row in page["page"].rows:
            assert page["table"].link(row) == row.get_absolute_url()


@every_list
def test_every_menu_holds_its_filters_whatever_is_in_force(route, filled, as_alice):
    url, filterset = address(route, filled), route.view_class.filterset_class
    for query in ("", "q=ana", "created=30d", "status=active"):
        shown = as_alice.get(f"{url}?{query}").text
        for name in {name for names in filterset.groups.values() for name in names}:
            assert f'name="{name}"' in shown, (query, name)


@every_list
def test_the_other_mode_is_empty_and_says_so(route, filled, as_alice):
    as_alice.post("/mode/", {"mode": "live"})
    if "customer" in route.params:
        assert as_alice.get(address(route, filled)).status_code == 404
        return
    page = as_alice.get(address(route, filled))

    assert rows(page) == []
    assert "<table" not in page.text or 'class="empty"' in page.text
    assert 'class="empty"' in page.text


@every_list
def test_a_list_is_declared_in_full(route):
    view = route.view_class
    table, filters = view.table_class, view.filterset_class.base_filters

    assert all((view.title, view.empty_text, view.plural != "rows"))
    assert view.list_name or "customer" in route.params  # without a list of all, nothing of it is saved as a view
    assert table.caption
    assert {*table.default, *table.always} - {*route.params} <= table.base_columns.keys()  # a customer's own list leaves them out
    assert table._meta.order_by[0].lstrip("-") in table.sorts()
    assert len({c.name for c in table.csv}) == len(table.csv)
    assert table.csv or not view.export_name
    assert {name for names in view.filterset_class.groups.values() for name in names} <= filters.keys()
    for _label, query in view.tabs:
        assert {pair.split("=")[0] for pair in query.split("&") if pair} <= filters.keys()
    for column in set(table.sorts().values()) - {"pk"}:
        field = view.queryset.model._meta.get_field(column)
        assert not field.null, f"{column} may be empty: keyset paging cannot sort by it"
    for column in table.csv:
        assert not {"token", "nonce", "secret", "hash", "password"} & set(column.name.split("_"))


@every_list
def test_every_contact_column_is_marked_as_such(route):
    contact = {
        "email",
        "phone",
        "billing_email",
        "billing_phone",
        "customer_email",
        "bill_to_email",
        "bill_to_phone",
        "address_line1",
        "metadata",
    }
    table = route.view_class.table_class

    assert [c.name for c in table.csv if c.name in contact and not c.contact] == []
    assert [n for n, c in table.base_columns.items() if n in contact and not getattr(c, "contact", False)] == []


def test_a_list_of_nothing_is_a_list_and_a_file_of_headings(filled, as_alice):
    """Signs alone match nobody, without asking the database; what is counted and exported beside it must bear that."""
    for query in ("q=@@@", "q=@@@&kind=company", "q=@@@&kind=individual&created=today", "q=***&status=all"):
        page = as_alice.get(f"/customers/?{query}")
        assert (page.status_code, rows(page)) == (200, [])
        assert as_alice.get(f"/customers/?{query}&format=csv&columns=id").getvalue() == "\ufeffid\r\n".encode()
    assert as_alice.get("/billing/payments/?q=@@@&format=csv").getvalue().count(b"\n") == 1


# --- cursors --------------------------------------------------------------------------------------------


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


def test_every_route_argument_of_a_list_is_a_customer():
    assert {name for route in LISTS for name in route.params} <= {"customer"}
    assert argument(LISTS_BY_PATH["customers/<id:customer>/payments/"], "customer", SimpleNamespace(customer="cus_1")) == "cus_1"


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
