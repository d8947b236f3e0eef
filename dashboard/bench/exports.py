"""Export: the list's CSV, escaped and formatted, against the quickest way out of the same database that does neither.

PostgreSQL: `psql \\copy` of the same columns, unescaped; its start-up is taken off. SQLite: sqlite3 and csv.
"""

import csv
import os
import shutil
import sqlite3
import subprocess
from functools import partial

from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient

from customers.views import CustomerList
from dashboard.bench import clock, pages
from dashboard.bench.report import Line

OWN = """id name first_name last_name company_name kind email phone reference status origin currency country
created_at updated_at""".split()
PARTS = {"address_line1": "line1", "address_city": "city", "address_postal_code": "postal_code", "address_country": "country"}
SETS = {"15 columns": OWN, "19 columns, 4 of the address": [*OWN, *PARTS]}


def measure(databases, sizes, rounds):
    """Goal 10 at the largest size; yields Lines."""
    size = sizes[-1]
    with databases.using(size):
        user, shown = pages.viewer(), f"{size:,}"
        for what, columns in SETS.items():
            yield against_raw(what, columns, user, shown, rounds)
        yield first_byte("15 columns", user, shown, rounds, 100)
        yield first_byte("19 columns, 4 of the address", user, shown, rounds, 100)
        yield extra_memory(user, shown)


def against_raw(what, columns, user, size, rounds):
    raw = partial(psql if connection.vendor == "postgresql" else sqlite, raw_query(columns))
    if connection.vendor == "postgresql" and not shutil.which("psql"):
        return Line("10", f"export / psql \\copy, {what}", size, None, 1.5, how="psql is not installed")
    cases = {"ours": partial(export, columns, user), "raw": raw}
    if connection.vendor == "postgresql":
        cases["start"] = partial(psql, "SELECT 1")
    taken = clock.medians(cases, max(3, rounds // 2))
    baseline = taken["raw"] - taken.get("start", 0)
    name, limit = ("psql \\copy", 1.5) if connection.vendor == "postgresql" else ("sqlite3 + csv", None)
    how = f"{taken['ours'] / 1000:.2f} / {baseline / 1000:.2f} s"
    return Line("10", f"export / {name}, {what}", size, taken["ours"] / baseline, limit, how=how)


def export(columns, user):
    """Read the whole file through the view, as a client would; returns its size in bytes."""
    return sum(map(len, respond(columns, user)))


def respond(columns, user):
    query = f"format=csv&status=all&columns={','.join(columns)}"
    return CustomerList.as_view()(pages.request_for(query, user))


def first_byte(what, user, size, rounds, limit):
    """From the request to the first rows; the headings before them cost nothing and do not count."""

    def begin():
        response = respond(SETS[what], user)
        content = iter(response)
        next(content), next(content)
        taken.append(response)  # closed outside the measurement: the database then has to throw away the rest

    taken, times = [], []
    for _ in range(max(3, rounds // 3)):
        times.append(clock.milliseconds(begin))
        taken.pop().close()
    return Line("10", f"export, first rows, {what}", size, sorted(times)[len(times) // 2], limit, unit=" ms")


def extra_memory(user, size):
    """What a whole export adds to the process at its peak."""
    with clock.memory() as found:
        written = export(OWN, user)
    how = f"a file of {written / 1024**2:,.1f} MB"
    return Line("10", "export, memory beyond the process's own", size, found[0] if found else None, 16, unit=" MB", how=how)


# --- the raw ways ----------------------------------------------------------------------------------------
def raw_query(columns):
    """The same rows and columns in the same order, as SQL written by hand."""
    shown = ", ".join(f"a.{PARTS[c]}" if c in PARTS else f"c.{c}" for c in columns)
    join = "LEFT JOIN customers_address a ON a.customer_id = c.id AND a.is_default" if set(PARTS) & set(columns) else ""
    # S608: every name is one of the constants above
    return f"SELECT {shown} FROM customers_customer c {join} WHERE NOT c.livemode ORDER BY c.created_at DESC, c.id DESC"  # noqa: S608


def psql(query):
    order = ["-X", "-q", "-c", f"\\copy ({query}) TO {os.devnull} CSV"]
    command, environment = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, order)
    subprocess.run(command, check=True, env={**os.environ, **(environment or {})})


def sqlite(query):
    with sqlite3.connect(connection.settings_dict["NAME"]) as raw, open(os.devnull, "w", newline="") as out:
        csv.writer(out).writerows(raw.execute(query))
    raw.close()
