"""Import engine: files that are read, files that are refused, and runs that survive their worker."""

import gzip
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from customers.imports import IMPORTER
from customers.models import Customer
from dashboard.import_models import Import, ImportPiece
from dashboard.imports import files, runs
from dashboard.imports.rows import Options, header_key, tidy
from dashboard.models import Event
from dashboard.states import DomainError

Status = Import.Status


@pytest.fixture(autouse=True)
def _no_worker(settings):
    """Tasks are noted, not run: tests call the worker's part themselves."""
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}


def upload(text, name="people.csv", encoding="utf-8"):
    return SimpleUploadedFile(name, text.encode(encoding) if isinstance(text, str) else text)


def start(text, by, **how):
    return runs.start_import(upload(text), importer="customers", livemode=False, by=by, **how)


def check(text, by, match="", country="", clear=False):
    run = start(text, by)
    runs.check_import(run, mapping=run.mapping, match=match, country=country, clear=clear, by=by)
    return run


def confirm(run, by):
    runs.confirm_import(run, by=by)
    runs.apply_rows(run.pk)
    run.refresh_from_db()
    return run


def people(count, start=1):
    return "reference,name,email\n" + "".join(f"R{n},Person Number{n},p{n}@example.com\n" for n in range(start, start + count))


def row_at(run, number):
    return run.rows.get(number=number)


# --- what is read --------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "cp1251", "shift_jis"])
def test_the_encoding_is_found_out(encoding):
    names = {"cp1251": "Анна Каренина, Санкт-Петербург, Невский проспект", "shift_jis": "山田太郎、東京都千代田区の株式会社"}
    text = (
        "name,city\n"
        + f"{names.get(encoding, 'François Müller')},Köln\n".replace("Köln", "Koln" if encoding in names else "Köln") * 20
    )
    file = io.BytesIO(text.encode(encoding))
    form = files.detect(file)
    assert form.encoding == encoding.removesuffix("-sig")
    assert files.scan(file, form).headers == ["name", "city"]
    assert files.scan(file, form).first[0][0] == text.splitlines()[1].split(",")[0]


@pytest.mark.parametrize("delimiter", files.DELIMITERS)
def test_the_delimiter_is_found_out(delimiter):
    text = delimiter.join(["name", "e-mail", "note"]) + "\n" + delimiter.join(["Ana", "a@b.co", '"one, two; three"']) + "\n"
    assert files.detect(io.BytesIO(text.encode())).delimiter == delimiter


def test_what_was_read_is_said_in_words():
    assert str(files.Format("utf-8", ",")) == "UTF-8, comma"


SPECTRUM = {
    'first,address\nJohn,"120 any st., Anytown"\n': [["John", "120 any st., Anytown"]],
    'a,b\n1,"ha ""ha"" ha"\n': [["1", 'ha "ha" ha']],
    'a,b\r\n"",""\r\n2,3\r\n': [["2", "3"]],
    'a,b\n1,"two\nlines"\n': [["1", "two\nlines"]],
    "a,b\n\n\n1,2\n\n": [["1", "2"]],
    'key,val\n1,"{""type"": ""Point""}"\n': [["1", '{"type": "Point"}']],
}


@pytest.mark.parametrize("text", SPECTRUM)
def test_awkward_but_correct_csv_is_read_as_meant(text):
    file = io.BytesIO(text.encode())
    assert [cells for _, cells in files.records(file, files.Format())][1:] == SPECTRUM[text]


def test_rows_are_numbered_as_a_spreadsheet_shows_them():
    file = io.BytesIO(b'name\n"two\nlines"\n\nlast\n')
    assert [number for number, _ in files.records(file, files.Format())] == [1, 2, 4]


# --- what is refused -----------------------------------------------------------------------------

