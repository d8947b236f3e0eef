"""Amounts: whole minor units and a currency; parsed, told, shared and added without losing one."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.money import CURRENCIES, LARGEST, Money, currency_choices, exponent, symbol, totals

pytestmark = pytest.mark.one_database

CODES = st.sampled_from(["JPY", "PHP", "KWD", "USD", "CLF", "ISK", "EUR"])
MINOR = st.integers(0, LARGEST)


@pytest.mark.parametrize(
    ("currency", "places"), [("JPY", 0), ("PHP", 2), ("KWD", 3), ("CLF", 4), ("USD", 2), ("ISK", 0), ("HUF", 2)]
)
def test_a_currency_has_the_places_of_iso_4217(currency, places):
    assert exponent(currency) == places


@given(MINOR, CODES)
def test_what_is_told_plainly_is_read_back(minor, currency):
    money = Money(minor, currency)

    assert Money.parse(money.plain, currency) == money
    assert Money.parse(money.digits, currency) == money


@given(MINOR, CODES)
def test_major_units_are_exact(minor, currency):
    assert Money(minor, currency).major * 10 ** exponent(currency) == minor


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("4,850", "PHP", 485000), ("4850.00", "PHP", 485000), ("4 850.5", "PHP", 485050), ("4\u00a0850", "PHP", 485000),
        (".5", "USD", 50), ("5.", "USD", 500), ("0", "USD", 0), ("007", "JPY", 7), ("1,234,567", "JPY", 1234567),
        ("1.234", "KWD", 1234), ("1.2340", "KWD", 1234), ("12.00", "JPY", 12), (" 3 ", "USD", 300),
    ],
)  # fmt: skip
def test_an_amount_as_people_type_it(text, currency, minor):
    assert Money.parse(text, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "1e3",
        "NaN",
        "Infinity",
        "1.2.3",
        "12,34",
        "1,2345",
        ",5",
        "1,",
        "٣",
        "１２",
        "1/2",
        "$5",
        "0x10",
        ".",
        "1_000",
        "\0",
        "9" * 400,
    ],
)
def test_what_is_no_amount_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError) as told:
        Money.parse(text, "USD")

    assert str(told.value).endswith(".")
    assert "largest" in str(told.value) or "such as 4,850.00" in str(told.value)


def test_an_amount_finer_than_its_currency_is_refused():
    with pytest.raises(ValueError, match="USD has 2 decimal places"):
        Money.parse("1.005", "USD")
    with pytest.raises(ValueError, match="JPY has no decimal places"):
        Money.parse("100.5", "JPY")


def test_the_largest_amount_is_taken_and_one_more_is_not():
    assert Money.parse(str(LARGEST), "JPY").minor == LARGEST
    with pytest.raises(ValueError, match="largest amount"):
        Money.parse(str(LARGEST + 1), "JPY")


@given(st.text(max_size=30), CODES)
def test_any_text_is_an_amount_or_a_sentence(text, currency):
    try:
        found, told = Money.parse(text, currency), "."
    except ValueError as error:
        found, told = Money(0, currency), str(error)

    assert 0 <= found.minor <= LARGEST
    assert told.endswith(".")


@given(MINOR, st.lists(st.integers(0, 1000), min_size=1, max_size=12).filter(any), CODES)
def test_shares_add_up_and_none_is_off_by_more_than_one(minor, weights, currency):
    parts = Money(minor, currency).split(weights)

    assert sum(part.minor for part in parts) == minor
    assert all(part.currency == currency for part in parts)
    assert all(abs(part.minor - Decimal(minor * w) / sum(weights)) < 1 for part, w in zip(parts, weights, strict=True))


def test_a_third_of_ten_is_shared_fairly():
    assert [part.minor for part in Money(1000, "USD").split([1, 1, 1])] == [334, 333, 333]


@given(st.lists(st.tuples(MINOR, CODES), max_size=20))
def test_totals_never_add_two_currencies(pairs):
    found = totals([Money(*pair) for pair in pairs])

    assert [m.currency for m in found] == sorted({c for _, c in pairs})
    assert all(m.minor == sum(n for n, c in pairs if c == m.currency) for m in found)


def test_two_currencies_are_neither_added_nor_compared():
    for act in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a < b):
        with pytest.raises(ValueError, match="USD and PHP cannot be added or compared"):
            act(Money(1, "USD"), Money(1, "PHP"))
    assert Money(1, "USD") != Money(1, "PHP")


@given(MINOR, MINOR, CODES)
def test_adding_and_taking_away_are_exact(a, b, currency):
    assert Money(a, currency) + Money(b, currency) - Money(b, currency) == Money(a, currency)
    assert (Money(a, currency) < Money(b, currency)) == (a < b)
    assert bool(Money(a, currency)) == (a != 0)
    assert -Money(a, currency) == Money(-a, currency)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (485000, "PHP", "₱4,850.00"),
        (128000, "JPY", "¥128,000"),
        (-128000, "USD", "−$1,280.00"),
        (5, "KWD", "KWD\u00a00.005"),
        (0, "EUR", "€0.00"),
    ],
)
def test_an_amount_in_running_text(minor, currency, text):
    assert str(Money(minor, currency)).replace(" ", "\u00a0") == text.replace(" ", "\u00a0")


def test_a_negative_amount_in_a_column_has_a_minus_sign_and_its_places():
    assert Money(-123456789, "USD").digits == "−1,234,567.89"
    assert Money(-5, "USD").plain == "-0.05"


def test_precious_metals_and_test_codes_are_no_currencies():
    assert not {"XAU", "XTS", "XXX"} & CURRENCIES.keys()
    assert {"PHP", "USD", "JPY", "KWD"} <= CURRENCIES.keys()
    assert len(currency_choices()) == len(CURRENCIES) > 150
    assert symbol("PHP") == "₱"
