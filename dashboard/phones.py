"""Phone numbers: any spelling in, E.164 (`+551239235555`) stored, a readable form out."""

import re
from functools import cache

import phonenumbers
from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, NumberParseException, PhoneMetadata, PhoneNumber, PhoneNumberFormat

LONGEST = 60  # characters somebody may use to write one number
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
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
    if not E164.fullmatch(text):
        return False
    code = _calling_code(text[1:4])
    national = text[1 + len(code) :]
    if not code or national[:1] in ("", "0"):
        return False
    known = _numbers(code, len(national))
    if known and known.fullmatch(national):
        return True
    return phonenumbers.is_valid_number(PhoneNumber(country_code=int(code), national_number=int(national)))


@cache
def _calling_code(start):
    """The country code among the first three digits, or ""."""
    return next((start[:n] for n in (1, 2, 3) if int(start[:n]) in COUNTRY_CODE_TO_REGION_CODE), "")


@cache
def _numbers(code, digits):
    """One pattern of all valid numbers of so many digits in the main country of a code; None where there are none.

    phonenumbers tries a country's dozen patterns one after the other, and reads each again from its text.
    """
    country = PhoneMetadata.metadata_for_region_or_calling_code(int(code), COUNTRY_CODE_TO_REGION_CODE[int(code)][0])
    general, *kinds = [_pattern(getattr(country, kind), digits) for kind in _KINDS]
    if not general or not any(kinds) or country.leading_digits:
        return None
    return re.compile(rf"(?=(?:{general})\Z)(?:{'|'.join(filter(None, kinds))})")


_KINDS = (
    "general_desc",
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "voip",
    "personal_number",
    "pager",
    "uan",
    "voicemail",
)


def _pattern(kind, digits):
    """A kind of number's pattern, or "" where none has so many digits."""
    if kind is None or (kind.possible_length and digits not in kind.possible_length):
        return ""
    return kind.national_number_pattern or ""


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
