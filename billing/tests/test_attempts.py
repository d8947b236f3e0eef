"""The attempt log: whatever crashes between our step and the gateway's, money moves once and we come to know it."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from billing.domain import attempts, checkouts, payments
from billing.domain.attempts import UnderWay
from billing.domain.ledger import ledger_errors
from billing.gateways import InsideTransaction, gateway_for
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout
from billing.models import Attempt, CustomerTotal, Payment
from billing.tests.factories import DECLINED, make_request, submit_card
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """The process ends here: nothing that catches errors catches this."""


def kill(*args, **kwargs):
    raise Killed


def reconcile(older_than=0):
    out = StringIO()
    call_command("reconcile", older_than=older_than, stdout=out)
    return out.getvalue()


def assert_paid_once(request):
    request.refresh_from_db()
    assert request.status == "done"
    assert SandboxCharge.objects.filter(status="succeeded").count() == 1
    assert Payment.objects.paid().count() == 1
    total = CustomerTotal.objects.get(customer=request.customer)
    assert (total.collected, total.successful_payments) == (request.amount, 1)
    assert ledger_errors() == []


# --- the guard ---------------------------------------------------------------------------------------
def test_a_gateway_cannot_be_called_inside_a_transaction():
    with transaction.atomic(), pytest.raises(InsideTransaction):
        gateway_for("sandbox").fetch("checkout", "sbcs_1")


def test_without_the_guard_the_same_call_would_go_through():
    request = make_request()
    attempt = checkouts.start_payment(request)

    with transaction.atomic():  # the control: the bare gateway does not refuse
        assert SandboxGateway().fetch("checkout", attempt.remote_id).amount_minor == 4850


@pytest.mark.django_db(transaction=True)
def test_the_guard_holds_outside_of_a_test_case_too():
    request = make_request()

    with transaction.atomic(), pytest.raises(InsideTransaction):
        checkouts.start_payment(request)

    assert checkouts.start_payment(request).url


# --- one attempt at a time -------------------------------------------------------------------------------
def test_the_attempt_is_written_before_the_gateway_hears_of_it(monkeypatch):
    request = make_request()
    monkeypatch.setattr(SandboxGateway, "create_checkout", kill)

    with pytest.raises(Killed):
        checkouts.start_payment(request)

    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.tries, attempt.request["reference"]) == ("sent", 1, attempt.pk)
    assert attempt.request_hash == attempts.hash_body(attempt.request)


def test_there_is_one_open_attempt_for_a_request():
    request = make_request()
    first = checkouts.start_payment(request)
    body = {**first.request, "reference": attempts.new_reference()}

    assert checkouts.start_payment(request) == first
    with pytest.raises(UnderWay):
        attempts.write_attempt(request, kind=first.kind, gateway="sandbox", body=body)


def test_an_altered_body_is_never_sent():
    request = make_request(amount=5009)
    with pytest.raises(DomainError):
        checkouts.start_payment(request)
    attempt = Attempt.objects.get()
    attempt.request = attempt.request | {"amount_minor": 1}

    with pytest.raises(DomainError, match="not what was written"):
        attempts.mark_sent(attempt)


def test_a_settled_attempt_never_opens_again():
    attempt = checkouts.start_payment(make_request())
    submit_card(attempt)
    checkouts.settle_attempt(attempt)

    with pytest.raises(UnderWay):
        attempts.mark_unknown(attempt, "late")


# --- killed between the steps ---------------------------------------------------------------------------
def test_killed_before_the_call(monkeypatch):
    request = make_request()
    monkeypatch.setattr(attempts, "mark_sent", kill)
    with pytest.raises(Killed):
        checkouts.start_payment(request)
    monkeypatch.undo()

    reconcile()

    assert Attempt.objects.get().state == "failed"  # nobody was called, and the payer has gone
    submit_card(checkouts.start_payment(request))
    reconcile()
    assert_paid_once(request)


def test_killed_between_the_gateways_answer_and_our_note(monkeypatch):
    request = make_request()
    monkeypatch.setattr(attempts, "keep_answer", kill)
    with pytest.raises(Killed):
        checkouts.start_payment(request)
    monkeypatch.undo()

    reconcile()

    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.tries, SandboxCheckout.objects.count()) == ("sent", 2, 1)
    submit_card(attempt)
    reconcile()
    assert_paid_once(request)


def test_killed_after_the_charge_before_we_asked():
    request = make_request()
    submit_card(checkouts.start_payment(request))

    reconcile()
    reconcile()

    assert_paid_once(request)


@pytest.mark.parametrize("step", ["_new_payment", "_complete", "collect", "_settle"])
def test_killed_while_applying_the_answer(monkeypatch, step):
    request = make_request()
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    monkeypatch.setattr(payments, step, kill)
    with pytest.raises(Killed):
        checkouts.settle_attempt(attempt)
    assert not Payment.objects.exists()  # all of the answer is applied, or nothing
    monkeypatch.undo()

    reconcile()

    assert_paid_once(request)


def test_a_new_key_for_each_try_would_open_two_pages():
    request = make_request()  # the control of what the stored key is for
    attempt = checkouts.start_payment(request)
    call = checkouts._call(attempt)

    gateway_for("sandbox").create_checkout(call, key=attempt.pk)
    assert SandboxCheckout.objects.count() == 1
    gateway_for("sandbox").create_checkout(call, key="another")
    assert SandboxCheckout.objects.count() == 2


# --- what nobody knows yet -----------------------------------------------------------------------------
@pytest.mark.parametrize("amount", [5001, 5003])
def test_no_answer_is_never_called_failed_and_reconcile_settles_it(amount):
    request = make_request(amount=amount)
    attempt = checkouts.start_payment(request)
    submit_card(attempt)

    checkouts.settle_attempt(attempt)

    assert attempt.state == "unknown"
    assert not Payment.objects.exists()
    assert "done" in reconcile()
    assert_paid_once(request)


def test_lost_before_the_bank_the_payer_may_pay_again():
    request = make_request(amount=5002)
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    checkouts.settle_attempt(attempt)
    assert attempt.state == "unknown"

    reconcile()

    assert checkouts.start_payment(request) == attempt
    submit_card(attempt)
    checkouts.settle_attempt(attempt)
    assert_paid_once(request)


def test_reconcile_leaves_young_attempts_alone():
    submit_card(checkouts.start_payment(make_request()))

    assert "0 attempts" in reconcile(older_than=60)
    assert "1 attempts" in reconcile()


def test_of_two_reconciles_one_takes_an_attempt():
    attempt = checkouts.start_payment(make_request())
    same = Attempt.objects.get(pk=attempt.pk)

    assert [attempts.claim(attempt), attempts.claim(same)] == [True, False]


def test_an_old_call_is_not_sent_again_but_left_to_a_person(monkeypatch):
    monkeypatch.setattr(SandboxGateway, "create_checkout", kill)
    with pytest.raises(Killed):
        checkouts.start_payment(make_request())
    monkeypatch.undo()
    Attempt.objects.update(created_at=timezone.now() - timedelta(hours=24))

    reconcile()

    attempt = Attempt.objects.get()
    assert (attempt.state, attempt.error) == ("unknown", attempts.NEEDS_PERSON)
    assert not SandboxCheckout.objects.exists()


def test_another_amount_than_ours_is_never_applied():
    request = make_request()
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    SandboxCharge.objects.update(amount=1, captured=1)

    checkouts.settle_attempt(attempt)

    assert (attempt.state, attempt.error) == ("unknown", attempts.MISMATCH)
    assert not Payment.objects.exists()


# --- applying is monotonic --------------------------------------------------------------------------------
def test_the_same_answer_twice_changes_nothing():
    request = make_request()
    attempt = checkouts.start_payment(request)
    submit_card(attempt, DECLINED)
    submit_card(attempt)
    snapshot = gateway_for("sandbox").fetch("checkout", attempt.remote_id)

    for _ in range(3):
        payments.apply_snapshot(Attempt.objects.get(), snapshot)

    assert_paid_once(request)
    assert Payment.objects.count() == 2
    assert Event.objects.filter(type="payment.paid").count() == 1


def test_an_older_answer_cannot_lower_a_paid_payment():
    from dataclasses import replace

    from billing.gateways.base import ChargeStatus

    request = make_request()
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    now = gateway_for("sandbox").fetch("checkout", attempt.remote_id)
    payments.apply_snapshot(attempt, now)

    for status in (ChargeStatus.PENDING, ChargeStatus.FAILED):
        older = replace(now, payments=(replace(now.payments[0], status=status),))
        payments.apply_snapshot(Attempt.objects.get(), older)

    assert_paid_once(request)


def test_money_that_comes_after_all_is_not_overlooked():
    request = make_request()
    attempt = checkouts.start_payment(request)
    attempts.mark_failed(attempt, "The page was over when we looked.")
    submit_card(attempt)

    checkouts.settle_checkout("sandbox", attempt.remote_id)

    assert_paid_once(request)
    assert checkouts.settle_checkout("sandbox", "sbcs_unknown") is None


def test_a_page_said_to_be_paid_without_a_payment_is_not_called_failed():
    attempt = checkouts.start_payment(make_request())
    SandboxCheckout.objects.update(status="complete")

    checkouts.settle_attempt(attempt)

    assert attempt.state == "unknown"


def test_a_pending_charge_is_neither_paid_nor_failed_until_it_is():
    from dataclasses import replace

    from billing.gateways.base import ChargeStatus

    request = make_request()
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    now = gateway_for("sandbox").fetch("checkout", attempt.remote_id)

    payments.apply_snapshot(attempt, replace(now, payments=(replace(now.payments[0], status=ChargeStatus.PENDING),)))
    assert Payment.objects.get().status == "pending"
    assert Attempt.objects.get().state == "unknown"
    payments.apply_snapshot(Attempt.objects.get(), now)

    assert_paid_once(request)


# --- at once ---------------------------------------------------------------------------------------------
def at_once(times, act):
    """Run act(n) in so many threads that start together; gives their results, errors included."""
    from concurrent.futures import ThreadPoolExecutor
    from threading import Barrier

    ready = Barrier(times)

    def one(n):
        try:
            ready.wait(60)
            return act(n)
        except Exception as error:  # whatever it is: the caller counts who got what
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


@pytest.mark.django_db(transaction=True)
def test_twenty_submits_of_one_card_form_charge_once():
    from billing.gateways.sandbox import bank
    from billing.gateways.sandbox.cards import find_card

    request = make_request()
    attempt = checkouts.start_payment(request)
    checkout = SandboxCheckout.objects.get()

    def submit(n):
        counted = bank.pay(checkout, find_card("4242424242424242"), version=0)
        checkouts.settle_checkout("sandbox", attempt.remote_id)
        return counted

    results = at_once(20, submit)

    assert [r for r in results if r is not False] == [True]
    assert_paid_once(request)


@pytest.mark.django_db(transaction=True)
def test_twenty_clicks_on_pay_open_one_page():
    request = make_request()

    results = at_once(20, lambda n: checkouts.start_payment(request).url)

    assert len(set(results)) == 1, results
    assert Attempt.objects.count() == SandboxCheckout.objects.count() == 1
