"""A key of one mode never sees the other's data: every operation is asked about the other mode's records."""

import json

import pytest

from dashboard.models import Event
from dashboard.permissions import PERMISSIONS
from dashboard.tests.api_client import Api
from dashboard.tests.api_operations import NAMED, operations
from dashboard.tests.routes import make_world

pytestmark = pytest.mark.django_db
EVERY = operations()
ABOUT_ONE = [o for o in EVERY if o.params]
LISTS = [o for o in EVERY if not o.params and o.verb == "GET"]
MAKING = [o for o in EVERY if not o.params and o.verb != "GET"]


@pytest.fixture
def world(alice):
    """One record of each kind in test mode."""
    return make_world(alice)


def names_of(world):
    return {value for value in vars(world).values() if isinstance(value, str) and "_" in value and len(value) > 24}


def test_every_operation_says_what_it_needs():
    assert len(EVERY) > 60
    assert [str(o) for o in EVERY if o.permission not in PERMISSIONS] == []


def test_the_other_modes_records_are_unknown_everywhere(world):
    live, before = Api(livemode=True), Event.objects.latest().pk

    answers = {str(o): live.send(o.verb, o.url(world), o.example).status_code for o in ABOUT_ONE}

    assert {name: status for name, status in answers.items() if status != 404} == {}
    assert Event.objects.latest().pk == before or Event.objects.latest().type == "api_key.created"


def test_the_walk_would_notice(world):
    """The control: a key of the world's own mode does see them."""
    own = Api(scopes=["read"])
    answers = {str(o): own.get(o.url(world)).status_code for o in ABOUT_ONE if o.verb == "GET"}

    assert {name: status for name, status in answers.items() if status != 200} == {}


def test_no_list_shows_the_other_mode(world):
    live, own = Api(livemode=True), Api()
    for operation in LISTS:
        asked = f"{operation.path}?query=walk" if "search" in operation.path else operation.path

        theirs, ours = live.get(asked), own.get(asked)

        assert (theirs.status_code, theirs.json()["count"], theirs.json()["list"]) == (200, 0, []), asked
        assert ours.json()["count"] > 0, asked
        assert not any(name in theirs.content.decode() for name in names_of(world)), asked


def test_nothing_is_made_of_the_other_modes_records(world):
    live = Api(livemode=True)
    before = Event.objects.latest().pk
    for operation in [o for o in MAKING if set(NAMED) & set(o.example or ())]:
        body = {name: getattr(world, NAMED[name]) if name in NAMED else value for name, value in operation.example.items()}

        response = live.post(operation.path, body)

        assert 400 <= response.status_code < 500, (str(operation), response.content)
        assert not any(name in response.content.decode() for name in names_of(world) if name not in json.dumps(body))
    assert Event.objects.latest().pk == before
