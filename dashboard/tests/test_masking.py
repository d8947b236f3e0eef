"""Who may not see contact data sees it masked, everywhere, and learns nothing of it by asking otherwise.

That no page and no operation of the API shows reporting any is part of the walk (test_route_walk.py).
"""

import base64
import re
from types import SimpleNamespace

import pytest
from django.core.cache import cache

from customers.models import Customer
from dashboard.filters import SearchFilter, TextFilter
from dashboard.models import Event
from dashboard.tests.api_client import Api
from dashboard.tests.api_operations import operations
from dashboard.tests.canaries import CANARIES, leaks, plant
from dashboard.tests.routes import make_world, routes

LISTS = [r for r in routes() if hasattr(r.view_class, "table_class")]


@pytest.fixture
def world(alice):
    """One record of each kind; canaries in whatever of them can hold contact data."""
    cache.clear()
    world = make_world(alice)
    plant(Customer.objects.get(pk=world.customer))
    return world


@pytest.fixture
def canary(world):
    """Ana Bird."""
    return Customer.objects.get(pk=world.customer)


def open_to(role):
    return [route for route in LISTS if route.open_to(role)]


def test_no_list_and_no_export_shows_reporting_a_column_of_contact_data(world, as_rita, as_max, rita, max):
    """All columns there are, chosen, about the one customer; and the whole export."""
    told, shown = {}, set()
    for client, user, found in ((as_rita, rita, told), (as_max, max, shown)):
        for route in open_to(user.role):
            columns = ",".join(route.view_class.table_class.base_columns)
            for query in (f"columns={columns}", f"customer={world.customer}&format=csv"):
                if leaked := leaks(client.get(f"{route.url(world)}?{query}")):
                    found.update({(route.path, query): leaked} if found is told else {route.path})

    assert told == {}
    assert len(shown) > 10  # the control: a manager sees them


def test_no_event_and_no_find_shows_reporting_contact_data(world, canary, as_rita, as_sue):
    events = Event.objects.filter(livemode=False, customer_id=canary.pk)
    pages = [f"/activity/{event.pk}/" for event in events] + ["/search/?q=bird", f"/activity/?customer={canary.pk}&format=csv"]

    assert {page: told for page in pages if (told := leaks(as_rita.get(page)))} == {}
    assert len(pages) > 12
    assert [page for page in pages if page.startswith("/activity/evt") and leaks(as_sue.get(page))]


def test_a_personal_token_shows_what_its_person_sees(world, rita, sue, monkeypatch):
    monkeypatch.setattr("dashboard.api.callers.REQUESTS.spend", lambda who: None)
    reads = [o.url(world) for o in operations() if o.verb == "GET"] + ["/customers/search?query=bird"]

    def told(user):
        api = Api(user=user)
        return {path: found for path in reads if (found := leaks(api.get(path)))}

    assert told(rita) == {}
    assert len(told(sue)) > 10


# --- no oracle ------------------------------------------------------------------------------------------------------


def answers(view, viewer, name, text):
    """The ids a list's filter leaves."""
    request = SimpleNamespace(user=viewer, livemode=False)
    found = view.filterset_class({name: text}, view.queryset.all().filter(livemode=False), request=request)
    return sorted(found.qs.values_list("pk", flat=True))


def filters(role):
    """[(a list's view, the name of a filter that takes a text)]: each once, whichever pages have it."""
    views = {r.view_class.filterset_class: r.view_class for r in open_to(role) if r.view_class.filterset_class}
    typed = [(view, name, one) for kind, view in views.items() for name, one in kind.base_filters.items()]
    return [(view, name) for view, name, one in typed if isinstance(one, SearchFilter | TextFilter)]


