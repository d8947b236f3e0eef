"""What staff do to the sandbox's world while they try things out. Test mode only; no money moves."""

from django.db import transaction

from billing.domain import charges, webhooks
from billing.gateways import gateway_for
from billing.gateways.sandbox import bank, deliveries
from billing.models import Payment
from customers.domain import refuse_archived
from dashboard import events
from dashboard.states import DomainError


def run_tick(*, by):
    """Let the sandbox's time pass now, and work on what waits in the inbox. Returns bank.Ticked."""
    done = bank.tick()
    webhooks.process_waiting()
    events.note("sandbox.ticked", by=by, livemode=False, **done._asdict())
    return done


def resend(row, *, by):
    """Send one message of the sandbox now: a late or lost one for the first time, any other once more."""
    sent = deliveries.send(row)
    events.note("sandbox.message_sent", by=by, livemode=False, event=row.pk, answer=sent.answer)
    return sent


def close_dispute(dispute, *, won, by):
    """Let the payer's bank decide a dispute. The message about it goes out at once. DomainError when it is decided."""
    with transaction.atomic():
        if not bank.close_dispute(dispute, won=won):
            raise DomainError("This dispute is decided already.")
        events.note("sandbox.dispute_won" if won else "sandbox.dispute_lost", by=by, livemode=False, dispute=dispute.pk)
    deliveries.send_about(dispute.charge_id)


def charge_test_card(customer, card, *, amount, currency, by, form_key, save=False, **fields):
    """Charge a listed test card at the sandbox; with `save`, a card that paid goes on file. Test mode only.

    As charges.charge_method otherwise, which says what comes back and what rises. The number itself is passed to nobody.
    """
    if customer.livemode:
        raise DomainError("Test cards work in test mode alone. No money moved.")
    refuse_archived(customer)
    charges.refuse_amount(gateway_for("sandbox"), amount, currency)
    summary = bank.tokenize(card, reference=customer.pk if save else "")
    told = {"method_type": summary.type, "method_brand": summary.brand, "method_last4": summary.last4, "method_bin": summary.bin}
    about = {"gateway": "sandbox", "token": summary.token, **told}
    payment = charges.charge_method(customer, amount=amount, currency=currency, by=by, form_key=form_key, **about, **fields)
    if save and payment.status in (Payment.Status.PAID, Payment.Status.AUTHORIZED):
        charges.keep_charged(payment, summary, by)
    return payment
