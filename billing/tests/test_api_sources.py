"""Payment sources through the API: by token or test card, each type with its own mandatory fields, and no number kept."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing.domain import vault
from billing.domain.charges import charge
from billing.gateways.base import Unavailable
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import find_card
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.gateways.sandbox.models import SandboxMethod
from billing.models import PaymentMethod
from billing.tests.factories import DECLINED, GOOD, make_customer, make_method, make_subscription
from customers.domain import archive_customer
from customers.models import Customer
from dashboard.models import Event
from dashboard.tests.api_client import Api, code_of, detail_of

pytestmark = pytest.mark.django_db
CARD = {"type": "card", "card_name": "Marta Santos", "expire_month": "09", "expire_year": "2034", "card_number": GOOD}
WALLET = {"type": "checkout", "checkout_email": "marta@example.com", "checkout_holder": "Marta Santos"}
BANK = {"type": "bank_account", "account_name": "Marta Santos", "account_number": "000123456789"}
ACCOUNT = {"account_bank_name": "BPI", "account_type": "savings", "account_holder_type": "individual"}
ADDRESS = {"address_line1": "1 Harbor Drive", "address_city": "Manila", "address_country": "ph", "address_postcode": "1008"}


@pytest.fixture
def api(db):
    return Api()


@pytest.fixture
def marta(db):
    return make_customer()


def path(customer, *more):
    return "/".join([f"/customers/{customer.pk}/payment_sources", *more])


def token(number=GOOD, reference=""):
    """What a company's own form in a browser would give."""
    return bank.tokenize(find_card(number), reference).token


def by_token(**changes):
    """A card's body with a token instead of a number; a field of None is left out."""
    body = {name: value for name, value in CARD.items() if name != "card_number"} | {"token": token()} | changes
    return {name: value for name, value in body.items() if value is not None}


def parameter_of(response):
    return response.json()["errors"][0].get("parameter")


# --- adding --------------------------------------------------------------------------------------------------
def test_a_test_card_is_kept_as_its_own_words_and_the_list_say(api, marta):
    response = api.post(path(marta), CARD | ADDRESS)

    assert response.status_code == 201
    shown = response.json()
    method = PaymentMethod.objects.get()
    assert {n: v for n, v in shown.items() if n.startswith(("card", "expire", "type", "status"))} == {
        "type": "card", "status": "active", "card_name": "Marta Santos", "card_number_last4": "4242",
        "card_number_bin": "424242", "card_scheme": "visa", "expire_month": "09", "expire_year": "2034",
    }  # fmt: skip
    assert {n: v for n, v in shown.items() if n.startswith("address")} == ADDRESS | {"address_country": "PH"}
    assert method.is_default
    assert method.vault_token not in response.content.decode()
    assert method.gateway_token not in response.content.decode()
    event = Event.objects.get(type="payment_method.created")
    assert (event.actor, event.object_id, event.customer_id) == ("api", method.pk, marta.pk)


def test_a_token_is_asked_of_the_gateway_and_belongs_to_the_customer_then(api, marta):
    response = api.post(path(marta), by_token(card_number_bin="42424242"))

    assert response.status_code == 201
    assert response.json()["card_number_bin"] == "42424242"  # the merchant knows two digits more than the gateway
    kept = SandboxMethod.objects.get()
    assert kept.customer.reference == marta.pk
    method = PaymentMethod.objects.get(gateway_token=kept.pk)
    assert charge(marta, amount=4850, currency="USD", by=None, form_key="a" * 32).source == method


def test_the_same_token_is_one_source(api, marta):
    body = by_token()

    first, second = api.post(path(marta), body), api.post(path(marta), body)

    assert first.json()["_id"] == second.json()["_id"]
    assert PaymentMethod.objects.count() == 1


def test_two_vaultings_of_one_card_give_two_tokens(api, marta):
    api.post(path(marta), CARD)
    api.post(path(marta), CARD)

    one, other = PaymentMethod.objects.values_list("vault_token", flat=True)
    assert one != other


