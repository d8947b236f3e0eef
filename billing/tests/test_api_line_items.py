"""Lines of billing statements through the API: one by one, and only as long as the statement is a draft."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.domain.statements import update_draft
from billing.models import BillingStatement, LineItem
from billing.tests.factories import make_coupon, make_customer, make_open_statement, make_statement
from dashboard.api_models import IdempotencyKey
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of

pytestmark = pytest.mark.django_db
PATH = "/billing_statement_line_items"
TEA = {"description": "Tea", "quantity": 3, "unit_price": 100}


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def draft(db):
    return make_statement(description="For May", metadata={"order": "7"}, coupon=make_coupon())


def lines_of(statement):
    return [(line.pk, line.description, line.quantity) for line in statement.lines.all()]


def test_a_line_is_added_below_the_others_which_stay_what_they_are(api, draft):
    before = lines_of(draft)

    response = api.post(PATH, {"billing_statement_id": draft.pk} | TEA)

    shown = response.json()
    assert response.status_code == 201
    assert list(shown) == [
        "id", "object", "livemode", "billing_statement_id", "position", "description", "quantity", "unit_price", "amount",
        "currency",
    ]  # fmt: skip
    assert (shown["position"], shown["amount"], shown["currency"]) == (3, 300, "USD")
    assert lines_of(draft) == [*before, (shown["id"], "Tea", 3)]
    draft.refresh_from_db()
    assert (draft.subtotal, draft.discount_amount, draft.total, draft.version) == (5160, 516, 4644, 2)
    assert (draft.description, draft.metadata) == ("For May", {"order": "7"})
    event = Event.objects.get(object_id=draft.pk, type="billing_statement.updated")
    assert (event.actor, set(event.changes)) == ("api", {"lines", "discount_amount"})
    assert "tea" in BillingStatement.objects.get(pk=draft.pk).search


def test_one_idempotency_key_adds_one_line_even_after_its_answer_is_forgotten(api, draft):
    said = {"billing_statement_id": draft.pk} | TEA
    first = api.post(PATH, said, idempotency_key="l-1").json()
    IdempotencyKey.objects.all().delete()

    assert api.post(PATH, said, idempotency_key="l-1").json() == first
    assert draft.lines.count() == 3
    api.post(PATH, said)
    assert draft.lines.count() == 4


def test_a_line_is_changed_and_keeps_its_id(api, draft):
    first, second = draft.lines.all()

    shown = api.patch(f"{PATH}/{first.pk}", {"quantity": 3, "description": "x" * 501, "amount": 1})

    assert (shown.status_code, shown.json()["id"], shown.json()["amount"]) == (200, first.pk, 6540)
    assert set(shown.headers["X-Disregarded-Fields"].split(",")) == {"description", "amount"}
    assert lines_of(draft) == [(first.pk, first.description, 3), (second.pk, second.description, 1)]
    assert BillingStatement.objects.get(pk=draft.pk).subtotal == 7040
    assert api.get(f"{PATH}/{first.pk}").json() == shown.json()
    assert api.patch(f"{PATH}/{first.pk}", {"quantity": "many"}).status_code == 400


def test_of_two_lines_alike_the_one_that_is_named_goes(api):
    draft = make_statement(lines=[("Tea", 1, 100), ("Tea", 1, 100), ("Cup", 1, 900)])
    first, second, third = draft.lines.all()

    gone = api.delete(f"{PATH}/{first.pk}")

    assert (gone.status_code, gone.json()["id"]) == (200, first.pk)
    assert lines_of(draft) == [(second.pk, "Tea", 1), (third.pk, "Cup", 1)]
    assert api.get(f"{PATH}/{first.pk}").status_code == 404 == api.delete(f"{PATH}/{first.pk}").status_code


def test_an_edit_of_something_else_keeps_the_lines(draft):
    before = lines_of(draft)
    told = [(line.description, line.quantity, line.unit_price) for line in draft.lines.all()]

    update_draft(draft, version=1, by=None, lines=told, description="For June", metadata=draft.metadata)

    assert lines_of(draft) == before


def test_lines_of_a_finalised_statement_stand_for_ever(api):
    statement = make_open_statement()
    line = statement.lines.first()

    answers = [
        api.post(PATH, {"billing_statement_id": statement.pk} | TEA),
        api.patch(f"{PATH}/{line.pk}", {"quantity": 9}),
        api.delete(f"{PATH}/{line.pk}"),
    ]

    assert {(answer.status_code, code_of(answer)) for answer in answers} == {(409, "state_conflict")}
    assert LineItem.objects.count() == 2


@pytest.mark.parametrize("missing", ["billing_statement_id", "description", "quantity", "unit_price"])
def test_all_that_makes_a_line_must_be_there(api, draft, missing):
    said = {"billing_statement_id": draft.pk} | TEA
    del said[missing]

    error = api.post(PATH, said).json()["errors"][0]

    assert (error["code"], error["parameter"]) == ("parameter_required", missing)


def test_lines_are_listed_of_all_statements_or_of_one(api, draft):
    other = make_statement(make_customer(email="bo@example.com"), lines=[("Tea", 1, 100)])
    make_statement(make_customer(livemode=True))

    assert api.get(PATH).json()["count"] == 3
    own = api.get(f"{PATH}?billing_statement_id={draft.pk}&pageSize=1&page=2").json()
    assert (own["count"], [row["position"] for row in own["list"]]) == (2, [2])
    assert [row["description"] for row in api.get(f"{PATH}?billing_statement_id={other.pk}").json()["list"]] == ["Tea"]


def test_a_list_costs_the_same_however_many_rows_it_has(api, draft):
    def cost():
        with CaptureQueriesContext(connection) as found:
            assert api.get(PATH).status_code == 200
        return len(found)

    api.get(PATH)
    few = cost()
    for n in range(4):
        make_statement(make_customer(email=f"a{n}@example.com"))

    assert cost() == few


def test_the_other_mode_and_strangers_find_no_line(api, draft):
    line, live, reader = draft.lines.first(), Api(livemode=True), Api(scopes=["read"])

    assert live.get(PATH).json()["count"] == 0
    said = {"billing_statement_id": draft.pk} | TEA
    path = f"{PATH}/{line.pk}"
    assert {a.status_code for a in (live.get(path), live.patch(path, {}), live.delete(path), live.post(PATH, said))} == {404}
    assert {a.status_code for a in (reader.patch(path, {}), reader.delete(path), reader.post(PATH, said))} == {403}
    assert api.get(f"{PATH}/bstm_li_{'0' * 24}").status_code == 404
    assert draft.lines.count() == 2
