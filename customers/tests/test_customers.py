"""Customers: found, added, edited by two at once, archived, restored; saved views, columns, modes."""

import json
import threading
from html.parser import HTMLParser

import pytest
from django.db import connection

from customers import domain
from customers.models import Customer
from customers.tests.factories import make_address, make_comment, make_customer
from dashboard.models import Event, SavedView
from dashboard.states import DomainError

NEW = "/customers/new/"
ANA = {"kind": "individual", "first_name": "Ana", "last_name": "Cruz", "currency": "USD"}


def edit_data(customer, **changes):
    """What the edit form sends for a customer as it is, with some fields typed over."""
    values = {name: getattr(customer, name) for name in domain.EDITABLE}
    metadata = changes.pop("metadata", customer.metadata)
    sent = {name: value or "" for name, value in values.items() if name != "metadata"}
    pairs = {"metadata_key": list(metadata), "metadata_value": list(metadata.values())}
    return sent | pairs | {"version": customer.version, "was": json.dumps(values)} | changes


def edit_url(customer):
    return f"/customers/{customer.pk}/edit/"


# --- adding ------------------------------------------------------------------------------------------


def test_a_manager_adds_a_customer_and_everything_typed_is_on_the_page(as_max, max):
    data = ANA | {
        "company_name": "Cruz Trading", "email": "Ana@Example.com", "phone": "+63 917 555 0100", "reference": "R-77",
        "description": "Pays in cash",
        "tax_id": "TIN-9", "currency": "PHP", "billing_statement_prefix": "ANA2026", "did": "did:web:ana.example",
        "metadata_key": ["Order ID"], "metadata_value": ["PO 7"],
    }  # fmt: skip
    done = as_max.post(NEW, data)

    customer = Customer.objects.get()
    assert done.url == customer.get_absolute_url()
    assert (customer.name, customer.email, customer.phone, customer.origin) == (
        "Ana Cruz",
        "ana@example.com",
        "+639175550100",
        "dashboard",
    )
    assert (customer.created_by, customer.livemode, customer.version) == (max, False, 1)
    page = as_max.get(done.url).text
    for shown in (
        "Ana Cruz",
        "Cruz Trading",
        "ana@example.com",
        "+63 917 555 0100",
        "R-77",
        "Pays in cash",
        "TIN-9",
        "PHP",
        "ANA2026",
        "did:web:ana.example",
        "Order ID",
        "PO 7",
    ):
        assert shown in page, shown
    assert Event.objects.latest().type == "customer.created"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"first_name": "Ana", "last_name": "Cruz"}, "Ana Cruz"),
        ({"last_name": "Cruz"}, "Cruz"),
        ({"kind": "company", "company_name": "Acme", "first_name": "Ana"}, "Acme"),
        ({"kind": "individual", "company_name": "Acme"}, "Acme"),
    ],
)
def test_a_person_is_listed_by_name_and_a_company_by_its_own(alice, fields, name):
    assert make_customer(by=alice, **fields).name == name


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"first_name": "", "last_name": ""}, "first_name", "Enter a first or last name"),
        ({"kind": "company"}, "company_name", "Enter the company’s name|Enter the company's name"),
        ({"first_name": "x" * 600}, "first_name", "at most 255"),
        ({"phone": "555-1234"}, "phone", "not a phone number"),
        ({"email": "not an address"}, "email", "valid email"),
        ({"currency": "ZZZ"}, "currency", "valid choice"),
        ({"first_name": "A\0na"}, "first_name", "control characters"),
        ({"first_name": "A\u202ena"}, "first_name", "control characters"),
        ({"description": "4242 4242 4242 4242"}, "description", "payment card number"),
        ({"did": "nonsense"}, "did", "looks like did:web"),
        ({"billing_statement_prefix": "ab"}, "billing_statement_prefix", "3 to 15 capital"),
        ({"metadata_key": ["k" * 41], "metadata_value": ["v"]}, "metadata", "40 characters or fewer"),
        ({"metadata_key": ["a", "a"], "metadata_value": ["1", "2"]}, "metadata", "there twice"),
    ],
)
def test_nonsense_is_told_at_its_field_and_saves_nothing(as_max, change, field, told):
    page = as_max.post(NEW, ANA | change)

    assert page.status_code == 422
    assert field in page.context["form"].errors
    said = " ".join(page.context["form"].errors[field])
    assert any(part in said for part in told.split("|")), said
    assert not Customer.objects.exists()


