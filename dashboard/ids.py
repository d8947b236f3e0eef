"""Public ids: one id per record, the primary key, the same text in URLs, exports and the database.

`cus_0193f0c1d2a7b34e5f607182` is a type prefix and 12 bytes in hex: 48 bits of Unix milliseconds,
then 48 random bits, so ids sort by creation. Ids are names, not secrets.
"""

import os
import re
import secrets
import threading
import time

from django.core.exceptions import ValidationError
from django.db import models

from dashboard.fields import ByteOrderedField

HEX = r"[0-9a-f]{24}"
_BARE = re.compile(HEX)
_lock = threading.Lock()
_last = 0


def new_hex():
    """24 hex digits greater than any this process gave before (within a millisecond it counts on)."""
    global _last
    with _lock:
        now = time.time_ns() // 1_000_000
        _last = now << 48 | secrets.randbits(47) if now > _last >> 48 else _last + 1 + int.from_bytes(os.urandom(2))
        return f"{_last:024x}"


def bare(public_id):
    """The 24 hex digits of a public id: the form Paydock's API calls `_id`."""
    return public_id.rpartition("_")[2]


class PublicIdField(ByteOrderedField):
    """A primary key with a type prefix; the bare 24 hex digits are accepted wherever one looks up."""

    def __init__(self, prefix, **kwargs):
        self.prefix = prefix
        kwargs |= {"primary_key": True, "editable": False, "max_length": len(prefix) + 25, "default": self.new}
        super().__init__("ID", **kwargs)

    def new(self):
        return f"{self.prefix}_{new_hex()}"

    def deconstruct(self):
        name, path, _args, kwargs = super().deconstruct()
        for given in ("primary_key", "editable", "max_length", "default", "verbose_name"):
            kwargs.pop(given, None)
        return name, path, [self.prefix], kwargs

    def to_python(self, value):
        value = super().to_python(value)
        if value is None or value.startswith(f"{self.prefix}_"):
            return value
        if _BARE.fullmatch(value):
            return f"{self.prefix}_{value}"
        raise ValidationError(f"“{value[:40]}” is not an ID of this kind.", code="invalid")

    def get_prep_value(self, value):
        """Anything may be looked up: another kind's id, or nonsense, finds nothing."""
        value = models.Field.get_prep_value(self, value)
        return f"{self.prefix}_{value}" if isinstance(value, str) and _BARE.fullmatch(value) else value


class PublicIdConverter:
    """URL path part for any public id, with or without its prefix."""

    regex = rf"(?:[a-z_]+_)?{HEX}"

    def to_python(self, value):
        return value

    def to_url(self, value):
        return str(value)
