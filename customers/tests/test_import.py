"""Customers from CSV: what a row means, what is left out, and the pages that lead through it."""

import csv
import io
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.urls import reverse

from customers.domain import archive_customer, create_customer, update_customer
from customers.models import Customer
from dashboard.import_models import Import
from dashboard.imports import runs, stream
from dashboard.models import Event

SAMPLE = Path(__file__).resolve().parents[2] / "dashboard" / "sample" / "customer.csv"


@pytest.fixture(autouse=True)
def _worker_at_once(settings):
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}


def start(text, by, livemode=False):
    content = text if isinstance(text, bytes) else text.encode()
    return runs.start_import(SimpleUploadedFile("people.csv", content), importer="customers", livemode=livemode, by=by)


def check(text, by, match="", country="", clear=False, livemode=False):
    run = start(text, by, livemode)
    return runs.check_import(run, mapping=run.mapping, match=match, country=country, clear=clear, by=by)


def bring(text, by, **how):
    """Import text and return the run."""
    run = check(text, by, **how)
    if run.to_write:
        runs.confirm_import(run, by=by)
        run.refresh_from_db()
    return run


def table(**columns):
    """CSV text of one row."""
    out = io.StringIO()
    csv.writer(out).writerows([list(columns), list(columns.values())])
    return out.getvalue()


def make_customer(by, **fields):
    defaults = {"first_name": "Ana", "last_name": "Reyes", "email": "ana@example.com", "reference": "R1", "currency": "PHP"}
    return create_customer(by=by, livemode=False, **defaults | fields)


def only_row(run):
    return run.rows.get()


# --- the sample and the known files --------------------------------------------------------------


def test_chinook_needs_no_more_than_its_guessed_mapping(max):
    run = bring(SAMPLE.read_bytes(), max, match="reference")
    assert (run.creates, run.errors, run.status) == (59, 0, Import.Status.DONE)
    luis = Customer.objects.get(reference="1")
    assert (luis.name, luis.kind, luis.phone, luis.country) == ("Luís Gonçalves", "individual", "+551239235555", "BR")
    assert luis.company_name == "Embraer - Empresa Brasileira de Aeronáutica S.A."
    assert (luis.address.line1, luis.address.city, luis.address.postal_code) == (
        "Av. Brigadeiro Faria Lima, 2170",
        "São José dos Campos",
        "12227-000",
    )
    assert luis.origin == "import"
    assert Customer.objects.get(reference="2").phone == "+497112842222"
    assert Customer.objects.get(reference="5").country == "CZ"
    named = {r.title: r.notes for r in run.rows.exclude(notes=[])}
    assert named["Kara Nielsen"] == ["Phone: “+453 3331 9991” is not a valid number in Denmark. It was left out."]
    assert Customer.objects.get(reference="9").phone == ""
    assert not Customer.objects.exclude(country__regex="^[A-Z]{2}$").exists()


def test_the_sample_command_loads_test_mode_once(alice, capsys):
    call_command("demo")
    assert "59 created" in capsys.readouterr().out
    assert Customer.objects.filter(livemode=False).count() == 59
    assert Customer.objects.get(reference="1").metadata == {"fax": "+55 (12) 3923-5566"}
    events = Event.objects.count()

    call_command("demo")
    assert "59 unchanged" in capsys.readouterr().out
    assert Customer.objects.count() == 59
    assert Event.objects.count() == events


def test_the_customers_file_of_stripe_is_known_by_name(max):
    text = (
        "id,Description,Email,Name,Created (UTC),Delinquent,Plan,Status,Total Spend,tier (metadata)\n"
        "cus_NffrFeUfNV2Hib,Old friend,Jenny@Example.com,Jenny Rosen,2023-04-07 12:06,false,,,12.50,gold\n"
    )
    run = bring(text, max, match="reference")
    jenny = Customer.objects.get()
    assert (run.creates, jenny.reference, jenny.email, jenny.name) == (
        1,
        "cus_NffrFeUfNV2Hib",
        "jenny@example.com",
        "Jenny Rosen",
    )
    assert jenny.metadata == {"tier": "gold"}
    assert jenny.created_at.isoformat() == "2023-04-07T12:06:00+00:00"


