"""Does the payer's address fit the customer's (R-28)? A flag for people to judge by: nothing is refused because of it."""

import re

from dashboard.places import country_code
from dashboard.text import words

MATCH, DIFFERS, MISSING, NOT_CHECKED = "match", "differs", "missing", "not_checked"
WORDS = {MATCH: "Matches", DIFFERS: "Differs", MISSING: "Nothing to compare", NOT_CHECKED: "Not checked"}
MEANING = {
    MATCH: "The address the payer gave fits the one in your directory.",
    DIFFERS: "The address the payer gave differs from the one in your directory. Look twice before you send goods.",
    MISSING: "The payer gave an address, but your directory has none to compare it with.",
    NOT_CHECKED: "The payer gave no address, so there was nothing to compare.",
}
PARTS = ("country", "postal_code", "line1")
_SHORT = {
    "av": "avenue", "ave": "avenue", "blvd": "boulevard", "dr": "drive", "hwy": "highway", "ln": "lane", "pl": "place",
    "rd": "road", "sq": "square", "st": "street", "str": "strasse", "ter": "terrace",
}  # fmt: skip


def check_address(given, directory):
    """ "match", "differs", "missing" or "not_checked": the address a payer gave, held against the directory's.

    Both are dicts of address parts; a customer stands for its default address. What one side lacks proves
    nothing, so without anything to compare the answer is never "match".
    """
    verdicts = compare_parts(given, directory).values()
    if not verdicts:
        return NOT_CHECKED
    if DIFFERS in verdicts:
        return DIFFERS
    return MISSING if MISSING in verdicts else MATCH


def compare_parts(given, directory):
    """{part: match, differs or missing} of the parts the payer gave; missing ones are unknown to the directory."""
    given, known = _parts(given), _parts(directory)
    return {p: _compare(p, given[p], known[p], given["country"] or known["country"]) for p in PARTS if given[p]}


def _compare(part, given, known, country):
    if not known:
        return MISSING
    same = {"country": _same_country, "postal_code": _same_code, "line1": _same_street}[part]
    return MATCH if same(given, known, country) else DIFFERS


def _parts(address):
    """The parts of a dict, an address, or a customer's default address; "" for those that say nothing."""
    if hasattr(address, "addresses"):
        address = address.address
    read = address.get if isinstance(address, dict) else lambda name: getattr(address, name, "")
    found = {name: str(read(name) or "").strip() for name in PARTS}
    return {name: value if words(value) else "" for name, value in found.items()}


def _same_country(given, known, _country):
    return (country_code(given) or given) == (country_code(known) or known)


def _same_code(given, known, country):
    """Spaces, hyphens and case aside. The United States write five digits or nine for one place."""
    given, known = (re.sub(r"[\W_]", "", code).upper() for code in (given, known))
    return given[:5] == known[:5] if country_code(country) == "US" else given == known


def _same_street(given, known, _country):
    """In words without accents, short forms spelt out; a flat or floor that only one side names is no difference."""
    given, known = ({_SHORT.get(w, w) for w in words(line)} for line in (given, known))
    return given <= known or known <= given
