"""Customers with a canary in every column; some are erased; then the whole database, its file and the log are searched.

Nothing of an erased customer may be found but what the law keeps, and that in one table alone; everything of the others
must still be there; the money must be what it was. The controls leave one column out of the registry, or the activity
log: a drill that does not see that sees nothing.
"""

import logging
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from django.conf import settings
from django.db import connection
from django.db.models import Count, Sum
from django.test import override_settings

from billing.drills.people import CANARY, make_someone, make_staff
from billing.models import BalanceEntry, BillingStatement, CustomerTotal, Payment, PaymentRequest, Refund, TokenizationLink
from customers.models import KeptRecord
from customers.privacy import erasure, registry
from dashboard.api.idempotency import PURPOSE
from dashboard.encryption import decrypt
from dashboard.management import proofs
from dashboard.models import IdempotencyKey
from dashboard.search import matching

KEPT = KeptRecord._meta.db_table
LEFT_OUT = [  # of the controls: one column each
    ("customers.Customer", "description"), ("billing.Payment", "description"), ("dashboard.Mail", "subject"),
    ("billing.Attempt", "request"), ("dashboard.ImportRow", "cells"), ("billing.LineItem", "description"),
]  # fmt: skip
LINKS = {"pay_statement": BillingStatement, "pay_checkout": PaymentRequest, "pay_card": TokenizationLink}


def run(rounds, controls=6):
    """As many customers as rounds, half of them erased; then the controls. Yields ([sentences], violated)."""
    with override_settings(ALLOWED_HOSTS=[*settings.ALLOWED_HOSTS, "testserver"]), logged() as log:
        by = make_staff()
        people = [make_someone(by) for _ in range(max(2, rounds))]
        yield seeded(people)
        before, going, staying = money(), people[::2], people[1::2]
        yield erased(going, by, log)
        yield kept_nothing_else(going, staying, log)
        yield found_nowhere(going, staying)
        yield same_money(before)
        for model, column in LEFT_OUT[:controls]:
            yield control(by, model, column)
        yield control_of_events(by)
        if controls > 1 and connection.vendor == "sqlite":
            yield control_of_the_file(by)


