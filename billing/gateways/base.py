"""What a payment company looks like to the rest of the product: pure values in, pure values out.

A gateway knows no model and no request. Amounts are integer minor units with an ISO 4217 code; what a company
expects on the wire is converted inside its own module. Every call that changes something carries a key: the
same key with the same body has its effect once, however often it is sent.

A call ends in a result or in one of four errors, and which one it is decides what may be done next:
Declined and Rejected are final; after Unavailable nothing has happened, so it may be tried again; after
OutcomeUnknown nobody knows yet, so it is never called failed and is asked again under the same key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class GatewayError(Exception):
    """Something at the gateway. The text is a sentence staff may read; it holds no secret and no card number."""


class Declined(GatewayError):
    """The payer's bank said no. Final for this try; `failure` says why, `remote_id` names the failed charge if there is one."""

    def __init__(self, failure, remote_id=""):
        self.failure, self.remote_id = failure, remote_id
        super().__init__(failure.message)


class Rejected(GatewayError):
    """The gateway refuses what we sent: our request is wrong. Final."""


class Unavailable(GatewayError):
    """Certainly not executed: no connection, too many requests, not signed in. Try again later."""


class OutcomeUnknown(GatewayError):
    """Sent, and no answer: it may have happened. Never to be called failed; ask again under the same key."""


class BadSignature(Exception):
    """A webhook delivery that is not the gateway's, or too old, or too new."""


class Kind(StrEnum):
    """What a remote id names."""

    CHECKOUT = "checkout"
    PAYMENT = "payment"
    REFUND = "refund"


class CheckoutMode(StrEnum):
    PAY = "pay"
    SAVE_CARD = "save_card"  # a zero-amount check; the result is a token


class CheckoutStatus(StrEnum):
    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"
    CANCELED = "canceled"


class ChargeStatus(StrEnum):
    PENDING = "pending"
    ACTION = "requires_action"  # the payer must confirm at their bank: see next_action_url
    AUTHORIZED = "authorized"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"


class RefundStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class DisputeStatus(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True)
class Capabilities:
    """What a gateway can do. limits: {currency: (smallest, largest)} in minor units."""

    currencies: frozenset[str]
    method_types: tuple[str, ...]
    limits: dict[str, tuple[int, int]]
    livemode: bool
    capture: bool = False  # authorise now, capture later
    off_session: bool = False  # charge a saved method without the payer
    partial_refund: bool = True
    save_card: bool = False


@dataclass(frozen=True)
class CustomerRef:
    """Our customer as a gateway is told of it."""

    reference: str
    name: str
    email: str = ""


@dataclass(frozen=True)
class CheckoutRequest:
    """A page of the gateway's where a payer pays `amount_minor` once. `reference` is ours and comes back to us."""

    reference: str
    amount_minor: int  # 0 with SAVE_CARD
    currency: str
    description: str
    method_types: tuple[str, ...]
    return_url: str
    expires_at: str  # ISO 8601, UTC
    mode: str = CheckoutMode.PAY
    customer: str = ""  # the gateway's id of the customer, for a method to be saved
    save_card: bool = False
    capture: bool = True  # False: authorise only


@dataclass(frozen=True)
class CheckoutResult:
    remote_id: str
    url: str
    expires_at: str


@dataclass(frozen=True)
class ChargeRequest:
    """Charge a saved method without the payer. `reference` is ours and comes back to us."""

    reference: str
    amount_minor: int
    currency: str
    description: str
    token: str
    capture: bool = True


@dataclass(frozen=True)
class RefundRequest:
    """Give back `amount_minor` of a payment. `reference` is ours and comes back to us."""

    reference: str
    payment: str  # the gateway's id of the payment
    amount_minor: int
    currency: str
    reason: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a charge or refund failed: the gateway's code, and a sentence for payer and staff."""

    code: str
    message: str
    retryable: bool = True


@dataclass(frozen=True)
class MethodSummary:
    """What may be kept of a payment method: never the number."""

    type: str
    brand: str = ""
    last4: str = ""
    funding: str = ""
    bin: str = ""  # first six to eight digits, when the gateway gives them
    expire_month: int = 0
    expire_year: int = 0
    holder: str = ""
    fingerprint: str = ""
    token: str = ""  # to charge it again, when it was saved
    email: str = ""  # of a wallet account
    country: str = ""  # ISO 3166-1 alpha-2 of the address the payer gave
    postal_code: str = ""


