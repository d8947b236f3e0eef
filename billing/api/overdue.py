"""A customer's overdue invoices: what was given up on and is still owed, and its sum by currency. Shapes are spec 4.6."""

import hashlib
from typing import Annotated, Literal

from django.db.models import Sum
from ninja import Query as Parameters
from ninja import Schema
from pydantic import ConfigDict, Field

from billing.api.customers import CUSTOMERS, CustomerOut, expand
from billing.api.examples import CUSTOMER
from billing.gateways import about, gateways_for
from billing.models import BillingStatement
from customers.api.finding import find_customer
from dashboard.api.door import Resource, allowed_to, reads
from dashboard.api.fields import timestamp
from dashboard.money import CURRENCIES, exponent, symbol

router = Resource(tags=["Customers"])
MOST = 1_000  # invoices told one by one; the sums are of all
COLUMNS = (
    "pk", "subscription_id", "status", "amount_remaining", "currency", "number", "total", "credit_applied", "amount_paid",
    "due_at", "customer_id",
)  # fmt: skip


def currency_id(code):
    """How this interface names a currency: "curr_" and 24 hex digits that are the same everywhere."""
    return f"curr_{hashlib.sha256(f'counterfoil.currency:{code}'.encode()).hexdigest()[:24]}"


USD = currency_id("USD")
EXAMPLE = {
    "customer": CUSTOMER,
    "invoices": [
        {
            "id": "bstm_65f0c1d2a7b34e5f60718293",
            "object": "invoice",
            "status": "uncollectible",
            "amount_remaining": "2500",
            "currency_id": USD,
            "number": "K7MXQ2PD-0001",
            "amount_due": "2500",
            "amount_paid": "0",
            "due_date": "2026-10-01T15:59:59.000Z",
            "customer_id": CUSTOMER["id"],
        }
    ],
    "summary": {
        USD: {
            "amount": "2500",
            "currency": {"id": USD, "code": "USD", "symbol": "$", "decimal": 2, "name": "US Dollar"},
            "method": {"id": about("sandbox").id, "name": "Sandbox", "type": "sandbox", "livemode": False},
        }
    },
}


# --- what is answered --------------------------------------------------------------------------------------
class OverdueInvoice(Schema):
    """Amounts are minor units, as text. `object` tells a subscription's invoice from a billing statement."""

    id: str
    object: Literal["invoice", "billing_statement"]
    status: Literal[tuple(BillingStatement.Status.values)]
    amount_remaining: str
    currency_id: str
    number: str
    amount_due: str
    amount_paid: str
    due_date: str | None
    customer_id: str


class CurrencyPart(Schema):
    id: str
    code: str
    symbol: str
    decimal: int
    name: str


class GatewayPart(Schema):
    """The gateway that would collect it."""

    id: str
    name: str
    type: str
    livemode: bool


class OwedPart(Schema):
    amount: str
    currency: CurrencyPart
    method: GatewayPart | None


class OverdueOut(Schema):
    """A customer, their overdue invoices, and what they owe by currency."""

    model_config = ConfigDict(json_schema_extra={"example": EXAMPLE})

    customer: CustomerOut
    invoices: list[OverdueInvoice]
    summary: dict[str, OwedPart]


class OverdueQuery(Schema):
    include: str = Field("", description="`past_due` adds what is open and past due.")


# --- the operation -----------------------------------------------------------------------------------------
def retrieve_overdue(request, customer_id: str, query: Annotated[OverdueQuery, Parameters()]):
    """The customer's uncollectible invoices and billing statements, the oldest due first, and their sums by currency."""
    customer = find_customer(request, customer_id, CUSTOMERS)
    bills = overdue_bills(customer, past_due="past_due" in query.include.split(","))
    return {
        "customer": expand([customer], request.auth)[0],
        "invoices": [_invoice_json(bill) for bill in bills.order_by("due_at", "pk").only(*COLUMNS)[:MOST]],
        "summary": {currency_id(code): _sum_json(code, minor, request.livemode) for code, minor in _sums(bills)},
    }


for _path, _name in (("overdue/invoices", "overdue_invoices"), ("overdue-invoices", "overdue_invoices_alias")):
    router.get(
        f"/customers/{{customer_id}}/{_path}",
        response=reads(OverdueOut),
        summary="Retrieve overdue invoices",
        operation_id=f"retrieve_{_name}",
    )(allowed_to("billing.view_statement")(retrieve_overdue))


def overdue_bills(customer, *, past_due=False):
    """What a customer still owes and was given up on; with past_due also what is open and past due (C7)."""
    bills = BillingStatement.objects.filter(customer=customer, livemode=customer.livemode, amount_remaining__gt=0)
    return bills.past_due() if past_due else bills.uncollectible()


def _sums(bills):
    """(currency, minor units) of all that is owed, by currency code."""
    return bills.order_by("currency").values_list("currency").annotate(minor=Sum("amount_remaining"))


def _invoice_json(bill):
    return {
        "id": bill.pk,
        "object": "invoice" if bill.is_invoice else "billing_statement",
        "status": bill.status,
        "amount_remaining": str(bill.amount_remaining),
        "currency_id": currency_id(bill.currency),
        "number": bill.number,
        "amount_due": str(bill.total - bill.credit_applied),
        "amount_paid": str(bill.amount_paid),
        "due_date": timestamp(bill.due_at),
        "customer_id": bill.customer_id,
    }


def _sum_json(code, minor, livemode):
    gateways = gateways_for(livemode, code)
    return {
        "amount": str(minor),
        "currency": {
            "id": currency_id(code),
            "code": code,
            "symbol": symbol(code),
            "decimal": exponent(code),
            "name": CURRENCIES.get(code, code),
        },
        "method": _gateway_json(gateways[0].slug, livemode) if gateways else None,
    }


def _gateway_json(slug, livemode):
    gateway = about(slug)
    return {"id": gateway.id, "name": gateway.name, "type": gateway.type, "livemode": livemode}
