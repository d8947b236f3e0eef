"""The proof that statement numbers are gapless: each customer's run from 1 to the one before the next."""

from django.db.models import F

from billing.models import BillingStatement
from customers.models import Customer

SHOWN = 20  # sentences: whoever has more has one fault with many faces


def number_errors():
    """A sentence for every customer whose statement numbers have a gap or a repetition. Empty when all is well."""
    taken = _taken()
    counters = Customer.objects.exclude(next_billing_statement_sequence_number=1)
    kept = dict(counters.values_list("pk", "next_billing_statement_sequence_number"))
    found = []
    for pk in sorted(taken.keys() | kept.keys()):
        numbers, following = sorted(taken.get(pk, [])), kept.get(pk, 1)
        if numbers != list(range(1, following)):
            found.append(f"{pk}: statement numbers should run from 1 to {following - 1}; there are {len(numbers)}.")
    return found[:SHOWN]


def _taken():
    """{customer: the last parts of their statements' numbers}; a number that does not end in one counts as 0."""
    found = {}
    rows = BillingStatement.objects.exclude(number="").order_by().values_list(F("customer_id"), "number")
    for pk, number in rows.iterator():
        last = number.rpartition("-")[2]
        found.setdefault(pk, []).append(int(last) if last.isascii() and last.isdecimal() else 0)
    return found