def test_no_filter_of_a_list_tells_reporting_whether_a_text_is_somebodys(world, rita, sue):
    """What a filter leaves for a text of the canaries is what it leaves for one that is nobody's."""
    texts, nobodys, told, seen = [*CANARIES.values(), "9175550123", "canary", "secret.example"], "qqqqzzzz", [], set()
    for view, name in filters(rita.role):
        none = {viewer: answers(view, viewer, name, nobodys) for viewer in (rita, sue)}
        told += [(view, name, text) for text in texts if answers(view, rita, name, text) != none[rita]]
        seen |= {(view, name) for text in texts if answers(view, sue, name, text) != none[sue]}

    assert told == []
    assert len(seen) > 6  # the control: support finds by them


def test_no_search_and_no_sort_of_the_api_tells_reporting_either(world, rita, sue, monkeypatch):
    monkeypatch.setattr("dashboard.api.callers.REQUESTS.spend", lambda who: None)
    lists = {o.path: "query" if "search" in o.path else "q" for o in operations() if _takes(o, "q") or "search" in o.path}
    as_rita, as_sue, seen = Api(user=rita), Api(user=sue), 0
    for path, name in lists.items():
        for text in (CANARIES["email"], CANARIES["metadata"], CANARIES["phone"]):
            assert as_rita.get(f"{path}?{name}={text.replace('+', '%2B')}").json()["count"] == 0, (path, text)
            seen += as_sue.get(f"{path}?{name}={text.replace('+', '%2B')}").json()["count"]

    assert len(lists) > 7
    assert seen > 8
    refused = as_rita.get("/customers?sort=email")
    assert refused["X-Disregarded-Fields"] == "sort"
    assert refused.json()["list"] == as_rita.get("/customers").json()["list"]
    assert "X-Disregarded-Fields" not in as_sue.get("/customers?sort=email")


def _takes(operation, name):
    return name in [parameter["name"] for parameter in operation.document.get("parameters", [])]


def test_reporting_sees_who_it_is_and_masked_how_to_reach_them(canary, as_rita):
    page = as_rita.get(canary.get_absolute_url()).text

    assert "Ana Bird" in page
    assert "c•••@secret.example" in page
    assert "•••23" in page


def test_reporting_finds_nobody_by_contact_data(canary, as_rita, as_sue):
    for text in (CANARIES["email"], "canary@", CANARIES["phone"], "9175550123", CANARIES["metadata"]):
        assert as_sue.get("/customers/", {"q": text}, follow=True).text.count("Ana Bird"), text
        assert "Ana Bird" not in as_rita.get("/customers/", {"q": text}, follow=True).text, text
    assert "Ana Bird" in as_rita.get("/customers/", {"q": "bird"}).text
    for text in (CANARIES["email"], CANARIES["phone"], CANARIES["metadata"]):
        assert canary.get_absolute_url() not in as_rita.get("/search/", {"q": text}, follow=True).text, text
    assert canary.get_absolute_url() in as_rita.get("/search/", {"q": "bird"}).text


def test_reporting_sorts_by_no_contact_data_and_no_cursor_tells_any(canary, as_rita, as_sue, alice):
    from customers.tests.factories import make_customer

    for n in range(30):
        make_customer(by=alice, email=f"a{n:02}@secret.example")
    for sort in ("email", "-email"):
        page = as_rita.get("/customers/", {"sort": sort})
        assert "@secret.example" not in "".join(
            base64.urlsafe_b64decode(c + "==").decode(errors="replace") for c in re.findall(r"after=([\w-]+)", page.text)
        )
        assert page.context["page"].order.column == "created_at"
    assert as_sue.get("/customers/", {"sort": "email"}).context["page"].order.column == "email"


@pytest.mark.parametrize(
    "query", ["email=canary@secret.example", "email__startswith=c", "phone=%2B639175550123", "search=canary"]
)
def test_a_filter_nobody_offered_filters_nothing(canary, as_rita, query):
    assert "Ana Bird" in as_rita.get(f"/customers/?{query}").text
    assert "Ana Bird" in as_rita.get(f"/customers/?{query.replace('canary', 'nobody').replace('=c', '=zz')}").text


def test_support_does_not_export(as_sue, as_rita):
    assert as_sue.get("/customers/?format=csv").status_code == 403
    assert as_rita.get("/customers/?format=csv").status_code == 200