def test_a_wallet_account_and_a_bank_account_have_the_keys_of_their_flow(api, marta):
    wallet, account = api.post(path(marta), WALLET).json(), api.post(path(marta), BANK | ACCOUNT).json()

    own = {n: v for n, v in wallet.items() if n not in ("_id", "gateway_id", "gateway_type", "gateway_name")}
    assert own == WALLET | {"status": "active"}
    assert {n: v for n, v in account.items() if n.startswith("account")} == ACCOUNT | {
        "account_name": "Marta Santos", "account_number_last4": "6789",
    }  # fmt: skip


def test_the_sandboxs_wallet_account_can_be_charged(api, marta):
    api.post(path(marta), WALLET)

    payment = charge(marta, amount=4850, currency="USD", by=None, form_key="b" * 32)

    assert (payment.status, payment.method_type) == ("paid", "checkout")


def test_make_default_takes_the_place_of_the_default(api, marta):
    old = make_method(marta)

    api.post(path(marta), CARD | {"make_default": True})

    old.refresh_from_db()
    assert not old.is_default
    assert PaymentMethod.objects.get(is_default=True).pk != old.pk


# --- what must be there --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({}, "type"),
        ({"type": "card"}, "card_name"),
        (CARD | {"card_name": " "}, "card_name"),
        (CARD | {"expire_month": None}, "expire_month"),
        (CARD | {"expire_year": ""}, "expire_year"),
        (CARD | {"card_number": ""}, "token"),
        (BANK | {"account_name": ""}, "account_name"),
        (BANK | {"account_number": ""}, "token"),
        (WALLET | {"checkout_email": ""}, "checkout_email"),
        (WALLET | {"checkout_holder": None}, "checkout_holder"),
    ],
)
def test_each_flow_says_what_it_lacks(api, marta, body, missing):
    response = api.post(path(marta), body)

    assert (response.status_code, code_of(response), parameter_of(response)) == (400, "parameter_required", missing)
    assert not PaymentMethod.objects.exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("card_number_last4", "12"),
        ("card_number_last4", 4242),
        ("card_number_bin", "42424"),
        ("expire_month", "13"),
        ("expire_month", "9"),
        ("expire_year", "34"),
        ("expire_year", "2019"),
        ("expire_year", "9999"),
        ("card_name", 12),
        ("card_number", "4111111111111111"),  # a good number, and not of the list
        ("card_number", "000123456789"),  # a listed account is no card
        ("card_number", {"number": GOOD}),
        ("type", "cheque"),
        ("gateway_id", "0" * 24),
    ],
)
def test_what_a_card_must_have_is_an_error_when_malformed(api, marta, name, value):
    response = api.post(path(marta), CARD | {name: value})

    assert (response.status_code, parameter_of(response)) == (400, name)
    assert code_of(response) in ("parameter_invalid", "parameter_type_invalid")
    assert "4111" not in response.content.decode()
    assert not PaymentMethod.objects.exists()


def test_a_card_of_last_month_has_expired(api, marta):
    from django.utils import timezone

    today = timezone.localdate()
    if today.month > 1:
        response = api.post(path(marta), CARD | {"expire_month": f"{today.month - 1:02}", "expire_year": str(today.year)})
        assert (response.status_code, parameter_of(response)) == (400, "expire_month")
    this = api.post(path(marta), CARD | {"expire_month": f"{today.month:02}", "expire_year": str(today.year)})
    assert this.status_code == 201


def test_what_is_optional_is_disregarded_when_malformed(api, marta):
    response = api.post(path(marta), CARD | {"address_country": "Mars", "address_city": "Manila", "card_scheme": "gold"})

    assert response.status_code == 201
    assert set(response["X-Disregarded-Fields"].split(",")) == {"address_country", "card_scheme"}
    assert response.json()["address_city"] == "Manila"
    assert "address_country" not in response.json()
    assert response.json()["card_scheme"] == "visa"


