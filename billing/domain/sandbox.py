"""What staff do to the sandbox's world while they try things out. Test mode only; no money moves."""

from django.db import transaction

from billing.domain import webhooks
from billing.gateways.sandbox import bank, deliveries
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
