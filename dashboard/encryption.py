"""Text that the database keeps and that a copy of the database is not to tell: encrypted under SECRET_KEY.

Fernet (AES-128-CBC with HMAC-SHA256) of the cryptography package, with a key of its own for each purpose. What was
encrypted under one of SECRET_KEY_FALLBACKS is still read.
"""

import base64
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


def encrypt(text, purpose):
    """The text, unreadable."""
    return _cipher(purpose).encrypt(text.encode()).decode()


def decrypt(token, purpose):
    """What encrypt() was given; None when it was for another purpose, or under a key that is gone."""
    try:
        return _cipher(purpose).decrypt(token.encode()).decode()
    except InvalidToken:
        return None


def _cipher(purpose):
    return MultiFernet([_key(secret, purpose) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)])


@lru_cache(maxsize=16)
def _key(secret, purpose):
    return Fernet(base64.urlsafe_b64encode(hmac.digest(secret.encode(), f"counterfoil.encrypt:{purpose}".encode(), "sha256")))
