"""What may be done to a billing statement from draft to end, and what is refused; each leaves its event."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.domain import checkouts, credit
from billing.domain import statements as domain
from billing.domain.ledger import ledger_errors
from billing.domain.payments import record_payment
from billing.gateways.sandbox.models import SandboxCheckout
from billing.models import Attempt, BalanceEntry, BillingStatement, LineItem
from billing.tests.factories import make_customer, make_open_statement, make_statement, submit_card
from billing.tests.test_attempts import at_once
from customers.domain import Stale, archive_customer
from dashboard import search
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
LINES = [("Tea", 3, 900)]


def events_of(statement):
    return [e.type.partition(".")[2] for e in Event.objects.filter(object_id=statement.pk).order_by("pk")]


def status_of(statement):
    return BillingStatement.objects.get(pk=statement.pk).status


# --- drafts -------------------------------------------------------------------------------------------------
def test_the_newest_statement_sets_the_customers_email_and_an_older_one_does_not(max):
    customer = make_customer()
    old = timezone.now() - timedelta(days=30)

    make_statement(customer, by=max, email="new@example.com")
    make_statement(customer, by=max, email="older@example.com", created_at=old)

    customer.refresh_from_db()
    assert customer.email == "new@example.com"
    assert Event.objects.get(type="customer.updated").changes["email"] == ["marta@example.com", "new@example.com"]


def test_a_draft_takes_new_lines_and_fields_and_its_totals_follow(max):
    statement = make_statement()

    after = domain.update_draft(statement, version=1, by=max, lines=LINES, description="Tea for three")

    after.refresh_from_db()
    assert (after.version, after.total, after.amount_remaining, after.description) == (2, 2700, 2700, "Tea for three")
    assert list(search.matching(BillingStatement.objects.all(), "tea for three")) == [after]
    assert Event.objects.get(type="billing_statement.updated").changes["lines"][1] == [["Tea", 3, 900]]


def test_a_save_that_changes_nothing_writes_nothing():
    statement = make_statement()
    lines = [(x.description, x.quantity, x.unit_price) for x in statement.lines.all()]

    domain.update_draft(statement, version=1, by=None, lines=lines, due_at=statement.due_at)

    assert events_of(statement) == ["created"]
    assert BillingStatement.objects.get().version == 1


def test_an_old_version_overwrites_nothing():
    statement = make_statement()
    domain.update_draft(statement, version=1, by=None, lines=LINES)

    with pytest.raises(Stale):
        domain.update_draft(statement, version=1, by=None, lines=[("Coffee", 1, 1)])
    assert str(LineItem.objects.get()) == "Tea"


@pytest.mark.django_db(transaction=True)
def test_of_many_edits_of_one_version_one_is_kept():
    statement = make_statement()

    results = at_once(6, lambda n: domain.update_draft(statement, version=1, by=None, lines=[(f"Tea {n}", 1, 100 + n)]))

    assert sum(isinstance(r, BillingStatement) for r in results) == 1
    assert sum(isinstance(r, Stale) for r in results) == 5, results
    assert LineItem.objects.count() == 1
    assert ledger_errors() == []


@pytest.mark.parametrize("field", ["status", "number", "total", "customer"])
def test_a_field_of_its_own_life_cannot_be_set_by_an_edit(field):
    with pytest.raises(TypeError):
        domain.update_draft(make_statement(), version=1, by=None, lines=LINES, **{field: "x"})


def test_a_deleted_draft_leaves_its_events(max):
    statement = make_statement()

    domain.delete_draft(statement, by=max)

    assert not BillingStatement.objects.exists()
    assert not LineItem.objects.exists()
    event = Event.objects.get(type="billing_statement.deleted")
    assert (event.by, event.data["total"], event.data["lines"][1]) == (max, 4860, ["Delivery", 1, 500])
    with pytest.raises(DomainError, match="deleted a moment ago"):
        domain.finalize_statement(statement, by=max)


def test_only_a_draft_is_deleted_or_edited():
    statement = make_open_statement()

    for act in (
        lambda: domain.delete_draft(statement, by=None),
        lambda: domain.update_draft(statement, version=1, by=None, lines=LINES),
    ):
        with pytest.raises(DomainError, match="is open already"):
            act()
    assert statement.lines.count() == 2


@pytest.mark.parametrize("status", ["draft", "open", "void", "paid"])
def test_any_statement_is_duplicated_into_a_draft_with_its_lines(status, max):
    statement = make_statement(metadata={"po": "7"}) if status == "draft" else make_open_statement(metadata={"po": "7"})
    if status == "void":
        domain.void_statement(statement, reason="Wrong price", by=max)
    if status == "paid":
        record_payment(statement.customer, amount=4860, currency="USD", statement=statement, by=max)
    statement.refresh_from_db()

    copy = domain.duplicate_statement(statement, by=max)

    assert (copy.status, copy.number, copy.description, copy.metadata) == ("draft", "", "", {"po": "7"})
    assert [str(x.amount_money) for x in copy.lines.all()] == ["$43.60", "$5.00"]
    assert copy.due_at > timezone.now() + timedelta(days=13)
    assert status_of(statement) == status
    assert Event.objects.get(type="billing_statement.duplicated").data["copy"] == copy.pk


def test_one_form_duplicates_once():
    statement = make_open_statement()

    assert len({domain.duplicate_statement(statement, by=None, form_key="k" * 32).pk for _ in range(3)}) == 1
    assert events_of(statement).count("duplicated") == 1


# --- finalising ------------------------------------------------------------------------------------------------
def test_a_finalised_statement_names_itself_unless_it_says_what_for():
    plain, told = make_open_statement(), make_open_statement(description="November order")

    assert plain.description == f"Payment for Billing Statement {plain.number}"
    assert told.description == "November order"


def test_a_due_date_that_has_passed_is_refused():
    statement = make_statement(due_at=timezone.now() - timedelta(minutes=1))

    with pytest.raises(DomainError, match="due date has passed"):
        domain.finalize_statement(statement, by=None)
    assert status_of(statement) == "draft"


@pytest.mark.parametrize("price", [49, 1])
def test_what_no_gateway_takes_is_refused_and_no_number_is_used(price):
    statement = make_statement(lines=[("Pin", 1, price)])

    with pytest.raises(DomainError, match="payments can be from"):
        domain.finalize_statement(statement, by=None)
    assert status_of(statement) == "draft"
    statement.customer.refresh_from_db()
    assert statement.customer.next_billing_statement_sequence_number == 1


def test_where_no_gateway_is_there_is_no_limit():
    assert make_open_statement(make_customer(livemode=True), lines=[("Pin", 1, 1)]).status == "open"


def test_a_draft_of_an_archived_customer_stays_a_draft(max):
    statement = make_statement()
    archive_customer(statement.customer, by=max)

    with pytest.raises(DomainError, match="archived"):
        domain.finalize_statement(statement, by=max)


def test_what_was_not_looked_at_is_not_finalised():
    statement = make_statement()
    domain.update_draft(statement, version=1, by=None, lines=LINES)

    with pytest.raises(Stale):
        domain.finalize_statement(statement, by=None, version=1)
    assert status_of(statement) == "draft"


@pytest.mark.django_db(transaction=True)
def test_of_two_staff_finalising_the_second_is_told_who_and_when(max, sue):
    statement = make_statement()
    staff = [max, sue]

    results = at_once(2, lambda n: domain.finalize_statement(statement, by=staff[n], version=1))

    told = next(str(r) for r in results if isinstance(r, DomainError))
    winner = Event.objects.get(type="billing_statement.open").by
    assert f"{winner} finalised it on {timezone.localtime():%-d %b %Y} at" in told
    assert BillingStatement.objects.get().number.endswith("-0001")


def test_credit_is_applied_when_asked_and_kept_when_not(max):
    customer = make_customer()
    credit.adjust_credit(customer, amount=1000, currency="USD", reason="Goodwill", by=max)

    without = make_open_statement(customer)
    asked = domain.finalize_statement(make_statement(customer), by=max, apply_credit=True)

    assert (without.amount_remaining, asked.credit_applied, asked.amount_remaining) == (4860, 1000, 3860)
    assert credit.balances(customer) == []


def test_credit_that_covers_all_pays_the_statement_at_once(max):
    customer = make_customer()
    credit.adjust_credit(customer, amount=9000, currency="USD", reason="Goodwill", by=max)

    statement = domain.finalize_statement(make_statement(customer), by=max, apply_credit=True)

    assert (statement.status, statement.amount_remaining, bool(statement.paid_at)) == ("paid", 0, True)
    assert str(credit.balance(customer, "USD")) == "$41.40"
    assert ledger_errors() == []


def test_credit_that_leaves_too_little_to_charge_undoes_everything(max):
    customer = make_customer()
    credit.adjust_credit(customer, amount=4850, currency="USD", reason="Goodwill", by=max)
    statement = make_statement(customer)

    with pytest.raises(DomainError, match=r"\$0.10 would remain"):
        domain.finalize_statement(statement, by=max, apply_credit=True)
    assert status_of(statement) == "draft"
    assert str(credit.balance(customer, "USD")) == "$48.50"


# --- void and uncollectible ----------------------------------------------------------------------------------------
def test_a_void_statement_takes_no_payment_and_its_page_at_the_gateway_is_closed(max):
    statement = make_open_statement()
    attempt = checkouts.start_payment(statement)

    domain.void_statement(statement, reason="Wrong amount", by=max)

    statement.refresh_from_db()
    assert (statement.status, bool(statement.voided_at), statement.payable) == ("void", True, False)
    assert Event.objects.get(type="billing_statement.void").data["why"] == "Wrong amount"
    assert SandboxCheckout.objects.get(pk=attempt.remote_id).status != "open"
    assert Attempt.objects.get().state == "failed"
    with pytest.raises(DomainError, match="canceled"):
        checkouts.start_payment(statement)


def test_a_void_statement_gives_its_credit_back(max):
    statement = make_open_statement()
    credit.adjust_credit(statement.customer, amount=1000, currency="USD", reason="Goodwill", by=max)
    credit.apply_credit(statement, by=max)

    domain.void_statement(statement, reason="Wrong amount", by=max)

    statement.refresh_from_db()
    assert (statement.credit_applied, statement.amount_remaining) == (0, 4860)
    assert str(credit.balance(statement.customer, "USD")) == "$10.00"
    assert BalanceEntry.objects.filter(kind="released").count() == 1
    assert ledger_errors() == []


@pytest.mark.parametrize("act", ["void", "uncollectible"])
def test_a_statement_paid_this_moment_is_neither_voided_nor_given_up(act, max):
    statement = make_open_statement()
    submit_card(checkouts.start_payment(statement))

    with pytest.raises(DomainError, match="just paid"):
        end(statement, act, max)
    assert status_of(statement) == "paid"


def end(statement, act, by):
    if act == "void":
        return domain.void_statement(statement, reason="Wrong", by=by)
    return domain.mark_uncollectible(statement, by=by, why="Closed down")


@pytest.mark.parametrize("act", ["void", "uncollectible"])
@pytest.mark.parametrize("state", ["draft", "paid", "void"])
def test_only_what_is_owed_is_voided_or_given_up(act, state, max):
    statement = make_statement() if state == "draft" else make_open_statement()
    if state == "paid":
        record_payment(statement.customer, amount=4860, currency="USD", statement=statement, by=max)
    if state == "void":
        end(statement, "void", max)
    statement.refresh_from_db()

    with pytest.raises(DomainError, match="cannot be"):
        end(statement, act, max)
    assert status_of(statement) == state


def test_voiding_needs_a_reason():
    with pytest.raises(DomainError, match="Say why"):
        domain.void_statement(make_open_statement(), reason="", by=None)


def test_a_statement_given_up_can_still_be_paid_or_voided(max):
    paid, void = (end(make_open_statement(), "uncollectible", max) for _ in range(2))
    assert (paid.payable, bool(paid.marked_uncollectible_at)) == (True, True)

    record_payment(paid.customer, amount=4860, currency="USD", statement=paid, by=max)
    end(void, "void", max)

    assert (status_of(paid), status_of(void)) == ("paid", "void")


@pytest.mark.django_db(transaction=True)
def test_of_a_void_and_a_recorded_payment_at_once_one_wins(max):
    for _ in range(4):
        statement = make_open_statement()
        acts = [
            lambda s=statement: domain.void_statement(s, reason="Wrong", by=max),
            lambda s=statement: record_payment(s.customer, amount=4860, currency="USD", statement=s, by=max),
        ]

        results = at_once(2, lambda n, acts=acts: acts[n]())

        assert sum(isinstance(r, DomainError) for r in results) == 1, results
        assert (status_of(statement) == "paid") == statement.payments.exists()
    assert ledger_errors() == []


# --- marks and metadata ----------------------------------------------------------------------------------------------
def test_the_fulfilled_mark_goes_on_and_off_and_twice_is_once(max):
    statement = make_open_statement()

    for fulfilled in (True, True, False, False):
        domain.fulfil_statement(statement, by=max, fulfilled=fulfilled)

    assert events_of(statement)[-2:] == ["fulfilled", "unfulfilled"]
    assert BillingStatement.objects.get().fulfilled_at is None


def test_a_draft_and_a_void_statement_have_nothing_to_fulfil(max):
    for statement in (make_statement(), end(make_open_statement(), "void", max)):
        with pytest.raises(DomainError, match="nothing to fulfil"):
            domain.fulfil_statement(statement, by=max)


@pytest.mark.parametrize("status", ["draft", "open", "void"])
def test_metadata_changes_in_any_status_and_nothing_else_does(status, max):
    statement = make_statement() if status == "draft" else make_open_statement()
    if status == "void":
        statement = end(statement, "void", max)
    before = BillingStatement.objects.values().get()

    domain.update_metadata(statement, metadata={"order": "zquux77"}, version=1, by=max)

    after = BillingStatement.objects.values().get()
    assert {k for k in after if after[k] != before[k]} == {"metadata", "search", "version", "updated_at"}
    assert search.matching(BillingStatement.objects.all(), "zquux77").exists()
    with pytest.raises(Stale):
        domain.update_metadata(statement, metadata={}, version=1, by=max)
