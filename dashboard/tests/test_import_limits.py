"""Hostile files through the page that takes them: refused in a sentence or read row by row; every limit at its edge."""

import codecs
import gzip
import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from customers.models import Customer
from dashboard.import_models import Import, ImportRow
from dashboard.imports import files, runs
from dashboard.models import Event
from dashboard.text import unsafe

pytestmark = pytest.mark.django_db
MB = 1 << 20
ROW = b"Ana,Rome\n"
NASTY = "\u202eevil\u202c \x07\x85\ufeff"


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


REFUSED = {  # content, a word of the sentence
    "nothing": (b"", "empty"),
    "blanks": (b" \r\n\t\n ", "empty"),
    "a mark and nothing else": (codecs.BOM_UTF8, "no headings|is empty"),
    "headings only": (codecs.BOM_UTF8 + b"name,city\n", "no rows"),
    "delimiters only": (b",,,\n,,,\n", "is empty"),
    "gzip bomb": (gzip.compress(b"name\n" + b"0" * 3 * MB), "gzip"),
    "zip": (zipped("people.csv", b"name\nAna\n"), "ZIP"),
    "xlsx": (zipped("[Content_Types].xml", b"<Types/>" * 1000), "Excel"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "old Excel"),
    "utf-16 little end": ("name\nAna\n".encode("utf-16"), "UTF-16"),
    "utf-16 big end": (codecs.BOM_UTF16_BE + "name\nAna\n".encode("utf-16-be"), "UTF-16"),
    "utf-16 unmarked": ("name\nAna\n".encode("utf-16-le"), "UTF-16"),
    "utf-32": ("name\nAna\n".encode("utf-32"), "UTF-16"),
    "png renamed": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0\1" * 200, "picture"),
    "jpeg renamed": (b"\xff\xd8\xff\xe0\0\x10JFIF", "picture"),
    "gif renamed": (b"GIF89a\1\0\1\0", "picture"),
    "pdf renamed": (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
    "program": (b"\x7fELF\2\1\1" + b"\0" * 400, "not"),
    "nul in plenty": (b"name,city\n" + b"A\0n\0a,Rome\n" * 20, "not a text file"),
    "unterminated quote": (b'name,city\nAna,Rome\n"Bob,Paris\nCid,Oslo\n', "opens in row 3"),
    "quote in a cell": (b'name,city\n"An"a,Rome\n', "Row 2 cannot be read"),
    "field of 131,073": (b'name,city\nAna,Rome\n"' + b"x" * 131_073 + b'",Oslo\n', "Row 3 has a cell that is too long"),
    "bare field of 131,073": (b"name,city\n" + b"x" * 131_073 + b",Oslo\n", "Row 2 has a cell that is too long"),
    "duplicate headings": (b"Name,e-mail,NAME \n" + b"Ana,a@b.co,x\n", "Two columns are called"),
    "duplicates but for what nobody sees": ("name,na\u200e\u202eme\u202c".replace("\u200e", "").encode() + b"\nAna,x\n", "Two"),
    "headings of nothing": ("\u202e,\x07\n".encode() + ROW, "no headings"),
}
TAKEN = {  # content, how many rows it creates, how many it refuses
    "plain": (b"name,city\n" + ROW, 1, 0),
    "utf-8 with mark": (codecs.BOM_UTF8 + b"name,city\n" + ROW, 1, 0),
    "cp1252": ("name,city\nFran\u00e7ois M\u00fcller,K\u00f6ln\n".encode("cp1252"), 1, 0),
    "old mac line ends": (b"name,city\rAna,Rome\rBob,Oslo\r", 2, 0),
    "ragged rows": (b"name,city\nAna\nBob,Oslo,x\n" + ROW + b"Cid,Oslo,,,\n", 2, 2),
    "nul in a cell": (b"name,city\nA\0na,Rome\n" + ROW, 1, 1),
    "what nobody types": (f"name,city\nAna{NASTY},{NASTY}Rome\n".encode(), 1, 0),
    "a heading what nobody types": (f"name,ci{NASTY}ty\n".encode() + ROW, 1, 0),
    "bytes of no encoding": (b"name,ci\xff\xfe\x81ty\nAna,Ro\x81\x8d\nBob,Oslo\n", None, None),
    "markup and formulas": (b'name,city\n"<script>alert(1)</script>","=cmd|\' /C calc\'!A0"\n', 1, 0),
    "one endless heading": (b"x" * 9_000 + b",name\n1,Ana\n", 1, 0),
    "a card number": (b"name,city\nAna 4242 4242 4242 4242,Rome\n" + ROW, 1, 1),
}
NAMES = ["../../etc/passwd", "C:\\x\\y.csv", "a%0D%0ASet-Cookie: x=1.csv", "\u202egpj.exe.csv"]
NAMES += ["n" * 300 + ".csv", "a\0b.csv", "'';!--.csv"]


@pytest.fixture(autouse=True)
def _no_worker(settings):
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}


def upload(client, content, name="people.csv"):
    """The form as a browser that keeps to no rule sends it."""
    about = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/csv\r\n\r\n'
    body = b"--B\r\n" + about.encode() + content + b"\r\n--B--\r\n"
    return client.post(reverse("customers:import_new"), body, content_type="multipart/form-data; boundary=B")


