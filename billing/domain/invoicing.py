"""The invoices of subscriptions: each period's exactly once, whatever crashes, however late, however many ticks at once.

A period is taken by compare and set on the subscription's counter, in the transaction that writes its invoice: both
happen or neither. What refuses an invoice is noted on the subscription and tried again. Charges are made outside any
transaction; one try has one key, so that no crash and no second tick charges it twice.
"""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from billing.domain import charges, checkouts, payables, sending, statements, subscriptions
from billing.models import BillingStatement, LineItem, Payment, Subscription
from dashboard import events, states
from dashboard.states import DomainError
from dashboard.templatetags.ui import day_text

MOST_AT_ONCE = 24  # missed periods issued in one run for one subscription; the next run goes on
Status, Billing, Invoice = Subscription.Status, Subscription.Billing, BillingStatement
FAILED = (Payment.Status.FAILED, Payment.Status.CANCELED, Payment.Status.EXPIRED)
log = logging.getLogger(__name__)


# --- issuing ---------------------------------------------------------------------------------------------
def bill_due(now=None):
    """Issue the invoice of every period that has begun. Returns how many. Safe to run at any time, by several at once.

    One subscription's trouble is not the others': an unexpected error rises after all have had their turn.
    """
    now = now or timezone.now()
    due = Subscription.objects.billing().filter(next_invoice_on__lte=timezone.localdate(now))
    return sum(_each(due.order_by("next_invoice_on", "pk"), lambda pk: bill_subscription(pk, now=now)))


def _each(rows, work):
    """work(pk) of each row; gives their results. The first unexpected error is raised at the end, all are logged."""
    results, broken = [], None
    for pk in list(rows.values_list("pk", flat=True)):
        try:
            results.append(work(pk))
        except (OperationalError, InterfaceError):  # no database: nothing else can be done either
            raise
        except Exception as error:  # not the others' trouble: logged, and it rises when all had their turn
            log.exception("%s could not be worked on.", pk)
            broken = broken or error
    if broken:
        raise broken
    return results


def bill_subscription(pk, *, now=None):
    """Issue a subscription's invoices up to now, the oldest first. Returns how many; a refusal becomes its problem."""
    now = now or timezone.now()
    try:
        for issued in range(MOST_AT_ONCE):
            if not _bill_period(pk, now):
                return issued
    except DomainError as error:
        _note_problem(pk, str(error))
        return issued
    return MOST_AT_ONCE


@transaction.atomic
def _bill_period(pk, now):
    """Issue the next invoice of a subscription, or end or pause it. Gives the invoice, or None when nothing is due."""
    subscription = _due(pk, now)
    if not subscription:
        return None
    if subscription.cancel_at_period_end:
        subscriptions.end_now(subscription, by=None, why="Its period ended.")
        return None
    if subscription.customer.archived:
        why = f"{subscription.customer} is archived."
        states.move(subscription, Status.PAUSED, by=None, why=why, paused_at=now, updated_at=now)
        return None
    first, after = subscriptions.period_days(subscription, subscription.next_period)
    return _issue(subscription, first, after, now) if _take(subscription, first, after) else None


def _due(pk, now):
    """The subscription, its row locked, when a period of it is to be billed now; else None."""
    found = subscriptions.lock(Subscription(pk=pk))
    begun = found.next_invoice_on and found.next_invoice_on <= timezone.localdate(now)
    return found if begun and found.status in Subscription.BILLING else None


def _take(subscription, first, after):
    """Take a period: False when another tick took it. Compare and set, because on SQLite no row is ever locked."""
    number, status = subscription.next_period, subscription.status
    return Subscription.objects.filter(pk=subscription.pk, next_period=number, status=status).update(
        next_period=number + 1,
        next_invoice_on=after,
        current_period_start=first,
        current_period_end=after,
        problem="",
        updated_at=timezone.now(),
    )


