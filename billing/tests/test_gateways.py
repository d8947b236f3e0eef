"""The gateway seam: what every operation of base.py promises, run on the sandbox."""

import inspect
from dataclasses import replace

import pytest

from billing.gateways import GATEWAYS, gateway_for, gateways_for, method_types_for
from billing.gateways.base import (
    ChargeRequest,
    ChargeStatus,
    CheckoutMode,
    CheckoutRequest,
    CheckoutStatus,
    CustomerRef,
    Declined,
    Gateway,
    OutcomeUnknown,
    RefundRequest,
    RefundStatus,
    Rejected,
    Unavailable,
)
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import find_card
from billing.gateways.sandbox.models import (
    SandboxCharge,
    SandboxCheckout,
    SandboxCustomer,
    SandboxMethod,
    SandboxRefund,
    SandboxRequestLog,
)

pytestmark = pytest.mark.django_db
GOOD = "4242424242424242"
CALL = CheckoutRequest(
    reference="att_1",
    amount_minor=4850,
    currency="USD",
    description="Beans",
    method_types=("card",),
    return_url="http://localhost/pay/return/att_1/",
    expires_at="2099-01-01T00:00:00+00:00",
)
CHARGE = ChargeRequest(reference="att_2", amount_minor=4850, currency="USD", description="Beans", token="")


def changed(**fields):
    return replace(CALL, **fields)


@pytest.fixture
def sandbox():
    return gateway_for("sandbox")


def submit(remote_id, number=GOOD):
    checkout = SandboxCheckout.objects.get(pk=remote_id)
    return bank.pay(checkout, find_card(number), version=checkout.version)


def paid(sandbox, number=GOOD, key="paid", **fields):
    """The charge of a page a payer has submitted a card on."""
    made = sandbox.create_checkout(changed(**fields), key=key)
    submit(made.remote_id, number)
    return sandbox.fetch("checkout", made.remote_id).payments[-1]


def token(sandbox, number=GOOD, key="save"):
    """A method saved on a page for nothing else."""
    customer = sandbox.ensure_customer(CustomerRef("cus_1", "Marta"), key=f"{key}.customer")
    call = changed(amount_minor=0, mode=CheckoutMode.SAVE_CARD, customer=customer)
    made = sandbox.create_checkout(call, key=key)
    submit(made.remote_id, number)
    return sandbox.fetch("checkout", made.remote_id).method.token


def refund_of(charge, amount, **fields):
    call = RefundRequest("re_1", charge.remote_id, amount, charge.currency, "requested_by_customer")
    return replace(call, **fields)


@pytest.mark.parametrize("slug", GATEWAYS)
def test_every_gateway_has_the_operations_of_the_interface(slug):
    gateway = gateway_for(slug)
    operations = [n for n, f in vars(Gateway).items() if inspect.isfunction(f) and not n.startswith("_")]

    assert len(operations) == 11
    for name in operations:
        wanted = list(inspect.signature(getattr(Gateway, name)).parameters)[1:]
        assert list(inspect.signature(getattr(gateway, name)).parameters) == wanted


def test_the_sandbox_is_never_live():
    assert [g.slug for g in gateways_for(False, "USD")] == ["sandbox"]
    assert gateways_for(True, "USD") == []
    assert method_types_for(True, "USD") == []
    assert method_types_for(False, "USD") == ["card", "bank_account"]
    assert gateways_for(False, "ZZZ") == []


def test_the_sandbox_can_do_everything_the_interface_knows(sandbox):
    can = sandbox.capabilities

    assert can.capture
    assert can.off_session
    assert can.partial_refund
    assert can.save_card
    assert not can.livemode


# --- pages -------------------------------------------------------------------------------------------------
def test_the_same_key_gives_the_same_page(sandbox):
    first, again = (sandbox.create_checkout(CALL, key="k1") for _ in range(2))

    assert first == again
    assert SandboxCheckout.objects.count() == 1
    assert SandboxRequestLog.objects.get().calls == 2


@pytest.mark.parametrize("other", [{"amount_minor": 4851}, {"currency": "EUR"}, {"description": "Tea"}, {"capture": False}])
def test_the_same_key_with_another_body_is_rejected(sandbox, other):
    sandbox.create_checkout(CALL, key="k1")

    with pytest.raises(Rejected):
        sandbox.create_checkout(changed(**other), key="k1")
    assert SandboxCheckout.objects.count() == 1


