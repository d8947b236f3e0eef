"""How the API shows payments, refunds, disputes and what was tried at a gateway for them."""

from typing import Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from billing.models import Attempt, Payment, Refund
from customers.api.answers import AddressPart, shown_to
from dashboard.api.fields import timestamp
from dashboard.api.lists import Paged
from dashboard.ids import bare

_AT = "2026-10-27T10:00:00.000Z"
_OPEN = ("country", "state", "city")  # parts of an address everybody sees
REFUND = {
    "id": "re_65f0c1d2a7b34e5f60718301",
    "object": "refund",
    "livemode": False,
    "payment_id": "pay_65f0c1d2a7b34e5f60718300",
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "status": "succeeded",
    "amount": 1850,
    "currency": "USD",
    "reason": "product_was_damaged",
    "remarks": "Two bags burst.",
    "merchant_reference_id": "",
    "destination": "method",
    "gateway": "sandbox",
    "gateway_reference": "sbxre_1",
    "failure_code": "",
    "failure_message": "",
    "metadata": {},
    "user_id": None,
    "succeeded_at": _AT,
    "created_at": _AT,
    "updated_at": _AT,
}
PAYMENT = {
    "id": "pay_65f0c1d2a7b34e5f60718300",
    "object": "payment",
    "livemode": False,
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "product_type": "api",
    "payment_request_id": None,
    "billing_statement_id": None,
    "payment_source_id": "src_65f0c1d2a7b34e5f607182aa",
    "status": "paid",
    "amount": 4850,
    "fee": 171,
    "net_amount": 4679,
    "amount_refunded": 1850,
    "amount_refundable": 3000,
    "currency": "USD",
    "dispute": None,
    "method_type": "card",
    "method_brand": "visa",
    "method_last4": "4242",
    "method_bin": "424242",
    "method_holder": "John Doe",
    "billing_name": "John Doe",
    "billing_email": "john.doe@example.com",
    "billing_phone": "+15551234567",
    "billing_address": {
        "country": "US",
        "state": "CA",
        "city": "San Francisco",
        "line1": "123 Main Street",
        "line2": "Apt 4B",
        "line3": "",
        "postal_code": "94105",
    },
    "address_check": "not_checked",
    "description": "Order 1001",
    "merchant_reference_id": "1001",
    "statement_descriptor": "HARBOUR AND PINE",
    "custom_fields": {},
    "metadata": {"order": "1001"},
    "payment_intent_id": "",
    "gateway": "sandbox",
    "gateway_reference": "sbxpay_1",
    "failure_code": "",
    "failure_message": "",
    "user_id": None,
    "authorized_at": None,
    "paid_at": _AT,
    "created_at": _AT,
    "updated_at": _AT,
    "checking": False,
    "next_action_url": None,
    "refunds": [REFUND],
    "disputes": [],
    "attempts": [],
}


class AttemptOut(Schema):
    """What was tried at a gateway. `unknown` says that nobody knows yet whether it had its effect."""

    id: str
    kind: Literal[tuple(Attempt.Kind.values)]
    state: Literal[tuple(Attempt.State.values)]
    amount: int
    currency: str
    tries: int
    error: str
    created_at: str
    settled_at: str | None


class DisputeOut(Schema):
    """The payer's bank wants money back. It is answered at the gateway."""

    id: str
    amount: int
    currency: str
    reason: str
    status: str
    opened_at: str
    closed_at: str | None


class RefundOut(Schema):
    """Money given back from one payment. `attempts` is told of a single refund alone."""

    model_config = ConfigDict(json_schema_extra={"example": REFUND})

    id: str
    object: str
    livemode: bool
    payment_id: str
    customer_id: str | None
    status: Literal[tuple(Refund.Status.values)]
    amount: int = Field(description="Minor units.")
    currency: str
    reason: Literal[tuple(Refund.Reason.values)]
    remarks: str
    merchant_reference_id: str
    destination: Literal[tuple(Refund.Destination.values)]
    gateway: str | None
    gateway_reference: str
    failure_code: str
    failure_message: str
    metadata: dict[str, str]
    user_id: str | None
    succeeded_at: str | None
    created_at: str
    updated_at: str
    attempts: list[AttemptOut] = []


class BillingAddress(AddressPart):
    line3: str


