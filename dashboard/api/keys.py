"""Secret keys of the API: made, rolled, revoked, and found again by what a request shows."""

import ipaddress
import secrets
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard import events
from dashboard.models import ApiKey
from dashboard.permissions import PERMISSIONS
from dashboard.states import DomainError
from dashboard.tokens import hash_token

AREAS = ("customers", "billing")
SCOPES = {  # scope: what it lets a key do, in words
    "read": "Read everything",
    "write": "Read and change everything, take and refund payments",
    "customers:read": "Read customers, addresses and comments",
    "customers:write": "Read and change customers, addresses and comments",
    "billing:read": "Read payments, statements, coupons, links and subscriptions",
    "billing:write": "Read and change payments, statements and the like, take and refund payments",
}
SHORT = {  # the same in a list's column
    "read": "Read everything",
    "write": "Change everything",
    "customers:read": "Read customers",
    "customers:write": "Change customers",
    "billing:read": "Read billing",
    "billing:write": "Change billing",
}
MOST = 20  # usable personal tokens of one person and mode
OVERLAPS = {0: "at once", 1: "in 1 hour", 24: "in 24 hours", 72: "in 3 days", 168: "in 7 days"}  # hours
USED = timedelta(minutes=1)  # how exactly we know when a key was last used


def may(scopes, area, writing):
    """Whether some of the scopes let a request read or change an area. No scope reaches beyond the areas."""
    good = {"write", f"{area}:write"} | (set() if writing else {"read", f"{area}:read"})
    return area in AREAS and bool(good & set(scopes))


def scopes_for(user):
    """{scope: words} of what a person's token can be good for: who changes nothing in an area is offered reading alone."""
    return {scope: words for scope, words in SCOPES.items() if not scope.endswith("write") or _changes(user, scope)}


def _changes(user, scope):
    areas = AREAS if scope == "write" else [scope.partition(":")[0]]
    writing = [p for p in PERMISSIONS if p.startswith(tuple(f"{area}." for area in areas)) and ".view_" not in p]
    return any(user.has_perm(permission) for permission in writing)


@transaction.atomic
def create_key(*, name, livemode, scopes, by, user=None, addresses=(), expires_at=None, form_key=""):
    """Make a key. Returns (key, its secret): the secret is told this once and not kept.

    `user` makes it a personal token. `form_key` is 24 hex digits that name the key, so that a form sent twice makes one.
    Raises DomainError for an unknown scope, none at all, a network that is not one, an expiry in the past, somebody
    else's personal token, or a form that was sent before.
    """
    name = name.strip()
    if not name:
        raise DomainError("Give the key a name, so that you know later where it is used.")
    _refuse_scopes(scopes)
    if user and by and user.pk != by.pk:
        raise DomainError("A personal token is made by the person it is for.")
    if user and user.api_keys.usable().filter(livemode=livemode).count() >= MOST:
        raise DomainError(f"You have {MOST} tokens already. Revoke one that is not needed any more.")
    if expires_at and expires_at <= timezone.now():
        raise DomainError("The key would have expired already. Choose a later time.")
    key = ApiKey(
        livemode=livemode,
        name=name[:60],
        scopes=sorted(set(scopes)),
        addresses=networks(addresses),
        user=user,
        created_by=by,
        expires_at=expires_at,
        **({"pk": f"key_{form_key}"} if form_key else {}),
    )
    secret = _save(key)
    events.record("api_key.created", key, by=by, name=key.name, scopes=key.scopes)
    return key, secret


def _save(key):
    """Store a new key by its secret's digest; the secret itself is returned, and nowhere else."""
    secret = key.prefix + secrets.token_urlsafe(32)
    key.hashed, key.hint = hash_token(secret), secret[-4:]
    try:
        with transaction.atomic():
            key.save(force_insert=True)
    except IntegrityError:
        raise DomainError("This form made a key already. Its secret was shown then, once. Go back and start anew.") from None
    return secret


def _refuse_scopes(scopes):
    if not scopes:
        raise DomainError("Choose at least one scope: a key without any can do nothing.")
    if wrong := sorted(set(scopes) - SCOPES.keys()):
        raise DomainError(f"There is no scope “{wrong[0]}”. The scopes are {', '.join(SCOPES)}.")


def networks(texts):
    """Networks as text, such as 203.0.113.0/24, each in its usual form. Raises DomainError naming a wrong one."""
    found = []
    for text in texts:
        try:
            found.append(str(ipaddress.ip_network(text.strip(), strict=False)))
        except ValueError:
            raise DomainError(f"“{text[:60]}” is not an IP address or network such as 203.0.113.0/24.") from None
    return list(dict.fromkeys(found))


@transaction.atomic
def roll_key(key, *, by, hours=24, expires_at=None, form_key=""):
    """Make another key like this one; this one works on for so many hours. Returns (new key, its secret).

    Raises DomainError for a key that is revoked or expired, another person's token, and as create_key does.
    """
    old = _lock(key)
    if old.user_id and old.user_id != (by.pk if by else None):
        raise DomainError("A personal token is rolled by the person it is for.")
    if old.status != "active":
        raise DomainError(f"This key is {old.status}. Create a new one instead.")
    if hours not in OVERLAPS:
        raise DomainError(f"The old key can end {', '.join(OVERLAPS.values())}.")
    same = {"livemode": old.livemode, "scopes": old.scopes, "addresses": old.addresses, "user": old.user}
    _end_by(old, timezone.now() + timedelta(hours=hours))
    new, secret = create_key(name=old.name, by=by, expires_at=expires_at, form_key=form_key, **same)
    events.record("api_key.rolled", old, by=by, name=old.name, new=new.pk, hours=hours)
    return new, secret


def _end_by(key, moment):
    """Let a key expire then, unless it does before."""
    if not key.expires_at or moment < key.expires_at:
        key.expires_at = moment
        ApiKey.objects.filter(pk=key.pk).update(expires_at=moment)


@transaction.atomic
def revoke_key(key, *, by):
    """End a key at once. Raises DomainError when it is revoked already."""
    key = _lock(key)
    if key.revoked_at:
        raise DomainError("This key is revoked already.")
    key.revoked_at = timezone.now()
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=key.revoked_at)
    events.record("api_key.revoked", key, by=by, name=key.name)
    return key


def _lock(key):
    return ApiKey.objects.select_for_update(of=("self",), no_key=True).select_related("user").get(pk=key.pk)


def find_key(secret):
    """The key of a secret, with its person; None when there is none that can be used."""
    key = ApiKey.objects.usable().filter(hashed=hash_token(secret)).select_related("user").first()
    return key if key and (not key.user or key.user.is_active) and secret.startswith(key.prefix) else None


def taken_from(key, address):
    """Whether a key may be used from an IP address."""
    if not key.addresses:
        return True
    try:
        here = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(here in ipaddress.ip_network(network) for network in key.addresses)


def note_use(key, now=None):
    """Remember that the key is in use; at most one write a minute."""
    now = now or timezone.now()
    if not key.last_used_at or now - key.last_used_at >= USED:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)