def test_a_key_of_one_operation_is_not_good_for_another(sandbox):
    made = sandbox.create_checkout(CALL, key="k1")

    with pytest.raises(Rejected):
        sandbox.cancel("checkout", made.remote_id, key="k1")
    assert SandboxCheckout.objects.get().status == "open"


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount_minor": 49},
        {"amount_minor": 10**13},
        {"amount_minor": 0},
        {"currency": "ZZZ"},
        {"currency": "PHP", "amount_minor": 1999},
        {"customer": "sbcu_none"},
        {"mode": CheckoutMode.SAVE_CARD, "amount_minor": 0},
    ],
)
def test_pages_out_of_bounds_are_rejected(sandbox, wrong):
    with pytest.raises(Rejected):
        sandbox.create_checkout(changed(**wrong), key="k1")
    assert not SandboxCheckout.objects.exists()
    assert not SandboxRequestLog.objects.exists()


def test_a_page_that_saves_a_card_takes_no_money(sandbox):
    customer = sandbox.ensure_customer(CustomerRef("cus_1", "Marta"), key="c")

    with pytest.raises(Rejected):
        sandbox.create_checkout(changed(mode=CheckoutMode.SAVE_CARD, customer=customer), key="k1")


@pytest.mark.parametrize("kind", ["checkout", "payment", "refund"])
def test_what_is_unknown_is_rejected(sandbox, kind):
    with pytest.raises(Rejected):
        sandbox.fetch(kind, "sbcs_none")
    with pytest.raises(Rejected):
        sandbox.cancel(kind, "sbcs_none", key="k1")


def test_a_closed_page_takes_no_card(sandbox):
    made = sandbox.create_checkout(CALL, key="k1")

    assert sandbox.cancel("checkout", made.remote_id, key="k1.cancel").status == CheckoutStatus.CANCELED
    assert not submit(made.remote_id)


def test_a_paid_page_stays_paid_when_it_is_closed(sandbox):
    made = sandbox.create_checkout(CALL, key="k1")
    submit(made.remote_id)

    assert sandbox.cancel("checkout", made.remote_id, key="k1.cancel").status == CheckoutStatus.COMPLETE


def test_a_page_past_its_time_takes_no_card(sandbox):
    made = sandbox.create_checkout(changed(expires_at="2020-01-01T00:00:00+00:00"), key="k1")

    assert sandbox.fetch("checkout", made.remote_id).status == CheckoutStatus.EXPIRED
    assert not submit(made.remote_id)


def test_a_payment_names_its_page_and_our_reference(sandbox):
    charge = paid(sandbox)

    again = sandbox.fetch("payment", charge.remote_id)

    assert again == charge
    assert (charge.reference, charge.checkout) == ("att_1", SandboxCheckout.objects.get().pk)
    assert (charge.status, charge.captured_minor, charge.refunds, charge.disputes) == (ChargeStatus.SUCCEEDED, 4850, (), ())
    assert (charge.method.brand, charge.method.last4, charge.method.bin) == ("visa", "4242", "424242")
    assert charge.method.token == ""


# --- customers and saved methods -----------------------------------------------------------------------------
def test_a_customer_is_made_once(sandbox):
    first = sandbox.ensure_customer(CustomerRef("cus_1", "Marta", "marta@example.com"), key="c1")

    assert sandbox.ensure_customer(CustomerRef("cus_1", "Marta", "marta@example.com"), key="c1") == first
    assert sandbox.ensure_customer(CustomerRef("cus_1", "Marta Santos"), key="c2") == first
    assert SandboxCustomer.objects.count() == 1
    with pytest.raises(Rejected):
        sandbox.ensure_customer(CustomerRef("cus_1", "Somebody"), key="c1")


def test_a_page_for_nothing_else_saves_a_card_without_a_payment(sandbox):
    saved = token(sandbox)

    snapshot = sandbox.fetch("checkout", SandboxCheckout.objects.get().pk)
    assert (snapshot.status, snapshot.payments, snapshot.amount_minor) == (CheckoutStatus.COMPLETE, (), 0)
    assert snapshot.method.token == saved == SandboxMethod.objects.get().pk