def test_a_new_customer_is_active_whatever_is_sent(as_max):
    as_max.post(
        NEW,
        ANA
        | {
            "status": "archived",
            "archived": "true",
            "archived_at": "2020-01-01",
            "livemode": "on",
            "origin": "api",
            "version": "9",
        },
    )

    customer = Customer.objects.get()
    assert (customer.status, customer.archived_at, customer.livemode, customer.origin, customer.version) == (
        "active",
        None,
        False,
        "dashboard",
        1,
    )


def test_who_it_may_be_already_is_shown_before_anything_is_saved(as_max, alice):
    known = make_customer(by=alice, first_name="Anna", email="ana@example.com", phone="+639175550100")
    for same in ({"email": "ANA@example.com"}, {"phone": "0917 555 0100", "email": "x@example.com"}):
        data = ANA | same | ({"phone": "+63 917 555 0100"} if "phone" in same else {})
        page = as_max.post(NEW, data)
        assert page.status_code == 409
        assert known.get_absolute_url() in page.text
        assert 'value="Ana"' in page.text
    assert Customer.objects.count() == 1

    assert as_max.post(NEW, ANA | {"email": "ana@example.com", "not_a_duplicate": "1"}).status_code == 302
    assert Customer.objects.count() == 2


def test_an_archived_or_live_namesake_is_no_duplicate(as_max, alice):
    make_customer(by=alice, email="ana@example.com", archived=True)
    make_customer(by=alice, email="ana@example.com", livemode=True)

    assert as_max.post(NEW, ANA | {"email": "ana@example.com"}).status_code == 302


@pytest.mark.parametrize(
    ("field", "value", "what"), [("did", "did:web:a.example", "DID"), ("billing_statement_prefix", "SAME", "statement prefix")]
)
def test_did_and_prefix_belong_to_one_customer_of_a_mode(as_max, alice, field, value, what):
    make_customer(by=alice, **{field: value})
    make_customer(by=alice, livemode=True, **{field: value})

    page = as_max.post(NEW, ANA | {field: value})

    assert page.status_code == 422
    assert f"Another customer has this {what}" in page.text
    assert Customer.objects.count() == 2


def test_prefixes_are_made_of_letters_and_digits_nobody_confuses(alice):
    made = domain.new_prefixes(500, False)

    assert len(set(made)) == 500
    assert not set("".join(made)) & set("01OIl")
    assert all(len(one) == 8 for one in made)


@pytest.mark.parametrize("livemode", [False, True])
def test_a_prefix_somebody_has_is_not_given_again(alice, monkeypatch, livemode):
    make_customer(by=alice, billing_statement_prefix="AAABBBBB")
    drawn = iter(["AAA", "BBBBBCCCCC", "DDDDD", "EEEEE"])
    monkeypatch.setattr(domain, "_letters", lambda count: next(drawn))

    made = domain.new_prefixes(2, livemode)

    assert sorted(made) == (["AAABBBBB", "AAACCCCC"] if livemode else ["AAACCCCC", "AAADDDDD"])


def test_the_last_prefix_there_can_be_is_seen_too(alice, monkeypatch):
    make_customer(by=alice, billing_statement_prefix="A2ZZZZZZ")
    drawn = iter(["A2Z", "ZZZZZ", "22222"])
    monkeypatch.setattr(domain, "_letters", lambda count: next(drawn))

    assert domain.new_prefixes(1, False) == ["A2Z22222"]


# --- editing -----------------------------------------------------------------------------------------


def test_an_edit_moves_version_and_date_and_is_recorded(as_sue, sue, alice):
    customer = make_customer(by=alice)

    done = as_sue.post(edit_url(customer), edit_data(customer, last_name="Reyes", metadata={"a": "b"}))

    changed = Customer.objects.get()
    assert done.url == customer.get_absolute_url()
    assert (changed.name, changed.sort_name, changed.version, changed.metadata) == ("Ana Reyes", "ana reyes", 2, {"a": "b"})
    assert changed.updated_at > customer.updated_at
    event = Event.objects.latest()
    assert (event.type, event.by) == ("customer.updated", sue)
    assert event.changes == {"last_name": ["Cruz", "Reyes"], "metadata": [{}, {"a": "b"}]}


def test_a_save_that_changes_nothing_writes_nothing(as_sue, alice):
    customer = make_customer(by=alice, metadata={"k": "v"}, email="a@example.com")
    events = Event.objects.count()

    assert as_sue.post(edit_url(customer), edit_data(customer)).status_code == 302

    again = Customer.objects.get()
    assert (again.version, again.updated_at, Event.objects.count()) == (1, customer.updated_at, events)


