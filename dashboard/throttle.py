"""How often passwords are looked at: for one address, one account and everybody together, before anything is hashed.

Nobody is locked out for good: each wrong try makes the next wait, a minute at first, later half an hour. And nobody can
lock others out: a browser its owner has signed in with before has tries of its own, which neither a flood nor somebody
guessing at the account can use up; so has somebody who is signed in and confirms it. What turns out right is given back.
While the database takes no writes, no password is looked at.
"""

import secrets

from django.conf import settings
from django.core import signing
from django.utils.crypto import salted_hmac

from dashboard import limits
from dashboard.limits import Limit, TooOften, network
from dashboard.middleware import address_of

ADDRESS = Limit("sign-in-address", rate=10 / 60, burst=10)
ACCOUNT = Limit("sign-in-account", rate=1 / 60, burst=5)
ACCOUNT_DAY = Limit("sign-in-account-day", rate=40 / 86400, burst=40)
EVERYBODY = Limit("sign-in", rate=1, burst=30)  # a hash takes a core half a second: a flood gets half of one
BROWSER = Limit("sign-in-browser", rate=1 / 60, burst=5)
CONFIRM = Limit("sign-in-confirm", rate=1 / 60, burst=5)  # somebody signed in, who says that it is still them
COOKIE = "__Host-known" if settings.SECURE else "known"
COOKIE_AGE = 90 * 24 * 3600
SALT = "dashboard.throttle"
_flooded_until = 0.0  # what this process found out: until then there is no token for strangers


class Flood(TooOften):
    """All strangers together have no tries left. `noticed`: by asking the database, not by remembering."""

    def __init__(self, seconds, noticed):
        super().__init__(seconds)
        self.noticed = noticed


def spend(request, email):
    """Count a try. Raises TooOften when it is one too many for any of those it counts for."""
    request.tries, counted = [], _counted(request, email.lower())
    if (EVERYBODY, "all") in counted and limits.now() < _flooded_until:
        raise Flood(1, noticed=False)  # four writes for each try would be what a flood is after
    for limit, who in counted:
        try:
            limit.spend(who)
        except TooOften as error:
            raise _flooded(error.seconds) if limit is EVERYBODY else error
        request.tries.append((limit, who))


def _flooded(seconds):
    """Remember it until the next token is there, and tell it."""
    global _flooded_until
    _flooded_until = limits.now() + 1 / EVERYBODY.rate
    return Flood(seconds, noticed=True)


def give_back(request):
    """The password was right: the try counts for nobody. It was one hash all the same."""
    for limit, who in getattr(request, "tries", ()):
        if limit is not EVERYBODY:
            limit.give_back(who)


def _counted(request, email):
    """The limits a try counts for, and for whom."""
    if request.user.is_authenticated:
        return [(CONFIRM, request.user.pk)]
    account = _account(email)
    if browser := _known_browser(request, account):
        return [(BROWSER, browser)]
    return [(ADDRESS, network(address_of(request))), (ACCOUNT, account), (ACCOUNT_DAY, account), (EVERYBODY, "all")]


def _account(email):
    """An account's name in buckets and cookies: whether there is one or not, and not to be read as an address."""
    return salted_hmac(SALT, email.encode("utf-8", "surrogatepass"), algorithm="sha256").hexdigest()[:32]


def _known_browser(request, account):
    """The name of a browser this account was signed in with before, or ""."""
    try:
        told = request.get_signed_cookie(COOKIE, default="", salt=SALT, max_age=COOKIE_AGE)
    except signing.BadSignature:
        return ""
    whose, _, name = told.partition(".")
    return name if whose == account else ""


def remember_browser(request, response, user):
    """Let the browser be known from now on: somebody has passed all steps of the sign-in with it."""
    account = _account(user.email.lower())
    name = _known_browser(request, account) or secrets.token_hex(16)
    how = {"max_age": COOKIE_AGE, "httponly": True, "secure": settings.SECURE, "samesite": "Lax"}
    response.set_signed_cookie(COOKIE, f"{account}.{name}", salt=SALT, **how)