def test_fields_of_another_flow_are_disregarded_whatever_they_hold(api, marta):
    response = api.post(path(marta), WALLET | {"expire_month": "13", "card_name": 5, "account_type": "savings"})

    assert response.status_code == 201
    assert response["X-Disregarded-Fields"] == "account_type,card_name,expire_month"
    assert not any(name.startswith(("card_", "account_")) for name in response.json())


# --- what the gateway says -----------------------------------------------------------------------------------
def test_a_token_cannot_be_made_up(api, marta):
    for made_up in ("sbpm_0193f0c1d2a7b34e5f607182", "tok_visa", "\u0000", "x" * 255):
        response = api.post(path(marta), by_token(token=made_up))
        assert (response.status_code, parameter_of(response)) == (400, "token"), made_up
    assert not PaymentMethod.objects.exists()


def test_a_token_of_another_customer_is_refused(api, marta):
    theirs = make_method(make_customer(email="other@example.com"))

    response = api.post(path(marta), by_token(token=theirs.gateway_token))

    assert (response.status_code, parameter_of(response)) == (400, "token")
    assert not marta.methods.exists()


def test_a_removed_sources_token_does_not_work_again(api, marta):
    body = by_token()
    first = api.post(path(marta), body).json()
    assert api.delete(path(marta, first["_id"])).status_code == 200

    response = api.post(path(marta), body)

    assert (response.status_code, parameter_of(response)) == (400, "token")
    assert not PaymentMethod.objects.active().exists()


@pytest.mark.parametrize("changes", [{"card_number": DECLINED}, {"card_number": None, "token": "declined"}])
def test_a_declined_card_is_refused_with_the_sentence_of_the_sandbox(api, marta, changes):
    if changes.get("token"):
        changes = changes | {"token": token(DECLINED)}

    response = api.post(path(marta), {n: v for n, v in (CARD | changes).items() if v})

    assert response.status_code == 409
    assert detail_of(response).startswith("The bank declined the card without giving a reason. No money moved.")
    assert not PaymentMethod.objects.exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"card_number_last4": "9999"}, "last four digits are not those"),
        ({"card_number_bin": "555555"}, "first digits are not those"),
    ],
)
def test_what_contradicts_the_gateway_is_refused(api, marta, changes, said):
    for body in (CARD | changes, by_token(**changes)):
        response = api.post(path(marta), body)
        assert response.status_code == 409
        assert said in detail_of(response)
    assert not PaymentMethod.objects.exists()


def test_a_token_of_another_kind_is_refused(api, marta):
    response = api.post(path(marta), by_token(token=token("000123456789")))

    assert (response.status_code, detail_of(response)) == (409, "This is a bank account, not a card. Nothing was saved.")


def test_nothing_is_saved_while_the_gateway_is_away(api, marta, monkeypatch):
    monkeypatch.setattr(SandboxGateway, "attach_method", _away)

    response = api.post(path(marta), by_token())

    assert (response.status_code, detail_of(response)) == (409, vault.UNREACHABLE)
    assert not PaymentMethod.objects.exists()


def _away(self, *args, **kwargs):
    raise Unavailable("No connection.")


def test_an_archived_customer_gets_no_source(api, marta, as_max):
    archive_customer(marta, by=None)

    response = api.post(path(marta), CARD)

    assert response.status_code == 409
    assert detail_of(response) == "Marta Santos is archived. Restore the customer first."
    assert detail_of(response) in as_max.get(f"/customers/{marta.pk}/methods/new/").text
    assert not SandboxMethod.objects.exists()


