"""What may be done to billing statements."""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from billing.domain.payments import frozen_address
from billing.models import BillingStatement, LineItem
from customers.domain import refuse_archived
from customers.models import Customer
from dashboard import events, states
from dashboard.money import LARGEST, Money
from dashboard.states import DomainError

Status = BillingStatement.Status


@transaction.atomic
def create_statement(
    customer, *, lines, currency, by, due_at=None, description="", metadata=None, merchant_reference_id="", created_at=None
):
    """A draft for a customer. lines: (description, quantity, unit price in minor units), in their order.

    created_at is for records of the past; without it, now.

    Raises DomainError for an archived customer, or when a line or the total is out of bounds.
    """
    refuse_archived(Customer.objects.select_for_update().get(pk=customer.pk))
    statement = BillingStatement(
        livemode=customer.livemode,
        customer=customer,
        currency=currency,
        due_at=due_at,
        description=description,
        metadata=metadata or {},
        merchant_reference_id=merchant_reference_id,
        created_by=by,
        bill_to_name=customer.name,
        bill_to_email=customer.email,
        created_at=created_at or timezone.now(),
    )
    items = make_lines(statement, lines)
    set_amounts(statement, items).seal().derive(items).save(force_insert=True)
    LineItem.objects.bulk_create(items)
    events.record("billing_statement.created", statement, by=by, total=statement.total, currency=statement.currency)
    return statement


def make_lines(statement, lines):
    """Unsaved line items of a statement, checked."""
    items = [
        LineItem(statement=statement, position=n, description=text, quantity=quantity, unit_price=price, amount=quantity * price)
        for n, (text, quantity, price) in enumerate(lines, start=1)
    ]
    for item in items:
        if not item.description or item.quantity < 1 or item.unit_price < 0:
            raise DomainError("Each line needs a description, a quantity of 1 or more and a price of 0 or more.")
    return items


def set_amounts(statement, items, *, paid=0):
    """Set a statement's amounts from its lines (P1, P2). Raises DomainError above the largest amount."""
    statement.subtotal = sum(item.amount for item in items)
    if statement.subtotal > LARGEST:
        raise DomainError(f"A statement can be at most {Money(LARGEST, statement.currency)}.")
    statement.total = statement.subtotal - statement.discount_amount
    statement.amount_paid = paid
    statement.amount_remaining = statement.total - statement.credit_applied - paid
    return statement


@transaction.atomic
def finalize_statement(statement, *, by, at=None):
    """Give a draft its number and freeze whom it is billed to. A statement of nothing is paid at once.

    `at` is for records of the past; without it, now.
    Raises DomainError without due date, lines, name or e-mail, or when someone else finalised it first.
    """
    current = BillingStatement.objects.select_for_update().get(pk=statement.pk)
    customer = Customer.objects.select_for_update().get(pk=current.customer_id)
    lines = list(current.lines.all())
    refuse_unfinished(current, customer, lines)
    now = at or timezone.now()
    to = Status.OPEN if current.amount_remaining else Status.PAID
    frozen = bill_to(customer) | {"number": take_number(customer), "merchant_name": settings.MERCHANT_NAME}
    for name, value in frozen.items():
        setattr(current, name, value)
    current.derive(lines)
    return _move(
        current,
        to,
        by=by,
        finalized_at=now,
        updated_at=now,
        paid_at=None if current.amount_remaining else now,
        search=current.search,
        sort_name=current.sort_name,
        **frozen,
    )


def _move(statement, to, **fields):
    try:
        with transaction.atomic():
            return states.move(statement, to, **fields)
    except IntegrityError:
        raise DomainError(
            f"The number {fields['number']} is taken by another customer's statement. Change this customer's statement prefix."
        ) from None


def refuse_unfinished(statement, customer, lines):
    """Raise DomainError, saying what is missing, for a statement that cannot be finalised yet."""
    if statement.status != Status.DRAFT:
        raise DomainError(f"This statement is {statement.get_status_display().lower()} already.")
    if not lines:
        raise DomainError("Add at least one line before you finalise the statement.")
    if not statement.due_at:
        raise DomainError("Set a due date before you finalise the statement.")
    if not customer.email:
        raise DomainError(f"{customer} has no e-mail. Add one before you finalise the statement.")


def take_number(customer):
    """The customer's next statement number, gapless: the counter moves in the transaction that uses the number.

    The customer row must be locked. Compare and set besides: of two takers one fails, and none gets a used number.
    """
    n = customer.next_billing_statement_sequence_number
    counter = Customer.objects.filter(pk=customer.pk, next_billing_statement_sequence_number=n)
    if not counter.update(next_billing_statement_sequence_number=F("next_billing_statement_sequence_number") + 1):
        raise DomainError("Another statement of this customer was finalised just now. Try again.")
    customer.next_billing_statement_sequence_number = n + 1
    return f"{customer.billing_statement_prefix}-{n:04d}"


def bill_to(customer):
    """What a statement prints of its customer, as columns: a copy that later edits do not touch."""
    return {
        "bill_to_name": customer.name,
        "bill_to_email": customer.email,
        "bill_to_phone": customer.phone,
        "bill_to_tax_id": customer.tax_id,
        "bill_to_address": frozen_address(customer),
    }
