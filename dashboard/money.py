"""Money: integer minor units and an ISO 4217 code, always together.

Exponents are ISO 4217's, not CLDR's (they differ for 13 currencies). Babel only formats. There is no
float here, and no sum over currencies: totals are lists, one entry per currency.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

import pycountry
from babel.numbers import format_currency, get_currency_symbol

LARGEST = 10**12  # minor units; the database refuses more
EXPONENTS = (  # all others have two digits
    dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
    | dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
    | dict.fromkeys("CLF UYW".split(), 4)
)
_NOT_MONEY = set("XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX".split())
CURRENCIES = {c.alpha_3: c.name for c in pycountry.currencies if c.alpha_3 not in _NOT_MONEY}
_AMOUNT = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d*)?")


def exponent(currency):
    """Decimal digits of a currency's minor unit: 2 for USD, 0 for JPY, 3 for KWD."""
    return EXPONENTS.get(currency, 2)


@cache
def symbol(currency):
    """The sign to print before an amount; the code itself where the currency has no sign."""
    return get_currency_symbol(currency, locale="en")


def currency_choices():
    return [(code, f"{code}, {name}") for code, name in sorted(CURRENCIES.items())]


@dataclass(frozen=True, order=False)
class Money:
    """An amount: `minor` integer minor units of `currency`. Adding two currencies raises ValueError."""

    minor: int
    currency: str

    def __add__(self, other):
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other):
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self):
        return Money(-self.minor, self.currency)

    def __lt__(self, other):
        return self.minor < self._same(other)

    def __bool__(self):
        return self.minor != 0

    def _same(self, other):
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added or compared.")
        return other.minor

    @property
    def major(self):
        """The amount in major units: Decimal("12.50")."""
        return Decimal(self.minor).scaleb(-exponent(self.currency))

    @property
    def plain(self):
        """The amount without sign or separators, for files and form fields: `1234.50`."""
        return f"{self.major:f}"

    @property
    def digits(self):
        """The amount with separators and no sign, for columns that print the code: `1,234.50`."""
        return f"{self.major:,f}".replace("-", "−")

    def __str__(self):
        text = format_currency(
            self.major.copy_abs(), self.currency, locale="en", currency_digits=False, format=_format(self.currency)
        )
        return f"−{text}" if self.minor < 0 else text

    @classmethod
    def parse(cls, text, currency):
        """Read "4,850", "4850.00" or "4 850.5" typed by a person; raises ValueError with a sentence."""
        digits = str(text).strip().replace(" ", "").replace("\u00a0", "")
        if not _AMOUNT.fullmatch(digits) or not any(c.isdigit() for c in digits) or not digits.isascii():
            raise ValueError("Enter an amount such as 4,850.00.")
        whole, _, fraction = digits.replace(",", "").partition(".")
        places = exponent(currency)
        if len(fraction.rstrip("0")) > places:
            raise ValueError(f"{currency} has {places or 'no'} decimal places.")
        minor = int((whole or "0") + fraction.rstrip("0").ljust(places, "0"))
        if minor > LARGEST:
            raise ValueError(f"The largest amount is {cls(LARGEST, currency)}.")
        return cls(minor, currency)

    def split(self, weights):
        """Share the amount by integer weights so that the parts add up to it, largest remainder first."""
        total = sum(weights)
        parts = [self.minor * w // total for w in weights]
        by_remainder = sorted(range(len(weights)), key=lambda i: -(self.minor * weights[i] % total))
        for i in by_remainder[: self.minor - sum(parts)]:
            parts[i] += 1
        return [Money(part, self.currency) for part in parts]


@cache
def _format(currency):
    places = exponent(currency)
    space = "\u00a0" if symbol(currency)[-1].isalpha() else ""  # "KWD 0.005", "₱4,850.00"
    return f"¤{space}#,##0" + (f".{'0' * places}" if places else "")


def totals(amounts):
    """One Money per currency, by code: the only sum there is."""
    by_currency = defaultdict(int)
    for amount in amounts:
        by_currency[amount.currency] += amount.minor
    return [Money(minor, currency) for currency, minor in sorted(by_currency.items())]