def exported(client, query=""):
    response = client.get(f"/customers/?format=csv{query}")
    return b"".join(response.streaming_content)


def test_our_own_export_comes_back_unchanged(as_max, max):
    stream.run_import(SAMPLE, importer="customers", livemode=False, by=max, match="reference")
    make_customer(
        max,
        kind="company",
        first_name="",
        last_name="",
        company_name='=Acme, "Ltd"',
        reference="-7",
        description="two\nlines; 'quoted'",
        tax_id="+1",
        did="did:web:example.com",
        metadata={"a key": "=1+1", "ü": "x\ny"},
        phone="+551239235555",
        address={"line1": "@home", "city": "Köln", "country": "DE"},
        email="acme@example.com",
    )
    make_customer(max, reference="'=odd", first_name="'@quote", email="odd@example.com")
    run = check(exported(as_max), max, match="id")
    assert {r.title: r.changes for r in run.rows.exclude(action="skip")} == {}
    assert (run.skips, run.errors, run.notices) == (61, 0, 0)
    assert start(exported(as_max), max).options["match"] == "id"


def test_an_export_of_the_columns_shown_comes_back_unchanged(as_max, max):
    stream.run_import(SAMPLE, importer="customers", livemode=False, by=max, match="reference")
    run = check(exported(as_max, "&columns=id,name,email,phone,country,status,created_at"), max, match="id")
    assert (run.skips, run.errors) == (59, 0)


def test_times_are_read_in_the_zone_their_heading_names(max):
    bring("name,created_at (Asia/Manila)\nAna,2026-01-02 08:30\n", max)
    assert Customer.objects.get().created_at.isoformat() == "2026-01-02T00:30:00+00:00"


# --- names ---------------------------------------------------------------------------------------

NAMES = [
    ({"name": "Ana Maria Reyes"}, ("individual", "Ana", "Maria Reyes", "", "Ana Maria Reyes")),
    ({"name": "Cher"}, ("individual", "Cher", "", "", "Cher")),
    ({"first_name": "Ana", "last_name": "Reyes"}, ("individual", "Ana", "Reyes", "", "Ana Reyes")),
    ({"first_name": "Ana", "name": "Ignored Name"}, ("individual", "Ana", "", "", "Ana")),
    ({"first_name": "Ana", "last_name": "Reyes", "company_name": "Acme"}, ("individual", "Ana", "Reyes", "Acme", "Ana Reyes")),
    ({"company_name": "Acme"}, ("company", "", "", "Acme", "Acme")),
    ({"company_name": "Acme", "name": "Acme"}, ("company", "", "", "Acme", "Acme")),
    ({"kind": "company", "name": "Acme Ltd"}, ("company", "", "", "Acme Ltd", "Acme Ltd")),
    ({"company_name": "Acme", "name": "Ana Reyes"}, ("individual", "Ana", "Reyes", "Acme", "Ana Reyes")),
]


@pytest.mark.parametrize(("columns", "expected"), NAMES)
def test_names_follow_the_rule_for_people_and_companies(columns, expected, max):
    bring(table(**columns), max)
    c = Customer.objects.get()
    assert (c.kind, c.first_name, c.last_name, c.company_name, c.name) == expected


def test_a_row_without_any_name_is_an_error(max):
    run = check("name,email\n,ana@example.com\n", max)
    assert "names nobody" in only_row(run).notes[0]


def test_a_name_that_is_too_long_is_left_out_and_told(max):
    run = check(table(first_name="x" * 600, company_name="Acme"), max)
    assert run.creates == 1
    assert only_row(run).notes == ["First name: it has 600 characters, at most 255 fit. It was left out."]


