"""A whole file imported at once, and how many records are stored at once."""

import gc
import json
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.utils import timezone

from customers.imports import IMPORTER
from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard.imports import bulk, files, stream
from dashboard.imports.rows import Options
from dashboard.models import Event
from dashboard.tests.test_imports import people


def happened(by, n=0):
    return bulk.event("customer.created", Customer(livemode=False), by=by, at=timezone.now(), data={"n": n})


def test_a_whole_file_is_imported_at_once_and_a_second_time_changes_nothing(max, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text(people(7) + ",,\nR9,,\n")
    first = stream.run_import(path, importer="customers", livemode=False, by=max, match="reference", batch=3)
    assert (first.created, first.errors) == (7, 1)
    assert first.problems[0][0] == 10
    again = stream.run_import(Path(path), importer="customers", livemode=False, by=max, match="reference", batch=3)
    assert (again.created, again.updated, again.unchanged, again.errors) == (0, 0, 7, 1)


def test_what_is_wrong_further_down_the_file_leaves_the_batches_before_it_stored(max, tmp_path):
    """The next batch is read while one is stored, which must not break off."""
    path = tmp_path / "half.csv"
    path.write_text(people(70) + 'R71,"Never closed,p@example.com\n')

    with pytest.raises(files.FileProblem, match="never closed"):
        stream.run_import(path, importer="customers", livemode=False, by=max, batch=60)

    assert Customer.objects.count() == Event.objects.filter(type="customer.created").count() == 60


def test_rows_are_read_and_drafted_without_the_database_which_is_busy_copying(db, django_assert_num_queries):
    headers = [f.name for f in IMPORTER.fields if not f.read_only and f.name != "id"]
    cells = dict.fromkeys(headers, "odd") | {"address_country": "DE", "phone": "0711 555-1234", "metadata": '{"a": 1}'}
    options = Options(livemode=False)
    with django_assert_num_queries(0):
        row = IMPORTER.reader(headers, headers, options)(2, list(cells.values()))
        IMPORTER.draft(row, options)

    assert row.values["address_country"] == "DE"
    assert (row.action, row.target.country) == ("create", "DE")
    assert len(row.notes) > 3


def test_a_row_that_may_be_about_somebody_is_not_drafted(max):
    options = Options(livemode=False, match="reference")
    read = IMPORTER.reader(["reference", "name"], ["reference", "name"], options)
    named, nameless = read(2, ["R1", "Ana"]), read(3, ["", "Ben"])
    for row in (named, nameless):
        IMPORTER.draft(row, options)

    assert (named.action, nameless.action) == ("", "create")


def test_other_work_goes_on_while_records_are_copied(max):
    work = iter(range(100))
    with transaction.atomic(), bulk.meanwhile(work):
        bulk.insert(Event, range(60), lambda n: happened(max))
        bulk.insert(Event, [])

    assert next(work) == (60 if connection.vendor == "postgresql" else 0)


def test_work_that_ends_before_the_records_do_is_no_trouble(max):
    with transaction.atomic(), bulk.meanwhile(iter("ab")):
        bulk.insert(Event, range(60), lambda n: happened(max))

    assert Event.objects.filter(type="customer.created").count() == 60


def test_garbage_is_collected_as_before_after_an_import(max, tmp_path):
    before = gc.get_threshold()
    (tmp_path / "bad.csv").write_text('name\n"never closed\n')
    with pytest.raises(files.FileProblem):
        stream.run_import(tmp_path / "bad.csv", importer="customers", livemode=False, by=max)

    assert gc.get_threshold() == before


def test_thousands_of_values_are_looked_for_at_once(alice, django_assert_num_queries):
    names = ["", "%", "_", "O'Brien", 'a"b', "{a,b}", "NULL", "\\", "Zoë", "A" * 255]
    for name in names:
        make_customer(by=alice, reference=name)
    wanted = [*names, *(f"nobody {n}" for n in range(5000))]
    with django_assert_num_queries(1):
        found = sorted(Customer.objects.filter(reference__any_of=wanted).values_list("reference", flat=True))

    assert found == sorted(names)
    assert not Customer.objects.filter(reference__any_of=[]).exists()
    assert not Customer.objects.filter(reference__any_of={"o'brien", "%%"}).exists()


def test_each_of_many_records_keeps_its_own_json(max):
    with transaction.atomic():
        bulk.insert(Event, range(100), lambda n: happened(max, n // 2))

    assert sorted(e.data["n"] for e in Event.objects.filter(type="customer.created")) == sorted([*range(50)] * 2)


def test_many_rows_at_once_are_stored_the_same_as_a_few(max, tmp_path):
    """More than 50 rows go by COPY on PostgreSQL; they must be the rows bulk_create makes."""
    few, many = tmp_path / "few.csv", tmp_path / "many.csv"
    person = '{ref},Ánge "L",a{ref}@example.com,+12025550{ref},"{{""k"": ""v\\\\n""}}"'
    row = person + ",Line \\\\ 1,US,2024-05-06T07:08:09.123456+02:00\n"
    header = "reference,name,email,phone,metadata,address_line1,address_country,created_at\n"
    few.write_text(header + row.format(ref=100))
    many.write_text(header + "".join(row.format(ref=n) for n in range(101, 161)))
    for path in (few, many):
        assert stream.run_import(path, importer="customers", livemode=False, by=max).errors == 0
    one, other = Customer.objects.get(reference="100"), Customer.objects.get(reference="160")
    for field in (
        "first_name",
        "last_name",
        "kind",
        "country",
        "metadata",
        "currency",
        "origin",
        "version",
        "livemode",
        "did",
        "archived_at",
        "status",
        "created_at",
    ):
        assert getattr(one, field) == getattr(other, field), field
    assert one.metadata == {"k": "v\\n"}
    assert one.created_at.isoformat() == "2024-05-06T05:08:09.123456+00:00"
    assert one.address.line1 == other.address.line1 == "Line \\\\ 1"
    assert other.search == one.search.replace("100", "160").replace(one.pk[4:], other.pk[4:])
    events = Event.objects.filter(type="customer.created").order_by("id")
    assert events.count() == 61
    assert json.dumps(events.first().data) == json.dumps(events.last().data)
