"""Refunds: money that goes back from a payment, in part or whole."""

from typing import Annotated

from ninja import Query as Parameters
from ninja import Status
from pydantic import ConfigDict, Field

from billing.api.payment_answers import RefundList, RefundOut, attempt_json, refund_json
from billing.api.payments import DAY, MAJOR, find_payment
from billing.api.sorting import sort_of, sorts_of
from billing.domain import refunds
from billing.filters import RefundFilter
from billing.models import Attempt, Refund
from billing.tables import RefundTable
from customers.api.bodies import one_of
from customers.api.finding import find_one
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.fields import Amount, Body, Currency, Id, Metadata, Text, optional
from dashboard.api.lists import Paging, filtered_list

router = Resource(tags=["Refunds"])
REFUNDS = Refund.objects.defer("search")
SORTS = sorts_of(RefundTable)


class NewRefund(Body):
    """What goes back. What decides about the money is never disregarded: a malformed part of it is an error."""

    read_only = ("id", "livemode", "status", "currency", "created_at", "updated_at", "user_id")

    payment_id: Id("pay")
    amount: Amount = Field(description="Minor units of the payment's currency.")
    reason: one_of(Refund.Reason)
    destination: one_of(Refund.Destination) | None = Field(None, description="method unless told: the way it was paid.")
    remarks: optional(Text(500), clears="", description="For your team. The payer never sees it.")
    merchant_reference_id: optional(Text(255), clears="")
    metadata: optional(Metadata, clears={})

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "example": {
                "payment_id": "pay_65f0c1d2a7b34e5f60718300",
                "amount": 1850,
                "reason": "product_was_damaged",
                "remarks": "Two bags burst.",
            }
        },
    )


class RefundQuery(Paging):
    """Filters of the list, as the page has them; a malformed one is disregarded."""

    q: optional(Text(200), description="Words of the payer, payment, reference or remarks.")
    status: optional(one_of(Refund.Status))
    reason: optional(one_of(Refund.Reason))
    destination: optional(one_of(Refund.Destination))
    payment: optional(Text(40), description="The ID of a payment.")
    customer: optional(Text(40), description="The ID of a customer.")
    currency: optional(Currency)
    amount_from: optional(Text(15), description=MAJOR)
    amount_to: optional(Text(15), description=MAJOR)
    created: optional(Text(20), description="today, 7d, this_month and so on.")
    created_from: optional(Text(10), description=DAY)
    created_to: optional(Text(10), description=DAY)
    succeeded: optional(Text(20), description="As created.")
    sort: sort_of(RefundTable)


@router.get("/refunds", response=reads(RefundList), summary="List refunds")
@allowed_to("billing.view_refund")
def list_refunds(request, query: Annotated[RefundQuery, Parameters()]):
    """The newest first, failed ones too, unless filters or `sort` say otherwise."""
    return filtered_list(request, query, RefundFilter, REFUNDS, refund_json, SORTS)


@router.get("/refunds/{refund_id}", response=reads(RefundOut), summary="Retrieve a refund")
@allowed_to("billing.view_refund")
def retrieve_refund(request, refund_id: str):
    """With what was tried at the gateway, newest first."""
    return whole(find_refund(request, refund_id), request.auth)


def find_refund(request, refund_id):
    """The refund of an ID in the caller's mode. Raises ApiError 404."""
    return find_one(request, REFUNDS.filter(livemode=request.livemode), "refund", refund_id, pk=refund_id)


def whole(refund, caller):
    """The JSON of one refund, as its page shows it."""
    attempts = Attempt.objects.for_target(refund, Attempt.Kind.REFUND).order_by("-pk")
    return refund_json(refund, caller) | {"attempts": [attempt_json(attempt) for attempt in attempts]}


@router.post("/refunds", response=writes(RefundOut, 201), summary="Refund a payment")
@allowed_to("billing.refund_payment")
def create_refund(request, body: NewRefund):
    """Gives back all or a part of a payment, never more than is left. `status` is `pending` while the bank works or it is
    not known how it ended, and `failed` with its reason when it was refused: then the amount can be refunded again. Send
    an `Idempotency-Key`: with it, the same request never refunds twice."""
    payment = find_payment(request, body.payment_id)
    names = ("remarks", "merchant_reference_id", "metadata")
    kept = {name: value for name, value in body.given().items() if name in names}
    made = refunds.create_refund(
        payment,
        amount=body.amount,
        reason=body.reason,
        destination=body.destination or Refund.Destination.METHOD,
        by=request.auth.by,
        form_key=idempotency.form_key(request),
        **kept,
    )
    return Status(201, whole(made, request.auth))