# --- malformed values ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("email", "not an e-mail", "not an email"),
        ("email", f"{'a' * 600}@example.com", "not an email"),
        ("phone", "555-1234", "not a valid number"),
        ("address_country", "ZZ", "not a country"),
        ("address_country", "Mars", "not a country"),
        ("currency", "ZZZ", "ISO 4217"),
        ("did", "did web", "not a DID"),
        ("metadata", "[1]", "not a JSON object"),
        ("metadata", "{", "not a JSON object"),
        ("metadata", '{"' + "k" * 41 + '": "v"}', "more than 50"),
        ("metadata.tier", "x" * 501, "at most 500"),
        ("created_at", "yesterday", "not a date"),
        ("created_at", "2999-01-01", "not a time in the past"),
        ("address_postal_code", "1" * 21, "at most 20"),
        ("kind", "robot", "neither"),
    ],
)
def test_an_optional_value_that_makes_no_sense_is_left_out_and_named(column, value, words, max):
    run = bring(table(name="Ana Reyes", **{column: value}), max)
    assert run.creates == 1
    assert run.notices == 1
    assert words in only_row(run).notes[0]
    assert "left out" in only_row(run).notes[0]


def test_a_dropped_value_leaves_what_is_stored(max):
    customer = make_customer(max, phone="+639171234567")
    run = bring("reference,phone\nR1,555-1234\n", max, match="reference")
    customer.refresh_from_db()
    assert customer.phone == "+639171234567"
    assert (run.skips, run.notices) == (1, 1)


def test_phones_are_read_in_the_rows_country_or_the_chosen_one(max):
    bring("name,phone,country\nAna,020 7031 3000,United Kingdom\nBob,0917 123 4567,\n", max, country="PH")
    assert sorted(Customer.objects.values_list("phone", flat=True)) == ["+442070313000", "+639171234567"]


def test_control_characters_are_taken_out_and_told(max):
    run = bring("name,description\nAna\x07 Rey\u202ees,x\n", max)
    assert Customer.objects.get().name == "Ana Reyes"
    assert only_row(run).notes == ["Full name: invisible characters were taken out."]


def test_a_card_number_in_any_text_makes_the_row_an_error(max):
    for column in ("description", "reference", "metadata.card", "address_line2", "last_name"):
        run = check(table(name="Ana", **{column: "card 5555-5555-5555-4444"}), max)
        assert "card number" in only_row(run).notes[0], column


def test_formula_cells_are_plain_text_and_our_guard_is_taken_off(max):
    bring("name,description,reference\nAna,=cmd(),'+1\n", max)
    ana = Customer.objects.get()
    assert (ana.description, ana.reference) == ("=cmd()", "+1")


# --- who a row is about --------------------------------------------------------------------------


def test_a_matched_row_changes_the_customer_and_records_before_and_after(max, alice):
    customer = make_customer(max, address={"line1": "1 Way", "city": "Manila", "country": "PH"})
    run = check("reference,email,city,metadata.tier\nR1,NEW@example.com,Cebu,gold\n", alice, match="reference")
    changes = only_row(run).changes
    assert changes == {
        "email": ["ana@example.com", "new@example.com"],
        "address_city": ["Manila", "Cebu"],
        "metadata": [{}, {"tier": "gold"}],
    }
    runs.confirm_import(run, by=alice)

    customer.refresh_from_db()
    assert (customer.email, customer.version, customer.address.city, customer.address.line1) == (
        "new@example.com",
        2,
        "Cebu",
        "1 Way",
    )
    assert "new" in customer.search
    event = Event.objects.get(type="customer.updated")
    assert (event.by, event.changes, event.customer_id) == (alice, changes, customer.pk)


def test_an_address_is_made_for_a_customer_who_had_none(max):
    customer = make_customer(max)
    bring("reference,city,country\nR1,Cebu,Philippines\n", max, match="reference")
    customer.refresh_from_db()
    assert (customer.address.city, customer.country) == ("Cebu", "PH")


@pytest.mark.parametrize("match", ["id", "reference", "email"])
def test_each_key_finds_its_customer(match, max):
    customer = make_customer(max)
    value = {"id": customer.pk, "reference": "R1", "email": "ANA@example.com"}[match]
    run = check(table(**{match: value, "description": "hello"}), max, match=match)
    assert (run.updates, run.creates) == (1, 0)
    assert only_row(run).object_id == customer.pk


def test_an_id_may_stand_without_its_prefix(max):
    customer = make_customer(max)
    run = check(table(id=customer.pk.removeprefix("cus_"), description="x"), max, match="id")
    assert run.updates == 1


