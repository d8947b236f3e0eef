"""Addresses and comments through the API."""

import pytest

from customers.models import Address, Comment
from customers.tests.factories import make_address, make_customer
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of

pytestmark = pytest.mark.django_db
HARBOR = {"line1": "1 Harbor Drive", "city": "San Francisco", "country": "us"}


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def ana(max):
    return make_customer(by=max, first_name="Ana")


def test_the_first_address_is_the_default_and_a_later_one_can_be(api, ana):
    first = api.post(f"/customers/{ana.pk}/addresses", HARBOR).json()
    second = api.post(f"/customers/{ana.pk}/addresses", HARBOR | {"line1": "2 Harbor Drive", "is_default": True}).json()

    assert (first["is_default"], first["country"], second["is_default"]) == (True, "US", True)
    shown = api.get(f"/customers/{ana.pk}/addresses").json()
    assert [(row["line1"], row["is_default"]) for row in shown["list"]] == [("2 Harbor Drive", True), ("1 Harbor Drive", False)]
    assert api.get(f"/customers/{ana.pk}").json()["address"]["line1"] == "2 Harbor Drive"
    assert Event.objects.filter(type="address.created", actor="api", customer_id=ana.pk).count() == 2


def test_an_address_is_changed_in_part_and_removed(api, ana, max):
    address, other = make_address(ana, by=max), make_address(ana, by=max)
    path = f"/customers/{ana.pk}/addresses/{address.pk}"

    changed = api.patch(path, {"line2": "Apt 4B", "country": "Mars"})

    assert (changed.json()["line2"], changed.json()["country"]) == ("Apt 4B", address.country)
    assert changed.headers["X-Disregarded-Fields"] == "country"
    assert api.patch(f"/customers/{ana.pk}/addresses/{other.pk}", {"is_default": True}).json()["is_default"] is True
    assert api.delete(path).json()["id"] == address.pk
    assert api.delete(path).status_code == 404
    assert Address.objects.count() == 1


def test_an_address_says_something(api, ana):
    response = api.post(f"/customers/{ana.pk}/addresses", {"country": "Mars", "name": "Ana"})

    assert response.status_code == 400
    assert not Address.objects.exists()


def test_an_address_belongs_to_its_customer(api, ana, max):
    theirs = make_address(make_customer(by=max), by=max)

    assert api.patch(f"/customers/{ana.pk}/addresses/{theirs.pk}", {"city": "Cebu"}).status_code == 404
    assert api.delete(f"/customers/{ana.pk}/addresses/{theirs.pk}").status_code == 404


def test_comments_are_listed_and_added(api, ana, sue):
    by_key = api.post(f"/customers/{ana.pk}/comments", {"body": "Called.\x00 Again."}).json()
    by_sue = Api(user=sue).post(f"/customers/{ana.pk}/comments", {"body": "Prefers mornings.", "pinned": True}).json()

    assert (by_key["body"], by_key["author"], by_key["user_id"]) == ("Called. Again.", "API", None)
    assert (by_sue["author"], by_sue["user_id"], by_sue["pinned"]) == ("Sue", sue.pk[4:], True)
    shown = api.get(f"/customers/{ana.pk}/comments").json()
    assert [row["body"] for row in shown["list"]] == ["Prefers mornings.", "Called. Again."]


@pytest.mark.parametrize("body", [{}, {"body": ""}, {"body": "x" * 2001}, {"body": 5}, {"body": "4242 4242 4242 4242"}])
def test_a_comment_has_words_and_no_card_number(api, ana, body):
    response = api.post(f"/customers/{ana.pk}/comments", body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["parameter"] == "body"
    assert not Comment.objects.exists()


def test_the_pages_show_a_comment_that_nobody_wrote(api, ana, as_max, as_alice):
    api.post(f"/customers/{ana.pk}/comments", {"body": "Called.", "pinned": True})
    comment = Comment.objects.get()

    page = as_max.get(ana.get_absolute_url())
    assert page.status_code == 200
    assert "Pinned by API," in page.content.decode()
    as_max.post(f"/customers/{ana.pk}/comments/{comment.pk}/edit/", {"body": "Mine."})
    assert Comment.objects.get().body == "Called."
    assert as_alice.get(f"/admin/customers/comment/{comment.pk}/change/").status_code == 200


def test_reporting_may_not_comment(ana, rita):
    assert code_of(Api(user=rita).post(f"/customers/{ana.pk}/comments", {"body": "Hm."})) == "permission_denied"
