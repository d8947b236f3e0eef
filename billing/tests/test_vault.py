"""Payment methods on file: kept once, one default, removed for good, and charged by their token alone."""

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing import gateways
from billing.domain import charges, checkouts, sandbox, vault
from billing.domain.ledger import ledger_errors
from billing.gateways.base import MethodSummary, Unavailable
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import find_card
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.gateways.sandbox.models import SandboxMethod
from billing.models import GatewayCustomer, Payment, PaymentMethod, Subscription
from billing.tests.factories import DECLINED, make_customer, make_method, make_open_statement, make_request, submit_card
from customers.domain import archive_customer
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
CARD = MethodSummary("card", "visa", "4242", "credit", "424242", 9, 2031, holder="Marta Santos", token="tok_1")


def keep(customer, summary=CARD, **fields):
    return vault.keep_method(customer, gateway="sandbox", summary=summary, by=None, **fields)


def charge(customer, **fields):
    return charges.charge(customer, **{"amount": 4850, "currency": "USD", "by": None, "form_key": "form-1"} | fields)


def subscribe(customer, **fields):
    about = {"livemode": False, "customer": customer, "name": "Support plan", "amount": 900, "currency": "USD"}
    return Subscription.objects.create(**about | {"started_on": date(2026, 1, 31), "sort_name": "", "search": ""} | fields)


# --- keeping -------------------------------------------------------------------------------------------------
def test_a_card_on_file_has_what_may_be_shown_and_a_token_of_our_own():
    method = keep(make_customer())

    assert (method.card_name, method.card_number_last4, method.card_number_bin) == ("Marta Santos", "4242", "424242")
    assert (method.card_scheme, method.expire_month, method.expire_year) == ("visa", 9, 2031)
    assert re.fullmatch(r"[A-Za-z0-9]{32}", method.vault_token)
    assert method.gateway_token not in method.vault_token
    assert str(method) == "Visa •••• 4242"


def test_two_vaultings_of_one_card_have_two_tokens():
    customer = make_customer()

    assert make_method(customer).vault_token != make_method(customer).vault_token


def test_the_first_method_is_the_default_and_later_ones_only_when_asked():
    customer = make_customer()
    first, second = keep(customer), keep(customer, replace(CARD, token="tok_2"))
    assert (first.is_default, second.is_default) == (True, False)

    third = keep(customer, replace(CARD, token="tok_3"), make_default=True)

    assert list(PaymentMethod.objects.filter(is_default=True)) == [third]


def test_a_token_that_comes_again_is_the_method_it_was():
    customer = make_customer()

    assert keep(customer) == keep(customer)
    assert Event.objects.filter(type="payment_method.created").count() == 1


@pytest.mark.parametrize("lacking", [{"last4": ""}, {"brand": ""}, {"expire_month": 0}, {"expire_year": 0}, {"token": ""}])
def test_a_card_that_lacks_what_a_card_must_have_is_not_kept(lacking):
    with pytest.raises(DomainError, match="told too little"):
        keep(make_customer(), replace(CARD, **lacking))


def test_a_wallet_account_has_its_email_and_holder_and_nothing_of_a_card():
    wallet = MethodSummary("checkout", "gcash", holder="Marta Santos", email="marta@example.com", token="tok_w")
    method = keep(make_customer(), wallet)

    assert (method.checkout_email, method.checkout_holder, str(method)) == (
        "marta@example.com",
        "Marta Santos",
        "Gcash of Marta Santos",
    )
    assert (method.card_number_last4, method.expire_month) == ("", None)
    with pytest.raises(DomainError):
        keep(make_customer(), replace(wallet, email="", token="tok_x"))


@pytest.mark.parametrize(
    ("month", "year", "said"), [(1, 2026, "Expired"), (2, 2028, "Active"), (12, 2033, "Active"), (11, 2026, "Expires soon")]
)
def test_a_card_says_when_it_has_expired_or_will_soon(month, year, said, monkeypatch):
    monkeypatch.setattr(timezone, "localdate", lambda: date(2026, 11, 3))

    assert PaymentMethod(type="card", expire_month=month, expire_year=year).badge == said


@pytest.mark.parametrize(("month", "year", "day"), [(2, 2028, 29), (2, 2027, 28), (12, 2026, 31), (4, 2026, 30)])
def test_the_last_day_of_a_card_is_its_months_last(month, year, day):
    assert PaymentMethod(type="card", expire_month=month, expire_year=year).last_day == date(year, month, day)


