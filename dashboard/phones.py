"""Phone numbers: any spelling in, E.164 (`+551239235555`) stored, a readable form out."""

import re

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneNumber, PhoneNumberFormat

LONGEST = 60  # characters somebody may use to write one number
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_TRUNK = re.compile(r"^(\+\d{1,3}[\s.-]*)(?:\(0\)|0)")


def parse(text, country=""):
    """The E.164 form of a valid number, or None.

    country (alpha-2) says how to read a number without a country code. A trunk 0 after the country code
    (`+49 0711 …`, `+44 (0)20 …`) is left out when that makes the number valid; an extension is not kept.
    """
    text = str(text or "").strip()
    if not text or len(text) > LONGEST:
        return None
    if _is_canonical(text):
        return text
    text = re.sub(r"^00(?=[1-9])", "+", text)
    return _valid(text, country) or _valid(_TRUNK.sub(r"\1", text), country)


def _is_canonical(text):
    """Whether text is a valid number in E.164 already: a short way for imports, which hold many."""
    if not _E164.fullmatch(text):
        return False
    code = next((text[1:n] for n in (2, 3, 4) if int(text[1:n]) in COUNTRY_CODE_TO_REGION_CODE), "")
    number = PhoneNumber(country_code=int(code or 0), national_number=int(text[1 + len(code) :]))
    return bool(code) and text[1 + len(code)] != "0" and phonenumbers.is_valid_number(number)


def _valid(text, country):
    try:
        number = phonenumbers.parse(text, country.upper() or None)
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return e164 if len(e164) <= 16 else None


def pretty(e164):
    """A stored number as people write it, `+55 12 3923-5555`; text that is no number comes back unchanged."""
    try:
        number = phonenumbers.parse(str(e164 or ""), None)
    except NumberParseException:
        return e164 or ""
    return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
