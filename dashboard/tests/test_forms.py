"""Fields and what every form refuses; how a field is rendered."""

import re

import pytest
from django import forms
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from dashboard.forms import (
    CARD_SENTENCE,
    UNSAFE_SENTENCE,
    CountryField,
    CurrencyField,
    KitForm,
    MetadataField,
    MoneyField,
    PhoneField,
)
from dashboard.money import LARGEST, Money

CARD = "4242 4242 4242 4242"


class PersonForm(KitForm):
    name = forms.CharField(max_length=80)
    note = forms.CharField(required=False, help_text="Customers never see it.", widget=forms.Textarea)
    country = CountryField(required=False)
    phone = PhoneField(required=False, country_from="country")
    secret = forms.CharField(required=False, strip=False, widget=forms.PasswordInput)
    agreed = forms.BooleanField(required=False, label="Agreed")


class PriceForm(KitForm):
    price = MoneyField(required=False)
    fixed = MoneyField(required=False, currencies=["JPY"])


class NotesForm(KitForm):
    metadata = MetadataField()


def person(**data):
    return PersonForm({"name": "Ana"} | data)


def notes(*pairs):
    data = QueryDict(mutable=True)
    data.setlist("metadata_key", [k for k, _ in pairs])
    data.setlist("metadata_value", [v for _, v in pairs])
    return NotesForm(data)


@pytest.mark.parametrize("text", ["Ana\x00", "A\x07na", "An\u202ea", "\u2066Ana"])
def test_control_and_direction_characters_are_refused_at_the_field(text):
    form = person(name=text)

    assert not form.is_valid()
    assert len(form.errors["name"]) == 1


def test_a_pasted_direction_override_is_told_in_plain_words():
    assert person(name="An\u202ea").errors["name"] == [UNSAFE_SENTENCE]


@pytest.mark.parametrize("field", ["name", "note"])
def test_a_card_number_in_free_text_is_refused(field):
    assert person(**{field: f"Paid with {CARD}"}).errors[field] == [CARD_SENTENCE]


class PatternForm(KitForm):
    code = forms.RegexField(r"^[^<>]*$", max_length=30)


@pytest.mark.parametrize(("text", "sentence"), [(CARD, CARD_SENTENCE), ("An\u202ea", UNSAFE_SENTENCE)])
def test_a_field_with_a_pattern_is_text_as_any_other(text, sentence):
    assert PatternForm({"code": text}).errors["code"] == [sentence]


def test_a_secret_passes_exactly_as_typed():
    form = person(secret=f"  {CARD} ")

    assert form.is_valid()
    assert form.cleaned_data["secret"] == f"  {CARD} "


def test_text_is_stored_composed_and_trimmed():
    form = person(name="  Vela\u0301squez ")

    assert form.is_valid()
    assert form.cleaned_data["name"] == "Vel\u00e1squez"


@given(st.text(max_size=80))
def test_whatever_is_typed_a_form_answers_and_never_lets_a_nul_through(text):
    form = person(name=text, note=text)

    assert form.is_valid() or form.errors
    assert all("\x00" not in v for v in form.cleaned_data.values() if isinstance(v, str))


# --- phones, countries, currencies ---------------------------------------------------------------


def test_a_phone_is_read_for_the_forms_country():
    form = person(country="PH", phone="0917 555 0100")

    assert form.is_valid(), form.errors
    assert form.cleaned_data["phone"] == "+639175550100"


def test_a_phone_that_is_none_says_what_to_do():
    assert "country code" in person(phone="12").errors["phone"][0]


def test_no_phone_is_fine():
    form = person(phone="")

    assert form.is_valid()
    assert form.cleaned_data["phone"] == ""


def test_an_unknown_country_or_currency_is_refused():
    class Form(KitForm):
        country = CountryField()
        currency = CurrencyField()

    assert set(Form({"country": "XX", "currency": "DOGE"}).errors) == {"country", "currency"}
    assert Form({"country": "PH", "currency": "PHP"}).is_valid()


def test_the_merchants_own_currency_stands_first(settings):
    settings.DEFAULT_CURRENCY = "PHP"

    assert next(iter(CurrencyField().choices))[0] == "PHP"


# --- amounts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [("4,850", "PHP", 485000), ("4850.5", "USD", 485050), ("12", "JPY", 12), ("1.234", "KWD", 1234)],
)
def test_an_amount_is_minor_units_of_its_currency(typed, currency, minor):
    form = PriceForm({"price": typed, "price_currency": currency})

    assert form.is_valid(), form.errors
    assert form.cleaned_data["price"] == Money(minor, currency)


