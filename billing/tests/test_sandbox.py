"""The sandbox's world: its cards, its pages, its time."""

import re

import pytest
from django.core.cache import cache
from django.test import Client

from billing.gateways import gateway_for
from billing.gateways.base import CheckoutMode, CustomerRef, RefundRequest, Rejected
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import ACCOUNTS, CARDS, find_card
from billing.gateways.sandbox.models import (
    SandboxCharge,
    SandboxCheckout,
    SandboxDelivery,
    SandboxDispute,
    SandboxMethod,
    SandboxRefund,
)
from billing.models import Payment
from billing.tests.factories import make_request
from billing.tests.test_gateways import changed, submit
from dashboard.card_numbers import find_card_number

pytestmark = pytest.mark.django_db
ASKS, DISPUTED, REFUND_FAILS, REFUND_SLOW = "4000002500003155", "4000000000000259", "4000000000005126", "4000000000007726"
DEBIT, DEBIT_FAILS = "000123456789", "000111111116"
BOTH = ("card", "bank_account")


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


@pytest.fixture
def sandbox():
    return gateway_for("sandbox")


@pytest.fixture
def payer():
    return Client()


def page(sandbox, key="k1", **fields):
    return sandbox.create_checkout(changed(method_types=BOTH, **fields), key=key).remote_id


def last_charge(sandbox, remote_id):
    return sandbox.fetch("checkout", remote_id).payments[-1]


def refund_all(sandbox, charge):
    return sandbox.refund(RefundRequest("re_1", charge.remote_id, charge.amount_minor, charge.currency), key="refund")


# --- cards ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("card", [*CARDS, *ACCOUNTS], ids=lambda c: c.number)
def test_every_listed_card_does_what_its_label_says(sandbox, card):
    made = page(sandbox)
    submit(made, card.number)

    charge = last_charge(sandbox, made)
    at_once = {"bank_account": "pending", "card": "succeeded"}[card.type]
    confirm, declines = card.label.startswith("Confirm"), card.failure or "every charge is declined" in card.label
    assert charge.status == ("requires_action" if confirm else "failed" if declines else at_once)
    assert ("succeeds" in card.label) == (charge.status == "succeeded" or card.number == DEBIT)
    assert charge.method.last4 == card.number[-4:]
    assert not charge.failure or "No money moved." in charge.failure.message


def test_every_card_the_merchants_documents_name_is_listed():
    named = """4242424242424242 5555555555554444 378282246310005 4000000000000002 4000000000009995 4000000000000069
        4000000000000127 4000000000000119 4000000000009987 4000000000000341 4000002500003155 4000000000003220
        4000000000000259 4000000000005126 4311780000241409 4000000000000077 4701322211111234 5425233430109903
        5200828282828210 4000000760000002 4000000000001000 4005550000000019 4503300000000008 4205260000000005
        4001270000000000 4012000033330026""".split()

    assert {n for n in named if not find_card(n)} == set()
    assert len({c.number for c in [*CARDS, *ACCOUNTS]}) == len(CARDS) + len(ACCOUNTS)


def test_cards_are_found_however_they_are_spaced():
    assert find_card("4242 4242-4242 4242") == find_card("4242424242424242")
    assert find_card("378282246310005").spaced == "3782 822463 10005"
    for other in ("4111111111111111", "", None, "4242", "４２４２４２４２４２４２４２４２"):
        assert find_card(other) is None
    assert all(find_card_number(c.number) for c in CARDS)


def test_the_same_card_has_the_same_fingerprint_and_it_tells_nothing():
    prints = {c.fingerprint for c in CARDS}

    assert len(prints) == len(CARDS)
    assert not any(c.number in p or c.last4 in p for c, p in zip(CARDS, [c.fingerprint for c in CARDS], strict=True))


