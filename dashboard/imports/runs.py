"""An upload's way: start, columns, check (what would happen), confirm, apply, finish.

Checking and applying go in batches, one transaction each. A batch first moves the run's `at_row` on by
compare and set: of two workers on one run the second stops, and a run whose worker died goes on behind
the last batch that was committed. No row is written twice.
"""

import csv
import hashlib
import io
import json
from itertools import islice

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard import events, states
from dashboard.card_numbers import hidden_copy, hide_card_numbers
from dashboard.export import guard
from dashboard.import_models import Import, ImportMapping, ImportPiece, ImportRow
from dashboard.imports import bulk, files
from dashboard.imports.rows import CREATE, ERROR, PROBLEM_HEADER, SKIP, UPDATE, find_importer, header_key
from dashboard.states import DomainError
from dashboard.text import clean_text

BATCH = 500
AT_ONCE = 500  # files with no more rows are checked while one waits
Status = Import.Status
_COUNTED = {CREATE: "creates", UPDATE: "updates", SKIP: "skips", ERROR: "errors"}
_CHANGED_SINCE = (
    "The record was changed or made by someone else after the check, so this row was left alone. "
    "Import it again to see what it would do now."
)
_COLLIDED = "Another record took its ID, DID or prefix in the same moment. Import this row again."


