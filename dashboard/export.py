"""CSV of a list: its own query, streamed, any number of rows in constant memory.

One declaration (`Csv`) serves both databases. PostgreSQL formats and guards in SQL and COPYs straight to
the client; SQLite's rows are formatted here. Both give the same bytes: UTF-8 with a byte order mark, CRLF,
amounts in major units, times in the dashboard's zone with their offset, the zone named in the heading.
Text that a spreadsheet might run as a formula gets a leading apostrophe; numbers, codes and times cannot
be formulas and stay as they are. The importer takes the apostrophe off again.
"""

import csv
import io
import json
import re
from dataclasses import dataclass

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Expression, F, Func, TextField
from django.http import StreamingHttpResponse
from django.utils import timezone

from dashboard import events
from dashboard.masking import masked
from dashboard.money import EXPONENTS, Money

CHUNK = 64 * 1024
FORMULA = re.compile("'*\\s*[=+\\-@\t\r\n\0＝＋－＠]")


def guard(text):
    """Text safe to open in a spreadsheet: an apostrophe before what would start a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def unguard(text):
    """What guard was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:]) else text


@dataclass(frozen=True)
class Csv:
    """One export column.

    source: the model's column path, or an expression.
    kind: text (guarded), code (ids, words of ours), number, money (minor units; `currency` is its column),
    time, date, flag or json. contact: how a role without contact data sees it (email, phone or text).
    """

    name: str
    source: str | Expression = ""
    kind: str = "text"
    currency: str = "currency"
    contact: str = ""

    def heading(self):
        return f"{self.name} ({settings.TIME_ZONE})" if self.kind == "time" else self.name

    def is_masked(self, viewer):
        return bool(self.contact) and not viewer.has_perm("dashboard.view_contact_data")

    def form(self, viewer):
        """The kind its cells are written as: what is masked is text, whatever it was."""
        return "text" if self.is_masked(viewer) else self.kind

    def expression(self, viewer):
        if self.is_masked(viewer):
            return masked(self.source or self.name, self.contact)
        return F(self.source or self.name) if isinstance(self.source, str) else self.source


def csv_response(queryset, columns, *, name, list_name, request, note):
    """Stream queryset as CSV and record the export: who, which list, filters, columns."""
    events.note(
        f"{name}.exported", by=request.user, livemode=request.livemode, list=list_name, columns=[c.name for c in columns], **note
    )
    stamp = timezone.now().strftime("%Y%m%dT%H%MZ")
    filename = f"{name}-{'live' if request.livemode else 'test'}-{stamp}.csv"
    response = StreamingHttpResponse(csv_bytes(queryset, columns, request.user), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def csv_bytes(queryset, columns, viewer):
    """The file, in chunks of bytes."""
    yield ("\ufeff" + ",".join(c.heading() for c in columns) + "\r\n").encode()
    yield from (_copied if connection.vendor == "postgresql" else _written)(queryset, columns, viewer)


# A download may take long. With parallel workers, hash or merge joins the database would read and sort everything before it
# sends a row: without them it walks the index of the list's order and looks up what belongs to each row. Times are made of
# the text that DateStyle ISO gives.
_STREAMING = """SELECT set_config('TimeZone', %s, true), set_config('DateStyle', 'ISO', true),
set_config('statement_timeout', '0', true),
set_config('max_parallel_workers_per_gather', '0', true),
set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"""
# COPY writes "" for an empty text, lest it be taken for its word for NULL. With a word nobody writes, taken out again here,
# both are empty cells, and no cell has to be compared with ''.
_NULL = b"\x01"


# --- PostgreSQL: COPY ------------------------------------------------------------------------------
def _copied(queryset, columns, viewer):
    rows = queryset.values_list(*[_SQL[c.form(viewer)](c.expression(viewer), c) for c in columns])
    sql, params = rows.query.get_compiler(connection=connection, elide_empty=False).as_sql()  # even of none(): headings alone
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_STREAMING, [settings.TIME_ZONE])
        with cursor.copy(cursor.mogrify(f"COPY ({sql}) TO STDOUT WITH (FORMAT csv, NULL E'\\x01')", params)) as copy:
            for rows in _arriving(copy):
                yield _ended(rows).replace(_NULL, b"")


def _arriving(copy):
    """Lists of rows, CHUNK bytes each. What has arrived is taken from libpq itself; psycopg waits for more, a row at a time."""
    take, held, size = copy.connection.pgconn.get_copy_data, [], 0
    while True:
        length, row = take(1)
        if not length:  # nothing here yet
            row = copy.read()
            length = len(row)
        if length <= 0:
            break
        held.append(row)
        size += length
        if size >= CHUNK:
            yield held
            held, size = [], 0
    if length:
        _check_end(copy.connection.pgconn)
    yield held


def _check_end(pgconn):
    """Raise what ended the COPY, unless it came to its end."""
    from psycopg.errors import error_from_result  # only where PostgreSQL is used
    from psycopg.pq import ExecStatus

    while result := pgconn.get_result():
        if result.status != ExecStatus.COMMAND_OK:
            raise error_from_result(result)