@pytest.mark.parametrize(
    ("value", "words"), [("cus_0193f0c1d2a7b34e5f607182", "No customer has this ID"), ("nonsense", "not a customer ID")]
)
def test_an_unknown_id_is_an_error(value, words, max):
    run = check(table(id=value, name="Ana"), max, match="id")
    assert words in only_row(run).notes[0]


def test_the_other_modes_customers_are_neither_found_nor_changed(max):
    customer = make_customer(max)
    run = check(table(id=customer.pk, name="Ana"), max, match="id", livemode=True)
    assert run.errors == 1
    bring("reference,name\nR1,Live Ana\n", max, match="reference", livemode=True)
    assert Customer.objects.get(livemode=True).name == "Live Ana"
    customer.refresh_from_db()
    assert customer.name == "Ana Reyes"


def test_a_reference_several_customers_have_is_an_error(max):
    make_customer(max)
    make_customer(max, email="b@example.com")
    run = check("reference,description\nR1,x\n", max, match="reference")
    assert "Several customers" in only_row(run).notes[0]


def test_an_email_means_the_oldest_active_customer(max):
    gone, oldest, _newer = make_customer(max), make_customer(max), make_customer(max)
    archive_customer(gone, by=max)
    run = check("email,description\nana@example.com,x\n", max, match="email")
    assert only_row(run).object_id == oldest.pk


def test_a_new_row_that_looks_like_somebody_there_is_flagged_and_still_new(max):
    make_customer(max, phone="+639171234567")
    run = check("name,email,phone\nAna R,ana@example.com,\nBob,,+63 917 123 4567\nCid,cid@example.com,\n", max)
    assert (run.creates, run.duplicates) == (3, 2)
    assert run.rows.get(number=2).notes == ["Perhaps there already: Ana Reyes has the same email."]


def test_a_did_that_is_taken_is_an_error(max):
    make_customer(max, did="did:web:example.com")
    run = check("name,did\nBob,did:web:example.com\nCid,did:web:a.com\nDan,did:web:a.com\n", max)
    assert "has this DID already" in run.rows.get(number=2).notes[0]
    assert "same DID" in run.rows.get(number=4).notes[0]
    assert run.creates == 1


def test_a_did_taken_between_check_and_write_costs_that_row_only(max, monkeypatch):
    run = check("name,did\nBob,did:web:b.com\nCid,did:web:c.com\n", max)
    monkeypatch.setattr("customers.imports._refuse_taken_dids", lambda rows, livemode: None)  # as if it came later still
    make_customer(max, did="did:web:b.com")
    runs.confirm_import(run, by=max)
    run.refresh_from_db()
    assert (run.creates, run.errors) == (1, 1)
    assert Customer.objects.filter(name="Cid").exists()
    assert not Customer.objects.filter(name="Bob").exists()


def test_an_empty_cell_leaves_the_field_alone_unless_asked_to_clear_it(max):
    customer = make_customer(max, description="kept", metadata={"tier": "gold", "x": "y"})
    text = "reference,description,metadata.tier\nR1,,\n"
    assert check(text, max, match="reference").skips == 1
    bring(text, max, match="reference", clear=True)
    customer.refresh_from_db()
    assert (customer.description, customer.metadata) == ("", {"x": "y"})


def test_a_row_may_not_take_a_customers_only_name(max):
    make_customer(max)
    run = check("reference,first_name,last_name\nR1,,\n", max, match="reference", clear=True)
    assert "without a name" in only_row(run).notes[0]


def test_someone_elses_edit_in_between_is_not_overwritten(max, alice):
    customer = make_customer(max)
    run = check("reference,email\nR1,imported@example.com\n", max, match="reference")
    update_customer(customer, version=1, by=alice, email="edited@example.com")
    runs.confirm_import(run, by=max)
    run.refresh_from_db()
    customer.refresh_from_db()
    assert customer.email == "edited@example.com"
    assert (run.updates, run.errors) == (0, 1)


# --- the pages -----------------------------------------------------------------------------------


