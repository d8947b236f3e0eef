"""What gateways say in words, as it may be kept and shown: theirs is text from outside like any other."""

from dashboard.card_numbers import hide_card_numbers
from dashboard.text import clean_text

MESSAGE, CODE, NAME, REFERENCE = 500, 64, 255, 255  # longest, in characters


def kept(said, longest=MESSAGE):
    """Text of a gateway without controls, lone surrogates, direction marks and card numbers, cut to what its column holds."""
    return hide_card_numbers(clean_text(str(said)))[:longest]


def kept_failure(failure):
    """The columns that say why a charge or refund failed; none for None."""
    return {"failure_code": kept(failure.code, CODE), "failure_message": kept(failure.message)} if failure else {}
