"""What a gateway's answer does to our records. Applying the same or an older answer again changes nothing."""

from django.db import transaction
from django.db.models import Count, F, Sum
from django.utils import timezone

from billing.domain import attempts
from billing.gateways.base import ChargeStatus, CheckoutStatus
from billing.models import Attempt, BillingStatement, CustomerTotal, LineItem, Payment, PaymentRequest
from dashboard import events, states
from dashboard.money import Money
from dashboard.states import DomainError

Status = Payment.Status
ADDRESS = ("line1", "line2", "line3", "city", "state", "postal_code", "country")
OUTCOME = {ChargeStatus.PENDING: Status.PENDING, ChargeStatus.SUCCEEDED: Status.PAID, ChargeStatus.FAILED: Status.FAILED}


@transaction.atomic
def apply_snapshot(attempt, snapshot):
    """Step 3: bring payments, request and attempt to what the gateway says. Returns the request.

    Locks the request, then the attempt, as every writer of both does.
    """
    request = PaymentRequest.objects.select_for_update().get(pk=attempt.target_id)
    attempt = Attempt.objects.select_for_update().get(pk=attempt.pk)
    for result in snapshot.payments:
        apply_charge(request, attempt, result)
    if attempt.is_open:
        _settle(attempt, snapshot)
    return request


def _settle(attempt, snapshot):
    charges = {p.status for p in snapshot.payments}
    if ChargeStatus.SUCCEEDED in charges:
        attempts.mark_done(attempt)
    elif ChargeStatus.PENDING in charges:
        attempts.mark_unknown(attempt, "The bank is still processing the payment.")
    elif snapshot.status == CheckoutStatus.OPEN:
        attempts.mark_open(attempt)
    elif snapshot.status == CheckoutStatus.COMPLETE:
        attempts.mark_unknown(attempt, "The gateway says it is paid, but names no payment.")
    else:
        attempts.mark_failed(attempt, f"The gateway's page is {snapshot.status}.")


def apply_charge(request, attempt, result):
    """Make or move the payment of one charge, forwards only: paid is final, a late failure cannot lower it."""
    to = OUTCOME[result.status]
    payment = Payment.objects.filter(gateway=attempt.gateway, gateway_reference=result.remote_id).first()
    if payment and to not in payment.MOVES[payment.status]:
        return payment
    if payment:
        payment = states.move(payment, to, by=None, **_outcome(result))
    else:
        payment = _new_payment(request, attempt, result, to)
        events.record(f"payment.{to}", payment, by=None, actor="payer", amount=payment.amount, currency=payment.currency)
    if to == Status.PAID:
        _complete(request, payment)
    return payment


def _new_payment(request, attempt, result, status):
    customer = request.customer
    payment = Payment(
        livemode=request.livemode,
        customer=customer,
        product_type=Payment.Product.REQUEST,
        request=request,
        attempt=attempt,
        status=status,
        amount=result.amount_minor,
        currency=result.currency,
        method_type=result.method.type,
        method_brand=result.method.brand,
        method_last4=result.method.last4,
        billing_name=request.customer_name,
        billing_email=request.customer_email,
        billing_phone=customer.phone,
        billing_address=frozen_address(customer),
        description=request.description,
        merchant_reference_id=request.merchant_reference_id,
        metadata=request.metadata,
        gateway=attempt.gateway,
        gateway_reference=result.remote_id,
        created_at=result.created_at,
        **_outcome(result),
    ).derive()
    payment.save(force_insert=True)
    return payment