HOSTILE = {
    "empty": (b"", "empty"),
    "blank": (b" \n\n ", "empty"),
    "headings only": (b"name,email\n", "no rows"),
    "gzip": (gzip.compress(b"name\nAna\n"), "compressed"),
    "zip": (b"PK\x03\x04rest", "Excel workbook or a ZIP"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "picture"),
    "pdf": (b"%PDF-1.7\n%", "PDF"),
    "utf-16 with mark": ("name\nAna\n".encode("utf-16"), "UTF-16"),
    "utf-16 without mark": ("name\nAna\n".encode("utf-16-le"), "UTF-16"),
    "program": (b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"name" * 50, "text"),
    "unterminated quote": (b'name,city\nAna,Rome\n"Bob,Paris\nCid,Oslo\n', "opens in row 3"),
    "quote in a cell": (b'name,city\n"An"a,Rome\n', "Row 2 cannot be read"),
    "endless field": (b'name,city\nAna,Rome\nBob,"' + b"x" * 131_073 + b'"\n', "Row 3 has a cell that is too long"),
    "twice the heading": (b"Name,E-mail,name\nAna,a@b.co,x\n", "Two columns are called"),
    "no headings": (b" , ,\nAna,Rome,x\n", "no headings"),
    "61 columns": (b",".join(b"c%d" % n for n in range(61)) + b"\n" + b"," * 60 + b"x\n", "at most 60"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_cannot_be_used_is_refused_with_a_sentence(name, max):
    content, words = HOSTILE[name]
    with pytest.raises(files.FileProblem, match=words):
        start(content, max)
    assert not Import.objects.exists()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("Ana,Rome,extra", "3 cells, the headings are 2"),
        ("Ana", "1 cells"),
        ("An\0a,Rome", "NUL"),
        (f"Ana,{'x' * 10_001}", "10,000"),
        ("Ana 4242 4242 4242 4242,Rome", "card number"),
    ],
)
def test_a_row_that_cannot_be_used_is_an_error_of_its_own(row, words, max):
    run = check(f"name,city\nBob,Oslo\n{row}\nCid,Oslo\n", max)
    assert (run.status, run.creates, run.errors) == (Status.CHECKED, 2, 1)
    assert words in row_at(run, 3).notes[0]


def test_a_cell_of_exactly_the_limit_is_read_and_its_value_left_out_if_too_long(max):
    run = check(f"name,description\nAna,{'x' * 10_000}\n", max)
    assert run.creates == 1
    assert row_at(run, 2).notes == ["Description: it has 10,000 characters, at most 1,000 fit. It was left out."]


def test_bytes_outside_the_encoding_are_an_error_of_their_row(max):
    run = start("name,city\nAna,Rome\n", max)
    run.pieces.all().delete()
    ImportPiece.objects.create(run=run, number=0, data=b"name,city\nAna,Rome\nB\xff\xfeb,Oslo\n")
    runs.check_import(run, mapping=["name", "address_city"], match="", country="", clear=False, by=max)
    assert (run.creates, run.errors) == (1, 1)
    assert "encoding" in row_at(run, 3).notes[0]


def test_the_uploads_name_is_never_a_path(max):
    run = runs.start_import(upload("name\nAna\n", name="x"), importer="customers", livemode=False, by=max)
    assert runs._shown_name("../../etc/pass\0wd.csv") == "passwd.csv"
    assert runs._shown_name("C:\\Users\\me\\list.csv") == "list.csv"
    assert run.file_name == "x"


def test_a_large_file_is_kept_in_pieces_and_reads_back_the_same(max):
    content = ("name\n" + "Ana María de la Cruz y Villanueva\n" * 40_000).encode()
    run = start(content, max)
    assert run.pieces.count() == 2
    with run.open() as file:
        assert file.read() == content
        file.seek(1_048_570)
        assert file.read(20) == content[1_048_570:1_048_590]


# --- columns -------------------------------------------------------------------------------------


def test_a_mapping_is_remembered_for_the_same_headings_in_any_order_and_for_that_person_only(max, alice):
    run = start("Nombre,Correo\nAna,a@b.co\n", max)
    assert run.mapping == ["", ""]
    runs.check_import(run, mapping=["name", "email"], match="email", country="PH", clear=True, by=max)

    again = start("Correo,Nombre\nb@b.co,Bob\n", max)
    assert again.mapping == ["email", "name"]
    assert again.options == {"match": "email", "country": "PH", "clear": True}
    assert start("Correo,Nombre\nb@b.co,Bob\n", alice).mapping == ["", ""]


def test_the_error_files_extra_column_does_not_make_the_headings_new():
    assert header_key(["Name", "Email", "Problem"]) == header_key(["email", "NAME"])


@pytest.mark.parametrize(
    ("mapping", "match", "words"),
    [(["", ""], "", "No column"), (["name", "name"], "", "Two columns"), (["name", ""], "email", "cannot be matched")],
)
def test_a_mapping_that_makes_no_sense_is_refused(mapping, match, words, max):
    run = start("a,b\n1,2\n", max)
    with pytest.raises(DomainError, match=words):
        runs.check_import(run, mapping=mapping, match=match, country="", clear=False, by=max)
    assert Import.objects.get().status == Status.UPLOADED


def test_reading_the_file_another_way_is_possible_until_the_check(max):
    run = start("name;city\nAna;Rome\n", max)
    assert run.form == files.Format("utf-8", ";")
    runs.read_as(run, encoding="cp1252", delimiter=",", by=max)
    assert run.headers == ["name;city"]
    runs.read_as(run, encoding="utf-8", delimiter=";", by=max)
    runs.check_import(run, mapping=run.mapping, match="", country="", clear=False, by=max)
    with pytest.raises(DomainError, match="ready"):
        runs.read_as(run, encoding="utf-8", delimiter=",", by=max)


