"""Billing statements: made, changed, finalised, sent, ended. What belongs to invoices alone is in billing.api.invoices."""

from typing import Annotated, Literal

from django.db import transaction
from ninja import Query as Parameters
from ninja import Status

from billing.api.bill_bodies import (
    CreditBody,
    FinalizeBody,
    NewStatement,
    PromiseBody,
    ReasonBody,
    SendBody,
    StatementFields,
    WhyBody,
)
from billing.api.bills import BillQuery, StatementList, StatementOut, bill_json, find_bill, lock_bill, page_of, whole
from billing.api.payers import payer_of
from billing.domain import coupons, credit, reminders, sending
from billing.domain import statements as domain
from billing.filters import StatementFilter
from customers.models import Customer
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.errors import ApiError
from dashboard.api.fields import optional

router = Resource(tags=["Billing statements"])
PATH = "/billing_statements/{statement_id}"


class StatementQuery(BillQuery):
    bills: optional(Literal["one_off", "all"], description="`all`: the invoices of subscriptions as well.")
    fulfilled: optional(Literal["yes", "no"])


@router.get("/billing_statements", response=reads(StatementList), summary="List billing statements")
@allowed_to("billing.view_statement")
def list_statements(request, query: Annotated[StatementQuery, Parameters()]):
    """The newest first, unless `sort` says otherwise."""
    return page_of(request, query, StatementFilter)


@router.get(PATH, response=reads(StatementOut), summary="Retrieve a billing statement")
@allowed_to("billing.view_statement")
def retrieve_statement(request, statement_id: str):
    """By ID, with its lines. The ID of a subscription's invoice is good here too, and for every action below."""
    return bill_json(find_bill(request, statement_id), request.auth)


# --- drafts --------------------------------------------------------------------------------------------------
@router.post("/billing_statements", response=writes(StatementOut, 201), summary="Create a billing statement")
@allowed_to("billing.change_statement")
def create_statement(request, body: NewStatement):
    """A draft. The customer is on your list (`customer_id`), or is found by `email` and made with `name` if need be.
    Finalise it to bill it. Send an `Idempotency-Key`: with it, the same request makes one statement."""
    with transaction.atomic():
        customer = payer_of(request, body, Customer.Origin.STATEMENT, body.currency or "")
        statement = domain.create_statement(
            customer,
            lines=body.lines or [],
            by=request.auth.by,
            email=body.email or "",
            form_key=idempotency.form_key(request),
            **{"currency": customer.currency} | _columns(request, body),
        )
    return Status(201, whole(request, statement))


def _columns(request, body):
    """What a body sets of a statement, its coupon found. Raises ApiError 400 for a code there is not."""
    found = body.columns()
    if "coupon" in body.given():
        found["coupon"] = coupon_of(request, body.coupon)
    return found


def coupon_of(request, code):
    """The coupon of a code, whether it can be used or not; None for no code. Raises ApiError 400."""
    found = coupons.find(code, request.livemode) if code else None
    if code and not found:
        raise ApiError("parameter_invalid", f"There is no coupon {code}. Check the spelling, or leave it out.", "coupon")
    return found


@router.patch(PATH, response=writes(StatementOut), summary="Update a billing statement")
@allowed_to("billing.change_statement")
def update_statement(request, statement_id: str, body: StatementFields):
    """Sets what comes of a draft and leaves the rest as it is. Once a statement is finalised, its `metadata` alone may
    change."""
    with transaction.atomic():
        current = lock_bill(request, statement_id)
        given = body.given()
        if given.keys() == {"metadata"}:
            domain.update_metadata(current, metadata=given["metadata"], version=current.version, by=request.auth.by)
        elif given:
            _update_draft(request, current, body)
    return whole(request, current)


def _update_draft(request, current, body):
    """Under lock, so that the version is the one there is. Lines that are not told keep their IDs."""
    domain.update_draft(
        current,
        version=current.version,
        by=request.auth.by,
        lines=kept_lines(current) if body.lines is None else body.lines,
        email=body.email or "",
        **{"metadata": current.metadata} | _columns(request, body),
    )


def kept_lines(statement):
    """The lines of a draft as update_draft takes them, each with its ID."""
    return [(item.description, item.quantity, item.unit_price, item.pk) for item in statement.lines.all()]


@router.delete(PATH, response=writes(StatementOut), summary="Delete a draft")
@allowed_to("billing.change_statement")
def delete_statement(request, statement_id: str):
    """Deletes a draft and its lines, and answers with it as it was. A finalised statement is voided instead."""
    statement = find_bill(request, statement_id)
    shown = bill_json(statement, request.auth)
    domain.delete_draft(statement, by=request.auth.by)
    return shown


@router.post(f"{PATH}/duplicate", response=writes(StatementOut, 201), summary="Duplicate a billing statement")
@allowed_to("billing.change_statement")
def duplicate_statement(request, statement_id: str):
    """A new draft for the same customer with the same lines, due in 14 days. It keeps a coupon that can still be used."""
    statement, key = find_bill(request, statement_id), idempotency.form_key(request)
    return Status(201, whole(request, domain.duplicate_statement(statement, by=request.auth.by, form_key=key)))


