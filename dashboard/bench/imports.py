"""Import: the product's importer, which checks every row, against a plain bulk_create of the same records.

Both read the same file into an empty database with every index in place, and both write the customer, its
address and its event. The plain one trusts the file: it checks nothing, matches nothing and reports nothing.
"""

import csv
import io
import json
import tempfile
from functools import partial
from itertools import islice

from django.db import transaction
from django.utils import timezone

from customers.domain import new_prefixes
from customers.models import Address, Customer
from dashboard import events
from dashboard.bench import clock, data, pages
from dashboard.bench.report import Line
from dashboard.imports.stream import BATCH, run_import

OWN = ("kind", "first_name", "last_name", "company_name", "email", "phone", "reference", "description", "currency")
ADDRESS = ("line1", "city", "postal_code", "country")
HEADINGS = (*OWN, *[f"address_{name}" for name in ADDRESS], "metadata")
EMPTY, SCRATCH = "empty", "import"


def measure(databases, sizes, rounds):
    """Goal 13; yields Lines."""
    rows = databases.import_rows
    with tempfile.TemporaryFile() as file:
        write_file(file, rows)
        cases = {name: partial(_afresh, databases, run, file) for name, run in (("ours", product), ("plain", plain))}
        taken, found = {}, []
        for _ in range(3 if rows <= 100_000 else 1):
            for name, case in cases.items():
                taken.setdefault(name, []).append(case(found if name == "ours" else []))
    databases.drop(SCRATCH)
    yield from _lines(f"{rows:,}", {name: sorted(times)[len(times) // 2] for name, times in taken.items()}, found, rows)


def _lines(size, taken, found, rows):
    speeds = " / ".join(f"{rows / taken[name] * 1000:,.0f}" for name in ("plain", "ours"))
    ratio = taken["plain"] / taken["ours"]
    yield Line("13", "bulk_create / import", size, ratio, 3, at_least=True, how=f"{speeds} rows a second")
    yield Line("13", "import, memory beyond the process's own", size, max(found, default=None), 100, unit=" MB")


def write_file(file, rows):
    """A CSV file of `rows` customers nobody has yet, all of them valid."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    for customer in data.customers(rows, seed=11):
        own = [getattr(customer, name) for name in OWN]
        address = [getattr(customer.first_address, name) for name in ADDRESS]
        writer.writerow([*own, *address, json.dumps(customer.metadata) if customer.metadata else ""])
    text.detach()


def _afresh(databases, run, file, found):
    """Milliseconds of one import into an empty database; `found` gets the memory it took."""
    databases.copy(EMPTY, SCRATCH)
    with databases.using(SCRATCH):
        user = pages.viewer()
        file.seek(0)
        with clock.memory() as used:
            taken = clock.milliseconds(lambda: run(file, user), collecting=True)
        found += used
    return taken


def product(file, by):
    done = run_import(file, importer="customers", livemode=False, by=by)
    if done.errors or done.problems:
        raise RuntimeError(f"The made-up file should be valid: {done.problems[:3]}")


def plain(file, by):
    """csv, model objects, bulk_create: as many rows to a transaction as the product takes."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    records = csv.DictReader(text)
    while batch := list(islice(records, BATCH)):
        with transaction.atomic():
            made = Customer.objects.bulk_create(_customers(batch, by))
            Address.objects.bulk_create(_address(c, r) for c, r in zip(made, batch, strict=True))
            events.record_many("customer.created", made, by=by)
    text.detach()


def _customers(batch, by):
    now = timezone.now()
    for record, prefix in zip(batch, new_prefixes(len(batch), False), strict=True):
        yield Customer(
            livemode=False,
            origin="import",
            created_by=by,
            created_at=now,
            updated_at=now,
            country=record["address_country"],
            billing_statement_prefix=prefix,
            metadata=json.loads(record["metadata"] or "{}"),
            **{name: record[name] for name in OWN},
        ).derive()


def _address(customer, record):
    return Address(customer=customer, livemode=False, is_default=True, **{name: record[f"address_{name}"] for name in ADDRESS})
