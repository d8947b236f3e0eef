"""CSV out: exactly the rows listed, safe in a spreadsheet, the same bytes from both databases."""

import csv
import datetime
import io
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.db.models.functions import Collate
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from customers.models import Customer
from customers.tables import CustomerTable
from customers.tests.factories import make_address, make_customer
from dashboard import export
from dashboard.export import Csv, guard, unguard
from dashboard.models import Event

HOSTILE = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "  +1", "\u00a0=1", "\u3000@x", "＝1", "＋1", "－1", "＠x",
    "'=1", "''+1", "' =1", "=cmd|' /C calc'!A0", '=HYPERLINK("http://evil.example","x")', "-2+3+cmd|' /C calc'!A0", "\u2003=x",
]  # fmt: skip
HARMLESS = ["Ana", "a=1", "1+1", "O'Brien", "'quoted'", "", "3 - 2", "x@y.example", "''", "' x"]


def rows_of(answer):
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert guard(text) == f"'{text}"
    assert unguard(guard(text)) == text


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_harmless_stays_as_it_is(text):
    assert guard(text) == unguard(text) == text


def test_there_are_at_least_22_hostile_strings():
    assert len(set(HOSTILE)) >= 22


@given(st.text())
def test_the_importer_gets_back_what_was_guarded(text):
    assert unguard(guard(text)) == text


@given(st.text())
def test_a_guarded_cell_never_starts_a_formula(text):
    cell = guard(text)
    assert not cell.strip().startswith(("=", "+", "-", "@"))


@pytest.fixture
def several(alice):
    texts = [text for text in HOSTILE if "\r" not in text]  # forms and imports store line feeds only
    made = [make_customer(by=alice, first_name=text, last_name="x", description=text) for text in texts]
    ana = make_customer(by=alice, first_name="Ana", last_name='Say "hi", you', email="ana@example.com", phone="+639175550100")
    make_address(ana, by=alice, line1="1 Rizal\nStreet", city="Manila, NCR")
    last = make_customer(by=alice, company_name="Zoë & Cø", kind="company", metadata={"Order ID": "=7", "a": "ü"})
    return [*made, ana, last]


def test_the_file_holds_exactly_the_rows_listed(several, as_max):
    for query in (
        "",
        "q=ana",
        "kind=company",
        "status=archived",
        "q=zoe&kind=company",
        "country=PH",
        "created=today",
        "sort=name",
    ):
        page = as_max.get(f"/customers/?per_page=100&{query}")
        file = rows_of(as_max.get(f"/customers/?format=csv&{query}"))
        assert [row["id"] for row in file] == [row.pk for row in page.context["page"].rows], query


def test_the_button_says_how_many_rows_and_the_file_has_them(several, as_max):
    page = as_max.get("/customers/")

    assert page.context["page"].count == len(rows_of(as_max.get(page.context["csv_url"]))) == len(several)


def test_no_cell_of_the_file_starts_a_formula_and_unguarding_gives_the_text_back(several, as_max):
    file = {row["id"]: row for row in rows_of(as_max.get("/customers/?format=csv"))}

    for customer in several:
        cell = file[customer.pk]["description"]
        assert not cell.strip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
        assert unguard(cell).replace("\r\n", "\n") == customer.description


def test_the_phone_keeps_its_plus_behind_an_apostrophe(several, as_max):
    phones = {row["phone"] for row in rows_of(as_max.get("/customers/?format=csv"))}

    assert phones == {"", "'+639175550100"}


def test_columns_are_those_asked_for_in_that_order_and_unknown_ones_are_left_out(several, as_max):
    answer = as_max.get("/customers/?format=csv&columns=email,name,nonsense,metadata.Order ID,search")

    assert answer.getvalue().decode("utf-8-sig").splitlines()[0] == "email,name,metadata.Order ID"
    assert [r["metadata.Order ID"] for r in rows_of(as_max.get("/customers/?format=csv&q=zoe&columns=metadata.Order ID"))] == [
        "'=7"
    ]


def test_the_file_is_utf8_with_a_mark_crlf_and_a_name_that_says_what_it_is(several, as_max):
    answer = as_max.get("/customers/?format=csv")
    body = answer.getvalue()

    assert body.startswith(b"\xef\xbb\xbfid,name,")
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="customers-test-')
    assert "created_at (UTC)" in body.decode().splitlines()[0]


def test_each_export_is_an_event(several, as_rita, rita):
    as_rita.get("/customers/?format=csv&q=ana&columns=id,name").getvalue()

    event = Event.objects.latest()
    assert (event.type, event.by, event.livemode) == ("customers.exported", rita, False)
    assert event.data["columns"] == ["id", "name"]
    assert "q=ana" in event.data["query"]


def test_an_export_keeps_to_its_mode(several, as_max, alice):
    live = make_customer(by=alice, livemode=True, first_name="Real", last_name="Person")
    assert live.pk not in as_max.get("/customers/?format=csv").getvalue().decode()

    as_max.post("/mode/", {"mode": "live"})

    assert [row["id"] for row in rows_of(as_max.get("/customers/?format=csv"))] == [live.pk]