def test_a_disputed_card_is_disputed_at_the_next_tick_and_decided_by_hand(sandbox):
    made = page(sandbox)
    submit(made, DISPUTED)
    assert last_charge(sandbox, made).disputes == ()

    assert (bank.tick().disputes, bank.tick().disputes) == (1, 0)

    (dispute,) = last_charge(sandbox, made).disputes
    assert (dispute.status, dispute.amount_minor) == ("open", 4850)
    with pytest.raises(Rejected):
        refund_all(sandbox, last_charge(sandbox, made))
    assert bank.close_dispute(SandboxDispute.objects.get(), won=False)
    assert not bank.close_dispute(SandboxDispute.objects.get(), won=True)
    assert last_charge(sandbox, made).disputes[0].status == "lost"
    told = list(SandboxDelivery.objects.order_by("id").values_list("type", flat=True))
    assert told == ["checkout.session.completed", "charge.dispute.created", "charge.dispute.closed"]


@pytest.mark.parametrize(("number", "ends", "left"), [(REFUND_FAILS, "failed", 0), (REFUND_SLOW, "succeeded", 4850)])
def test_a_slow_refund_is_pending_until_the_next_tick(sandbox, number, ends, left):
    made = page(sandbox)
    submit(made, number)

    assert refund_all(sandbox, last_charge(sandbox, made)).status == "pending"
    with pytest.raises(Rejected):
        sandbox.refund(RefundRequest("re_2", SandboxCharge.objects.get().pk, 100, "USD"), key="k3")
    assert bank.tick().refunds == 1

    (refund,) = last_charge(sandbox, made).refunds
    assert refund.status == ends
    assert bool(refund.failure) == (ends == "failed")
    assert SandboxCharge.objects.get().refunded == left  # what failed can be given back another way
    assert SandboxDelivery.objects.filter(remote_id=SandboxRefund.objects.get().pk).count() == 1


@pytest.mark.parametrize(("number", "ends"), [(DEBIT, "succeeded"), (DEBIT_FAILS, "failed")])
def test_a_bank_debit_is_processing_until_the_next_tick(sandbox, number, ends):
    made = page(sandbox)
    submit(made, number)
    assert (last_charge(sandbox, made).status, sandbox.fetch("checkout", made).status) == ("pending", "complete")

    assert (bank.tick().debits, bank.tick().debits) == (1, 0)

    charge = last_charge(sandbox, made)
    assert (charge.status, bool(charge.failure)) == (ends, ends == "failed")
    assert SandboxDelivery.objects.latest("id").type == f"checkout.session.async_payment_{ends}"


def test_a_saved_bank_account_is_debited_without_the_payer(sandbox):
    from billing.gateways.base import ChargeRequest

    customer = sandbox.ensure_customer(CustomerRef("cus_1", "Marta"), key="c")
    submit(page(sandbox, customer=customer, save_card=True), DEBIT)
    call = ChargeRequest("att_2", 700, "USD", "", SandboxMethod.objects.get().pk)

    charge = sandbox.charge(call, key="k2")
    bank.tick()

    assert charge.status == "pending"
    assert sandbox.fetch("payment", charge.remote_id).status == "succeeded"
    told = SandboxDelivery.objects.filter(remote_id=charge.remote_id).order_by("id").values_list("type", flat=True)
    assert list(told) == ["payment_intent.processing", "payment_intent.succeeded"]


def test_a_page_past_its_time_expires_at_the_next_tick_and_says_so(sandbox):
    made = page(sandbox, expires_at="2020-01-01T00:00:00+00:00")

    assert (bank.tick().expired, bank.tick().expired) == (1, 0)
    assert SandboxDelivery.objects.get(remote_id=made).type == "checkout.session.expired"


# --- the payer's bank ----------------------------------------------------------------------------------------
def test_confirming_at_the_bank_pays(sandbox):
    made = page(sandbox)
    submit(made, ASKS)
    assert sandbox.fetch("checkout", made).status == "open"

    assert bank.authenticate(SandboxCharge.objects.get(), confirmed=True)

    assert (last_charge(sandbox, made).status, sandbox.fetch("checkout", made).status) == ("succeeded", "complete")
    assert not submit(made)


