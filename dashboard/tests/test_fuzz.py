"""Whatever is sent, the answer is never a fault: lists, forms and paths under 1,500 hostile requests (FUZZ=n for more)."""

import os
import random
from urllib.parse import quote

import pytest
from django.core.cache import cache
from django.http import QueryDict

from dashboard.tests.routes import make_world, routes, undone
from dashboard.tests.test_lists import LISTS

REQUESTS = int(os.environ.get("FUZZ", "1500"))
SEED = int(os.environ.get("FUZZ_SEED", "20261122"))
NASTY = [
    "", " ", "\0", "a\0b", "\x01\x1f\x7f", "\x85", "\ud800", "\udfff\ud800", "\ufeff", "\u202eevil", "\u200d", "é\u0301" * 20,
    "x" * 10_240, "x" * 600,
    "%" * 300, "_" * 300, "*" * 500, "%", "_", "\\", "'", '"', "''", "' OR 1=1 --", '"; DROP TABLE x; --', "';--", "%s%s%n",
    "%(a)s", "{0}", "${7*7}", "{{7*7}}",
    "<script>", "ZZ", "555-1234", "-1", "0", "1e999", "NaN", "Infinity", "9" * 400, "1" * 25, "2**64", "99999999999999999999",
    "-9223372036854775809", "1.5",
    "0000-00-00", "2024-02-30", "99999-01-01", "0001-01-01", "9999-12-31", "today", "2024-13-01T25:61", "null", "None",
    "true", "[]", "{}", '{"a":', '["", ""]',
    "../../etc/passwd", "//evil.example", "a" * 24, "cus_" + "a" * 24, "cus_" + "\0" * 24, "addr_" + "f" * 24, "AND", "NEAR(",
    '"a" OR', "a*", "^a", "(" * 50, "+55 12",
    "W251bGxd", "WzEsMl0", "WyJcdTAwMDAiLCAiY3VzXzAiXQ", "e30", "====", "Ws-A", "=cmd|' /C calc'!A0", "山田太郎", "🦊" * 40,
    "١٢٣", "\t\r\n", "a\r\nb: c",
]  # fmt: skip


def at_random(chance):
    """A value from the list above, two of them together, or random characters of any plane."""
    if (die := chance.random()) < 0.75:
        return chance.choice(NASTY)
    if die < 0.85:
        return chance.choice(NASTY) + chance.choice(NASTY)
    return "".join(
        chr(chance.choice([chance.randrange(0x80), chance.randrange(0x3000), chance.randrange(0x10FFFF)]))
        for _ in range(chance.randrange(60))
    )


def encoded(pairs):
    return "&".join(f"{quote(k, errors='surrogatepass')}={quote(v, errors='surrogatepass')}" for k, v in pairs)


@pytest.fixture
def world(alice):
    cache.clear()
    return make_world(alice)


@pytest.fixture
def clients(as_alice, as_sue, as_rita):
    for client in (as_alice, as_sue, as_rita):
        client.raise_request_exception = False
    return [as_alice, as_alice, as_sue, as_rita]


def bombard(count, make):
    """Send `count` requests made by make(chance); {what was sent: status} of those that ended in a fault."""
    chance, faults, answers = random.Random(SEED), {}, {}
    for _ in range(count):
        with undone():
            sent, answer = make(chance)
            body = answer.getvalue() if answer.streaming else answer.content
        answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
        if answer.status_code >= 500:
            faults[sent[:300]] = (answer.status_code, body[:0])
    return faults, answers


