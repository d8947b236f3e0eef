"""The fuzz drill's short form, and that it can fail. The long form: `./run drill fuzz --rounds 100000`."""

import io
import random
import re
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.http import HttpResponse, QueryDict

from billing.domain.checkouts import start_payment
from billing.drills import canaries, fuzz, fuzz_requests, nasty
from billing.gateways.sandbox import deliveries
from billing.models import Payment
from billing.tests.factories import make_request
from customers.domain import find_or_create_customer
from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard.states import DomainError
from dashboard.tests.actors import ACTORS
from dashboard.tests.api_client import Api
from dashboard.tests.routes import make_world

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),  # the test runner's own
]


def drill(rounds):
    out = io.StringIO()
    try:
        call_command("drill", "fuzz", rounds=rounds, stdout=out)
    except CommandError:
        return f"{out.getvalue()}\nVIOLATED"
    return out.getvalue()


def test_whatever_is_sent_the_answer_is_no_fault_and_nothing_secret_is_left(ready_to_drill):
    said = drill(1500)

    assert "VIOLATED" not in said, said
    assert re.search(r"1500 requests of seed \d+ in 3 batches, 0 violations", said)
    assert {name for name in ACTORS if re.search(rf"actor {name}: [1-9]\d+ ", said)} == set(ACTORS)
    assert said.count(", caught") == len(fuzz.CONTROLS)
    asked, forms, asks = map(int, re.search(r"(\d+) routes, (\d+) forms and (\d+) operations", said).groups())
    assert asked > 200
    assert forms > 90
    assert asks > 50
    assert not Payment.objects.exists()  # the configured database is not touched
    assert not Customer.objects.exists()


# --- what it would see ------------------------------------------------------------------------------------
def answered(status=200, body=b"<p>", kind="text/html", path="/customers/", error=None, **headers):
    answer = HttpResponse(body, status=status, content_type=kind, headers={"X-Request-ID": "1", "Content-Security-Policy": "x"})
    for name, value in headers.items():
        answer[name] = value
    answer.wsgi_request, answer.exc_info = SimpleNamespace(path_info=path, method="GET"), (None, error, None) if error else None
    return answer


@pytest.mark.parametrize(
    "wrong, told",
    [
        ({"status": 500, "error": ValueError("torn")}, "500 ValueError 'torn'"),
        ({"status": 503}, "503"),
        ({"took": 11}, "took 11 s"),
        ({"kind": "application/json"}, "is no application/json"),
        ({"kind": "application/pdf"}, "is no application/pdf"),
        ({"body": b"\xff"}, "is no text/html"),
        ({"body": b"a", "kind": "text/csv"}, None),
        ({"body": b"\xff", "kind": "text/csv"}, "is no text/csv"),
        ({"body": b"<p>" + nasty.MARK.encode()}, "as markup"),
        ({"actor": "stranger"}, "200 for somebody outside"),
        ({"actor": "former", "path": "/billing/payments/"}, "200 for somebody outside"),
        ({"actor": "stranger", "path": "/accounts/login/"}, None),
        ({"actor": "stranger", "status": 404}, None),
        ({"status": 500, "body": fuzz.AGAIN, "path": "/webhooks/sandbox/", "kind": "text/plain"}, None),
        ({"status": 500, "body": b"x", "path": "/webhooks/sandbox/", "kind": "text/plain"}, "500"),
        ({}, None),
    ],
)
def test_what_is_wrong_with_an_answer_is_told(wrong, told):
    about = {"took": 0.1, "actor": "admin"} | {name: wrong[name] for name in ("took", "actor") if name in wrong}
    answer = answered(**{name: value for name, value in wrong.items() if name not in about})

    found = list(fuzz.faults_of(answer, answer.content, **about))

    assert bool(found) == bool(told)
    assert told is None or told in found[0]


@pytest.mark.parametrize("missing", ["X-Request-ID", "Content-Security-Policy"])
def test_an_answer_without_its_headers_is_told(missing):
    answer = answered()
    del answer[missing]

    assert len(list(fuzz.faults_of(answer, answer.content, 0.1, "admin"))) == 1


def test_too_few_requests_that_were_good_ones_are_a_violation():
    found = fuzz.Found()
    found.statuses["admin", "form", 4, 404, False] = 1000

    told = list(found.too_little(1000))

    assert "No request of the kind api was a good one." in told
    assert "Only 0 requests of payer." in told
    assert "Only 0 were done." in told
    assert found.violated(1000)
    assert not fuzz.Found().violated(100)  # so few say nothing either way


def test_a_control_that_is_not_caught_is_a_violation():
    assert fuzz._caught("x", []) == (["control, x: 0 found, NOT CAUGHT"], True)
    assert fuzz._caught("x", ["seen"]) == (["control, x: 1 found, caught"], False)


