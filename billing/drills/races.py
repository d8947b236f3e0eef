"""Many hands on one thing at the same moment: refunds, one form, one draft, one counter, one credit balance.

Each race has a control that checks first and acts later, as code without a guard does; it must overshoot.
"""

import secrets
from datetime import timedelta
from multiprocessing import get_context

from django.db import transaction
from django.utils import timezone

from billing.domain import credit, refunds, statements
from billing.domain.ledger import ledger_errors
from billing.domain.payments import record_payment
from billing.drills.bank import FileBank
from billing.drills.children import at_once
from billing.drills.kills import charge_once, drilled_customer
from billing.models import BillingStatement, Payment, Refund
from dashboard.models import User
from dashboard.states import DomainError

HUNDRED = 10_000  # minor units
PATIENCE = 60  # seconds a careless writer waits until all have looked


def run(rounds):
    """Every race, `rounds` times over; yields ([sentences], violated)."""
    for race in (one_payment_refunded, one_form_sent, one_draft_finalised, numbers_taken, one_balance_spent):
        found = [race() for _ in range(rounds)]
        wrong = [sentence for sentence, good in found if not good]
        yield [f"{race.__name__.replace('_', ' ')}: {rounds} rounds, {found[-1][0]}", *wrong], bool(wrong)
    for control in (refunded_without_guard, sent_without_key, counted_outside):
        sentence, overshot = control()
        yield [f"control, {sentence}, {'caught' if overshot else 'NOT CAUGHT'}"], not overshot
    faults = ledger_errors()
    yield [f"ledger: {len(faults)} faults", *faults], bool(faults)


def everybody(count):
    """A meeting of as many children: each that calls its wait(PATIENCE) goes on when the last one has."""
    return get_context("fork").Barrier(count)


# --- refunds -----------------------------------------------------------------------------------------------
def paid():
    customer, form = drilled_customer(), secrets.token_hex(8)
    return record_payment(customer, amount=HUNDRED, currency="USD", by=None, description=form, form_key=form)


def one_payment_refunded():
    """50 refunds of 30 % at once: three fit."""
    payment = paid()
    did, refused, broke = at_once(50, lambda n: _refund(payment, n))
    kept = Payment.objects.get(pk=payment.pk).amount_refunded
    given = payment.refunds.filter(status=Refund.Status.SUCCEEDED).count()
    return f"50 refunds of 30 %: {did} went through, {refused} refused, {broke} broke", (did, given, kept, broke) == (
        3,
        3,
        9_000,
        0,
    )


def _refund(payment, n):
    refunds.create_refund(
        payment, amount=HUNDRED * 3 // 10, reason=Refund.Reason.REQUESTED, by=None, form_key=f"{payment.pk}-{n}"
    )


def refunded_without_guard():
    """Look whether it fits, write when all have looked."""
    payment, looked = paid(), everybody(12)
    at_once(12, lambda n: _careless_refund(payment, n, looked))
    given = payment.refunds.count()
    Refund.objects.filter(payment=payment).delete()
    return f"refund after a look: {given} of 30 % went through", given > 3


def _careless_refund(payment, n, looked):
    given = sum(payment.refunds.values_list("amount", flat=True))
    looked.wait(PATIENCE)
    if given + HUNDRED * 3 // 10 <= payment.amount:
        Refund(
            livemode=False,
            payment=payment,
            customer_id=payment.customer_id,
            amount=HUNDRED * 3 // 10,
            currency="USD",
            reason=Refund.Reason.OTHER,
            form_key=f"{payment.pk}-{n}",
            status=Refund.Status.FAILED,
        ).derive().save(force_insert=True)


# --- one form ----------------------------------------------------------------------------------------------
def one_form_sent():
    """20 submits of one form: one charge, one payment."""
    customer, form = drilled_customer(), secrets.token_hex(8)
    *_, broke = at_once(20, lambda n: charge_once(customer, form))
    taken, booked = _taken(form), Payment.objects.paid().filter(form_key=form).count()
    return f"20 submits of one form: {taken} charge, {booked} payment, {broke} broke", (taken, booked, broke) == (1, 1, 0)