def test_live_mode_takes_no_number_and_has_no_gateway_yet(db):
    live, customer = Api(livemode=True), make_customer(livemode=True)

    number, wallet, unknown = (live.post(path(customer), body) for body in (CARD, WALLET, by_token()))

    assert (number.status_code, parameter_of(number)) == (400, "card_number")
    assert "test mode alone" in detail_of(number)
    assert (wallet.status_code, parameter_of(wallet)) == (400, "token")
    assert unknown.status_code == 409
    assert "No payment gateway of live mode" in detail_of(unknown)
    assert not PaymentMethod.objects.exists()


def test_a_live_key_sees_no_test_source_and_adds_none(api, marta):
    method, live = make_method(marta), Api(livemode=True)

    asked = [live.get(path(marta)), live.get(path(marta, method.pk)), live.post(path(marta), CARD)]
    asked += [live.post(path(marta, method.pk, "default")), live.delete(path(marta, method.pk))]

    assert [response.status_code for response in asked] == [404] * 5
    method.refresh_from_db()
    assert method.status == "active"


# --- once ----------------------------------------------------------------------------------------------------
def test_the_same_idempotency_key_keeps_one_source(api, marta):
    first = api.post(path(marta), CARD, idempotency_key="s-1")
    again = api.post(path(marta), CARD, idempotency_key="s-1")

    assert (first.status_code, again.json()) == (201, first.json())
    assert PaymentMethod.objects.count() == SandboxMethod.objects.count() == 1


def test_a_request_that_died_before_its_answer_was_kept_is_done_once(api, marta, monkeypatch):
    from dashboard.api import idempotency
    from dashboard.api_models import IdempotencyKey

    def dies(row, response):
        raise RuntimeError("the process is gone")

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "_keep", dies)
        assert api.post(path(marta), CARD, idempotency_key="s-2").status_code == 500
    IdempotencyKey.objects.all().delete()

    assert api.post(path(marta), CARD, idempotency_key="s-2").status_code == 201
    assert PaymentMethod.objects.count() == SandboxMethod.objects.count() == 1


def test_a_test_card_without_a_key_would_be_two(api, marta):
    """The control of the two tests above."""
    api.post(path(marta), CARD)
    api.post(path(marta), CARD)

    assert PaymentMethod.objects.count() == 2


# --- the vault token -----------------------------------------------------------------------------------------
def test_a_vault_token_names_a_source_the_customer_has(api, marta):
    method = make_method(marta)

    response = api.post(path(marta), {"type": "card", "vault_token": method.vault_token})

    assert (response.status_code, response.json()["_id"]) == (200, method.pk.removeprefix("src_"))
    assert PaymentMethod.objects.count() == 1


def test_anybody_elses_vault_token_is_unknown(api, marta):
    theirs = make_method(make_customer(email="other@example.com"))
    live = make_customer(livemode=True)

    answers = [
        api.post(path(marta), {"type": "card", "vault_token": theirs.vault_token}),
        Api(livemode=True).post(path(live), {"type": "card", "vault_token": theirs.vault_token}),
        api.post("/customers", {"name": "Ana", "payment_source": {"type": "card", "vault_token": theirs.vault_token}}),
    ]

    assert [response.status_code for response in answers] == [404] * 3
    assert not Customer.objects.filter(first_name="Ana").exists()
    assert "visa" not in "".join(response.content.decode() for response in answers)


def test_a_removed_sources_vault_token_is_refused(api, marta):
    method = vault.remove_method(make_method(marta), by=None)

    response = api.post(path(marta), {"type": "card", "vault_token": method.vault_token})

    assert response.status_code == 409
    assert "was removed" in detail_of(response)


# --- with a new customer -------------------------------------------------------------------------------------
def test_a_customer_is_made_with_a_source(api):
    response = api.post("/customers", {"name": "Ana Cruz", "payment_source": CARD | ADDRESS})

    assert response.status_code == 201
    (source,) = response.json()["payment_sources"]
    assert (source["card_number_last4"], source["address_city"]) == ("4242", "Manila")
    assert response.json()["default_source"] == source["_id"]


