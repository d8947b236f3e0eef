"""Card numbers in every text of every request of the API: none is kept, answered or logged. With the guards off, this sees it.

The OpenAPI document says what there is to try, so an operation that is added is tried without being listed here.
"""

import json
import logging
import re
from copy import deepcopy
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.db import connection

from billing.drills.canaries import has_number, whole_database
from billing.gateways.sandbox.cards import CARDS
from billing.tests.factories import make_statement
from billing.tests.test_no_card_numbers import LISTED, UNLISTED, WRITES, WRITTEN, unguarded
from dashboard import card_numbers
from dashboard.api import callers
from dashboard.api_models import IdempotencyKey
from dashboard.tests.api_client import Api
from dashboard.tests.api_operations import NAMED, operations, resolved
from dashboard.tests.routes import make_world, undone

__all__ = ["unguarded"]  # a fixture
pytestmark = pytest.mark.django_db
NUMBERS = ("card_number", "account_number")  # the fields that take a number: one of the sandbox's list
MUST_BE_TRIED = {  # the walk tries at least these
    ("POST /customers", "first_name"), ("POST /customers", "address.line1"), ("POST /customers", "metadata"),
    ("POST /customers", "payment_source.card_number"), ("POST /customers", "payment_source.address_line1"),
    ("PATCH /customers/{customer_id}", "description"), ("POST /customers/{customer_id}/comments", "body"),
    ("POST /customers/{customer_id}/payment_sources", "card_name"), ("POST /customers/{customer_id}/payment_sources", "token"),
    ("POST /customers/{customer_id}/payment_sources", "card_number"), ("POST /coupons", "name"),
    ("PATCH /coupons/{coupon_id}", "description"), ("POST /tokenization_links", "description"),
    ("POST /tokenization_links/{link_id}/send", "message"), ("GET /customers/search", "?query"), ("GET /coupons", "?q"),
    ("GET /customers/{customer_id}", "customer_id in the path"), ("POST /coupons", "Idempotency-Key"),
}  # fmt: skip
CONTROL = {  # without the guards the walk finds these
    ("POST /customers", "first_name"), ("POST /customers", "address.line1"), ("POST /customers", "payment_source.address_line1"),
    ("PATCH /customers/{customer_id}", "description"), ("POST /customers/{customer_id}/comments", "body"),
    ("POST /customers/{customer_id}/payment_sources", "card_name"), ("POST /coupons", "name"),
    ("PATCH /coupons/{coupon_id}", "description"), ("POST /tokenization_links", "description"),
    ("POST /coupons", "Idempotency-Key"), ("GET /customers/{customer_id}", "customer_id in the path"),
}  # fmt: skip


