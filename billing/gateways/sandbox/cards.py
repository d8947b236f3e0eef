"""The card numbers the sandbox knows and what each does. Any other number is refused and kept nowhere.

Numbers and behaviours are those merchants know from PayRex's and Stripe's test modes.
"""

import re
from dataclasses import dataclass

from billing.gateways.base import Failure

NEXT = "No money moved. Use another card."
FAILURES = {
    "generic_decline": f"The bank declined the card without giving a reason. {NEXT}",
    "insufficient_funds": f"The card has insufficient funds. {NEXT}",
    "expired_card": f"The card has expired. {NEXT}",
    "cvc_incorrect": "The security code is incorrect. No money moved. Check the code and try again.",
    "processing_error": "The bank had a processing error. No money moved. Try again in a minute.",
    "system_error": "The card network had a system error. No money moved. Try again in a minute.",
    "lost_card": f"The bank declined the card. {NEXT}",
    "blocked": f"The payment was blocked by a fraud check. {NEXT}",
}
FINAL = frozenset({"lost_card", "blocked", "expired_card"})


@dataclass(frozen=True)
class TestCard:
    """A number of the list. `failure` is a key of FAILURES, or empty when the charge succeeds."""

    __test__ = False  # a name pytest would otherwise collect

    number: str
    brand: str
    label: str
    failure: str = ""
    funding: str = "credit"

    @property
    def last4(self):
        return self.number[-4:]

    @property
    def spaced(self):
        groups = (4, 10, 15) if self.brand == "amex" else (4, 8, 12, 16)
        starts = (0, *groups)
        return " ".join(self.number[a:b] for a, b in zip(starts, groups, strict=False))

    def reason(self):
        """Why a charge on this card fails, or None."""
        return Failure(self.failure, FAILURES[self.failure], retryable=self.failure not in FINAL) if self.failure else None


CARDS = [
    TestCard("4242424242424242", "visa", "Visa, succeeds"),
    TestCard("5555555555554444", "mastercard", "Mastercard, succeeds"),
    TestCard("378282246310005", "amex", "American Express, succeeds"),
    TestCard("4000000000000002", "visa", "Declined by the bank", "generic_decline"),
    TestCard("4000000000009995", "visa", "Insufficient funds", "insufficient_funds"),
    TestCard("4000000000000069", "visa", "Expired card", "expired_card"),
    TestCard("4000000000000127", "visa", "Incorrect security code", "cvc_incorrect"),
    TestCard("4000000000000119", "visa", "Processing error", "processing_error"),
    TestCard("4000000000009987", "visa", "Lost card", "lost_card"),
    TestCard("4701322211111234", "visa", "Visa debit, succeeds", funding="debit"),
    TestCard("5425233430109903", "mastercard", "Mastercard, succeeds"),
    TestCard("5200828282828210", "mastercard", "Mastercard debit, succeeds", funding="debit"),
    TestCard("4000000760000002", "visa", "Visa from the Philippines, succeeds"),
    TestCard("4000000000001000", "visa", "Blocked by a fraud check", "blocked"),
    TestCard("4005550000000019", "visa", "Declined without a reason", "generic_decline"),
    TestCard("4503300000000008", "visa", "Insufficient funds (PayRex)", "insufficient_funds"),
    TestCard("4205260000000005", "visa", "Incorrect security code (PayRex)", "cvc_incorrect"),
    TestCard("4001270000000000", "visa", "Processing error (PayRex)", "processing_error"),
    TestCard("4012000033330026", "visa", "System error", "system_error"),
]
_BY_NUMBER = {card.number: card for card in CARDS}


def find_card(number):
    """The test card of a number typed with or without spaces and dashes; None for any other number."""
    return _BY_NUMBER.get(re.sub(r"[ -]", "", number or ""))