def test_a_card_that_fails_its_check_is_not_saved(sandbox):
    customer = sandbox.ensure_customer(CustomerRef("cus_1", "Marta"), key="c")
    made = sandbox.create_checkout(changed(amount_minor=0, mode=CheckoutMode.SAVE_CARD, customer=customer), key="k1")
    submit(made.remote_id, "4000000000000069")

    snapshot = sandbox.fetch("checkout", made.remote_id)
    assert (snapshot.status, snapshot.method, snapshot.payments) == (CheckoutStatus.OPEN, None, ())
    assert "expired" in bank.last_failure(SandboxCheckout.objects.get())
    assert not SandboxMethod.objects.exists()


def test_paying_can_save_the_card_for_later(sandbox):
    customer = sandbox.ensure_customer(CustomerRef("cus_1", "Marta"), key="c")

    charge = paid(sandbox, customer=customer, save_card=True)

    assert charge.method.token == SandboxMethod.objects.get(customer=customer).pk
    assert sandbox.charge(replace(CHARGE, token=charge.method.token), key="k2").status == ChargeStatus.SUCCEEDED


def test_a_saved_card_is_charged_once_for_a_key(sandbox):
    call = replace(CHARGE, token=token(sandbox))

    first, again = (sandbox.charge(call, key="k1") for _ in range(2))

    assert first == again
    assert (first.status, first.amount_minor, first.captured_minor, first.reference) == ("succeeded", 4850, 4850, "att_2")
    assert SandboxCharge.objects.filter(amount=4850).count() == 1
    with pytest.raises(Rejected):
        sandbox.charge(replace(call, amount_minor=4900), key="k1")


@pytest.mark.parametrize("wrong", [{"amount_minor": 49}, {"currency": "ZZZ"}, {"token": "sbpm_none"}, {"token": ""}])
def test_charges_out_of_bounds_are_rejected(sandbox, wrong):
    call = replace(CHARGE, token=token(sandbox))

    with pytest.raises(Rejected):
        sandbox.charge(replace(call, **wrong), key="k1")
    assert not SandboxCharge.objects.filter(amount__gt=0).exists()


def test_a_card_may_be_saved_and_declined_when_it_is_charged(sandbox):
    call = replace(CHARGE, token=token(sandbox, "4000000000000341"))

    for _ in range(2):  # the same key has the same answer
        with pytest.raises(Declined) as declined:
            sandbox.charge(call, key="k1")

    charge = SandboxCharge.objects.get(amount=4850)
    assert (declined.value.failure.code, declined.value.remote_id) == ("generic_decline", charge.pk)
    assert sandbox.fetch("payment", charge.pk).status == ChargeStatus.FAILED


def test_a_card_whose_bank_asks_waits_for_the_payer(sandbox):
    customer = sandbox.ensure_customer(CustomerRef("cus_1", "Marta"), key="c")
    made = sandbox.create_checkout(changed(amount_minor=0, mode=CheckoutMode.SAVE_CARD, customer=customer), key="save")
    submit(made.remote_id, "4000002500003155")
    bank.authenticate(SandboxCharge.objects.get(), confirmed=True)
    call = replace(CHARGE, token=sandbox.fetch("checkout", made.remote_id).method.token)

    charge = sandbox.charge(call, key="k1")

    assert charge.status == ChargeStatus.ACTION
    assert charge.next_action_url.endswith(f"/sandbox/authenticate/{charge.remote_id}/")
    assert bank.authenticate(SandboxCharge.objects.get(pk=charge.remote_id), confirmed=True)
    assert not bank.authenticate(SandboxCharge.objects.get(pk=charge.remote_id), confirmed=False)
    after = sandbox.fetch("payment", charge.remote_id)
    assert (after.status, after.next_action_url, after.captured_minor) == (ChargeStatus.SUCCEEDED, "", 4850)


def test_a_method_that_is_removed_is_charged_no_more(sandbox):
    saved = token(sandbox)

    assert sandbox.detach_method(saved, key="d1") is sandbox.detach_method(saved, key="d2") is None
    assert sandbox.detach_method("sbpm_none", key="d3") is None
    with pytest.raises(Rejected):
        sandbox.charge(replace(CHARGE, token=saved), key="k1")
    assert sandbox.fetch("checkout", SandboxCheckout.objects.get().pk).method.token == ""


