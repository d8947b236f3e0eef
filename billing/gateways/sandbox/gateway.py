"""The sandbox as the product sees it: the interface of base.py over the sandbox's own tables.

calls.py says what happens to a key that comes again and to an odd amount, cards.py what each test card does,
deliveries.py how and when the sandbox tells us.
"""

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime

from django.db.models import Q

from billing.gateways.base import (
    BadSignature,
    Capabilities,
    ChargeStatus,
    CheckoutMode,
    CheckoutResult,
    Declined,
    GatewayEvent,
    Kind,
    Rejected,
)
from billing.gateways.sandbox import answers, bank, charges, deliveries
from billing.gateways.sandbox.calls import BUSY, FAULTS, fault_once, once
from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout, SandboxCustomer, SandboxRefund
from dashboard.money import CURRENCIES, LARGEST, Money, exponent

SMALLEST = {"PHP": 2000, "USD": 50, "EUR": 50, "GBP": 30, "JPY": 50, "KRW": 700}  # minor units
ONLY_BUSY = {BUSY: FAULTS[BUSY]}  # making a page has no other fault: the payer's submit has them
_WORD = re.compile(r"[\w.-]{1,64}", re.ASCII)


def _limits(currency):
    return SMALLEST.get(currency, 10 ** max(exponent(currency) - 1, 0)), LARGEST


class SandboxGateway:
    """Test mode's gateway. `capabilities.livemode` is False and nothing can make it True."""

    slug = "sandbox"
    capabilities = Capabilities(
        currencies=frozenset(CURRENCIES),
        method_types=("card", "bank_account"),
        limits={currency: _limits(currency) for currency in CURRENCIES},
        livemode=False,
        capture=True,
        off_session=True,
        save_card=True,
    )

    def ensure_customer(self, customer, *, key):
        """The sandbox's id of our customer. The sandbox keeps our reference alone, no name and no address."""
        answer = once("ensure_customer", key, asdict(customer), lambda: _customer(customer.reference))
        return answer["remote_id"]

    def create_checkout(self, request, *, key):
        """Make a page at /sandbox/checkout/. Rejected below the currency's minimum or above the maximum."""
        amount = request.amount_minor
        self._check_checkout(request)
        answer = once("create_checkout", key, asdict(request), lambda: _page(request), amount=amount, faults=ONLY_BUSY)
        return CheckoutResult(**answer)

    def charge(self, request, *, key):
        """Charge a saved method. Declined, also when the key comes again; ACTION when the payer must confirm."""
        amount = request.amount_minor
        self._check(amount, request.currency)
        answer = once("charge", key, asdict(request), lambda: charges.charge_saved(request), amount=amount)
        result = answers.payment(_find(SandboxCharge, answer["remote_id"]))
        _tell_early(amount, result.remote_id)
        if result.status == ChargeStatus.FAILED:
            raise Declined(result.failure, result.remote_id)
        return result

    def capture(self, remote_id, amount_minor, *, key):
        """Take an authorised payment, whole or in part; the rest is released. Rejected for any other."""
        body = {"remote_id": remote_id, "amount_minor": amount_minor}
        once("capture", key, body, lambda: charges.capture_charge(remote_id, amount_minor), amount=amount_minor)
        _tell_early(amount_minor, remote_id)
        return answers.payment(_find(SandboxCharge, remote_id))

    def refund(self, request, *, key):
        """Give money back. Rejected above what is left, for a payment that is not paid, and while it is disputed."""
        amount = request.amount_minor
        answer = once("refund", key, asdict(request), lambda: charges.refund_charge(request), amount=amount)
        _tell_early(amount, request.payment)
        return self.fetch(Kind.REFUND, answer["remote_id"])

    def cancel(self, kind, remote_id, *, key):
        """Close an open checkout, or release an authorised payment. One that is paid stays paid: look at the answer."""
        body = {"kind": str(kind), "remote_id": remote_id}
        if kind == Kind.CHECKOUT:
            once("cancel", key, body, lambda: _close(remote_id))
            return answers.snapshot(_find(SandboxCheckout, remote_id))
        if kind == Kind.PAYMENT:
            once("cancel", key, body, lambda: charges.release_charge(remote_id))
            return answers.payment(_find(SandboxCharge, remote_id))
        raise Rejected("A refund cannot be canceled.")

    def find_method(self, token):
        """What a token stands for. Rejected for one the sandbox does not have, Declined for a card that cannot be saved."""
        return charges.summary_of(token)

    def attach_method(self, token, customer, *, key):
        """Save the method of a token for a customer. Rejected for another customer's, Declined as above."""
        body = {"token": token, "customer": customer}
        once("attach_method", key, body, lambda: charges.attach(token, customer))
        return charges.summary_of(token)

    def detach_method(self, token, *, key):
        """Forget a saved method. One that is gone already is no error."""
        once("detach_method", key, {"token": token}, lambda: charges.detach(token))

    def fetch(self, kind, remote_id):
        """The checkout, payment or refund as it is now. OutcomeUnknown once, when a page's amount asks for it."""
        if kind == Kind.CHECKOUT:
            checkout = _find(SandboxCheckout, remote_id)
            fault_once(checkout)
            return answers.snapshot(checkout)
        if kind == Kind.PAYMENT:
            charge = _find(SandboxCharge.objects.select_related("checkout", "method"), remote_id)
            if charge.checkout:
                fault_once(charge.checkout)
            return answers.payment(charge)
        refund = _find(SandboxRefund.objects.select_related("charge"), remote_id)
        return answers.refund(refund, refund.charge)

    def parse_webhook(self, body, headers):
        """Verify the raw bytes of a delivery, then read them. BadSignature for any other, too old or too new."""
        deliveries.verify(body, headers.get(deliveries.HEADER))
        return _event(body)

    def _check(self, amount, currency):
        if currency not in self.capabilities.limits:
            raise Rejected(f"The sandbox does not take {currency}.")
        smallest, largest = self.capabilities.limits[currency]
        if not smallest <= amount <= largest:
            raise Rejected(f"The sandbox takes amounts from {Money(smallest, currency)} to {Money(largest, currency)}.")

    def _check_checkout(self, request):
        setup = request.mode == CheckoutMode.SAVE_CARD
        if (setup or request.customer) and not SandboxCustomer.objects.filter(pk=request.customer).exists():
            raise Rejected("The sandbox knows no such customer.")
        if not setup:
            self._check(request.amount_minor, request.currency)
        elif request.amount_minor:
            raise Rejected("A page that only saves a card takes no money: its amount is 0.")