@pytest.mark.parametrize(
    ("typed", "currency"),
    [
        ("0", "USD"),
        ("-5", "USD"),
        ("1e3", "USD"),
        ("NaN", "USD"),
        ("1.5", "JPY"),
        ("1.234", "USD"),
        (str(LARGEST), "USD"),
        ("5", "XXX"),
        ("٣", "USD"),
    ],
)
def test_an_amount_that_cannot_be_is_refused(typed, currency):
    form = PriceForm({"price": typed, "price_currency": currency})

    assert "price" in form.errors


def test_a_currency_without_an_amount_is_an_empty_field():
    form = PriceForm({"price": "", "price_currency": "USD"})

    assert form.is_valid(), form.errors
    assert form.cleaned_data["price"] is None


def test_a_required_amount_left_empty_is_told_so():
    class Form(KitForm):
        price = MoneyField()

    assert Form({"price": "", "price_currency": "USD"}).errors["price"] == ["Enter an amount such as 4,850.00."]


def test_a_fixed_currency_cannot_be_changed_by_the_browser():
    assert PriceForm({"fixed": "100", "fixed_currency": "USD"}).errors["fixed"]
    assert PriceForm({"fixed": "100", "fixed_currency": "JPY"}).is_valid()


def test_an_amount_is_shown_again_as_it_was_typed():
    html = str(PriceForm({"price": "4,85x", "price_currency": "EUR"})["price"])

    assert 'value="4,85x"' in html
    assert '<option value="EUR" data-sign="€" selected>' in html


def test_an_initial_amount_fills_the_box_and_the_currency():
    html = str(PriceForm(initial={"price": Money(485000, "EUR")})["price"])

    assert 'value="4,850.00"' in html
    assert '<option value="EUR" data-sign="€" selected>' in html


# --- metadata ------------------------------------------------------------------------------------


def test_pairs_become_a_dict_and_empty_rows_are_left_out():
    form = notes(("route", " North "), ("", ""), ("terms", "15"))

    assert form.is_valid(), form.errors
    assert form.cleaned_data["metadata"] == {"route": "North", "terms": "15"}


@pytest.mark.parametrize(
    "pairs",
    [
        [("", "value without key")],
        [("k" * 41, "v")],
        [("key", "v" * 501)],
        [("a[b]", "v")],
        [("same", "1"), ("same", "2")],
        [(f"k{i}", "v") for i in range(51)],
        [("card", CARD)],
        [("key", "bad\u202e")],
    ],
)
def test_pairs_past_the_limits_are_refused_with_one_sentence(pairs):
    form = notes(*pairs)

    assert len(form.errors["metadata"]) == 1
    assert form.errors["metadata"][0].endswith(".")


def test_fifty_pairs_at_their_longest_are_kept():
    form = notes(*[(f"{i:040}", "v" * 500) for i in range(50)])

    assert form.is_valid(), form.errors
    assert len(form.cleaned_data["metadata"]) == 50


def test_refused_pairs_are_shown_again_with_spare_rows():
    html = str(notes(("", "orphan"))["metadata"])

    assert 'value="orphan"' in html
    assert html.count('name="metadata_key"') == 4


def test_stored_pairs_fill_the_rows():
    html = str(NotesForm(initial={"metadata": {"route": '"><b>'}})["metadata"])

    assert 'value="route"' in html
    assert "&gt;&lt;b&gt;" in html
    assert "<b>" not in html


# --- how a field looks -----------------------------------------------------------------------------


def test_a_field_ties_label_help_and_error_to_its_box():
    html = person(note=CARD)["note"].as_field_group()

    assert '<label for="id_note">Note <span class="opt">(optional)</span></label>' in html
    assert 'aria-describedby="id_note_helptext id_note_error"' in html
    assert 'id="id_note_helptext"' in html
    assert 'id="id_note_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'class="input"' in html


def test_a_required_field_has_no_mark():
    html = PersonForm()["name"].as_field_group()

    assert "(optional)" not in html
    assert "*" not in html


def test_a_check_box_is_no_text_box():
    html = PersonForm()["agreed"].as_field_group()

    assert 'class="input"' not in html
    assert '<label class="check">' in html


def test_two_errors_are_summed_up_with_links():
    html = str(PersonForm({"name": "", "note": CARD, "phone": ""}))

    assert '<a href="#id_name">Name</a>' in html
    assert '<a href="#id_note">Note</a>' in html


def test_one_error_needs_no_summary():
    assert "errorlinks" not in str(PersonForm({"name": ""}))


def test_what_was_typed_is_escaped_when_shown_again():
    html = str(PersonForm({"name": "", "note": "</textarea><script>x</script>"}))

    assert "<script>" not in html


def test_no_form_holds_inline_code():
    html = str(PersonForm({"name": ""})) + str(PriceForm()) + str(NotesForm())

    assert "style=" not in html
    assert not re.search(r"\son\w+=", html)