class PaymentOut(Schema):
    """A payment. What follows `updated_at` is told of a single payment alone, not in lists."""

    model_config = ConfigDict(json_schema_extra={"example": PAYMENT})

    id: str
    object: str
    livemode: bool
    customer_id: str | None
    product_type: Literal[tuple(Payment.Product.values)]
    payment_request_id: str | None
    billing_statement_id: str | None
    payment_source_id: str | None
    status: Literal[tuple(Payment.Status.values)]
    amount: int = Field(description="Minor units.")
    fee: int
    net_amount: int = Field(description="The amount less the fee; a refund does not bring the fee back.")
    amount_refunded: int = Field(description="Refunds that are under way count.")
    amount_refundable: int
    currency: str
    dispute: str | None = Field(description="open, won or lost: of its newest dispute.")
    method_type: str
    method_brand: str
    method_last4: str
    method_bin: str
    method_holder: str
    billing_name: str
    billing_email: str | None
    billing_phone: str | None
    billing_address: BillingAddress | None
    address_check: str
    description: str
    merchant_reference_id: str
    statement_descriptor: str
    custom_fields: dict[str, str]
    metadata: dict[str, str]
    payment_intent_id: str
    gateway: str | None = Field(description="null: recorded here, charged elsewhere.")
    gateway_reference: str
    failure_code: str
    failure_message: str
    user_id: str | None
    authorized_at: str | None
    paid_at: str | None
    created_at: str
    updated_at: str
    checking: bool = Field(False, description="Nobody knows yet whether money moved. Do not charge again.")
    next_action_url: str | None = Field(None, description="Where the customer must confirm the payment at their bank.")
    refunds: list[RefundOut] = []
    disputes: list[DisputeOut] = []
    attempts: list[AttemptOut] = []


class PaymentList(Paged[PaymentOut]):
    pass


class RefundList(Paged[RefundOut]):
    pass


def payment_json(payment, caller):
    """A payment as lists carry it."""
    email, phone, text = shown_to(caller)
    same = (
        "product_type", "status", "amount", "fee", "net_amount", "amount_refunded", "currency", "method_type", "method_brand",
        "method_last4", "method_bin", "method_holder", "billing_name", "address_check", "description", "merchant_reference_id",
        "statement_descriptor", "payment_intent_id", "gateway_reference", "failure_code", "failure_message", "livemode",
    )  # fmt: skip
    return {name: getattr(payment, name) for name in same} | {
        "id": payment.pk,
        "object": "payment",
        "customer_id": payment.customer_id,
        "payment_request_id": payment.request_id,
        "billing_statement_id": payment.statement_id,
        "payment_source_id": payment.source_id,
        "amount_refundable": payment.refundable,
        "dispute": payment.dispute or None,
        "billing_email": email(payment.billing_email) or None,
        "billing_phone": phone(payment.billing_phone) or None,
        "billing_address": frozen_json(payment.billing_address, text),
        "custom_fields": _pairs(payment.custom_fields, text),
        "metadata": _pairs(payment.metadata, text),
        "gateway": payment.gateway or None,
        "user_id": user_id(payment),
        **{name: timestamp(getattr(payment, name)) for name in ("authorized_at", "paid_at", "created_at", "updated_at")},
    }


def refund_json(refund, caller):
    """A refund as lists carry it."""
    *_, text = shown_to(caller)
    same = (
        "livemode", "payment_id", "customer_id", "status", "amount", "currency", "reason", "merchant_reference_id",
        "destination", "gateway_reference", "failure_code", "failure_message",
    )  # fmt: skip
    return {name: getattr(refund, name) for name in same} | {
        "id": refund.pk,
        "object": "refund",
        "remarks": text(refund.remarks),
        "gateway": refund.gateway or None,
        "metadata": _pairs(refund.metadata, text),
        "user_id": user_id(refund),
        **{name: timestamp(getattr(refund, name)) for name in ("succeeded_at", "created_at", "updated_at")},
    }


def attempt_json(attempt):
    """An attempt without what was sent, and without where a payer goes on."""
    same = ("id", "kind", "state", "amount", "currency", "tries", "error")
    times = {name: timestamp(getattr(attempt, name)) for name in ("created_at", "settled_at")}
    return {name: getattr(attempt, name) for name in same} | times


def dispute_json(dispute):
    same = ("id", "amount", "currency", "reason", "status")
    times = {name: timestamp(getattr(dispute, name)) for name in ("opened_at", "closed_at")}
    return {name: getattr(dispute, name) for name in same} | times


def user_id(record):
    """Who of the staff made a record, as 24 hex digits (R-3); None for a key that is nobody's, and for payers."""
    return bare(record.created_by_id) if record.created_by_id else None


def _pairs(pairs, text):
    return {key: text(str(value)) for key, value in pairs.items()}


def frozen_json(frozen, text):
    """The payer's address as it was then; None for none. Streets are hidden as on the page."""
    if not frozen:
        return None
    return {part: str(frozen.get(part) or "") if part in _OPEN else text(frozen.get(part) or "") for part in _PARTS}


_PARTS = tuple(BillingAddress.model_fields)
