"""The contract of every list: a new list is held to all of it by having a route."""

import csv
import io
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver
from django.utils import timezone

from conftest import PASSWORD
from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard.models import User
from dashboard.tests.routes import argument, routes

ROWS = 9


def is_list(route):
    return hasattr(route.view_class, "table_class")


LISTS = [r for r in routes() if is_list(r)] if get_resolver() else []
every_list = pytest.mark.parametrize("route", LISTS, ids=[r.path for r in LISTS])
EXPORTED = [r for r in LISTS if r.view_class.export_name]


@pytest.fixture(scope="module")
def world(rows_for_this_file):
    """At least ROWS rows on every list, half of them with the same time. Made once: what a test adds is undone behind it."""
    from billing.domain.invoicing import bill_due

    alice = User.objects.create_user("alice@example.com", PASSWORD, role="admin", name="Alice")
    big = make_customer(by=alice, email="big@example.com")
    for n in range(ROWS):
        make_rows(n, big, alice)
    bill_due()
    give_half_the_same_time()
    return SimpleNamespace(customer=big.pk, alice=alice)


def make_rows(n, big, alice):
    """The n-th row of every list."""
    from billing.domain.payments import record_payment
    from billing.domain.refunds import create_refund
    from billing.tests import factories as make
    from dashboard import mail
    from dashboard.api.keys import create_key
    from dashboard.import_models import Import

    make_customer(by=alice, email=f"c{n % 3}@example.com", reference=f"R{n}")
    make.make_statement(big, by=alice, lines=[(f"Line {n}", 1, 100 * (n % 4 + 1))])
    make.make_unknown_attempt(make.make_request(big, by=alice, amount=100 * (n % 4 + 1)))
    payment = record_payment(big, amount=100 * (n % 4 + 1), currency="USD", by=alice)
    create_refund(payment, amount=10 * (n % 4 + 1), reason="others", by=alice)
    make.make_delivery(event_id=f"evt_{n}")
    make.make_card_link(big, by=alice)
    make.make_open_statement(big, by=alice, coupon=make.make_coupon(by=alice, customer=big))
    make.make_method(big, by=alice)
    make.make_subscription(big, by=alice, amount=100 * (n % 4 + 1))
    User.objects.create_user(f"person{n}@example.com", name=f"Person {n % 3}")
    create_key(name=f"Key {n % 3}", livemode=False, scopes=["read"], by=alice)
    mail.queue("receipt", payment, to=f"c{n % 3}@example.com", subject=f"Receipt {n}", text="Paid.")
    about = {"importer": "customers", "file_name": f"f{n}.csv", "size": 1, "sha256": "0" * 64}
    Import.objects.create(livemode=False, created_by=alice, **about)


def give_half_the_same_time():
    same = timezone.now() - timedelta(days=40)
    for model in {route.view_class.queryset.model for route in LISTS}:
        if model._meta.model_name != "event":
            half = list(model.objects.order_by("id").values_list("pk", flat=True))[::2]
            others = {"webhookdelivery": "received_at", "couponredemption": "redeemed_at"}
            named = others.get(model._meta.model_name, "created_at")
            model.objects.filter(pk__in=half).update(**{named: same})


@pytest.fixture
def alice(world, db):
    """Who made the rows: everybody in this file works on them."""
    return world.alice


@pytest.fixture
def filled(world, db, monkeypatch):
    """Lists full of rows, in pages of four."""
    cache.clear()
    monkeypatch.setattr("dashboard.views.lists.SIZES", (4, 50))
    return world


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
    if route.path == "team/":  # people are real whatever the mode
        assert len(rows(page)) == 4
        return

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


def test_every_route_argument_of_a_list_is_a_customer():
    assert {name for route in LISTS for name in route.params} <= {"customer"}
    assert argument(LISTS_BY_PATH["customers/<id:customer>/payments/"], "customer", SimpleNamespace(customer="cus_1")) == "cus_1"
