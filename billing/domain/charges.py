"""Charging a saved method without the payer: the payment is written first, as processing, and then the call is made."""

from django.db import transaction

from billing.domain import attempts, payables, payments, vault
from billing.domain.gateway_texts import kept, kept_failure
from billing.domain.once import made_before, make_once
from billing.gateways import GATEWAYS, about, gateway_for
from billing.gateways.base import ChargeRequest, Declined
from billing.models import Attempt, Payment
from customers.domain import refuse_archived
from customers.models import Customer
from dashboard import events, states
from dashboard.money import Money
from dashboard.states import DomainError

NO_METHOD = "has no payment method on file. Add a card or request card details. No money moved."
_SAME_FORM = ("customer_id", "amount", "currency", "statement_id")


def charge(customer, *, amount, currency, by, form_key, method=None, **fields):
    """Charge a stored method `amount` minor units; without one, the customer's default. One form_key makes one charge.

    `fields` are those of charge_method. Returns the payment: paid, authorised, failed with its reason, or
    pending while nobody knows. Calls the gateway: not to be called inside a transaction. Raises DomainError when there
    is no usable method or the gateway does not take the amount.
    """
    method = method or vault.default_method(customer)
    if not method or method.customer_id != customer.pk:
        raise DomainError(f"{customer} {NO_METHOD}")
    refuse_method(method, capture=fields.get("capture", True))
    refuse_amount(gateway_for(method.gateway), amount, currency)
    return charge_method(
        customer,
        gateway=method.gateway,
        token=method.gateway_token,
        amount=amount,
        currency=currency,
        by=by,
        form_key=form_key,
        source=method,
        **method.told,
        **fields,
    )


def refuse_method(method, *, capture=True):
    """Raise DomainError for a method that cannot be charged, or not authorised first where `capture` is to wait."""
    if method.gateway not in GATEWAYS:
        raise DomainError(f"{about(method.gateway).name}, which keeps {method}, is not connected any more. No money moved.")
    vault.refuse_unchargeable(method)
    if not capture:
        refuse_two_steps(gateway_for(method.gateway), method.type)


def refuse_two_steps(gateway, method_type="card"):
    """Raise DomainError for what cannot be authorised now and captured later."""
    if method_type != "card" or not gateway.capabilities.capture:
        raise DomainError("This payment method cannot be authorised first. Take the payment in one step. No money moved.")


def refuse_amount(gateway, amount, currency):
    """Raise DomainError when a gateway does not take a currency, or not that much or little of it."""
    taken = gateway.capabilities
    if currency not in taken.currencies or not taken.off_session:
        raise DomainError(f"The gateway of this payment method cannot charge {currency}. No money moved.")
    smallest, largest = taken.limits[currency]
    if not smallest <= amount <= largest:
        bounds = f"from {Money(smallest, currency)} to {Money(largest, currency)}"
        raise DomainError(f"The gateway takes amounts {bounds}. No money moved.")


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
    product_type="",
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
        product_type=payables.statement_product(statement) if statement else product_type or Payment.Product.TERMINAL,
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
def keep_charged(payment, summary, by):
    """Put the method of a payment on file, once, and name it on the payment."""
    current = Payment.objects.select_for_update(no_key=True).get(pk=payment.pk)
    if not current.source_id:
        method = vault.keep_method(current.customer, gateway=current.gateway, summary=summary, by=by)
        Payment.objects.filter(pk=current.pk).update(source=method)
        payment.source = method


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
        page = attempts.page_address(result.next_action_url)  # where the payer confirms, if they must
        Attempt.objects.filter(pk=attempt.pk).update(url=page)
        attempts.mark_done(attempt, result.remote_id)
    return payment


@transaction.atomic
def _refuse(attempt, error):
    payment = Payment.objects.select_for_update(no_key=True).get(pk=attempt.target_id)
    said = {"failure_code": "rejected", "failure_message": kept(error)}
    if isinstance(error, Declined):
        said = kept_failure(error.failure) | {"gateway_reference": error.remote_id}
    attempts.mark_refused(attempt, error)
    states.move(payment, Payment.Status.FAILED, by=None, **said)
