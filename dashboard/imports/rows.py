"""What a noun declares to be imported, and how a file's cells become its values.

A noun subclasses `Importer`: fields, match keys, `plan` (what would happen to a batch of rows, by set-based
look-ups) and `write` (make it happen). The engine knows no noun and finds one as `IMPORTER` in its app's
`imports` module.
"""

import hashlib
import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from dashboard.card_numbers import find_card_number, hide_card_numbers, was_hidden
from dashboard.export import unguard
from dashboard.imports import files
from dashboard.text import clean_text, fold, unsafe

CREATE, UPDATE, SKIP, ERROR = "create", "update", "skip", "error"
PROBLEM_HEADER = "Problem"  # the column our error file adds: known again when it comes back
_ZONE = re.compile(r"\s*\(([^)]*)\)\s*$")
_LETTERS = re.compile(r"[\W_]+")
_CARD = "The row holds what looks like a payment card number. Remove it: card numbers are not stored here."


@dataclass(frozen=True)
class Options:
    """What the person chose for a whole file."""

    livemode: bool = False
    match: str = ""  # the field that says which record a row is about
    country: str = ""  # alpha-2, for phones without a country code
    clear: bool = False  # an empty cell clears the field instead of leaving it alone
    find_duplicates: bool = True
    source: str = ""  # the import's id, for the events


@dataclass(slots=True)
class Row:
    """One row on its way: what it says, what would happen, and why not."""

    number: int
    cells: list
    values: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)  # what was left out or looks odd, as sentences
    action: str = ""
    new: dict = field(default_factory=dict)  # field -> value, of a record it creates
    edits: dict = field(default_factory=dict)  # field -> [before, after], of a record it changes
    target: object = None  # the record it creates or changes
    key: str = ""  # what it is matched by, to find a second row about the same record
    duplicate: bool = False

    def refuse(self, sentence):
        self.action, self.new, self.edits = ERROR, {}, {}
        self.notes.insert(0, sentence)

    @property
    def changes(self):
        """{field: [before, after]} for people to look at; nothing was before what is created."""
        return self.edits or {name: ["", value] for name, value in self.new.items() if value}


@dataclass(frozen=True)
class Field:
    """A value a column may hold.

    parse(text, row, options, header) gives (value, problem): a problem is the end of the sentence
    “Phone: …” and the value is left out. read_only: known, and passed over.
    """

    name: str
    label: str
    parse: Callable = None
    also: tuple = ()  # other headings it is known by
    read_only: bool = False
    free_text: bool = True  # looked through for card numbers
    long: bool = False  # may hold line breaks