def _chunks(blocks):
    """Blocks joined to CHUNK bytes, with CRLF line ends."""
    held, size = [], 0
    for block in blocks:
        held.append(block)
        size += len(block)
        if size >= CHUNK:
            yield _ended(held)
            held, size = [], 0
    yield _ended(held)


def _ended(blocks):
    """Blocks as one, with CRLF line ends: stored text holds no carriage return."""
    return b"".join(blocks).replace(b"\n", b"\r\n")


def _sql(template):
    def build(expression, column):
        return _Text(expression, template=template, output_field=TextField())

    return build


class _Text(Func):
    """A template that names its expression several times takes the expression's parameters as often."""

    def as_sql(self, compiler, connection, **extra):
        sql, params = super().as_sql(compiler, connection, **extra)
        return sql, [*params] * self.extra["template"].count("%(expressions)s")


def _money_sql(expression, column):
    """Minor units as a decimal of the currency's own places."""
    by_places = {}
    for code, places in EXPONENTS.items():
        by_places.setdefault(places, []).append(f"'{code}'")
    branch = "WHEN %(currency)s IN ({codes}) THEN round(%(expressions)s / {scale}::numeric, {places})::text"
    cases = " ".join(branch.format(codes=",".join(codes), scale=10**p, places=p) for p, codes in by_places.items())
    return _Money(expression, F(column.currency), cases=cases, output_field=TextField())


class _Money(Func):
    def __init__(self, amount, currency, *, cases, **extra):
        super().__init__(amount, currency, **extra)
        self.cases = cases

    def as_sql(self, compiler, connection, **context):
        amount, amount_params = compiler.compile(self.source_expressions[0])
        code, code_params = compiler.compile(self.source_expressions[1])
        if amount_params or code_params:
            raise ValueError("A money column is exported from plain columns.")
        cases = self.cases.replace("%(expressions)s", amount).replace("%(currency)s", code)
        return f"CASE {cases} ELSE round({amount} / 100::numeric, 2)::text END", []


def _time_sql(expression, column):
    """ISO 8601 in the session's zone, from the database's own text of it: to_char takes three times as long. That text
    has an offset of whole hours without its minutes."""
    text = "replace(%(expressions)s::text, ' ', 'T')"
    minutes = (
        "':00'"
        if settings.TIME_ZONE == "UTC"
        else "CASE WHEN left(right(%(expressions)s::text, 3), 1) IN ('+', '-') THEN ':00' ELSE '' END"
    )
    return _sql(f"{text} || {minutes}")(expression, column)


# Most text starts with a letter (65 to 125) or is empty (0) and most of the rest is a phone with its + (43), which is seen at
# a tenth of the price of the expression that looks for formulas. What is a space beyond ASCII is spelt out: with the
# collations C and C.UTF-8 \\s knows none of them.
_SPACES = r"\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
_GUARD = (
    "CASE WHEN ascii(%(expressions)s) BETWEEN 65 AND 125 THEN %(expressions)s "
    "WHEN ascii(%(expressions)s) = 43 OR ascii(%(expressions)s) > 0 "
    f"AND %(expressions)s ~ E'^''*[\\\\s{_SPACES}]*[=+\\\\-@\\\\t\\\\r\\\\n＝＋－＠]' "
    "THEN '''' || %(expressions)s ELSE %(expressions)s END"
)
_SQL = {
    "text": _sql(_GUARD),
    "code": _sql("%(expressions)s"),
    "number": _sql("%(expressions)s"),
    "money": _money_sql,
    "time": _time_sql,
    "date": _sql("to_char(%(expressions)s, 'YYYY-MM-DD')"),
    "flag": _sql("CASE WHEN %(expressions)s THEN 'true' ELSE 'false' END"),
    "json": _sql("%(expressions)s"),
}


# --- SQLite, and any database: formatted here --------------------------------------------------------
def _written(queryset, columns, viewer):
    money = {i: c.currency for i, c in enumerate(columns) if c.kind == "money"}
    extra = list(dict.fromkeys(money.values()))
    expressions = [c.expression(viewer) for c in columns] + [F(name) for name in extra]
    at = {i: len(columns) + extra.index(name) for i, name in money.items()}
    formats = [_FORMAT[c.form(viewer)] for c in columns]
    rows = queryset.values_list(*expressions).iterator(chunk_size=1000)
    lines = ([f(v, row[at[i]] if i in at else "") for i, (f, v) in enumerate(zip(formats, row, strict=False))] for row in rows)
    yield from _chunks(_lines(lines))


def _lines(rows):
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def _time(value, _currency):
    """As PostgreSQL writes it: a fraction of a second without zeros at its end."""
    if not value:
        return ""
    text = value.astimezone(settings.ZONE).isoformat()
    return f"{text[:-6].rstrip('0')}{text[-6:]}" if value.microsecond else text


_FORMAT = {
    "text": lambda v, _: guard(v) if v else "",
    "code": lambda v, _: "" if v is None else str(v),
    "number": lambda v, _: "" if v is None else str(v),
    "money": lambda v, currency: "" if v is None else Money(v, currency).plain,
    "time": _time,
    "date": lambda v, _: v.isoformat() if v else "",
    "flag": lambda v, _: "true" if v else "false",
    "json": lambda v, _: json.dumps(v, ensure_ascii=False),
}
