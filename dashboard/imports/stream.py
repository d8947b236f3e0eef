"""A whole file at once: read, check, write, batch by batch, in constant memory. For sample data, the command
line and measurements; people in a browser see a check first (`runs`)."""

from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from django.db import transaction

from dashboard.imports import bulk, files
from dashboard.imports.rows import CREATE, ERROR, SKIP, UPDATE, Options, find_importer

BATCH = 2000
MOST_PROBLEMS = 1000


@dataclass
class Result:
    """How many rows did what, and the first problems: (row number, sentences)."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: int = 0
    problems: list = field(default_factory=list)

    def count(self, rows):
        for row in rows:
            name = {CREATE: "created", UPDATE: "updated", SKIP: "unchanged", ERROR: "errors"}[row.action]
            setattr(self, name, getattr(self, name) + 1)
            if row.notes and len(self.problems) < MOST_PROBLEMS:
                self.problems.append((row.number, row.notes))


@bulk.rare_collections()
def run_import(source, mapping=None, *, importer, livemode, by, match="", country="", clear=False, label="", batch=BATCH):
    """Import a CSV file (a path or a seekable binary file) and return its Result.

    mapping is {heading: field}; None guesses. label names the file in the events.
    match is the field rows are matched by, "" for creating only.
    Each batch is one transaction; a second run goes by `match`, so nothing is made twice. Raises FileProblem.
    """
    plug = find_importer(importer)
    with open(source, "rb") if isinstance(source, str | Path) else nullcontext(source) as file:
        records = files.records(file, files.detect(file))
        _, cells = next(records)
        headers = files.checked_headers(cells)
        columns = plug.guess(headers) if mapping is None else [mapping.get(h, "") for h in headers]
        options = Options(livemode=livemode, match=match, country=country, clear=clear, find_duplicates=False, source=label)
        read = plug.reader(headers, columns, options)
        ahead, result = _Ahead(_drafted(plug, read, records, options), batch), Result()
        while rows := ahead.take():
            with bulk.meanwhile(ahead.read()):
                _write(plug, rows, options, by)
            result.count(rows)
    return result


def _drafted(plug, read, records, options):
    for number, cells in records:
        row = read(number, cells)
        plug.draft(row, options)
        yield row


class _Ahead:
    """Rows in batches, the next of which is read step by step while the database stores the one before."""

    def __init__(self, rows, batch):
        self.rows, self.batch = rows, batch
        self.ready, self.problem = [], None

    def read(self):
        """A generator that reads one row of the next batch a step. What is wrong with the file waits for its turn."""
        try:
            for row in islice(self.rows, self.batch - len(self.ready)):
                self.ready.append(row)
                yield
        except files.FileProblem as problem:
            self.problem = problem

    def take(self):
        """The next batch, whole; none at the end. Raises FileProblem: the batches before are stored by then."""
        for _ in self.read():
            pass
        if self.problem:
            raise self.problem
        taken, self.ready = self.ready, []
        return taken


@transaction.atomic
def _write(plug, rows, options, by):
    plug.plan(rows, options)
    seen = {}
    for row in rows:
        if row.key and row.action != ERROR and seen.setdefault(row.key, row) is not row:
            row.refuse(f"Row {seen[row.key].number} is about the same record. Keep one of them.")
    plug.write([r for r in rows if r.action in (CREATE, UPDATE)], options, by=by)
