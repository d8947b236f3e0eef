"""How the API shows bills: billing statements and the invoices of subscriptions are one kind of record."""

from typing import Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from billing.ages import CHOICES
from billing.api.bill_bodies import LINE
from billing.api.payment_answers import BillingAddress, frozen_json, user_id
from billing.api.sorting import sort_of, sorts_of
from billing.domain import payables
from billing.domain.statements import bill_to
from billing.models import BillingStatement
from billing.tables import StatementTable
from billing.views.records import SHARES
from customers.api.answers import shown_to
from customers.api.finding import find_one
from dashboard.api.errors import unknown
from dashboard.api.fields import Currency, Id, Text, optional, timestamp
from dashboard.api.lists import Paged, Paging, filtered_list

BILLS = BillingStatement.objects.select_related("customer", "coupon").prefetch_related("lines", "customer__addresses")
ROWS = BILLS.defer("search", "customer__search", "customer__metadata", "customer__description")  # no list shows them
DAY, PERIOD = "A day, in the dashboard's time zone: 2026-11-22.", "today, 7d, this_month and so on."
MAJOR = "In the row's own units, whatever its currency: 48.50."
SORTS = sorts_of(StatementTable)

LINE_OUT = {
    "id": "bstm_li_65f0c1d2a7b34e5f607182b1",
    "object": "billing_statement_line_item",
    "livemode": False,
    "billing_statement_id": "bstm_65f0c1d2a7b34e5f60718293",
    "position": 1,
    **LINE,
    "amount": 4360,
    "currency": "USD",
}
STATEMENT = {
    "id": "bstm_65f0c1d2a7b34e5f60718293",
    "object": "billing_statement",
    "livemode": False,
    "number": "K7MXQ2PD-0001",
    "status": "open",
    "overdue": False,
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "currency": "USD",
    "subtotal": 4360,
    "discount_amount": 436,
    "total": 3924,
    "credit_applied": 0,
    "amount_paid": 0,
    "amount_remaining": 3924,
    "coupon": "AUTUMN10",
    "due_at": "2026-12-15T15:59:59.000Z",
    "description": "Thank you for your order.",
    "merchant_reference_id": "2026-0815",
    "statement_descriptor": "",
    "line_items": [LINE_OUT],
    "merchant_name": "Harbor Coffee",
    "bill_to_name": "John Doe",
    "bill_to_email": "john.doe@example.com",
    "bill_to_phone": "+15551234567",
    "bill_to_tax_id": "",
    "bill_to_address": {
        "country": "US",
        "state": "CA",
        "city": "San Francisco",
        "line1": "123 Main Street",
        "line2": "Apt 4B",
        "postal_code": "94105",
        "line3": "",
    },
    "billing_details_collection": "always",
    "allowed_methods": [],
    "setup_future_usage": None,
    "metadata": {"order": "2026-0815"},
    "url": "https://pay.example.com/pay/s/3q2-7w/",
    "sent_at": None,
    "sent_count": 0,
    "reminders_paused": False,
    "promised_on": None,
    "promise_note": "",
    "fulfilled_at": None,
    "finalized_at": "2026-12-01T09:30:00.000Z",
    "paid_at": None,
    "voided_at": None,
    "marked_uncollectible_at": None,
    "user_id": None,
    "created_at": "2026-12-01T09:00:00.000Z",
    "updated_at": "2026-12-01T09:30:00.000Z",
}


# --- what is answered --------------------------------------------------------------------------------------
class LineOut(Schema):
    """A line of a billing statement. Amounts are minor units of the statement's currency."""

    model_config = ConfigDict(json_schema_extra={"example": LINE_OUT})

    id: str
    object: Literal["billing_statement_line_item"]
    livemode: bool
    billing_statement_id: str
    position: int = Field(description="Counts from 1.")
    description: str
    quantity: int
    unit_price: int
    amount: int
    currency: str


class BillOut(Schema):
    """A bill. Amounts are minor units. Of a draft, `bill_to_…` is the customer as it is now; later it stands for ever."""

    id: str
    object: Literal["billing_statement", "invoice"]
    livemode: bool
    number: str | None = Field(description="null for a draft.")
    status: Literal[tuple(BillingStatement.Status.values)]
    overdue: bool = Field(description="Open and past due.")
    customer_id: str
    currency: str
    subtotal: int
    discount_amount: int
    total: int
    credit_applied: int
    amount_paid: int
    amount_remaining: int
    coupon: str | None
    due_at: str | None
    description: str
    merchant_reference_id: str
    statement_descriptor: str
    line_items: list[LineOut]
    merchant_name: str
    bill_to_name: str
    bill_to_email: str | None
    bill_to_phone: str | None
    bill_to_tax_id: str
    bill_to_address: BillingAddress | None
    billing_details_collection: str
    allowed_methods: list[str] = Field(description="Empty: whatever the gateways take.")
    setup_future_usage: str | None
    metadata: dict[str, str]
    url: str | None = Field(description="The payer's link; null for a draft, and for whoever may not see it.")
    sent_at: str | None
    sent_count: int
    reminders_paused: bool
    promised_on: str | None
    promise_note: str
    fulfilled_at: str | None
    finalized_at: str | None
    paid_at: str | None
    voided_at: str | None
    marked_uncollectible_at: str | None
    user_id: str | None = Field(description="Who made it; null when a key or the dashboard itself did.")
    created_at: str
    updated_at: str