def test_a_stale_save_shows_yours_and_theirs_and_loses_nothing(as_sue, as_max, max, alice):
    customer = make_customer(by=alice, email="old@example.com")
    domain.update_customer(customer, version=1, by=max, email="theirs@example.com", reference="THEIRS-1")

    page = as_sue.post(edit_url(customer), edit_data(customer, email="mine@example.com", tax_id="MINE-1"))

    assert page.status_code == 409
    stored = Customer.objects.get()
    assert (stored.email, stored.reference, stored.tax_id) == ("theirs@example.com", "THEIRS-1", "")
    assert page.context["clashes"] == [("Email", "theirs@example.com", "mine@example.com")]
    shown = page.context["form"]
    assert [shown[n].value() for n in ("email", "tax_id", "reference")] == ["mine@example.com", "MINE-1", "THEIRS-1"]
    assert "Max saved this customer while you were editing" in page.text

    form = edit_data(stored, email="mine@example.com", tax_id="MINE-1")
    assert as_sue.post(edit_url(customer), form).status_code == 302
    stored.refresh_from_db()
    assert (stored.email, stored.reference, stored.tax_id) == ("mine@example.com", "THEIRS-1", "MINE-1")


def test_what_the_conflict_page_sends_back_saves_both_changes(as_sue, max, alice):
    customer = make_customer(by=alice)
    domain.update_customer(customer, version=1, by=max, reference="THEIRS-1")
    page = as_sue.post(edit_url(customer), edit_data(customer, tax_id="MINE-1"))

    done = as_sue.post(edit_url(customer), fields_of(page.text))

    stored = Customer.objects.get()
    assert done.status_code == 302
    assert (stored.reference, stored.tax_id, stored.version) == ("THEIRS-1", "MINE-1", 3)


def fields_of(html):
    """What a browser would send for the page's largest form."""
    reader = Fields()
    reader.feed(html)
    return max(reader.forms, key=len)


class Fields(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self.name, self.select = [{}], None, None

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "form":
            self.forms.append({})
        name, form = given.get("name"), self.forms[-1]
        if tag == "input" and name and (given.get("type") not in ("radio", "checkbox") or "checked" in given):
            form.setdefault(name, []).append(given.get("value", ""))
        if tag == "textarea":
            self.name = name
            form[name] = [""]
        if tag == "select":
            self.select = name
        if tag == "option" and self.select and "selected" in given:
            form[self.select] = [given.get("value", "")]

    def handle_data(self, data):
        if self.name:
            self.forms[-1][self.name][0] += data

    def handle_endtag(self, tag):
        if tag == "textarea" and self.name:
            self.forms[-1][self.name][0] = self.forms[-1][self.name][0].removeprefix("\n")
            self.name = None
        if tag == "select":
            self.select = None


def test_an_untouched_form_as_the_browser_sends_it_changes_nothing(as_sue, alice):
    customer = make_customer(
        by=alice, description="two\nlines", metadata={"a": "b"}, phone="+639175550100", did="did:web:x.example"
    )

    assert as_sue.post(edit_url(customer), fields_of(as_sue.get(edit_url(customer)).text)).status_code == 302

    assert Customer.objects.get().version == 1


@pytest.mark.parametrize("version", ["", "0", "-1", "x", "99999999999999999999", "1.5"])
def test_a_made_up_version_overwrites_nothing(as_sue, alice, version):
    customer = make_customer(by=alice)

    page = as_sue.post(edit_url(customer), edit_data(customer, first_name="Eva", version=version))

    assert page.status_code in (409, 422)
    assert Customer.objects.get().first_name == "Ana"


@pytest.mark.django_db(transaction=True)
def test_edits_by_four_at_once_are_all_kept(alice):
    customer = make_customer(by=alice)
    at_once(4, lambda n: [edit_once(customer.pk, f"k{n}-{i}", alice) for i in range(5)])

    stored = Customer.objects.get()
    assert (stored.version, len(stored.metadata)) == (21, 20)
    assert Event.objects.filter(type="customer.updated").count() == 20


def edit_once(pk, key, by):
    """Read, change, save; read again as often as somebody else was faster."""
    while True:
        current = Customer.objects.get(pk=pk)
        try:
            return domain.update_customer(current, version=current.version, by=by, metadata=current.metadata | {key: "x"})
        except domain.Stale:
            continue


@pytest.mark.django_db(transaction=True)
def test_without_the_version_the_same_race_loses_edits(alice):
    """The control: the guard off, the test above would not hold."""
    customer = make_customer(by=alice)
    start = threading.Barrier(4)

    def save_blindly(n):
        current = Customer.objects.get(pk=customer.pk)
        start.wait(10)
        current.metadata = current.metadata | {f"k{n}": "x"}
        current.save(update_fields=["metadata"])

    at_once(4, save_blindly)

    assert len(Customer.objects.get().metadata) < 4


def at_once(count, act):
    """act(n) in `count` threads; what goes wrong in one goes wrong here."""
    problems = []

    def run(n):
        try:
            act(n)
        except Exception as error:  # whatever it is: the caller looks at it
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[n]) for n in range(count)]
    [t.start() for t in threads]
    [t.join(300) for t in threads]
    assert problems == []


