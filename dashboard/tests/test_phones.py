"""Phone numbers in every spelling people use."""

from random import Random

import pytest
from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneNumber,
    PhoneNumberFormat,
    PhoneNumberType,
    example_number_for_type,
    format_number,
    is_valid_number,
)

from dashboard import phones

pytestmark = pytest.mark.one_database

KINDS = [kind for kind in PhoneNumberType.values() if kind != PhoneNumberType.UNKNOWN]


@pytest.mark.parametrize(
    ("text", "country", "stored"),
    [
        ("+55 (12) 3923-5555", "", "+551239235555"),
        ("+12345678901", "", "+12345678901"),
        ("+49 0711 2842222", "DE", "+497112842222"),
        ("+44 (0)20 7031 3000", "", "+442070313000"),
        ("0044 20 7031 3000", "", "+442070313000"),
        ("020 7031 3000", "GB", "+442070313000"),
        ("0917 123 4567", "PH", "+639171234567"),
        ("0917 123 4567", "ph", "+639171234567"),
        ("+39 06 39733434", "", "+390639733434"),
        ("tel:+1-514-721-4711", "", "+15147214711"),
    ],
)
def test_a_valid_number_is_stored_in_one_form(text, country, stored):
    assert phones.parse(text, country) == stored


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("555-1234", "US"),
        ("555-1234", ""),
        ("020 7031 3000", ""),
        ("abc", "US"),
        ("", "US"),
        (None, "US"),
        ("+", ""),
        ("+" * 50, "US"),
        ("9" * 5000, "US"),
        ("\0", "US"),
        ("+99999999", ""),
        ("020 7031 3000", "ZZ"),
        ("+453 3331 9991", "DK"),
    ],
)
def test_what_is_no_number_is_none(text, country):
    assert phones.parse(text, country) is None


@pytest.mark.parametrize(
    "region", ["US", "GB", "IT", "PH", "BR", "DE", "RU", "HU", "CI", "AR", "MX", "JP", "KZ", "GG", "LT", "BY"]
)
def test_a_number_that_is_stored_reads_the_same_by_the_short_and_the_long_way(region):
    for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE):
        e164 = format_number(example_number_for_type(region, kind), PhoneNumberFormat.E164)
        assert phones.parse(e164) == phones._valid(e164, "") == e164


@pytest.mark.parametrize("code", sorted(COUNTRY_CODE_TO_REGION_CODE))
def test_the_short_way_takes_what_the_long_way_takes_and_nothing_else(code):
    luck = Random(code)
    examples = [example_number_for_type(region, kind) for region in COUNTRY_CODE_TO_REGION_CODE[code] for kind in KINDS]
    real = [str(number.national_number) for number in examples if number]
    made = [one[: luck.randrange(len(one))] + str(luck.randrange(10 ** luck.randrange(1, 9))) for one in real * 10]

    for national in {*real, *made}:
        text, number = f"+{code}{national}", PhoneNumber(country_code=code, national_number=int(national))
        if 8 <= len(text) <= 16 and national[0] != "0":
            assert phones._is_canonical(text) == is_valid_number(number), text


def test_a_stored_number_is_shown_readably_and_reads_back():
    assert phones.pretty("+551239235555") == "+55 12 3923-5555"
    assert phones.parse(phones.pretty("+551239235555")) == "+551239235555"
    assert phones.pretty("n/a") == "n/a"
    assert phones.pretty(None) == ""
