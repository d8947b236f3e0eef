"""A billing statement as its payer sees it, from the link to the paid statement."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from billing.domain import checkouts, payments, settle
from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout
from billing.models import Attempt, BillingStatement, Payment
from billing.models.links import hash_token, make_token
from billing.tests.factories import DECLINED, GOOD, make_customer, make_open_statement, make_request, make_statement
from dashboard import states
from dashboard.models import Event

pytestmark = pytest.mark.django_db
ENDS_IN_01 = (("Coffee beans", 1, 5001),)


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


@pytest.fixture
def payer():
    return Client()


def path_of(statement):
    return f"/pay/bill/{statement.token}/"


def pay(payer, statement, number=GOOD):
    """What a payer does in a browser; gives the last page."""
    to_card_page = payer.post(path_of(statement), {"pay": "1"})
    page = payer.get(to_card_page.url)
    version = re.search(r'name="version" value="(\d+)"', page.text)[1]
    return payer.post(to_card_page.url, {"number": number, "version": version}, follow=True)


def part_paid(amount=1000, **fields):
    statement = make_open_statement(**fields)
    payments.record_payment(statement.customer, amount=amount, currency="USD", statement=statement, by=None)
    statement.refresh_from_db()
    return statement


def ended(statement, status, **fields):
    return states.move(statement, status, by=None, **fields)


# --- what it says ----------------------------------------------------------------------------------
def test_a_payer_sees_what_is_asked_by_whom_and_until_when(payer):
    statement = make_open_statement(description="Wholesale order, November")

    text = payer.get(path_of(statement)).text

    for words in ("Pay Harbour &amp; Pine", "$48.60", "Wholesale order, November", statement.number, "For Marta Santos",
                  "1 Harbor Drive", "Coffee beans, 5 kg", "2 × $21.80", "$43.60", "Delivery", "Due ", "To pay now"):  # fmt: skip
        assert words in text
    assert text.index("$48.60") < text.index("Wholesale order")  # the amount comes first
    assert 'name="pay"' in text


def test_the_frozen_name_and_the_frozen_payer_are_shown(payer, settings):
    statement = make_open_statement()
    settings.MERCHANT_NAME = "New Name"
    type(statement.customer).objects.update(first_name="Someone", last_name="Else")

    text = payer.get(path_of(statement)).text

    assert "Pay Harbour &amp; Pine" in text
    assert "For Marta Santos" in text
    assert "New Name" not in text


def test_a_partly_paid_statement_asks_for_the_rest(payer):
    statement = part_paid()

    text = payer.get(path_of(statement)).text

    assert "Partly paid" in text
    assert "$10.00" in text
    assert "$38.60" in re.search(r'name="pay".*?</button>', text, re.S)[0]
    payer.post(path_of(statement), {"pay": "1"})
    assert SandboxCheckout.objects.get().amount == 3860


def test_past_due_can_still_be_paid(payer):
    statement = make_open_statement()
    BillingStatement.objects.update(due_at=timezone.now() - timedelta(days=3))

    text = payer.get(path_of(statement)).text

    assert "Past due" in text
    assert "You can still pay it here." in text
    assert payer.post(path_of(statement)).status_code == 302


def test_what_staff_gave_up_on_can_still_be_paid_and_does_not_say_so(payer):
    statement = ended(make_open_statement(), "uncollectible", marked_uncollectible_at=timezone.now())

    page = payer.get(path_of(statement))
    pay(payer, statement)

    assert "ncollectible" not in page.text
    statement.refresh_from_db()
    assert statement.status == "paid"


def test_a_void_statement_takes_no_payment(payer):
    statement = make_open_statement()
    card_page = payer.post(path_of(statement)).url
    checkouts.close_checkout(statement)
    ended(statement, "void", voided_at=timezone.now())

    payer.post(card_page, {"number": GOOD, "version": "0"})
    page, tried = payer.get(path_of(statement)), payer.post(path_of(statement))

    assert "This statement is void" in page.text
    assert "No money moved" in page.text
    assert 'name="pay"' not in page.text
    assert tried.status_code == 409
    assert not Payment.objects.exists()


def test_a_void_statement_that_was_partly_paid_says_whom_to_ask(payer):
    statement = ended(part_paid(), "void", voided_at=timezone.now())

    text = payer.get(path_of(statement)).text

    assert "Ask Harbour &amp; Pine about what you paid before." in text
    assert "No money moved" not in text


def test_a_statement_of_nothing_needs_no_payment(payer):
    statement = make_open_statement(lines=(("Sample", 1, 0),))

    text = payer.get(path_of(statement)).text

    assert "There is nothing to pay." in text
    assert 'name="pay"' not in text


def test_a_payment_the_bank_works_on_says_not_to_pay_again(payer):
    statement = make_open_statement()
    payer.post(path_of(statement))
    attempt = Attempt.objects.get()
    payment = payments.record_payment(statement.customer, amount=1, currency="USD", by=None)
    Payment.objects.filter(pk=payment.pk).update(
        statement=statement, status="pending", paid_at=None, method_type="bank_account", attempt=attempt
    )
    Attempt.objects.update(state="unknown")

    text = payer.get(path_of(statement)).text

    assert "Your payment is being processed" in text
    assert "Do not pay again." in text
    assert 'name="pay"' not in text
    assert "Go on with the payment" not in text
    Payment.objects.filter(pk=payment.pk).update(method_type="card")
    assert f'href="{attempt.url}"' in payer.get(path_of(statement)).text  # a card may wait for its owner's confirmation


# --- paying ----------------------------------------------------------------------------------------
def test_a_payer_pays_a_statement_with_a_test_card(payer):
    statement = make_open_statement()

    page = pay(payer, statement)

    statement.refresh_from_db()
    payment = Payment.objects.get()
    assert page.redirect_chain[-1][0] == path_of(statement)
    assert "Paid to" in page.text
    assert f"receipt/{payment.pk}/" in page.text
    assert (statement.status, statement.amount_paid, statement.amount_remaining) == ("paid", 4860, 0)
    assert (payment.statement, payment.status, payment.amount, payment.method) == (statement, "paid", 4860, "Visa •••• 4242")
    assert Event.objects.get(type="payment.paid").actor == "payer"


def test_a_second_visit_shows_paid_and_offers_no_payment(payer):
    statement = make_open_statement()
    pay(payer, statement)

    page, again = Client().get(path_of(statement)), payer.post(path_of(statement))

    assert "Paid" in page.text
    assert 'name="pay"' not in page.text
    assert again.status_code == 409
    assert SandboxCharge.objects.count() == 1


def test_a_declined_card_says_why_and_leaves_the_statement_open(payer):
    statement = make_open_statement()

    page = pay(payer, statement, DECLINED)

    statement.refresh_from_db()
    assert "Your Visa •••• 0002 was declined" in page.text
    assert "No money moved." in page.text
    assert "Try again, or pay in another way" in page.text
    assert 'name="pay"' in page.text
    assert (statement.status, statement.amount_paid) == ("open", 0)


def test_an_amount_ending_in_01_is_checking_until_it_is_reconciled(payer):
    statement = make_open_statement(lines=ENDS_IN_01)

    page = pay(payer, statement)

    assert "We are checking with the bank. Do not pay again." in page.text
    assert 'http-equiv="refresh"' in page.text
    assert 'name="pay"' not in page.text
    list(settle.reconcile_attempts(older_than=timedelta(0)))
    assert "Paid to" in payer.get(path_of(statement)).text
    assert SandboxCharge.objects.count() == 1


def test_a_payer_who_leaves_the_banks_page_can_go_on_with_the_payment(payer):
    statement = make_open_statement()
    card_page = payer.post(path_of(statement)).url
    bank_page = payer.post(card_page, {"number": "4000002500003155", "version": "0"}).url
    back = f"/pay/return/{Attempt.objects.get().pk}/"

    assert payer.post(back).url == path_of(statement)  # gone back without confirming
    text = payer.get(path_of(statement)).text
    assert "Your bank may be waiting for you to confirm it." in text
    assert f'href="{card_page}"' in text
    payer.post(bank_page, {"approve": "1"})
    assert "Paid to" in payer.get(path_of(statement)).text
    assert SandboxCharge.objects.count() == 1


def test_the_amount_is_read_from_the_database_only(payer):
    payer.post(path_of(make_open_statement()), {"pay": "1", "amount": "1", "amount_minor": "1", "currency": "JPY"})

    checkout = SandboxCheckout.objects.get()
    assert (checkout.amount, checkout.currency) == (4860, "USD")


def test_two_tabs_open_one_page_and_charge_once(payer):
    statement = make_open_statement()
    urls = {payer.post(path_of(statement)).url, Client().post(path_of(statement)).url}

    for client in (payer, Client()):
        client.post(next(iter(urls)), {"number": GOOD, "version": "0"})

    assert len(urls) == 1
    assert SandboxCharge.objects.count() == Payment.objects.count() == 1


# --- who may see it --------------------------------------------------------------------------------
def test_a_draft_has_a_token_that_opens_nothing(payer):
    draft = make_statement()
    token = make_token(draft.pk, draft.token_nonce)
    assert hash_token(token) == draft.token_hash

    assert payer.get(f"/pay/bill/{token}/").status_code == 404
    assert payer.post(f"/pay/bill/{token}/").status_code == 404


@pytest.mark.parametrize("token", ["x", "A" * 43, "a" * 2000, "..-_"])
def test_a_guessed_link_is_404(payer, token):
    assert payer.get(f"/pay/bill/{token}/").status_code == 404
    assert payer.post(f"/pay/bill/{token}/").status_code == 404


def test_a_link_of_one_kind_opens_nothing_of_the_other(payer):
    statement, request = make_open_statement(), make_request()

    assert payer.get(f"/pay/bill/{request.token}/").status_code == 404
    assert payer.get(f"/pay/checkout/{statement.token}/").status_code == 404
    for guess in (statement.pk, statement.number, statement.token_hash, statement.token_nonce):
        assert payer.get(f"/pay/bill/{guess}/").status_code == 404


def test_the_page_shows_nothing_internal(payer, max):
    customer = make_customer(reference="CANARY-REF", description="CANARY-NOTE", metadata={"k": "CANARY-META"})
    customer.comments.create(body="CANARY-COMMENT", pinned=True, author=max, livemode=False)
    statement = make_open_statement(customer, by=max, merchant_reference_id="CANARY-ORDER", metadata={"k": "CANARY-PAIR"})
    BillingStatement.objects.update(
        promise_note="CANARY-PROMISE", statement_descriptor="CANARY-DESCRIPTOR", bill_to_tax_id="CANARY-TAX"
    )

    pages = [payer.get(path_of(statement)), pay(payer, statement, DECLINED), pay(payer, statement)]
    canaries = {"metadata": {"k": "CANARY-PAID"}, "gateway_reference": "CANARY-GATE", "merchant_reference_id": "CANARY-X"}
    Payment.objects.paid().update(**canaries)
    pages += [payer.get(path_of(statement)), payer.get(f"{path_of(statement)}receipt/{Payment.objects.paid().get().pk}/")]

    for page in pages:
        assert page.status_code == 200
        assert "Harbour" in page.text
        for word in ("CANARY", customer.pk, statement.pk, "marta@", "Max", "sandbox_", "att_"):
            assert word not in page.text, word


def test_what_was_typed_is_text(payer):
    evil = "<script>alert(1)</script>"
    customer = make_customer(first_name=evil)
    statement = make_open_statement(customer, description=evil, lines=((evil, 1, 100),))

    text = payer.get(path_of(statement)).text

    assert evil not in text
    assert text.count("&lt;script&gt;alert(1)") >= 3


def test_pages_of_a_statement_are_private(payer):
    statement = part_paid()
    receipt = f"{path_of(statement)}receipt/{statement.payments.get().pk}/"

    for path in (path_of(statement), receipt, "/pay/bill/unknown/"):
        headers = payer.get(path).headers
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in headers["X-Robots-Tag"]
        assert "no-store" in headers["Cache-Control"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]


def test_looking_at_a_statement_writes_only_that_it_was_opened(payer):
    """The one GET that writes: a payer's view is an event, and nothing else changes by looking."""
    statement = make_open_statement()

    with CaptureQueriesContext(connection) as seen:
        payer.get(path_of(statement))

    written = [q["sql"] for q in seen if re.match(r"\s*(INSERT|UPDATE|DELETE)", q["sql"]) and "dashboard_bucket" not in q["sql"]]
    assert len(written) == 1
    assert written[0].startswith('INSERT INTO "dashboard_event"')


