"""Billing statements through the API: the same rules, sentences and rows as on their pages."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.domain import credit
from billing.domain.invoicing import bill_due
from billing.domain.statements import finalize_statement, usual_due_date
from billing.models import BillingStatement, LineItem
from billing.tests.factories import make_coupon, make_customer, make_open_statement, make_statement, make_subscription
from customers.models import Customer
from dashboard.api import idempotency
from dashboard.models import Event, Mail
from dashboard.paging import counts
from dashboard.states import DomainError
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db
PATH = "/billing_statements"
BEANS = {"description": "Coffee beans, 5 kg", "quantity": 2, "unit_price": 2180}
DELIVERY = {"description": "Delivery", "quantity": 1, "unit_price": 500}


@pytest.fixture
def api(db):
    return Api()


def dropped(response):
    return set(response.headers.get("X-Disregarded-Fields", "").split(","))


def the_event(pk, kind):
    return Event.objects.get(object_id=pk, type=f"billing_statement.{kind}")


def parameter_of(response):
    return response.json()["errors"][0]["parameter"]


# --- create --------------------------------------------------------------------------------------------------
def test_a_draft_is_made_for_a_customer_and_the_key_is_named(api):
    customer = make_customer()
    said = {
        "customer_id": customer.pk,
        "line_items": [BEANS, DELIVERY],
        "due_at": "2030-05-31T10:00:00+08:00",
        "description": "Thank you.",
        "merchant_reference_id": "R-7",
        "statement_descriptor": "HARBOR",
        "metadata": {"order": 7},
    }

    response = api.post(PATH, said)

    assert response.status_code == 201, response.content
    shown = response.json()
    assert list(shown)[:5] == ["id", "object", "livemode", "number", "status"]
    assert (shown["object"], shown["status"], shown["number"], shown["url"]) == ("billing_statement", "draft", None, None)
    assert (shown["customer_id"], shown["currency"], shown["livemode"]) == (customer.pk, "USD", False)
    assert [shown[n] for n in ("subtotal", "discount_amount", "total", "amount_remaining")] == [4860, 0, 4860, 4860]
    assert shown["due_at"] == "2030-05-31T02:00:00.000Z"
    assert [(x["position"], x["description"], x["amount"]) for x in shown["line_items"]] == [
        (1, "Coffee beans, 5 kg", 4360),
        (2, "Delivery", 500),
    ]
    assert (shown["metadata"], shown["merchant_reference_id"]) == ({"order": "7"}, "R-7")
    assert (shown["bill_to_name"], shown["bill_to_email"]) == ("Marta Santos", "marta@example.com")
    assert shown["bill_to_address"]["city"] == "Manila"
    assert api.get(f"{PATH}/{shown['id']}").json() == shown == api.get(f"{PATH}/{shown['id'][5:]}").json()
    event = the_event(shown["id"], "created")
    assert (event.actor, event.by, event.data["key"]) == ("api", None, api.key.pk)


def test_a_person_s_token_leaves_their_id(max):
    shown = Api(user=max).post(PATH, {"customer_id": make_customer().pk}).json()

    assert shown["user_id"] == max.pk.removeprefix("usr_")
    assert the_event(shown["id"], "created").by == max


def test_a_statement_makes_its_customer_or_finds_them_by_e_mail(api):
    ana = {"name": "Ana Maria Cruz", "email": "Ana@Example.com"}
    first = api.post(PATH, ana | {"currency": "eur", "line_items": [BEANS]}).json()
    again = api.post(PATH, ana | {"name": "Somebody Else", "line_items": [BEANS]}).json()

    customer = Customer.objects.get()
    assert (first["customer_id"], again["customer_id"]) == (customer.pk, customer.pk)
    assert (str(customer), customer.email, customer.origin, customer.currency) == (
        "Ana Maria Cruz", "ana@example.com", "billing_statement", "EUR",
    )  # fmt: skip
    assert again["currency"] == "EUR"


def test_a_refused_statement_leaves_no_new_customer_behind(api):
    coupon = make_coupon(customer=make_customer())

    response = api.post(PATH, {"name": "Ana Cruz", "email": "ana@example.com", "coupon": coupon.code})

    assert (response.status_code, code_of(response)) == (409, "state_conflict")
    assert not Customer.objects.filter(email="ana@example.com").exists()


@pytest.mark.parametrize(
    "said, code, parameter",
    [
        ({}, "parameter_required", "customer_id"),
        ({"customer_id": 7}, "parameter_invalid", "customer_id"),
        ({"name": "Ana"}, "parameter_required", "email"),
        ({"name": "Ana", "email": "nonsense"}, "parameter_invalid", "email"),
        ({"line_items": [BEANS, {"description": "Delivery", "quantity": 1}]}, "parameter_required", "line_items.1.unit_price"),
        ({"line_items": [BEANS | {"quantity": 0}]}, "parameter_below_minimum", "line_items.0.quantity"),
        ({"line_items": [BEANS | {"quantity": 1_000_001}]}, "parameter_above_maximum", "line_items.0.quantity"),
        ({"line_items": [BEANS | {"unit_price": -1}]}, "parameter_below_minimum", "line_items.0.unit_price"),
        ({"line_items": [BEANS | {"unit_price": 21.8}]}, "parameter_invalid", "line_items.0.unit_price"),
        ({"line_items": [BEANS | {"description": " "}]}, "parameter_required", "line_items.0.description"),
        ({"line_items": "beans"}, "parameter_type_invalid", "line_items"),
        ({"currency": "XXX"}, "parameter_invalid", "currency"),
        ({"email": "nonsense"}, "parameter_invalid", "email"),
        ({"coupon": "NOSUCH"}, "parameter_invalid", "coupon"),
    ],
)
def test_what_decides_who_is_billed_how_much_is_never_guessed(api, said, code, parameter):
    whom = {} if not said or "name" in said else {"customer_id": make_customer().pk}

    response = api.post(PATH, whom | said)

    assert (response.status_code, code_of(response), parameter_of(response)) == (400, code, parameter)
    assert not BillingStatement.objects.exists()


def test_other_fields_that_are_malformed_are_left_out_and_named(api):
    said = {
        "customer_id": make_customer().pk,
        "due_at": "soon",
        "description": "x" * 501,
        "statement_descriptor": "A*B",
        "metadata": ["order"],
        "number": "MINE-0001",
        "total": 1,
        "allowed_methods": ["card"],
    }

    response = api.post(PATH, said)

    assert response.status_code == 201
    assert dropped(response) == {
        "due_at", "description", "statement_descriptor", "metadata", "number", "total", "allowed_methods",
    }  # fmt: skip
    shown = response.json()
    assert (shown["number"], shown["total"], shown["description"], shown["metadata"]) == (None, 0, "", {})


@pytest.mark.parametrize("due_at", ["0001-01-01", "9999-12-31T23:59:59Z", "9999-12-31", "2026-02-30", 7, "\0"])
def test_a_due_date_no_calendar_has_is_left_out(api, due_at):
    response = api.post(PATH, {"customer_id": make_customer().pk, "due_at": due_at})

    assert (response.status_code, dropped(response)) == (201, {"due_at"})


def test_a_day_means_its_end_and_nothing_said_means_the_usual_time(api, settings):
    customer = make_customer().pk
    usual = api.post(PATH, {"customer_id": customer}).json()["id"]
    told = api.post(PATH, {"customer_id": customer, "due_at": "2030-05-31"}).json()["id"]
    none = api.post(PATH, {"customer_id": customer, "due_at": None}).json()

    def local(pk):
        return BillingStatement.objects.get(pk=pk).due_at.astimezone(settings.ZONE)

    assert local(usual).date() == usual_due_date()
    assert f"{local(told):%Y-%m-%d %H:%M:%S}" == "2030-05-31 23:59:59"
    assert none["due_at"] is None


def test_one_idempotency_key_makes_one_statement(api):
    said = {"customer_id": make_customer().pk, "line_items": [BEANS]}

    first, again = (api.post(PATH, said, idempotency_key="s-1") for _ in range(2))

    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert BillingStatement.objects.count() == 1
    assert api.post(PATH, said | {"currency": "EUR"}, idempotency_key="s-1").status_code == 409


def test_a_crash_after_the_work_still_makes_one_statement(api, monkeypatch):
    """The control: without a key there are two."""
    said, keep = {"customer_id": make_customer().pk, "line_items": [BEANS]}, idempotency._keep

    def crash(row, response):
        idempotency.IdempotencyKey.objects.filter(pk=row.pk).delete()
        raise RuntimeError("the machine went away")

    monkeypatch.setattr(idempotency, "_keep", crash)
    assert api.post(PATH, said, idempotency_key="s-1").status_code == 500
    monkeypatch.setattr(idempotency, "_keep", keep)
    assert api.post(PATH, said, idempotency_key="s-1").status_code == 201
    assert BillingStatement.objects.count() == 1

    api.post(PATH, said)
    assert BillingStatement.objects.count() == 2


# --- who, and in which mode -----------------------------------------------------------------------------------
ACTIONS = {
    "finalize": {}, "send": {}, "remind": {}, "void": {"reason": "Twice"}, "mark_uncollectible": {}, "apply_credit": {},
    "mark_fulfilled": {}, "mark_unfulfilled": {}, "duplicate": {}, "pause_reminders": {}, "resume_reminders": {},
    "promise": {"promised_on": None},
}  # fmt: skip


def test_a_key_of_one_mode_never_sees_the_other(api):
    live, statement = Api(livemode=True), make_open_statement()
    path = f"{PATH}/{statement.pk}"

    assert api.get(PATH).json()["count"] == 1
    assert live.get(PATH).json() == {"count": 0, "list": [], "paging": {"page": 1, "pageSize": 20}}
    answers = [live.get(path), live.patch(path, {"description": "x"}), live.delete(path)]
    answers += [live.post(f"{path}/{action}", body) for action, body in ACTIONS.items()]
    assert {answer.status_code for answer in answers} == {404}
    assert {code_of(answer) for answer in answers} == {"resource_not_found"}
    assert live.post(PATH, {"customer_id": statement.customer_id}).status_code == 404
    assert Event.objects.filter(object_id=statement.pk).count() == 2  # made and finalised, and nothing since


@pytest.mark.parametrize("pk", ["bstm_" + "0" * 24, "cus_" + "0" * 24, "nonsense", "%00", "0" * 300])
def test_an_unknown_id_is_not_found(api, pk):
    assert api.get(f"{PATH}/{pk}").status_code == 404
    assert api.post(f"{PATH}/{pk}/finalize").status_code == 404


def test_a_key_that_reads_changes_nothing(api):
    reader, statement = Api(scopes=["billing:read"]), make_statement()
    path = f"{PATH}/{statement.pk}"

    assert reader.get(path).status_code == 200
    answers = [reader.post(PATH, {}), reader.patch(path, {"description": "x"}), reader.delete(path)]
    answers += [reader.post(f"{path}/{action}", body) for action, body in ACTIONS.items()]
    assert {answer.status_code for answer in answers} == {403}
    assert Api(scopes=["customers:write"]).get(path).status_code == 403


def test_customer_service_sends_and_reminds_and_no_more(sue):
    hers, statement = Api(user=sue), make_open_statement()
    path = f"{PATH}/{statement.pk}"

    assert hers.post(f"{path}/send").status_code == 200
    for action in ("void", "mark_uncollectible", "apply_credit", "mark_fulfilled", "duplicate", "finalize"):
        assert hers.post(f"{path}/{action}", ACTIONS[action]).status_code == 403, action


def test_reporting_sees_contact_data_masked_and_no_link(api, rita):
    statement = make_open_statement(make_customer(phone="+639171234567"), metadata={"to": "Marta"})
    path = f"{PATH}/{statement.pk}"

    masked, open_ = Api(scopes=["read"], user=rita).get(path).json(), api.get(path).json()

    assert (masked["bill_to_email"], masked["bill_to_phone"]) == ("m•••@example.com", "•••67")
    assert (masked["bill_to_address"]["line1"], masked["bill_to_address"]["city"]) == ("•••", "Manila")
    assert (masked["metadata"], masked["url"]) == ({"to": "•••"}, None)
    assert open_["url"] == statement.url
    assert statement.token not in str(masked)
    assert not {"token_hash", "token_nonce", "form_key", "search", "sort_name", "version"} & open_.keys()


# --- the list ------------------------------------------------------------------------------------------------
@pytest.fixture
def several(db):
    """Statements of every status, of two customers, and an invoice."""
    ago, one, other = timezone.now() - timedelta(days=11), make_customer(), make_customer(first_name="Bo", email="bo@example.com")
    make_statement(one, currency="EUR")
    make_open_statement(one, due_at=ago)
    make_open_statement(other, lines=[("Tea", 1, 900)])
    for done in ("void", "mark_uncollectible"):
        made = make_open_statement(other)
        Api().post(f"{PATH}/{made.pk}/{done}", {"reason": "Twice"})
    make_subscription(one)
    bill_due()
    return one, other


def csv_ids(client, query):
    found = client.get(f"/billing/statements/?{query}&format=csv")
    return [row["id"] for row in csv.DictReader(io.StringIO(b"".join(found.streaming_content).decode("utf-8-sig")))]


@pytest.mark.parametrize(
    "query, count",
    [
        ("", 5),
        ("status=overdue", 1),
        ("status=draft&currency=EUR", 1),
        ("bills=all", 6),
        ("q=bo@example.com", 3),
        ("customer={one}", 2),
        ("fulfilled=no", 3),
        ("created=today", 5),
        ("age=nonsense", 5),
        ("total_from=10&sort=total", 4),
        ("q=tea&sort=-customer", 1),
        ("sort=customer", 5),
    ],
)
def test_page_file_and_api_have_the_same_rows(api, as_max, several, query, count):
    query = query.format(one=several[0].pk)

    shown = api.get(f"{PATH}?{query}").json()

    page = as_max.get(f"/billing/statements/?{query}").context["page"].rows
    assert shown["count"] == len(shown["list"]) == count
    assert [row["id"] for row in shown["list"]] == [row.pk for row in page] == csv_ids(as_max, query)


def test_a_filter_that_makes_no_sense_is_named(api, several):
    response = api.get(f"{PATH}?status=nonsense&created_from=soon&pageSize=abc")

    assert (response.json()["count"], dropped(response)) == (5, {"status", "created_from", "pageSize"})


def test_reporting_finds_nobody_by_what_it_may_not_see(rita, several):
    theirs = Api(scopes=["read"], user=rita)

    assert theirs.get(f"{PATH}?q=bo@example.com").json()["count"] == 0
    assert theirs.get(f"{PATH}?q=santos").json()["count"] == 5


def test_a_list_costs_the_same_however_many_rows_it_has(api):
    def cost():
        counts.forget()
        with CaptureQueriesContext(connection) as found:
            assert api.get(PATH).status_code == 200
        return len(found)

    for n in range(3):
        make_statement(make_customer(email=f"a{n}@example.com"))
    api.get(PATH)
    few = cost()
    for n in range(7):
        make_open_statement(make_customer(email=f"b{n}@example.com"), coupon=make_coupon())

    assert cost() == few


# --- change --------------------------------------------------------------------------------------------------
def test_a_change_sets_what_comes_and_leaves_the_rest(api):
    statement = make_statement(description="Before", metadata={"order": "7"})
    path = f"{PATH}/{statement.pk}"
    before = api.get(path).json()

    after = api.patch(path, {"due_at": "2030-05-31T10:00:00Z", "merchant_reference_id": "R-9"}).json()

    assert {n for n in before if before[n] != after[n]} == {"due_at", "merchant_reference_id", "updated_at"}
    assert [x["id"] for x in after["line_items"]] == [x["id"] for x in before["line_items"]]
    assert set(the_event(statement.pk, "updated").changes) == {"due_at", "merchant_reference_id"}


def test_lines_are_set_whole_and_null_clears(api):
    statement = make_statement(coupon=make_coupon(), description="Before", metadata={"order": "7"})
    path = f"{PATH}/{statement.pk}"

    after = api.patch(path, {"line_items": [DELIVERY], "coupon": None, "description": "", "metadata": None}).json()

    assert [x["description"] for x in after["line_items"]] == ["Delivery"]
    assert (after["subtotal"], after["discount_amount"], after["total"]) == (500, 0, 500)
    assert (after["coupon"], after["description"], after["metadata"]) == (None, "", {})
    assert api.patch(path, {"line_items": []}).json()["line_items"] == []


def test_a_coupon_is_named_by_its_code_and_a_new_e_mail_becomes_the_customer_s(api):
    statement, coupon = make_statement(), make_coupon()

    after = api.patch(f"{PATH}/{statement.pk}", {"coupon": coupon.code.lower(), "email": "New@example.com"}).json()

    assert (after["coupon"], after["discount_amount"]) == (coupon.code, 486)
    assert Customer.objects.get().email == "new@example.com" == after["bill_to_email"]


def test_a_change_that_changes_nothing_writes_nothing(api):
    statement = make_statement()

    response = api.patch(f"{PATH}/{statement.pk}", {"description": statement.description, "due_at": "nonsense"})

    assert response.status_code == 200
    assert not Event.objects.filter(object_id=statement.pk, type="billing_statement.updated").exists()


def test_only_metadata_may_change_of_a_finalised_statement(api):
    statement = make_open_statement()
    path = f"{PATH}/{statement.pk}"

    assert api.patch(path, {"metadata": {"paid": "soon"}}).json()["metadata"] == {"paid": "soon"}
    refused = api.patch(path, {"metadata": {}, "description": "Another"})

    assert (refused.status_code, code_of(refused)) == (409, "state_conflict")
    assert "is open already" in detail_of(refused)
    assert api.get(path).json()["metadata"] == {"paid": "soon"}


def test_a_draft_is_deleted_and_a_finalised_statement_is_not(api):
    draft, done = make_statement(), make_open_statement()

    gone = api.delete(f"{PATH}/{draft.pk}")

    assert (gone.status_code, gone.json()["id"], gone.json()["total"]) == (200, draft.pk, 4860)
    assert api.get(f"{PATH}/{draft.pk}").status_code == 404 == api.delete(f"{PATH}/{draft.pk}").status_code
    assert the_event(draft.pk, "deleted").actor == "api"
    assert api.delete(f"{PATH}/{done.pk}").status_code == 409
    assert LineItem.objects.count() == 2


# --- actions -------------------------------------------------------------------------------------------------
def test_finalising_numbers_a_draft_and_gives_it_its_link(api):
    statement = make_statement()

    shown = api.post(f"{PATH}/{statement.pk}/finalize").json()

    statement.refresh_from_db()
    assert (shown["status"], shown["number"], shown["url"]) == ("open", statement.number, statement.url)
    assert shown["number"].endswith("-0001")
    assert the_event(statement.pk, "open").actor == "api"
    again = api.post(f"{PATH}/{statement.pk}/finalize")
    assert (again.status_code, again.json()["errors"][0]["code"]) == (409, "state_conflict")


def test_a_refusal_says_what_the_page_says(api):
    statement = make_statement(lines=())
    with pytest.raises(DomainError) as said:
        finalize_statement(statement, by=None)

    refused = api.post(f"{PATH}/{statement.pk}/finalize")

    assert (refused.status_code, detail_of(refused)) == (409, str(said.value))


def test_credit_is_applied_when_finalising_or_later(api, max):
    customer = make_customer()
    credit.adjust_credit(customer, amount=6000, currency="USD", reason="Goodwill", by=max)
    first, second = make_statement(customer), make_open_statement(customer)

    paid = api.post(f"{PATH}/{first.pk}/finalize", {"apply_credit": True}).json()
    some = api.post(f"{PATH}/{second.pk}/apply_credit", {"amount": 140}).json()
    rest = api.post(f"{PATH}/{second.pk}/apply_credit").json()

    assert (paid["status"], paid["credit_applied"], paid["amount_remaining"]) == ("paid", 4860, 0)
    assert (some["credit_applied"], some["amount_remaining"]) == (140, 4720)
    assert (rest["credit_applied"], rest["status"]) == (1140, "open")
    assert api.post(f"{PATH}/{second.pk}/apply_credit").status_code == 409
    assert api.post(f"{PATH}/{second.pk}/apply_credit", {"amount": "all"}).status_code == 400


def test_a_statement_is_sent_once_for_one_key(api):
    statement = make_open_statement()
    said = {"to": "office@example.com", "message": "As agreed."}

    for _again in range(2):
        response = api.post(f"{PATH}/{statement.pk}/send", said, idempotency_key="mail-1")

    assert (response.status_code, response.json()["sent_count"]) == (200, 1)
    mail = Mail.objects.get()
    assert (mail.to, "As agreed." in mail.text) == ("office@example.com", True)
    assert the_event(statement.pk, "sent").actor == "api"
    assert api.post(f"{PATH}/{statement.pk}/send", {"to": "nonsense"}).status_code == 400
    assert api.post(f"{PATH}/{make_statement().pk}/send").status_code == 409


def test_a_reminder_goes_out_and_can_be_held_back(api):
    statement = make_open_statement()
    path = f"{PATH}/{statement.pk}"

    assert api.post(f"{path}/remind").json()["sent_count"] == 1
    assert api.post(f"{path}/pause_reminders").json()["reminders_paused"] is True
    assert api.post(f"{path}/resume_reminders").json()["reminders_paused"] is False
    day = (timezone.localdate() + timedelta(days=3)).isoformat()
    promised = api.post(f"{path}/promise", {"promised_on": day, "note": "By phone"}).json()
    assert (promised["promised_on"], promised["promise_note"]) == (day, "By phone")
    assert api.post(f"{path}/promise", {"promised_on": None}).json()["promised_on"] is None
    assert api.post(f"{path}/promise", {}).json()["errors"][0]["code"] == "parameter_required"
    assert api.post(f"{path}/promise", {"promised_on": "2000-01-01"}).status_code == 409


def test_voiding_needs_a_reason_and_records_it(api):
    statement = make_open_statement()
    path = f"{PATH}/{statement.pk}/void"

    for body in (None, {}, {"reason": ""}):
        assert api.post(path, body).status_code == 400
    shown = api.post(path, {"reason": "Ordered twice."}).json()

    assert (shown["status"], bool(shown["voided_at"])) == ("void", True)
    assert the_event(statement.pk, "void").data["why"] == "Ordered twice."
    assert api.post(path, {"reason": "Again"}).status_code == 409


def test_a_statement_is_given_up_and_marked_fulfilled(api):
    statement = make_open_statement()
    path = f"{PATH}/{statement.pk}"

    given_up = api.post(f"{path}/mark_uncollectible", {"reason": "Closed"}).json()
    fulfilled = api.post(f"{path}/mark_fulfilled").json()

    assert (given_up["status"], bool(given_up["marked_uncollectible_at"])) == ("uncollectible", True)
    assert the_event(statement.pk, "uncollectible").data["why"] == "Closed"
    assert fulfilled["fulfilled_at"]
    assert api.post(f"{path}/mark_unfulfilled").json()["fulfilled_at"] is None


def test_a_statement_is_duplicated_once_for_one_key(api):
    statement = make_open_statement()

    made = [api.post(f"{PATH}/{statement.pk}/duplicate", idempotency_key="d-1") for _ in range(2)]

    assert {answer.status_code for answer in made} == {201}
    assert made[0].json()["id"] == made[1].json()["id"] != statement.pk
    assert (made[0].json()["status"], made[0].json()["total"]) == ("draft", 4860)
    assert BillingStatement.objects.count() == 2