# --- archive and restore -------------------------------------------------------------------------------


def test_an_archived_customer_leaves_the_list_and_comes_back(as_max, alice):
    customer = make_customer(by=alice)
    assert "Nothing is deleted" in as_max.get(f"/customers/{customer.pk}/archive/").text
    as_max.post(f"/customers/{customer.pk}/archive/")

    assert as_max.get("/customers/").context["page"].rows == []
    assert customer.pk in as_max.get("/customers/?status=archived").text
    assert as_max.get(customer.get_absolute_url()).status_code == 200
    assert as_max.post(f"/customers/{customer.pk}/archive/").status_code == 422

    as_max.post(f"/customers/{customer.pk}/restore/")
    customer.refresh_from_db()
    assert (customer.status, customer.archived_at) == ("active", None)
    assert [e.type for e in Event.objects.filter(object_id=customer.pk).order_by("id")] == [
        "customer.created",
        "customer.archived",
        "customer.active",
    ]


def test_an_archived_customer_takes_nothing_new(alice):
    with pytest.raises(DomainError, match="Restore the customer first"):
        domain.refuse_archived(make_customer(by=alice, archived=True))


# --- the list -----------------------------------------------------------------------------------------


def test_a_pasted_id_or_email_leads_straight_to_its_customer(as_sue, as_rita, alice):
    customer = make_customer(by=alice, email="only@example.com")

    for text in (customer.pk, customer.pk.removeprefix("cus_"), "only@example.com", " Only@Example.com "):
        assert as_sue.get("/customers/", {"q": text}).url == customer.get_absolute_url(), text
    assert as_rita.get("/customers/", {"q": "only@example.com"}).status_code == 200
    assert as_rita.get("/customers/", {"q": customer.pk}).url == customer.get_absolute_url()


def test_an_email_two_customers_share_lists_both(as_sue, alice):
    for _ in range(2):
        make_customer(by=alice, email="twin@example.com")

    page = as_sue.get("/customers/", {"q": "twin@example.com"})

    assert page.status_code == 200
    assert page.context["page"].count == 2


def test_name_email_and_created_at_are_always_there_and_more_by_choice(as_sue, alice):
    make_customer(by=alice, reference="REF-1")

    headings = [h["label"] for h in as_sue.get("/customers/?columns=reference").context["headings"]]

    assert headings[:2] == ["Name", "Email"]
    assert set(headings) == {"Name", "Email", "Reference", "Created at"}


def test_chosen_columns_are_kept_for_the_one_who_chose(as_sue, as_max, sue, alice):
    make_customer(by=alice)
    done = as_sue.post(
        "/lists/columns/",
        {"list": "customers:customers", "column": ["reference", "nonsense", "id"], "next": "/customers/?q=ana&columns=phone"},
    )

    assert done.url == "/customers/?q=ana"
    sue.refresh_from_db()
    assert sue.list_columns == {"customers:customers": ["reference", "id"]}
    assert {"Reference", "ID"} < {h["label"] for h in as_sue.get("/customers/").context["headings"]}
    assert "Reference" not in {h["label"] for h in as_max.get("/customers/").context["headings"]}

    as_sue.post("/lists/columns/", {"list": "customers:customers", "reset": "1"})
    assert "Reference" not in {h["label"] for h in as_sue.get("/customers/").context["headings"]}


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "//evil.example/x", "javascript:alert(1)", "\\\\evil.example", "/\\evil.example"]
)
def test_choosing_columns_leads_to_our_pages_only(as_sue, url):
    assert as_sue.post("/lists/columns/", {"list": "customers:customers", "next": url}).url == "/customers/"


def test_a_view_keeps_filter_columns_and_order_and_leaves_paging_out(as_sue, sue, alice):
    make_customer(by=alice, first_name="Zoe")
    query = "list=customers:customers&q=zoe&sort=name&columns=reference&after=x&per_page=50&format=csv"

    done = as_sue.post(f"/lists/views/new/?{query}", {"name": "Zoes", "shared": "on"})

    view = SavedView.objects.get()
    assert (view.query, view.owner, view.shared) == ("q=zoe&sort=name&columns=reference", sue, False)  # support shares nothing
    assert done.url == "/customers/?q=zoe&sort=name&columns=reference"
    assert "Zoes" in as_sue.get("/customers/").text
    assert as_sue.post(f"/lists/views/new/?{query}", {"name": "Zoes"}).status_code == 422