class Importer(ABC):
    """The plug a noun puts in. Subclasses set the class attributes and write plan and write."""

    name = ""  # its app, and so the module it is found in
    plural = "records"
    fields = ()  # in the order they are parsed: a country before its phone
    keys = ()  # (field, label) a row may be matched by, the surest first
    presets = ()  # (headings that tell a known file, {heading: field})
    prefix = ""  # "metadata.": open-ended columns, one per key

    def draft(self, row, options):  # noqa: B027  (a noun need not)
        """Plan a row as far as it goes without a look at the database, while that is still busy with rows before it."""

    @abstractmethod
    def plan(self, rows, options):
        """Set action, new or edits, target and key of every row that is not an error, in a few queries a batch."""

    @abstractmethod
    def write(self, rows, options, *, by):
        """Create and update what planned rows say, with their events. Called inside a transaction."""

    @abstractmethod
    def parse_prefixed(self, key, text):
        """(value, problem) of an open-ended column."""

    # --- columns -----------------------------------------------------------------------------------
    def field(self, name):
        return next((f for f in self.fields if f.name == name), None)

    def choices(self, header):
        """(value, label) a column may be mapped to, its own open-ended field last."""
        given = [(f.name, f.label) for f in self.fields if not f.read_only]
        return [("", "Leave out"), *given, *([self.prefixed(header)] if self.prefix and header else [])]

    def prefixed(self, header):
        given = header.startswith(self.prefix) or header.endswith("(metadata)")
        key = header.removeprefix(self.prefix).removesuffix("(metadata)").strip() if given else _slug(header)
        return f"{self.prefix}{key}", f"Metadata “{key}”"

    def guess(self, headers):
        """The likely field of each heading, "" where there is none. No field is given twice."""
        preset = next((names for tell, names in self.presets if set(tell) <= set(headers)), {})
        known = self._known()
        mapping, taken = [""] * len(headers), set()
        for exact in (True, False):  # a field's own name goes before a synonym
            for i, header in enumerate(headers):
                name = "" if mapping[i] else self._guess_one(header, preset, known, exact)
                if name and name not in taken:
                    mapping[i] = name
                    taken.add(name)
        return mapping

    def _known(self):
        names = {}
        for f in self.fields:
            for text in (f.name, f.label, *f.also):
                names.setdefault(_key(text), f)
        return names

    def _guess_one(self, header, preset, known, exact):
        plain = _ZONE.sub("", header)
        if header in preset or self.field(plain):
            name = preset.get(header, plain)
            return "" if (found := self.field(name)) and found.read_only else name
        if exact:
            return ""
        if self.prefix and (header.startswith(self.prefix) or header.endswith("(metadata)")):
            return self.prefixed(header)[0]
        found = known.get(_key(plain))
        return found.name if found and not found.read_only else ""

    def best_key(self, mapping):
        """The surest key among the mapped columns, or ""."""
        return next((name for name, _ in self.keys if name in mapping), "")

    def refuse_mapping(self, mapping):
        """A sentence when the mapping cannot be used, or ""."""
        used = [name for name in mapping if name]
        if not used:
            return "No column is used. Say what at least one column holds."
        twice = next((name for name in used if used.count(name) > 1), "")
        if twice:
            return f"Two columns are mapped to {self.label(twice)}. Leave one of them out."
        return ""

    def label(self, name):
        found = self.field(name)
        return found.label if found else f"Metadata “{name.removeprefix(self.prefix)}”"

    # --- cells -------------------------------------------------------------------------------------
    def reader(self, headers, mapping, options):
        """A function from (number, cells) to a Row with its values parsed."""
        order = {f.name: n for n, f in enumerate(self.fields)}
        columns = [self._column(at, name, headers[at]) for at, name in enumerate(mapping) if name]
        columns.sort(key=lambda c: order.get(c.name, len(order)))
        free = [c.at for c in columns if c.free_text]
        width = len(headers)

        def read(number, cells):
            row = Row(number, cells)
            if trouble := files.trouble_with(cells, width):
                row.refuse(trouble)
            elif was_hidden("\n".join(cells)) or find_card_number("\n".join(cells[i] for i in free)):
                row.cells = [hide_card_numbers(cell) for cell in cells]
                row.refuse(_CARD)
            else:
                _read_cells(row, columns, options)
            return row

        return read

    def _column(self, at, name, header):
        known, label = self.field(name), self.label(name)
        if known:
            return _Column(at, name, label, header, known.parse, known.free_text, known.long)
        return _Column(at, name, label, header, self._prefixed_parser(name.removeprefix(self.prefix)))

    def _prefixed_parser(self, key):
        return lambda text, row, options, header: self.parse_prefixed(key, text)


class _Column(NamedTuple):
    """A column that is used: where it stands and how its cells are read."""

    at: int
    name: str
    label: str
    header: str
    parse: Callable
    free_text: bool = True
    long: bool = False


def _read_cells(row, columns, options):
    """Parse the cells into row.values; a file has many, so what is plain text goes the short way."""
    cells, values = row.cells, row.values
    for at, name, label, header, parse, _, long in columns:
        typed = cells[at].strip()
        plain = typed.isascii() and typed.isprintable()
        text = typed if plain else tidy(typed, long)
        if text[:1] == "'":
            text = unguard(text).strip()
        if not text:
            if options.clear:
                values[name] = ""
            continue
        value, problem = parse(text, row, options, header)
        if problem:
            row.notes.append(f"{label}: {problem}")
            continue
        values[name] = value
        if not plain and unsafe(typed):
            row.notes.append(f"{label}: invisible characters were taken out.")


def tidy(text, long=False):
    """Safe text; line breaks stay in long fields only, and never as carriage returns."""
    lines = clean_text(text)
    return lines if long else " ".join(lines.split("\n")).replace("\t", " ")


def text_of(longest):
    """A Field.parse for text of at most `longest` characters; longer text is left out, not cut."""

    def parse(text, row, options, header):
        if len(text) > longest:
            return None, f"it has {len(text):,} characters, at most {longest:,} fit. It was left out."
        return text, ""

    return parse


def zone_in(header):
    """What stands in brackets at the end of a heading: `created_at (Asia/Manila)` names its time zone."""
    found = _ZONE.search(header)
    return found[1] if found else ""


def header_key(headers):
    """A short name of a set of headings, whatever their order: a mapping is remembered by it."""
    names = sorted(h.casefold() for h in headers if h and h != PROBLEM_HEADER)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]


def find_importer(name):
    """The Importer of an app: `IMPORTER` in its `imports` module."""
    return importlib.import_module(f"{name}.imports").IMPORTER


def _key(text):
    return _LETTERS.sub("", fold(text))


def _slug(text):
    return _LETTERS.sub("_", text).strip("_").lower()[:40] or "column"
