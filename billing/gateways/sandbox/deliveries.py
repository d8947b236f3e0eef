"""The sandbox's messages to us: written with the change they tell of, signed, and sent like any company's webhooks.

A real company knows an address and a secret of ours, and so does this one: RECEIVER takes the raw bytes and headers
just as they would arrive at /webhooks/sandbox/. A message that is not answered with 200 is sent again later.
"""

import hashlib
import hmac
import json
import time
from datetime import timedelta

from django.conf import settings
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.module_loading import import_string

from billing.gateways import refuse_transaction
from billing.gateways.base import BadSignature
from billing.gateways.sandbox.models import SandboxDelivery

RECEIVER = "billing.domain.webhooks.receive"
HEADER = "Sandbox-Signature"
TOLERANCE = 300  # seconds a timestamp may be away from our clock, both ways
LATE = timedelta(minutes=5)
GIVE_UP = timedelta(days=3)
TWICE, DELAYED, EARLY, LOST, DISORDERED = 4, 5, 6, 7, 8  # last two digits of an amount in minor units
STALE = "payment_intent.payment_failed"  # what arrives too late when the order is lost


# --- writing ---------------------------------------------------------------------------------------------
def announce(kind, remote_id, event_type, amount=0):
    """Write the message that something happened to an object, in the transaction in which it does."""
    ending = amount % 100
    now = timezone.now()
    if ending == DISORDERED:
        _write(kind, remote_id, event_type, now)
        return _write(kind, remote_id, STALE, now, happened=now - timedelta(minutes=1))
    due_at = None if ending == LOST else now + LATE if ending == DELAYED else now
    return _write(kind, remote_id, event_type, due_at, lost=ending == LOST, copies=2 if ending == TWICE else 1)


def _write(kind, remote_id, event_type, due_at, happened=None, **fields):
    row = SandboxDelivery(type=event_type, remote_id=remote_id, due_at=due_at, **fields)
    body = {
        "id": row.pk,
        "type": event_type,
        "created": int((happened or timezone.now()).timestamp()),
        "livemode": False,
        "data": {"object": {"id": remote_id, "object": str(kind)}},
    }
    row.body = json.dumps(body)
    row.save(force_insert=True)
    return row


# --- signing ---------------------------------------------------------------------------------------------
def secrets():
    """The secrets a signature may be made with, today's first: they follow SECRET_KEY and its fallbacks."""
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [salted_hmac("billing.gateways.sandbox", "webhooks", secret=key, algorithm="sha256").hexdigest() for key in keys]


def sign(body, *, at=None, secret=None):
    """The signature header's value for raw bytes: a Unix time, and the HMAC of time and bytes together."""
    at = int(time.time()) if at is None else at
    return f"t={at},v1={_digest(secret or secrets()[0], at, body)}"


def _digest(secret, at, body):
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def verify(body, header):
    """Raise BadSignature unless one of our secrets signed these very bytes within TOLERANCE of now, before or after."""
    parts = [part.partition("=")[::2] for part in (header or "").split(",")]
    times = [value for name, value in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 12):
        raise BadSignature("The signature header names no time.")
    given = [value for name, value in parts if name == "v1"][:10]
    wanted = [_digest(secret, times[0], body) for secret in secrets()]
    if not any(constant_time_compare(a, b) for a in given for b in wanted):
        raise BadSignature("The signature is not ours.")
    if abs(time.time() - int(times[0])) > TOLERANCE:
        raise BadSignature("The signature is too old or too new.")


# --- sending ---------------------------------------------------------------------------------------------
def send_due(now=None):
    """Send every message that is due, oldest first; returns how many were sent. Safe to run several at once."""
    now = now or timezone.now()
    return _send_all(SandboxDelivery.objects.filter(due_at__lte=now), now)


def send_about(*remote_ids):
    """Send what is due about these objects now, without waiting for the next tick."""
    now = timezone.now()
    return _send_all(SandboxDelivery.objects.filter(due_at__lte=now, remote_id__in=remote_ids), now)


def _send_all(rows, now):
    refuse_transaction()
    sent = 0
    for pk in list(rows.order_by("due_at", "id").values_list("pk", flat=True)[:500]):
        while _claim(pk, now):  # again at once when it is to arrive twice
            send(SandboxDelivery.objects.get(pk=pk))
            sent += 1
    return sent


def _claim(pk, now):
    """Take a due message for sending; False when another process took it. Until it is answered, it is due in a minute."""
    row = SandboxDelivery.objects.get(pk=pk)
    if row.due_at is None or row.due_at > now:
        return False
    again = now + min(timedelta(minutes=2**row.times), timedelta(hours=1))
    return bool(SandboxDelivery.objects.filter(pk=pk, due_at=row.due_at).update(due_at=again))


def send(row):
    """Send one message now, whether it is due or not, and keep what was answered. Never inside a transaction."""
    refuse_transaction()
    body = row.body.encode()
    row.answer = _post(body, {HEADER: sign(body)})
    arrived = row.arrived + (row.answer == 200)
    fields = {"times": F("times") + 1, "answer": row.answer, "sent_at": timezone.now(), "arrived": arrived}
    if row.answer == 200:
        fields["due_at"] = row.created_at if arrived < row.copies else None
    elif timezone.now() - row.created_at > GIVE_UP:
        fields["due_at"] = None
    SandboxDelivery.objects.filter(pk=row.pk).update(**fields)
    row.refresh_from_db()
    return row


def _post(body, headers):
    """The status the receiver answers with, as over the wire."""
    try:
        delivery = import_string(RECEIVER)("sandbox", body, headers)
    except BadSignature:
        return 400
    return 500 if delivery.state == delivery.State.FAILED else 200
