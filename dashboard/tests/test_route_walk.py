"""Every door, every actor, every method: what they get is what the table says (matrix.py), and who is refused changes nothing."""

import json
import logging
import re
from collections import Counter
from types import ModuleType

import pytest
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from django.views.generic import View

from customers.models import Customer
from dashboard import urls
from dashboard.api import callers
from dashboard.permissions import PERMISSIONS
from dashboard.tests.actors import ACTORS, ROLES, make_actors, make_cast
from dashboard.tests.api_operations import operations
from dashboard.tests.canaries import leaks, plant
from dashboard.tests.matrix import EXCEPTIONS, INSIDE, METHODS, OUTSIDE, SIGN_IN, ApiPath, doors, exception, wanted
from dashboard.tests.routes import DATA, EVERYONE_OUTSIDE, Route, make_world, routes, undone

SIGN_INS = ("/accounts/login/", "/admin/login/")
UNSIGNED = "webhooks/<slug:gateway>/"  # takes no form and no token, but what a gateway signed: 400 for anything else
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE)\b", re.I)
REFUSED = "access.denied"  # the event of a refusal: the page itself has not run
OWN_BUSINESS = (  # of sessions, of the sign-in, of limits and of keys: when they were last used
    "dashboard_session", '"cache"', "last_login", "account_emailaddress", "dashboard_bucket", "last_used_at",
)  # fmt: skip
LINKED = "pay/"  # a payer's look at their link is the one GET that leaves an event (billing/tests/test_visits.py)
ON_BOTH = ("reporting", "admin")  # the others show nothing that these two do not: one kind of database is enough for them


@pytest.fixture(scope="module")
def cast(rows_for_this_file):
    """A person of each role. They and the world are made once, and each test is undone above them; nothing of this file stays."""
    return make_cast()


@pytest.fixture(scope="module")
def world(cast):
    cache.clear()
    world = make_world(cast["admin"])
    plant(Customer.objects.get(pk=world.customer))
    return world


@pytest.fixture(scope="module")
def actors(world, cast):
    """The eight. What is written once a minute, they have written already: that they were seen, and where they were refused."""
    actors = make_actors(world, cast)
    for client in actors.values():
        client.get("/team/")
        client.get("/api/v1/customers")
    return actors


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """So many requests of one caller are no flood here; nobody reads the log, nor the contexts of templates."""
    monkeypatch.setattr(callers.REQUESTS, "spend", lambda who: None)
    monkeypatch.setattr("django.test.client.store_rendered_templates", lambda *about, **more: None)
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def ask(client, door, world, method):
    """An answer; a sign-out among the routes is undone as well."""
    kept = dict(client.cookies)
    with undone():
        answer = send(client, door, door.url(world), method)
    client.cookies.clear()
    client.cookies.update(kept)
    return answer


def send(client, door, url, method):
    if not isinstance(door, ApiPath):
        return getattr(client, method.lower())(url, DATA.get(door.path, {}) if method == "POST" else None)
    operation = door.verbs.get(method)
    body = json.dumps(operation.example).encode() if operation and operation.takes_body else b""
    return client.generic(method, url, body, "application/json")


class Walk:
    """What an actor got at every door. `wrong` names route, actor, method, what they got and what they should have."""

    def __init__(self, actor, client, world):
        self.actor, self.client, self.world = actor, client, world
        self.wrong, self.written, self.told, self.statuses = [], {}, {}, Counter()

    def through(self, doors):
        with connection.execute_wrapper(self.watch):
            for door in doors:
                for method in METHODS:
                    self.step(door, method)
        return self

    def step(self, door, method):
        self.writes, want = [], wanted(door, self.actor, method)
        answer = ask(self.client, door, self.world, method)
        got = SIGN_IN if answer.status_code == 302 and answer.url.startswith(SIGN_INS) else answer.status_code
        self.statuses[got] += 1
        if got != want if want == SIGN_IN else got not in want:
            self.wrong.append(f"{door.path or '/'}: {self.actor}, {method}: got {got}, wanted {want}")
        if self.writes and (method == "GET" or got in (SIGN_IN, 401, 403, 405)):
            self.written[f"{door.path} {method}"] = self.writes
        if method == "GET":
            self.look_at(door, answer)

    def watch(self, execute, sql, params, many, context):
        if WRITES.match(sql) and not any(word in sql for word in OWN_BUSINESS) and REFUSED not in (params or ()):
            self.writes.append(sql[:120])
        return execute(sql, params, many, context)

    def look_at(self, door, answer):
        """Reporting sees no contact data; nobody in the admin sees what opens a link."""
        if self.actor in ("reporting", "support") and door.path not in EVERYONE_OUTSIDE and (found := leaks(answer)):
            self.told[door.path] = found
        if door.path.startswith("admin/") and (found := [s for s in secrets_of(self.world) if s in getattr(answer, "text", "")]):
            self.wrong.append(f"{door.path}: {self.actor} is shown {found}")


