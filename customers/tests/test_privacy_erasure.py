"""Erasing a customer: what it refuses, takes, keeps and leaves alone. The proof over every column is the drill."""

import io
import json
from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, transaction

from billing import documents
from billing.domain import reminders
from billing.domain.balance import adjust_credit
from billing.domain.payment_edits import update_payment, version_of
from billing.domain.payments import record_payment
from billing.domain.statements import update_metadata
from billing.gateways.base import OutcomeUnknown
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.models import BalanceEntry, BillingStatement, Payment, PaymentMethod
from billing.tests.factories import (
    make_coupon,
    make_dispute,
    make_method,
    make_open_statement,
    make_request,
    make_statement,
    make_subscription,
)
from billing.tests.test_documents import text_of
from customers import domain
from customers.models import Address, Comment, Customer, KeptRecord
from customers.privacy import erasure
from customers.tests.factories import make_address, make_comment, make_customer
from dashboard import events, search
from dashboard.audit_check import Check
from dashboard.imports import runs
from dashboard.models import Event, Mail, SavedView
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db


def forgettable(by, **fields):
    """Ana Cruz, with contact data, and one paid statement."""
    told = {"email": "ana@example.com", "phone": "+639175550123", "tax_id": "PH-77", "metadata": {"crm": "77"}} | fields
    customer = make_customer(by=by, **told)
    make_address(customer, by=by)
    make_comment(customer, by=by)
    statement = make_open_statement(customer, by=by)
    record_payment(customer, amount=statement.total, currency="USD", statement=statement, by=by)
    return customer


def erase(customer, by, why="asked"):
    return erasure.erase_customer(customer, why=why, by=by)[0]


# --- what stands in the way ------------------------------------------------------------------------------------------
def test_open_money_is_settled_first(alice):
    customer = forgettable(alice)
    make_open_statement(customer, by=alice)
    make_request(customer, by=alice)
    make_subscription(customer, by=alice, name="Beans")
    make_dispute(Payment.objects.get())
    said = [obstacle.sentence for obstacle in erasure.obstacles(customer)]

    with pytest.raises(DomainError, match=r"is open: .*Nothing was erased"):
        erase(customer, alice)

    for words in ("is open", "can still be paid", "still bills", "dispute"):
        assert any(words in sentence for sentence in said), words
    assert all(obstacle.url for obstacle in erasure.obstacles(customer))
    customer.refresh_from_db()
    assert (customer.email, customer.erased_at) == ("ana@example.com", None)


def test_an_import_that_names_them_is_waited_for_or_given_up(alice):
    customer, file = forgettable(alice), io.BytesIO(b"email\nana@example.com\n")
    file.name, file.size = "people.csv", 22
    run = runs.start_import(file, importer="customers", livemode=False, by=alice)
    type(run).objects.filter(pk=run.pk).update(status="checking")
    assert "at work" in erasure.obstacles(customer)[0].sentence

    type(run).objects.filter(pk=run.pk).update(status="uploaded")
    erase(customer, alice)

    run.refresh_from_db()
    assert run.status == "canceled"
    assert not run.pieces.exists()


# --- what goes, and what stays --------------------------------------------------------------------------------------------
def test_an_erased_customer_is_nobody_any_more(alice):
    customer = forgettable(alice)
    make_coupon(by=alice, code="ANA10", name="For Ana", customer=customer)
    make_statement(customer, by=alice)
    query = "q=ana%40example.com&kind=company"
    SavedView.objects.create(list="customers:customers", name="Ana", query=query, owner=alice, livemode=False)

    erased = erase(customer, alice)

    assert (erased.name, erased.email, erased.phone, erased.tax_id, erased.metadata) == ("Erased customer", "", "", "", {})
    assert (erased.status, erased.country, bool(erased.erased_at)) == ("archived", "", True)
    assert (Address.objects.count(), Comment.objects.count()) == (0, 0)
    assert not BillingStatement.objects.filter(status="draft").exists()
    assert erased.coupons.get().code.startswith("ERASED_")
    assert not erased.coupons.get().active
    assert SavedView.objects.get().query == "kind=company"
    for words in ("Ana", "Cruz", "ana@example.com", "5550123"):
        assert not search.matching(Customer.objects.all(), words).exists(), words
        assert not search.matching(BillingStatement.objects.all(), words).exists(), words


