"""Uploaded CSV files: what they are, how they read, and refusals a person can act on.

Reading is streaming: one record in memory at a time, whatever the size. Record numbers are those a
spreadsheet shows, so the header is row 1. The limits are those of the trust model (D10 to D12).
"""

import codecs
import csv
import io
import re
from dataclasses import dataclass, field

from charset_normalizer import from_bytes
from django.conf import settings

from dashboard.states import DomainError
from dashboard.text import clean_text

MOST_COLUMNS = 60
MOST_ROWS = settings.IMPORT_MAX_BYTES // 2**20 * 10_000  # through the browser; the command line has no such limit
LONGEST_CELL = 10_000
SAMPLE = 256 * 1024
ENCODINGS = {
    "utf-8": "UTF-8",
    "cp1252": "Windows Western (1252)",
    "cp1250": "Windows Central European (1250)",
    "cp1251": "Windows Cyrillic (1251)",
    "cp1253": "Windows Greek (1253)",
    "cp1254": "Windows Turkish (1254)",
    "mac_roman": "Mac Western",
    "shift_jis": "Japanese (Shift JIS)",
    "gb18030": "Chinese (GB 18030)",
    "big5": "Chinese (Big5)",
    "euc_kr": "Korean (EUC-KR)",
}
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_GUESSES = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "shift_jis", "gb18030", "big5", "euc_kr"]
_SAVE_AS = "Open it in a spreadsheet, save it as “CSV UTF-8” and upload that file."
_NOT_TEXT = [
    (b"\x1f\x8b", "This is a compressed file (gzip). Unpack it and upload the CSV file inside."),
    (b"PK", f"This is an Excel workbook or a ZIP archive, not a CSV file. {_SAVE_AS}"),
    (b"\xd0\xcf\x11\xe0", f"This is an old Excel workbook, not a CSV file. {_SAVE_AS}"),
    (b"\x89PNG", "This is a picture, not a CSV file. Choose another file."),
    (b"\xff\xd8\xff", "This is a picture, not a CSV file. Choose another file."),
    (b"GIF8", "This is a picture, not a CSV file. Choose another file."),
    (b"%PDF", "This is a PDF, not a CSV file. Choose another file."),
    (codecs.BOM_UTF16_LE, f"This file is in UTF-16. {_SAVE_AS}"),
    (codecs.BOM_UTF16_BE, f"This file is in UTF-16. {_SAVE_AS}"),
]
_SURROGATE = re.compile("[\ud800-\udfff]")  # what errors="surrogateescape" makes of bytes outside the encoding
_LOST = re.compile("[\0\ud800-\udfff]")
_MEND = "Mend that row and upload the file again."
_CELL_WORDS = "A cell holds at most 10,000 characters."


class FileProblem(DomainError):
    """The file as a whole cannot be read; the text says what to do about it."""


@dataclass(frozen=True)
class Format:
    """How a file's bytes are read."""

    encoding: str = "utf-8"
    delimiter: str = ","

    def __str__(self):
        return f"{ENCODINGS[self.encoding]}, {DELIMITERS[self.delimiter]}"


@dataclass
class Scan:
    """What one pass over a file found: its headings, its first rows, how many rows follow the headings."""

    headers: list
    first: list = field(default_factory=list)
    rows: int = 0


def detect(file):
    """The Format a binary file seems to have. Raises FileProblem for what is not plain text."""
    sample = _head(file)
    _refuse_binary(sample)
    encoding = "utf-8" if _is_utf8(file) else _guess_encoding(sample)
    return Format(encoding, _guess_delimiter(sample.decode(encoding, "replace").removeprefix("\ufeff")))


def _head(file):
    file.seek(0)
    sample = file.read(SAMPLE)
    file.seek(0)
    return sample


def _refuse_binary(sample):
    if not sample.strip():
        raise FileProblem("This file is empty. Choose a CSV file with a row of headings and at least one row below it.")
    for start, sentence in _NOT_TEXT:
        if sample.startswith(start):
            raise FileProblem(sentence)
    nulls = sample.count(0)
    if nulls > len(sample) // 4:
        raise FileProblem(f"This file seems to be in UTF-16 or not to be text at all. {_SAVE_AS}")
    if nulls > 8 or sum(sample.count(c) for c in range(1, 9)) > 8 + len(sample) // 1000:
        raise FileProblem(f"This is not a text file. {_SAVE_AS}")


def _is_utf8(file):
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while block := file.read(1 << 20):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    finally:
        file.seek(0)
    return True


