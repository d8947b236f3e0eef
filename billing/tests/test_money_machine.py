"""Statements, payments, refunds and credit, driven at random beside a plain model of what they should be.

After every step the stored amounts are the model's, P1 to P4 and I6 hold, and the ledger proves itself.
"""

import os
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from billing.domain import credit, payments, refunds, statements
from billing.domain.ledger import ledger_errors
from billing.models import BalanceEntry, BillingStatement, CustomerTotal, Payment, Refund
from billing.tests.factories import make_customer
from dashboard.states import DomainError

OWED = ("open", "uncollectible")
amounts = st.integers(50, 20_000)


class Bill:
    """A statement as it should be."""

    def __init__(self, record, total):
        self.record, self.total, self.status, self.paid, self.credit = record, total, "draft", 0, 0

    @property
    def left(self):
        return self.total - self.paid - self.credit


class Paid:
    """A payment as it should be."""

    def __init__(self, record, amount):
        self.record, self.amount, self.back = record, amount, 0


class MoneyMachine(RuleBasedStateMachine):
    bills, paid = Bundle("bills"), Bundle("paid")

    def __init__(self):
        super().__init__()
        self.block = transaction.atomic()
        self.block._from_testcase = True  # as Django's own test case does: the rules about transactions stay in force
        self.block.__enter__()
        self.customer = make_customer()
        self.known, self.received, self.credit = [], [], 0

    def teardown(self):
        transaction.set_rollback(True)
        self.block.__exit__(None, None, None)

    def refused(self, act):
        """Whether the product refuses; either way nothing half done may stay, which the invariants see."""
        try:
            act()
        except DomainError:
            return True
        return False

    # --- what staff and payers do ------------------------------------------------------------------------
    @rule(target=bills, price=st.integers(100, 9_000), quantity=st.integers(1, 3))
    def write_draft(self, price, quantity):
        due = timezone.now() + timedelta(days=14)
        lines = [("Beans", quantity, price), ("Delivery", 1, 500)]
        record = statements.create_statement(self.customer, lines=lines, currency="USD", due_at=due, by=None)
        self.known.append(bill := Bill(record, quantity * price + 500))
        return bill

    @rule(bill=bills)
    def finalise(self, bill):
        refused = self.refused(lambda: statements.finalize_statement(bill.record, by=None))
        assert refused == (bill.status != "draft")
        bill.status = "open" if bill.status == "draft" else bill.status

    @rule(bill=bills)
    def void(self, bill):
        refused = self.refused(lambda: statements.void_statement(current(bill), reason="wrong", by=None))
        assert refused == (bill.status not in OWED)
        if not refused:
            self.credit += bill.credit
            bill.status, bill.credit = "void", 0

    @rule(bill=bills)
    def give_up(self, bill):
        refused = self.refused(lambda: statements.mark_uncollectible(current(bill), by=None))
        assert refused == (bill.status != "open")
        bill.status = bill.status if refused else "uncollectible"

    @rule(target=paid, bill=bills, share=st.integers(1, 120))
    def pay(self, bill, share):
        amount = max(1, bill.total * share // 100)
        made = []
        refused = self.refused(
            lambda: made.append(
                payments.record_payment(self.customer, amount=amount, currency="USD", by=None, statement=current(bill))
            )
        )
        assert refused == (bill.status not in OWED or amount > bill.left)
        if refused:
            return multiple()
        bill.paid += amount
        self.settle(bill)
        self.received.append(payment := Paid(made[0], amount))
        return payment

    @rule(change=st.integers(-15_000, 15_000).filter(bool))
    def adjust(self, change):
        refused = self.refused(
            lambda: credit.adjust_credit(self.customer, amount=change, currency="USD", reason="goodwill", by=None)
        )
        assert refused == (self.credit + change < 0)
        self.credit += 0 if refused else change

    @rule(bill=bills)
    def use_credit(self, bill):
        refused = self.refused(lambda: credit.apply_credit(current(bill), by=None))
        taken = min(self.credit, bill.left) if bill.status in OWED else 0
        assert refused == (taken == 0)
        bill.credit += taken
        self.credit -= taken
        self.settle(bill)

    @rule(payment=paid, amount=amounts, destination=st.sampled_from(["method", "credit"]))
    def refund(self, payment, amount, destination):
        refused = self.refused(
            lambda: refunds.create_refund(
                payment.record, amount=amount, reason=Refund.Reason.REQUESTED, destination=destination, by=None
            )
        )
        assert refused == (payment.back + amount > payment.amount)
        if not refused:
            payment.back += amount
            self.credit += amount if destination == "credit" else 0

    def settle(self, bill):
        if bill.status in OWED and not bill.left:
            bill.status = "paid"

    # --- what must be true ---------------------------------------------------------------------------------
    @invariant()
    def statements_are_the_models(self):
        for bill in self.known:
            now = current(bill)
            assert (now.status, now.total, now.amount_paid, now.credit_applied) == (
                bill.status,
                bill.total,
                bill.paid,
                bill.credit,
            )

    @invariant()
    def p1_to_p4(self):
        for bill in self.known:
            now = current(bill)
            assert now.subtotal == sum(line.quantity * line.unit_price for line in now.lines.all())
            assert 0 <= now.discount_amount <= now.subtotal
            assert now.total == now.subtotal - now.discount_amount
            assert 0 <= now.amount_remaining == now.total - now.credit_applied - now.amount_paid <= now.total
            assert (now.status == "paid") == (bool(now.finalized_at) and not now.amount_remaining and now.status != "void")
            assert not now.overdue

    @invariant()
    def refunds_never_pass_the_payment(self):
        for payment in self.received:
            now = Payment.objects.get(pk=payment.record.pk)
            assert now.amount_refunded == payment.back <= now.amount

    @invariant()
    def i6_credit_is_the_sum_of_its_entries(self):
        kept = CustomerTotal.objects.filter(customer=self.customer).values_list("credit_balance", flat=True).first() or 0
        entries = sum(BalanceEntry.objects.filter(customer=self.customer).values_list("amount", flat=True))
        assert kept == entries == self.credit >= 0

    @invariant()
    def the_ledger_proves_itself(self):
        assert ledger_errors() == []


def current(bill):
    return BillingStatement.objects.get(pk=bill.record.pk)


EXAMPLES = int(os.environ.get("MONEY_MACHINE_EXAMPLES", "6"))  # more on demand


@pytest.mark.django_db
def test_money_adds_up_whatever_staff_and_payers_do():
    run_state_machine_as_test(MoneyMachine, settings=settings(max_examples=EXAMPLES, stateful_step_count=20, deadline=None))


@pytest.mark.django_db
def test_without_the_check_of_what_is_left_the_machine_finds_it(monkeypatch):
    """The control: a refund that takes without looking."""
    monkeypatch.setattr(refunds, "_take", lambda payment, amount: None)
    machine = MoneyMachine()
    try:
        bill = machine.write_draft(price=1000, quantity=1)
        machine.finalise(bill)
        payment = machine.pay(bill, share=100)
        machine.refund(payment, amount=1000, destination="method")

        with pytest.raises(AssertionError):
            machine.refunds_never_pass_the_payment()
        assert ledger_errors()
    finally:
        machine.teardown()