def secrets_of(world):
    """What opens links, and what stands for it in the database."""
    from billing.models import Attempt, PaymentRequest

    if not hasattr(world, "secrets"):
        request, attempt = PaymentRequest.objects.get(pk=world.paymentrequest), Attempt.objects.get(pk=world.attempt)
        world.secrets = [request.token, request.token_nonce, request.token_hash, attempt.url, attempt.request_hash]
        world.secrets += [world.bill_token, world.card_token, world.paid_token, world.invitation_token]
        assert all(world.secrets)
    return world.secrets


@pytest.mark.django_db
@pytest.mark.parametrize("actor", [pytest.param(a, marks=[] if a in ON_BOTH else pytest.mark.one_database) for a in ACTORS])
def test_each_actor_gets_what_the_table_says_at_every_door(actor, actors, world):
    walk = Walk(actor, actors[actor], world).through(doors())
    visits = {} if actor in ROLES else {name for name in walk.written if name.startswith(LINKED) and name.endswith(" GET")}

    assert not walk.wrong, "\n".join(walk.wrong)
    assert walk.written.keys() - visits == set(), walk.written
    assert sum(walk.statuses.values()) == len(doors()) * len(METHODS) > 1500
    if actor == "reporting":
        assert walk.told == {}
    if actor == "support":  # the control: who may see contact data does, on many pages and by the API
        assert len(walk.told) > 40
        assert sum(path.startswith("api/") for path in walk.told) > 8


# --- the walk would notice ----------------------------------------------------------------------------------------


class Careless(View):
    """A page that asks for nothing, whatever it says, and writes when it is looked at."""

    permission = None

    def get(self, request):
        Customer.objects.update(description="seen")
        return HttpResponse("Come in.")


@pytest.fixture
def forgotten(settings):
    """A route somebody added: forgotten(permission) declares one, or none."""

    def add(permission):
        view = type("Forgotten", (Careless,), {"permission": permission}).as_view()
        changed = ModuleType("changed_urls")
        changed.__dict__.update(vars(urls), urlpatterns=[path("forgotten/", view, name="forgotten"), *urls.urlpatterns])
        settings.ROOT_URLCONF = changed
        return next(route for route in routes() if route.path == "forgotten/")

    return add


@pytest.mark.django_db
def test_a_route_without_a_row_fails_the_walk(forgotten, actors, world):
    with pytest.raises(KeyError, match=r"forgotten/ \(forgotten\) has no row"):
        Walk("admin", actors["admin"], world).through([forgotten(None)])


@pytest.mark.django_db
def test_a_page_that_lets_in_whom_the_table_refuses_fails_the_walk(forgotten, actors, world):
    walk = Walk("reporting", actors["reporting"], world).through([forgotten("dashboard.manage_team")])

    assert walk.wrong[0] == "forgotten/: reporting, GET: got 200, wanted {403}"
    assert list(walk.written) == ["forgotten/ GET"]


def test_every_exception_is_one_of_some_route():
    used = [exception(route, method, whom) for route in routes() for method in ("GET", "POST") for whom in (INSIDE, OUTSIDE)]

    assert [one for one in EXCEPTIONS if one not in used] == []


def test_the_doors_are_all_there_are():
    """The API's routes as the URLs have them, each with its operations, and two pages about the API that tell no data."""
    from django.urls import get_resolver

    from dashboard.tests import routes as module

    all_routes = [r for r in module._walk(get_resolver().url_patterns, "", "") if r.path.startswith(module.API)]
    plain = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.path) for route in all_routes}
    ours = {door.path for door in doors() if isinstance(door, ApiPath)}

    assert plain - ours == {"api/v1/", "api/v1/openapi.json"}
    assert ours - plain == set()
    assert len(operations()) > 80
    assert all(isinstance(door, ApiPath | Route) for door in doors())


# --- and what one walk of one client shows --------------------------------------------------------------------------


@pytest.mark.django_db
def test_no_post_passes_without_its_token(cast, world):
    client = Client(enforce_csrf_checks=True)
    client.force_login(cast["admin"])

    passed = {r.path: s for r in routes() if (s := ask(client, r, world, "POST").status_code) != 403}

    assert passed == {UNSIGNED: 400}


@pytest.mark.django_db
def test_somebody_switched_off_is_signed_out_at_once(cast, actors):
    assert actors["support"].get("/customers/").status_code == 200
    type(cast["support"]).objects.filter(pk=cast["support"].pk).update(is_active=False)

    assert actors["support"].get("/customers/").url.startswith(SIGN_INS)


def test_every_permission_a_view_asks_for_is_in_the_table_and_used():
    asked = {route.permission() for route in routes()} - {None, ""}
    by_the_api = {operation.permission for operation in operations()}
    inside = {"customers.moderate_comment", "dashboard.share_view", "dashboard.export"}

    assert asked | by_the_api <= PERMISSIONS.keys()
    assert PERMISSIONS.keys() - asked - inside == set()
