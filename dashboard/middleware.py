"""What every request passes: an id, security headers, the staff session's mode and clock, calm database errors."""

import logging
import secrets
import time
from contextvars import ContextVar
from urllib.parse import unquote_plus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpResponseRedirect
from django.utils.cache import patch_cache_control
from django.utils.http import escape_leading_slashes

from dashboard import errors, events
from dashboard.api.errors import answer, answer_for, problem
from dashboard.card_numbers import find_card_number
from dashboard.sessions import ADDRESS, AGENT, SEEN, SINCE
from dashboard.text import clean_text

API = "/api/"

_request_id = ContextVar("request_id", default="-")
SECURITY_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


class RequestIdFilter(logging.Filter):
    def filter(self, record):
        record.request_id = _request_id.get()
        return True


class RequestId:
    """Names each request, in the log, the response and on error pages, so that staff can quote it."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.id = secrets.token_hex(6)
        _request_id.set(request.id)
        with events.acting(ip=address_of(request), request_id=request.id):  # of every event recorded on the way
            response = self.get_response(request)
        response["X-Request-ID"] = request.id
        return response


class ApiSpeaksJson:
    """Whatever goes wrong below /api/, wherever it goes wrong, is told as the API tells errors: never as a page."""

    KEPT = ("Allow", "Retry-After")

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if not request.path.startswith(API) or response.status_code < 400 or response["Content-Type"] == "application/json":
            return response
        return answer_for(response.status_code, {name: response[name] for name in self.KEPT if name in response})


class SecurityHeaders:
    """The headers Django does not set itself; pages are never stored by a browser or proxy."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        for name, value in SECURITY_HEADERS.items():
            response.setdefault(name, value)
        if "Cache-Control" not in response:
            patch_cache_control(response, no_store=True)
        return response


class Sessions(SessionMiddleware):
    """Django's own; a page that only reads is shown although the database takes no write for "last seen"."""

    def process_response(self, request, response):
        try:
            return super().process_response(request, response)
        except (SessionInterrupted, *errors.DATABASE) as error:
            if not errors.is_database_trouble(error):
                raise
            logging.getLogger(__name__).warning("a session was not saved: %s", error)
            return response if request.method in ("GET", "HEAD") else errors.database_trouble(request)


class StaffSession:
    """Sets request.livemode from the session, and signs out a session that is too old or was left alone for a while."""

    RENEW = 60  # seconds between writes of "last seen": a page view is not a database write

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.livemode = False
        if request.user.is_authenticated:
            now, seen = int(time.time()), request.session.get(SEEN)
            since = request.session.setdefault(SINCE, now)
            if now - since > settings.SESSION_COOKIE_AGE or (seen and now - seen > settings.SESSION_IDLE_SECONDS):
                logout(request)
            else:
                if not seen or now - seen > self.RENEW:
                    request.session.update({SEEN: now, **_where_from(request)})
                request.livemode = bool(request.session.get("livemode"))
        return self.get_response(request)


def _where_from(request):
    """What a person recognises a session of theirs by."""
    return {ADDRESS: address_of(request), AGENT: clean_text(request.headers.get("User-Agent", ""), 300)}


def address_of(request):
    """The IP address a request comes from, as far as our own proxies vouch for it; empty when that cannot be told."""
    try:
        from allauth.account.adapter import get_adapter  # needs the apps; the log's filter is loaded before them

        return get_adapter().get_client_ip(request)[:45]
    except (PermissionDenied, ImproperlyConfigured):  # PROXIES says more than stand there
        return ""


class NoCardNumbersInAddresses:
    """Leads on without the parameters that hold a card number: a search box, a saved view and the log keep none."""

    PLACES = ("after", "before")  # of a page in a list, told by ourselves
    SENTENCE = "What you typed looks like a payment card number. It was not searched for and is not kept."

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not (request.META.get("QUERY_STRING") and find_card_number(unquote_plus(request.META["QUERY_STRING"]))):
            return self.get_response(request)
        kept = request.GET.copy()
        for name, values in request.GET.lists():
            if name not in self.PLACES and find_card_number(unquote_plus("\n".join([name, *values]))):
                del kept[name]
        if len(kept) == len(request.GET):
            return self.get_response(request)
        if request.path.startswith(API):
            return answer([problem("parameter_invalid", self.SENTENCE)], 400)
        messages.error(request, self.SENTENCE)
        path = escape_leading_slashes(request.path)
        return HttpResponseRedirect(f"{path}?{kept.urlencode()}" if kept else path)


class DatabaseTrouble:
    """A database that is away, full, locked or read-only is 503 with a sentence, not a stack trace."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        if not isinstance(exception, errors.DATABASE):
            return None
        logging.getLogger(__name__).error("database trouble: %s", exception)
        return errors.database_trouble(request)