# --- the file and its columns --------------------------------------------------------------------------
def start_import(upload, *, importer, livemode, by):
    """Take a CSV file: read it through once, keep it, and guess its columns. Writes no record of the noun.

    upload is a binary file with name and size. Raises FileProblem (a DomainError) for what cannot be read.
    """
    if upload.size > settings.IMPORT_MAX_BYTES:
        tenths = -(-upload.size * 10 // 1048576)  # rounded up: never "1.0 MB; at most 1 MB"
        raise files.FileProblem(
            f"This file has {tenths / 10} MB; at most {settings.IMPORT_MAX_BYTES // 1048576} MB are taken. "
            "Split it and upload the parts."
        )
    upload, name = hidden_copy(upload), upload.name
    form = files.detect(upload)
    found = files.scan(upload, form)
    run = Import(
        livemode=livemode,
        importer=importer,
        file_name=hide_card_numbers(_shown_name(name)),
        size=upload.seek(0, io.SEEK_END),
        sha256=_sha256(upload),
        encoding=form.encoding,
        delimiter=form.delimiter,
        headers=found.headers,
        total=found.rows,
        created_by=by,
    )
    with transaction.atomic():
        run.mapping, run.options = _offer(run, by)
        run.save(force_insert=True)
        _keep(run, upload)
    return run


def _shown_name(name):
    """The upload's own name for people to read; nothing is ever stored under it."""
    return clean_text(str(name or "").replace("\\", "/").rpartition("/")[2], 120) or "file.csv"


def _sha256(file):
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(run, file):
    file.seek(0)
    for number, data in enumerate(iter(lambda: file.read(ImportPiece.SIZE), b"")):
        ImportPiece.objects.create(run=run, number=number, data=data)


def _offer(run, by):
    """(mapping, options): those the person used for these headings before, else a guess."""
    plug = find_importer(run.importer)
    known = ImportMapping.objects.filter(owner=by, importer=run.importer, headers=header_key(run.headers)).first()
    if known:
        return [known.mapping.get(h, "") for h in run.headers], known.options
    mapping = plug.guess(run.headers)
    return mapping, {"match": plug.best_key(mapping), "country": "", "clear": False}


def same_file_before(run):
    """The newest earlier import of the very same bytes that was applied, or None."""
    earlier = Import.objects.filter(sha256=run.sha256, importer=run.importer, livemode=run.livemode)
    return earlier.filter(status__in=[Status.DONE, Status.APPLYING]).exclude(pk=run.pk).order_by("-id").first()


def preview(run, rows=5):
    """The first rows as they read now, for the column page."""
    with run.open() as file:
        return [_storable(cells) for _, cells in islice(files.records(file, run.form), 1, rows + 1)]


@transaction.atomic
def read_as(run, *, encoding, delimiter, by):
    """Read the file in another encoding or with another delimiter. Raises FileProblem when it does not fit."""
    _refuse_unless(run, Status.UPLOADED)
    form = files.Format(encoding, delimiter)
    with run.open() as file:
        found = files.scan(file, form)
    run.encoding, run.delimiter, run.headers, run.total = encoding, delimiter, found.headers, found.rows
    run.mapping, run.options = _offer(run, by)
    run.problem = ""
    run.save(update_fields=["encoding", "delimiter", "headers", "total", "mapping", "options", "problem"])
    return run


def _refuse_unless(run, *statuses):
    if run.status not in statuses:
        raise DomainError(f"This import is {run.get_status_display().lower()} now. Reload the page to see it.")


# --- the check -----------------------------------------------------------------------------------------
def check_import(run, *, mapping, match, country, clear, by):
    """Choose the columns, remember them for such files, and find out what every row would do.

    mapping is a field for each heading, "" to leave one out. Small files are checked at once, others by the worker.
    """
    from dashboard.imports.tasks import check

    _refuse_unless(run, Status.UPLOADED)
    if refusal := run.plug.refuse_mapping(mapping):
        raise DomainError(refusal)
    if match and match not in mapping:
        raise DomainError(
            f"Rows cannot be matched by {run.plug.label(match)}: no column holds it. Map a column to it, or choose another way."
        )
    options = {"match": match, "country": country, "clear": clear}
    with transaction.atomic():
        _remember(run, mapping, options, by)
        run.rows.all().delete()
        states.move(run, Status.CHECKING, by=by, mapping=mapping, options=options, problem="", **_fresh())
        if run.total > AT_ONCE:
            check.enqueue(run.pk)
    if run.total <= AT_ONCE:
        check_rows(run.pk)
    run.refresh_from_db()
    return run


def _remember(run, mapping, options, by):
    ImportMapping.objects.update_or_create(
        owner=by,
        importer=run.importer,
        headers=header_key(run.headers),
        defaults={"mapping": dict(zip(run.headers, mapping, strict=True)), "options": options, "updated_at": timezone.now()},
    )


def _fresh():
    """The columns of a run that starts over."""
    return {"at_row": 0, "updated_at": timezone.now()} | dict.fromkeys([*_COUNTED.values(), "notices", "duplicates"], 0)


@bulk.rare_collections()
def check_rows(run_id):
    """Go through the whole file and keep what each row would do. Called by the worker; safe to call twice."""
    run = Import.objects.get(pk=run_id)
    if run.status != Status.CHECKING or run.at_row:
        return
    with run.open() as file:
        try:
            done = _check_batches(run, file)
        except files.FileProblem as problem:
            states.move(run, Status.UPLOADED, by=run.created_by, problem=str(problem)[:500])
            return
    if done:
        states.move(run, Status.CHECKED, by=run.created_by, updated_at=timezone.now())


def _check_batches(run, file):
    """False when another worker has taken over."""
    plug, options = run.plug, run.chosen
    read = plug.reader(run.headers, run.mapping, options)
    records = islice(files.records(file, run.form), 1, None)
    while batch := [read(number, cells) for number, cells in islice(records, BATCH)]:
        with transaction.atomic():
            if not _claim(run, Status.CHECKING, batch[-1].number):
                return False
            plug.plan(batch, options)
            _refuse_twice(run, batch)
            ImportRow.objects.bulk_create([_kept(run, row) for row in batch])
            _count(run, batch)
    return True


def _claim(run, status, up_to):
    """Move the run on to row `up_to`; False if someone else did."""
    now = timezone.now()
    if not Import.objects.filter(pk=run.pk, status=status, at_row=run.at_row).update(at_row=up_to, updated_at=now):
        return False
    run.at_row, run.updated_at = up_to, now
    return True


def _refuse_twice(run, batch):
    """Refuse rows about a record that an earlier row of the file is about already."""
    keys = {row.key for row in batch if row.key}
    seen = dict(run.rows.filter(key__in=keys).exclude(action=ERROR).values_list("key", "number")) if keys else {}
    for row in batch:
        if row.key and row.action != ERROR:
            first = seen.setdefault(row.key, row.number)
            if first != row.number:
                name, _, value = row.key.partition(":")
                row.refuse(f"Row {first} has the same {run.plug.label(name)} “{value[:60]}”. Keep one of them.")


def _kept(run, row):
    return ImportRow(
        run=run,
        number=row.number,
        action=row.action,
        title=_title(row),
        key=row.key,
        cells=[] if row.action == SKIP else _storable(row.cells),
        changes=row.changes,
        notes=[n[:500] for n in row.notes[:20]],
        duplicate=row.duplicate,
        object_id=row.target.pk if row.action in (UPDATE, SKIP) else "",
    )


def _storable(cells):
    """Cells as they are kept and shown: what nobody types is taken out, as it is of values; an error is marked."""
    if all(c.isascii() and c.isprintable() and len(c) <= files.LONGEST_CELL for c in cells):
        return cells
    return [clean_text(files.mark_lost(c), files.LONGEST_CELL) for c in cells]


def _title(row):
    if row.target is not None:
        return str(row.target)[:200]
    return clean_text(" ".join(c for c in row.cells if c)[:400].replace("\n", " "), 80)


def _count(run, batch):
    for row in batch:
        name = _COUNTED[row.action]
        setattr(run, name, getattr(run, name) + 1)
        run.notices += bool(row.notes) and row.action in (CREATE, UPDATE, SKIP)
        run.duplicates += row.duplicate and row.action == CREATE
    _save_counts(run)


def _save_counts(run):
    names = [*_COUNTED.values(), "notices", "duplicates"]
    Import.objects.filter(pk=run.pk).update(**{n: getattr(run, n) for n in names})


# --- the write -----------------------------------------------------------------------------------------
def confirm_import(run, *, by):
    """Let the worker write what the check showed."""
    from dashboard.imports.tasks import apply

    if not run.to_write:
        raise DomainError("There is nothing to import: no row creates or changes anything.")
    with transaction.atomic():
        states.move(run, Status.APPLYING, by=by, applied_by=by, at_row=0, updated_at=timezone.now())
        apply.enqueue(run.pk)
    run.refresh_from_db()
    return run


@bulk.rare_collections()
def apply_rows(run_id):
    """Write the checked rows, batch by batch, from where the last committed batch ended. Called by the worker."""
    run = Import.objects.select_related("applied_by").get(pk=run_id)
    if run.status != Status.APPLYING:
        return
    read = run.plug.reader(run.headers, run.mapping, run.chosen)
    while shown := list(run.rows.filter(action__in=[CREATE, UPDATE], number__gt=run.at_row).order_by("number")[:BATCH]):
        with transaction.atomic():
            if not _claim(run, Status.APPLYING, shown[-1].number):
                return
            _settle(run, shown, _write(run, shown, read))
    _finish(run)


def _write(run, shown, read):
    """Write these rows if they would still do what was shown; one by one if two of them collide."""
    rows = [read(s.number, list(s.cells)) for s in shown]
    run.plug.plan(rows, run.chosen)
    for row, was in zip(rows, shown, strict=True):
        if row.action != was.action or json.loads(json.dumps(row.changes)) != was.changes:
            row.refuse(_CHANGED_SINCE)
    try:
        with transaction.atomic():
            run.plug.write([r for r in rows if r.action != ERROR], run.chosen, by=run.applied_by)
    except IntegrityError:
        if len(shown) > 1:
            return [_write(run, [s], read)[0] for s in shown]
        rows[0].refuse(_COLLIDED)
    return rows


def _settle(run, shown, written):
    """Note what became of each row; the ones refused now count as errors."""
    refused, made = [], []
    for was, row in zip(shown, written, strict=True):
        if row.action == ERROR:
            name = _COUNTED[was.action]
            setattr(run, name, getattr(run, name) - 1)
            run.errors += 1
            was.action, was.notes = ERROR, row.notes[:20]
            refused.append(was)
        elif row.action == CREATE:
            was.object_id = row.target.pk
            made.append(was)
    ImportRow.objects.bulk_update(made, ["object_id"], batch_size=100)
    ImportRow.objects.bulk_update(refused, ["action", "notes"], batch_size=100)
    _save_counts(run)


@transaction.atomic
def _finish(run):
    """Close the run; drop the file and the cells, which nobody needs any more but for rows with errors."""
    run.refresh_from_db()
    states.move(run, Status.DONE, by=run.applied_by, finished_at=timezone.now(), updated_at=timezone.now())
    run.pieces.all().delete()
    run.rows.exclude(action=ERROR).update(cells=[])


# --- other ways ----------------------------------------------------------------------------------------
def continue_import(run, *, by):
    """Set a run whose worker died going again: a check starts over, a write goes on where it stopped."""
    from dashboard.imports.tasks import apply, check

    _refuse_unless(run, Status.CHECKING, Status.APPLYING)
    with transaction.atomic():
        events.record("import.continued", run, by=by)
        if run.status == Status.CHECKING:
            run.rows.all().delete()
            Import.objects.filter(pk=run.pk, status=Status.CHECKING).update(**_fresh())
            check.enqueue(run.pk)
        else:
            Import.objects.filter(pk=run.pk).update(updated_at=timezone.now())
            apply.enqueue(run.pk)
    run.refresh_from_db()
    return run


def continue_stalled():
    """Continue every run that stands still; for the periodic command. Returns how many."""
    stalled = [r for r in Import.objects.filter(status__in=[Status.CHECKING, Status.APPLYING]) if r.stalled]
    for run in stalled:
        continue_import(run, by=None)
    return len(stalled)


def choose_again(run, *, by):
    """Back to the columns after a check; nothing was written."""
    return states.move(run, Status.UPLOADED, by=by)


@transaction.atomic
def cancel_import(run, *, by):
    """Give an import up before anything was written; its file and rows go."""
    states.move(run, Status.CANCELED, by=by, finished_at=timezone.now())
    run.pieces.all().delete()
    run.rows.all().delete()
    return run


def error_file(run):
    """Yield the error rows as CSV bytes: the person's own columns and what is wrong, to correct and upload again."""
    own = len(run.headers) - (run.headers[-1:] == [PROBLEM_HEADER])  # our column of the time before is replaced
    yield "\ufeff".encode() + _line([*map(guard, run.headers[:own]), PROBLEM_HEADER])
    for row in run.rows.filter(action=ERROR).order_by("number").iterator(chunk_size=500):
        cells = row.cells[:own] if len(row.cells) == len(run.headers) else row.cells
        cells += [""] * (own - len(cells))
        yield _line([*map(guard, cells), " ".join(row.notes)])


def _line(cells):
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()
