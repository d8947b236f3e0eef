"""What may be done to billing statements."""

from datetime import datetime, time, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from billing.domain import checkouts, coupons, credit, payables
from billing.domain.once import make_once
from billing.domain.payments import frozen_address
from billing.domain.requests import limits
from billing.gateways import gateways_for
from billing.models import BillingStatement, Coupon, LineItem
from customers.domain import Stale, refuse_archived, refuse_erased, take_email
from customers.models import Customer
from dashboard import events, states
from dashboard.models import Event
from dashboard.money import LARGEST, Money
from dashboard.states import DomainError

Status = BillingStatement.Status
USUAL_DAYS = 14  # from today to the due date, when nobody says otherwise
MOST_LINES, LARGEST_QUANTITY = 200, 1_000_000
EDITABLE = ("currency", "due_at", "description", "merchant_reference_id", "statement_descriptor", "metadata", "coupon")
_SAME_FORM = ("customer_id", "total", *EDITABLE)
_AMOUNTS = ("subtotal", "discount_amount", "total", "amount_remaining")


def end_of_day(day):
    """The last second of a day where the dashboard is: a statement due that day is on time until then."""
    return datetime.combine(day, time(23, 59, 59), settings.ZONE)


def usual_due_date():
    return timezone.localdate() + timedelta(days=USUAL_DAYS)


# --- drafts ----------------------------------------------------------------------------------------------
def create_statement(customer, *, lines, currency, by, email="", form_key="", created_at=None, **fields):
    """A draft for a customer. lines: (description, quantity, unit price in minor units), in their order.

    `fields` are EDITABLE ones. `email`, when given, becomes the customer's (R-13). The same form_key gives the
    same statement, however often it comes. created_at is for records of the past; without it, now. A coupon's discount
    is reckoned now, and its use taken when the statement is finalised.
    Raises DomainError for an archived customer, a coupon that is not valid, or when a line or the total is out of bounds.
    """
    statement = BillingStatement(
        livemode=customer.livemode,
        customer=customer,
        created_by=by,
        form_key=form_key,
        created_at=created_at or timezone.now(),
        **_editable({"currency": currency, **fields}),
    )
    items = make_lines(statement, lines)
    set_amounts(statement, items)
    return make_once(
        statement,
        lambda: _save_new(statement, items, email, by),
        same=_SAME_FORM,
        alike=lambda found: _told(found.lines.all()) == _told(items),
    )


def _editable(fields):
    if unknown := set(fields) - set(EDITABLE):
        raise TypeError(f"A statement's {', '.join(sorted(unknown))} cannot be set.")
    return fields | {"metadata": fields.get("metadata") or {}}


@transaction.atomic
def _save_new(statement, items, email, by):
    """The customer is locked, so that nobody archives it between the look and the write."""
    refuse_archived(Customer.objects.select_for_update(no_key=True).get(pk=statement.customer_id))
    _refuse_coupon(statement)
    customer = take_email(statement.customer, email=email or statement.customer.email, at=statement.created_at, by=by)
    statement.customer, statement.bill_to_name, statement.bill_to_email = customer, customer.name, customer.email
    statement.seal().derive(items).save(force_insert=True)
    LineItem.objects.bulk_create(items)
    events.record("billing_statement.created", statement, by=by, total=statement.total, currency=statement.currency)
    return statement


def _refuse_coupon(statement, subtotal=None):
    """Raise DomainError, saying why, for a coupon that cannot be used on a statement now. An invoice's is its subscription's."""
    if statement.coupon and not statement.subscription_id:
        about = {"customer": statement.customer, "currency": statement.currency, "subtotal": subtotal}
        coupons.refuse_invalid(statement.coupon, **about)


def make_lines(statement, lines):
    """Unsaved line items of a statement, checked. A line that has a fourth part keeps or gets that as its ID."""
    items = [
        LineItem(
            statement=statement,
            position=n,
            description=text,
            quantity=quantity,
            unit_price=price,
            amount=quantity * price,
            **({"id": pk[0]} if pk else {}),
        )
        for n, (text, quantity, price, *pk) in enumerate(lines, start=1)
    ]
    if len(items) > MOST_LINES:
        raise DomainError(f"A statement has at most {MOST_LINES} lines. Put the rest on another one.")
    for item in items:
        if not item.description or not 1 <= item.quantity <= LARGEST_QUANTITY or item.unit_price < 0:
            raise DomainError("Each line needs a description, a quantity from 1 to 1,000,000 and a price of 0 or more.")
    return items


