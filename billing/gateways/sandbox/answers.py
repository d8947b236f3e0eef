"""The sandbox's rows as the product is told of them: the values of base.py."""

from django.conf import settings
from django.utils import timezone

from billing.gateways.base import (
    ChargeStatus,
    CheckoutStatus,
    DisputeResult,
    DisputeStatus,
    MethodSummary,
    PaymentResult,
    RefundResult,
    RefundStatus,
    Snapshot,
)
from billing.gateways.sandbox.cards import Trait, failure_of
from billing.gateways.sandbox.models import SandboxCheckout, SandboxDispute

EXPIRES = (12, 2034)  # of every test card but one
OVER = (ChargeStatus.FAILED, ChargeStatus.CANCELED)


def snapshot(checkout):
    """A page with every charge tried on it, oldest first; the check of a card that is only saved is none."""
    charges = list(checkout.charges.select_related("method").order_by("id"))
    return Snapshot(
        checkout.pk,
        _page_status(checkout),
        checkout.reference,
        checkout.amount,
        checkout.currency,
        tuple(payment(charge) for charge in charges if charge.amount),
        next((method(charge, charge.method) for charge in charges if charge.method and charge.status not in OVER), None),
    )


def _page_status(checkout):
    over = checkout.status == SandboxCheckout.Status.OPEN and checkout.expires_at <= timezone.now()
    return CheckoutStatus.EXPIRED if over else CheckoutStatus(checkout.status)


def method(row, saved=None):
    """What may be kept of a method: the columns of a charge or a saved method, and the token if it was saved."""
    month, year = expiry(row)
    token = saved.pk if saved and not saved.detached_at else ""
    return MethodSummary(
        row.type, row.brand, row.last4, row.funding, row.bin, month, year, fingerprint=row.fingerprint, token=token
    )


def expiry(row):
    """Month and year a card expires; zeros for a bank account."""
    if row.type != "card":
        return 0, 0
    if row.trait != Trait.EXPIRES:
        return EXPIRES
    years, month = divmod(row.created_at.month, 12)
    return month + 1, row.created_at.year + years


def payment(charge):
    """A charge with every refund and dispute of it, oldest first."""
    status = ChargeStatus(charge.status)
    return PaymentResult(
        charge.pk,
        status,
        charge.amount,
        charge.currency,
        method(charge, charge.method),
        charge.created_at,
        failure_of(charge.failure_code),
        reference=charge.reference,
        checkout=charge.checkout_id or "",
        captured_minor=charge.captured,
        next_action_url=f"{settings.SITE_URL}/sandbox/authenticate/{charge.pk}/" if status == ChargeStatus.ACTION else "",
        refunds=tuple(refund(row, charge) for row in charge.refunds.order_by("id")),
        disputes=tuple(_dispute(row, charge) for row in SandboxDispute.objects.filter(charge=charge)),
    )


def refund(row, charge):
    """A refund of a charge."""
    return RefundResult(
        row.pk,
        RefundStatus(row.status),
        row.amount,
        charge.currency,
        row.created_at,
        payment=charge.pk,
        reference=row.reference,
        failure=failure_of(row.failure_code),
    )


def _dispute(row, charge):
    return DisputeResult(row.pk, DisputeStatus(row.status), row.amount, charge.currency, row.opened_at, row.reason)