# --- where a canary is -------------------------------------------------------------------------------------------------
def canaries():
    """{canary: tables it is in}, of every row of every table, search indexes' own tables included; and of what the API's
    encrypted answers say."""
    found = {}
    with connection.cursor() as cursor:
        for table in tables(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  (a table of the database)
            for row in cursor:
                _note(found, table, "\n".join(_text(value) for value in row))
    for body in IdempotencyKey.objects.exclude(body="").values_list("body", flat=True):
        _note(found, "answers of the API", decrypt(body, PURPOSE) or "")
    return found


def tables(cursor):
    if connection.vendor == "postgresql":
        return connection.introspection.table_names(cursor)
    cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return [name for (name,) in cursor.fetchall()]


def _text(value):
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


def _note(found, place, text):
    for word in CANARY.findall(text.lower()):
        found.setdefault(word, set()).add(place)


def in_files():
    """{canary: files}: SQLite's own file and its log, and whatever else lies in the data folder."""
    found, paths = {}, [path for path in Path(settings.DATA_DIR).rglob("*") if path.is_file() and "static" not in path.parts]
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        paths += [Path(f"{name}{ending}") for ending in ("", "-wal", "-journal")]
    for path in {path for path in paths if path.exists() and path.stat().st_size < 1 << 30}:
        _note(found, path.name, path.read_bytes().decode("latin-1"))
    return found


@contextmanager
def logged():
    """A list of every line that is logged meanwhile."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(f"{record.getMessage()} {record.exc_text or ''}")
    root = logging.getLogger()
    was = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(was)


# --- the parts -----------------------------------------------------------------------------------------------------------
def seeded(people):
    """Every canary is where it was put: what is not there cannot be erased."""
    there = canaries()
    absent = Counter(where for who in people for word, where in who.placed.items() if word not in there)
    count, columns = sum(len(who.placed) for who in people), {where for who in people for where in who.placed.values()}
    found_in = len(set().union(*there.values()))
    said = f"seeded: {len(people)} customers, {count:,} canaries put in {len(columns)} places, found in {found_in} tables"
    wrong = [f"  {where}: a canary was put there and is not in the database." for where in absent]
    return [said, *wrong], bool(wrong) or count < 60 * len(people)


def erased(going, by, log):
    wrong = []
    for who in going:
        who.customer, elsewhere = erasure.erase_customer(who.customer, why="asked", by=by)
        wrong += [f"  {sentence}" for sentence in elsewhere]
    return [f"erased: {len(going)} customers, {len(log)} lines logged meanwhile", *wrong], bool(wrong)


def kept_nothing_else(going, staying, log):
    """The search itself."""
    there, files, lines = canaries(), in_files(), {}
    _note(lines, "the log", "\n".join(log))
    wrong, kept, whole = list(left_of(going, there)), 0, 0
    for who in going:
        kept += len(who.kept & there.keys())
        wrong += [f"  {who.placed[w]} is kept by law, and gone." for w in who.kept - there.keys()]
        wrong += [f"  {who.placed.get(w)} is in {', '.join(files[w])}." for w in (who.placed.keys() - who.kept) & files.keys()]
        wrong += [f"  {who.placed.get(w)} is in the log." for w in who.placed.keys() & lines.keys()]
    for who in staying:
        whole += len(who.placed.keys() & there.keys())
        wrong += [f"  {who.placed[w]} of somebody else is gone." for w in who.placed.keys() - there.keys()]
    looked = f"{len(files)} of the canaries that stay are in {len(set().union(*files.values(), set()))} files"
    said = f"searched: {kept} canaries kept by law, all in {KEPT}; {whole:,} of the others' all there; {looked}"
    return [said, *sorted(set(wrong))], bool(wrong) or not kept or not whole


def left_of(going, there):
    """A sentence for each place that still tells of somebody who was erased."""
    for who in going:
        allowed = {word: {KEPT} for word in who.kept}
        for word, where in who.placed.items():
            if left := there.get(word, set()) - allowed.get(word, set()):
                yield f"  {where} is still in {', '.join(sorted(left))}."


def found_nowhere(going, staying):
    """No search by an old word finds them, no payer's link opens."""
    wrong, asked = [], 0
    for model in {h.table for h in registry.holdings() if "search" in h.columns}:
        for who in going:
            asked += 1
            wrong += [f"  {model.__name__} is found by {who.placed[w]}." for w in who.placed if matching(model.objects.all(), w)]
    for who in (*going, *staying):
        opens = [bool(LINKS[name].objects.for_token(token)) for name, token in who.tokens]
        wrong += ["  A link of somebody erased still opens."] * (who in going and any(opens))
        wrong += ["  A link of somebody else opens no more."] * (who in staying and not all(opens))
    by_own = sum(matching(type(who.customer).objects.all(), who.customer.first_name).count() for who in staying)
    wrong += [] if by_own == len(staying) else [f"  {by_own} of {len(staying)} others are found by name."]
    links = sum(len(who.tokens) for who in (*going, *staying))
    return [f"looked for: {asked} searches of people, {links} links, {len(wrong)} wrong", *sorted(set(wrong))], bool(wrong)


def money():
    """What the books say, whoever it is about."""
    return {
        "payments": list(Payment.objects.order_by("pk").values_list("pk", "status", "amount", "amount_refunded", "currency")),
        "refunds": list(Refund.objects.order_by("pk").values_list("pk", "status", "amount")),
        "totals": list(CustomerTotal.objects.order_by("pk").values_list("customer", "currency", "collected", "credit_balance")),
        "credit": BalanceEntry.objects.aggregate(Sum("amount"), Count("pk")),
        "statements": list(
            BillingStatement.objects.exclude(number="").order_by("pk").values_list("number", "status", "total", "amount_paid")
        ),
    }


def same_money(before):
    now, wrong = money(), [f"  {fault}" for fault in proofs.faults()]
    wrong += [f"  The {what} are not what they were." for what in before if before[what] != now[what]]
    what = f"{len(now['payments'])} payments, {len(now['statements'])} statements, audit trail and ledger"
    said = f"the books: {what}: {len(wrong)} faults"
    return [said, *wrong], bool(wrong)


# --- controls ------------------------------------------------------------------------------------------------------------
def control(by, model, column):
    """One column is left out of the registry: what stays there must be found."""
    fewer = [_without(holding, column) if holding.model == model else holding for holding in registry.holdings()]
    with patch.object(erasure, "holdings", lambda: fewer):
        left = _left_of_one(by)
    return [f"control, without {model}.{column}: {len(left)} found, {'caught' if left else 'NOT CAUGHT'}"], not left


def control_of_events(by):
    """The activity log is not redacted."""
    with patch.object(erasure, "redact", lambda who, event: 0):
        left = [line for line in _left_of_one(by) if "dashboard_event" in line]
    return [f"control, without the activity log: {len(left)} found, {'caught' if left else 'NOT CAUGHT'}"], not left


def control_of_the_file(by):
    """SQLite's own habit: what is deleted stays in the file until something else is written there."""
    still = {"overwrite_deleted": lambda: None, "tidy": lambda: None}
    with connection.cursor() as cursor, patch.multiple(erasure.traces, **still):
        cursor.execute("PRAGMA secure_delete = OFF")
        who = make_someone(by)
        erasure.erase_customer(who.customer, why="asked", by=by)
        left = (who.placed.keys() - who.kept) & in_files().keys()
        cursor.execute("PRAGMA secure_delete = ON")
    return [f"control, nothing overwritten in the file: {len(left)} found, {'caught' if left else 'NOT CAUGHT'}"], not left


def _without(holding, column):
    return replace(holding, columns={name: fate for name, fate in holding.columns.items() if name != column})


def _left_of_one(by):
    who = make_someone(by)
    erasure.erase_customer(who.customer, why="asked", by=by)
    return list(left_of([who], canaries()))