def sent_without_key():
    """Every submit stands for itself."""
    customer, form, looked = drilled_customer(), secrets.token_hex(8), everybody(6)
    at_once(6, lambda n: _careless_charge(customer, form, n, looked))
    return f"submit without a form's key: {_taken(form)} charges", _taken(form) > 1


def _careless_charge(customer, form, n, looked):
    known = Payment.objects.filter(description=form).exists()
    looked.wait(PATIENCE)
    if not known:
        charge_once(customer, form, form_key=f"{form}-{n}")


def _taken(form):
    return sum(e["body"]["description"] == form for e in FileBank.entries("charge"))


# --- statements --------------------------------------------------------------------------------------------
def draft(customer):
    due = timezone.now() + timedelta(days=14)
    return statements.create_statement(customer, lines=[("Beans", 1, HUNDRED)], currency="USD", due_at=due, by=None)


def billed_customer():
    return drilled_customer(email="drill@example.com")


def one_draft_finalised():
    """Two staff finalise one draft: one wins, and the other is told who did."""
    statement = draft(billed_customer())
    staff = [User.objects.get_or_create(email=f"drill{n}@example.com", defaults={"name": f"Drill {n}"})[0] for n in range(2)]
    did, refused, broke = at_once(2, lambda n: _finalise(statement, staff[n], staff[1 - n]))
    number = BillingStatement.objects.get(pk=statement.pk).number
    good = (did, refused, broke) == (1, 1, 0) and number.endswith("-0001")
    return f"two staff finalise one draft: {did} did, {refused} told who did, number {number}", good


def _finalise(statement, by, other):
    try:
        statements.finalize_statement(statement, by=by)
    except DomainError as error:
        if str(other) not in str(error):
            raise RuntimeError(f"The other was told only: {error}") from error
        raise


class Changed(Exception):
    """Someone changed their mind, and the transaction is rolled back."""


def numbers_taken():
    """8 at once finalise 8 statements each of one customer, every third rolled back: no gap, no repeat."""
    customer = billed_customer()
    drafts = [[draft(customer) for _ in range(8)] for _ in range(8)]
    *_, broke = at_once(8, lambda n: _finalise_all(drafts[n], statements.finalize_statement))
    numbers = _numbers(customer)
    return f"{len(numbers)} numbers taken, {broke} broke", not broke and numbers == list(range(1, len(numbers) + 1)) and len(
        numbers
    ) == 40


def _finalise_all(drafts, finalise):
    for n, statement in enumerate(drafts):
        try:
            with transaction.atomic():
                finalise(statement, by=None)
                if n % 3 == 2 or n == 7:
                    raise Changed
        except Changed:
            pass


def _numbers(customer):
    found = customer.statements.exclude(number="").values_list("number", flat=True)
    return sorted(int(number.rpartition("-")[2]) for number in found)


def counted_outside():
    """The counter moves in a transaction of its own, as a database's sequence does: rolled back numbers are gone."""
    customer = billed_customer()
    drafts = [draft(customer) for _ in range(8)]
    numbers = [_take_at_once(customer) for _ in drafts]
    _finalise_all(list(zip(drafts, numbers, strict=True)), _finalise_as)
    found = _numbers(customer)
    return f"a number taken outside the transaction: {numbers[-1] - len(found)} gaps", found != list(range(1, len(found) + 1))


def _take_at_once(customer):
    customer.refresh_from_db()
    return int(statements.take_number(customer).rpartition("-")[2])


def _finalise_as(numbered, *, by):
    statement, number = numbered
    fields = {"number": f"{statement.customer.billing_statement_prefix}-{number:04d}", "finalized_at": timezone.now()}
    BillingStatement.objects.filter(pk=statement.pk).update(status="open", **fields)


# --- credit ------------------------------------------------------------------------------------------------
def one_balance_spent():
    """10 statements of 30 % of the credit at once: three take it."""
    customer = billed_customer()
    credit.adjust_credit(customer, amount=HUNDRED, currency="USD", reason="Drill", by=None)
    bills = [statements.finalize_statement(draft(customer), by=None) for _ in range(10)]
    did, refused, broke = at_once(10, lambda n: credit.apply_credit(bills[n], by=None, amount=HUNDRED * 3 // 10))
    left = credit.balance(customer, "USD").minor
    return f"10 uses of 30 % of the credit: {did} did, {refused} refused", (did, left, broke) == (3, 1_000, 0)
