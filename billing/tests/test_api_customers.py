"""Customers through the API: the shapes and rules of PaymentKit and Paydock, and those of our own pages."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from billing.domain.balance import adjust_credit
from billing.domain.payments import record_payment
from billing.domain.vault import keep_method, remove_method
from billing.gateways.base import MethodSummary
from billing.tests.factories import make_method, make_open_statement
from customers.models import Customer
from customers.tests.factories import make_address, make_customer
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db
PAYMENTKIT = {  # the customer object of PaymentKit, as its documentation shows it
    "id": "cus_xxxxxxxxxxxxxxxx",
    "did": "zNK...",
    "livemode": True,
    "name": "John Doe",
    "email": "john.doe@example.com",
    "phone": "+15551234567",
    "address": {
        "country": "US",
        "state": "CA",
        "city": "San Francisco",
        "line1": "123 Main Street",
        "line2": "Apt 4B",
        "postal_code": "94105",
    },
    "balance": "100.00",
    "delinquent": False,
    "metadata": {},
    "created_at": "2023-10-27T10:00:00.000Z",
    "updated_at": "2023-10-27T10:00:00.000Z",
}
DID = "zNKjhsdf8sdfKJHsdf8sdf7sdfKJH"
HEX = r"[0-9a-f]{24}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
JOHN = {name: PAYMENTKIT[name] for name in ("name", "email", "phone", "address", "metadata")} | {"did": DID}


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def john(api):
    return api.post("/customers", JOHN).json()


# --- the object ----------------------------------------------------------------------------------------------
def test_the_answer_begins_with_the_object_of_paymentkit_key_by_key(api, john, max):
    customer = Customer.objects.get(pk=john["id"])
    adjust_credit(customer, amount=10000, currency="USD", reason="Welcome", by=max)

    shown = api.get(f"/customers/{john['id']}").json()

    assert list(shown)[: len(PAYMENTKIT)] == list(PAYMENTKIT)
    assert {name: type(value) for name, value in shown.items() if name in PAYMENTKIT} == {
        n: type(v) for n, v in PAYMENTKIT.items()
    }
    assert list(shown["address"]) == list(PAYMENTKIT["address"])
    own = {"id", "did", "livemode", "created_at", "updated_at"}
    assert {n: shown[n] for n in PAYMENTKIT if n not in own} == {n: v for n, v in PAYMENTKIT.items() if n not in own}
    assert shown["did"] == DID
    assert shown["livemode"] is False


def test_what_paydock_requires_is_always_there(api):
    shown = api.post("/customers", {"name": "Ana Cruz"}).json()

    for name in ("_id", "created_at", "updated_at", "status", "archived", "default_source", "payment_sources"):
        assert name in shown
    assert shown["statistics"] == {"total_collected_amount": 0, "successful_transactions": 0, "by_currency": []}
    assert (shown["payment_sources"], shown["default_source"], shown["user_id"]) == ([], None, None)
    assert shown["_id"] == shown["id"].removeprefix("cus_")
    assert (shown["status"], shown["archived"], shown["address"], shown["did"], shown["phone"]) == (
        "active", False, None, None, None,
    )  # fmt: skip


ALL_FLOWS = {"_id", "gateway_id", "gateway_type", "gateway_name", "type", "status"}
FLOW_1 = {"card_name", "card_number_last4", "card_number_bin", "card_scheme", "expire_month", "expire_year"}
FLOW_2 = {"checkout_email", "checkout_holder"}


PAYDOCK = [  # the fields of its customer: name, the flows that require it ("" for none, "+" for all), what it is
    ("reference", "", str),
    ("description", "", str),
    ("company_name", "", str),
    ("_id", "+", HEX),
    ("user_id", "", HEX),
    ("created_at", "+", TIME),
    ("updated_at", "+", TIME),
    ("status", "+", "active|archived"),
    ("archived", "+", bool),
    ("first_name", "", str),
    ("last_name", "", str),
    ("email", "", str),
    ("phone", "", r"\+[1-9]\d{6,14}"),
    ("default_source", "+", HEX),
    ("payment_sources", "+", list),
    ("payment_sources[].gateway_id", "+", HEX),
    ("payment_sources[].gateway_type", "+", str),
    ("payment_sources[].gateway_name", "+", str),
    ("payment_sources[].type", "+", "card|bank_account|checkout"),
    ("payment_sources[].card_name", "1", str),
    ("payment_sources[].card_number_last4", "1", r"\d{4}"),
    ("payment_sources[].card_number_bin", "1", r"\d{6,8}"),
    ("payment_sources[].card_scheme", "1", "[a-z]+"),
    ("payment_sources[].expire_month", "1", "0[1-9]|1[0-2]"),
    ("payment_sources[].expire_year", "1", r"\d{4}"),
    ("payment_sources[].checkout_email", "2", str),
    ("payment_sources[].checkout_holder", "2", str),
    ("payment_sources[].address_line1", "", str),
    ("payment_sources[].address_line2", "", str),
    ("payment_sources[].address_state", "", str),
    ("payment_sources[].address_country", "", "[A-Z]{2}"),
    ("payment_sources[].address_city", "", str),
    ("payment_sources[].address_postcode", "", str),
    ("statistics", "", dict),
    ("statistics.total_collected_amount", "+", float),
    ("statistics.successful_transactions", "+", int),
]


@pytest.mark.parametrize("flow", ["1", "2"])
def test_paydocks_table_holds_field_by_field_for_each_flow(api, max, flow):
    customer = make_customer(by=max, email="ana@example.com", phone="+12345678901", reference="R-1")
    method = (
        make_method(customer, by=max)
        if flow == "1"
        else keep(customer, type="checkout", brand="gcash", email="ana@example.com", holder="Ana Cruz")
    )
    whole = dict.fromkeys(("line1", "line2", "state", "city", "postal_code"), "x") | {"country": "PH"}
    for address in ({}, whole):
        type(method).objects.filter(pk=method.pk).update(address=address)
        shown = api.get(f"/customers/{customer.pk}").json()

        for path, flows, kind in PAYDOCK:
            said, value = told(shown, path)
            assert said or not (flows == "+" or flow in flows), f"{path} is required in flow {flow}"
            assert not (said and flows in ("1", "2") and flow not in flows), f"{path} is none of flow {flow}"
            if said and value is not None:
                good = re.fullmatch(kind, value) if isinstance(kind, str) else isinstance(value, kind)
                assert good, f"{path} is {value!r}"


def told(shown, path):
    """(whether a key is there, its value); `[]` is the only row of a list."""
    *outer, name = path.split(".")
    for part in outer:
        shown = shown[part.removesuffix("[]")]
        shown = shown[0] if part.endswith("[]") else shown
    return name in shown, shown.get(name)


def keep(customer, **summary):
    return keep_method(customer, gateway="sandbox", summary=MethodSummary(token=f"tok_{summary['type']}", **summary), by=None)


def test_each_type_of_source_has_the_keys_of_its_flow_and_no_others(api, max):
    customer = make_customer(by=max)
    card = make_method(customer, by=max)
    bank = keep(customer, type="bank_account", brand="BPI", last4="6789", holder="Ana Cruz")
    wallet = keep(customer, type="checkout", brand="gcash", email="ana@example.com", holder="Ana Cruz")

    shown = api.get(f"/customers/{customer.pk}").json()
    by_type = {source["type"]: source for source in shown["payment_sources"]}

    assert by_type["card"].keys() == ALL_FLOWS | FLOW_1
    assert by_type["checkout"].keys() == ALL_FLOWS | FLOW_2
    assert by_type["bank_account"].keys() == ALL_FLOWS | {
        "account_name", "account_bank_name", "account_number_last4", "account_type", "account_holder_type",
    }  # fmt: skip
    assert by_type["card"]["expire_month"] == f"{card.expire_month:02}"
    assert by_type["card"]["expire_year"] == str(card.expire_year)
    assert shown["default_source"] == card.pk.removeprefix("src_")
    assert {len(source["gateway_id"]) for source in shown["payment_sources"]} == {24}
    assert {source["_id"] for source in shown["payment_sources"]} == {m.pk.removeprefix("src_") for m in (card, bank, wallet)}


def test_a_source_tells_its_address_only_where_it_has_one(api, max):
    customer = make_customer(by=max)
    method = make_method(customer, by=max)
    type(method).objects.filter(pk=method.pk).update(address={"line1": "1 Harbor Drive", "country": "PH"})

    (source,) = api.get(f"/customers/{customer.pk}").json()["payment_sources"]

    assert {n: v for n, v in source.items() if n.startswith("address_")} == {
        "address_line1": "1 Harbor Drive", "address_country": "PH",
    }  # fmt: skip


def test_removed_sources_are_told_on_request_alone(api, max):
    customer = make_customer(by=max)
    remove_method(make_method(customer, by=max), by=max)

    assert api.get(f"/customers/{customer.pk}").json()["payment_sources"] == []
    (source,) = api.get(f"/customers/{customer.pk}?include=archived_sources").json()["payment_sources"]
    assert source["status"] == "archived"


def test_statistics_and_balance_say_what_the_page_says(api, max):
    customer = make_customer(by=max, currency="USD")
    record_payment(customer, amount=1000, currency="USD", by=max)
    record_payment(customer, amount=550, currency="USD", by=max)
    record_payment(customer, amount=70000, currency="JPY", by=max)
    adjust_credit(customer, amount=10000, currency="USD", reason="Welcome", by=max)
    adjust_credit(customer, amount=-3000, currency="USD", reason="Taken back", by=max)

    shown = api.get(f"/customers/{customer.pk}").json()

    assert shown["statistics"]["total_collected_amount"] == 15.5
    assert shown["statistics"]["successful_transactions"] == 3
    assert shown["statistics"]["by_currency"] == [
        {"currency": "JPY", "collected": 70000, "refunded": 0, "count": 1},
        {"currency": "USD", "collected": 15.5, "refunded": 0, "count": 2},
    ]
    assert shown["balance"] == "70.00"


def test_delinquent_follows_what_is_overdue(api, max):
    customer = make_customer(by=max, email="ana@example.com")
    statement = make_open_statement(customer, by=max)
    assert api.get(f"/customers/{customer.pk}").json()["delinquent"] is False

    type(statement).objects.filter(pk=statement.pk).update(due_at=timezone.now() - timedelta(days=1))

    assert api.get(f"/customers/{customer.pk}").json()["delinquent"] is True


# --- retrieve ------------------------------------------------------------------------------------------------
def test_a_customer_is_found_by_id_bare_hex_or_did(api, john):
    by_id = api.get(f"/customers/{john['id']}").json()

    assert api.get(f"/customers/{john['_id']}").json() == by_id
    assert api.get(f"/customers/{DID}").json() == by_id
    api.patch(f"/customers/{john['id']}", {"did": "did:abt:zNK1"})
    assert api.get("/customers/did%3Aabt%3AzNK1").json()["id"] == john["id"]


@pytest.mark.parametrize("name", ["cus_000000000000000000000000", "cus_zz", "z" * 300, "%00", "%F0%9F%98%80"])
def test_an_unknown_customer_is_an_error_in_our_words(api, name):
    response = api.get(f"/customers/{name}")

    assert response.status_code == 404
    assert code_of(response) == "resource_not_found"


# --- create --------------------------------------------------------------------------------------------------
def test_what_is_optional_and_malformed_is_left_out_and_named(api):
    response = api.post("/customers", {"name": "Ana", "phone": "abc", "address": {"country": "Mars", "city": "Cebu"}})

    assert response.status_code == 201
    assert response.json()["phone"] is None
    assert response.json()["address"]["city"] == "Cebu"
    assert response.headers["X-Disregarded-Fields"] == "phone,address.country"


@pytest.mark.parametrize("body", [{"name": ""}, {"name": "  "}, {}, {"email": "a@b.co"}, {"name": None}])
def test_a_name_is_mandatory(api, body):
    response = api.post("/customers", body)

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "parameter_required"
    assert response.json()["errors"][0]["parameter"] == "name"
    assert not Customer.objects.exists()


@pytest.mark.parametrize(
    "said, kind, first, last, company",
    [
        ({"name": "Ana Maria Cruz"}, "individual", "Ana", "Maria Cruz", ""),
        ({"name": "ACME Ltd", "kind": "company"}, "company", "", "", "ACME Ltd"),
        ({"company_name": "ACME Ltd"}, "company", "", "", "ACME Ltd"),
        ({"first_name": "Ana", "last_name": "Cruz"}, "individual", "Ana", "Cruz", ""),
        ({"first_name": "Ana", "company_name": "ACME"}, "individual", "Ana", "", "ACME"),
    ],
)
def test_a_name_is_split_as_the_pages_split_it(api, said, kind, first, last, company):
    shown = api.post("/customers", said).json()

    assert (shown["kind"], shown["first_name"], shown["last_name"], shown["company_name"]) == (kind, first, last, company)


def test_what_only_we_decide_is_disregarded(api):
    response = api.post(
        "/customers", {"name": "Ana", "archived": True, "status": "archived", "balance": "9", "_id": "x", "id": 1}
    )

    assert response.json()["archived"] is False
    assert response.json()["balance"] == "0.00"
    assert set(response.headers["X-Disregarded-Fields"].split(",")) == {"archived", "status", "balance", "_id", "id"}


def test_metadata_keeps_texts_within_the_limits(api):
    many = {f"k{n}": "v" for n in range(60)} | {"nested": {"a": 1}, "long": "x" * 501, "k" * 41: "v", "number": 5}

    response = api.post("/customers", {"name": "Ana", "metadata": {"number": 5, "nested": {"a": 1}, "Order ID": "7"}})
    assert response.json()["metadata"] == {"number": "5", "Order ID": "7"}
    assert response.headers["X-Disregarded-Fields"] == "metadata.nested"
    assert len(api.post("/customers", {"name": "Ana", "metadata": many}).json()["metadata"]) == 50
    assert api.post("/customers", {"name": "Ana", "metadata": ["a"]}).json()["metadata"] == {}


def test_a_did_belongs_to_one_customer_of_a_mode(api, john):
    response = api.post("/customers", {"name": "Jane", "did": DID})

    assert response.status_code == 409
    assert response.json()["errors"][0] == {
        "code": "duplicate", "detail": "Another customer has this DID. Use a different one.", "parameter": "did",
    }  # fmt: skip
    assert Api(livemode=True).post("/customers", {"name": "Jane", "did": DID}).status_code == 201


def test_a_key_leaves_its_trace_and_a_person_their_id(api, max):
    nobody = api.post("/customers", {"name": "Ana"}).json()
    somebody = Api(user=max).post("/customers", {"name": "Bo"}).json()

    event = Event.objects.get(object_id=nobody["id"], type="customer.created")
    assert (event.actor, event.by, event.data["key"]) == ("api", None, api.key.pk)
    assert nobody["user_id"] is None
    assert somebody["user_id"] == max.pk.removeprefix("usr_")
    assert Event.objects.get(object_id=somebody["id"], type="customer.created").by == max
    assert Customer.objects.get(pk=nobody["id"]).origin == "api"


# --- update and archive --------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["put", "patch"])
def test_an_update_sets_what_comes_and_leaves_the_rest(api, john, verb):
    before = api.get(f"/customers/{john['id']}").json()

    after = getattr(api, verb)(f"/customers/{john['id']}", {"email": "john.new.doe@example.com"}).json()

    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"email", "updated_at"}
    assert after["email"] == "john.new.doe@example.com"


def test_an_update_that_changes_nothing_moves_nothing(api, john):
    assert (
        api.patch(f"/customers/{john['id']}", {"email": JOHN["email"], "phone": "nonsense"}).json()["updated_at"]
        == (api.get(f"/customers/{john['id']}").json()["updated_at"])
    )
    assert not Event.objects.filter(object_id=john["id"], type="customer.updated").exists()


def test_metadata_and_address_are_set_whole_and_null_clears(api, john):
    path = f"/customers/{john['id']}"
    api.patch(path, {"metadata": {"a": "1", "b": "2"}})

    assert api.patch(path, {"metadata": {"c": "3"}}).json()["metadata"] == {"c": "3"}
    assert api.patch(path, {"address": {"country": "ph"}}).json()["address"] == {
        "country": "PH", "state": "", "city": "", "line1": "", "line2": "", "postal_code": "",
    }  # fmt: skip
    cleared = api.patch(path, {"address": None, "phone": None, "email": "", "metadata": None, "did": None}).json()
    assert [cleared[n] for n in ("address", "phone", "email", "metadata", "did")] == [None, None, None, {}, None]
    assert cleared["name"] == "John Doe"


def test_a_name_cannot_be_taken_away(api, john):
    response = api.patch(f"/customers/{john['id']}", {"first_name": "", "last_name": ""})

    assert response.status_code == 400
    assert api.get(f"/customers/{john['id']}").json()["name"] == "John Doe"


def test_delete_archives_and_the_customer_stays_retrievable(api, john, max):
    for _again in range(2):
        gone = api.delete(f"/customers/{john['id']}")
        assert (gone.status_code, gone.json()["archived"], gone.json()["status"]) == (200, True, "archived")

    assert api.get(f"/customers/{john['id']}").json()["archived"] is True
    assert Event.objects.filter(object_id=john["id"], type="customer.archived").count() == 1
    assert api.get("/customers").json()["count"] == 0
    assert api.post(f"/customers/{john['id']}/restore").json()["archived"] is False


# --- list and search -----------------------------------------------------------------------------------------
def test_a_list_has_count_rows_and_paging(api, max):
    for n in range(12):
        make_customer(by=max, first_name=f"Ana{n:02}")

    shown = api.get("/customers?pageSize=5").json()

    assert list(shown) == ["count", "list", "paging"]
    assert (shown["count"], len(shown["list"]), shown["paging"]) == (12, 5, {"page": 1, "pageSize": 5})
    pages = [api.get(f"/customers?pageSize=5&page={n}&sort=name").json()["list"] for n in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [5, 5, 2, 0]
    assert [row["first_name"] for page in pages for row in page] == [f"Ana{n:02}" for n in range(12)]
    assert shown["list"][0]["first_name"] == "Ana11"


@pytest.mark.parametrize(
    "said, size", [("pageSize=abc", 20), ("pageSize=0", 20), ("pageSize=-1", 20), ("pageSize=10000", 100), ("page=abc", 20)]
)
def test_a_malformed_page_is_the_usual_one(api, max, said, size):
    make_customer(by=max)

    response = api.get(f"/customers?{said}")

    assert response.json()["paging"] == {"page": 1, "pageSize": size}
    assert len(response.json()["list"]) == 1


def test_the_list_can_be_narrowed(api, max, john):
    other = make_customer(by=max, first_name="Bo", reference="R-1", company_name="ACME")
    method = make_method(other, by=max)
    make_customer(by=max, first_name="Gone", archived=True)

    def found(query):
        return {row["name"] for row in api.get(f"/customers?{query}").json()["list"]}

    assert found(f"did={DID}") == {"John Doe"}
    assert found("did=did:abt:unknown") == set()
    assert found("did=%20nonsense%20") == set()
    assert found("reference=R-1") == {str(other)} == found("company_name=ACME")
    assert found(f"payment_source_id={method.pk}") == {str(other)} == found(f"payment_source_id={method.pk[4:]}")
    gateway = api.get(f"/customers/{other.pk}").json()["payment_sources"][0]["gateway_id"]
    assert found(f"gateway_id={gateway}") == {str(other)}
    assert found(f"gateway_id={'0' * 24}") == set()
    assert found(f"id={other.pk}") == {str(other)}
    assert len(found("archived=true")) == 1 == len(found("status=archived"))
    assert len(found("status=all")) == 3
    assert found("delinquent=true") == set()
    assert len(found("delinquent=false")) == 2


def test_search_finds_by_every_field_a_part_of_a_word(api, john):
    for words in ("john.doe", "doe john", "5551234", DID[:10], john["_id"]):
        shown = api.get(f"/customers/search?query={words}").json()
        assert [row["id"] for row in shown["list"]] == [john["id"]], words
        assert list(shown) == ["count", "list", "paging"]
    assert api.get("/customers/search?query=nobody").json()["count"] == 0


@pytest.mark.parametrize("query", ["", "?query=", "?query=%20", "?query=%00"])
def test_a_search_needs_words(api, query):
    response = api.get(f"/customers/search{query}")

    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == "parameter_required"


def test_a_page_costs_the_same_however_many_rows_it_has(api, max, django_assert_max_num_queries):
    def cost():
        with django_assert_max_num_queries(9) as found:
            api.get("/customers")
        return len(found)

    for _n in range(3):
        make_method(make_customer(by=max), by=max)
    api.get("/customers")
    few = cost()
    for _n in range(9):
        make_address(make_customer(by=max), by=max)

    assert cost() == few


# --- who sees what -------------------------------------------------------------------------------------------
def test_reporting_sees_contact_data_masked(rita, john):
    shown = Api(scopes=["read"], user=rita).get(f"/customers/{john['id']}").json()

    assert (shown["email"], shown["phone"]) == ("j•••@example.com", "•••67")
    assert (shown["address"]["line1"], shown["address"]["city"]) == ("•••", "San Francisco")
    assert JOHN["email"] not in str(shown)


def test_reporting_cannot_search_by_what_is_masked(rita, john):
    theirs = Api(scopes=["read"], user=rita)

    assert theirs.get("/customers/search?query=5551234567").json()["count"] == 0
    assert theirs.get("/customers/search?query=john.doe@example").json()["count"] == 0
    assert theirs.get("/customers/search?query=doe").json()["count"] == 1


def test_a_role_and_a_scope_both_have_to_allow(sue, john):
    assert code_of(Api(user=sue).post("/customers", {"name": "Ana"})) == "permission_denied"
    response = Api(scopes=["read"]).patch(f"/customers/{john['id']}", {"name": "Ana"})
    assert (response.status_code, detail_of(response)) == (403, "This key lacks the scope customers:write.")
    assert Api(scopes=["billing:read"]).get("/customers").status_code == 403
    assert Api(scopes=["customers:read"]).get("/customers").status_code == 200