def _issue(subscription, first, after, now):
    """Write, finalise and, where invoices are sent, mail the invoice of a period that was taken in this transaction."""
    invoice = statements.finalize_statement(_write(subscription, first, after, now), by=None)
    told = {"amount": invoice.total, "currency": invoice.currency}
    events.record("subscription.invoiced", subscription, by=None, invoice=invoice.pk, number=invoice.number, **told)
    if subscription.billing == Billing.INVOICE:
        sending.send_statement(invoice, by=None, form_key=f"invoice:{invoice.pk}")
    elif invoice.status == Invoice.Status.OPEN:
        Invoice.objects.filter(pk=invoice.pk).update(next_charge_at=now)
    return invoice


def _write(subscription, first, after, now):
    """The invoice as a draft, with its one line and the coupon's discount."""
    customer = subscription.customer
    text = f"{subscription.name}, {days_text(first, after)}"
    invoice = Invoice(
        livemode=subscription.livemode,
        customer=customer,
        subscription=subscription,
        period_start=first,
        period_end=after,
        billing=subscription.billing,
        billing_reason="subscription_cycle" if subscription.next_period else "subscription_create",
        description=text[:500],
        currency=subscription.currency,
        coupon=subscription.coupon if subscriptions.discount_on(subscription, first) else None,
        due_at=statements.end_of_day(_due_on(subscription, now)),
        metadata=subscription.metadata,
        bill_to_name=customer.name,
        bill_to_email=customer.email,
        created_at=now,
    )
    items = statements.make_lines(invoice, [(text[:500], subscription.quantity, subscription.amount)])
    statements.set_amounts(invoice, items).seal().derive(items).save(force_insert=True)
    LineItem.objects.bulk_create(items)
    told = {"total": invoice.total, "currency": invoice.currency, "subscription": subscription.pk}
    events.record("billing_statement.created", invoice, by=None, **told)
    return invoice


def days_text(first, after):
    """A period in words: "1 Nov to 30 Nov 2026", "15 Dec 2026 to 14 Jan 2027", or its one day."""
    last = after - timedelta(days=1)
    if first == last:
        return day_text(first)
    begins = day_text(first).removesuffix(f" {last.year}")
    return f"{begins} to {day_text(last)}"


def _due_on(subscription, now):
    """An invoice that is charged is due on the day it is issued; one that is sent, some days later."""
    days = subscription.days_until_due if subscription.billing == Billing.INVOICE else 0
    return timezone.localdate(now) + timedelta(days=days)


@transaction.atomic
def _note_problem(pk, why):
    """Keep why an invoice was refused, with an event when it is news; the next tick tries again."""
    if Subscription.objects.filter(pk=pk).exclude(problem=why[:500]).update(problem=why[:500], updated_at=timezone.now()):
        events.record("subscription.problem", Subscription.objects.get(pk=pk), by=None, why=why)


# --- charging --------------------------------------------------------------------------------------------
def charge_due(now=None):
    """Charge every invoice whose time has come, and let subscriptions be active again whose invoices are paid.

    Returns how many charges were tried. Calls gateways: not to be called inside a transaction. A payment under way is
    left alone until it is settled. Safe to run by several at once.
    """
    now = now or timezone.now()
    due = Invoice.objects.filter(next_charge_at__lte=now, status=Invoice.Status.OPEN)
    tried = sum(_each(due.order_by("next_charge_at", "pk"), lambda pk: _charge(pk, now)))
    restore_paid(now)
    return tried


def _charge(pk, now):
    """Charge one invoice, or find out how its last charge ended. Gives whether a charge was tried."""
    invoice = Invoice.objects.select_related("customer", "subscription__method").get(pk=pk)
    if invoice.status != Invoice.Status.OPEN or not invoice.next_charge_at or invoice.next_charge_at > now:
        return False
    payment, known = Payment.objects.filter(form_key=charge_key(invoice)).first(), True
    if not payment:
        if _busy(invoice):
            return False
        payment, known = _try_charge(invoice, now), False
    if payment:
        _apply(invoice, payment, now)
    return not known


