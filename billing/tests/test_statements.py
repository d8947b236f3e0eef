"""Billing statements: amounts that add up, numbers without gaps, and documents that never change."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.domain.ledger import ledger_errors
from billing.domain.payments import record_payment
from billing.domain.statements import create_statement, finalize_statement
from billing.models import BillingStatement, CustomerTotal, LineItem, Payment
from billing.tests.factories import make_customer, make_open_statement, make_statement
from billing.tests.test_attempts import at_once
from customers.domain import archive_customer, update_address, update_customer
from dashboard import search
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db


def test_a_draft_adds_up_its_lines_and_has_no_number(max):
    statement = make_statement(by=max)

    assert (statement.subtotal, statement.total, statement.amount_remaining) == (4860, 4860, 4860)
    assert (statement.number, statement.status, statement.badge) == ("", "draft", "Draft")
    assert [str(line.amount_money) for line in statement.lines.all()] == ["$43.60", "$5.00"]
    assert Event.objects.get(type="billing_statement.created").by == max


@pytest.mark.parametrize("line", [("", 1, 100), ("Beans", 0, 100), ("Beans", 1, -1), ("Beans", 2, 10**12)])
def test_an_impossible_line_is_refused_and_nothing_is_kept(line):
    with pytest.raises(DomainError):
        make_statement(lines=[("Good", 1, 100), line])
    assert not BillingStatement.objects.exists()
    assert not LineItem.objects.exists()


def test_an_archived_customer_gets_no_statement(max):
    with pytest.raises(DomainError, match="archived"):
        make_statement(archive_customer(make_customer(), by=max))


def test_finalising_numbers_and_freezes_the_statement(max):
    customer = make_customer(billing_statement_prefix="HARBOUR")

    statement = make_open_statement(customer, by=max)

    assert (statement.number, statement.status, statement.badge) == ("HARBOUR-0001", "open", "Open")
    assert statement.merchant_name
    assert (statement.bill_to_name, statement.bill_to_address["city"]) == ("Marta Santos", "Manila")
    assert Event.objects.get(type="billing_statement.open").by == max


def test_a_finalised_statement_does_not_change_when_the_customer_does(max):
    statement = make_open_statement()
    before = BillingStatement.objects.values().get()

    update_customer(statement.customer, version=1, by=max, last_name="Reyes", email="other@example.com", tax_id="9")
    update_address(statement.customer.address, by=max, city="Cebu")

    assert BillingStatement.objects.values().get() == before


@pytest.mark.parametrize(("missing", "word"), [({"due_at": None}, "due date"), ({"lines": []}, "line")])
def test_an_unfinished_draft_is_not_finalised(missing, word):
    statement = make_statement(**missing)

    with pytest.raises(DomainError, match=word):
        finalize_statement(statement, by=None)


def test_a_customer_without_email_is_not_billed():
    with pytest.raises(DomainError, match="e-mail"):
        make_open_statement(make_customer(email=""))


def test_finalising_twice_is_refused():
    statement = make_open_statement()

    with pytest.raises(DomainError, match=r"open already\. System finalised it on"):
        finalize_statement(statement, by=None)


def test_a_refused_statement_leaves_no_gap_in_the_numbers():
    customer = make_customer(billing_statement_prefix="GAPLESS")
    numbers = []
    for n in range(5):
        statement = make_statement(customer, due_at=timezone.now() + timedelta(days=1) if n % 2 == 0 else None)
        try:
            with transaction.atomic():
                numbers.append(finalize_statement(statement, by=None).number)
                if n == 2:
                    numbers.pop()
                    raise DomainError("rolled back after its number was taken")
        except DomainError:
            pass

    assert numbers == ["GAPLESS-0001", "GAPLESS-0002"]


@pytest.mark.django_db(transaction=True)
def test_statements_finalised_at_once_have_numbers_without_gaps_or_doubles():
    customer = make_customer(billing_statement_prefix="RACE")
    drafts = [make_statement(customer) for _ in range(8)]

    results = at_once(8, lambda n: finalize_statement(drafts[n], by=None).number)

    won = sorted(r for r in results if isinstance(r, str))
    assert won == [f"RACE-{n:04d}" for n in range(1, len(won) + 1)]
    assert len(won) == 8, results


@pytest.mark.django_db(transaction=True)
def test_of_two_staff_finalising_one_draft_one_is_told():
    statement = make_statement()

    results = at_once(2, lambda n: finalize_statement(statement, by=None))

    assert sorted(isinstance(r, DomainError) for r in results) == [False, True]
    assert BillingStatement.objects.get().number.endswith("-0001")


def test_a_statement_of_nothing_is_paid_at_once():
    statement = make_open_statement(lines=[("Free sample", 1, 0)])

    assert (statement.status, statement.amount_remaining) == ("paid", 0)
    assert statement.paid_at


def test_past_dates_may_be_told_for_records_of_the_past():
    at = timezone.now() - timedelta(days=400)
    customer = make_customer()

    statement = create_statement(customer, lines=[("Old", 1, 100)], currency="USD", due_at=at, created_at=at, by=None)
    statement = finalize_statement(statement, by=None, at=at)
    payment = record_payment(customer, amount=100, currency="USD", statement=statement, paid_at=at, by=None)

    statement.refresh_from_db()
    assert {statement.created_at, statement.finalized_at, statement.paid_at, payment.paid_at, payment.created_at} == {at}


# --- payments recorded for it ----------------------------------------------------------------------------
def test_a_recorded_payment_pays_the_statement_off(max):
    statement = make_open_statement()

    record_payment(statement.customer, amount=4860, currency="USD", statement=statement, by=max)

    statement.refresh_from_db()
    assert (statement.status, statement.amount_paid, statement.amount_remaining) == ("paid", 4860, 0)
    assert CustomerTotal.objects.get().collected == 4860
    assert Event.objects.filter(type__in=["payment.paid", "billing_statement.paid"], by=max).count() == 2
    assert ledger_errors() == []


def test_a_part_of_it_leaves_the_rest_to_pay():
    statement = make_open_statement()

    record_payment(statement.customer, amount=860, currency="USD", statement=statement, by=None)

    statement.refresh_from_db()
    assert (statement.status, statement.badge, str(statement.amount_remaining_money)) == ("open", "Partly paid", "$40.00")


@pytest.mark.parametrize("wrong", [{"amount": 4861}, {"currency": "EUR"}])
def test_what_does_not_fit_the_statement_is_not_recorded(wrong):
    statement = make_open_statement()

    with pytest.raises(DomainError, match=r"[Nn]o(ne)? .*recorded|none was recorded"):
        record_payment(statement.customer, **({"amount": 4860, "currency": "USD"} | wrong), statement=statement, by=None)
    assert not Payment.objects.exists()


def test_a_draft_and_a_paid_statement_take_no_payment():
    draft, paid = make_statement(), make_open_statement(lines=[("Free", 1, 0)])

    for statement in (draft, paid):
        with pytest.raises(DomainError, match="takes no payment"):
            record_payment(statement.customer, amount=1, currency="USD", statement=statement, by=None)


@pytest.mark.django_db(transaction=True)
def test_two_payments_at_once_never_overpay_a_statement():
    statement = make_open_statement()

    results = at_once(6, lambda n: record_payment(statement.customer, amount=3000, currency="USD", statement=statement, by=None))

    assert sum(isinstance(r, Payment) for r in results) == 1, results
    statement.refresh_from_db()
    assert statement.amount_remaining == 1860
    assert ledger_errors() == []


def test_totals_are_kept_by_currency():
    customer = make_customer()
    for amount, currency in ((100, "USD"), (250, "USD"), (9, "JPY")):
        record_payment(customer, amount=amount, currency=currency, product_type="api", by=None)

    assert [(t.currency, t.collected, t.successful_payments) for t in customer.totals.all()] == [("JPY", 9, 1), ("USD", 350, 2)]


# --- overdue ----------------------------------------------------------------------------------------------
def test_past_due_is_open_or_given_up_with_something_left():
    yesterday, tomorrow = (timezone.now() + timedelta(days=d) for d in (-1, 1))
    late, given_up = make_open_statement(due_at=yesterday), make_open_statement(due_at=yesterday)
    BillingStatement.objects.filter(pk=given_up.pk).update(status="uncollectible")
    make_open_statement(due_at=tomorrow)
    make_statement(due_at=yesterday)
    paid = make_open_statement(due_at=yesterday)
    record_payment(paid.customer, amount=4860, currency="USD", statement=paid, by=None)

    assert set(BillingStatement.objects.past_due()) == {late, given_up}
    assert list(BillingStatement.objects.overdue()) == [late]
    assert (late.overdue, late.badge) == (True, "Overdue")


# --- the database's own word ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [
        {"total": 1},
        {"amount_paid": 1},
        {"amount_remaining": 4861},
        {"discount_amount": 5000},
        {"status": "paid"},
        {"number": ""},
        {"subtotal": -1},
    ],
)
def test_the_database_refuses_a_statement_that_does_not_add_up(wrong):
    statement = make_open_statement()

    with pytest.raises(IntegrityError), transaction.atomic():
        BillingStatement.objects.filter(pk=statement.pk).update(**wrong)


def test_nobody_with_money_can_be_deleted():
    from django.db.models import ProtectedError

    statement = make_open_statement()

    with pytest.raises(ProtectedError):
        statement.customer.delete()


def test_statements_are_found_by_number_name_and_line():
    statement = make_open_statement()
    make_open_statement(make_customer(first_name="Jo", last_name="Reyes", email="jo@example.com"), lines=[("Cups", 1, 100)])

    for text in (statement.number, "santos", "coffee beans", statement.pk[-24:]):
        assert list(search.matching(BillingStatement.objects.all(), text)) == [statement], text


# --- the proof -----------------------------------------------------------------------------------------
def test_check_ledger_finds_every_kind_of_wrong_total():
    from django.core.management import CommandError, call_command

    statement = make_open_statement()
    record_payment(statement.customer, amount=860, currency="USD", statement=statement, by=None)
    call_command("check_ledger")

    CustomerTotal.objects.update(collected=1)
    Payment.objects.update(amount=861)
    LineItem.objects.filter(position=2).delete()

    with pytest.raises(CommandError, match="3 stored totals"):
        call_command("check_ledger")