def upload(client, content=b"Name,E-mail\nAna Reyes,ana@example.com\n", name="people.csv"):
    return client.post(reverse("customers:import_new"), {"file": SimpleUploadedFile(name, content)})


def test_the_pages_lead_from_file_to_result(as_max, max):
    page = as_max.get(upload(as_max).url)
    assert "We read it as UTF-8, comma" in page.text
    url = page.request["PATH_INFO"]
    assert as_max.post(url, {"column_0": "name", "column_1": "email", "match": "email"}).url == url
    page = as_max.get(url)
    assert "Nothing is written yet" in page.text
    assert not Customer.objects.exists()
    assert "New customers: 1, changed: 0" in as_max.get(f"{url}confirm/").text
    assert not Customer.objects.exists()  # looking does nothing

    as_max.post(f"{url}confirm/")
    assert "1 created" in as_max.get(url).text
    assert Customer.objects.get().created_by == max
    listed = as_max.get(reverse("customers:imports")).text
    assert "people.csv" in listed
    assert "Finished" in listed


def test_a_refused_file_is_told_on_the_form(as_max):
    for content, words in ((b"PK\x03\x04", "Excel workbook"), (b"", "This file is empty"), (b"a\n" + b'"x', "never closed")):
        page = upload(as_max, content)
        assert page.status_code == 422
        assert words in page.text
    assert "Choose a CSV file of at most" in as_max.post(reverse("customers:import_new")).text


def test_a_file_far_over_the_limit_is_not_even_stored(as_max, settings):
    settings.IMPORT_MAX_BYTES = 1024 * 1024
    own = [
        "django.core.files.uploadhandler.MemoryFileUploadHandler",
        "django.core.files.uploadhandler.TemporaryFileUploadHandler",
    ]
    settings.FILE_UPLOAD_HANDLERS = ["dashboard.imports.uploads.SizeLimit", *own]
    line = b"Ana Reyes" + b" " * 40 + b"\n"
    page = upload(as_max, b"name\n" + line * 60_000)
    assert page.status_code == 422
    assert "Choose a CSV file of at most 1 MB." in page.text
    assert "1.1 MB; at most 1 MB" in upload(as_max, b"name\n" + line * 22_000).text
    assert upload(as_max, b"name\n" + line * 9_000).status_code == 302


def test_a_senseless_mapping_is_told_on_the_form(as_max):
    url = upload(as_max).url
    for data in ({}, {"column_0": "name", "column_1": "name"}, {"column_0": "name", "match": "email"}, {"column_0": "nonsense"}):
        assert as_max.post(url, data).status_code == 422
    assert Import.objects.get().status == Import.Status.UPLOADED


def test_another_encoding_can_be_chosen(as_max):
    url = upload(as_max, "Name,Town\nAna,Łódź\n".encode("cp1250")).url
    as_max.post(f"{url}format/", {"format-encoding": "cp1250", "format-delimiter": ","})
    assert "Łódź" in as_max.get(url).text
    assert as_max.post(f"{url}format/", {"format-encoding": "rot13", "format-delimiter": ","}, follow=True).status_code == 200
    assert Import.objects.get().encoding == "cp1250"


@pytest.mark.parametrize("show", ["errors", "creates", "updates", "duplicates", "notices", "skips", "nonsense"])
def test_every_kind_of_row_can_be_looked_at(show, as_max, max):
    make_customer(max)
    make_customer(max, reference="R2", email="two@example.com")
    run = check(
        "reference,name,email,phone\nR1,Ana Reyes,new@example.com,\nR2,,,\n,,,\n,Bob,two@example.com,123\nR4,,,\n",
        max,
        match="reference",
    )
    page = as_max.get(f"{run.get_absolute_url()}?show={show}&after=x")
    assert page.status_code == 200
    shown = {row.action for row in page.context["rows"]}
    assert shown <= {{"errors": "error", "updates": "update", "skips": "skip"}.get(show, "create")} or show == "nonsense"
    assert shown


def test_rows_are_shown_page_by_page(as_max, max):
    run = check("name\n" + "".join(f"Person {n}\n" for n in range(120)), max)
    url, seen = f"{run.get_absolute_url()}?show=creates", []
    while url:
        page = as_max.get(url)
        seen += [r.number for r in page.context["rows"]]
        url = page.context["next"] and f"{run.get_absolute_url()}?show=creates&after={page.context['next']}"
    assert seen == list(range(2, 122))


