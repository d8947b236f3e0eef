"""The data pack: all of one customer and nobody else, for a person and for a program."""

import io
import json
import zipfile

import pytest

from billing.drills.people import make_someone
from customers.privacy import erasure, pack
from customers.privacy.registry import Derived, Kept, Removed, Secret, holdings
from customers.tests.factories import make_customer
from dashboard.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _as_served(settings):
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}


def files(response):
    """{name: bytes} of a pack that was downloaded."""
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as found:
        return {name: found.read(name) for name in found.namelist()}


def test_a_pack_holds_every_word_about_one_customer_and_no_word_about_another(alice, as_max, max):
    who, other = make_someone(alice), make_someone(alice)
    left_out = {h.model for h in holdings() if not h.pack}
    own = {word for word, where in who.placed.items() if not where.startswith(tuple(left_out)) and _is_there(who, where)}

    response = as_max.post(f"/customers/{who.customer.pk}/data/")
    found = files(response)
    told, page = found["data.json"].decode(), found["index.html"].decode()

    assert response["Content-Disposition"].startswith(f'attachment; filename="{who.customer.pk}-20')
    assert len(own) > 90
    assert {who.placed[word] for word in own if word not in told.lower()} == set()
    assert {who.placed[word] for word in own if word not in page.lower()} == set()
    assert not [word for word in other.placed if word in told.lower() + page.lower()]
    assert sorted(name.partition("/")[0] for name in found) == ["data.json", *["documents"] * 4, "index.html"]
    assert all(body.startswith(b"%PDF") for name, body in found.items() if name.startswith("documents/"))
    event = Event.objects.get(type="customer.data_downloaded")
    assert (event.by, event.data["documents"], event.customer_id) == (max, 4, who.customer.pk)


def _is_there(who, where):
    """Words that are nowhere any more but in words of others, or in a file that waits, are no part of the pack."""
    return where not in ("in a file that waits", "by API", "the admin's log", "address, removed", "city", "draft")


def test_no_secret_is_in_a_pack(alice):
    who = make_someone(alice)
    data = read(pack.make_pack(who.customer, by=alice))
    method, statement = who.customer.methods.first(), who.customer.statements.first()
    said = json.dumps(data)

    for secret in (method.gateway_token, method.vault_token, statement.token, statement.token_hash, statement.token_nonce):
        assert secret not in said
    for holding in holdings():
        shown = {column.name for column in pack.columns_of(holding)}
        assert not shown & holding.of((Secret, Derived)).keys(), holding.model
        assert not holding.pack or holding.of((Removed, Kept)).keys() <= shown, holding.model
    assert "drill@example.com" not in said  # whoever of the staff did it
    assert alice.pk not in said
    assert data["about"]["times"] == "UTC, ISO 8601"
    assert data["customer"][0]["created_at"].endswith("Z")


def read(file):
    with zipfile.ZipFile(file) as found:
        return json.loads(found.read("data.json"))


def test_a_pack_is_safe_to_open(alice):
    customer = make_customer(by=alice, description='<script>alert("x")</script>')
    with zipfile.ZipFile(pack.make_pack(customer, by=alice)) as found:
        page = found.read("index.html").decode()

    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "style=" not in page


def test_what_the_law_keeps_is_in_the_pack_of_an_admin_alone(alice, as_alice, as_max):
    who = make_someone(alice)
    erasure.erase_customer(who.customer, why="asked", by=alice)

    address = f"/customers/{who.customer.pk}/data/"
    by_admin, by_manager = (files(client.post(address))["data.json"].decode() for client in (as_alice, as_max))

    assert who.kept
    assert all(word in by_admin for word in who.kept)
    assert not [word for word in who.placed if word in by_manager.lower()]
    assert "kept_by_law" not in json.loads(by_manager)