def test_text_is_made_safe_and_kept_on_one_line():
    assert tidy("a\r\nb\tc") == "a b c"
    assert tidy("a\r\nb", long=True) == "a\nb"
    assert tidy("x\u202ey\x07") == "xy"


# --- the run -------------------------------------------------------------------------------------


def test_nothing_is_written_before_it_is_confirmed(max):
    run = check(people(3), max, match="reference")
    assert (run.status, run.creates) == (Status.CHECKED, 3)
    assert not Customer.objects.exists()

    confirm(run, max)
    assert run.status == Status.DONE
    assert Customer.objects.count() == 3
    assert Event.objects.filter(type="customer.created", by=max, data__source=run.pk).count() == 3
    assert not run.pieces.exists()


def test_the_same_file_twice_is_noticed_and_changes_nothing(max):
    first = confirm(check(people(3), max, match="reference"), max)
    second = check(people(3), max, match="reference")
    assert runs.same_file_before(second) == first
    assert (second.creates, second.updates, second.skips) == (0, 0, 3)
    with pytest.raises(DomainError, match="nothing to import"):
        runs.confirm_import(second, by=max)


def test_an_import_is_confirmed_once(max):
    run = check(people(2), max)
    runs.confirm_import(run, by=max)
    with pytest.raises(DomainError):
        runs.confirm_import(Import.objects.get(), by=max)


def test_two_rows_about_one_record_are_not_both_taken_even_in_different_batches(max, monkeypatch):
    monkeypatch.setattr(runs, "BATCH", 2)
    run = check(people(4) + "R1,Someone Else,x@example.com\n", max, match="reference")
    assert (run.creates, run.errors) == (4, 1)
    assert "Row 2 has the same Reference" in row_at(run, 6).notes[0]


class Killed(BaseException):
    pass


def test_a_killed_worker_goes_on_where_it_stopped_and_writes_no_row_twice(max, monkeypatch):
    monkeypatch.setattr(runs, "BATCH", 2)
    run = check(people(7), max)  # matched by nothing: a row written twice would be a second customer
    runs.confirm_import(run, by=max)
    write, batches = IMPORTER.write, []

    def dies_in_the_third(rows, options, *, by):
        write(rows, options, by=by)
        batches.append(len(rows))
        if len(batches) == 3:
            raise Killed

    monkeypatch.setattr(IMPORTER, "write", dies_in_the_third)
    with pytest.raises(Killed):
        runs.apply_rows(run.pk)
    assert Customer.objects.count() == 4

    monkeypatch.setattr(IMPORTER, "write", write)
    runs.continue_import(Import.objects.get(), by=max)
    runs.apply_rows(run.pk)
    run.refresh_from_db()
    assert run.status == Status.DONE
    assert sorted(Customer.objects.values_list("reference", flat=True)) == [f"R{n}" for n in range(1, 8)]
    assert Event.objects.filter(type="customer.created").count() == 7


@pytest.mark.parametrize("guarded", [True, False])
def test_of_two_workers_on_one_import_the_second_stops(guarded, max, monkeypatch):
    """Without the guard, as a control, rows are written twice."""
    monkeypatch.setattr(runs, "BATCH", 2)
    if not guarded:
        monkeypatch.setattr(runs, "_claim", lambda run, status, up_to: setattr(run, "at_row", up_to) or True)
    run = check(people(6), max)
    runs.confirm_import(run, by=max)
    write, entered = IMPORTER.write, []

    def lets_another_worker_in(rows, options, *, by):
        write(rows, options, by=by)
        if not entered:
            entered.append(True)
            with pytest.MonkeyPatch.context() as m:  # the other one read the run before this batch was committed
                m.setattr(runs.Import.objects, "select_related", lambda *a: _stale(run))
                runs.apply_rows(run.pk)

    monkeypatch.setattr(IMPORTER, "write", lets_another_worker_in)
    try:
        runs.apply_rows(run.pk)
    except DomainError:  # the control: both workers finish the run
        assert not guarded
    assert entered
    assert (Customer.objects.count() == 6) is guarded


def _stale(run):
    class Stale:
        def get(self, pk):
            old = Import.objects.get(pk=pk)
            old.at_row = 0
            return old

    return Stale()


