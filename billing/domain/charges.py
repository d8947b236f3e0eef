"""Charging a saved method without the payer: the payment is written first, as processing, and then the call is made."""

from django.db import transaction

from billing.domain import attempts, payables, payments
from billing.domain.once import made_before, make_once
from billing.gateways import gateway_for
from billing.gateways.base import ChargeRequest, Declined
from billing.models import Attempt, Payment
from customers.domain import refuse_archived
from customers.models import Customer
from dashboard import events, states
from dashboard.states import DomainError

_SAME_FORM = ("customer_id", "amount", "currency", "statement_id")


def charge_method(
    customer,
    *,
    gateway,
    token,
    amount,
    currency,
    by,
    form_key,
    method_type="card",
    description="",
    statement=None,
    capture=True,
    **fields,
):
    """Charge a saved method `amount` minor units. One form_key makes one charge, however often it comes.

    Returns the payment: paid, authorised, failed with its reason, or pending while nobody knows.
    Calls the gateway: not to be called inside a transaction. Raises DomainError when it may not be charged.
    """
    payment = Payment(
        livemode=customer.livemode,
        customer=customer,
        product_type=Payment.Product.STATEMENT if statement else Payment.Product.TERMINAL,
        statement=statement,
        amount=amount,
        currency=currency,
        method_type=method_type,
        billing_name=customer.name,
        billing_email=customer.email,
        billing_phone=customer.phone,
        billing_address=payments.frozen_address(customer),
        description=description,
        gateway=gateway,
        form_key=form_key,
        created_by=by,
        **fields,
    ).derive()
    made = make_once(payment, lambda: _write(payment, token, capture, by), same=_SAME_FORM)
    if made.attempt.is_open:
        settle_attempt(made.attempt)
    made.refresh_from_db()
    return made


@transaction.atomic
def _write(payment, token, capture, by):
    """Step 1: the payment, pending, and its attempt. What it pays is locked: nothing else may be paying it."""
    refuse_archived(Customer.objects.select_for_update(no_key=True).get(pk=payment.customer_id))
    if found := made_before(payment, same=_SAME_FORM):
        return found
    if payment.statement_id:
        statement = payables.lock(payment.statement_id)
        payables.refuse_unpayable(statement)
        payables.refuse_if_paying(statement)
        if payment.amount > statement.amount_remaining:
            raise DomainError(f"{statement.amount_remaining_money} of {statement} remains to be paid. No money moved.")
    payment.attempt = attempts.write_attempt(
        payment, kind=Attempt.Kind.CHARGE, gateway=payment.gateway, body=_body(payment, token, capture)
    )
    payment.save(force_insert=True)
    events.record("payment.created", payment, by=by, amount=payment.amount, currency=payment.currency)
    return payment


def _body(payment, token, capture):
    return {
        "reference": attempts.new_reference(),
        "amount_minor": payment.amount,
        "currency": payment.currency,
        "description": payment.description,
        "token": token,
        "capture": capture,
    }


def settle_attempt(attempt):
    """Send a charge, again under the same key and body, and apply the answer. The attempt is changed in place."""
    return attempts.settle(attempt, _send) if attempt.is_open else attempt


def _send(attempt):
    call = ChargeRequest(**attempt.request)
    attempts.send(
        attempt,
        lambda key: gateway_for(attempt.gateway).charge(call, key=key),
        apply=lambda result: apply_answer(attempt, result),
        refuse=lambda error: _refuse(attempt, error),
    )


@transaction.atomic
def apply_answer(attempt, result):
    """Step 3. The answer may come from the call, a delivery, or reconcile; a payment still under way is asked about later."""
    payment = Payment.objects.get(pk=attempt.target_id)
    if (result.amount_minor, result.currency) != (attempt.amount, attempt.currency):
        return attempts.mark_unknown(attempt, attempts.MISMATCH)
    Payment.objects.filter(pk=payment.pk, gateway_reference="").update(**payments.identity(result))
    payment = payments.apply_result(payment, result).derive()
    Payment.objects.filter(pk=payment.pk).update(search=payment.search)  # found by its card and reference from now on
    if attempt.is_open:
        attempts.mark_done(attempt, result.remote_id)
    return payment


@transaction.atomic
def _refuse(attempt, error):
    payment = Payment.objects.select_for_update(no_key=True).get(pk=attempt.target_id)
    said = {"failure_code": "rejected", "failure_message": str(error)[:500]}
    if isinstance(error, Declined):
        said = {
            "failure_code": error.failure.code,
            "failure_message": error.failure.message,
            "gateway_reference": error.remote_id,
        }
    attempts.mark_refused(attempt, error)
    states.move(payment, Payment.Status.FAILED, by=None, **said)
