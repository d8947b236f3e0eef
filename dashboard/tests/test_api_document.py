"""What the API does is what its OpenAPI document says, whatever is sent: no 5xx, no other status, no other shape.

API_EXAMPLES says how many requests each operation gets (5); an overnight run takes a thousand.
"""

import os

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dashboard.tests.api_client import Api
from dashboard.tests.api_operations import KINDS, document
from dashboard.tests.routes import undone
from dashboard.wsgi import application

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = int(os.environ.get("API_EXAMPLES", "5"))
schema = schemathesis.openapi.from_dict(document())
schema.app = lambda environ, start: application(environ | {"REMOTE_ADDR": "127.0.0.1"}, start)


@pytest.fixture(scope="module")
def world(world_of_this_file):
    return world_of_this_file


@pytest.fixture(autouse=True)
def patient(settings, monkeypatch):
    """So many requests of one key are no flood here, and the connection stays this test's: as Django's own client does."""
    monkeypatch.setattr("dashboard.api.callers.REQUESTS.spend", lambda who: None)
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_in_the_document(case, world):
    with undone():
        key = Api().secret
        for known in (False, True):
            if known:  # and once more about records there are
                for name in case.path_parameters or {}:
                    case.path_parameters[name] = getattr(world, KINDS[name])
            response = case.call(headers={"Authorization": f"Bearer {key}"})
            case.validate_response(response, checks=CHECKS)


def test_no_shape_of_the_document_takes_the_place_of_another():
    """Words to choose from stand where they are used: two models' `Status` under one name would be one of them."""
    shapes = document()["components"]["schemas"]

    assert [name for name, shape in shapes.items() if "enum" in shape] == []
