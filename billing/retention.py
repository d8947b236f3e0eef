"""What gateways told us, and what the sandbox remembers, goes when nobody needs it any more: see dashboard.retention."""

from billing.gateways.sandbox.models import SandboxCheckout, SandboxDelivery, SandboxRequestLog
from billing.models import WebhookDelivery
from dashboard.retention import Rule, personal


def _bodies(before):
    """The body is only a hint: a delivery can be replayed without it."""
    return WebhookDelivery.objects.filter(touched_at__lt=before).exclude(body="")


def _descriptions(before):
    closed = SandboxCheckout.objects.exclude(status=SandboxCheckout.Status.OPEN).exclude(description="")
    return closed.filter(created_at__lt=before)


RULES = (
    Rule("webhooks", "bodies of gateways' messages", personal, _bodies, lambda rows: rows.update(body="")),
    Rule(
        "sandbox_checkouts",
        "descriptions of the sandbox's checkouts",
        personal,
        _descriptions,
        lambda rows: rows.update(description=""),
    ),
    Rule(
        "sandbox_calls",
        "answers the sandbox remembers",
        personal,
        lambda before: SandboxRequestLog.objects.filter(created_at__lt=before),
    ),
    Rule(
        "sandbox_messages",
        "messages the sandbox sent",
        personal,
        lambda before: SandboxDelivery.objects.filter(created_at__lt=before, due_at=None),
    ),
)
