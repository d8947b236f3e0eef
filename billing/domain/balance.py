"""The credit balance: one function moves it, and every move is an entry."""

from django.db import transaction
from django.db.models import F

from billing.models import BalanceEntry, CustomerTotal
from dashboard import events
from dashboard.money import LARGEST, Money
from dashboard.states import DomainError


def balances(customer):
    """Money the customer has as credit, one for each currency, without empty ones."""
    return [t.credit_balance_money for t in customer.totals.all() if t.credit_balance]


def balance(customer, currency):
    """Money the customer has as credit in one currency."""
    found = CustomerTotal.objects.filter(customer=customer, currency=currency).values_list("credit_balance", flat=True).first()
    return Money(found or 0, currency)


@transaction.atomic
def adjust_credit(customer, *, amount, currency, reason, by, seen=None):
    """Give (above zero) or take (below) credit by hand: signed minor units. Raises DomainError without reason or credit.

    `seen` is the newest entry's id when the form was opened ("" for none): sent twice, a form counts once.
    """
    if not reason:
        raise DomainError("Say why the balance changes: the reason stands in the ledger.")
    CustomerTotal.objects.get_or_create(customer=customer, currency=currency)
    CustomerTotal.objects.select_for_update(no_key=True).get(customer=customer, currency=currency)
    if seen is not None and seen != newest_entry(customer):
        raise DomainError("The balance changed after you opened this form. Nothing more was changed now. Look at the ledger.")
    return move_balance(customer, amount, currency, kind=BalanceEntry.Kind.ADJUSTMENT, by=by, reason=reason)


def newest_entry(customer):
    """The id of a customer's newest balance entry, or ""."""
    return BalanceEntry.objects.filter(customer=customer).order_by("-pk").values_list("pk", flat=True).first() or ""


def move_balance(customer, amount, currency, *, kind, by, reason="", **about):
    """Write one entry and move the balance by it: the one writer of both. Call it in the transaction that causes it.

    `about` names the statement, payment or refund. Raises DomainError when the balance would pass zero or its largest.
    """
    CustomerTotal.objects.get_or_create(customer=customer, currency=currency)
    row = CustomerTotal.objects.filter(
        customer=customer, currency=currency, credit_balance__gte=-amount, credit_balance__lte=LARGEST - amount
    )
    if not amount or not row.update(credit_balance=F("credit_balance") + amount):
        raise DomainError(
            f"{customer} has {balance(customer, currency)} of credit, so it cannot change by {Money(amount, currency)}."
        )
    entry = BalanceEntry.objects.create(
        livemode=customer.livemode,
        customer=customer,
        currency=currency,
        amount=amount,
        kind=kind,
        reason=reason,
        created_by=by,
        **about,
    )
    events.record(f"credit.{kind}", customer, by=by, why=reason, amount=amount, currency=currency, entry=entry.pk)
    return entry