def test_a_shared_view_is_everybodys_and_ones_own_nobody_elses(as_max, as_sue, as_alice, max):
    for name, shared in (("Mine", ""), ("Ours", "on")):
        as_max.post("/lists/views/new/?list=customers:customers&kind=company", {"name": name, "shared": shared})

    assert [v.name for v in as_sue.get("/customers/").context["saved"]] == ["Ours"]
    assert [v.name for v in as_max.get("/customers/").context["saved"]] == ["Mine", "Ours"]
    ours, mine = SavedView.objects.get(name="Ours"), SavedView.objects.get(name="Mine")
    assert as_sue.post(f"/lists/views/{ours.pk}/delete/").status_code == 404
    assert as_sue.post(f"/lists/views/{mine.pk}/delete/").status_code == 404
    assert as_alice.post(f"/lists/views/{ours.pk}/delete/").status_code == 302
    assert list(SavedView.objects.all()) == [mine]


def test_a_view_of_one_mode_is_not_in_the_other(as_max):
    as_max.post("/lists/views/new/?list=customers:customers&kind=company", {"name": "Test only"})
    as_max.post("/mode/", {"mode": "live"})

    assert list(as_max.get("/customers/").context["saved"]) == []
    assert SavedView.objects.count() == 1


# --- modes ---------------------------------------------------------------------------------------------


def test_each_mode_shows_its_own_customers_only(as_max, alice):
    test, live = make_customer(by=alice, first_name="Tess"), make_customer(by=alice, first_name="Liv", livemode=True)

    def seen():
        pages = [as_max.get(u) for u in ("/customers/", "/customers/?q=cruz", "/customers/?status=all", "/activity/")]
        text = "".join(p.text for p in pages) + as_max.get("/customers/?format=csv").getvalue().decode()
        return {c.first_name for c in (test, live) if c.pk in text}

    assert seen() == {"Tess"}
    assert as_max.get(live.get_absolute_url()).status_code == 404
    assert as_max.get("/customers/", {"q": live.pk}).status_code == 200
    as_max.post("/mode/", {"mode": "live"})
    assert seen() == {"Liv"}
    assert as_max.get(test.get_absolute_url()).status_code == 404
    as_max.post(NEW, ANA)
    assert Customer.objects.latest("id").livemode is True


# --- the page ------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "javascript:alert(1)",
    "'-alert(1)-'",
    "</textarea><b>",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_type_is_shown_as_text_wherever_it_shows(as_alice, alice, text):
    customer = make_customer(
        by=alice,
        first_name=text,
        last_name="x",
        company_name=text,
        reference=text,
        description=text,
        tax_id=text[:60],
        metadata={text[:40]: text},
    )
    make_address(customer, by=alice, line1=text, city=text, name=text)
    make_comment(customer, by=alice, body=text, pinned=True)
    base = customer.get_absolute_url()
    pages = [
        "/customers/",
        f"/customers/?q={customer.reference[:20]}",
        base,
        f"{base}panel/",
        f"{base}edit/",
        f"{base}archive/",
        "/activity/",
    ]
    for url in [*pages, f"/admin/customers/customer/{customer.pk}/change/", "/admin/customers/comment/"]:
        html = as_alice.get(url, follow=True).text
        assert "<script>alert" not in html, url
        assert "<img src=x" not in html, url
        assert "</textarea><b>" not in html, url
        assert 'href="javascript:' not in html, url
        assert html.strip() != "49"


def test_the_panel_is_a_fragment_for_the_drawer_and_a_page_without_script(as_sue, alice):
    customer = make_customer(by=alice)
    url = f"{customer.get_absolute_url()}panel/"

    part, page = as_sue.get(url, headers={"HX-Request": "true"}), as_sue.get(url)

    assert "<html" not in part.text
    assert "<html" in page.text
    assert customer.name in part.text
    assert customer.name in page.text


def test_the_page_of_a_customer_asks_a_fixed_number_of_queries(as_sue, alice, django_assert_max_num_queries):
    customer = make_customer(by=alice)
    for n in range(12):
        make_comment(customer, by=alice, body=f"c{n}")
        make_address(customer, by=alice)

    with django_assert_max_num_queries(22):
        assert as_sue.get(customer.get_absolute_url()).status_code == 200