# --- capture and release -------------------------------------------------------------------------------------
@pytest.mark.parametrize("amount", [4850, 1000])
def test_an_authorised_payment_is_captured_in_whole_or_in_part(sandbox, amount):
    charge = paid(sandbox, capture=False)
    assert (charge.status, charge.captured_minor) == (ChargeStatus.AUTHORIZED, 0)

    taken, again = (sandbox.capture(charge.remote_id, amount, key="k1") for _ in range(2))

    assert taken == again
    assert (taken.status, taken.amount_minor, taken.captured_minor) == (ChargeStatus.SUCCEEDED, 4850, amount)


def test_a_saved_card_can_be_authorised_first(sandbox):
    charge = sandbox.charge(replace(CHARGE, token=token(sandbox), capture=False), key="k1")

    assert (charge.status, charge.captured_minor) == (ChargeStatus.AUTHORIZED, 0)


@pytest.mark.parametrize("amount", [0, -1, 4851])
def test_no_more_than_was_authorised_is_captured(sandbox, amount):
    charge = paid(sandbox, capture=False)

    with pytest.raises(Rejected):
        sandbox.capture(charge.remote_id, amount, key="k1")
    assert sandbox.fetch("payment", charge.remote_id).status == ChargeStatus.AUTHORIZED


def test_what_is_captured_is_not_captured_again(sandbox):
    charge = paid(sandbox, capture=False)
    sandbox.capture(charge.remote_id, 1000, key="k1")

    with pytest.raises(Rejected):
        sandbox.capture(charge.remote_id, 1000, key="k2")
    assert sandbox.fetch("payment", charge.remote_id).captured_minor == 1000


def test_an_authorised_payment_is_released(sandbox):
    charge = paid(sandbox, capture=False)

    assert sandbox.cancel("payment", charge.remote_id, key="k1").status == ChargeStatus.CANCELED
    with pytest.raises(Rejected):
        sandbox.capture(charge.remote_id, 4850, key="k2")


def test_a_paid_payment_stays_paid_when_it_is_released(sandbox):
    charge = paid(sandbox)

    assert sandbox.cancel("payment", charge.remote_id, key="k1").status == ChargeStatus.SUCCEEDED


# --- refunds -------------------------------------------------------------------------------------------------
def test_refunds_add_up_to_what_was_paid_and_no_more(sandbox):
    charge = paid(sandbox)

    first = sandbox.refund(refund_of(charge, 3000), key="k1")
    second = sandbox.refund(refund_of(charge, 1850), key="k2")

    assert (first.status, first.amount_minor, first.payment) == (RefundStatus.SUCCEEDED, 3000, charge.remote_id)
    assert (second.reference, second.currency) == ("re_1", "USD")
    with pytest.raises(Rejected):
        sandbox.refund(refund_of(charge, 1), key="k3")
    assert sandbox.fetch("payment", charge.remote_id).refunds == (first, second)
    assert sandbox.fetch("refund", first.remote_id) == first


def test_the_same_refund_comes_twice_and_is_made_once(sandbox):
    charge = paid(sandbox)

    first, again = (sandbox.refund(refund_of(charge, 3000), key="k1") for _ in range(2))

    assert first == again
    assert SandboxRefund.objects.count() == 1
    assert SandboxCharge.objects.get().refunded == 3000


@pytest.mark.parametrize("wrong", [{"amount_minor": 4851}, {"amount_minor": 0}, {"amount_minor": -5}, {"currency": "EUR"}])
def test_refunds_out_of_bounds_are_rejected(sandbox, wrong):
    charge = paid(sandbox)

    with pytest.raises(Rejected):
        sandbox.refund(refund_of(charge, 100, **wrong), key="k1")
    assert SandboxCharge.objects.get().refunded == 0


@pytest.mark.parametrize("number", ["4000000000000002", "000123456789"])
def test_a_payment_that_is_not_made_has_nothing_to_refund(sandbox, number):
    charge = paid(sandbox, number, method_types=("card", "bank_account"))

    with pytest.raises(Rejected):
        sandbox.refund(refund_of(charge, 100), key="k1")


