"""The sandbox as the product sees it: the interface of base.py over the sandbox's own tables.

Idempotency is strict, as at real gateways: a known key with the same body gets the first answer again, with
another body it is Rejected. Amounts that end in 01, 02, 03 or 09 cause one fault each, so that staff can see
what a bad connection looks like without one (see FAULTS).
"""

import hashlib
import json
from dataclasses import asdict
from datetime import UTC, datetime

from django.db import IntegrityError, transaction

from billing.gateways.base import (
    Capabilities,
    ChargeStatus,
    CheckoutResult,
    CheckoutStatus,
    Failure,
    MethodSummary,
    OutcomeUnknown,
    PaymentResult,
    Rejected,
    Snapshot,
    Unavailable,
)
from billing.gateways.sandbox.cards import FINAL
from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout, SandboxRequestLog
from dashboard.money import CURRENCIES, LARGEST, Money, exponent

SMALLEST = {"PHP": 2000, "USD": 50, "EUR": 50, "GBP": 30, "JPY": 50, "KRW": 700}  # minor units
FAULTS = {  # last two digits of the amount in minor units -> what happens once
    1: "The bank took the payment but its answer did not arrive.",
    2: "The bank could not be reached before the payment was made.",
    3: "The bank answered with an internal error.",
    9: "The bank is taking too many requests.",
}


def _limits(currency):
    return SMALLEST.get(currency, 10 ** max(exponent(currency) - 1, 0)), LARGEST


class SandboxGateway:
    """Test mode's gateway. `capabilities.livemode` is False and nothing can make it True."""

    slug = "sandbox"
    capabilities = Capabilities(
        currencies=frozenset(CURRENCIES),
        method_types=("card",),
        limits={currency: _limits(currency) for currency in CURRENCIES},
        livemode=False,
    )

    def create_checkout(self, request, *, key):
        """Make a page at /sandbox/checkout/. Rejected below the currency's minimum or above the maximum."""
        self._check(request)
        answer = _once("create_checkout", key, asdict(request), lambda: _open_checkout(request), amount=request.amount_minor)
        return CheckoutResult(**answer)

    def cancel(self, remote_id, *, key):
        """Close an open checkout; one that is complete or over stays what it is."""
        _once("cancel", key, {"remote_id": remote_id}, lambda: _close_checkout(remote_id))
        return _snapshot(_find(remote_id))

    def fetch(self, remote_id):
        """The checkout with its charges. OutcomeUnknown once, when the amount asks for it."""
        checkout = _find(remote_id)
        _fault_once(checkout)
        return _snapshot(checkout)

    def _check(self, request):
        if request.currency not in self.capabilities.limits:
            raise Rejected(f"The sandbox does not take {request.currency}.")
        smallest, largest = self.capabilities.limits[request.currency]
        if not smallest <= request.amount_minor <= largest:
            least, most = Money(smallest, request.currency), Money(largest, request.currency)
            raise Rejected(f"The sandbox takes amounts from {least} to {most}.")


def _once(operation, key, body, execute, amount=0):
    """Run execute at most once for a key, and answer what it answered ever after."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    try:
        with transaction.atomic():
            SandboxRequestLog.objects.get_or_create(key=key, defaults={"operation": operation, "body_hash": digest})
            log = SandboxRequestLog.objects.select_for_update().get(key=key)
            if (log.operation, log.body_hash) != (operation, digest):
                raise Rejected("This key was used before for something else.")
            log.calls += 1
            busy = log.calls == 1 and amount % 100 == 9
            if log.response is None and not busy:
                log.response = execute()
            log.save(update_fields=["calls", "response"])
    except IntegrityError:  # someone else made the row between our look and our write
        return _once(operation, key, body, execute, amount)
    if busy:
        raise Unavailable(FAULTS[9])
    return log.response


def _open_checkout(request):
    checkout = SandboxCheckout.objects.create(
        reference=request.reference,
        amount=request.amount_minor,
        currency=request.currency,
        description=request.description,
        return_url=request.return_url,
        expires_at=datetime.fromisoformat(request.expires_at),
    )
    return {"remote_id": checkout.pk, "url": f"/sandbox/checkout/{checkout.pk}/", "expires_at": request.expires_at}


def _close_checkout(remote_id):
    still_open = SandboxCheckout.objects.filter(pk=remote_id, status=SandboxCheckout.Status.OPEN)
    still_open.update(status=SandboxCheckout.Status.CANCELED)
    return {"remote_id": remote_id}


def _find(remote_id):
    found = SandboxCheckout.objects.filter(pk=remote_id).first()
    if not found:
        raise Rejected("The sandbox knows no such checkout.")
    return found


def _fault_once(checkout):
    """The fault of an odd amount: only after a payer has submitted a card, and only once."""
    ending = checkout.amount % 100
    if ending not in (1, 2, 3) or not checkout.version or checkout.faulted:
        return
    if SandboxCheckout.objects.filter(pk=checkout.pk, faulted=False).update(faulted=True):
        raise OutcomeUnknown(FAULTS[ending])


def _status(checkout):
    over = checkout.status == SandboxCheckout.Status.OPEN and checkout.expires_at <= datetime.now(UTC)
    return CheckoutStatus.EXPIRED if over else CheckoutStatus(checkout.status)


def _snapshot(checkout):
    charges = SandboxCharge.objects.filter(checkout=checkout).order_by("id")
    return Snapshot(
        checkout.pk, _status(checkout), checkout.reference, checkout.amount, checkout.currency, tuple(_result(c) for c in charges)
    )


def _result(charge):
    code = charge.failure_code
    failure = Failure(code, charge.failure_message, retryable=code not in FINAL) if code else None
    status = ChargeStatus.SUCCEEDED if charge.succeeded else ChargeStatus.FAILED
    method = MethodSummary("card", charge.brand, charge.last4, charge.funding)
    return PaymentResult(charge.pk, status, charge.amount, charge.currency, method, charge.created_at, failure)