@pytest.mark.usefixtures("stopped_clock")
def test_a_link_asked_for_too_often_has_to_wait(payer, monkeypatch):
    monkeypatch.setattr("billing.views.public.LINK_VIEWS.burst", 3)
    statement, other = make_open_statement(), make_request()

    codes = [Client().get(path_of(statement), REMOTE_ADDR=f"203.0.113.{n}").status_code for n in range(5)]

    assert codes == [200] * 3 + [429] * 2
    assert payer.get(f"/pay/checkout/{other.token}/").status_code == 200


@pytest.mark.usefixtures("stopped_clock")
def test_an_address_that_asks_too_often_has_to_wait(payer):
    statement = make_open_statement()

    answers = [payer.get(path_of(statement)) for _ in range(31)]

    assert [a.status_code for a in answers] == [200] * 30 + [429]
    assert answers[-1]["Retry-After"]


def test_a_form_from_elsewhere_is_refused_and_the_link_is_kept_out_of_the_log(payer, caplog):
    statement = make_open_statement()

    assert Client(enforce_csrf_checks=True).post(path_of(statement)).status_code == 403

    assert not Attempt.objects.exists()
    assert "/pay/bill/…" in caplog.text
    assert statement.token not in caplog.text


def test_the_page_asks_the_database_few_questions(payer):
    statement = make_open_statement(lines=[(f"Line {n}", 1, 100) for n in range(40)])
    payer.get(path_of(statement))  # the view is recorded, the limits are set up

    with CaptureQueriesContext(connection) as seen:
        payer.get(path_of(statement))

    asked = [q["sql"] for q in seen if "dashboard_bucket" not in q["sql"] and "SAVEPOINT" not in q["sql"]]
    assert len(asked) <= 8
