"""Text from outside, and how it is found again: cleaned, folded, searched on whichever database this is."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard import search
from dashboard.card_numbers import find_card_number
from dashboard.text import clean_text, fold, search_text, unsafe, words


@given(st.text())
def test_clean_text_is_safe_and_cleaning_twice_changes_nothing(text):
    cleaned = clean_text(text)

    assert not unsafe(cleaned)
    assert clean_text(cleaned) == cleaned
    assert "\r" not in cleaned
    assert unicodedata.is_normalized("NFC", cleaned)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\0b", "ab"), ("\ud800x", "x"), ("a\r\nb\rc", "a\nb\nc"), ("  x \t", "x"), ("\u202eevil\u202c", "evil"), ("e\u0301",
        "é"),
        ("\ufeffid", "id"), ("a\x85b", "ab"), ("tab\tstays", "tab\tstays"), ("👩‍🚀", "👩‍🚀"),
    ],
)  # fmt: skip
def test_clean_text_drops_what_nobody_types(text, clean):
    assert clean_text(text) == clean


def test_clean_text_cuts_at_the_limit():
    assert clean_text("x" * 900, 255) == "x" * 255


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Gonçalves Luís", "goncalves luis"), ("GONCALVES LUIS", "goncalves luis"), ("Müller", "muller"), ("Straße",
        "strasse"), ("Łódź", "lodz"),
        ("Ærø", "aero"), ("Þór", "thor"), ("İstanbul", "istanbul"), ("ﬁx", "fix"), ("Đặng", "dang"), ("Œuvre", "oeuvre"),
        ("Ｆｕｌｌ", "full"),
    ],
)  # fmt: skip
def test_accents_and_case_fold_away(text, folded):
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("O'Brien", ["o", "brien"]), ("2025-05379", ["2025", "05379"]), ("luisg@embraer.com.br", ["luisg", "embraer", "com",
        "br"]),
        ("%_", []), ("a_b", ["a", "b"]), ("", []), ("山田 太郎", ["山田", "太郎"]),
    ],
)  # fmt: skip
def test_words_stand_between_punctuation(text, parts):
    assert words(text) == parts


def test_a_record_is_found_by_the_words_and_by_the_whole():
    assert search_text("O'Brien, Zoë", None, "", 2025) == "o brien zoe 2025 obrien"
    assert "202505379" in search_text("2025-05379")
    assert search_text("Ana", "Ana") == "ana"
    assert search_text("(Ana)", "_", "Zoë-Bø C_3", "x") == "ana zoe bo c 3 x zoebo c3"


@given(st.lists(st.text(max_size=20), max_size=5))
def test_search_text_is_folded_words_and_spaces(values):
    found = search_text(*values)

    assert all(w.isalnum() for w in found.split())
    assert "  " not in found
    assert not any(c in found for c in "%_\\'\"")


@pytest.mark.parametrize(
    "text", ["4242424242424242", "card 4242 4242-4242 4242 thanks", "378282246310005", "5555-5555-5555-4444", "4-2" * 7 + " 4 2"]
)
def test_a_card_number_is_seen_however_it_is_spaced(text):
    assert find_card_number(text)


@pytest.mark.parametrize(
    "text", ["4242424242424241", "0000000000000000", "1111111111111111", "+63 917 555 0100", "2025-05379", "", "9" * 30]
)
def test_other_numbers_are_no_cards(text):
    assert not find_card_number(text)


# --- search ------------------------------------------------------------------------------------------


@pytest.fixture
def people(alice):
    make = lambda **fields: make_customer(by=alice, **fields)  # noqa: E731
    return {
        "luis": make(
            first_name="Luís", last_name="Gonçalves", email="luisg@embraer.com.br", phone="+551239235555", reference="2025-05379"
        ),
        "obrien": make(first_name="Zoë", last_name="O'Brien", email="zoe@obrien.example", metadata={"Order ID": "PO 7781"}),
        "acme": make(kind="company", company_name="100% Juice_Co", email="ap@juice.example", did="did:web:juice.example"),
        "yamada": make(first_name="太郎", last_name="山田"),
        "li": make(first_name="Li", last_name="Xu", email="li@x.example"),
    }


FOUND = [
    ("goncalves", "luis"), ("Gonçalves Luís", "luis"), ("LUIS GONCALVES", "luis"), ("onçal", "luis"), ("luisg@", "luis"),
    ("embraer.com", "luis"),
    ("+55 12 3923 5555", "luis"), ("+551239235555", "luis"), ("(12) 3923-5555", "luis"), ("55-12-3923-5555", "luis"),
    ("39235555", "luis"),
    ("012 3923 5555", "luis"), ("2025-05379", "luis"), ("202505379", "luis"), ("05379", "luis"), ("o'brien", "obrien"),
    ("obrien", "obrien"),
    ("O’Brien", "obrien"), ("zoe", "obrien"), ("7781", "obrien"), ("PO 7781", "obrien"), ("100%", "acme"), ("juice_co",
    "acme"), ("juice co", "acme"),
    ("did:web:juice.example", "acme"), ("li", "li"), ("Li X", "li"), ("太郎", "yamada"), ("lu", "luis"), ("l", "li"), ("ap",
    "acme"), ("zoe o", "obrien"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "name"), FOUND)
def test_a_customer_is_found(people, query, name):
    assert people[name] in search.matching(Customer.objects.all(), query)


@pytest.mark.parametrize(
    "query",
    [
        "nobody",
        "goncalves zoe",
        "%%%",
        "___",
        "lu_s",
        "g%es",
        "100%q9",
        "+55 99",
        "' OR 1=1 --",
        '"luis" OR "zoe"',
        "NEAR(a b)",
        "luis*",
        "zz",
        "%",
        "_",
        "*",
    ],
)
def test_what_nobody_is_called_finds_nobody(people, query):
    found = set(search.matching(Customer.objects.all(), query))

    assert found == ({people["luis"]} if query in ("luis*",) else set())


def test_blank_search_text_is_everybody_and_signs_alone_are_nobody(people):
    everybody = Customer.objects.all()

    assert search.matching(everybody, "").count() == search.matching(everybody, "   \0").count() == len(people)
    assert search.matching(everybody, "-").count() == search.matching(everybody, "@@@").count() == 0


def test_the_id_with_or_without_prefix_finds_its_customer(people, as_max):
    luis = people["luis"]

    assert luis in search.matching(Customer.objects.all(), luis.pk.removeprefix("cus_"))
    assert as_max.get("/customers/", {"q": luis.pk}).url == luis.get_absolute_url()
    assert as_max.get("/customers/", {"q": f" {luis.pk.removeprefix('cus_')} "}).url == luis.get_absolute_url()


def test_a_change_is_found_at_once_and_what_was_is_not(people, alice):
    from customers import domain

    luis = domain.update_customer(people["luis"], version=1, by=alice, last_name="Nakamura")

    assert list(search.matching(Customer.objects.all(), "nakamura")) == [luis]
    assert not search.matching(Customer.objects.all(), "goncalves").exists()
    Customer.objects.filter(pk=luis.pk).delete()
    assert not search.matching(Customer.objects.all(), "nakamura").exists()


def test_one_typed_by_reporting_searches_names_only(people):
    everybody = Customer.objects.all()

    assert list(search.matching_name(everybody, "gonç")) == [people["luis"]]
    assert not search.matching_name(everybody, "luisg").exists()
    assert not search.matching_name(everybody, "@").exists()


@given(st.text(max_size=300))
def test_any_text_may_be_searched(db, text):
    assert search.matching(Customer.objects.all(), text).count() == 0 or not search.clean_query(text)


def test_a_search_uses_its_index_and_no_scan(people):
    from django.db import connection

    if connection.vendor == "sqlite":
        plan = search.matching(Customer.objects.all(), "goncalves").explain()
        assert "VIRTUAL TABLE INDEX" in plan
        assert "SCAN customers_customer" not in plan
    else:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert "customers_customer_search" in search.matching(Customer.objects.all(), "goncalves").explain()
