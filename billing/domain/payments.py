"""What a gateway's answer does to our records. Applying the same or an older answer again changes nothing."""

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from billing.domain import attempts, payables, refunds
from billing.domain.address_check import check_address
from billing.domain.balance import move_balance
from billing.domain.gateway_texts import NAME, kept, kept_failure
from billing.domain.sending import queue_receipt
from billing.gateways.base import ChargeStatus, CheckoutStatus
from billing.models import Attempt, BalanceEntry, BillingStatement, CustomerTotal, Payment, PaymentRequest
from customers.domain import take_email
from dashboard import events, states
from dashboard.money import Money
from dashboard.states import DomainError

Status = Payment.Status
ADDRESS = ("line1", "line2", "line3", "city", "state", "postal_code", "country")
OUTCOME = {
    ChargeStatus.PENDING: Status.PENDING,
    ChargeStatus.ACTION: Status.PENDING,
    ChargeStatus.AUTHORIZED: Status.AUTHORIZED,
    ChargeStatus.SUCCEEDED: Status.PAID,
    ChargeStatus.FAILED: Status.FAILED,
    ChargeStatus.CANCELED: Status.CANCELED,
}
TAKEN = {ChargeStatus.SUCCEEDED, ChargeStatus.AUTHORIZED}
UNDER_WAY = {ChargeStatus.PENDING, ChargeStatus.ACTION}


@transaction.atomic
def apply_snapshot(attempt, snapshot):
    """Step 3: bring payments, request or statement, and attempt to what the gateway says. Returns the target.

    Locks the target, then the attempt, as every writer of both does.
    """
    target = payables.lock(attempt.target_id)
    attempt = Attempt.objects.select_for_update(no_key=True).get(pk=attempt.pk)
    for result in snapshot.payments:
        apply_charge(target, attempt, result)
    if attempt.is_open:
        _settle(attempt, snapshot)
    return target


def _settle(attempt, snapshot):
    charges = {p.status for p in snapshot.payments}
    if TAKEN & charges:
        attempts.mark_done(attempt)
    elif ChargeStatus.PENDING in charges:
        attempts.mark_unknown(attempt, "The bank is still processing the payment.")
    elif snapshot.status == CheckoutStatus.OPEN:  # one the payer has not confirmed leaves the page open: they may go on there
        attempts.mark_open(attempt)
    elif UNDER_WAY & charges:
        attempts.mark_unknown(attempt, "The bank is still processing the payment.")
    elif snapshot.status == CheckoutStatus.COMPLETE and not charges:
        attempts.mark_unknown(attempt, "The gateway says it is paid, but names no payment.")
    else:
        attempts.mark_failed(attempt, f"The gateway's page is {snapshot.status}.")


def apply_charge(target, attempt, result):
    """Make or move the payment of one charge of a checkout page."""
    payment = Payment.objects.filter(gateway=attempt.gateway, gateway_reference=result.remote_id).first()
    if payment:
        return apply_result(payment, result)
    payment = _new_payment(target, attempt, result)
    events.record(f"payment.{payment.status}", payment, by=None, actor="payer", amount=payment.amount, currency=payment.currency)
    _follow(target, payment, result)
    return payment


@transaction.atomic
def apply_result(payment, result, *, by=None):
    """Move a payment to what the gateway says, forwards only: paid is final, a late failure cannot lower it."""
    target = payables.lock(payment.statement_id or payment.request_id or "")
    payment = Payment.objects.select_for_update(no_key=True).get(pk=payment.pk)
    to = OUTCOME[result.status]
    if to in payment.MOVES[payment.status]:
        payment = states.move(payment, to, by=by, updated_at=timezone.now(), **_outcome(result))
        _follow(target, payment, result)
    else:
        refunds.apply_all(payment, result)
    return payment


def _follow(target, payment, result):
    """What a payment's new status does to the rest: totals, what it pays, the receipt, refunds made meanwhile."""
    if payment.status in (Status.PAID, Status.AUTHORIZED) and isinstance(target, PaymentRequest):
        _complete(target)
    if payment.status == Status.PAID:
        collect(payment)
        if isinstance(target, BillingStatement):
            pay_off(target, payment, by=None)
        queue_receipt(payment)
    refunds.apply_all(payment, result)


def _complete(request):
    if PaymentRequest.Status.DONE in request.MOVES[request.status]:
        states.move(request, PaymentRequest.Status.DONE, by=None, completed_at=timezone.now())


def _new_payment(target, attempt, result):
    address = frozen_address(target.customer)
    payment = Payment(
        livemode=target.livemode,
        customer=target.customer,
        attempt=attempt,
        status=OUTCOME[result.status],
        currency=result.currency,
        billing_address=address,
        address_check=check_address(_given_address(result), address),
        merchant_reference_id=target.merchant_reference_id,
        metadata=target.metadata,
        gateway=attempt.gateway,
        created_at=result.created_at,
        **payables.payment_fields(target),
        **identity(result),
        **{"amount": result.amount_minor, **_outcome(result)},
    ).derive()
    payment.save(force_insert=True)
    return payment


def _given_address(result):
    return {"country": result.method.country, "postal_code": result.method.postal_code}