def test_documents_lose_names_and_keep_amounts_and_numbers(alice, settings):
    settings.RETENTION_YEARS = 10
    customer = forgettable(alice)
    before = BillingStatement.objects.get()

    erase(customer, alice)

    statement, year = BillingStatement.objects.get(), before.finalized_at.year + 10
    assert (statement.number, statement.total, statement.amount_paid) == (before.number, before.total, before.amount_paid)
    assert (statement.bill_to_name, statement.bill_to_email, statement.bill_to_address) == ("Erased customer", "", {})
    assert {line.description for line in statement.lines.all()} == {"Item"}
    kept = KeptRecord.objects.get(object_id=statement.pk)
    assert (kept.values["bill_to_name"], kept.values["bill_to_email"]) == ("Ana Cruz", "ana@example.com")
    assert str(kept.kept_until) == f"{year}-12-31"


def test_the_activity_log_says_that_it_happened_and_not_to_whom(alice):
    customer = forgettable(alice)
    domain.update_customer(customer, version=1, by=alice, first_name="Anna", email="anna@example.com")
    events.note("customers.exported", by=alice, livemode=False, filters={"q": "anna@example.com", "kind": "company"})

    erase(customer, alice)

    updated = Event.objects.get(type="customer.updated")
    assert updated.changes == {"first_name": ["•••", "•••"], "email": ["•••", "•••"]}
    assert updated.sentence.startswith("Customer updated: ")
    assert Event.objects.get(type="customers.exported").data["filters"] == {"q": "•••", "kind": "company"}
    told = json.dumps(list(Event.objects.values_list("changes", "data")), default=str).lower()
    assert not [word for word in ("ana", "cruz", "@example", "manila", "late in december") if word in told.replace("manager", "")]
    data = Event.objects.get(type="customer.erased").data
    assert set(data) == {"reason", "counts"}
    assert (data["reason"], data["counts"]["address"]) == ("asked", 1)
    assert all(isinstance(count, int) for count in data["counts"].values())
    assert list(Check().faults()) == []


def test_a_mail_that_has_not_left_does_not_leave(alice):
    customer = forgettable(alice)
    mail = Mail.objects.create(
        livemode=False, kind="statement", object_type="customers.customer", object_id=customer.pk, customer_id=customer.pk,
        to="ana@example.com", subject="Dear Ana", text="Dear Ana",
    )  # fmt: skip

    erase(customer, alice)

    mail.refresh_from_db()
    assert (mail.to, mail.subject, mail.text, mail.state) == ("", "", "", "held")


def test_links_of_payers_open_nothing_any_more(alice):
    customer = forgettable(alice)
    token = BillingStatement.objects.get().token
    assert BillingStatement.objects.for_token(token)

    erase(customer, alice)

    assert BillingStatement.objects.for_token(token) is None
    assert BillingStatement.objects.get().url == ""


def test_other_customers_keep_what_is_theirs(alice):
    customer, other = (
        forgettable(alice),
        forgettable(alice, first_name="Ben", last_name="Diaz", email="ben@example.com", phone=""),
    )

    erase(customer, alice)

    other.refresh_from_db()
    assert (other.name, other.email, other.addresses.count(), other.comments.count()) == ("Ben Diaz", "ben@example.com", 1, 1)
    assert BillingStatement.objects.get(customer=other).bill_to_name == "Ben Diaz"


def test_an_address_two_customers_share_finds_nothing_of_the_other(alice):
    customer, other = forgettable(alice), forgettable(alice, first_name="Ben", phone="")
    view = SavedView.objects.create(
        list="customers:customers", name="a", query="q=ana%40example.com", owner=alice, livemode=False
    )

    erase(customer, alice)

    view.refresh_from_db()
    assert view.query == "q=ana%40example.com"
    erase(other, alice)
    view.refresh_from_db()
    assert view.query == ""


def test_of_a_balance_entry_the_reason_alone_can_be_emptied(alice):
    adjust_credit(make_customer(by=alice), amount=500, currency="USD", reason="For Ana", by=alice)
    rows = BalanceEntry.objects.filter(pk=BalanceEntry.objects.get().pk)

    for change in ({"reason": "Another"}, {"amount": 1}, {"reason": "", "amount": 1}):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            rows.update(**change)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        rows.delete()

    assert rows.update(reason="") == 1
    assert rows.get().amount == 500