# --- at the gateway --------------------------------------------------------------------------------------------
def test_a_customer_is_made_at_the_gateway_once():
    customer = make_customer()

    assert vault.gateway_customer(customer, "sandbox") == vault.gateway_customer(customer, "sandbox")
    assert GatewayCustomer.objects.count() == 1


def test_a_renamed_customer_is_no_stranger_to_a_gateway_that_is_strict_about_keys():
    customer = make_customer()
    first = vault.gateway_customer(customer, "sandbox")
    GatewayCustomer.objects.all().delete()  # the answer was lost
    customer.name = "Marta Reyes"

    assert vault.gateway_customer(customer, "sandbox") == first


def test_a_gateway_that_cannot_be_reached_is_said_so(monkeypatch):
    monkeypatch.setattr(SandboxGateway, "ensure_customer", lambda *a, **k: (_ for _ in ()).throw(Unavailable("down")))
    with pytest.raises(DomainError, match="Nothing was saved"):
        checkouts.start_payment(make_request(save_card=True))


def test_a_card_saved_while_paying_is_on_file_and_named_on_the_payment():
    request = make_request(save_card=True)
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    checkouts.check_again(request)

    payment = Payment.objects.get()
    assert payment.source == PaymentMethod.objects.get()
    assert (payment.source.customer, payment.source.card_number_last4) == (request.customer, "4242")
    checkouts.settle_checkout("sandbox", attempt.remote_id)  # told again
    assert PaymentMethod.objects.count() == 1


def test_a_card_is_not_kept_unless_the_request_says_so():
    request = make_request()
    submit_card(checkouts.start_payment(request))
    checkouts.check_again(request)

    assert Payment.objects.get().status == "paid"
    assert not PaymentMethod.objects.exists()


def test_money_stands_when_the_gateway_tells_too_little_of_the_card(monkeypatch):
    monkeypatch.setattr(vault, "_whole", lambda summary: False)
    request = make_request(save_card=True)
    submit_card(checkouts.start_payment(request))
    checkouts.check_again(request)

    assert (Payment.objects.get().status, PaymentMethod.objects.count()) == ("paid", 0)
    assert ledger_errors() == []


# --- choosing and removing --------------------------------------------------------------------------------------
def test_making_another_one_the_default():
    customer = make_customer()
    first, second = make_method(customer), make_method(customer)

    vault.make_default(second, by=None)

    assert list(PaymentMethod.objects.filter(is_default=True)) == [second]
    with pytest.raises(DomainError, match="already"):
        vault.make_default(second, by=None)
    assert Event.objects.filter(type="payment_method.made_default", object_id=second.pk).count() == 1
    assert first != second


def test_a_removed_or_expired_method_cannot_be_the_default_nor_charged():
    customer = make_customer()
    make_method(customer)
    removed = vault.remove_method(make_method(customer), by=None)
    expired = make_method(customer, expire_year=2020)

    for method, why in ((removed, "was removed"), (expired, "expired at the end of December 2020")):
        with pytest.raises(DomainError, match=why):
            vault.make_default(method, by=None)
        with pytest.raises(DomainError, match=f"{why}.*No money moved"):
            charge(customer, method=method)
    assert not Payment.objects.exists()


def test_the_default_goes_last():
    customer = make_customer()
    first, second = make_method(customer), make_method(customer)
    with pytest.raises(DomainError, match="Make another one the default first"):
        vault.remove_method(first, by=None)

    vault.remove_method(second, by=None)
    gone = vault.remove_method(first, by=None)

    assert (gone.status, gone.is_default) == ("archived", False)
    assert PaymentMethod.objects.count() == 2  # kept for history


@pytest.mark.parametrize("named", [True, False])
def test_a_method_a_live_subscription_is_charged_to_stays(named):
    method = make_method()
    subscription = subscribe(method.customer, method=method if named else None)
    with pytest.raises(DomainError, match="The subscription “Support plan” is charged to"):
        vault.remove_method(method, by=None)

    Subscription.objects.filter(pk=subscription.pk).update(status="canceled")
    assert vault.remove_method(method, by=None).archived


def test_a_removed_method_is_forgotten_at_its_gateway():
    method = make_method()
    vault.remove_method(method, by=None)

    assert SandboxMethod.objects.get(pk=method.gateway_token).detached_at
    with pytest.raises(DomainError, match="removed already"):
        vault.remove_method(method, by=None)


def test_a_gateway_that_does_not_forget_is_noted(monkeypatch):
    monkeypatch.setattr(SandboxGateway, "detach_method", lambda *a, **k: (_ for _ in ()).throw(Unavailable("The line is down.")))
    method = vault.remove_method(make_method(), by=None)

    assert method.archived
    assert Event.objects.get(type="payment_method.kept_at_gateway").data["why"] == "The line is down."


