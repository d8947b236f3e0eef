"""The payer's side of the remote world, and what happens there by itself. It knows nothing of ours."""

from typing import NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from billing.gateways.base import CheckoutMode, Kind
from billing.gateways.sandbox import answers, charges, deliveries
from billing.gateways.sandbox.calls import once
from billing.gateways.sandbox.cards import Trait
from billing.gateways.sandbox.deliveries import announce
from billing.gateways.sandbox.models import (
    SandboxCharge,
    SandboxCheckout,
    SandboxCustomer,
    SandboxDispute,
    SandboxMethod,
    SandboxRefund,
)

Status = SandboxCharge.Status
Page = SandboxCheckout.Status


# --- the card page and the page of the payer's bank ----------------------------------------------------------
def takes_payment(checkout):
    """Whether the page is open for a card."""
    return checkout.status == Page.OPEN and checkout.expires_at > timezone.now()


def pay(checkout, card, *, version):
    """Charge a listed test card. A form is good for one submit: `version` is what the page was when it was shown.

    Returns False when the page no longer takes a payment, or when another submit was quicker. A charge the payer
    must confirm leaves the page open: see waiting_charge.
    """
    with transaction.atomic():
        if not _open_page(checkout).filter(version=version).update(version=version + 1):
            return False
        _abandon(checkout)
        if not _lost(checkout, version):
            _charge(checkout, card)
    return True


def _open_page(checkout):
    return SandboxCheckout.objects.filter(pk=checkout.pk, status=Page.OPEN, expires_at__gt=timezone.now())


def _lost(checkout, version):
    """An amount ending in 02: the bank is never reached the first time, so nothing is charged."""
    return checkout.amount % 100 == 2 and version == 0


def _abandon(checkout):
    """Another card instead of one that still waits for its payer."""
    waiting = SandboxCharge.objects.filter(checkout=checkout, status=Status.ACTION)
    waiting.update(status=Status.FAILED, **charges.failed("abandoned"))


def _charge(checkout, card):
    fields = {name: getattr(checkout, name) for name in ("reference", "amount", "currency", "capture")}
    charge = charges.start_charge(card, checkout=checkout, **fields)
    if charge.status in SandboxCharge.GOOD:
        _complete(checkout, charge)
    charges.tell(charge, charge.status)


def _complete(checkout, charge):
    SandboxCheckout.objects.filter(pk=checkout.pk).update(status=Page.COMPLETE)
    charges.save_method(checkout, charge)


def tokenize(card, reference="", *, key=""):
    """Save a listed test card without a page, as a company's own form in a browser would. Returns its MethodSummary.

    `reference` is our customer's id: with one, the method is saved for that customer. The same key saves once.
    """
    owner = SandboxCustomer.objects.get_or_create(reference=reference)[0] if reference else None
    columns = {name: getattr(card, name) for name in charges.CARD}

    def make():
        return {"token": SandboxMethod.objects.create(customer=owner, **columns).pk}

    made = once("tokenize", key, {"reference": reference, "method": columns}, make) if key else make()
    method = SandboxMethod.objects.get(pk=made["token"])
    return answers.method(method, method)


def waiting_charge(checkout):
    """The charge of a page that its payer must confirm, or None."""
    return SandboxCharge.objects.filter(checkout=checkout, status=Status.ACTION).first()


def last_failure(checkout):
    """Why the last card tried on a page was refused; "" when none was, or it was not."""
    last = SandboxCharge.objects.filter(checkout=checkout).order_by("-id").first()
    return last.failure_message if last else ""


def authenticate(charge, *, confirmed):
    """The payer confirms a charge at the bank, or does not. False when it no longer waits for that."""
    with transaction.atomic():
        page = charge.checkout
        if page and not _open_page(page).update(version=F("version") + 1):
            return False
        to = charges.good_status(charge) if confirmed else Status.FAILED
        if not charges.move(charge, [Status.ACTION], to, **({} if confirmed else charges.failed("authentication_failed"))):
            return False
        if page and confirmed:
            _complete(page, charge)
        charges.tell(charge, to)
    return True


