"""The lines of billing statements, one by one. They change as long as their statement is a draft."""

from typing import Annotated

from django.db import transaction
from ninja import Query as Parameters
from ninja import Status

from billing.api.bill_bodies import LineFields, NewLine
from billing.api.bills import LineOut, line_json, lock_bill
from billing.api.statements import kept_lines
from billing.domain import statements as domain
from billing.models import LineItem
from customers.api.finding import find_one
from dashboard.api import idempotency
from dashboard.api.door import Resource, allowed_to, reads, writes
from dashboard.api.fields import Id, optional
from dashboard.api.lists import Paged, Paging, listing
from dashboard.ids import new_hex
from dashboard.paging import Order

router = Resource(tags=["Billing statements"])
PATH = "/billing_statement_line_items/{line_item_id}"
LINES = LineItem.objects.select_related("statement").defer("statement__search", "statement__metadata")


class LineList(Paged[LineOut]):
    pass


class LineQuery(Paging):
    billing_statement_id: optional(Id("bstm"), description="The lines of this statement alone, in their order.")


@router.get("/billing_statement_line_items", response=reads(LineList), summary="List line items")
@allowed_to("billing.view_statement")
def list_line_items(request, query: Annotated[LineQuery, Parameters()]):
    """Of one statement in the order they are printed; of all, the newest first."""
    rows, statement_id = LINES.filter(statement__livemode=request.livemode), query.given().get("billing_statement_id")
    rows = rows.filter(statement=statement_id) if statement_id else rows
    order = Order("position") if statement_id else Order("pk", descending=True)
    return listing(
        rows, query, lambda found: [line_json(x, x.statement) for x in found], order=order, narrowed=bool(statement_id)
    )


@router.post("/billing_statement_line_items", response=writes(LineOut, 201), summary="Add a line item")
@allowed_to("billing.change_statement")
def add_line_item(request, body: NewLine):
    """Adds a line below those a draft has, and reckons its amounts anew."""
    pk = _new_id(request)
    with transaction.atomic():
        draft = lock_bill(request, body.billing_statement_id)
        lines = kept_lines(draft)
        if pk not in [line[-1] for line in lines]:
            _save(request, draft, [*lines, (*body.line, pk)])
    return Status(201, _shown(request, pk))


def _new_id(request):
    """The ID of a line to add: the same for the same Idempotency-Key, so that it is never added twice."""
    return f"bstm_li_{idempotency.form_key(request)[:24] or new_hex()}"


@router.get(PATH, response=reads(LineOut), summary="Retrieve a line item")
@allowed_to("billing.view_statement")
def retrieve_line_item(request, line_item_id: str):
    """By ID. It stays the same until somebody changes the lines of the draft as a whole."""
    return _shown(request, line_item_id)


@router.patch(PATH, response=writes(LineOut), summary="Change a line item")
@allowed_to("billing.change_statement")
def change_line_item(request, line_item_id: str, body: LineFields):
    """Sets what comes of a draft's line, and reckons the statement's amounts anew."""
    given = {name: value for name, value in body.given().items() if value is not None}
    with transaction.atomic():
        draft, pk = _lock_draft_of(request, line_item_id)
        _save(request, draft, [_changed(line, given) if line[-1] == pk else line for line in kept_lines(draft)])
    return _shown(request, line_item_id)


def _changed(line, given):
    return (
        *[given.get(name, value) for name, value in zip(("description", "quantity", "unit_price"), line[:3], strict=True)],
        line[3],
    )


@router.delete(PATH, response=writes(LineOut), summary="Remove a line item")
@allowed_to("billing.change_statement")
def remove_line_item(request, line_item_id: str):
    """Takes a line off a draft, and answers with it as it was."""
    with transaction.atomic():
        draft, pk = _lock_draft_of(request, line_item_id)
        shown = _shown(request, pk)
        _save(request, draft, [line for line in kept_lines(draft) if line[-1] != pk])
    return shown


def _find(request, pk):
    return find_one(request, LINES.filter(statement__livemode=request.livemode), "line item", pk, pk=pk)


def _lock_draft_of(request, line_item_id):
    """(the statement of a line, locked; the line's ID). Raises ApiError 404."""
    draft = lock_bill(request, _find(request, line_item_id).statement_id)
    return draft, _find(request, line_item_id).pk


def _save(request, draft, lines):
    domain.update_draft(draft, version=draft.version, by=request.auth.by, lines=lines, metadata=draft.metadata)


def _shown(request, pk):
    line = _find(request, pk)
    return line_json(line, line.statement)
