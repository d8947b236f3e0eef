"""What the sandbox's card page does: the payer's side of the remote world. It knows nothing of ours."""

from django.db import transaction
from django.utils import timezone

from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout


def takes_payment(checkout):
    """Whether the page is open for a card."""
    return checkout.status == SandboxCheckout.Status.OPEN and checkout.expires_at > timezone.now()


def pay(checkout, card, *, version):
    """Charge a listed test card. A form is good for one submit: `version` is what the page was when it was shown.

    Returns False when the page no longer takes a payment, or when another submit was quicker.
    """
    with transaction.atomic():
        current = SandboxCheckout.objects.filter(
            pk=checkout.pk, version=version, status=SandboxCheckout.Status.OPEN, expires_at__gt=timezone.now()
        )
        outcome = SandboxCheckout.Status.OPEN if card.failure or _lost(checkout, version) else SandboxCheckout.Status.COMPLETE
        if not current.update(version=version + 1, status=outcome):
            return False
        if not _lost(checkout, version):
            _record(checkout, card)
    return True


def _lost(checkout, version):
    """An amount ending in 02: the bank is never reached the first time, so nothing is charged."""
    return checkout.amount % 100 == 2 and version == 0


def _record(checkout, card):
    failure = card.reason()
    SandboxCharge.objects.create(
        checkout=checkout,
        succeeded=not failure,
        amount=checkout.amount,
        currency=checkout.currency,
        brand=card.brand,
        last4=card.last4,
        funding=card.funding,
        failure_code=failure.code if failure else "",
        failure_message=failure.message if failure else "",
    )