def test_the_error_file_can_be_downloaded(as_max, max):
    run = check("name,email\n,ana@example.com\n", max)
    response = as_max.get(reverse("customers:import_errors", args=[run.pk]))
    assert response["Content-Disposition"] == f'attachment; filename="import-errors-{run.pk}.csv"'
    assert b"names nobody" in b"".join(response.streaming_content)
    assert as_max.get(reverse("customers:import_errors", args=[check("name\nAna\n", max).pk])).status_code == 404


def test_what_a_file_holds_is_escaped_on_every_page(as_max, max):
    evil = "<script>alert(1)</script>"
    run = start(table(**{"name": f"Ana {evil}", evil: evil}), max)
    assert evil not in as_max.get(run.get_absolute_url()).text
    runs.check_import(run, mapping=["name", "description"], match="", country="", clear=False, by=max)
    assert evil not in as_max.get(run.get_absolute_url()).text


def test_a_stalled_import_offers_to_continue(as_max, max):
    run = check("name\nAna\n", max)
    Import.objects.filter(pk=run.pk).update(status="applying", updated_at="2020-01-01T00:00Z", applied_by=max, at_row=0)
    assert "Continue" in as_max.get(run.get_absolute_url()).text
    as_max.post(reverse("customers:import_continue", args=[run.pk]))
    assert Import.objects.get().status == Import.Status.DONE
    assert Customer.objects.count() == 1


NAMED = ("import", "import_confirm", "import_cancel", "import_continue", "import_columns", "import_errors")


@pytest.mark.parametrize("who", ["as_sue", "as_rita"])
def test_customer_service_and_reporting_may_not_import(who, request, max):
    client, run = request.getfixturevalue(who), check("name\nAna\n", max)
    for name in ("imports", "import_new", "import_template"):
        assert client.get(reverse(f"customers:{name}")).status_code == 403
    assert upload(client).status_code == 403
    for name in NAMED:
        url = reverse(f"customers:{name}", args=[run.pk])
        assert client.get(url).status_code == client.post(url).status_code == 403
    assert not Customer.objects.exists()


def test_an_import_of_the_other_mode_is_unknown(as_max, max):
    run = check("name\nAna\n", max, livemode=True)
    for name in NAMED:
        assert as_max.get(reverse(f"customers:{name}", args=[run.pk])).status_code == 404


def test_the_template_needs_no_mapping(as_max, max):
    content = as_max.get(reverse("customers:import_template")).content
    run = start(content + b"R1,Ana,Reyes,,a@b.co,,1 Way,,Manila,,1000,PH,PHP,,\r\n", max)
    assert all(run.mapping)


# --- in a browser --------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "theme", "scripts"), [(1440, "light", True), (390, "dark", True), (1440, "light", False)])
def test_a_file_is_imported_in_a_browser(width, theme, scripts, open_as, axe, max):
    page = open_as(max, width=width, theme=theme, scripts=scripts)

    def see(selector):
        page.wait_for_selector(selector)
        if scripts:  # axe is a script
            axe(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.goto(reverse("customers:import_new"))
    see("text=1. File")
    content = b"Name,E-mail,Town\nAna Reyes,ana@example.com,Cebu\n,nobody@example.com,Oslo\n"
    page.set_input_files("input[type=file]", files=[{"name": "people.csv", "mimeType": "text/csv", "buffer": content}])
    page.click("main button.btn-primary")
    see("text=We read it as UTF-8, comma")
    assert page.locator("select[name=column_0]").bounding_box()["width"] > 100
    page.click("text=Check 2 rows")
    see("text=Nothing is written yet")
    see("text=This row names nobody")
    page.click("main .page-head a.btn-primary")
    see("dialog >> text=New customers: 1")
    page.click("dialog button.btn-primary")
    see("text=1 created")
    assert Customer.objects.get().name == "Ana Reyes"
    page.goto(reverse("customers:imports"))
    see("text=people.csv")