@pytest.fixture
def world(alice, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(callers.REQUESTS, "spend", lambda who: None)  # so many requests of one key are no flood here
    cache.clear()
    made = make_world(alice)
    made.lineitem = make_statement().lines.first().pk  # of a draft: those of others do not change
    return made


# --- where a text can stand ----------------------------------------------------------------------------------
def texts(schema, here=()):
    """Places of a schema in which a text can stand, as paths: ("address", "line1"), ("line_items", 0, "description")."""
    for part in [resolved(schema), *map(resolved, schema.get("anyOf", ()))]:
        if part.get("type") == "string" and "enum" not in part:
            yield here
        for name, inner in part.get("properties", {}).items():
            yield from texts(inner, (*here, name))
        if part.get("items"):
            yield from texts(part["items"], (*here, 0))
        if isinstance(part.get("additionalProperties"), dict):
            yield from [here, (*here, "note"), (*here, None)]  # instead of the object, as a value, and as a key


def put(body, place, text):
    """The body with a text at a place, what is on the way made where it is not there."""
    name, *rest = place
    body = deepcopy(body)
    if name is None:
        return {**body, text: "x"}
    if name == 0:
        first = put(body[0] if body else {}, rest, text) if rest else text
        return [first, *body[1:]]
    inner = body.get(name) if isinstance(body, dict) else None
    wanted = list if rest and rest[0] == 0 else dict
    body = body if isinstance(body, dict) else {}
    return {**body, name: put(inner if isinstance(inner, wanted) else wanted(), rest, text) if rest else text}


SOURCE = {"type": "card", "card_name": "Ana", "expire_month": "09", "expire_year": "2034", "card_number": "4242424242424242"}


def example(operation, world):
    """A good body about the world's records."""
    body = operation.example or {}
    named = {name: getattr(world, kind, None) for name, kind in NAMED.items()}
    body = {name: named.get(name) or value for name, value in body.items()}
    return body | ({"payment_source": SOURCE} if str(operation) == "POST /customers" else {})


def body_schema(operation):
    return resolved(operation.document["requestBody"]["content"]["application/json"]["schema"])


def tries(operation, world):
    """(what is tried, path, body, headers) for every place a number can be written in."""
    url, body = operation.url(world), example(operation, world) if operation.takes_body else None
    written = iter(WRITTEN * 1000)
    for place in dict.fromkeys(texts(body_schema(operation))) if operation.takes_body else ():
        if place:
            yield ".".join(str(p) for p in place if p is not None), url, put(body, place, next(written)), {}
    if operation.takes_body:
        yield "an unknown field", url, {**body, "card": UNLISTED, UNLISTED: "x"}, {}
        yield "the whole body", url, UNLISTED.encode(), {}
    if operation.verb != "GET":
        yield "Idempotency-Key", url, body, {"Idempotency-Key": f"card {UNLISTED}"}
        yield "a body kept for a repeat", url, put(body, ("description",), UNLISTED) if body else body, {"Idempotency-Key": "k"}
    for parameter in operation.document.get("parameters", ()):
        name = parameter["name"]
        if parameter["in"] == "query":
            yield f"?{name}", f"{url}?{name}={quote(next(written))}", body, {}
    for name in operation.params:
        yield f"{name} in the path", operation.path.replace(f"{{{name}}}", UNLISTED).replace("{", "").replace("}", ""), body, {}


class Watch:
    """Sends every try; `leaks` are the (operation, place, where) in which the number turned up."""

    def __init__(self, world, caplog):
        self.world, self.caplog, self.leaks, self.tried = world, caplog, set(), {}
        self.api = Api()

    def __call__(self, execute, sql, params, many, context):
        if WRITES.match(sql) and has_number(str(params)):
            self.wrote.append(sql[:60])
        return execute(sql, params, many, context)

    def walk(self, only=None):
        for operation in operations():
            for place, path, body, headers in tries(operation, self.world):
                if only is None or (str(operation), place) in only:
                    self.send(operation, place, path, body, headers)
        return self

    def send(self, operation, place, path, body, headers):
        self.wrote = []
        self.caplog.clear()
        with undone(), connection.execute_wrapper(self):
            answer = self.api.send(operation.verb, path, body, **headers)
        shown = answer.content.decode() + str(answer.headers)
        found = {"answer": has_number(shown), "table": bool(self.wrote), "log": has_number(self.logged())}
        self.leaks |= {(str(operation), place, where) for where, there in found.items() if there}
        self.tried[str(operation), place] = answer.status_code

    def logged(self):
        """What the product's own formatter would have written."""
        line = card_numbers.Formatter("%(message)s")
        return "\n".join(line.format(record) for record in self.caplog.records)


def test_no_request_keeps_answers_or_logs_a_card_number(world, caplog):
    watch = Watch(world, caplog).walk()

    assert sorted(watch.leaks) == []
    assert watch.tried.keys() >= MUST_BE_TRIED
    assert len({operation for operation, _ in watch.tried}) > 50
    assert {name: status for name, status in watch.tried.items() if status >= 500} == {}


def test_without_the_guards_the_same_walk_finds_them(world, caplog, unguarded):
    leaks = Watch(world, caplog).walk(CONTROL).leaks

    assert {(operation, place) for operation, place, _ in leaks} >= CONTROL
    assert {where for *_, where in leaks} >= {"answer", "table"}


def test_where_a_good_body_takes_a_text_it_is_taken(world, caplog):
    """The walk means something: its bodies are good ones, but for the number."""
    api = Api()

    def answer(operation):
        with undone():
            return api.send(operation.verb, operation.url(world), example(operation, world)).status_code

    making = [o for o in operations() if o.takes_body]
    good = {str(o) for o in making if answer(o) < 300}

    assert {name for name, _ in CONTROL if name in {str(o) for o in making}} <= good


# --- the two fields that take a number -----------------------------------------------------------------------
def taking_numbers():
    return [o for o in operations() if o.takes_body and {(name,) for name in NUMBERS} & set(texts(body_schema(o)))]


def test_a_listed_test_cards_number_is_taken_and_kept_nowhere(world, caplog):
    api = Api()

    for operation in taking_numbers():
        body = {n: v for n, v in example(operation, world).items() if n not in ("payment_source_id", "token", "vault_token")}
        answer = api.send(
            operation.verb, operation.url(world), body | {"card_number": LISTED}, idempotency_key=f"k {operation.path}"
        )
        assert answer.status_code in (200, 201), answer.content
        assert not has_number(answer.content.decode(), LISTED)
    source = SOURCE | {"card_number": f"{LISTED[:4]} {LISTED[4:8]} {LISTED[8:12]} {LISTED[12:]}"}
    assert api.post("/customers", {"name": "Ana", "payment_source": source}, idempotency_key="k source").status_code == 201

    line = card_numbers.Formatter("%(message)s")
    logged = "\n".join(line.format(record) for record in caplog.records if not record.name.startswith("django.db"))
    assert IdempotencyKey.objects.filter(key__startswith="k ").count() == len(taking_numbers()) + 1
    assert LISTED[-4:] in whole_database()
    assert not has_number(whole_database(), LISTED)
    assert not has_number(logged, LISTED)


def test_the_fields_that_take_a_number_are_these_and_no_others():
    assert {str(o) for o in taking_numbers()} >= {"POST /customers/{customer_id}/payment_sources"}
    named = {
        (str(operation), ".".join(map(str, place)))
        for operation in operations() if operation.takes_body
        for place in texts(body_schema(operation))
        if place and re.search(r"(card|account)_number$", str(place[-1]))
    }  # fmt: skip
    assert {str(name).rpartition(".")[2] for _, name in named} == set(NUMBERS)
    assert LISTED in {card.number for card in CARDS}
    assert json.loads(json.dumps(put({"a": [{"b": 1}]}, ("a", 0, "c"), "x"))) == {"a": [{"b": 1, "c": "x"}]}