# --- afterwards ----------------------------------------------------------------------------------------------------------
def test_nothing_new_is_stored_about_them(alice):
    customer = erase(forgettable(alice), alice)
    statement, payment = BillingStatement.objects.get(), Payment.objects.get()
    again = (
        lambda: domain.update_customer(customer, version=customer.version, by=alice, first_name="Ana"),
        lambda: domain.restore_customer(customer, by=alice),
        lambda: domain.add_address(customer, by=alice, line1="1 Street"),
        lambda: domain.add_comment(customer, body="Ana", by=alice),
        lambda: make_statement(customer, by=alice),
        lambda: make_request(customer, by=alice),
        lambda: make_method(customer, by=alice),
        lambda: update_metadata(statement, metadata={"who": "Ana"}, version=statement.version, by=alice),
        lambda: update_payment(payment, description="Ana", metadata={}, version=version_of(payment), by=alice),
    )

    for act in again:
        with pytest.raises(DomainError, match="This customer was erased"):
            act()
    assert domain.take_email(customer, email="ana@example.com", at=datetime(2050, 1, 1, tzinfo=UTC), by=None).email == ""
    assert not reminders.send_due_reminders()


def test_erasing_again_takes_what_came_since_and_only_that(alice):
    customer = erase(forgettable(alice), alice)
    with pytest.raises(DomainError, match="Nothing personal is left"):
        erase(customer, alice)
    BillingStatement.objects.update(description="For Ana")
    events.record("customer.noted", customer, by=alice, text="Ana")
    kept = KeptRecord.objects.count()

    erase(customer, alice)

    statement = BillingStatement.objects.get()
    assert (statement.description, KeptRecord.objects.count()) == ("", kept)
    assert KeptRecord.objects.get(object_id=statement.pk).values["bill_to_name"] == "Ana Cruz"
    assert Event.objects.get(type="customer.noted").data == {"text": "•••"}
    assert [e.data["counts"] for e in Event.objects.filter(type="customer.erased").order_by("pk")][1] == {
        "billingstatement": 1, "event": 1,
    }  # fmt: skip
    assert list(Check().faults()) == []


def test_the_gateway_is_asked_to_forget_and_what_it_does_not_answer_is_told(alice, monkeypatch):
    customer, calls = forgettable(alice), []
    make_method(customer, by=alice, card_name="Ana Cruz")

    def silent(self, token, *, key):
        calls.append(token)
        raise OutcomeUnknown("No answer came.")

    monkeypatch.setattr(SandboxGateway, "detach_method", silent)
    _, elsewhere = erasure.erase_customer(customer, why="asked", by=alice)
    method = PaymentMethod.objects.get()
    assert elsewhere == ["Sandbox may still keep a card: No answer came."]
    assert (method.card_name, method.card_number_last4, method.status) == ("", "••••", "archived")

    monkeypatch.setattr(SandboxGateway, "detach_method", lambda self, token, *, key: calls.append(token))
    _, elsewhere = erasure.erase_customer(customer, why="asked", by=alice)

    assert (elsewhere, calls) == ([], [calls[0]] * 2)
    assert PaymentMethod.objects.get().gateway_token == f"erased:{method.pk}"


def test_what_the_law_keeps_is_printed_for_admins_alone(alice, max, as_alice, as_max):
    erase(forgettable(alice), alice)
    statement, payment = BillingStatement.objects.get(), Payment.objects.get()

    for address in (f"/billing/statements/{statement.pk}/statement.pdf", f"/billing/payments/{payment.pk}/receipt.pdf"):
        assert "Ana Cruz" in text_of(as_alice.get(address).content)
        assert "Ana Cruz" not in text_of(as_max.get(address).content)
        assert "Erased customer" in text_of(as_max.get(address).content)
    assert "Coffee beans" not in text_of(documents.statement_pdf(statement))


def test_kept_names_go_when_their_time_is_over_and_amounts_stay(alice, settings):
    settings.RETENTION_YEARS = 10
    customer = erase(forgettable(alice), alice)
    year, total = BillingStatement.objects.get().finalized_at.year, BillingStatement.objects.get().total
    before, after = datetime(year + 10, 12, 31, 12, tzinfo=UTC), datetime(year + 11, 1, 1, 12, tzinfo=UTC)

    assert not erasure.kept_overdue(before).exists()
    assert erasure.scrub_kept(customer, by=None, now=before) == 0
    assert not Event.objects.filter(type="customer.scrubbed").exists()

    assert list(erasure.kept_overdue(after)) == [customer]
    assert erasure.scrub_kept(customer, by=None, now=after) > 2
    assert not KeptRecord.objects.exists()
    assert BillingStatement.objects.get().total == total
    assert Event.objects.get(type="customer.scrubbed").data.keys() == {"count"}


def test_a_reason_is_one_of_ours(alice):
    with pytest.raises(ValueError, match="because of Ana"):
        erase(forgettable(alice), alice, why="because of Ana")