def _tell_early(amount, remote_id):
    """An amount ending in 06: the message of what the call did is delivered before the call is answered."""
    if amount % 100 == deliveries.EARLY:
        deliveries.send_about(remote_id)


def _customer(reference):
    return {"remote_id": SandboxCustomer.objects.get_or_create(reference=reference)[0].pk}


def _page(request):
    checkout = SandboxCheckout.objects.create(
        mode=request.mode,
        reference=request.reference,
        amount=request.amount_minor,
        currency=request.currency,
        description=request.description,
        method_types=list(request.method_types),
        return_url=request.return_url,
        customer_id=request.customer or None,
        save_card=request.save_card,
        capture=request.capture,
        expires_at=datetime.fromisoformat(request.expires_at),
    )
    return {"remote_id": checkout.pk, "url": f"/sandbox/checkout/{checkout.pk}/", "expires_at": request.expires_at}


def _close(remote_id):
    bank.close_page(_find(SandboxCheckout, remote_id), SandboxCheckout.Status.CANCELED)
    return {"remote_id": remote_id}


def _find(rows, remote_id):
    rows = rows if hasattr(rows, "filter") else rows.objects
    found = rows.filter(Q(pk=remote_id)).first()
    if not found:
        raise Rejected("The sandbox knows nothing of that name.")
    return found


def _event(body):
    """The event in a body whose signature was good; BadSignature for one that is not made as ours are."""
    try:
        said = json.loads(body)
        about = said["data"]["object"]
        words = [said["id"], said["type"], about["id"], about["object"]]
        at = datetime.fromtimestamp(said["created"], UTC)
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError):
        raise BadSignature("The body is not an event.") from None
    if not all(isinstance(word, str) and _WORD.fullmatch(word) for word in words) or not isinstance(said["livemode"], bool):
        raise BadSignature("The body is not an event.")
    event_id, event_type, remote_id, kind = words
    return GatewayEvent(event_id, event_type, kind if kind in list(Kind) else "", remote_id, said["livemode"], at)