@pytest.mark.parametrize("place", ["log", "database", "mails", "answers"])
def test_a_canary_is_found_where_it_does_not_belong(place):
    known = canaries.Canaries({"session": ["0123456789abcdef"], "link": ["fedcba9876543210"]})

    assert known.found(place, f"x {canaries.TYPED['password']} y") == ["password"]
    assert known.found(place, "0123456789abcdef") == ([] if place == "database" else ["session"])
    assert known.found(place, "fedcba9876543210") == ([] if place in ("mails", "answers") else ["link"])
    assert known.found(place, f"paid by {nasty.CARDS[1]}") == ["card number"]
    assert known.found(place, f"paid by {nasty.CARDS[1]}", cards=False) == []
    assert known.found(place, "nothing") == []


def test_the_same_seed_makes_the_same_requests(alice, monkeypatch):
    cache.clear()
    places = ("customers/new/", "pay/bill/<slug:token>/", "admin/", "customers/imports/new/")
    forms = {at: SimpleNamespace(path=at, method="post", action=f"/{at}", pairs=[("a", "1"), ("b", "2")]) for at in places}
    monkeypatch.setattr(fuzz_requests.Maker, "_forms", lambda *_: forms)
    maker = fuzz_requests.Maker(make_world(alice), None, None)

    def made(seed):
        chance = random.Random(seed)
        kinds = [kind for kind in fuzz_requests.KINDS if kind != "webhooks"]  # a signature holds the time
        return [str(maker.make(kind, chance)) for kind in kinds for _ in range(20)]

    assert made(1) == made(1)
    assert made(1) != made(2)


# --- what is asked of one request ---------------------------------------------------------------------------
def test_more_parameters_than_a_form_may_have_are_refused(as_alice):
    query = "&".join(f"x{n}=1" for n in range(1500))

    assert as_alice.get(f"/customers/?{query}").status_code == 400
    assert as_alice.post("/customers/new/", query, content_type="application/x-www-form-urlencoded").status_code == 400


def test_a_parameter_given_twice_counts_once(as_alice):
    assert QueryDict("kind=company&kind=individual")["kind"] == "individual"
    page = as_alice.get("/customers/?kind=company&kind=individual")

    assert [chip["value"] for chip in page.context["chips"]] == ["Individual"]


def test_what_comes_as_another_kind_of_body_changes_nothing(as_alice):
    for kind in nasty.TYPES:
        body = b'{"first_name": "Ana", "currency": "USD", "kind": "individual"}'
        answer = as_alice.generic("POST", "/customers/new/", body, kind)
        assert answer.status_code in (400, 415, 422), kind
    assert not Customer.objects.exists()


# --- what once was a fault ----------------------------------------------------------------------------------
def test_a_length_that_is_no_number_is_refused(as_alice):
    for told in ("nonsense", "-1", "9" * 5000, "\xb2"):
        for url in ("/api/v1/payments", "/webhooks/sandbox/"):
            answer = as_alice.generic("POST", url, b"{}", "application/json", CONTENT_LENGTH=told)
            assert answer.status_code in (400, 413), (told, url)


def test_a_signed_body_too_deep_to_read_is_refused(client, db):
    for body in nasty.DEEP:
        answer = client.post(
            "/webhooks/sandbox/", body, content_type="application/json", headers={deliveries.HEADER: deliveries.sign(body)}
        )
        assert answer.status_code == 400


def test_a_cursor_too_deep_to_read_is_none(as_alice):
    assert as_alice.get("/customers/", {"after": "W1tb" * 25_000}, follow=True).status_code == 200


def test_a_name_of_which_a_part_is_too_long_is_disregarded_or_refused(max):
    api, ana, long = Api(user=max), make_customer(), "9" * 400
    changed = api.patch(f"/customers/{ana.pk}", {"name": long, "description": "told"})

    assert (changed.status_code, changed["X-Disregarded-Fields"]) == (200, "name")
    assert (changed.json()["name"], changed.json()["description"]) == ("Ana Cruz", "told")
    assert api.post("/customers", {"name": long, "email": "x@example.com"}).status_code == 400
    with pytest.raises(DomainError, match="too long"):
        find_or_create_customer(name=f"Ana {long}", email="new@example.com", livemode=False, by=max, origin="payment_request")


def test_a_choice_that_is_none_is_not_shown_again_where_card_numbers_are_chosen(client, db):
    attempt = start_payment(make_request())
    page = client.post(f"/sandbox/checkout/{attempt.remote_id}/", {"card": nasty.CARDS[2], "version": "0"})

    assert page.status_code == 422
    assert not canaries.has_number(page.text)