# --- what happens by itself --------------------------------------------------------------------------------
class Ticked(NamedTuple):
    """What one tick did."""

    expired: int
    debits: int
    refunds: int
    disputes: int
    sent: int


def tick(now=None):
    """Let the remote world's time pass: pages expire, debits and refunds settle, disputes open, messages go out.

    Each change is compare-and-set, so several ticks at once do everything once. Never call it inside a transaction.
    """
    over = SandboxCheckout.objects.filter(status=Page.OPEN, expires_at__lte=now or timezone.now())
    debits = SandboxCharge.objects.filter(status=Status.PENDING)
    refunds = SandboxRefund.objects.filter(status=SandboxRefund.Status.PENDING).select_related("charge")
    disputed = SandboxCharge.objects.filter(trait=Trait.DISPUTED, status=Status.SUCCEEDED, dispute__isnull=True, captured__gt=0)
    return Ticked(
        _each(over, _expire), _each(debits, _settle_debit), _each(refunds, _settle_refund), _each(disputed, _open_dispute),
        deliveries.send_due(now),
    )  # fmt: skip


def _each(rows, change):
    """Change each row in a transaction of its own; returns how many were changed."""
    changed = 0
    for row in rows.order_by("id")[:500]:
        with transaction.atomic():
            changed += change(row)
    return changed


def _expire(checkout):
    return close_page(checkout, Page.EXPIRED)


def close_page(checkout, to):
    """End an open page without a payment; a charge that waits for its payer ends with it. False when it is over."""
    if not SandboxCheckout.objects.filter(pk=checkout.pk, status=Page.OPEN).update(status=to):
        return False
    SandboxCharge.objects.filter(checkout=checkout, status=Status.ACTION).update(status=Status.CANCELED)
    announce(Kind.CHECKOUT, checkout.pk, "checkout.session.expired", checkout.amount)
    return True


def _settle_debit(charge):
    good = charge.trait == Trait.DEBIT
    to = Status.SUCCEEDED if good else Status.FAILED
    if not charges.move(charge, [Status.PENDING], to, **({} if good else charges.failed("debit_refused"))):
        return False
    if charge.checkout_id:
        verb = "succeeded" if good else "failed"
        announce(Kind.CHECKOUT, charge.checkout_id, f"checkout.session.async_payment_{verb}", charge.amount)
    else:
        charges.tell(charge, to)
    return True


def _settle_refund(refund):
    good = refund.charge.trait == Trait.REFUND_SLOW
    to = SandboxRefund.Status.SUCCEEDED if good else SandboxRefund.Status.FAILED
    fields = {} if good else charges.failed("refund_refused")
    waiting = SandboxRefund.objects.filter(pk=refund.pk, status=SandboxRefund.Status.PENDING)
    if not waiting.update(status=to, **fields):
        return False
    if not good:  # the money can be given back another way
        SandboxCharge.objects.filter(pk=refund.charge_id).update(refunded=F("refunded") - refund.amount)
    announce(Kind.REFUND, refund.pk, "refund.updated" if good else "refund.failed", refund.amount)
    return True


def _open_dispute(charge):
    try:
        with transaction.atomic():
            SandboxDispute.objects.create(charge=charge, amount=charge.captured)
    except IntegrityError:  # another tick was first
        return False
    announce(Kind.PAYMENT, charge.pk, "charge.dispute.created", charge.amount)
    return True


@transaction.atomic
def close_dispute(dispute, *, won):
    """The payer's bank decides. False when it has decided already."""
    to = SandboxDispute.Status.WON if won else SandboxDispute.Status.LOST
    if not SandboxDispute.objects.filter(pk=dispute.pk, status=SandboxDispute.Status.OPEN).update(status=to):
        return False
    announce(Kind.PAYMENT, dispute.charge_id, "charge.dispute.closed", dispute.amount)
    return True


def is_setup(checkout):
    """Whether a page only saves a card."""
    return checkout.mode == CheckoutMode.SAVE_CARD
