"""The invoices of subscriptions: each bills one period. All else that may be done to one is a billing statement's."""

from typing import Annotated, Literal
from uuid import uuid4

from ninja import Query as Parameters
from pydantic import ConfigDict

from billing.api.bill_bodies import ReasonBody, WhyBody
from billing.api.bills import BILLS, LINE_OUT, ROWS, STATEMENT, BillOut, BillQuery, bill_json, find_bill, page_of, whole
from billing.api.payment_answers import PAYMENT, PaymentOut, payment_json
from billing.domain import invoicing, statements
from billing.filters import InvoiceFilter
from billing.models import Subscription
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.fields import Id, Text, optional
from dashboard.api.lists import Paged

router = Resource(tags=["Invoices"])
PATH = "/invoices/{invoice_id}"
BEANS = {"description": "Beans, monthly, 1 Dec to 31 Dec 2026", "quantity": 1, "unit_price": 2900, "amount": 2900}
INVOICE = STATEMENT | {
    "object": "invoice",
    "number": "K7MXQ2PD-0002",
    **dict.fromkeys(("subtotal", "total", "amount_remaining"), 2900),
    "discount_amount": 0,
    "coupon": None,
    "description": BEANS["description"],
    "merchant_reference_id": "",
    "line_items": [LINE_OUT | BEANS],
    "subscription_id": "sub_65f0c1d2a7b34e5f60718293",
    "period_start": "2026-12-01",
    "period_end": "2027-01-01",
    "billing": "pay_automatically",
    "billing_reason": "subscription_cycle",
    "charges_failed": 0,
    "next_charge_at": "2026-12-01T09:30:00.000Z",
}
PAID = INVOICE | {
    "status": "paid",
    "amount_paid": 2900,
    "amount_remaining": 0,
    "paid_at": "2026-12-01T10:00:00.000Z",
    "next_charge_at": None,
    "payment": PAYMENT | {"product_type": "subscription_invoice", "amount": 2900},
}


class InvoiceOut(BillOut):
    """The invoice of one period of a subscription. Amounts are minor units; `period_end` is the day after its last."""

    model_config = ConfigDict(json_schema_extra={"example": INVOICE})

    subscription_id: str
    period_start: str
    period_end: str
    billing: str
    billing_reason: str
    charges_failed: int
    next_charge_at: str | None


class InvoiceList(Paged[InvoiceOut]):
    pass


class PaidOut(InvoiceOut):
    """An invoice, and the payment that was tried just now."""

    model_config = ConfigDict(json_schema_extra={"example": PAID})

    payment: PaymentOut


class InvoiceQuery(BillQuery):
    subscription: optional(Id("sub"), description="A subscription's ID.")
    billing: optional(Literal[tuple(Subscription.Billing.values)])
    period_from: optional(Text(10), description="Period begins on this day or later: 2026-11-22.")
    period_to: optional(Text(10), description="Period begins on this day or before: 2026-11-22.")


@router.get("/invoices", response=reads(InvoiceList), summary="List invoices")
@allowed_to("billing.view_subscription")
def list_invoices(request, query: Annotated[InvoiceQuery, Parameters()]):
    """Of subscriptions; the newest first, unless `sort` says otherwise."""
    return page_of(request, query, InvoiceFilter, ROWS.invoices())


@router.get(PATH, response=reads(InvoiceOut), summary="Retrieve an invoice")
@allowed_to("billing.view_subscription")
def retrieve_invoice(request, invoice_id: str):
    """By ID, with its line."""
    return bill_json(_find(request, invoice_id), request.auth)


@router.post(f"{PATH}/pay", response=writes(PaidOut), summary="Pay an invoice now")
@allowed_to("billing.change_subscription")
def pay_invoice(request, invoice_id: str):
    """Charges the subscription's payment source what remains, whatever is planned. A decline is no error: look at
    `payment`. The same Idempotency-Key charges once."""
    invoice, key = _find(request, invoice_id), idempotency.form_key(request) or uuid4().hex
    payment = invoicing.pay_invoice(invoice, by=request.auth.by, form_key=key)
    return whole(request, invoice) | {"payment": payment_json(payment, request.auth)}


@router.post(f"{PATH}/void", response=writes(InvoiceOut), summary="Void an invoice")
@allowed_to("billing.change_statement")
def void_invoice(request, invoice_id: str, body: ReasonBody):
    """Ends an unpaid invoice for good. Its subscription goes on."""
    return whole(request, statements.void_statement(_find(request, invoice_id), reason=body.reason, by=request.auth.by))


@router.post(f"{PATH}/mark_uncollectible", response=writes(InvoiceOut), summary="Mark an invoice uncollectible")
@allowed_to("billing.change_statement")
def mark_uncollectible(request, invoice_id: str, body: WhyBody | None = None):
    """Gives up on an open invoice. Its link still takes payment, should the customer pay after all."""
    why = body.why if body else ""
    return whole(request, statements.mark_uncollectible(_find(request, invoice_id), by=request.auth.by, why=why))


def _find(request, invoice_id):
    return find_bill(request, invoice_id, BILLS.invoices().select_related("subscription__method"), "invoice")
