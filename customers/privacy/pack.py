"""The data pack: everything that is stored about one customer, as a ZIP they can read, and a program can (GDPR 15 and 20).

data.json holds all of it by noun; index.html the same for a person to read; documents/ the PDFs of statements and receipts.
Left out are secrets, what is derived from the rest, and who of the staff did what.
"""

import json
import tempfile
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from customers.privacy.registry import Derived, Secret, ask, holdings, person
from dashboard import events

DOWNLOADED = "customer.data_downloaded"  # the event
IN_MEMORY = 4 << 20  # bytes; what is larger waits in a temporary file
BATCH = 500
READABLE = 200  # rows of a noun in index.html: the newest; data.json has all
DOCUMENTS = 200  # PDFs: the newest; they can be made again one by one
INTERNAL = {"version", "email_source_at", "livemode"}
ABOUT = {
    "times": "UTC, ISO 8601",
    "amounts": "whole numbers of the currency's smallest unit: 1050 USD is 10.50 US dollars",
    "left_out": "secrets, columns derived from others, and which of our staff did what",
}
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body>
<h1>{title}</h1>
<p>Made on {day}. Times are UTC. Amounts are whole numbers of the currency's smallest unit: 1050 USD is 10.50 US dollars.</p>
<p>The file data.json holds the same for a computer to read. Statements and receipts are in the folder documents.</p>
"""


def make_pack(customer, *, by, kept=False):
    """The ZIP of a customer's data, as an open file to be read from its beginning. An event says who took it.

    kept: whether what the law keeps of an erased customer is in it: for those who may see it.
    """
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (whoever sends it closes it)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        counts = _write_data(pack, customer, kept)
        documents = _write_documents(pack, customer, kept)
    events.record(DOWNLOADED, customer, by=by, records=sum(counts.values()), documents=documents)
    file.seek(0)
    return file


def file_name(customer):
    """What the ZIP is called: whose it is, by ID, and of which day."""
    return f"{customer.pk}-{timezone.localdate():%Y-%m-%d}.zip"


def packed(holding, kept):
    """Whether a table is in the pack."""
    return bool(holding.pack) and (kept or holding.model != "customers.KeptRecord")


def columns_of(holding):
    """The columns of a table that are in the pack."""
    hidden = INTERNAL | holding.of((Derived, Secret)).keys()
    return [f for f in holding.table._meta.concrete_fields if f.name not in hidden and not _is_staff(f)]


def _is_staff(column):
    return isinstance(column, models.BinaryField) or getattr(column.related_model, "__name__", "") == "User"


def _write_data(pack, customer, kept):
    """Both files in one go through the rows; {noun: rows}."""
    who, counts, pages = person(customer), {}, []
    with pack.open("data.json", "w", force_zip64=True) as out:
        out.write(json.dumps({"about": ABOUT | {"customer": customer.pk}}, indent=1)[:-2].encode())
        for holding in holdings():
            if packed(holding, kept):
                out.write(f',\n "{holding.pack}": ['.encode())
                counts[holding.pack], page = _write_rows(out, holding, who)
                out.write(b"]")
                pages.append(page)
        out.write(b"\n}\n")
    pack.writestr("index.html", _index(customer, pages))
    return counts


def _write_rows(out, holding, who):
    """(how many, the readable part of them)."""
    columns, count, readable = columns_of(holding), 0, []
    for row in holding.rows(who).order_by("-pk").iterator(chunk_size=BATCH):
        told = row_of(row, columns)
        out.write((",\n  " if count else "\n  ").encode() + json.dumps(told, ensure_ascii=False).encode())
        count += 1
        if count <= READABLE:
            readable.append(_record(columns, told))
    return count, _section(holding, count, readable)


def row_of(row, columns):
    """{column: value} as JSON can tell it."""
    told = {column.attname: plain(getattr(row, column.attname)) for column in columns}
    if row._meta.label == "dashboard.Event" and row.by_id:
        told["ip"] = ""  # where our staff sat
    return told


def plain(value):
    """A value as JSON tells it: moments in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date | Decimal):
        return str(value)
    return value


# --- for a person to read --------------------------------------------------------------------------------------------
def _index(customer, pages):
    title = f"What {settings.MERCHANT_NAME} stores about you"
    head = format_html(HEAD, title=title, day=f"{timezone.now():%d %B %Y}")
    return format_html("{}{}</body></html>\n", head, _joined(pages))


def _section(holding, count, records):
    if not count:
        return ""
    more = "" if count <= READABLE else f"The newest {READABLE} of {count}; all of them are in data.json."
    name = holding.pack.replace("_", " ").capitalize()
    return format_html("<h2>{} ({})</h2>\n<p>{}</p>\n{}", name, count, more, _joined(records))


def _record(columns, told):
    said = [(str(column.verbose_name).capitalize(), told[column.attname]) for column in columns]
    lines = format_html_join("", "<dt>{}</dt><dd>{}</dd>", [(name, _said(value)) for name, value in said if value or value == 0])
    return format_html("<hr><dl>{}</dl>\n", lines)


def _said(value):
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _joined(parts):
    return format_html_join("", "{}", [(part,) for part in parts])


# --- documents ----------------------------------------------------------------------------------------------------------
def _write_documents(pack, customer, kept):
    """Statements and receipts, as many as are reasonable; how many."""
    count = 0
    for name, make in ask("documents", customer, kept):
        if count == DOCUMENTS:
            break
        pack.writestr(f"documents/{name}", make())
        count += 1
    return count