def _outcome(result):
    """The columns that tell how a charge ended."""
    if result.status == ChargeStatus.SUCCEEDED:
        return {"paid_at": result.created_at}
    if result.failure:
        return {"failure_code": result.failure.code, "failure_message": result.failure.message}
    return {}


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
):
    """Note money received elsewhere: a paid payment of `amount` minor units, of no gateway. It pays off `statement`.

    Raises DomainError when the statement takes no payment, or not this one.
    """
    statement = statement and BillingStatement.objects.select_for_update().get(pk=statement.pk)
    if statement:
        refuse_unowed(statement, customer, Money(amount, currency))
    at = paid_at or timezone.now()
    product_type = product_type or (Payment.Product.STATEMENT if statement else Payment.Product.API)
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
        billing_email=customer.email,
        billing_phone=customer.phone,
        billing_address=frozen_address(customer),
        description=description,
        merchant_reference_id=merchant_reference_id,
        metadata=metadata or {},
        paid_at=at,
        created_at=at,
        created_by=by,
    ).derive()
    payment.save(force_insert=True)
    events.record("payment.paid", payment, by=by, amount=amount, currency=currency)
    collect(payment)
    if statement:
        _pay_off(statement, payment, by)
    return payment


def refuse_unowed(statement, customer, money):
    """Raise DomainError when a statement, which must be locked, is not owed by customer or less is owed than money."""
    if statement.customer_id != customer.pk or statement.currency != money.currency:
        raise DomainError(f"{statement} is another customer's or in another currency. No payment was recorded.")
    if statement.status not in BillingStatement.OWED:
        raise DomainError(f"{statement} is {statement.get_status_display().lower()}. It takes no payment, and none was recorded.")
    if money.minor > statement.amount_remaining:
        raise DomainError(f"{statement.amount_remaining_money} of {statement} remains to be paid. No payment was recorded.")


def _pay_off(statement, payment, by):
    """Take a payment off what remains of a statement; nothing left makes it paid."""
    amounts = {
        "amount_paid": statement.amount_paid + payment.amount,
        "amount_remaining": statement.amount_remaining - payment.amount,
        "updated_at": timezone.now(),
    }
    if not amounts["amount_remaining"]:
        return states.move(statement, BillingStatement.Status.PAID, by=by, paid_at=payment.paid_at, **amounts)
    BillingStatement.objects.filter(pk=statement.pk).update(**amounts)
    events.record("billing_statement.partly_paid", statement, by=by, amount=payment.amount, currency=payment.currency)
    return statement


def _complete(request, payment):
    collect(payment)
    if PaymentRequest.Status.DONE in request.MOVES[request.status]:
        states.move(request, PaymentRequest.Status.DONE, by=None, completed_at=payment.paid_at)


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


# --- proof -------------------------------------------------------------------------------------------
def ledger_errors():
    """A sentence for every stored sum that its rows do not add up to. Empty when all is well."""
    return [*_total_errors(), *_statement_errors(), *_line_errors()]


def _total_errors():
    paid = Payment.objects.paid().exclude(customer=None).order_by()
    rows = paid.values_list("customer_id", "currency").annotate(Sum("amount"), Count("id"))
    true = {(c, cur): (amount, count) for c, cur, amount, count in rows}
    kept = {(t.customer_id, t.currency): (t.collected, t.successful_payments) for t in CustomerTotal.objects.all()}
    for key in sorted(true.keys() | kept.keys()):
        if (was := kept.get(key, (0, 0))) != (adds_up := true.get(key, (0, 0))):
            yield f"{key[0]} {key[1]}: the total says {was[0]} in {was[1]} payments; they say {adds_up[0]} in {adds_up[1]}."


def _statement_errors():
    rows = Payment.objects.paid().exclude(statement=None).values_list("statement").annotate(Sum("amount")).order_by()
    paid = dict(rows)
    for pk, amount in BillingStatement.objects.values_list("pk", "amount_paid").iterator():
        if amount != paid.get(pk, 0):
            yield f"{pk}: the statement says {amount} paid; its payments say {paid.get(pk, 0)}."


def _line_errors():
    lines = dict(LineItem.objects.values_list("statement").annotate(Sum("amount")).order_by())
    for pk, subtotal in BillingStatement.objects.values_list("pk", "subtotal").iterator():
        if subtotal != lines.get(pk, 0):
            yield f"{pk}: the statement's subtotal is {subtotal}; its lines say {lines.get(pk, 0)}."
