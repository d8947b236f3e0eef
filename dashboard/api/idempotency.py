"""One request, sent twice with the same Idempotency-Key, is done once: the second gets the first one's answer.

The row is written before the work, so two at the same moment cannot both begin. A row left behind by a process that
died may be taken over after a while: what moves money carries the key on (see form_key) and is done once by its own
unique index, whatever becomes of this row.
"""

import hashlib
import hmac
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.utils import timezone

from dashboard.api.errors import ApiError
from dashboard.api_models import IdempotencyKey
from dashboard.card_numbers import find_card_number
from dashboard.encryption import decrypt, encrypt

HEADER = "Idempotency-Key"
PURPOSE = "idempotency"
STALE = timedelta(seconds=60)  # no request takes so long: its process is dead
KEPT = timedelta(days=30)  # then nobody asks for an answer again: dashboard.retention deletes it
CARRIED = ("Content-Type", "X-Disregarded-Fields", "Location")


def once(request, work):
    """work()'s response, or the one its Idempotency-Key had before, with Idempotent-Replayed: true.

    Raises ApiError 400 for a key that is no key, 409 when it came with other content or is being answered right now.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return work()
    row = _begin(request, _checked(key))
    if row.status is not None:
        return _replay(row)
    try:
        response = work()
    except BaseException:
        row.delete()
        raise
    return _keep(row, response)


def form_key(request):
    """What a record made by this request is known by, so that the same key never makes two; "" without a key."""
    key = request.headers.get(HEADER)
    if not key:
        return ""
    mode = "live" if request.auth.livemode else "test"
    return hashlib.sha256(f"api:{mode}:{request.auth.pk}:{key}".encode()).hexdigest()


def _checked(key):
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise ApiError("parameter_invalid", f"{HEADER} takes 1 to 255 printable ASCII characters.", HEADER)
    if find_card_number(key):  # it is kept
        raise ApiError("parameter_invalid", f"{HEADER} looks like a payment card number, which is never stored.", HEADER)
    return key


def _begin(request, key):
    said = f"{request.method} {request.get_full_path()} ".encode() + request.body
    # under SECRET_KEY: from a plain digest of a body somebody could guess a card number that was refused
    fingerprint = hmac.digest(settings.SECRET_KEY.encode(), b"counterfoil.idempotency:" + said, "sha256").hex()
    row = IdempotencyKey(owner=request.auth.pk, livemode=request.auth.livemode, key=key, fingerprint=fingerprint)
    try:
        with transaction.atomic():
            row.save(force_insert=True)
        return row
    except IntegrityError:
        return _found(row)


def _found(row):
    """The row that was there first; taken over when whoever wrote it is gone."""
    first = IdempotencyKey.objects.filter(owner=row.owner, livemode=row.livemode, key=row.key).first()
    if first and first.fingerprint != row.fingerprint:
        detail = "This Idempotency-Key came before with other content. Use a new key for another request."
        raise ApiError("state_conflict", detail, HEADER)
    if first and first.status is not None:
        return first
    now = timezone.now()
    stale = IdempotencyKey.objects.filter(pk=first.pk, status=None, created_at__lt=now - STALE) if first else None
    if stale is None or not stale.update(created_at=now):
        detail = "A request with this Idempotency-Key is being answered right now. Ask again in a moment."
        raise ApiError("state_conflict", detail, HEADER, Retry_After=1)
    first.created_at = now
    return first


def _keep(row, response):
    """Remember an answer for good; one that says “try again” is not remembered."""
    if response.status_code >= 500 or response.status_code == 429:
        row.delete()
        return response
    headers = {name: response[name] for name in CARRIED if name in response}
    body = encrypt(response.content.decode(), PURPOSE)  # it may tell a payer's link
    IdempotencyKey.objects.filter(pk=row.pk).update(status=response.status_code, body=body, headers=headers)
    return response


def _replay(row):
    body = decrypt(row.body, PURPOSE)
    if body is None:  # SECRET_KEY was changed since: it was done, and is not done again
        raise ApiError("state_conflict", "This Idempotency-Key was used before, and its answer can no longer be read.", HEADER)
    return HttpResponse(body, status=row.status, headers=row.headers | {"Idempotent-Replayed": "true"})
