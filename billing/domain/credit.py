"""Credit on statements: pay one from the customer's balance, or give back what it took."""

from django.db import transaction
from django.utils import timezone

from billing.domain import checkouts, payables
from billing.domain.balance import adjust_credit, balance, balances, move_balance, newest_entry
from billing.models import BalanceEntry, BillingStatement
from dashboard import events, states
from dashboard.states import DomainError

__all__ = ["adjust_credit", "apply_credit", "balance", "balances", "newest_entry", "release_credit"]
Kind = BalanceEntry.Kind


def apply_credit(statement, *, by, amount=None):
    """Pay a statement, or `amount` minor units of it, from its customer's credit.

    Closes an open gateway page first, because what is due changes: not to be called inside a transaction,
    but right after finalising, when there is no such page. Raises DomainError when nothing can be applied.
    """
    checkouts.close_checkout(statement)
    return _apply_credit(statement, by, amount)


@transaction.atomic
def _apply_credit(statement, by, amount):
    current = payables.lock(statement.pk)
    payables.refuse_if_paying(current)
    if current.status not in BillingStatement.OWED:
        raise DomainError(f"{current} is {current.get_status_display().lower()}, so it takes no credit.")
    amount = amount or min(balance(current.customer, current.currency).minor, current.amount_remaining)
    if not 0 < amount <= current.amount_remaining:
        raise DomainError(
            f"Apply from the smallest amount up to {current.amount_remaining_money}; the customer must have it as credit."
        )
    move_balance(current.customer, -amount, current.currency, kind=Kind.APPLIED, by=by, statement=current)
    return _take_off(current, amount, by)


def _take_off(statement, amount, by):
    now = timezone.now()
    amounts = {
        "credit_applied": statement.credit_applied + amount,
        "amount_remaining": statement.amount_remaining - amount,
        "updated_at": now,
    }
    if not amounts["amount_remaining"]:
        return states.move(statement, BillingStatement.Status.PAID, by=by, paid_at=now, **amounts)
    BillingStatement.objects.filter(pk=statement.pk).update(**amounts)
    events.record("billing_statement.credit_applied", statement, by=by, amount=amount, currency=statement.currency)
    statement.__dict__.update(amounts)
    return statement


def release_credit(statement, *, by):
    """Give back what a statement took from the credit balance. Call it in the transaction that ends the statement.

    The statement must be locked; its amounts are changed in place and in the database.
    """
    if not statement.credit_applied:
        return statement
    back = statement.credit_applied
    move_balance(statement.customer, back, statement.currency, kind=Kind.RELEASED, by=by, statement=statement)
    amounts = {"credit_applied": 0, "amount_remaining": statement.amount_remaining + back}
    BillingStatement.objects.filter(pk=statement.pk).update(**amounts)
    statement.__dict__.update(amounts)
    return statement