def test_the_file_opens_with_amounts_and_times_in_words_of_their_own(alice, as_max):
    moment = datetime.datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=datetime.UTC)
    Customer.objects.filter(pk=make_customer(by=alice).pk).update(created_at=moment)

    row = rows_of(as_max.get("/customers/?format=csv"))[0]

    assert row["created_at (UTC)"] == "2024-02-29T23:59:59.999999+00:00"
    assert row["livemode"] == "false"
    assert row["metadata"] == "{}"


def test_reporting_gets_masked_cells_of_the_same_shape(several, as_rita):
    rows = rows_of(as_rita.get("/customers/?format=csv&q=ana"))

    ana = next(row for row in rows if row["name"].startswith("Ana"))
    assert (ana["email"], ana["phone"], ana["address_line1"], ana["metadata"]) == ("a•••@example.com", "•••00", "•••", "•••")
    assert ana["address_city"] == "Manila, NCR"
    assert next(row for row in rows_of(as_rita.get("/customers/?format=csv")) if row["description"] == "'=1+1")["email"] == ""


def test_both_ways_of_writing_give_the_same_bytes(several, alice, rita, settings):
    """COPY against the rows formatted in Python: on SQLite this compares Python with itself, on PostgreSQL the two."""
    moment = timezone.now().replace(microsecond=999999)
    for n, customer in enumerate(several):
        Customer.objects.filter(pk=customer.pk).update(created_at=moment - datetime.timedelta(days=n * 40, microseconds=n))
    metadata = [CustomerTable.metadata_csv("Order ID"), CustomerTable.metadata_csv("a")]
    columns = [*CustomerTable.csv, *metadata, Csv("version", kind="number"), Csv("amount", "version", kind="money")]
    written = _both(columns, alice)
    assert written[0] == written[1]
    assert written[0].count(b"\r\n") > len(several)
    written = _both(columns, rita)
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("UTC", "+00:00"), ("Asia/Kolkata", "+05:30"), ("Asia/Manila", "+08:00"), ("America/St_Johns", "-03:30"),
     ("Pacific/Honolulu", "-10:00")],
)  # fmt: skip
def test_both_ways_of_writing_give_the_same_times_in_every_time_zone(several, alice, settings, zone, offset):
    settings.TIME_ZONE, settings.ZONE = zone, ZoneInfo(zone)
    for customer, microsecond in zip(several, [0, 500_000, 1, 123_456, 100], strict=False):
        moment = datetime.datetime(2026, 1, 10, 20, 0, 0, microsecond, tzinfo=datetime.UTC)
        Customer.objects.filter(pk=customer.pk).update(created_at=moment)
    columns = [Csv("id", kind="code"), Csv("created_at", kind="time"), Csv("archived_at", kind="time")]

    written, copied = _both(columns, alice)

    assert copied == written
    fractions = {
        line.split(":00", 1)[1].split(offset)[0].removeprefix(":00") for line in copied.decode().split() if ":00" in line
    }
    assert {"", ".5", ".000001", ".123456"} <= fractions


COLLATIONS = {"postgresql": ["C", "POSIX", "default"], "sqlite": ["BINARY", "NOCASE", "RTRIM"]}


@pytest.mark.parametrize("collation", COLLATIONS[connection.vendor])
def test_formulas_are_seen_whatever_the_collation(several, alice, collation):
    """With some collations PostgreSQL knows no space beyond ASCII."""
    columns = [Csv("description", Collate("description", collation))]
    queryset = Customer.objects.listed().order_by("id")

    file = _both(columns, alice, queryset)[-1].decode()

    assert [row[0] if row else "" for row in csv.reader(io.StringIO(file, newline=""))] == [
        guard(c.description).replace("\n", "\r\n") for c in queryset
    ]


def _both(columns, viewer, queryset=None):
    queryset = Customer.objects.listed().order_by("id") if queryset is None else queryset
    ways = (export._written, export._copied if connection.vendor == "postgresql" else export._written)
    return [b"".join(way(queryset, columns, viewer)) for way in ways]  # COPY last: here its time zone stays set


@pytest.mark.parametrize(
    ("currency", "minor", "plain"),
    [("JPY", 1500, "1500"), ("PHP", 150000, "1500.00"), ("KWD", 5, "0.005"), ("CLF", 12345, "1.2345"), ("USD", 0, "0.00")],
)
def test_an_amount_has_its_currencys_places(alice, as_max, currency, minor, plain):
    customer = make_customer(by=alice, currency=currency)
    Customer.objects.filter(pk=customer.pk).update(version=minor)

    body = b"".join(export.csv_bytes(Customer.objects.all(), [Csv("amount", "version", kind="money")], alice))

    assert body.decode("utf-8-sig") == f"amount\r\n{plain}\r\n"


def test_a_long_file_is_streamed_in_pieces(alice):
    from customers import domain

    many = [
        Customer(livemode=False, currency="USD", first_name=f"N{n}", description="x" * 900, billing_statement_prefix=p).derive()
        for n, p in enumerate(domain.new_prefixes(300, False))
    ]
    Customer.objects.bulk_create(many)

    pieces = list(export.csv_bytes(Customer.objects.listed().order_by("id"), CustomerTable.csv, alice))

    assert len(pieces) > 3
    assert max(map(len, pieces)) < 4 * export.CHUNK
    assert len(b"".join(pieces).decode().splitlines()) == 301