def test_no_address_of_a_list_is_a_fault(world, clients):
    known = ["q", "sort", "after", "before", "per_page", "columns", "format", "view", "show", "page"]

    def ask(chance):
        route = chance.choice(LISTS)
        names = [*known, *route.view_class.filterset_class.base_filters]
        pairs = [(chance.choice(names), at_random(chance)) for _ in range(chance.randrange(1, 5))]
        pairs += [("format", "csv")] * (chance.random() < 0.15) + [
            ("sort", chance.choice(["name", "-email", "total", "-created_at"]))
        ] * (chance.random() < 0.3)
        url = f"{route.url(world)}?{encoded(pairs)}"
        return url, chance.choice(clients).get(url)

    faults, answers = bombard(REQUESTS * 6 // 10, ask)
    assert faults == {}
    assert answers[200] > REQUESTS * 0.3


def forms():
    """Every route that takes a form, the sign-in's and the payer's among them; uploads are in test_imports.py."""
    return [r for r in routes() if not r.path.startswith("admin/") or "/user/" in r.path]


FIELDS = (
    "kind first_name last_name company_name email phone reference description tax_id currency "
    "billing_statement_prefix did metadata_key metadata_value version was country name line1 line2 line3 city state "
    "postal_code phone_number is_default body pinned amount_0 amount_1 amount amount_currency expires_at note list "
    "column next mode theme shared login password password1 password2 oldpassword code card number form_key "
    "merchant_reference_id method_types match clear encoding delimiter format-encoding format-delimiter "
    "not_a_duplicate role is_active shortcuts why reason "
).split()


def test_no_form_is_a_fault(world, clients):
    good = {
        "kind": "individual",
        "first_name": "Ana",
        "currency": "USD",
        "country": "PH",
        "line1": "1 Rizal",
        "name": "x",
        "theme": "dark",
        "body": "x",
    }
    takers = [r for r in forms() if r.path not in ("accounts/logout/",)]

    def ask(chance):
        cache.clear()  # the limits of the sign-in are not what is tried here
        route = chance.choice(takers)
        pairs = [(k, v) for k, v in good.items() if chance.random() < 0.6]
        pairs += [(chance.choice(FIELDS), at_random(chance)) for _ in range(chance.randrange(1, 7))]
        url, body = route.url(world), encoded(pairs)
        answer = chance.choice(clients).post(url, body, content_type="application/x-www-form-urlencoded")
        return f"{url} {body}", answer

    faults, answers = bombard(REQUESTS * 3 // 10, ask)
    assert faults == {}
    assert answers.get(422, 0) > REQUESTS * 0.01


def test_no_path_is_a_fault(world, clients):
    spots = [r for r in routes() if r.params]

    def ask(chance):
        route = chance.choice(spots)
        parts = route.url(world).partition("?")[0].split("/")
        spot = chance.randrange(1, len(parts) - 1)
        parts[spot] = quote(at_random(chance), safe="", errors="surrogatepass")[:3000]
        url = "/".join(parts)
        return url, chance.choice(clients).get(url)

    faults, answers = bombard(REQUESTS // 10, ask)
    assert faults == {}
    assert answers[404] > REQUESTS * 0.02


def test_no_address_of_the_admin_is_a_fault(world, clients):
    lists = [r for r in routes() if r.name.startswith("admin:") and r.name.endswith("_changelist")]
    names = [
        "q",
        "o",
        "p",
        "e",
        "all",
        "mode",
        "status__exact",
        "status",
        "role__exact",
        "id",
        "id__exact",
        "email__regex",
        "created_at__gte",
        "customer__id",
        "_facets",
        "_popup",
        "actor__exact",
        "is_active__exact",
        "livemode__exact",
    ]

    def ask(chance):
        url = f"{chance.choice(lists).url(world)}?{
            encoded([(chance.choice(names), at_random(chance)) for _ in range(chance.randrange(1, 4))])
        }"
        return url, clients[0].get(url)

    faults, _answers = bombard(REQUESTS // 10, ask)
    assert faults == {}


def test_more_parameters_than_a_form_may_have_are_refused(as_alice):
    query = "&".join(f"x{n}=1" for n in range(1500))

    assert as_alice.get(f"/customers/?{query}").status_code == 400
    assert as_alice.post("/customers/new/", query, content_type="application/x-www-form-urlencoded").status_code == 400


def test_a_parameter_given_twice_counts_once(as_alice, world):
    assert QueryDict("kind=company&kind=individual")["kind"] == "individual"
    page = as_alice.get("/customers/?kind=company&kind=individual")

    assert [chip["value"] for chip in page.context["chips"]] == ["Individual"]


def test_what_comes_as_another_kind_of_body_changes_nothing(as_alice, world):
    for kind in (
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=utf-16",
        "nonsense",
    ):
        answer = as_alice.post(
            "/customers/new/", b'{"first_name": "Ana", "currency": "USD", "kind": "individual"}', content_type=kind
        )
        assert answer.status_code in (400, 415, 422), kind
