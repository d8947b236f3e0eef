"""What a payment company looks like to the rest of the product: pure values in, pure values out.

A gateway knows no model and no request. Amounts are integer minor units with an ISO 4217 code; what a company
expects on the wire is converted inside its own module. Every call that changes something carries a key: the
same key with the same body has its effect once, however often it is sent.

The operations that exist are those the product uses today. `ensure_customer`, `charge` (a saved method),
`refund`, `detach_method` and `parse_webhook` join them with the features that need them, in the same style.

A call ends in a result or in one of four errors, and which one it is decides what may be done next:
Declined and Rejected are final; after Unavailable nothing has happened, so it may be tried again; after
OutcomeUnknown nobody knows yet, so it is never called failed and is asked again under the same key.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class GatewayError(Exception):
    """Something at the gateway. The text is a sentence staff may read; it holds no secret and no card number."""


class Declined(GatewayError):
    """The payer's bank said no. Final for this try."""

    def __init__(self, failure):
        self.failure = failure
        super().__init__(failure.message)


class Rejected(GatewayError):
    """The gateway refuses what we sent: our request is wrong. Final."""


class Unavailable(GatewayError):
    """Certainly not executed: no connection, too many requests, not signed in. Try again later."""


class OutcomeUnknown(GatewayError):
    """Sent, and no answer: it may have happened. Never to be called failed; ask again under the same key."""


class CheckoutStatus(StrEnum):
    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"
    CANCELED = "canceled"


class ChargeStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True)
class Capabilities:
    """What a gateway can do. limits: {currency: (smallest, largest)} in minor units."""

    currencies: frozenset[str]
    method_types: tuple[str, ...]
    limits: dict[str, tuple[int, int]]
    livemode: bool


@dataclass(frozen=True)
class CheckoutRequest:
    """A page of the gateway's where a payer pays `amount_minor` once. `reference` is ours and comes back to us."""

    reference: str
    amount_minor: int
    currency: str
    description: str
    method_types: tuple[str, ...]
    return_url: str
    expires_at: str  # ISO 8601, UTC


@dataclass(frozen=True)
class CheckoutResult:
    remote_id: str
    url: str
    expires_at: str


@dataclass(frozen=True)
class Failure:
    """Why a charge failed: the gateway's code, and a sentence for payer and staff."""

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


@dataclass(frozen=True)
class PaymentResult:
    """One charge as the gateway knows it."""

    remote_id: str
    status: ChargeStatus
    amount_minor: int
    currency: str
    method: MethodSummary
    created_at: datetime
    failure: Failure | None = None


@dataclass(frozen=True)
class Snapshot:
    """A checkout as the gateway knows it now, with every charge tried on it, oldest first."""

    remote_id: str
    status: CheckoutStatus
    reference: str
    amount_minor: int
    currency: str
    payments: tuple[PaymentResult, ...] = field(default=())


class Gateway(Protocol):
    """The operations of a gateway. Each may raise any of the four errors."""

    slug: str
    capabilities: Capabilities

    def create_checkout(self, request: CheckoutRequest, *, key: str) -> CheckoutResult:
        """Make a checkout page; with a key it has seen, give the same page again."""

    def cancel(self, remote_id: str, *, key: str) -> Snapshot:
        """Close a checkout that is open. One that is paid stays paid: look at the answer."""

    def fetch(self, remote_id: str) -> Snapshot:
        """The checkout as it is now. Changes nothing."""