class StatementOut(BillOut):
    """A billing statement. The keys from `subscription_id` on are there where it is a subscription's invoice."""

    model_config = ConfigDict(json_schema_extra={"example": STATEMENT})

    subscription_id: str = ""
    period_start: str = ""
    period_end: str = ""
    billing: str = ""
    billing_reason: str = ""
    charges_failed: int = 0
    next_charge_at: str | None = None


class StatementList(Paged[StatementOut]):
    pass


def line_json(line, bill):
    return {
        "id": line.pk,
        "object": "billing_statement_line_item",
        "livemode": bill.livemode,
        "billing_statement_id": bill.pk,
        "position": line.position,
        "description": line.description,
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "amount": line.amount,
        "currency": bill.currency,
    }


def bill_json(bill, caller):
    """A bill of BILLS, whole; contact data masked for whoever may not see it."""
    *_, text = shown_to(caller)
    return {
        "id": bill.pk,
        "object": "invoice" if bill.is_invoice else "billing_statement",
        "livemode": bill.livemode,
        "number": bill.number or None,
        "status": bill.status,
        "overdue": bill.overdue,
        "customer_id": bill.customer_id,
        "currency": bill.currency,
        "subtotal": bill.subtotal,
        "discount_amount": bill.discount_amount,
        "total": bill.total,
        "credit_applied": bill.credit_applied,
        "amount_paid": bill.amount_paid,
        "amount_remaining": bill.amount_remaining,
        "coupon": bill.coupon.code if bill.coupon_id else None,
        "due_at": timestamp(bill.due_at),
        "description": bill.description,
        "merchant_reference_id": bill.merchant_reference_id,
        "statement_descriptor": bill.statement_descriptor,
        "line_items": [line_json(line, bill) for line in bill.lines.all()],
        "merchant_name": bill.merchant_name,
        **_billed_to(bill, caller),
        "billing_details_collection": bill.billing_details_collection,
        "allowed_methods": bill.allowed_methods,
        "setup_future_usage": bill.setup_future_usage or None,
        "metadata": {key: text(value) for key, value in bill.metadata.items()},
        "url": (bill.url or None) if caller.has_perm(SHARES) else None,
        "sent_count": bill.sent_count,
        "reminders_paused": bill.reminders_paused,
        "promised_on": bill.promised_on and bill.promised_on.isoformat(),
        "promise_note": text(bill.promise_note),
        "user_id": user_id(bill),
        **{name: timestamp(getattr(bill, name)) for name in TIMES},
        **(_of_invoice(bill) if bill.is_invoice else {}),
    }


BILL_TO = ("bill_to_name", "bill_to_email", "bill_to_phone", "bill_to_tax_id", "bill_to_address")
TIMES = (
    "sent_at", "fulfilled_at", "finalized_at", "paid_at", "voided_at", "marked_uncollectible_at", "created_at", "updated_at",
)  # fmt: skip


def _billed_to(bill, caller):
    """Whom it is billed to: what was frozen when it was finalised; for a draft, the customer as it is now."""
    email, phone, text = shown_to(caller)
    told = bill_to(bill.customer) if not bill.finalized_at else {name: getattr(bill, name) for name in BILL_TO}
    return told | {
        "bill_to_email": email(told["bill_to_email"]) or None,
        "bill_to_phone": phone(told["bill_to_phone"]) or None,
        "bill_to_address": frozen_json(told["bill_to_address"], text),
    }


def _of_invoice(bill):
    return {
        "subscription_id": bill.subscription_id,
        "period_start": bill.period_start.isoformat(),
        "period_end": bill.period_end.isoformat(),
        "billing": bill.billing,
        "billing_reason": bill.billing_reason,
        "charges_failed": bill.charges_failed,
        "next_charge_at": timestamp(bill.next_charge_at),
    }


# --- finding ------------------------------------------------------------------------------------------------
def find_bill(request, pk, bills=BILLS, noun="billing statement"):
    """The bill of an ID in the caller's mode. Raises ApiError 404."""
    return find_one(request, bills.filter(livemode=request.livemode), noun, pk, pk=pk)


def whole(request, bill):
    """The JSON of a bill, read anew."""
    return bill_json(BILLS.get(pk=bill.pk), request.auth)


def lock_bill(request, pk):
    """The bill as it is now, its row locked. Raises ApiError 404. For a transaction."""
    current = payables.lock(find_bill(request, pk).pk)
    if not current:
        raise unknown("billing statement")
    return current


class BillQuery(Paging):
    """Filters of lists of bills, as their pages have them; a malformed one is disregarded."""

    q: optional(Text(200), description="Part of a number, customer, line or reference; or an ID.")
    status: optional(Literal[(*BillingStatement.Status.values, "overdue")])
    customer: optional(Id("cus"), description="A customer's ID.")
    currency: optional(Currency)
    age: optional(Literal[tuple(key for key, _ in CHOICES)], description="How late what is still to pay is.")
    total_from: optional(Text(15), description=MAJOR)
    total_to: optional(Text(15), description=MAJOR)
    created: optional(Text(20), description=PERIOD)
    created_from: optional(Text(10), description=DAY)
    created_to: optional(Text(10), description=DAY)
    due: optional(Text(20), description=PERIOD)
    due_from: optional(Text(10), description=DAY)
    due_to: optional(Text(10), description=DAY)
    sort: sort_of(StatementTable)


def page_of(request, query, filterset, rows=ROWS):
    """The page of bills a query asks for."""
    return filtered_list(request, query, filterset, rows, bill_json, SORTS)
