"""The card and account numbers the sandbox knows and what each does. Any other number is refused and kept nowhere.

Numbers and behaviours are those merchants know from PayRex's and Stripe's test modes.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from django.utils.crypto import salted_hmac

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
    "authentication_failed": f"The bank could not confirm that it was you. {NEXT}",
    "abandoned": "The payment was not confirmed at the bank. No money moved.",
    "debit_refused": "The bank refused the debit. No money moved. Use another account or a card.",
    "refund_refused": "The payer's bank sent the refund back. The money is with you again.",
}
FINAL = frozenset({"lost_card", "blocked", "expired_card"})


class Trait(StrEnum):
    """What a method does beyond paying at once."""

    DECLINES_LATER = "declines_later"  # it can be saved; every charge fails
    ASKS = "asks"  # the payer confirms at the bank, on a page of its own
    DISPUTED = "disputed"  # the payer's bank wants the money back at the next tick
    REFUND_FAILS = "refund_fails"  # a refund is pending until the next tick, then fails
    REFUND_SLOW = "refund_slow"  # a refund is pending until the next tick, then succeeds
    EXPIRES = "expires"  # it expires at the end of the month after it was saved
    DEBIT = "debit"  # processing until the next tick, then succeeds
    DEBIT_FAILS = "debit_fails"  # processing until the next tick, then fails


@dataclass(frozen=True)
class TestCard:
    """A number of the list. `failure` is a key of FAILURES when no charge succeeds and the card cannot be saved."""

    __test__ = False  # a name pytest would otherwise collect

    number: str
    brand: str
    label: str
    failure: str = ""
    funding: str = "credit"
    trait: str = ""
    type: str = "card"

    @property
    def last4(self):
        return self.number[-4:]

    @property
    def bin(self):
        return self.number[:6] if self.type == "card" else ""

    @property
    def fingerprint(self):
        if not self.number:
            return ""
        return salted_hmac("billing.gateways.sandbox.cards", self.number, algorithm="sha256").hexdigest()[:16]

    @property
    def spaced(self):
        groups = (4, 10, 15) if self.brand == "amex" else (4, 8, 12, 16)
        starts = (0, *groups)
        return " ".join(self.number[a:b] for a, b in zip(starts, groups, strict=False))

    @property
    def title(self):
        """Its line on the page: named first, the number second."""
        return f"{self.label} · {self.spaced if self.type == 'card' else self.number}"


def failure_of(code):
    """The Failure of a code of FAILURES; None for ""."""
    return Failure(code, FAILURES[code], retryable=code not in FINAL) if code else None


CARDS = [
    TestCard("4242424242424242", "visa", "Visa, succeeds"),
    TestCard("5555555555554444", "mastercard", "Mastercard, succeeds"),
    TestCard("378282246310005", "amex", "American Express, succeeds"),
    TestCard("4701322211111234", "visa", "Visa debit, succeeds", funding="debit"),
    TestCard("5425233430109903", "mastercard", "Mastercard, succeeds (PayRex)"),
    TestCard("5200828282828210", "mastercard", "Mastercard debit, succeeds", funding="debit"),
    TestCard("4000000760000002", "visa", "Visa from the Philippines, succeeds"),
    TestCard("4311780000241409", "visa", "The bank confirms by itself, succeeds"),
    TestCard("4000002500003155", "visa", "Confirm at the bank", trait=Trait.ASKS),
    TestCard("4000000000003220", "visa", "Confirm at the bank, every time", trait=Trait.ASKS),
    TestCard("4000000000000341", "visa", "Can be saved, every charge is declined", trait=Trait.DECLINES_LATER),
    TestCard("4000000000004210", "visa", "Visa, succeeds; it expires next month", trait=Trait.EXPIRES),
    TestCard("4000000000000259", "visa", "Visa, succeeds and is disputed a minute later", trait=Trait.DISPUTED),
    TestCard("4000000000005126", "visa", "Visa, succeeds; its refund fails a minute later", trait=Trait.REFUND_FAILS),
    TestCard("4000000000007726", "visa", "Visa, succeeds; its refund takes a minute", trait=Trait.REFUND_SLOW),
    TestCard("4000000000000002", "visa", "Declined by the bank", "generic_decline"),
    TestCard("4000000000009995", "visa", "Insufficient funds", "insufficient_funds"),
    TestCard("4000000000000069", "visa", "Expired card", "expired_card"),
    TestCard("4000000000000127", "visa", "Incorrect security code", "cvc_incorrect"),
    TestCard("4000000000000119", "visa", "Processing error", "processing_error"),
    TestCard("4000000000009987", "visa", "Lost card", "lost_card"),
    TestCard("4000000000000077", "visa", "The bank does not confirm", "authentication_failed"),
    TestCard("4000000000001000", "visa", "Blocked by a fraud check", "blocked"),
    TestCard("4005550000000019", "visa", "Declined without a reason", "generic_decline"),
    TestCard("4503300000000008", "visa", "Insufficient funds (PayRex)", "insufficient_funds"),
    TestCard("4205260000000005", "visa", "Incorrect security code (PayRex)", "cvc_incorrect"),
    TestCard("4001270000000000", "visa", "Processing error (PayRex)", "processing_error"),
    TestCard("4012000033330026", "visa", "System error", "system_error"),
]
_DEBIT = {"funding": "", "type": "bank_account"}
ACCOUNTS = [
    TestCard("000123456789", "testbank", "Bank debit, succeeds a minute later", trait=Trait.DEBIT, **_DEBIT),
    TestCard("000111111116", "testbank", "Bank debit, fails a minute later", trait=Trait.DEBIT_FAILS, **_DEBIT),
]
WALLET = TestCard("", "wallet", "Wallet account, succeeds", funding="", type="checkout")  # has no number to type
_BY_NUMBER = {card.number: card for card in [*CARDS, *ACCOUNTS]}


def failure_of_saved(fingerprint):
    """Why a saved card of the list never pays; "" when it does."""
    return next((card.failure for card in CARDS if card.fingerprint == fingerprint), "")


def find_card(number):
    """The test card or account of a number typed with or without spaces and dashes; None for any other number."""
    return _BY_NUMBER.get(re.sub(r"[ -]", "", number or ""))
