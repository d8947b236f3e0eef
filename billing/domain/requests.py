"""What may be done to payment requests."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from billing.domain import checkouts, coupons, payables
from billing.domain.once import made_before, make_once
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
_SAME_FORM = (
    "customer_id", "subtotal", "currency", "country", "method_types", "description", "merchant_reference_id", "coupon_id"
)  # fmt: skip
TOO_LONG = "A link works for at least 1 minute and at most 30 days. Choose another expiry."


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
    coupon=None,
    by_staff=False,
    metadata=None,
    form_key="",
):
    """Ask a customer for `amount` minor units, less what a coupon takes off. The same form_key gives the same request.

    The coupon's use is taken now: a link keeps the price it was sent with. `by_staff`: staff fill in the page themselves.
    Raises DomainError when the customer is archived, no gateway takes it, the time is out of bounds, or the coupon is
    not valid or leaves nothing to pay.
    """
    off = coupons.discount_of(coupon, amount, currency) if coupon else 0
    request = PaymentRequest(
        livemode=customer.livemode,
        customer=customer,
        amount=amount - off,
        discount_amount=off,
        coupon=coupon,
        currency=currency,
        country=country,
        method_types=list(method_types),
        description=description,
        merchant_reference_id=merchant_reference_id,
        save_card=save_card,
        by_staff=by_staff,
        authorize_only=authorize_only,
        metadata=metadata or {},
        customer_name=customer.name,
        customer_email=customer.email,
        form_key=form_key,
        expires_at=expires_at or timezone.now() + USUAL,
        created_by=by,
    )
    return make_once(request, lambda: _save(request, by), same=_SAME_FORM)


def _refuse_shape(request):
    _refuse_expiry(request.expires_at)
    types = request.method_types
    if not types or set(types) - set(method_types_for(request.livemode, request.currency)):
        raise DomainError(f"No gateway takes these payment methods in {request.currency}. Choose another method or currency.")
    able = gateways_for(request.livemode, request.currency)[0].capabilities
    if request.authorize_only and not able.capture:
        raise DomainError("This gateway cannot authorise first and capture later. Take the payment in one step.")
    if request.save_card and not able.save_card:
        raise DomainError("This gateway saves no cards. Create the request without saving the card.")
    _refuse_amount(request)


def _refuse_expiry(moment):
    """DomainError for a time that is not 1 minute to 30 days from now."""
    if not SOONEST - SLACK <= moment - timezone.now() <= LATEST:
        raise DomainError(TOO_LONG)


def _refuse_amount(request):
    smallest, largest = limits(request.livemode, request.currency)
    if not smallest.minor <= request.subtotal <= largest.minor:
        raise DomainError(f"Enter an amount from {smallest} to {largest}.")
    if request.amount < smallest.minor:
        left = "nothing to pay" if request.amount <= 0 else f"{request.amount_money} to pay"
        raise DomainError(
            f"{request.coupon} takes {request.discount_money} off, which leaves {left}. "
            f"The smallest payment is {smallest}. Ask for more, or leave the coupon out."
        )


def limits(livemode, currency):
    """The smallest and largest Money the gateways of a mode take in a currency. DomainError when none takes it."""
    found = [g.capabilities.limits[currency] for g in gateways_for(livemode, currency)]
    if not found:
        raise DomainError(f"No gateway takes {currency} in this mode.")
    return Money(min(low for low, _ in found), currency), Money(max(high for _, high in found), currency)


@transaction.atomic
def _save(request, by):
    """The customer is locked, so that nobody archives it between the look and the write, and one form comes after the other."""
    refuse_archived(Customer.objects.select_for_update(no_key=True).get(pk=request.customer_id))
    if found := made_before(request, same=_SAME_FORM):
        return found
    _refuse_coupon(request)
    _refuse_shape(request)
    request.seal().derive().save(force_insert=True)
    _redeem(request, by)
    events.record("payment_request.created", request, by=by, amount=request.amount, currency=request.currency)
    return request


def _refuse_coupon(request):
    about = {"customer": request.customer, "currency": request.currency, "subtotal": request.subtotal}
    if request.coupon and (why := coupons.why_not_valid(request.coupon, **about)):
        raise DomainError(why)


def _redeem(request, by):
    """Take one of the coupon's uses for a request, in the caller's transaction. DomainError when none is left."""
    if request.coupon:
        about = {"customer": request.customer, "currency": request.currency, "subtotal": request.subtotal}
        coupons.redeem(request.coupon, on=request, by=by, **about)


def _release(request, by):
    """Give a coupon's use back, in the caller's transaction."""
    if request.coupon_id:
        coupons.release(request, by=by)


# --- more time -------------------------------------------------------------------------------------------
def extend_request(request, *, expires_at, by):
    """Let an open or expired request be paid until `expires_at`, at most 30 days from now. Returns it, open.

    The gateway's page is closed first: it ends at the old time, and the payer's link opens a new one. A coupon given back
    at expiry is taken again. Raises DomainError when the request is over for good, a payment is under way or was just
    made, the time is out of bounds or no later than the old one, or the coupon cannot be used again.
    """
    _refuse_extension(request, expires_at)
    checkouts.close_checkout(request)
    with transaction.atomic():
        current = payables.lock(request.pk)
        refuse_archived(Customer.objects.select_for_update(no_key=True).get(pk=current.customer_id))
        _refuse_extension(current, expires_at)
        payables.refuse_if_paying(current)
        return _extend(current, expires_at, by)


def _refuse_extension(request, expires_at):
    if request.status not in (PaymentRequest.Status.OPEN, PaymentRequest.Status.EXPIRED):
        raise DomainError(f"This request is {request.get_status_display().lower()} already. Create a new one instead.")
    _refuse_expiry(expires_at)
    if expires_at <= request.expires_at:
        raise DomainError("The link works until then already. Choose a later time.")


def _extend(request, expires_at, by):
    """The write, with the request locked."""
    was, now = request.expires_at, timezone.now()
    if request.status == PaymentRequest.Status.EXPIRED:
        _redeem(request, by)
        states.move(request, PaymentRequest.Status.OPEN, by=by, expires_at=expires_at, updated_at=now)
    elif not PaymentRequest.objects.filter(pk=request.pk, status=request.status).update(expires_at=expires_at, updated_at=now):
        raise DomainError("Someone else changed this just now. Reload and try again.")
    request.expires_at = expires_at
    events.record("payment_request.extended", request, by=by, was=was.isoformat(), until=expires_at.isoformat())
    return request


# --- the end ---------------------------------------------------------------------------------------------
def cancel_payment_request(request, *, by, why=""):
    """End a request for good: its gateway page is closed first, so that nobody pays on it meanwhile.

    Its coupon's use is given back. Raises DomainError when it is over already, or a payment is under way or was just made.
    """
    if request.status != PaymentRequest.Status.OPEN:
        raise DomainError(f"This request is {request.get_status_display().lower()} already.")
    checkouts.close_checkout(request)
    with transaction.atomic():
        current = payables.lock(request.pk)
        payables.refuse_if_paying(current)
        done = states.move(current, PaymentRequest.Status.CANCELED, by=by, why=why, canceled_at=timezone.now())
        _release(done, by)
        return done


def expire_payment_requests(now=None):
    """Mark requests whose time is over and on which no payment is under way. Returns how many."""
    marked = 0
    for pk in list(PaymentRequest.objects.lapsed(now).order_by("id").values_list("pk", flat=True)):
        marked += _expire(pk, now or timezone.now())
    return marked


@transaction.atomic
def _expire(pk, now):
    """Look again with the request locked: it may have been paid, canceled or given more time. Its coupon's use goes back."""
    current = payables.lock(pk)
    lapsed = current.status == PaymentRequest.Status.OPEN and current.expires_at <= now
    if not lapsed or Attempt.objects.open().for_target(current, Attempt.Kind.CHECKOUT).exists():
        return 0
    states.move(current, PaymentRequest.Status.EXPIRED, by=None)
    _release(current, None)
    return 1
