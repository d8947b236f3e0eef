"""What gateways tell us: verified, kept (card numbers hidden), and taken as a hint to ask the gateway. No message is believed.

Receiving and working are two steps. A message that could not be worked on stays in the inbox with its error, the
gateway is answered with an error so that it sends it again, and process_waiting works on it besides.
"""

import logging
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.db.models import F, Q
from django.utils import timezone

from billing.domain import settle
from billing.domain.gateway_texts import CODE, REFERENCE, kept
from billing.gateways import gateway_for
from billing.gateways.base import GatewayError
from billing.models import WebhookDelivery
from dashboard import events
from dashboard.states import DomainError

State = WebhookDelivery.State
PATIENCE = timedelta(days=1)  # how long something unknown to us may still turn up
GIVE_UP = timedelta(days=3)  # after that only staff replay it
OTHER_MODE = "The event is of the other mode than its gateway. Nothing was changed."
NO_USE = "Nothing here depends on events of this type."
NOT_OURS = "Nothing of ours has this ID at the gateway."
log = logging.getLogger(__name__)


def receive(slug, body, headers):
    """Take one delivery: verify its raw bytes, keep it once, work on it. Returns the WebhookDelivery; see its `state`.

    FAILED means that the sender should send it again. Raises KeyError for a gateway we do not have and BadSignature
    for bytes that gateway did not sign just now. Never inside a transaction: the gateway is asked.
    """
    event = gateway_for(slug).parse_webhook(body, headers)
    columns = _columns(event) | {"body": kept(body.decode(), len(body))}
    event_id = kept(event.event_id, REFERENCE)
    delivery, new = WebhookDelivery.objects.get_or_create(gateway=slug, event_id=event_id, defaults=columns)
    if new:
        return process(delivery)
    WebhookDelivery.objects.filter(pk=delivery.pk).update(deliveries=F("deliveries") + 1)
    delivery.refresh_from_db()
    return process(delivery) if delivery.state in (State.FAILED, State.PARKED) else delivery


def _columns(event):
    named = {"type": kept(event.type, CODE), "object_kind": event.kind, "remote_id": kept(event.remote_id, REFERENCE)}
    return named | {"livemode": event.livemode}


def process(delivery):
    """Work on a delivery that is not settled. Of several who try at once one works; nobody's trouble rises."""
    now = timezone.now()
    mine = WebhookDelivery.objects.filter(pk=delivery.pk, state__in=WebhookDelivery.OPEN, touched_at=delivery.touched_at)
    if mine.update(touched_at=now, tries=F("tries") + 1):
        _keep(delivery, *_work(delivery))
    delivery.refresh_from_db()
    return delivery


def _work(delivery):
    """(state, error) after asking the gateway and applying its answer."""
    if delivery.livemode != gateway_for(delivery.gateway).capabilities.livemode:
        log.error("webhook %s of %s is of the other mode", delivery.event_id, delivery.gateway)
        return State.IGNORED, OTHER_MODE
    if not delivery.object_kind:
        return State.IGNORED, NO_USE
    try:
        known = settle.look(delivery.gateway, delivery.object_kind, delivery.remote_id)
    except (GatewayError, DomainError) as error:
        return State.FAILED, str(error)
    except DatabaseError:
        raise  # nothing can be kept now: the sender gets an error and sends it again
    except Exception as error:  # whatever it is, staff must find it at this delivery and be able to replay it
        log.exception("webhook %s of %s could not be worked on", delivery.event_id, delivery.gateway)
        return State.FAILED, f"{type(error).__name__}: the log says more."
    if known:
        return State.PROCESSED, ""
    return (State.PARKED, "") if timezone.now() - delivery.received_at < PATIENCE else (State.IGNORED, NOT_OURS)


def _keep(delivery, state, error):
    done = timezone.now() if state == State.PROCESSED else None
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state=state, error=kept(error), processed_at=done)


def process_waiting(now=None):
    """Work again on deliveries that wait or failed, each less and less often. Returns how many were worked on."""
    now = now or timezone.now()
    waiting = WebhookDelivery.objects.filter(state__in=WebhookDelivery.OPEN, touched_at__lte=now - timedelta(minutes=1))
    recent = waiting.filter(Q(received_at__gt=now - GIVE_UP) | Q(state=State.PARKED))
    due = [delivery for delivery in recent.order_by("touched_at")[:500] if delivery.touched_at <= now - _pause(delivery)]
    for delivery in due:
        process(delivery)
    return len(due)


def _pause(delivery):
    """One minute, two, four … an hour."""
    return min(timedelta(minutes=2 ** min(max(delivery.tries - 1, 0), 10)), timedelta(hours=1))


def replay(delivery, *, by):
    """Work on a delivery once more, whatever became of it, because staff ask. It is safe: nothing has its effect twice.

    Raises DomainError, saying why, when it fails again.
    """
    with transaction.atomic():
        now = timezone.now()
        WebhookDelivery.objects.filter(pk=delivery.pk).update(state=State.RECEIVED, touched_at=now)
        delivery.refresh_from_db()
        events.record("webhook_delivery.replayed", delivery, by=by, event=delivery.event_id, event_type=delivery.type)
    process(delivery)
    if delivery.state == State.FAILED:
        raise DomainError(f"It failed again: {delivery.error}")
    return delivery