def test_every_file_that_is_no_table_is_refused_in_a_sentence(as_max):
    wrong = {}
    for name, (content, words) in REFUSED.items():
        page = upload(as_max, content, "people.csv")
        told = [str(e) for errors in page.context["form"].errors.values() for e in errors] if page.status_code == 422 else []
        if not any(word in " ".join(told) for word in words.split("|")):
            wrong[name] = (page.status_code, told)

    assert wrong == {}
    assert len(REFUSED) + len(TAKEN) > 30
    assert not Import.objects.exists()


def test_every_file_that_is_a_table_of_some_kind_is_read_to_its_end(as_max, max):
    wrong, before = {}, Customer.objects.count()
    for n, (name, (content, creates, refused)) in enumerate(TAKEN.items()):
        url = upload(as_max, content, NAMES[n % len(NAMES)]).url
        run = Import.objects.order_by("-id").first()
        columns = {f"column_{i}": "name" if h == "name" else "" for i, h in enumerate(run.headers)}
        pages = [as_max.get(url), as_max.post(url, columns), as_max.get(url), as_max.get(f"{url}?show=errors")]
        run.refresh_from_db()
        if creates is not None and (run.creates, run.errors) != (creates, refused):
            wrong[name] = (run.creates, run.errors, [row.notes for row in run.rows.all()])
        if [p.status_code for p in pages] != [200, 302, 200, 200]:
            wrong[name] = [p.status_code for p in pages]
        errors = b"".join(runs.error_file(run)).decode("utf-8-sig")
        if run.to_write:
            runs.confirm_import(run, by=max)
            runs.apply_rows(run.pk)
        if unsafe(errors.replace("\r", "")):
            wrong[name] = errors

    assert wrong == {}
    assert Customer.objects.count() > before + 8
    kept = list(Import.objects.values_list("file_name", "headers"))
    kept += [*ImportRow.objects.values_list("cells", "title", "changes", "notes")]
    kept += [*Customer.objects.values_list("name", "search"), *Event.objects.values_list("changes", "data")]
    assert not unsafe("".join(texts_of(kept)))
    assert {"passwd", "y.csv"} <= set(Import.objects.values_list("file_name", flat=True))


def texts_of(value):
    """Every text in lists and dicts."""
    if isinstance(value, str):
        return [value]
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [text for part in parts for text in texts_of(part)]


# --- each limit, one below, at it and one above ------------------------------------------------------------
def sized(size):
    """A file of exactly so many bytes."""
    line = b"Ana Reyes" + b" " * 189 + b"\n"
    text = b"name\n" + line * ((size - 5) // len(line))
    return text + b"x" * (size - len(text))


def tried(content, by):
    """ "" for a file that is taken, else what is said."""
    try:
        runs.start_import(SimpleUploadedFile("f.csv", content), importer="customers", livemode=False, by=by)
    except files.FileProblem as problem:
        return str(problem)
    return ""


def test_size_rows_and_columns_are_limited_to_the_one(max, settings, monkeypatch):
    settings.IMPORT_MAX_BYTES = MB
    monkeypatch.setattr(files.scan, "__kwdefaults__", files.scan.__kwdefaults__ | {"most_rows": 100})
    monkeypatch.setattr(files, "MOST_ROWS", 100)
    table = lambda columns: b",".join(b"c%d" % n for n in range(columns)) + b"\n" + b",".join([b"x"] * columns) + b"\n"  # noqa: E731

    rows = [tried(b"name\n" + b"Ana\n" * count, max) for count in (99, 100, 101)]
    columns = [tried(table(count), max) for count in (59, 60, 61)]
    monkeypatch.setattr(files.scan, "__kwdefaults__", files.scan.__kwdefaults__ | {"most_rows": 10_000})
    size = [tried(sized(MB + more), max) for more in (-1, 0, 1)]

    assert rows == ["", "", "This file has more than 100 rows. Split it and upload the parts one after the other."]
    assert columns == ["", "", "This file has 61 columns; at most 60 are read. Remove the ones you do not need."]
    assert size == ["", "", "This file has 1.1 MB; at most 1 MB are taken. Split it and upload the parts."]


def test_a_cell_is_limited_to_the_one(max):
    text = "name,city\n" + "".join(f"N{n},{'x' * n}\n" for n in (9_999, 10_000, 10_001))
    run = runs.start_import(SimpleUploadedFile("f.csv", text.encode()), importer="customers", livemode=False, by=max)
    runs.check_import(run, mapping=["name", ""], match="", country="", clear=False, by=max)

    assert [row.action for row in run.rows.order_by("number")] == ["create", "create", "error"]
    assert run.rows.get(action="error").notes == ["A cell holds at most 10,000 characters."]


def test_the_limits_are_those_of_the_trust_model_and_one_setting_moves_them(settings):
    """5 MB and 50,000 rows unless told otherwise; rows grow with the size."""
    assert (settings.IMPORT_MAX_BYTES, files.MOST_ROWS) == (5 * MB, 50_000)
    assert (files.MOST_COLUMNS, files.LONGEST_CELL) == (60, 10_000)
