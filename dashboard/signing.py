"""Signatures of events and seals: what this installation wrote, told from what anybody else put into the database.

A signature is an HMAC of the record's content under a key derived from SECRET_KEY. Whoever reaches the database but
not the key can neither change an event nor add one without its showing. Whoever holds the key can do both.
"""

import hmac
from datetime import UTC
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

COLUMNS = (  # of an event, in the order they are signed in; everything but the signature itself
    *("id", "type", "object_type", "object_id", "customer_id", "livemode", "by_id", "actor", "ip", "request_id"),
    *("changes", "data", "created_at"),
)
LENGTH = 32  # hex digits kept: 128 bits
_PURPOSE = b"counterfoil: the audit trail, 1"
_encode = DjangoJSONEncoder(sort_keys=True, separators=(",", ":")).encode


def sign(text):
    """The signature of bytes, under the key in use."""
    return _signature(_key(settings.SECRET_KEY), text)


def is_signed(text, signature):
    """Whether a signature of bytes is ours, made under SECRET_KEY or one of SECRET_KEY_FALLBACKS."""
    return any(
        hmac.compare_digest(_signature(_key(secret), text), signature)
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )


def sign_event(fields):
    """The signature of an event, of {column: value} with all COLUMNS."""
    return sign(content([fields[name] for name in COLUMNS]))


def signer_of_alike(common):
    """A function (id, object_id, customer_id) that signs events which have all else of COLUMNS in common."""
    alike = content([common[name] for name in COLUMNS if name not in ("id", "object_id", "customer_id")])
    kind, object_type = quoted(common["type"]), quoted(common["object_type"])
    rest = alike.decode().removeprefix(f"[{kind},{object_type}")

    def sign_one(event_id, object_id, customer_id):
        ids = f"{quoted(event_id)},{kind},{object_type},{quoted(object_id)},{quoted(customer_id)}"
        return sign(f"[{ids}{rest}".encode())

    return sign_one


def content(values):
    """The bytes of an event that are signed: its COLUMNS' values, the same whichever database gives them back."""
    *plain, changes, data, at = values
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    return _encode([*plain, _settled(changes), _settled(data), moment]).encode()


def _settled(value):
    """JSON as both databases give it back: PostgreSQL makes whole numbers of some fractions."""
    if isinstance(value, dict):
        return {k: _settled(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_settled(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _signature(key, text):
    return hmac.digest(key, text, "sha256").hex()[:LENGTH]


@lru_cache(maxsize=8)
def _key(secret):
    return hmac.digest(secret.encode(), _PURPOSE, "sha256")
