"""Invoices of another system as paid statements: complete, to the cent, and only once."""

import csv
import re
from pathlib import Path

import pytest

import dashboard
from billing.domain.ledger import ledger_errors
from billing.imports import import_invoices
from billing.models import BillingStatement, CustomerTotal, LineItem, Payment
from billing.tests.factories import make_customer
from customers.domain import create_customer
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
SAMPLE = Path(dashboard.__file__).parent / "sample"
INVOICES, LINES = SAMPLE / "invoice.csv", SAMPLE / "invoiceline_named.csv"
INVOICE_HEAD = "InvoiceId,CustomerId,InvoiceDate,BillingAddress,BillingCity,BillingState,BillingCountry,BillingPostalCode,Total"
LINE_HEAD = "InvoiceLineId,InvoiceId,Description,UnitPrice,Quantity"


@pytest.fixture
def sample_customers(db):
    """The sample's 59 customers, known by their reference."""
    with open(SAMPLE / "customer.csv", encoding="utf-8", newline="") as file:
        return [
            create_customer(
                by=None, livemode=False, currency="USD", reference=row["CustomerId"], first_name=row["FirstName"],
                last_name=row["LastName"], email=row["Email"].lower() if row["Email"].isascii() else "",
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """write([invoice rows], [line rows]) -> the two paths."""

    def write(invoices, lines, *, invoice_head=INVOICE_HEAD, line_head=LINE_HEAD):
        paths = tmp_path / "invoice.csv", tmp_path / "line.csv"
        for path, head, rows in zip(paths, (invoice_head, line_head), (invoices, lines), strict=True):
            path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
        return paths

    return write


def invoice(number=1, *, customer="7", date="2021-03-11 00:00:00", total="3.96"):
    return f"{number},{customer},{date},Theodor-Heuss-Straße 34,Stuttgart,,Germany,70174,{total}"


TWO_LINES = ["1,1,Balls to the Wall,0.99,1", "2,1,Restless and Wild,0.99,3"]


def everything():
    """All that an import may write, to tell whether a second one wrote anything."""
    tables = (BillingStatement, LineItem, Payment, CustomerTotal, Event)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def test_the_sample_is_complete_and_adds_up_to_the_cent(sample_customers, alice):
    report = import_invoices(INVOICES, LINES, by=alice)
    assert (report.created, report.lines, report.payments, report.problems) == (412, 2240, 412, [])
    assert [str(total) for total in report.totals] == ["$2,328.60"]
    assert sum(BillingStatement.objects.values_list("total", flat=True)) == 232_860
    assert sum(Payment.objects.paid().values_list("amount", flat=True)) == 232_860
    assert sum(CustomerTotal.objects.values_list("collected", flat=True)) == 232_860
    assert list(ledger_errors()) == []


def test_a_second_import_changes_nothing(sample_customers, alice):
    import_invoices(INVOICES, LINES, by=alice)
    before = everything()
    report = import_invoices(INVOICES, LINES, by=alice)
    assert (report.created, report.unchanged, report.problems) == (0, 412, [])
    assert everything() == before


def test_numbers_have_no_gaps_and_follow_the_dates(sample_customers, alice):
    import_invoices(INVOICES, LINES, by=alice)
    for customer in sample_customers:
        found = BillingStatement.objects.filter(customer=customer).order_by("created_at", "number")
        numbers = [s.number for s in found]
        assert numbers == [f"{customer.billing_statement_prefix}-{n:04d}" for n in range(1, len(numbers) + 1)]
        customer.refresh_from_db()
        assert customer.next_billing_statement_sequence_number == len(numbers) + 1


def test_an_invoice_becomes_a_paid_statement_with_its_date_lines_and_payment(write, alice):
    customer = make_customer(reference="7")
    import_invoices(*write([invoice()], TWO_LINES), by=alice)
    statement, payment = BillingStatement.objects.get(), Payment.objects.get()
    assert (statement.status, statement.total, statement.amount_remaining) == ("paid", 396, 0)
    assert {statement.created_at, statement.finalized_at, statement.paid_at, payment.paid_at, payment.created_at} == {
        statement.due_at
    }
    assert statement.created_at.isoformat() == "2021-03-11T00:00:00+00:00"
    assert [(x.description, x.quantity, x.amount) for x in statement.lines.all()] == [
        ("Balls to the Wall", 1, 99),
        ("Restless and Wild", 3, 297),
    ]
    assert (payment.customer, payment.statement, payment.amount) == (customer, statement, 396)
    assert (payment.gateway, payment.get_method_type_display()) == ("", "Recorded elsewhere")
    assert statement.bill_to_address["city"] == "Stuttgart"
    assert statement.bill_to_address["country"] == "DE"


def test_an_import_is_told_on_the_customers_timeline(write, alice):
    customer = make_customer(reference="7")
    import_invoices(*write([invoice()], TWO_LINES), by=alice)
    told = Event.objects.filter(customer_id=customer.pk, by=alice).values_list("type", flat=True)
    assert set(told) == {"billing_statement.imported", "payment.imported"}


def test_imported_statements_are_found_by_line_and_reference(write, as_alice, alice):
    make_customer(reference="7")
    import_invoices(*write([invoice(4711, total="0.99")], ["1,4711,Vamo Batê Lata,0.99,1"]), by=alice)
    for text in ("vamo bate", "4711"):
        assert len(as_alice.get("/billing/statements/", {"q": text}).context["page"].rows) == 1


def test_an_import_adds_to_what_the_customer_had_paid(write, alice):
    from billing.domain.payments import record_payment

    customer = make_customer(reference="7")
    record_payment(customer, amount=100, currency="USD", by=alice, product_type=Payment.Product.API)
    import_invoices(*write([invoice()], TWO_LINES), by=alice)
    total = customer.totals.get()
    assert (total.collected, total.successful_payments) == (496, 2)


def test_an_invoice_of_nothing_has_no_payment(write, alice):
    make_customer(reference="7")
    import_invoices(*write([invoice(total="0")], ["1,1,Free sample,0,1"]), by=alice)
    assert BillingStatement.objects.get().status == "paid"
    assert not Payment.objects.exists()
    assert list(ledger_errors()) == []


@pytest.mark.parametrize(
    "row, lines, why",
    [
        (invoice(total="3.95"), TWO_LINES, "its lines add up to $3.96, but its total is $3.95"),
        (invoice(customer="99"), TWO_LINES, "no customer has the reference 99"),
        (invoice(), [], "it has no lines"),
        (invoice(total="lots"), TWO_LINES, "Enter an amount"),
        (invoice(date="yesterday"), TWO_LINES, "“yesterday” is not a date"),
        (invoice(), ["1,1,Beans,0.99,many"], "“many” is not a quantity"),
        (invoice(), ["1,1,,0.99,4"], "description"),
    ],
    ids=lambda value: value[-20:] if isinstance(value, str) else "",
)
def test_an_invoice_that_is_wrong_is_named_left_out_and_uses_up_no_number(write, alice, row, lines, why):
    customer = make_customer(reference="7")
    right = invoice(2, date="2022-01-01 00:00:00", total="0.99")
    report = import_invoices(*write([row, right], [*lines, "9,2,Beans,0.99,1"]), by=alice)
    assert len(report.problems) == 1
    assert report.problems[0].startswith("Invoice 1: ")
    assert why in report.problems[0]
    assert BillingStatement.objects.get().number == f"{customer.billing_statement_prefix}-0001"


def test_the_wrong_file_is_refused_and_nothing_is_written(write, alice):
    make_customer(reference="7")
    paths = write([invoice()], TWO_LINES, line_head="A,B,C,D,E")
    with pytest.raises(DomainError, match=re.escape("it has no column Description")):
        import_invoices(*paths, by=alice)
    assert not BillingStatement.objects.exists()


def test_the_modes_do_not_mix(write, alice):
    make_customer(reference="7", livemode=True)
    report = import_invoices(*write([invoice()], TWO_LINES), by=alice)
    assert report.created == 0
    assert import_invoices(*write([invoice()], TWO_LINES), by=alice, livemode=True).created == 1
    assert Payment.objects.get().livemode