def _told(items):
    """Line items as an event keeps them, and as two sets of them are compared."""
    return [[item.description, item.quantity, item.unit_price] for item in items]


def set_amounts(statement, items, *, paid=0):
    """Set a statement's amounts from its lines and its coupon (P1, P2). Raises DomainError above the largest amount."""
    statement.subtotal = sum(item.amount for item in items)
    if statement.subtotal > LARGEST:
        raise DomainError(f"A statement can be at most {Money(LARGEST, statement.currency)}.")
    off = coupons.discount_of(statement.coupon, statement.subtotal, statement.currency) if statement.coupon else 0
    statement.discount_amount, statement.total = off, statement.subtotal - off
    statement.amount_paid = paid
    statement.amount_remaining = statement.total - statement.credit_applied - paid
    return statement


def _lock(statement):
    """The statement as it is now, its row locked. Raises DomainError when it is gone: only drafts ever go."""
    current = payables.lock(statement.pk)
    if not current:
        raise DomainError("This draft was deleted a moment ago. Nothing of yours is saved.")
    return current


def _lock_draft(statement, version):
    """The same, for a draft at the version its form was opened at (None: whichever). Raises Stale otherwise."""
    current = _lock(statement)
    if current.status != Status.DRAFT:
        raise DomainError(_how_finalised(current))
    if version is not None and current.version != version:
        raise Stale(current)
    return current


def _how_finalised(statement):
    """Who made a draft into what it is, and when."""
    event = Event.objects.filter(object_id=statement.pk, type__in=["billing_statement.open", "billing_statement.paid"])
    first = event.select_related("by").order_by("pk").first()
    who = f"{first.who} finalised it on {timezone.localtime(first.created_at):%-d %b %Y at %H:%M}" if first else "It is finalised"
    return f"{statement} is {statement.get_status_display().lower()} already. {who}. Nothing was changed just now."


@transaction.atomic
def update_draft(statement, *, version, by, lines, email="", **fields):
    """Set a draft's lines and some of its EDITABLE fields. A save that changes nothing writes nothing.

    Raises Stale when the stored version is not `version`: nothing is overwritten unseen.
    """
    current = _lock_draft(statement, version)
    was, off, fields = list(current.lines.all()), current.discount_amount, _editable(fields)
    items, changes = make_lines(current, lines), _changes(current, fields)
    if _told(was) != _told(items):
        changes["lines"] = [_told(was), _told(items)]
    if email and email != current.customer.email:
        take_email(current.customer, email=email, at=timezone.now(), by=by)
    for name, value in fields.items():
        setattr(current, name, value)
    _refuse_coupon(current)
    if set_amounts(current, items).discount_amount != off:
        changes["discount_amount"] = [off, current.discount_amount]
    return _save_draft(current, items, version, by, changes) if changes else current


def _changes(statement, fields):
    """{field: [old, new]} as JSON holds them."""
    found = events.changed(statement, fields)
    told = {"due_at": lambda at: at and at.isoformat(), "coupon": lambda coupon: coupon and coupon.code}
    return found | {n: [tell(v) for v in found[n]] for n, tell in told.items() if n in found}


def _save_draft(current, items, version, by, changes):
    if "lines" in changes:
        current.lines.all().delete()
        LineItem.objects.bulk_create(items)
    _save_version(current.derive(items), version, [*EDITABLE, *_AMOUNTS, "search"])
    events.record("billing_statement.updated", current, by=by, changes=changes)
    return current


def _save_version(current, version, names):
    """Compare and set: on SQLite nothing else stops two writers between read and write."""
    current.version, current.updated_at = version + 1, timezone.now()
    rows = BillingStatement.objects.filter(pk=current.pk, version=version, status=current.status)
    if not rows.update(**{n: getattr(current, n) for n in [*names, "version", "updated_at"]}):
        raise Stale(BillingStatement.objects.get(pk=current.pk))


@transaction.atomic
def update_metadata(statement, *, metadata, version, by):
    """Set a statement's metadata, whatever its status: nothing a customer sees. Raises Stale as update_draft does."""
    current = _lock(statement)
    if current.version != version:
        raise Stale(current)
    changes = events.changed(current, {"metadata": metadata})
    if changes:
        refuse_erased(current.customer)
        current.metadata = metadata
        _save_version(current.derive(current.lines.all()), version, ["metadata", "search"])
        events.record("billing_statement.updated", current, by=by, changes=changes)
    return current


