"""CSV imports: the run, its file, its rows as checked and applied, and remembered column mappings.

The file lies in the database, in pieces: the worker that applies it may be another machine than the one
that took the upload.
"""

import io

from django.conf import settings
from django.db import models
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from dashboard.ids import PublicIdField
from dashboard.imports import files, rows

STALLED_SECONDS = 60  # without a sign of life: then a button to continue appears


class Import(models.Model):
    """One file on its way into the records of one noun. Nothing is written to them before `applying`."""

    class Status(models.TextChoices):
        UPLOADED = "uploaded", "Choose columns"
        CHECKING = "checking", "Checking"
        CHECKED = "checked", "Ready"
        APPLYING = "applying", "Running"
        DONE = "done", "Finished"
        CANCELED = "canceled", "Canceled"

    MOVES = {
        Status.UPLOADED: {Status.CHECKING, Status.CANCELED},
        Status.CHECKING: {Status.CHECKED, Status.UPLOADED, Status.CANCELED},
        Status.CHECKED: {Status.APPLYING, Status.UPLOADED, Status.CANCELED},
        Status.APPLYING: {Status.DONE},
        Status.DONE: set(),
        Status.CANCELED: set(),
    }

    id = PublicIdField("imp")
    livemode = models.BooleanField()
    importer = models.CharField(max_length=32)  # the app whose `imports` module reads it
    file_name = models.CharField(max_length=120)  # shown, never used as a path
    size = models.PositiveIntegerField()  # bytes
    sha256 = models.CharField(max_length=64)
    encoding = models.CharField(max_length=16, default="utf-8")
    delimiter = models.CharField(max_length=1, default=",")
    headers = models.JSONField(default=list)
    mapping = models.JSONField(default=list)  # a field for each heading, "" for a column left out
    options = models.JSONField(default=dict)
    status = models.CharField(max_length=8, choices=Status, default=Status.UPLOADED)
    problem = models.CharField(max_length=500, blank=True)  # why the last check could not be finished
    total = models.PositiveIntegerField(default=0)
    at_row = models.PositiveIntegerField(default=0)  # the last row of the batch done: workers compare and set it
    creates = models.PositiveIntegerField(default=0)
    updates = models.PositiveIntegerField(default=0)
    skips = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0)
    notices = models.PositiveIntegerField(default=0)  # rows used without some of their values
    duplicates = models.PositiveIntegerField(default=0)  # new rows that look like somebody there already
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    applied_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")  # who confirmed
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)  # the worker's sign of life
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = [
            models.Index("importer", "livemode", F("id").desc(), name="import_newest"),
            models.Index("sha256", name="import_file"),
        ]

    def __str__(self):
        return self.file_name

    def get_absolute_url(self):
        return reverse(f"{self.importer}:import", args=[self.pk])

    @property
    def form(self):
        return files.Format(self.encoding, self.delimiter)

    @property
    def plug(self):
        """The Importer that reads it."""
        return rows.find_importer(self.importer)

    @property
    def chosen(self):
        """The person's options, as the engine takes them."""
        return rows.Options(livemode=self.livemode, source=self.pk, **self.options)

    @property
    def percent(self):
        return min(100, 100 * max(0, self.at_row - 1) // self.total) if self.total else 0

    @property
    def to_write(self):
        return self.creates + self.updates

    @property
    def error_rows(self):
        """The rows with errors, to correct and upload again; none of an import so old that its rows were removed."""
        return self.rows.filter(action=rows.ERROR) if self.errors else self.rows.none()

    @property
    def moving(self):
        return self.status in (self.Status.CHECKING, self.Status.APPLYING)

    @property
    def stalled(self):
        return self.moving and (timezone.now() - self.updated_at).total_seconds() > STALLED_SECONDS

    def open(self):
        """The uploaded bytes as a file to read and seek."""
        return io.BufferedReader(_Pieces(self), buffer_size=1 << 16)


class ImportPiece(models.Model):
    """A part of an uploaded file. Deleted when the import is over."""

    SIZE = 1 << 20

    id = PublicIdField("imf")
    run = models.ForeignKey(Import, models.CASCADE, related_name="pieces")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint("run", "number", name="import_piece_once")]

    def __str__(self):
        return f"{self.run_id} {self.number}"


class _Pieces(io.RawIOBase):
    """An import's pieces read as one file, one piece in memory."""

    def __init__(self, run):
        self.run, self.at, self.held = run, 0, (-1, b"")

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=io.SEEK_SET):
        self.at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.run.size}[whence])
        return self.at

    def readinto(self, buffer):
        number, offset = divmod(self.at, ImportPiece.SIZE)
        part = self._piece(number)[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)

    def _piece(self, number):
        if self.held[0] != number:
            data = ImportPiece.objects.filter(run=self.run, number=number).values_list("data", flat=True).first()
            self.held = (number, bytes(data or b""))
        return self.held[1]


class ImportRow(models.Model):
    """What the check found for one row, and, once applied, which record it became."""

    class Action(models.TextChoices):
        CREATE = rows.CREATE, "Create"
        UPDATE = rows.UPDATE, "Update"
        SKIP = rows.SKIP, "Unchanged"
        ERROR = rows.ERROR, "Error"

    id = PublicIdField("imr")
    run = models.ForeignKey(Import, models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField()  # as a spreadsheet counts: the headings are row 1
    action = models.CharField(max_length=6, choices=Action)
    title = models.CharField(max_length=200, blank=True)  # who it is about, for the list
    key = models.CharField(max_length=600, blank=True)  # what it is matched by
    cells = models.JSONField(default=list)  # as they came; emptied when the import is over, but for errors
    changes = models.JSONField(default=dict)  # field -> [before, after], as shown for confirmation
    notes = models.JSONField(default=list)
    duplicate = models.BooleanField(default=False)
    object_id = models.CharField(max_length=40, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint("run", "number", name="import_row_once")]
        indexes = [
            models.Index("run", "action", "number", name="import_row_action"),
            models.Index("run", "key", name="import_row_key", condition=~models.Q(key="")),
        ]

    def __str__(self):
        return f"row {self.number}"

    @property
    def shown_changes(self):
        """[(field in words, [before, after])] for the page."""
        label = self.run.plug.label
        return [(label(name), pair) for name, pair in self.changes.items()]


class ImportMapping(models.Model):
    """The columns and options somebody chose for a set of headings, offered again for the next such file."""

    id = PublicIdField("imm")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    importer = models.CharField(max_length=32)
    headers = models.CharField(max_length=32)  # rows.header_key
    mapping = models.JSONField(default=dict)  # heading -> field
    options = models.JSONField(default=dict)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint("owner", "importer", "headers", name="import_mapping_once")]

    def __str__(self):
        return self.headers