def _guess_encoding(sample):
    """The likeliest of the encodings on offer: only text with accents tells them apart."""
    telling = b"\n".join(line for line in sample.splitlines() if not line.isascii())
    best = from_bytes(telling[:65536], cp_isolation=_GUESSES).best()
    if best is None or best.encoding not in ENCODINGS:
        return "cp1252"
    same = telling.decode(best.encoding, "replace") == telling.decode("cp1252", "replace")
    return "cp1252" if same else best.encoding


def _guess_delimiter(text):
    """The delimiter that gives most columns, all rows alike; a comma for a single column."""
    lines = text.splitlines(keepends=True)[:40]
    return max(DELIMITERS, key=lambda d: _evenness(lines, d))


def _evenness(lines, delimiter):
    try:
        rows = [len(r) for r in csv.reader(lines, delimiter=delimiter) if r]
    except csv.Error:
        return (0, 0)
    columns = rows[0] if rows else 0
    return (sum(n == columns for n in rows), columns) if columns > 1 else (0, 0)


def records(file, form):
    """Yield (row number, cells) of every record that is not blank, the headings included.

    Raises FileProblem, naming the row, where the rest of the file cannot be told apart any more.
    """
    file.seek(0)
    text = io.TextIOWrapper(_Unclosed(file), encoding=_codec(form), errors="surrogateescape", newline="")
    number = 0
    try:
        for number, cells in enumerate(csv.reader(text, delimiter=form.delimiter, strict=True), 1):
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise FileProblem(_csv_sentence(str(error), number + 1)) from None
    except UnicodeDecodeError:
        raise FileProblem(
            f"From row {number + 1} on the file is not {ENCODINGS[form.encoding]}. Choose another encoding."
        ) from None
    finally:
        text.detach()


def _codec(form):
    return "utf-8-sig" if form.encoding == "utf-8" else form.encoding


class _Unclosed(io.BufferedIOBase):
    """A reader over a file that stays open when the text wrapper around it goes."""

    def __init__(self, file):
        self.file = file

    def readable(self):
        return True

    def read(self, size=-1):
        return self.file.read(size)

    read1 = read


def _csv_sentence(error, number):
    if "limit" in error:
        return f"Row {number} has a cell that is too long, or a quote in it is never closed. {_CELL_WORDS} {_MEND}"
    if "unexpected end" in error:
        return f"A quote that opens in row {number} is never closed, so the rows after it cannot be told apart. {_MEND}"
    return f"Row {number} cannot be read: a quote stands in the middle of a cell. Double it or take it out. {_MEND}"


def scan(file, form, *, first=5, most_rows=MOST_ROWS):
    """Read a file once to the end. Raises FileProblem when it breaks a limit or has no use as a table."""
    found = None
    for _number, cells in records(file, form):
        if found is None:
            found = Scan(checked_headers(cells))
            continue
        found.rows += 1
        if len(found.first) < first:
            found.first.append(cells)
        if found.rows > most_rows:
            raise FileProblem(f"This file has more than {most_rows:,} rows. Split it and upload the parts one after the other.")
    if found is None or not found.rows:
        raise FileProblem("This file has headings but no rows below them." if found else "This file is empty.")
    return found


def checked_headers(cells):
    """The headings, trimmed. Raises FileProblem for too many of them, or two alike."""
    headers = [" ".join(clean_text(c).split())[:200] for c in cells]
    if len(headers) > MOST_COLUMNS:
        raise FileProblem(
            f"This file has {len(headers)} columns; at most {MOST_COLUMNS} are read. Remove the ones you do not need."
        )
    if not any(headers):
        raise FileProblem("The first row holds no headings. Add a row that names the columns.")
    seen = set()
    for name in filter(None, headers):
        if name.casefold() in seen:
            raise FileProblem(f"Two columns are called “{name}”. Rename or remove one and upload the file again.")
        seen.add(name.casefold())
    return headers


def trouble_with(cells, width):
    """Why a record cannot be used, as a sentence, or "": ragged, too long, NUL, or not in its encoding."""
    while len(cells) > width and not cells[-1]:
        cells.pop()
    if len(cells) != width:
        return f"This row has {len(cells)} cells, the headings are {width}."
    text = "".join(cells)
    if len(text) > LONGEST_CELL and any(len(c) > LONGEST_CELL for c in cells):
        return _CELL_WORDS
    if "\0" in text:
        return "This row holds a NUL character. Remove it."
    if not text.isascii() and _SURROGATE.search(text):
        return "This row holds characters that are not in the file's encoding. Choose another encoding, or type them again."
    return ""


def mark_lost(cell):
    """A cell with � for what made its row an error: NUL, and bytes outside the encoding."""
    return _LOST.sub("�", cell)
