"""Payment sources a merchant's own system brings: the gateway says what a token is, and no number comes this far."""

from dataclasses import replace

import pytest
from django.db import transaction

from billing.domain import sources, vault
from billing.gateways import InsideTransaction, gateway_for
from billing.gateways.base import CustomerRef, Declined, MethodSummary, Rejected
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import CARDS, WALLET, find_card
from billing.gateways.sandbox.models import SandboxMethod
from billing.models import PaymentMethod
from billing.tests.factories import DECLINED, GOOD, make_customer, make_method
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
CARD = sources.NewSource("card", "sandbox", test_card=find_card(GOOD), shown={"holder": "Marta"})


@pytest.fixture
def sandbox():
    return gateway_for("sandbox")


def remote(sandbox, name):
    return sandbox.ensure_customer(CustomerRef(f"cus_{name}", name), key=name)


# --- the gateway's side --------------------------------------------------------------------------------------
def test_a_token_is_found_attached_and_detached(sandbox):
    token, marta = bank.tokenize(find_card(GOOD)).token, remote(sandbox, "marta")

    assert sandbox.find_method(token).last4 == "4242"
    assert SandboxMethod.objects.get().customer is None  # looking changes nothing
    for _ in range(2):
        assert sandbox.attach_method(token, marta, key="attach").token == token
    assert SandboxMethod.objects.get().customer_id == marta
    sandbox.detach_method(token, key="detach")
    for call in (lambda: sandbox.find_method(token), lambda: sandbox.attach_method(token, marta, key="attach")):
        with pytest.raises(Rejected):
            call()


def test_a_customer_takes_no_method_of_another(sandbox):
    token, marta, ana = bank.tokenize(find_card(GOOD)).token, remote(sandbox, "marta"), remote(sandbox, "ana")
    sandbox.attach_method(token, marta, key="first")

    with pytest.raises(Rejected, match="another customer"):
        sandbox.attach_method(token, ana, key="second")
    with pytest.raises(Rejected):
        sandbox.attach_method(token, "sbcu_nobody", key="third")
    assert SandboxMethod.objects.get().customer_id == marta


def test_a_card_the_bank_declines_is_not_attached(sandbox):
    token, marta = bank.tokenize(find_card(DECLINED)).token, remote(sandbox, "marta")

    with pytest.raises(Declined):
        sandbox.find_method(token)
    with pytest.raises(Declined):
        sandbox.attach_method(token, marta, key="attach")
    assert SandboxMethod.objects.get().customer is None


def test_the_same_key_makes_one_token_and_another_card_under_it_is_refused():
    first, again = (bank.tokenize(find_card(GOOD), "cus_1", key="k.token") for _ in range(2))

    assert first.token == again.token
    with pytest.raises(Rejected):
        bank.tokenize(find_card("5555555555554444"), "cus_1", key="k.token")
    assert bank.tokenize(find_card(GOOD), "cus_1").token != first.token


def test_a_wallet_account_has_no_number_and_is_no_card_of_the_list():
    assert (WALLET.number, WALLET.last4, WALLET.bin, WALLET.fingerprint) == ("", "", "", "")
    assert WALLET not in CARDS
    assert find_card("") is None
    assert bank.tokenize(WALLET, "cus_1").type == "checkout"


# --- ours ----------------------------------------------------------------------------------------------------
def test_looking_at_a_test_card_saves_nothing():
    assert sources.look_at(CARD).last4 == "4242"
    assert not SandboxMethod.objects.exists()
    with pytest.raises(DomainError, match="Only the sandbox"):
        sources.look_at(replace(CARD, gateway="stripe"))


@pytest.mark.django_db(transaction=True)
def test_a_source_is_not_saved_inside_a_transaction():
    source = replace(CARD, test_card=None, token=bank.tokenize(find_card(GOOD)).token)
    customer = make_customer()

    with transaction.atomic(), pytest.raises(InsideTransaction):
        sources.save_source(customer, source, by=None)
    assert not PaymentMethod.objects.exists()


def test_a_method_on_file_with_another_customer_is_nobody_elses():
    """Whatever a gateway says: vault.keep_method itself refuses it."""
    theirs, marta = make_method(make_customer(email="other@example.com")), make_customer()
    summary = MethodSummary("card", "visa", "4242", expire_month=9, expire_year=2034, token=theirs.gateway_token)

    with pytest.raises(DomainError, match="with another customer"):
        vault.keep_method(marta, gateway="sandbox", summary=summary, by=None)
    assert PaymentMethod.objects.count() == 1
