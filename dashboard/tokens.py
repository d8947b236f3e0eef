"""Secrets that open something: a payer's link, an invitation, an API key. The database holds only what they hash to."""

import hashlib
import secrets


def new_nonce():
    """128 random bits, as hex: what a token is derived from under SECRET_KEY."""
    return secrets.token_hex(16)


def hash_token(token):
    """What is stored of a token: 256 random bits need no salt and no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
