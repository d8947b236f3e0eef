"""What may be done to payment requests."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from billing.domain import checkouts, payables
from billing.domain.once import make_once
from billing.gateways import gateways_for, method_types_for
from billing.models import Attempt, PaymentRequest
from customers.domain import refuse_archived
from customers.models import Customer
from dashboard import events, states
from dashboard.money import Money
from dashboard.states import DomainError

SOONEST, LATEST = timedelta(minutes=1), timedelta(days=30)
USUAL = timedelta(days=14)
SLACK = timedelta(seconds=5)  # what passes between filling in "1 minute" and asking here
_SAME_FORM = ("customer_id", "amount", "currency", "country", "method_types", "description", "merchant_reference_id")


def create_payment_request(
    customer,
    *,
    amount,
    currency,
    country,
    method_types,
    by,
    description="",
    merchant_reference_id="",
    expires_at=None,
    save_card=False,
    authorize_only=False,
    metadata=None,
    form_key="",
):
    """Ask a customer for `amount` minor units. The same form_key gives the same request, however often it comes.

    Raises DomainError when the customer is archived, no gateway takes it, or the time is out of bounds.
    """
    request = PaymentRequest(
        livemode=customer.livemode,
        customer=customer,
        amount=amount,
        currency=currency,
        country=country,
        method_types=list(method_types),
        description=description,
        merchant_reference_id=merchant_reference_id,
        save_card=save_card,
        authorize_only=authorize_only,
        metadata=metadata or {},
        customer_name=customer.name,
        customer_email=customer.email,
        form_key=form_key,
        expires_at=expires_at or timezone.now() + USUAL,
        created_by=by,
    )
    _refuse_shape(request)
    return make_once(request, lambda: _save(request.seal().derive(), by), same=_SAME_FORM)


def _refuse_shape(request):
    left = request.expires_at - timezone.now()
    if not SOONEST - SLACK <= left <= LATEST:
        raise DomainError("A link works for at least 1 minute and at most 30 days. Choose another expiry.")
    types = request.method_types
    if not types or set(types) - set(method_types_for(request.livemode, request.currency)):
        raise DomainError(f"No gateway takes these payment methods in {request.currency}. Choose another method or currency.")
    if request.authorize_only and not gateways_for(request.livemode, request.currency)[0].capabilities.capture:
        raise DomainError("This gateway cannot authorise first and capture later. Take the payment in one step.")
    smallest, largest = limits(request.livemode, request.currency)
    if not smallest.minor <= request.amount <= largest.minor:
        raise DomainError(f"Enter an amount from {smallest} to {largest}.")


def limits(livemode, currency):
    """The smallest and largest Money the gateways of a mode take in a currency. DomainError when none takes it."""
    found = [g.capabilities.limits[currency] for g in gateways_for(livemode, currency)]
    if not found:
        raise DomainError(f"No gateway takes {currency} in this mode.")
    return Money(min(low for low, _ in found), currency), Money(max(high for _, high in found), currency)


@transaction.atomic
def _save(request, by):
    """The customer is locked, so that nobody archives it between the look and the write."""
    refuse_archived(Customer.objects.select_for_update(no_key=True).get(pk=request.customer_id))
    request.save(force_insert=True)
    events.record("payment_request.created", request, by=by, amount=request.amount, currency=request.currency)
    return request


def cancel_payment_request(request, *, by, why=""):
    """End a request for good: its gateway page is closed first, so that nobody pays on it meanwhile.

    Raises DomainError when it is over already, or a payment is under way or was just made.
    """
    if request.status != PaymentRequest.Status.OPEN:
        raise DomainError(f"This request is {request.get_status_display().lower()} already.")
    checkouts.close_checkout(request)
    with transaction.atomic():
        current = payables.lock(request.pk)
        payables.refuse_if_paying(current)
        return states.move(current, PaymentRequest.Status.CANCELED, by=by, why=why, canceled_at=timezone.now())


def expire_payment_requests(now=None):
    """Mark requests whose time is over and on which no payment is under way. Returns how many."""
    marked = 0
    for request in PaymentRequest.objects.lapsed(now).order_by("id").iterator(chunk_size=200):
        if not Attempt.objects.open().for_target(request, Attempt.Kind.CHECKOUT).exists():
            marked += _expire(request)
    return marked


def _expire(request):
    try:
        states.move(request, PaymentRequest.Status.EXPIRED, by=None)
    except DomainError:  # paid or canceled in between
        return 0
    return 1