@transaction.atomic
def delete_draft(statement, *, by):
    """Delete a draft and its lines; the events about it stay. Raises DomainError when it is finalised."""
    current = _lock_draft(statement, None)
    told = {"lines": _told(current.lines.all()), "total": current.total, "currency": current.currency}
    events.record("billing_statement.deleted", current, by=by, description=current.description, **told)
    BillingStatement.objects.filter(pk=current.pk, status=Status.DRAFT).delete()


@transaction.atomic
def duplicate_statement(statement, *, by, form_key=""):
    """A new draft with the same lines, due in the usual time: of any statement, and of a voided one to correct it.

    It keeps the coupon only if that can still be used.
    """
    if statement.is_invoice:
        raise DomainError("An invoice belongs to one period of its subscription and is not duplicated. Make a billing statement.")
    copied = {n: getattr(statement, n) for n in ("merchant_reference_id", "statement_descriptor", "metadata")}
    copied["description"] = "" if statement.description == default_description(statement.number) else statement.description
    copied["coupon"] = statement.coupon if statement.coupon_id and not why_no_coupon(statement) else None
    lines, due_at = [tuple(line) for line in _told(statement.lines.all())], end_of_day(usual_due_date())
    about = {"lines": lines, "currency": statement.currency, "due_at": due_at, "form_key": form_key}
    made = create_statement(statement.customer, by=by, **about, **copied)
    if not Event.objects.filter(object_id=statement.pk, type="billing_statement.duplicated", data__copy=made.pk).exists():
        events.record("billing_statement.duplicated", statement, by=by, copy=made.pk)
        events.record("billing_statement.copied_from", made, by=by, original=statement.pk)
    return made


def why_no_coupon(statement):
    """Why a new bill like this one could not have its coupon, in a sentence; "" when it could."""
    about = {"customer": statement.customer, "currency": statement.currency, "subtotal": statement.subtotal}
    return coupons.why_not_valid(Coupon.objects.select_related("customer").get(pk=statement.coupon_id), **about)


def default_description(number):
    return f"Payment for Billing Statement {number}"


# --- finalising ------------------------------------------------------------------------------------------
@transaction.atomic
def finalize_statement(statement, *, by, version=None, apply_credit=False, at=None):
    """Give a draft its number and freeze whom it is billed to. With nothing left to pay, it is paid at once.

    apply_credit takes what is there of the customer's credit. `at` is for records of the past; without it, now.
    Its coupon is used now. Raises DomainError when something is missing, the due date has passed, the coupon cannot be
    used any more, no gateway takes what remains, or someone else finalised it first; Stale when it was edited since
    `version`.
    """
    current = _lock_draft(statement, version)
    customer = Customer.objects.select_for_update(no_key=True).get(pk=current.customer_id)
    lines = list(current.lines.all())
    refuse_unfinished(current, customer, lines, at=at)
    if current.coupon:
        _redeem(current, by)
    current = _number(current, customer, lines, by=by, at=at or timezone.now())
    if apply_credit and current.status == Status.OPEN:
        current = credit.apply_credit(current, by=by)
    if not at:
        refuse_uncollectable(current)
    return current


def _redeem(statement, by):
    """Use the statement's coupon; an invoice goes on using what its subscription took."""
    about = {"customer": statement.customer, "subtotal": statement.subtotal, "currency": statement.currency}
    coupons.redeem(statement.coupon, on=statement, by=by, counts=not statement.subscription_id, **about)


def _number(statement, customer, lines, *, by, at):
    """Take a number, freeze, and move on: to open, or to paid when nothing is to be paid."""
    number = take_number(customer)
    frozen = bill_to(customer) | {"number": number, "merchant_name": settings.MERCHANT_NAME}
    frozen["description"] = statement.description or default_description(number)
    for name, value in frozen.items():
        setattr(statement, name, value)
    statement.derive(lines)
    frozen |= {"search": statement.search, "sort_name": statement.sort_name, "finalized_at": at, "updated_at": at}
    if statement.amount_remaining:
        return _move(statement, Status.OPEN, by=by, **frozen)
    return _move(statement, Status.PAID, by=by, paid_at=at, **frozen)


def _move(statement, to, **fields):
    try:
        with transaction.atomic():
            return states.move(statement, to, **fields)
    except IntegrityError:
        raise DomainError(
            f"The number {fields['number']} is taken by another customer's statement. Change this customer's statement prefix."
        ) from None