def test_a_token_is_kept_for_the_new_customer(api):
    response = api.post("/customers", {"name": "Ana Cruz", "payment_source": by_token()})

    assert response.status_code == 201
    assert SandboxMethod.objects.get().customer.reference == response.json()["id"]


@pytest.mark.parametrize(
    ("changes", "status", "parameter"),
    [
        ({"card_number_last4": "12"}, 400, "payment_source.card_number_last4"),
        ({"card_name": ""}, 400, "payment_source.card_name"),
        ({"type": None}, 400, "payment_source.type"),
        ({"card_number": None}, 400, "payment_source.token"),
        ({"card_number": "4111111111111111"}, 400, "payment_source.card_number"),
        ({"card_number": None, "token": "tok_made_up"}, 400, "payment_source.token"),
        ({"card_number": DECLINED}, 409, None),
        ({"gateway_id": "0" * 24}, 400, "payment_source.gateway_id"),
    ],
)
def test_a_refused_source_makes_no_customer(api, changes, status, parameter):
    source = {name: value for name, value in (CARD | changes).items() if value is not None}

    response = api.post("/customers", {"name": "Ana Cruz", "payment_source": source})

    assert (response.status_code, parameter_of(response)) == (status, parameter)
    assert not Customer.objects.exists()
    assert not SandboxMethod.objects.exists()


def test_what_is_optional_within_a_source_is_disregarded_and_named_with_its_place(api):
    response = api.post("/customers", {"name": "Ana Cruz", "phone": "x", "payment_source": CARD | {"address_country": "Mars"}})

    assert response.status_code == 201
    assert set(response["X-Disregarded-Fields"].split(",")) == {"phone", "payment_source.address_country"}


def test_a_source_that_is_no_object_is_none(api):
    response = api.post("/customers", {"name": "Ana Cruz", "payment_source": "visa"})

    assert (response.status_code, response["X-Disregarded-Fields"]) == (201, "payment_source")
    assert response.json()["payment_sources"] == []


def test_if_the_gateway_fails_right_after_the_customer_was_made_the_error_names_them(api, monkeypatch):
    monkeypatch.setattr(SandboxGateway, "attach_method", _away)

    response = api.post("/customers", {"name": "Ana Cruz", "payment_source": by_token()})

    customer = Customer.objects.get()
    assert response.status_code == 409
    assert detail_of(response).startswith(f"The customer {customer.pk} was created, but without the payment source.")


def test_a_key_for_customers_alone_adds_no_source(db):
    api = Api(scopes=["customers:write"])

    response = api.post("/customers", {"name": "Ana Cruz", "payment_source": CARD})

    assert (response.status_code, detail_of(response)) == (403, "This key lacks the scope billing:write.")
    assert not Customer.objects.exists()
    assert api.post("/customers", {"name": "Ana Cruz"}).status_code == 201


# --- listed, chosen, removed ---------------------------------------------------------------------------------
def test_the_default_is_listed_first_and_removed_ones_on_request_alone(api, marta):
    first, second, third = make_method(marta), make_method(marta), make_method(marta)
    vault.remove_method(second, by=None)
    make_method(make_customer(email="other@example.com"))

    def ids(query=""):
        answer = api.get(path(marta) + query).json()
        assert answer["count"] == len(answer["list"])
        return [f"src_{row['_id']}" for row in answer["list"]]

    assert ids() == [first.pk, third.pk]
    assert ids("?include=archived_sources") == [first.pk, third.pk, second.pk]
    assert ids("?status=removed") == [second.pk]
    assert ids("?type=bank_account") == []
    assert ids("?type=nonsense") == [first.pk, third.pk]


def test_the_list_is_the_pages_list(api, marta, as_max):
    make_method(marta, number="5555555555554444")
    make_method(marta, expire_year=2020)
    vault.remove_method(make_method(marta), by=None)

    for query in ("status=active", "status=expired", "status=removed", "type=card", "type=bank_account"):
        page = as_max.get(f"/customers/{marta.pk}/methods/?{query}").text
        rows = api.get(f"{path(marta)}?{query}&include=archived_sources").json()["list"]
        there = {m.pk for m in PaymentMethod.objects.all() if f"/methods/{m.pk}/" in page}
        assert {f"src_{row['_id']}" for row in rows} == there