def test_only_what_was_captured_is_refunded(sandbox):
    charge = paid(sandbox, capture=False)
    with pytest.raises(Rejected):
        sandbox.refund(refund_of(charge, 100), key="k0")
    sandbox.capture(charge.remote_id, 1000, key="k1")

    with pytest.raises(Rejected):
        sandbox.refund(refund_of(charge, 1050), key="k2")
    assert sandbox.refund(refund_of(charge, 1000), key="k3").status == RefundStatus.SUCCEEDED


# --- a bad line ----------------------------------------------------------------------------------------------
def test_an_amount_ending_in_09_is_turned_away_once(sandbox):
    call = changed(amount_minor=5009)

    with pytest.raises(Unavailable):
        sandbox.create_checkout(call, key="k1")
    assert not SandboxCheckout.objects.exists()
    assert sandbox.create_checkout(call, key="k1").url


@pytest.mark.parametrize(("amount", "charges"), [(5001, 1), (5003, 1), (5002, 0)])
@pytest.mark.parametrize("kind", ["checkout", "payment"])
def test_amounts_that_lose_the_answer_of_a_page_lose_it_once(sandbox, amount, charges, kind):
    made = sandbox.create_checkout(changed(amount_minor=amount), key="k1")
    assert sandbox.fetch("checkout", made.remote_id).payments == ()  # nothing is lost before a card was submitted
    submit(made.remote_id)
    found = SandboxCharge.objects.first()
    asked = (kind, found.pk if found and kind == "payment" else made.remote_id)
    if not found:
        asked = ("checkout", made.remote_id)

    with pytest.raises(OutcomeUnknown):
        sandbox.fetch(*asked)
    sandbox.fetch(*asked)
    assert len(sandbox.fetch("checkout", made.remote_id).payments) == charges


FAULTS = [(1, OutcomeUnknown, True), (2, OutcomeUnknown, False), (3, OutcomeUnknown, True), (9, Unavailable, False)]


@pytest.mark.parametrize(("ending", "error", "executed"), FAULTS)
def test_a_charge_over_a_bad_line_has_its_effect_once(sandbox, ending, error, executed):
    call = replace(CHARGE, token=token(sandbox), amount_minor=5000 + ending)

    with pytest.raises(error):
        sandbox.charge(call, key="k1")
    assert SandboxCharge.objects.filter(amount=call.amount_minor).exists() == executed

    assert sandbox.charge(call, key="k1").status == ChargeStatus.SUCCEEDED
    assert SandboxCharge.objects.filter(amount=call.amount_minor).count() == 1


@pytest.mark.parametrize(("ending", "error", "executed"), FAULTS)
def test_a_refund_over_a_bad_line_has_its_effect_once(sandbox, ending, error, executed):
    charge = paid(sandbox)
    call = refund_of(charge, 1000 + ending)

    with pytest.raises(error):
        sandbox.refund(call, key="k1")
    assert SandboxRefund.objects.exists() == executed

    assert sandbox.refund(call, key="k1").status == RefundStatus.SUCCEEDED
    assert SandboxCharge.objects.get().refunded == 1000 + ending


@pytest.mark.parametrize(("ending", "error", "executed"), FAULTS)
def test_a_capture_over_a_bad_line_has_its_effect_once(sandbox, ending, error, executed):
    charge = paid(sandbox, capture=False)

    with pytest.raises(error):
        sandbox.capture(charge.remote_id, 1000 + ending, key="k1")
    assert (SandboxCharge.objects.get().status == "succeeded") == executed

    assert sandbox.capture(charge.remote_id, 1000 + ending, key="k1").captured_minor == 1000 + ending


@pytest.mark.django_db(transaction=True)
def test_of_many_refunds_at_once_no_more_than_the_payment_is_given_back(sandbox):
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    charge = paid(sandbox, amount_minor=9000)

    def refund(n):
        try:
            return sandbox.refund(refund_of(charge, 3000), key=f"k{n}").status
        except Rejected:
            return "rejected"
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(refund, range(12)))

    assert (answers.count("succeeded"), answers.count("rejected")) == (3, 9)
    assert SandboxCharge.objects.get().refunded == 9000