def identity(result):
    """How the gateway names a charge and what it was paid with, as columns. A kind of method we do not know is kept as
    elsewhere, by its name: money that moved is recorded whatever it was paid with."""
    method, known = result.method, result.method.type in Payment.Method
    return {
        "gateway_reference": result.remote_id,
        "method_type": method.type if known else Payment.Method.ELSEWHERE,
        "method_brand": kept(method.brand if known else method.brand or method.type, 20),
        "method_last4": kept(method.last4, 4),
        "method_bin": kept(method.bin, 8),
        "method_holder": kept(method.holder, NAME),
    }


def _outcome(result):
    """The columns that tell how a charge ended."""
    if result.status == ChargeStatus.SUCCEEDED:
        taken = {"amount": result.captured_minor} if result.captured_minor else {}
        return {"paid_at": result.created_at, "fee": result.fee_minor, **taken}
    if result.status == ChargeStatus.AUTHORIZED:
        return {"authorized_at": result.created_at}
    return kept_failure(result.failure)


def frozen_address(customer):
    """A customer's default address as a payment or statement keeps it: a copy that later edits do not touch."""
    address = customer.address
    return {part: getattr(address, part) for part in ADDRESS} if address else {}


@transaction.atomic
def record_payment(
    customer,
    *,
    amount,
    currency,
    by,
    method_type=Payment.Method.ELSEWHERE,
    product_type="",
    statement=None,
    paid_at=None,
    description="",
    merchant_reference_id="",
    metadata=None,
    email="",
    form_key="",
):
    """Note money received elsewhere: a paid payment of `amount` minor units, of no gateway. It pays off `statement`.

    `email`, when the payer gave one, becomes the customer's, unless a later statement or payment set it (R-13).
    A statement's open gateway page must be closed first (checkouts.close_checkout). One form_key makes one payment.
    Raises DomainError when the statement takes no payment, or not this one.
    """
    statement = statement and payables.lock(statement.pk)
    if form_key and (made := Payment.objects.filter(form_key=form_key).first()):
        return made
    if statement:
        payables.refuse_if_paying(statement)
        refuse_unowed(statement, customer, Money(amount, currency))
    at = paid_at or timezone.now()
    if email:
        customer = take_email(customer, email=email, at=at, by=by)
    product_type = product_type or (payables.statement_product(statement) if statement else Payment.Product.API)
    payment = Payment(
        livemode=customer.livemode,
        customer=customer,
        product_type=product_type,
        statement=statement,
        status=Status.PAID,
        amount=amount,
        currency=currency,
        method_type=method_type,
        billing_name=customer.name,
        billing_email=email or customer.email,
        billing_phone=customer.phone,
        billing_address=frozen_address(customer),
        description=description,
        merchant_reference_id=merchant_reference_id,
        metadata=metadata or {},
        paid_at=at,
        created_at=at,
        created_by=by,
        form_key=form_key,
    ).derive()
    payment.save(force_insert=True)
    events.record("payment.paid", payment, by=by, amount=amount, currency=currency)
    collect(payment)
    if statement:
        pay_off(statement, payment, by=by)
    return payment


def refuse_unowed(statement, customer, money):
    """Raise DomainError when a statement, which must be locked, is not owed by customer or less is owed than money."""
    if statement.customer_id != customer.pk or statement.currency != money.currency:
        raise DomainError(f"{statement} is another customer's or in another currency. No payment was recorded.")
    if statement.status not in BillingStatement.OWED:
        raise DomainError(f"{statement} is {statement.get_status_display().lower()}. It takes no payment, and none was recorded.")
    if money.minor > statement.amount_remaining:
        raise DomainError(f"{statement.amount_remaining_money} of {statement} remains to be paid. No payment was recorded.")


def pay_off(statement, payment, *, by):
    """Take a payment off what remains of a locked statement; nothing left makes it paid.

    Money beyond that, or for a statement that is owed no more, becomes the customer's credit: it is never lost.
    """
    owed = statement.amount_remaining if statement.status in BillingStatement.OWED else 0
    taken = min(payment.amount, owed)
    if over := payment.amount - taken:
        about = {"statement": statement, "payment": payment}
        move_balance(statement.customer, over, payment.currency, kind=BalanceEntry.Kind.OVERPAID, by=by, **about)
    if not taken:
        return statement
    amounts = {
        "amount_paid": statement.amount_paid + taken,
        "amount_remaining": owed - taken,
        "updated_at": timezone.now(),
    }
    if not amounts["amount_remaining"]:
        return states.move(statement, BillingStatement.Status.PAID, by=by, paid_at=payment.paid_at, **amounts)
    BillingStatement.objects.filter(pk=statement.pk).update(**amounts)
    events.record("billing_statement.partly_paid", statement, by=by, amount=taken, currency=payment.currency)
    return statement


def collect(payment):
    """Add a payment that has just become paid to its customer's total: the one writer of that table.

    Call it in the transaction that makes the payment paid. A payment of nobody counts for nobody.
    """
    if payment.customer_id:
        collect_many([payment])


def collect_many(payments):
    """The same for many payments at once, for imports; totals are taken in one order, so none wait in a ring."""
    sums = {}
    for p in payments:
        amount, count = sums.get((p.customer_id, p.currency), (0, 0))
        sums[p.customer_id, p.currency] = amount + p.amount, count + 1
    for (customer_id, currency), (amount, count) in sorted(sums.items()):
        CustomerTotal.objects.get_or_create(customer_id=customer_id, currency=currency)
        CustomerTotal.objects.filter(customer_id=customer_id, currency=currency).update(
            collected=F("collected") + amount, successful_payments=F("successful_payments") + count
        )
