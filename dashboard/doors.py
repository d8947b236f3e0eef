"""What happens at the doors, as events: signing in and out, being refused. ASVS 16.3.

What was typed as a password is never kept, and an address only when it is an account's. Whoever knocks all day leaves
one event a minute and address, so that the trail cannot be flooded from outside.
"""

import logging
import time

from django.core.cache import cache
from django.db import DatabaseError

from dashboard import events
from dashboard.card_numbers import hide_card_numbers
from dashboard.text import clean_text

A_MINUTE = 60
log = logging.getLogger(__name__)


def watch():
    """Listen to what the packages of the sign-in tell: the one place of ours that does. Called once, when apps are ready."""
    from allauth.account.signals import user_logged_in
    from allauth.mfa.signals import authentication_failed
    from django.contrib.auth.signals import user_logged_out, user_login_failed

    user_logged_in.connect(signed_in, dispatch_uid="doors.signed_in")
    user_logged_out.connect(signed_out, dispatch_uid="doors.signed_out")
    user_login_failed.connect(sign_in_failed, dispatch_uid="doors.sign_in_failed")
    authentication_failed.connect(second_step_failed, dispatch_uid="doors.second_step_failed")


def signed_in(request, user, **told):
    """Somebody has passed all steps of the sign-in."""
    events.record("sign_in.succeeded", user, by=user)


def signed_out(request, user, **told):
    """Somebody signed out, or was: their session was too old or left alone."""
    if user and user.pk:
        events.record("sign_in.ended", user, by=user)


def sign_in_failed(credentials, request=None, **told):
    """A password was wrong, or there is no such account."""
    _refused("sign_in.failed", _account(credentials), step="password")


def second_step_failed(request, user, authenticator=None, **told):
    """The password was right and the code was not."""
    _refused("sign_in.failed", user, step="second step")


def sign_in_throttled(credentials):
    """So many tries that nothing is looked at any more for a while."""
    _refused("sign_in.throttled", _account(credentials))


def sign_in_flooded():
    """So many tries of all strangers together that none of theirs is looked at any more. Once a minute in all, not each."""
    about = _nobody()
    _once("sign_in.throttled", "everybody", lambda: events.note("sign_in.throttled", by=None, livemode=True, about=about), "")


def reset_asked(user):
    """A link to choose a new password is mailed to an account: somebody asked for it, whoever they were."""
    _once("user.reset_asked", user.pk, lambda: events.record("user.reset_asked", user, by=None))


def access_denied(request):
    """Somebody signed in asked for what their role may not do."""
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        path = _path(request)
        _once("access.denied", user.pk, lambda: events.record("access.denied", user, by=user, path=path, asked=request.method))


def delivery_refused(gateway, *, livemode):
    """Something came to a webhook's address that the gateway did not sign."""
    _once("webhook.refused", gateway, lambda: events.note("webhook.refused", by=None, livemode=livemode, gateway=gateway))


def _path(request):
    """The address asked for; of one that holds a secret, only its kind. No card number in it is kept."""
    match = request.resolver_match
    secret = match and {"token", "key"} & match.kwargs.keys()
    return hide_card_numbers(clean_text(match.route if secret else request.path))[:200]


def _account(credentials):
    """The account somebody tried, or None: what is no account's address is nobody's business, it may be a password."""
    from dashboard.models import User

    typed = credentials.get("email") or credentials.get("username") or ""
    return User.objects.filter(email=typed.lower()[:254]).first() if "\0" not in typed else None


def _nobody():
    from dashboard.models import User

    return User(pk="")


def _refused(kind, user, **data):
    about = user or _nobody()
    _once(kind, "", lambda: events.note(kind, by=None, livemode=True, about=about, **data))


def _once(kind, who, write, address=None):
    """Write at most once a minute for an address (and whoever it is about). Trouble with it is logged and no more: a
    refusal stays one."""
    address = events.where()["ip"] if address is None else address
    key = f"door:{kind}:{address}:{who}:{int(time.time()) // A_MINUTE}"
    try:
        if cache.add(key, 1, A_MINUTE):
            write()
    except DatabaseError:
        log.exception("%s could not be recorded.", kind)