# --- bill and send -------------------------------------------------------------------------------------------
@router.post(f"{PATH}/finalize", response=writes(StatementOut), summary="Finalise a billing statement")
@allowed_to("billing.change_statement")
def finalize_statement(request, statement_id: str, body: FinalizeBody | None = None):
    """Gives a draft its number and its payer's link, and freezes it. With nothing left to pay it is paid at once."""
    apply_credit = bool(body and body.apply_credit)
    done = domain.finalize_statement(find_bill(request, statement_id), by=request.auth.by, apply_credit=apply_credit)
    return whole(request, done)


@router.post(f"{PATH}/send", response=writes(StatementOut), summary="Send a billing statement")
@allowed_to("billing.send_statement")
def send_statement(request, statement_id: str, body: SendBody | None = None):
    """Mails a finalised statement with its link and PDF. The same Idempotency-Key sends once."""
    return _mail(request, statement_id, sending.send_statement, body)


@router.post(f"{PATH}/remind", response=writes(StatementOut), summary="Send a reminder")
@allowed_to("billing.send_statement")
def remind_statement(request, statement_id: str, body: SendBody | None = None):
    """Mails a reminder of what is still owed, whatever the automatic ones do."""
    return _mail(request, statement_id, sending.remind_statement, body)


def _mail(request, statement_id, send, body):
    key = idempotency.form_key(request)
    letter = body.letter() if body else {}
    return whole(request, send(find_bill(request, statement_id), by=request.auth.by, form_key=key, **letter))


@router.post(f"{PATH}/pause_reminders", response=writes(StatementOut), summary="Pause reminders")
@allowed_to("billing.send_statement")
def pause_reminders(request, statement_id: str):
    """No automatic reminder of this statement goes out until they are resumed."""
    statement = find_bill(request, statement_id)
    return whole(request, reminders.pause_reminders(statement, paused=True, by=request.auth.by))


@router.post(f"{PATH}/resume_reminders", response=writes(StatementOut), summary="Resume reminders")
@allowed_to("billing.send_statement")
def resume_reminders(request, statement_id: str):
    """Automatic reminders go out again, those that are due now included."""
    statement = find_bill(request, statement_id)
    return whole(request, reminders.pause_reminders(statement, paused=False, by=request.auth.by))


@router.post(f"{PATH}/promise", response=writes(StatementOut), summary="Note a promise to pay")
@allowed_to("billing.send_statement")
def note_promise(request, statement_id: str, body: PromiseBody):
    """No reminder goes out up to the day the customer promised to pay. null takes the promise back."""
    statement, note = find_bill(request, statement_id), body.given().get("note") or ""
    return whole(request, reminders.note_promise(statement, promised_on=body.promised_on, note=note, by=request.auth.by))


# --- pay and end ---------------------------------------------------------------------------------------------
@router.post(f"{PATH}/apply_credit", response=writes(StatementOut), summary="Apply credit")
@allowed_to("billing.apply_credit")
def apply_credit(request, statement_id: str, body: CreditBody | None = None):
    """Pays a statement, or some of it, from its customer's credit. No money moves."""
    statement, amount = find_bill(request, statement_id), body.amount if body else None
    return whole(request, credit.apply_credit(statement, by=request.auth.by, amount=amount))


@router.post(f"{PATH}/void", response=writes(StatementOut), summary="Void a billing statement")
@allowed_to("billing.change_statement")
def void_statement(request, statement_id: str, body: ReasonBody):
    """Ends an unpaid statement for good. Its link stops taking payment; its credit and its coupon's use are given back."""
    return whole(request, domain.void_statement(find_bill(request, statement_id), reason=body.reason, by=request.auth.by))


@router.post(f"{PATH}/mark_uncollectible", response=writes(StatementOut), summary="Mark uncollectible")
@allowed_to("billing.change_statement")
def mark_uncollectible(request, statement_id: str, body: WhyBody | None = None):
    """Gives up on an open statement. Its link still takes payment, should the customer pay after all."""
    why = body.why if body else ""
    return whole(request, domain.mark_uncollectible(find_bill(request, statement_id), by=request.auth.by, why=why))


@router.post(f"{PATH}/mark_fulfilled", response=writes(StatementOut), summary="Mark fulfilled")
@allowed_to("billing.change_statement")
def mark_fulfilled(request, statement_id: str):
    """What the statement bills was delivered. The customer is told nothing, and nothing is charged."""
    return whole(request, domain.fulfil_statement(find_bill(request, statement_id), by=request.auth.by))


@router.post(f"{PATH}/mark_unfulfilled", response=writes(StatementOut), summary="Mark not fulfilled")
@allowed_to("billing.change_statement")
def mark_unfulfilled(request, statement_id: str):
    """Takes the fulfilled mark off. When it was set stays in the timeline."""
    return whole(request, domain.fulfil_statement(find_bill(request, statement_id), by=request.auth.by, fulfilled=False))