@dataclass(frozen=True)
class RefundResult:
    """One refund as the gateway knows it. `reference` is ours, or empty for one made at the gateway itself."""

    remote_id: str
    status: RefundStatus
    amount_minor: int
    currency: str
    created_at: datetime
    payment: str = ""  # the gateway's id of the payment it belongs to
    reference: str = ""
    failure: Failure | None = None


@dataclass(frozen=True)
class DisputeResult:
    """A chargeback as the gateway knows it."""

    remote_id: str
    status: DisputeStatus
    amount_minor: int
    currency: str
    opened_at: datetime
    reason: str = ""


@dataclass(frozen=True)
class PaymentResult:
    """One charge as the gateway knows it now, with every refund and dispute of it, oldest first.

    `reference` is the one of its checkout or of the charge call: our attempt's id.
    """

    remote_id: str
    status: ChargeStatus
    amount_minor: int
    currency: str
    method: MethodSummary
    created_at: datetime
    failure: Failure | None = None
    reference: str = ""
    checkout: str = ""  # the gateway's id of the checkout it was made on, if any
    fee_minor: int = 0
    captured_minor: int = 0  # less than amount_minor after a partial capture
    next_action_url: str = ""
    refunds: tuple[RefundResult, ...] = field(default=())
    disputes: tuple[DisputeResult, ...] = field(default=())


@dataclass(frozen=True)
class Snapshot:
    """A checkout as the gateway knows it now, with every charge tried on it, oldest first."""

    remote_id: str
    status: CheckoutStatus
    reference: str
    amount_minor: int
    currency: str
    payments: tuple[PaymentResult, ...] = field(default=())
    method: MethodSummary | None = None  # the saved one, with SAVE_CARD


@dataclass(frozen=True)
class GatewayEvent:
    """A verified delivery: something happened to `remote_id`. What it says beyond that is not believed, but asked."""

    event_id: str
    type: str
    kind: str  # a Kind, or "" for types we have no use for
    remote_id: str
    livemode: bool
    created_at: datetime


class Gateway(Protocol):
    """The operations of a gateway. Each may raise any of the four errors."""

    slug: str
    capabilities: Capabilities

    def ensure_customer(self, customer: CustomerRef, *, key: str) -> str:
        """The gateway's id of our customer, made on the first call."""

    def create_checkout(self, request: CheckoutRequest, *, key: str) -> CheckoutResult:
        """Make a checkout page; with a key it has seen, give the same page again."""

    def charge(self, request: ChargeRequest, *, key: str) -> PaymentResult:
        """Charge a saved method. A decline is Declined; one the payer must confirm comes back as ACTION."""

    def capture(self, remote_id: str, amount_minor: int, *, key: str) -> PaymentResult:
        """Take an authorised payment, whole or in part; the rest is released."""

    def refund(self, request: RefundRequest, *, key: str) -> RefundResult:
        """Give money back. Rejected above what is left."""

    def cancel(self, kind: str, remote_id: str, *, key: str) -> "Snapshot | PaymentResult":
        """Close an open checkout, or release an authorised payment. One that is paid stays paid: look at the answer."""

    def find_method(self, token: str) -> MethodSummary:
        """What a token stands for. Changes nothing. Rejected for one that is unknown, Declined for a method nobody keeps."""

    def attach_method(self, token: str, customer: str, *, key: str) -> MethodSummary:
        """Save the method of a token for a customer of the gateway's. Rejected for another customer's, Declined as above."""

    def detach_method(self, token: str, *, key: str) -> None:
        """Forget a saved method. One that is gone already is no error."""

    def fetch(self, kind: str, remote_id: str) -> "Snapshot | PaymentResult | RefundResult":
        """The checkout, payment or refund as it is now. Changes nothing."""

    def parse_webhook(self, body: bytes, headers: Mapping[str, str]) -> GatewayEvent:
        """Verify the raw bytes of a delivery and read it. BadSignature for any other. Touches no database."""