def test_two_defaults_are_impossible():
    customer = make_customer()
    make_method(customer)
    second = make_method(customer)
    with pytest.raises(IntegrityError), transaction.atomic():
        PaymentMethod.objects.filter(pk=second.pk).update(is_default=True)


# --- charging ---------------------------------------------------------------------------------------------------
def test_a_charge_without_a_chosen_method_takes_the_default():
    customer = make_customer()
    make_method(customer)
    second = make_method(customer, number="5555555555554444", make_default=True)

    payment = charge(customer)

    assert (payment.status, payment.source, payment.method) == ("paid", second, "Mastercard •••• 4444")
    assert payment.product_type == "virtual_terminal"
    assert ledger_errors() == []


def test_without_any_method_nothing_is_charged():
    with pytest.raises(DomainError, match=r"has no payment method on file.*No money moved"):
        charge(make_customer())


def test_another_customers_method_charges_nobody():
    stranger = make_method()
    with pytest.raises(DomainError, match="No money moved"):
        charge(make_customer(email="else@example.com"), method=stranger)
    assert not Payment.objects.exists()


@pytest.mark.parametrize(
    ("amount", "currency", "why"),
    [(49, "USD", "takes amounts from"), (10**13, "USD", "takes amounts"), (5000, "XXX", "cannot charge XXX")],
)
def test_an_amount_the_gateway_does_not_take_is_not_charged(amount, currency, why):
    method = make_method()
    with pytest.raises(DomainError, match=f"{why}.*No money moved"):
        charge(method.customer, amount=amount, currency=currency)


def test_an_archived_customer_is_not_charged():
    method = make_method()
    archive_customer(method.customer, by=None)
    with pytest.raises(DomainError):
        charge(method.customer)
    assert not Payment.objects.exists()


def test_a_card_that_declines_later_fails_in_words():
    payment = charge(make_method(number="4000000000000341").customer)

    assert payment.status == "failed"
    assert "declined the card" in payment.failure_message


def test_a_statement_is_paid_with_the_default_method():
    statement = make_open_statement()
    make_method(statement.customer)

    payment = charge(statement.customer, amount=statement.amount_remaining, statement=statement)

    statement.refresh_from_db()
    assert (payment.product_type, statement.status) == ("billing_statement", "paid")


# --- test cards -------------------------------------------------------------------------------------------------
def charge_card(customer, number="4242424242424242", **fields):
    about = {"amount": 4850, "currency": "USD", "by": None, "form_key": "form-1"}
    return sandbox.charge_test_card(customer, find_card(number), **about | fields)


def test_a_test_card_is_charged_once_for_a_form_and_kept_only_when_asked():
    customer = make_customer()
    first, again = charge_card(customer), charge_card(customer)

    assert first == again
    assert (first.status, PaymentMethod.objects.count()) == ("paid", 0)

    kept = charge_card(customer, form_key="form-2", save=True)
    assert charge_card(customer, form_key="form-2", save=True) == kept
    assert PaymentMethod.objects.get() == kept.source


def test_a_test_card_that_fails_says_why_and_is_not_kept():
    payment = charge_card(make_customer(), DECLINED, save=True)

    assert (payment.status, payment.failure_code) == ("failed", "generic_decline")
    assert not PaymentMethod.objects.exists()


def test_a_live_customer_is_never_charged_a_test_card():
    with pytest.raises(DomainError, match="test mode alone"):
        charge_card(make_customer(livemode=True))
    assert not SandboxMethod.objects.exists()


def test_a_card_the_bank_asks_about_waits_for_its_payer_and_staff_are_told_where(as_max):
    payment = charge_card(make_customer(), "4000002500003155")

    payment.attempt.refresh_from_db()
    assert (payment.status, payment.attempt.state) == ("pending", "done")
    assert payment.confirm_url.endswith(f"/sandbox/authenticate/{payment.gateway_reference}/")
    assert payment.confirm_url in as_max.get(payment.get_absolute_url()).text


def test_the_card_that_expires_does_so_at_the_end_of_next_month():
    summary = bank.tokenize(find_card("4000000000004210"))
    following = timezone.now().date().replace(day=1) + timedelta(days=32)

    assert (summary.expire_month, summary.expire_year) == (following.month, following.year)


def test_a_gateway_has_one_name_everywhere():
    told = gateways.about("sandbox")

    assert re.fullmatch(r"gw_[0-9a-f]{24}", told.id)
    assert (told.type, told.name) == ("sandbox", "Sandbox")
    assert told == gateways.about("sandbox")
