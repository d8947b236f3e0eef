"""The gateway seam and the sandbox behind it."""

import inspect

import pytest

from billing.gateways import GATEWAYS, gateway_for, gateways_for, method_types_for
from billing.gateways.base import CheckoutRequest, CheckoutStatus, Gateway, OutcomeUnknown, Rejected, Unavailable
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import CARDS, find_card
from billing.gateways.sandbox.models import SandboxCheckout, SandboxRequestLog
from dashboard.text import card_number_in

pytestmark = pytest.mark.django_db
CALL = CheckoutRequest(
    reference="att_1",
    amount_minor=4850,
    currency="USD",
    description="Beans",
    method_types=("card",),
    return_url="http://localhost/pay/return/att_1/",
    expires_at="2099-01-01T00:00:00+00:00",
)


def changed(**fields):
    from dataclasses import replace

    return replace(CALL, **fields)


@pytest.fixture
def sandbox():
    return gateway_for("sandbox")


@pytest.mark.parametrize("slug", GATEWAYS)
def test_every_gateway_has_the_operations_of_the_interface(slug):
    gateway = gateway_for(slug)
    operations = [n for n, f in vars(Gateway).items() if inspect.isfunction(f) and not n.startswith("_")]

    assert set(operations) == {"create_checkout", "cancel", "fetch"}
    for name in operations:
        wanted = list(inspect.signature(getattr(Gateway, name)).parameters)[1:]
        assert list(inspect.signature(getattr(gateway, name)).parameters) == wanted


def test_the_sandbox_is_never_live():
    assert [g.slug for g in gateways_for(False, "USD")] == ["sandbox"]
    assert gateways_for(True, "USD") == []
    assert method_types_for(True, "USD") == []
    assert method_types_for(False, "USD") == ["card"]
    assert gateways_for(False, "ZZZ") == []


def test_the_same_key_gives_the_same_page(sandbox):
    first, again = (sandbox.create_checkout(CALL, key="k1") for _ in range(2))

    assert first == again
    assert SandboxCheckout.objects.count() == 1
    assert SandboxRequestLog.objects.get().calls == 2


@pytest.mark.parametrize("other", [{"amount_minor": 4851}, {"currency": "EUR"}, {"description": "Tea"}])
def test_the_same_key_with_another_body_is_rejected(sandbox, other):
    sandbox.create_checkout(CALL, key="k1")

    with pytest.raises(Rejected):
        sandbox.create_checkout(changed(**other), key="k1")
    assert SandboxCheckout.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [{"amount_minor": 49}, {"amount_minor": 10**13}, {"currency": "ZZZ"}, {"currency": "PHP", "amount_minor": 1999}],
)
def test_amounts_out_of_bounds_are_rejected(sandbox, wrong):
    with pytest.raises(Rejected):
        sandbox.create_checkout(changed(**wrong), key="k1")


def test_an_unknown_page_is_rejected(sandbox):
    with pytest.raises(Rejected):
        sandbox.fetch("sbcs_none")


def test_a_closed_page_takes_no_card(sandbox):
    made = sandbox.create_checkout(CALL, key="k1")

    assert sandbox.cancel(made.remote_id, key="k1.cancel").status == CheckoutStatus.CANCELED
    assert not bank.pay(SandboxCheckout.objects.get(), find_card("4242424242424242"), version=0)


def test_a_paid_page_stays_paid_when_it_is_closed(sandbox):
    made = sandbox.create_checkout(CALL, key="k1")
    bank.pay(SandboxCheckout.objects.get(), find_card("4242424242424242"), version=0)

    assert sandbox.cancel(made.remote_id, key="k1.cancel").status == CheckoutStatus.COMPLETE


def test_a_page_past_its_time_takes_no_card(sandbox):
    made = sandbox.create_checkout(changed(expires_at="2020-01-01T00:00:00+00:00"), key="k1")

    assert sandbox.fetch(made.remote_id).status == CheckoutStatus.EXPIRED
    assert not bank.pay(SandboxCheckout.objects.get(), find_card("4242424242424242"), version=0)


@pytest.mark.parametrize("card", CARDS, ids=lambda c: c.number)
def test_every_listed_card_does_what_its_label_says(sandbox, card):
    made = sandbox.create_checkout(CALL, key="k1")

    bank.pay(SandboxCheckout.objects.get(), card, version=0)

    (charge,) = sandbox.fetch(made.remote_id).payments
    assert (charge.status == "succeeded") == ("succeeds" in card.label) == (not card.failure)
    assert charge.method.last4 == card.number[-4:]
    assert not charge.failure or "No money moved." in charge.failure.message


def test_cards_are_found_however_they_are_spaced():
    assert find_card("4242 4242-4242 4242") == find_card("4242424242424242")
    assert find_card("378282246310005").spaced == "3782 822463 10005"
    for other in ("4111111111111111", "", None, "4242", "４２４２４２４２４２４２４２４２"):
        assert find_card(other) is None
    assert all(card_number_in(c.number) for c in CARDS)


def test_an_amount_ending_in_09_is_turned_away_once(sandbox):
    call = changed(amount_minor=5009)

    with pytest.raises(Unavailable):
        sandbox.create_checkout(call, key="k1")
    assert not SandboxCheckout.objects.exists()
    assert sandbox.create_checkout(call, key="k1").url


@pytest.mark.parametrize(("amount", "charges"), [(5001, 1), (5003, 1), (5002, 0)])
def test_amounts_that_lose_the_answer_lose_it_once(sandbox, amount, charges):
    made = sandbox.create_checkout(changed(amount_minor=amount), key="k1")
    assert sandbox.fetch(made.remote_id).payments == ()  # nothing is lost before a card was submitted
    bank.pay(SandboxCheckout.objects.get(), find_card("4242424242424242"), version=0)

    with pytest.raises(OutcomeUnknown):
        sandbox.fetch(made.remote_id)
    assert len(sandbox.fetch(made.remote_id).payments) == charges
