"""The API's reference: made from the document that is served, complete, and fit to read."""

import json
import re

import pytest

from dashboard.api import reference
from dashboard.permissions import PERMISSIONS

HERE = "https://pay.example.com"
ERRORS = {"400", "401", "403", "404", "429"}


@pytest.fixture(scope="module")
def every(django_db_setup):
    return [operation for _tag, _anchor, operations in reference.groups(HERE) for operation in operations]


def test_every_operation_is_told_whole(every):
    lacks = {}
    for one in every:
        missing = [name for name in ("summary", "about", "permission", "answer", "request") if not getattr(one, name)]
        missing += ["example body"] * (bool(one.fields) and " -d '" not in one.request)
        missing += ["permission"] * (one.permission not in PERMISSIONS)
        missing += ["statuses"] * (not {str(status) for status in one.statuses} >= ERRORS)
        if missing:
            lacks[f"{one.verb} {one.path}"] = missing

    assert len(every) > 12
    assert lacks == {}


def test_every_operation_of_the_routers_is_there(every):
    assert {(one.verb, one.path) for one in every} == reference.permissions().keys()


def test_anchors_are_unique(every):
    anchors = [one.anchor for one in every]

    assert sorted(set(anchors)) == sorted(anchors)


def test_every_summary_is_short_and_every_description_a_sentence(every):
    for one in every:
        text = "".join(part for part, _code in one.about)
        assert len(one.summary) < 60, one.summary
        assert text.endswith((".", ":")), one.summary
        assert len(text) < 600, one.summary


def test_every_example_body_is_json_that_its_fields_allow(every):
    for one in [one for one in every if one.fields]:
        body = json.loads(re.search(r" -d '(.*)'$", one.request, re.S)[1].replace("’", "'"))
        names = {field.name for field in one.fields}
        assert set(body) <= names, one.summary
        assert {field.name for field in one.fields if field.required and "." not in field.name} <= set(body), one.summary


def test_an_example_has_its_keys_in_the_order_of_the_answer(every):
    (one,) = [one for one in every if one.summary == "Create a customer"]

    assert list(json.loads(one.answer))[:6] == ["id", "did", "livemode", "name", "email", "phone"]


def test_no_type_is_without_words(every):
    kinds = {field.kind for one in every for field in [*one.parameters, *one.fields]}

    assert [kind for kind in kinds if re.search(r"anything|null|None|\^", kind) or not kind] == []
    assert "text, at most 255 characters" in kinds
    assert "ID, src_… or its 24 hex digits" in kinds


def test_limits_are_those_that_are_checked(every):
    (listing,) = [one for one in every if (one.verb, one.path) == ("GET", "/api/v1/customers")]
    fields = {field.name: field for field in listing.parameters}

    assert fields["page"].kind.startswith("whole number, 1 to")
    assert fields["status"].kind == "one of active, archived, all"
    assert listing.scope == "customers:read"


def test_the_page_shows_every_operation_with_an_anchor(as_rita, every):
    page = as_rita.get("/help/api/reference/").text

    for one in every:
        assert f'id="{one.anchor}"' in page
        assert f'href="#{one.anchor}"' in page
    assert set(re.findall(r'href="#([^"]+)"', page)) - {"main"} <= set(re.findall(r' id="([^"]+)"', page))
    assert "http://testserver" not in page


def test_the_document_is_served_to_whoever_asks(client):
    response = client.get("/api/v1/openapi.json")

    assert response.status_code == 200
    assert response.json()["openapi"].startswith("3.")
    assert not re.search(r"https?://(?!\w+\.example\.com/)", response.text)  # examples name hosts that are nobody's


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_the_reference_in_a_browser(open_as, axe, rita, width, theme):
    page = open_as(rita, width=width, theme=theme, scripts=True)
    page.goto("/help/api/reference/")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("navigation", name="Operations").get_by_role("link", name="Create a customer", exact=True).click()
    page.wait_for_function("() => document.getElementById(location.hash.slice(1))?.getBoundingClientRect().top < 200")