def test_refusing_at_the_bank_leaves_the_page_open_for_another_card(sandbox):
    made = page(sandbox)
    submit(made, ASKS)

    assert bank.authenticate(SandboxCharge.objects.get(), confirmed=False)

    assert last_charge(sandbox, made).failure.code == "authentication_failed"
    assert submit(made)
    assert [p.status for p in sandbox.fetch("checkout", made).payments] == ["failed", "succeeded"]


def test_another_card_instead_of_confirming_pays_once(sandbox):
    made = page(sandbox)
    submit(made, ASKS)
    submit(made)

    assert not bank.authenticate(SandboxCharge.objects.get(trait="asks"), confirmed=True)
    assert [p.status for p in sandbox.fetch("checkout", made).payments] == ["failed", "succeeded"]


def test_a_closed_page_cannot_be_confirmed_any_more(sandbox):
    made = page(sandbox)
    submit(made, ASKS)
    sandbox.cancel("checkout", made, key="k2")

    assert not bank.authenticate(SandboxCharge.objects.get(), confirmed=True)
    assert last_charge(sandbox, made).status == "canceled"


# --- the pages -----------------------------------------------------------------------------------------------
def start(payer, **fields):
    """A payer on the card page of a fresh request; gives the request and the page's path."""
    request = make_request(method_types=list(BOTH), **fields)
    return request, payer.post(f"/pay/checkout/{request.token}/", {"pay": "1"}).url


def submit_form(payer, path, number):
    version = re.search(r'name="version" value="(\d+)"', payer.get(path).text)[1]
    return payer.post(path, {"card": number, "number": "", "version": version})


def test_a_payer_is_led_to_the_bank_and_back(payer):
    request, path = start(payer)

    to_bank = submit_form(payer, path, ASKS)
    assert re.fullmatch(r"/sandbox/authenticate/sbch_[0-9a-f]{24}/", to_bank.url)
    shown = payer.get(to_bank.url)
    assert "$48.50" in shown.text
    assert "Card ending in 3155" in shown.text
    assert ASKS not in shown.text
    back = payer.post(to_bank.url, {"approve": "1"})

    assert back.url.startswith("/pay/return/")
    request.refresh_from_db()
    assert (request.status, Payment.objects.paid().count()) == ("done", 1)
    assert "Confirmed" in payer.get(to_bank.url).text
    assert payer.post(to_bank.url, {"fail": "1"}).status_code == 302
    assert Payment.objects.get().status == "paid"


def test_a_payer_who_refuses_at_the_bank_reads_why(payer):
    request, path = start(payer)

    back = payer.post(submit_form(payer, path, ASKS).url, {"fail": "1"}, follow=True)

    assert "could not confirm that it was you. No money moved." in back.text
    request.refresh_from_db()
    assert request.status == "new"


def test_going_back_from_the_bank_moves_nothing(payer):
    request, path = start(payer)
    to_bank = submit_form(payer, path, ASKS).url

    link = re.search(r'href="([^"]+)">Go back without confirming', payer.get(to_bank).text)[1]

    assert payer.get(link, follow=True).status_code == 200
    request.refresh_from_db()
    assert (request.status, SandboxCharge.objects.get().status) == ("new", "requires_action")


def test_a_bank_debit_is_offered_where_it_was_asked_for(payer):
    _request, path = start(payer)

    assert submit_form(payer, path, DEBIT).url.startswith("/pay/return/")
    assert Payment.objects.get().status == "pending"
    bank.tick()
    assert Payment.objects.get().status == "paid"


def test_after_a_bank_debit_that_fails_the_payer_may_pay_again(payer):
    request, path = start(payer)
    submit_form(payer, path, DEBIT_FAILS)

    bank.tick()

    assert "refused the debit. No money moved." in payer.get(f"/pay/checkout/{request.token}/").text
    second = payer.post(f"/pay/checkout/{request.token}/", {"pay": "1"}).url
    assert second != path
    submit_form(payer, second, "4242424242424242")
    assert sorted(Payment.objects.values_list("status", flat=True)) == ["failed", "paid"]