def refuse_unfinished(statement, customer, lines, *, at=None):
    """Raise DomainError, saying what is missing, for a draft that cannot be finalised yet."""
    refuse_archived(customer)
    if not lines:
        raise DomainError("Add at least one line before you finalise the statement.")
    if not statement.due_at:
        raise DomainError("Set a due date before you finalise the statement.")
    if not at and statement.due_at < timezone.now():
        raise DomainError("The due date has passed. Set a later one before you finalise the statement.")
    if not customer.email:
        raise DomainError(f"{customer} has no e-mail. Add one before you finalise the statement.")
    _refuse_coupon(statement, statement.subtotal)


def refuse_uncollectable(statement):
    """Raise DomainError when something remains that no gateway takes: below its smallest or above its largest amount.

    Without any gateway in this mode and currency there is no limit: payments are then recorded by hand.
    """
    if not statement.amount_remaining or not gateways_for(statement.livemode, statement.currency):
        return
    smallest, largest = limits(statement.livemode, statement.currency)
    if not smallest.minor <= statement.amount_remaining <= largest.minor:
        remaining = statement.amount_remaining_money
        raise DomainError(f"{remaining} would remain to be paid, and payments can be from {smallest} to {largest}.")


def next_number(customer):
    """The number the customer's next statement gets."""
    return f"{customer.billing_statement_prefix}-{customer.next_billing_statement_sequence_number:04d}"


def take_number(customer):
    """The customer's next statement number, gapless: the counter moves in the transaction that uses the number.

    The customer row must be locked. Compare and set besides: of two takers one fails, and none gets a used number.
    """
    number, n = next_number(customer), customer.next_billing_statement_sequence_number
    counter = Customer.objects.filter(pk=customer.pk, next_billing_statement_sequence_number=n)
    if not counter.update(next_billing_statement_sequence_number=F("next_billing_statement_sequence_number") + 1):
        raise DomainError("Another statement of this customer was finalised just now. Try again.")
    customer.next_billing_statement_sequence_number = n + 1
    return number


def bill_to(customer):
    """What a statement prints of its customer, as columns: a copy that later edits do not touch."""
    return {
        "bill_to_name": customer.name,
        "bill_to_email": customer.email,
        "bill_to_phone": customer.phone,
        "bill_to_tax_id": customer.tax_id,
        "bill_to_address": frozen_address(customer),
    }


# --- afterwards ------------------------------------------------------------------------------------------
def void_statement(statement, *, reason, by):
    """End an unpaid statement for good: its gateway page closes first; its credit and its coupon's use are given back.

    What was paid on it already stays paid. Raises DomainError when it is not owed, or a payment is under way.
    """
    if not reason:
        raise DomainError("Say why the statement is voided: the reason stands in its history.")
    _close(statement, "voided")
    with transaction.atomic():
        current = _lock(statement)
        payables.refuse_if_paying(current)
        credit.release_credit(current, by=by)
        coupons.release(current, by=by)
        now = timezone.now()
        return states.move(current, Status.VOID, by=by, why=reason, voided_at=now, updated_at=now)


def mark_uncollectible(statement, *, by, why=""):
    """Give up on an open statement. Its link still takes payment, should the customer pay after all."""
    _close(statement, "marked uncollectible")
    with transaction.atomic():
        current = _lock(statement)
        payables.refuse_if_paying(current)
        now = timezone.now()
        return states.move(current, Status.UNCOLLECTIBLE, by=by, why=why, marked_uncollectible_at=now, updated_at=now)


def _close(statement, done):
    """Close the gateway's page of a statement that is owed; DomainError for any other. Never inside a transaction."""
    if statement.status not in BillingStatement.OWED:
        raise DomainError(f"{statement} is {statement.get_status_display().lower()} and cannot be {done}.")
    checkouts.close_checkout(statement)


@transaction.atomic
def fulfil_statement(statement, *, by, fulfilled=True):
    """Mark what a statement bills as delivered, or take the mark off. Twice is once."""
    current = _lock(statement)
    if current.status in (Status.DRAFT, Status.VOID):
        raise DomainError(f"{current} is {current.get_status_display().lower()}, so there is nothing to fulfil.")
    if bool(current.fulfilled_at) == fulfilled:
        return current
    current.fulfilled_at, current.fulfilled_by = (timezone.now(), by) if fulfilled else (None, None)
    rows = BillingStatement.objects.filter(pk=current.pk, fulfilled_at__isnull=fulfilled)
    if rows.update(fulfilled_at=current.fulfilled_at, fulfilled_by=current.fulfilled_by, updated_at=timezone.now()):
        events.record("billing_statement.fulfilled" if fulfilled else "billing_statement.unfulfilled", current, by=by)
    return current
