"""What is known of a payer who opens a link: that somebody did, and when. Not from where, nor with what."""

import hashlib
import hmac
import re
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from billing.domain import payables
from dashboard import events
from dashboard.models import Event

QUIET = timedelta(minutes=10)  # a visitor who looks again so soon is still looking
KINDS = {
    "billingstatement": "billing_statement.viewed",
    "paymentrequest": "payment_request.viewed",
    "tokenizationlink": "tokenization_link.opened",
}
PREVIEWS = re.compile(  # programs that fetch a link to show what is behind it, or to see whether it is safe
    r"bot\b|crawl|spider|slurp|preview|externalhit|facebookcatalog|whatsapp|telegram|discord|slack|skypeuri|embedly"
    r"|iframely|viber|linkedin|pinterest|safelinks|proofpoint|mimecast|barracuda|ms-office|microsoft office|outlook"
    r"|googleimageproxy|yahoomailproxy|curl/|wget/|python-|java/|go-http-client|okhttp|libwww",
    re.I,
)


def visitor_key(target, *, address, agent):
    """The same visitor of the same link gives the same key; without SECRET_KEY it tells nothing about them."""
    secret = hashlib.sha256(b"counterfoil.visitor" + settings.SECRET_KEY.encode()).digest()
    told = "\n".join((target.pk, address or "", agent or ""))
    return hmac.digest(secret, told.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]


def is_preview(agent):
    """Whether an agent is a program that looks at links for somebody who has not opened them."""
    return bool(PREVIEWS.search(agent or ""))


def counts(target, *, address, agent):
    """Whether this would be a view: no program's preview, and nobody who was here a moment ago."""
    return not is_preview(agent) and not _seen(target, visitor_key(target, address=address, agent=agent))


def record_view(target, *, address, agent):
    """Note that a payer opened the link of a request or statement, at most once in ten minutes for each visitor.

    Returns the event, or None for a program's preview and for a visitor who was here a moment ago.
    """
    if not counts(target, address=address, agent=agent):
        return None
    visitor = visitor_key(target, address=address, agent=agent)
    with transaction.atomic():
        current = payables.lock(target.pk)  # two pages opened at once are one view
        if _seen(current, visitor):
            return None
        return events.record(_kind(target), current, by=None, actor="payer", visitor=visitor)


def _kind(target):
    return KINDS[target._meta.model_name]


def _seen(target, visitor):
    recent = Event.objects.filter(object_id=target.pk, type=_kind(target), created_at__gt=timezone.now() - QUIET)
    return visitor in (data.get("visitor") for data in recent.values_list("data", flat=True))