def test_whoever_went_back_from_the_bank_may_go_on(payer):
    request, path = start(payer)
    submit_form(payer, path, ASKS)

    again = payer.post(f"/pay/checkout/{request.token}/", {"pay": "1"})

    assert again.url == path
    submit_form(payer, path, "4242424242424242")
    request.refresh_from_db()
    assert (request.status, Payment.objects.paid().count()) == ("done", 1)


def test_a_bank_debit_is_refused_where_only_cards_are_taken(payer, sandbox):
    made = sandbox.create_checkout(changed(), key="k1")

    shown = payer.get(made.url)
    assert "Bank debit" not in shown.text
    assert payer.post(made.url, {"number": DEBIT, "version": "0"}).status_code == 422
    assert not SandboxCharge.objects.exists()


def test_a_page_that_saves_a_card_says_so_and_shows_a_refusal(payer, sandbox):
    customer = sandbox.ensure_customer(CustomerRef("cus_1", "Marta"), key="c")
    made = page(sandbox, amount_minor=0, mode=CheckoutMode.SAVE_CARD, customer=customer)
    path = f"/sandbox/checkout/{made}/"
    assert "Save card" in payer.get(path).text

    assert submit_form(payer, path, "4000000000009995").url == path
    assert "The card has insufficient funds." in payer.get(path).text
    to_bank = submit_form(payer, path, ASKS).url
    assert payer.post(to_bank, {"fail": "1"}).url == path
    assert "could not confirm" in payer.get(path).text
    assert submit_form(payer, path, "4242424242424242").url.startswith("/pay/return/")

    assert SandboxMethod.objects.get().last4 == "4242"


def test_an_unconfirmed_charge_of_a_saved_card_is_confirmed_on_the_banks_page(payer, sandbox):
    from billing.gateways.base import ChargeRequest

    customer = sandbox.ensure_customer(CustomerRef("cus_1", "Marta"), key="c")
    made = page(sandbox, amount_minor=0, mode=CheckoutMode.SAVE_CARD, customer=customer)
    submit(made, ASKS)
    bank.authenticate(SandboxCharge.objects.get(), confirmed=True)
    charge = sandbox.charge(ChargeRequest("att_2", 700, "USD", "", SandboxMethod.objects.get().pk), key="k2")
    path = re.sub(r"^https?://[^/]+", "", charge.next_action_url)

    done = payer.post(path, {"approve": "1"}, follow=True)

    assert done.status_code == 200
    assert "Confirmed" in done.text
    assert sandbox.fetch("payment", charge.remote_id).status == "succeeded"


def test_the_named_cards_come_first_and_the_number_second(payer):
    _request, path = start(payer)
    text = payer.get(path).text

    assert text.index('name="card"') < text.index('name="number"')
    assert "Visa, succeeds" in text
    assert "Bank debit, fails a minute later" in text


def test_unknown_pages_of_the_sandbox_are_404(payer):
    for path in ("/sandbox/checkout/sbcs_0193f0c1d2a7b34e5f607182/", "/sandbox/authenticate/sbch_0193f0c1d2a7b34e5f607182/"):
        assert (payer.get(path).status_code, payer.post(path).status_code) == (404, 404)


def test_no_number_is_stored_or_logged_anywhere(payer, caplog):
    from django.apps import apps

    tried = ["4111111111111111", "4000000000000002", ASKS, "4242424242424242"]
    _request, path = start(payer)
    answers = [payer.post(path, {"number": number, "version": str(n - (n > 0))}) for n, number in enumerate(tried)]
    assert [a.status_code for a in answers] == [422, 302, 302, 302]

    stored = " ".join(str(list(m.objects.values_list())) for m in apps.get_models() if m._meta.managed)
    assert SandboxCharge.objects.count() == 3
    assert SandboxCheckout.objects.get().pk in stored  # the whole database was looked at
    for number in tried:
        assert number not in stored
        assert number not in caplog.text
    assert tried[0] not in answers[0].text
