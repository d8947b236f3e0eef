"""The proof: every stored sum against the rows it sums up."""

from django.db.models import Count, Q, Sum

from billing.domain.coupons import coupon_errors
from billing.models import BalanceEntry, BillingStatement, CustomerTotal, LineItem, Payment, Refund

CREDIT = (BalanceEntry.Kind.APPLIED, BalanceEntry.Kind.RELEASED)


def ledger_errors():
    """A sentence for every stored sum that its rows do not add up to. Empty when all is well."""
    return [
        *_total_errors(),
        *_credit_errors(),
        *_statement_errors("amount_paid", _paid_of_statements(), "payments"),
        *_statement_errors("credit_applied", _credit_of_statements(), "balance entries"),
        *_statement_errors("subtotal", _sums(LineItem.objects.all(), "statement"), "lines"),
        *_refund_errors(),
        *coupon_errors(),
    ]


def _sums(rows, *keys):
    """{key: sum of amounts}, the key a tuple when there are several."""
    found = rows.order_by().values_list(*keys).annotate(Sum("amount"))
    return {(row[0] if len(keys) == 1 else row[:-1]): row[-1] for row in found}


def _total_errors():
    paid = Payment.objects.paid().exclude(customer=None).order_by()
    rows = paid.values_list("customer_id", "currency").annotate(Sum("amount"), Count("id"))
    true = {(c, cur): (amount, count) for c, cur, amount, count in rows}
    kept = {(t.customer_id, t.currency): (t.collected, t.successful_payments) for t in CustomerTotal.objects.all()}
    for key in sorted(true.keys() | kept.keys()):
        if (was := kept.get(key, (0, 0))) != (adds_up := true.get(key, (0, 0))):
            yield f"{key[0]} {key[1]}: the total says {was[0]} in {was[1]} payments; they say {adds_up[0]} in {adds_up[1]}."


def _credit_errors():
    true = _sums(BalanceEntry.objects.all(), "customer_id", "currency")
    kept = {(t.customer_id, t.currency): t.credit_balance for t in CustomerTotal.objects.all()}
    for key in sorted(true.keys() | kept.keys()):
        if (was := kept.get(key, 0)) != (adds_up := true.get(key, 0)):
            yield f"{key[0]} {key[1]}: the credit balance says {was}; its entries say {adds_up}."


def _paid_of_statements():
    """What payments paid off: all of them but what went to the credit balance because less was due."""
    paid = _sums(Payment.objects.paid().exclude(statement=None), "statement")
    over = _sums(BalanceEntry.objects.filter(kind=BalanceEntry.Kind.OVERPAID).exclude(statement=None), "statement")
    return {pk: amount - over.get(pk, 0) for pk, amount in paid.items()}


def _credit_of_statements():
    return {pk: -amount for pk, amount in _sums(BalanceEntry.objects.filter(kind__in=CREDIT), "statement").items()}


def _statement_errors(column, true, what):
    for pk, kept in BillingStatement.objects.values_list("pk", column).iterator():
        if kept != true.get(pk, 0):
            yield f"{pk}: the statement's {column.replace('_', ' ')} is {kept}; its {what} say {true.get(pk, 0)}."


def _refund_errors():
    true = _sums(Refund.objects.counted(), "payment")
    for pk, kept in Payment.objects.filter(~Q(amount_refunded=0) | Q(pk__in=true)).values_list("pk", "amount_refunded"):
        if kept != true.get(pk, 0):
            yield f"{pk}: the payment's refunded amount is {kept}; its refunds say {true.get(pk, 0)}."