def test_a_check_that_was_broken_off_starts_over(max, monkeypatch):
    monkeypatch.setattr(runs, "BATCH", 2)
    monkeypatch.setattr(runs, "AT_ONCE", 0)
    run = start(people(6), max)
    runs.check_import(run, mapping=run.mapping, match="", country="", clear=False, by=max)
    plan, batches = IMPORTER.plan, []

    def dies(rows, options):
        batches.append(rows)
        if len(batches) == 2:
            raise Killed
        plan(rows, options)

    monkeypatch.setattr(IMPORTER, "plan", dies)
    with pytest.raises(Killed):
        runs.check_rows(run.pk)
    assert Import.objects.get().creates == 2

    monkeypatch.setattr(IMPORTER, "plan", plan)
    runs.continue_import(Import.objects.get(), by=max)
    runs.check_rows(run.pk)
    run.refresh_from_db()
    assert (run.status, run.creates, run.rows.count()) == (Status.CHECKED, 6, 6)


def test_a_stalled_import_is_seen_and_continued_by_the_periodic_command(max):
    run = check(people(2), max)
    runs.confirm_import(run, by=max)
    assert not Import.objects.get().stalled
    assert runs.continue_stalled() == 0
    Import.objects.update(updated_at="2020-01-01T00:00Z")
    assert Import.objects.get().stalled
    assert runs.continue_stalled() == 1
    assert not Import.objects.get().stalled


def test_a_record_changed_after_the_check_is_left_alone_and_reported(max):
    confirm(check(people(2), max, match="reference"), max)
    run = check("reference,email\nR1,new1@example.com\nR2,new2@example.com\n", max, match="reference")
    assert run.updates == 2
    Customer.objects.filter(reference="R1").update(email="edited@example.com")

    confirm(run, max)
    assert Customer.objects.get(reference="R1").email == "edited@example.com"
    assert Customer.objects.get(reference="R2").email == "new2@example.com"
    assert (run.updates, run.errors) == (1, 1)
    assert "after the check" in row_at(run, 2).notes[0]


def test_a_broken_end_of_file_found_late_writes_nothing_and_says_so(max):
    run = start("name,city\nAna,Rome\n", max)
    run.pieces.all().delete()
    ImportPiece.objects.create(run=run, number=0, data=b'name,city\nAna,Rome\n"Bob,Oslo\n')
    runs.check_import(run, mapping=["name", ""], match="", country="", clear=False, by=max)
    assert run.status == Status.UPLOADED
    assert "never closed" in run.problem


def test_canceling_drops_the_file_and_the_rows(max):
    run = check(people(2), max)
    runs.cancel_import(run, by=max)
    assert not run.rows.exists()
    assert not run.pieces.exists()
    assert Event.objects.filter(type="import.canceled", by=max).exists()
    with pytest.raises(DomainError):
        runs.confirm_import(run, by=max)


def test_columns_can_be_chosen_again_after_the_check(max):
    run = check(people(2), max)
    runs.choose_again(run, by=max)
    runs.check_import(run, mapping=["reference", "name", ""], match="", country="", clear=False, by=max)
    assert (run.creates, run.rows.count()) == (2, 2)
    assert "email" not in row_at(run, 2).changes


def test_the_error_file_is_corrected_and_uploaded_again(max):
    text = "Client,Town,E-mail\nAna Reyes,=cmd(),ana@example.com\n,Oslo,no@example.com\n"
    run = start(text, max)
    runs.check_import(run, mapping=["name", "address_city", "email"], match="email", country="", clear=False, by=max)
    confirm(run, max)
    assert Customer.objects.get().address.city == "=cmd()"

    content = b"".join(runs.error_file(run)).decode("utf-8-sig")
    assert content.splitlines()[0] == "Client,Town,E-mail,Problem"
    assert content.splitlines()[1].startswith(',Oslo,no@example.com,"This row names nobody')
    again = start(content.replace(",Oslo", "Olav Dahl,Oslo"), max)
    assert again.mapping == ["name", "address_city", "email", ""]
    confirm(check_again(again, max), max)
    assert sorted(Customer.objects.values_list("name", flat=True)) == ["Ana Reyes", "Olav Dahl"]


def check_again(run, by):
    return runs.check_import(run, mapping=run.mapping, by=by, **run.options)


def test_the_error_file_holds_no_formula(max):
    run = check('name,description\n,"=HYPERLINK(""http://x"")"\n,@SUM(A1)\n', max)
    cells = [line.split(",")[1] for line in b"".join(runs.error_file(run)).decode("utf-8-sig").splitlines()[1:]]
    assert [c.lstrip('"')[0] for c in cells] == ["'", "'"]


def test_a_check_asks_the_same_few_queries_whatever_the_rows(max, django_assert_num_queries):
    """Look-ups are per batch, not per row."""
    options = Options(livemode=False, match="reference")
    read = IMPORTER.reader(["reference", "name", "email"], ["reference", "name", "email"], options)
    for count in (2, 400):
        rows = [read(n, [f"R{n}", f"Person {n}", f"p{n}@example.com"]) for n in range(count)]
        with django_assert_num_queries(2):  # who has the reference, who has the e-mail
            IMPORTER.plan(rows, options)