def charge_key(invoice):
    """The key of an invoice's next automatic charge: one for each try, so that no try is made twice."""
    return f"{invoice.pk}.{invoice.charges_failed}"


def _busy(invoice):
    """Whether a payment of it is under way, by the payer or by us."""
    try:
        payables.refuse_if_paying(invoice)
    except DomainError:
        return True
    return False


def _try_charge(invoice, now):
    """The payment of a new charge; None when none could be made: that is a failed try, unless someone is paying it."""
    try:
        return _send_charge(invoice, charge_key(invoice), by=None)
    except DomainError as error:
        current = Invoice.objects.get(pk=invoice.pk)
        if current.status == Invoice.Status.OPEN and not _busy(current):
            _count_failure(invoice, str(error), now)
        return None


def _send_charge(invoice, key, *, by):
    money = invoice.amount_remaining_money
    return charges.charge(
        invoice.customer,
        amount=money.minor,
        currency=money.currency,
        method=invoice.subscription.method,
        statement=invoice,
        description=invoice.description,
        by=by,
        form_key=key,
    )


def _apply(invoice, payment, now):
    if payment.status in FAILED:
        _count_failure(invoice, payment.failure_message or "The charge did not go through.", now, payment=payment.pk)
    elif payment.status == Payment.Status.PAID:
        Invoice.objects.filter(pk=invoice.pk, charges_failed=invoice.charges_failed).update(next_charge_at=None)


@transaction.atomic
def _count_failure(invoice, why, now, **told):
    """Count a failed try once and plan the next; after the last one give the invoice up and its subscription is past due."""
    pauses, tries = settings.SUBSCRIPTION_RETRY_DAYS, invoice.charges_failed + 1
    current, last = payables.lock(invoice.pk), tries > len(pauses)
    if last and _busy(current):
        return
    next_at = None if last else now + timedelta(days=pauses[tries - 1])
    rows = Invoice.objects.filter(pk=invoice.pk, status=Invoice.Status.OPEN, charges_failed=invoice.charges_failed)
    if not rows.update(charges_failed=tries, next_charge_at=next_at, updated_at=now):
        return
    events.record("billing_statement.charge_failed", current, by=None, why=why, tries=tries, **told)
    if last:
        _give_up(current, why, now)


def _give_up(invoice, why, now):
    states.move(invoice, Invoice.Status.UNCOLLECTIBLE, by=None, why=why, marked_uncollectible_at=now, updated_at=now)
    subscription = subscriptions.lock(invoice.subscription)
    if subscription.status == Status.ACTIVE:
        states.move(subscription, Status.PAST_DUE, by=None, why=f"{invoice} could not be collected.", updated_at=now)


def restore_paid(now=None):
    """Make past due subscriptions active again of which no invoice is owed past due any more, however it was settled."""
    owed = Invoice.objects.past_due(now).filter(subscription=OuterRef("pk"))
    for subscription in Subscription.objects.filter(~Exists(owed), status=Status.PAST_DUE):
        try:
            states.move(subscription, Status.ACTIVE, by=None, why="Its invoices are settled.", updated_at=timezone.now())
        except DomainError:  # someone else was faster
            continue


def pay_invoice(invoice, *, by, form_key):
    """Charge what remains of an invoice at once, whatever was planned. Returns the payment, whatever became of it.

    One form_key makes one charge. The planned tries stay as they are. Not to be called inside a transaction. Raises
    DomainError when nothing is owed, a payment is under way, or there is nothing to charge.
    """
    if made := Payment.objects.filter(form_key=form_key, statement=invoice).first():
        return made
    if not invoice.is_invoice:
        raise DomainError("This is no invoice of a subscription. Nothing was charged.")
    payables.refuse_unpayable(invoice)
    checkouts.close_checkout(invoice)
    payment = _send_charge(invoice, form_key, by=by)
    restore_paid()
    return payment
