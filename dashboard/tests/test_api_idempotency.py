"""The same request sent twice with the same Idempotency-Key is done once, whatever happens in between."""

import json
import threading
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from billing.api import customers as customers_api
from customers.models import Customer
from dashboard.api import callers, idempotency
from dashboard.api_models import IdempotencyKey
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db
ANA, BEN = {"name": "Ana Cruz"}, {"name": "Ben Lee"}
together = pytest.mark.django_db(transaction=True)


@pytest.fixture
def api(db):
    return Api()


def send(api, body=ANA, key="order-1024", path="/customers"):
    return api.post(path, body, idempotency_key=key)


def test_the_second_answer_is_a_copy_of_the_first(api):
    first, second = send(api, ANA | {"phone": "555"}), send(api, ANA | {"phone": "555"})

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert ("Idempotent-Replayed" in first, second["Idempotent-Replayed"]) == (False, "true")
    assert first["X-Disregarded-Fields"] == second["X-Disregarded-Fields"] == "phone"
    assert Customer.objects.count() == Event.objects.filter(type="customer.created").count() == 1


def test_a_refusal_is_copied_too(api):
    first, second = send(api, {"name": ""}), send(api, {"name": ""})

    assert (first.status_code, second.status_code) == (400, 400)
    assert second["Idempotent-Replayed"] == "true"


def test_the_same_key_with_other_content_is_refused(api):
    send(api, ANA)
    for response in (send(api, BEN), send(api, ANA, path="/customers?x=1")):
        assert (response.status_code, code_of(response)) == (409, "state_conflict")
        assert "other content" in detail_of(response)

    assert Customer.objects.count() == 1


def test_a_key_is_its_callers_own(api):
    other, live = Api(), Api(livemode=True)
    answers = [send(one).json()["id"] for one in (api, other, live)]

    assert len(set(answers)) == 3


def test_reading_needs_no_key_and_keeps_none(api):
    api.get("/customers", idempotency_key="x")

    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 256, "é", "a\x7fb"])
def test_a_key_that_is_none_is_told_so(api, key):
    response = send(api, key=key)

    assert (response.status_code, response.json()["errors"][0]["parameter"]) == (400, "Idempotency-Key")
    assert not Customer.objects.exists()


def test_trouble_of_ours_is_not_remembered(api, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(customers_api.domain, "create_customer", away)
        first = send(api)
    second = send(api)

    assert (first.status_code, first["Retry-After"], second.status_code) == (503, "5", 201)
    assert "Idempotent-Replayed" not in second


def test_a_request_whose_process_died_is_taken_over_after_a_minute(api):
    send(api)
    Customer.objects.all().delete()
    row = IdempotencyKey.objects.filter(key="order-1024")
    row.update(status=None, body="")

    waiting = send(api)
    row.update(created_at=timezone.now() - idempotency.STALE - timedelta(seconds=1))
    taken = send(api)

    assert (waiting.status_code, waiting["Retry-After"], taken.status_code) == (409, "1", 201)
    assert Customer.objects.count() == 1
    assert send(api)["Idempotent-Replayed"] == "true"


def test_what_makes_money_carries_the_key_on(api, rf):
    """Whatever becomes of the remembered answer: the record's own unique index knows the key too."""
    request = rf.post("/", headers={"Idempotency-Key": "order-1024"})
    request.auth = callers.Caller(livemode=False, key=api.key)
    same = idempotency.form_key(request)
    request.auth = callers.Caller(livemode=False, key=Api().key)

    assert (len(same), same != idempotency.form_key(request)) == (64, True)
    request.auth = callers.Caller(livemode=True, key=api.key)
    assert same != idempotency.form_key(request)
    assert idempotency.form_key(rf.post("/")) == ""


def test_a_copy_of_the_database_tells_no_answer(api):
    send(api, key="k-1")

    row = IdempotencyKey.objects.get()
    assert "cus_" not in row.body
    assert send(api, key="k-1").json()["id"].startswith("cus_")


def test_an_answer_under_a_lost_key_is_not_given_again_nor_done_again(api, settings, monkeypatch):
    send(api, key="k-1")
    monkeypatch.setattr(idempotency, "decrypt", lambda token, purpose: None)

    again = send(api, key="k-1")

    assert (again.status_code, Customer.objects.count()) == (409, 1)


def test_whoever_may_no_longer_do_it_gets_no_old_answer(max):
    theirs = Api(user=max)
    send(theirs, key="k-1")
    type(max).objects.filter(pk=max.pk).update(role="reporting")

    assert send(theirs, key="k-1").status_code == 403


def test_old_answers_are_forgotten(api, capsys):
    send(api, key="old")
    IdempotencyKey.objects.update(created_at=timezone.now() - idempotency.KEPT - timedelta(hours=1))
    send(api, BEN, key="new")
    call_command("purge")

    assert IdempotencyKey.objects.get().key == "new"
    assert "1  answers the API keeps" in capsys.readouterr().out


def test_answers_kept_hold_no_secret(api):
    send(api)

    assert api.secret not in json.dumps(list(IdempotencyKey.objects.values("body", "headers", "fingerprint", "owner")))


# --- at the same moment ----------------------------------------------------------------------------------------
def in_threads(work, count):
    """What work(n) returned in so many threads."""
    found = []

    def run(n):
        try:
            found.append(work(n))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@together
def test_a_request_that_comes_while_the_first_is_worked_on_is_told_to_ask_again(monkeypatch):
    api, begun, may_end, create = Api(), threading.Event(), threading.Event(), customers_api.domain.create_customer

    def slow(**about):
        begun.set()
        assert may_end.wait(30)
        return create(**about)

    monkeypatch.setattr(customers_api.domain, "create_customer", slow)
    first = threading.Thread(target=lambda: (send(api), connection.close()))
    first.start()
    assert begun.wait(30)
    second = send(api)
    may_end.set()
    first.join()

    assert (second.status_code, second["Retry-After"]) == (409, "1")
    assert "being answered right now" in detail_of(second)
    assert send(api)["Idempotent-Replayed"] == "true"
    assert Customer.objects.count() == 1


@together
def test_a_hundred_at_once_have_one_effect():
    api, gate = Api(), threading.Barrier(6)

    def work(_n):
        gate.wait()
        return [send(api) for _ in range(17)]

    answers = [response for found in in_threads(work, 6) for response in found]

    assert len(answers) == 102
    assert {response.status_code for response in answers} <= {201, 409}
    assert len({response.json()["id"] for response in answers if response.status_code == 201}) == 1
    assert Customer.objects.count() == Event.objects.filter(type="customer.created").count() == 1


@together
def test_the_control_without_a_key_makes_one_each():
    api = Api()
    in_threads(lambda n: [api.post("/customers", ANA) for _ in range(3)], 6)

    assert Customer.objects.count() == 18