def test_the_list_costs_the_same_however_long_it_is(api, marta):
    def cost():
        with CaptureQueriesContext(
            connection,
        ) as asked:
            api.get(path(marta))
        return len(asked)

    for _ in range(3):
        make_method(marta)
    api.get(path(marta))  # the key's first use is noted
    few = cost()
    for _ in range(7):
        make_method(marta)

    assert cost() == few


def test_a_source_is_found_by_either_id_with_its_own_customer_alone(api, marta):
    method, other = make_method(marta), make_customer(email="other@example.com")

    by_id, by_hex = api.get(path(marta, method.pk)), api.get(path(marta, method.pk.removeprefix("src_")))

    assert by_id.json() == by_hex.json()
    assert api.get(path(other, method.pk)).status_code == 404
    assert api.get(path(marta, "src_" + "0" * 24)).status_code == 404


def test_making_a_source_the_default_is_recorded_once(api, marta):
    old, new = make_method(marta), make_method(marta)

    for _ in range(2):
        assert api.post(path(marta, new.pk, "default")).status_code == 200

    assert list(PaymentMethod.objects.filter(is_default=True)) == [new]
    assert old != new
    assert Event.objects.get(type="payment_method.made_default").actor == "api"


def test_a_removed_source_cannot_be_the_default(api, marta, as_max):
    make_method(marta)
    gone = vault.remove_method(make_method(marta), by=None)

    response = api.post(path(marta, gone.pk, "default"))

    assert response.status_code == 409
    page = as_max.post(f"/customers/{marta.pk}/methods/{gone.pk}/default/")
    assert detail_of(response) in page.text


def test_deleting_archives_and_the_gateway_forgets(api, marta):
    method = make_method(marta)

    for _ in range(2):
        response = api.delete(path(marta, method.pk))
        assert (response.status_code, response.json()["status"]) == (200, "archived")

    assert SandboxMethod.objects.get(pk=method.gateway_token).detached_at
    assert Event.objects.get(type="payment_method.archived").actor == "api"


def test_the_source_of_a_subscription_is_not_removed(api, marta, as_max):
    make_subscription(marta)
    method = marta.methods.get()

    response = api.delete(path(marta, method.pk))

    assert response.status_code == 409
    assert "is charged to Visa •••• 4242" in detail_of(response)
    assert detail_of(response).partition("“")[0] in as_max.post(f"/customers/{marta.pk}/methods/{method.pk}/remove/").text


def test_reading_keys_read_and_do_not_write(marta):
    method, api = make_method(marta), Api(scopes=["billing:read"])

    asked = [api.post(path(marta), CARD), api.post(path(marta, method.pk, "default")), api.delete(path(marta, method.pk))]

    assert [response.status_code for response in asked] == [403] * 3
    assert api.get(path(marta)).status_code == 200
    assert Api(scopes=["customers:write"]).get(path(marta)).status_code == 403


def test_a_personal_token_may_what_its_person_may(marta, sue, rita):
    method = make_method(
        marta,
    )
    service, reporting = Api(user=sue), Api(user=rita)

    assert service.post(path(marta), CARD).status_code == 201
    assert service.delete(path(marta, method.pk)).status_code == 403
    assert reporting.post(path(marta), CARD).status_code == 403
    assert PaymentMethod.objects.latest("id").created_by == sue


def test_contact_data_is_masked_for_reporting(api, marta, rita):
    api.post(path(marta), WALLET | ADDRESS)

    (row,) = Api(user=rita).get(path(marta)).json()["list"]

    assert row["checkout_email"] != "marta@example.com"
    assert "Harbor" not in row["address_line1"]
    assert row["address_city"] == "Manila"
