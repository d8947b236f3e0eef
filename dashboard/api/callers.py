"""Who calls the API: a key, a person's token, or a signed-in member of staff."""

from django.conf import settings
from django.middleware.csrf import CsrfViewMiddleware
from django.utils.functional import cached_property

from dashboard import events
from dashboard.api import keys
from dashboard.api.errors import ApiError
from dashboard.limits import Limit, network
from dashboard.middleware import address_of
from dashboard.permissions import PERMISSIONS, allowed

SAFE = ("GET", "HEAD", "OPTIONS")
_rate = settings.API_REQUESTS_PER_MINUTE / 60
REQUESTS = Limit("api", rate=_rate, burst=max(1, settings.API_REQUESTS_PER_MINUTE // 4), share=10, lenient=True)
GUESSES = Limit("api-guess", rate=20 / 60, burst=20)  # wrong keys from an address


class Caller:
    """The API's counterpart of request.user: it holds permissions of the table, narrowed by the scopes of its key."""

    is_authenticated = is_active = True

    def __init__(self, *, livemode, user=None, key=None):
        self.livemode, self.user, self.key = livemode, user, key

    @property
    def by(self):
        """Whom the domain records: a person, or None for a key that is nobody's."""
        return self.user

    @property
    def pk(self):
        """Names the caller: its limits and idempotency keys are its own."""
        return self.key.pk if self.key else self.user.pk

    @property
    def role(self):
        """What it sees in lists: a person's role, or "api"."""
        return self.user.role if self.user else "api"

    @cached_property
    def list_columns(self):
        return {}

    def has_perm(self, permission):
        """Whether the caller's person, if there is one, holds a permission of the table."""
        return allowed(self.user, permission) if self.user else permission in PERMISSIONS

    def require(self, permission, writing):
        """Raise ApiError (403) unless the caller holds the permission and its key's scopes cover it."""
        area = (permission or "").partition(".")[0]
        if not self.has_perm(permission):
            raise ApiError("permission_denied", "Your role does not allow this.")
        if self.key and not keys.may(self.key.scopes, area, writing):
            needed = f"{area}:{'write' if writing else 'read'}"
            raise ApiError("permission_denied", f"This key lacks the scope {needed}.")


class _Csrf(CsrfViewMiddleware):
    def _reject(self, request, reason):
        return reason


def find_caller(request):
    """The request's Caller. Raises ApiError 401 without a valid key or session, 403 from a wrong network, 429."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme:
        return _key_caller(request, secret.strip() if scheme.lower() == "bearer" else "")
    if request.user.is_authenticated:
        return _session_caller(request)
    raise ApiError("auth_invalid", "Send an API key: Authorization: Bearer sk_test_…", WWW_Authenticate="Bearer")


def _key_caller(request, secret):
    address = address_of(request)
    key = keys.find_key(secret) if len(secret) < 200 and secret.startswith(("sk_test_", "sk_live_")) else None
    if not key:
        GUESSES.spend(network(address))
        detail = "This API key is not known, or it has expired or was revoked."
        raise ApiError("auth_invalid", detail, WWW_Authenticate="Bearer")
    if not keys.taken_from(key, address):
        raise ApiError("permission_denied", "This key is not taken from your network.")
    keys.note_use(key)
    return Caller(livemode=key.livemode, user=key.user, key=key)


def _session_caller(request):
    """Staff in their browser, in the mode they work in; what changes data needs the CSRF token."""
    if request.method not in SAFE:
        check = _Csrf(lambda request: None)
        check.process_request(request)
        if reason := check.process_view(request, None, (), {}):
            raise ApiError("permission_denied", f"The CSRF token is missing or wrong: {reason}")
    return Caller(livemode=request.livemode, user=request.user)


def acting(request, caller):
    """What events record of whoever calls by a key."""
    return events.acting(actor="api", key=caller.key.pk) if caller.key else events.acting()
