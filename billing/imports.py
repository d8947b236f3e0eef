"""Invoices of another system as billing statements: numbered, paid, with their lines and one payment each.

Two CSV files: invoices (InvoiceId, CustomerId, InvoiceDate, Billing…, Total) and lines (InvoiceId, Description,
UnitPrice, Quantity). Dates are UTC. A customer is found by `reference` = CustomerId. How an invoice was paid is
not in the file, so its payment says "Recorded elsewhere". A second run finds what the first one made.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from django.conf import settings
from django.db import transaction

from billing.domain.payments import collect_many
from billing.domain.statements import bill_to, make_lines, set_amounts, take_number
from billing.models import BillingStatement, LineItem, Payment
from customers.models import Customer
from dashboard import events
from dashboard.money import Money, totals
from dashboard.places import country_code
from dashboard.states import DomainError
from dashboard.text import clean_text

ADDRESS = {"line1": "BillingAddress", "city": "BillingCity", "state": "BillingState", "postal_code": "BillingPostalCode"}
INVOICE_COLUMNS = {"InvoiceId", "CustomerId", "InvoiceDate", "BillingCountry", "Total", *ADDRESS.values()}
LINE_COLUMNS = {"InvoiceId", "Description", "UnitPrice", "Quantity"}


@dataclass
class Report:
    """What an import did: counts, totals as Money by currency, and a sentence for each invoice left out."""

    created: int = 0
    lines: int = 0
    payments: int = 0
    unchanged: int = 0
    totals: list = field(default_factory=list)
    problems: list = field(default_factory=list)


@transaction.atomic
def import_invoices(invoices_csv, lines_csv, *, by, livemode=False, currency="USD"):
    """Import both files (paths): everything, but for the invoices named in the report's problems. Returns a Report.

    Raises DomainError when a file lacks a column; nothing is written then.
    """
    report, rows = Report(), _read(invoices_csv, INVOICE_COLUMNS)
    lines = defaultdict(list)
    for line in _read(lines_csv, LINE_COLUMNS):
        lines[line["InvoiceId"]].append(line)
    customers = _lock_customers({r["CustomerId"] for r in rows}, livemode)
    known, made = _known(customers.values()), []
    for row in sorted(rows, key=_by_date):
        customer = customers.get(row["CustomerId"])
        if customer and (customer.pk, row["InvoiceId"]) in known:
            report.unchanged += 1
        else:
            _take(row, lines[row["InvoiceId"]], customer, currency, by, report, made)
    _write(made, by, report)
    return report


def _read(path, needed):
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if missing := sorted(needed - set(rows.fieldnames or ())):
            raise DomainError(f"This is not the file that was expected: it has no column {missing[0]}.")
        return [{k: v or "" for k, v in row.items() if k} for row in rows]


def _by_date(row):
    """By date, and by number within a day: the order in which statement numbers are given."""
    return row["InvoiceDate"], len(row["InvoiceId"]), row["InvoiceId"]


def _lock_customers(references, livemode):
    """{reference: customer}, locked: their statement counters move. The oldest customer of a reference is meant."""
    found = Customer.objects.select_for_update(no_key=True).filter(livemode=livemode, reference__in=references).order_by("-pk")
    return {c.reference: c for c in found}


def _known(customers):
    """The (customer, invoice id) pairs that are here already."""
    found = BillingStatement.objects.filter(customer__in=list(customers)).exclude(merchant_reference_id="")
    return set(found.values_list("customer_id", "merchant_reference_id"))


def _take(row, lines, customer, currency, by, report, made):
    """Turn one invoice into unsaved records, or note why not. Only an invoice that is taken uses up a number."""
    try:
        if not customer:
            raise ValueError(f"no customer has the reference {row['CustomerId']}.")
        made.append(_records(row, *_checked(row, lines, currency), customer, currency, by))
    except (ValueError, DomainError) as error:
        report.problems.append(f"Invoice {row['InvoiceId']}: {error}")


def _checked(row, lines, currency):
    """(moment, items) of an invoice. Raises ValueError, with a sentence, when it does not add up."""
    if not lines:
        raise ValueError("it has no lines.")
    at = _moment(row["InvoiceDate"])
    items = [
        (clean_text(x["Description"], 500), _whole(x["Quantity"]), Money.parse(x["UnitPrice"], currency).minor) for x in lines
    ]
    adds_up, total = Money(sum(q * p for _, q, p in items), currency), Money.parse(row["Total"], currency)
    if adds_up != total:
        raise ValueError(f"its lines add up to {adds_up}, but its total is {total}.")
    return at, items


def _moment(text):
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"“{text[:40]}” is not a date such as 2021-03-11 00:00:00.") from None


def _whole(text):
    if text.isascii() and text.isdigit() and len(text) < 8:
        return int(text)
    raise ValueError(f"“{text[:40]}” is not a quantity such as 1.")


def _records(row, at, items, customer, currency, by):
    """A paid statement with its lines and its payment, all unsaved."""
    statement = BillingStatement(
        livemode=customer.livemode, customer=customer, currency=currency, status=BillingStatement.Status.PAID,
        merchant_name=settings.MERCHANT_NAME, merchant_reference_id=row["InvoiceId"], created_by=by, created_at=at,
        updated_at=at, finalized_at=at, paid_at=at, due_at=at, **_bill_to(row, customer),
    )  # fmt: skip
    lines = make_lines(statement, items)
    set_amounts(statement, lines, paid=sum(line.amount for line in lines))
    statement.number = take_number(customer)
    statement.description = f"Payment for Billing Statement {statement.number}"
    return statement.seal().derive(lines), lines, _payment(statement, by)


def _bill_to(row, customer):
    """Bill-to as the file has it: the customer's name and contact, the invoice's own address."""
    if not hasattr(customer, "billed_to"):
        customer.billed_to = bill_to(customer)  # once a customer, not once an invoice
    address = {part: clean_text(row[column], 255) for part, column in ADDRESS.items()}
    address |= {"line2": "", "line3": "", "country": country_code(row["BillingCountry"]) or ""}
    return customer.billed_to | {"bill_to_address": address}


def _payment(statement, by):
    """The payment that paid a statement; None for a statement of nothing."""
    if not statement.total:
        return None
    return Payment(
        livemode=statement.livemode, customer=statement.customer, product_type=Payment.Product.STATEMENT, statement=statement,
        status=Payment.Status.PAID, amount=statement.total, currency=statement.currency, method_type=Payment.Method.ELSEWHERE,
        billing_name=statement.bill_to_name, billing_email=statement.bill_to_email, billing_phone=statement.bill_to_phone,
        billing_address=statement.bill_to_address, description=statement.number,
        merchant_reference_id=statement.merchant_reference_id, paid_at=statement.paid_at, created_by=by,
        created_at=statement.created_at, updated_at=statement.created_at,
    ).derive()  # fmt: skip


def _write(made, by, report):
    statements, payments = [s for s, _, _ in made], [p for _, _, p in made if p]
    items = [item for _, lines, _ in made for item in lines]
    BillingStatement.objects.bulk_create(statements, batch_size=500)
    LineItem.objects.bulk_create(items, batch_size=500)
    Payment.objects.bulk_create(payments, batch_size=500)
    collect_many(payments)
    events.record_many("billing_statement.imported", statements, by=by)
    events.record_many("payment.imported", payments, by=by)
    report.created, report.lines, report.payments = len(statements), len(items), len(payments)
    report.totals = totals(s.total_money for s in statements)
