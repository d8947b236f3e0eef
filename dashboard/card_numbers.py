"""Payment card numbers: seen wherever people type, so that none is kept, shown again or logged (PCI DSS 3).

A card number is 13 to 19 digits that begin as one of the card schemes' do and pass the Luhn check, written together
or in groups. Phone numbers, public ids and numbers of any other kind are left alone.
"""

import logging
import re
import tempfile
from itertools import accumulate

# What stands between groups: blanks, dots and dashes of all kinds, and their bytes in UTF-8 read one by one.
_SIGNS = " .\\-\u00a0\u2007\u2009\u202f\u2010-\u2015\u2212"
_IN_BYTES = "\u00c2\u00a0|\u00e2\u0080[\u0087\u0089\u0090-\u0095\u00af]|\u00e2\u0088\u0092"
_RUN = re.compile(rf"(?<!\d)\d(?:(?:[{_SIGNS}]|{_IN_BYTES}){{0,3}}\d){{12,}}")
_LIKELY = re.compile(rf"\d[\d{_SIGNS}\u0080-\u0095\u00af\u00c2\u00e2]{{12}}")  # what any of those starts with, found far sooner
_GROUP = re.compile(r"\d+")
_ID = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9-]{0,35}[a-f])(?:[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9A-Za-z])"
)
_HIDDEN = re.compile(rf"#(?:[{_SIGNS}]{{0,3}}#){{8,}}(?:[{_SIGNS}]{{0,3}}\d){{4}}(?!\d)")
_LONG = range(16, 20)
SCHEMES = [  # (first digits from, to, how many digits in all)
    ("4", "4", (16, 19)), ("40", "42", (13,)), ("44", "48", (13,)),  # Visa; 13 digits from 43 or 49 are a phone's
    ("51", "55", (16,)), ("2221", "2720", (16,)),  # Mastercard
    ("34", "34", (15,)), ("37", "37", (15,)),  # American Express
    ("300", "305", (14,)), ("36", "36", (14,)), ("38", "39", (14,)),  # Diners Club
    ("3528", "3589", _LONG),  # JCB
    ("2200", "2204", _LONG),  # Mir
    ("50", "50", _LONG), ("56", "58", _LONG),  # Maestro
    ("60", "69", _LONG),  # Discover, UnionPay, RuPay, Maestro
    ("81", "82", (16,)),  # RuPay, UnionPay
]  # fmt: skip
_STARTS = {
    f"{start:02}" for first, last, _ in SCHEMES for start in range(int(first.ljust(2, "0")[:2]), int(last.ljust(2, "9")[:2]) + 1)
}
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
SEAM = 200  # more bytes than a card number has, however it is spaced
PHONE = 15  # most digits of a phone number: fewer behind a plus sign are one


def find_card_number(text):
    """The first card number in text as it is written there, or ""."""
    return next((text[start:end] for start, end in _spans(text)), "") if _LIKELY.search(text) else ""


def hide_card_numbers(text):
    """Text with # for every digit of a card number but its last four."""
    parts, at = [], 0
    for start, end in _spans(text):
        parts += [text[at:start], _hidden(text[start:end])]
        at = end
    return "".join([*parts, text[at:]]) if parts else text


def was_hidden(text):
    """Whether text holds what hide_card_numbers leaves of a card number."""
    return "#" in text and bool(_HIDDEN.search(text))


def hidden_copy(file):
    """A temporary copy of a binary file, as long as it, with its card numbers hidden: digits are the same bytes in
    every encoding a file is read in here."""
    copy, block, held = tempfile.SpooledTemporaryFile(1 << 22), 1 << 20, ""  # noqa: SIM115  (whoever asked reads it)
    file.seek(0)
    while data := file.read(block):
        held = hide_card_numbers(held + data.decode("latin-1"))
        copy.write(held[:-SEAM].encode("latin-1"))
        held = held[-SEAM:]  # a number may go on in the next block
    copy.write(held.encode("latin-1"))
    copy.seek(0)
    return copy


class Formatter(logging.Formatter):
    """Lines of the log, tracebacks included, without card numbers."""

    def format(self, record):
        return hide_card_numbers(super().format(record))


def _spans(text):
    """(start, end) of every card number."""
    if not _LIKELY.search(text):
        return
    text = _ID.sub(lambda found: "x" * len(found[0]), text)
    for run in _RUN.finditer(text):
        yield from _cards(text, run, PHONE + 1 if text[run.start() - 1 : run.start()] == "+" else 13)


def _cards(text, run, least):
    """(start, end) of the card numbers in a run of digits and signs; they have at least so many digits.

    Each group of digits is looked at a bounded number of times, each time at once: whole files of digits pass here.
    """
    groups = [group.span() for group in _GROUP.finditer(text, *run.span())]
    digits = "".join([text[start:end] for start, end in groups])
    digits = digits if digits.isascii() else "".join([str(int(digit)) for digit in digits])
    ends, sums, at = list(accumulate(end - start for start, end in groups)), _luhn_sums(digits), 0
    while at < len(groups):
        first = ends[at] - (groups[at][1] - groups[at][0])
        last = _last(digits, sums, first, ends[at : at + 19], least) if digits[first : first + 2] in _STARTS else None
        if last is not None:
            yield groups[at][0], groups[at + last][1]
        at += 1 if last is None else last + 1


def _last(digits, sums, first, ends, least):
    """Which of `ends` is the first that makes a card number of the digits from `first` on, or None."""
    for n, end in enumerate(ends):
        length = end - first
        if length > 19:
            return None
        if length >= least and (sums[end % 2][end] - sums[end % 2][first]) % 10 == 0 and _is_card(digits[first:end]):
            return n
    return None


def _is_card(digits):
    """Whether digits that pass the Luhn check are as many as a scheme has that begins like them; not one digit all over."""
    known = any(first <= digits[: len(first)] <= last and len(digits) in lengths for first, last, lengths in SCHEMES)
    return known and len(set(digits)) > 1


def _luhn_sums(digits):
    """Running sums with every even digit doubled, and with every odd one: what stands between two places is a difference."""
    plain = [int(digit) for digit in digits]
    doubled = [_DOUBLED[digit] for digit in plain]
    even, odd = plain[:], plain[:]
    even[::2], odd[1::2] = doubled[::2], doubled[1::2]
    return [0, *accumulate(even)], [0, *accumulate(odd)]


def _hidden(number):
    """Digits but the last four as #."""
    left = sum(sign.isdecimal() for sign in number) - 4
    shown = []
    for sign in number:
        hide = sign.isdecimal() and left > 0
        left -= sign.isdecimal()
        shown.append("#" if hide else sign)
    return "".join(shown)
