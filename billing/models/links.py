"""Secret links for payers. Neither the link nor anything that leads to it without SECRET_KEY is in the database.

A row holds a random nonce and the SHA-256 of its token; the token is an HMAC of id and nonce under SECRET_KEY.
So a payer's token is looked up by its hash, staff pages can show the link again, and a copy of the database
opens no page. After a change of SECRET_KEY old links still work; SECRET_KEY_FALLBACKS lets staff see them.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode

from django.conf import settings
from django.db import models

from dashboard.tokens import hash_token, new_nonce


def make_token(pk, nonce, key=None):
    """The 256-bit token of a row, 43 URL-safe characters."""
    secret = hashlib.sha256(b"counterfoil.pay-link" + (key or settings.SECRET_KEY).encode()).digest()
    return urlsafe_b64encode(hmac.digest(secret, f"{pay_scope(pk)}:{nonce}".encode(), "sha256")).decode().rstrip("=")


def pay_scope(pk):
    return f"pay:{pk}"


class HasLink(models.Model):
    """Mixin for a record a payer opens by a secret link. Call `seal()` before the first save."""

    token_nonce = models.CharField(max_length=32, default=new_nonce, editable=False)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)

    class Meta:
        abstract = True

    def seal(self):
        """Set the stored hash from the derived token. Returns the record."""
        self.token_hash = hash_token(make_token(self.pk, self.token_nonce))
        return self

    @property
    def token(self):
        """The token, or "" when the key it was made with is gone."""
        made = (make_token(self.pk, self.token_nonce, key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))
        return next((t for t in made if hmac.compare_digest(hash_token(t), self.token_hash)), "")
