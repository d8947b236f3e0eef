"""What every request passes: an id, security headers, the staff session's mode and clock, calm database errors."""

import json
import logging
import secrets
import time
from base64 import urlsafe_b64decode
from contextvars import ContextVar
from urllib.parse import unquote_plus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpResponseNotAllowed, HttpResponseRedirect
from django.utils.http import escape_leading_slashes

from dashboard import errors, events
from dashboard.api.errors import answer, answer_for, problem
from dashboard.card_numbers import find_card_number
from dashboard.limits import TooOften
from dashboard.sessions import ADDRESS, AGENT, SEEN, SINCE
from dashboard.text import clean_text

API = "/api/"
MACHINES = (API, "/webhooks/")  # asked by programs, which would follow a redirect and send their key in the clear for ever

_request_id = ContextVar("request_id", default="-")
SECURITY_HEADERS = {
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
PAYERS = ("/pay/", "/sandbox/")
PAYERS_HEADERS = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer"}


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
    """The headers Django does not set itself. Whatever is not a file everybody may have is never stored by anybody; the
    address of a page behind a payer's link is told to nobody, whatever becomes of the request."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure() and request.path.startswith(MACHINES):
            refuse_plain_http(response)
        for name, value in SECURITY_HEADERS.items():
            response.setdefault(name, value)
        if "public" not in response.get("Cache-Control", ""):
            response["Cache-Control"] = "no-store"
            del response["Expires"]
        for name, value in PAYERS_HEADERS.items() if request.path.startswith(PAYERS) else ():
            response[name] = value
        return response


class PagesTakeForms:
    """Pages are read, and forms are sent to them: any other method is refused before anything else is looked at.

    The packages' own form views would take a PUT for a POST. The API has verbs of its own and says itself which.
    """

    METHODS = ("GET", "HEAD", "OPTIONS", "POST")

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.method in self.METHODS or request.path.startswith(API):
            return self.get_response(request)
        return HttpResponseNotAllowed(self.METHODS)


def refuse_plain_http(response):
    """Make a redirect to https a refusal: the mistake shows at the first try. ASVS 4.1.2."""
    refusal = answer([problem("https_required", "Use https. What was sent here was readable by others on its way.")], 403)
    response.status_code, response.content = refusal.status_code, refusal.content
    response["Content-Type"] = refusal["Content-Type"]
    del response["Location"]


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


def _is_place(text):
    """Whether text is a place in a list as we tell it (dashboard.paging): packed, so that digits in it are chance."""
    try:
        return isinstance(json.loads(urlsafe_b64decode(text + "==")), list)
    except (ValueError, RecursionError):
        return False


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
            ours = name in self.PLACES and all(map(_is_place, values))
            if not ours and find_card_number(unquote_plus("\n".join([name, *values]))):
                del kept[name]
        if len(kept) == len(request.GET):
            return self.get_response(request)
        if request.path.startswith(API):
            return answer([problem("parameter_invalid", self.SENTENCE)], 400)
        messages.error(request, self.SENTENCE)
        path = escape_leading_slashes(request.path)
        return HttpResponseRedirect(f"{path}?{kept.urlencode()}" if kept else path)


class Trouble:
    """What may happen anywhere and is no fault: a database that is away, full, locked, read-only or too slow is 503, and
    whoever asks too often gets 429. Both in a sentence, and with the time to come again."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        if isinstance(exception, TooOften):
            return errors.too_many_requests(request, exception)
        if not isinstance(exception, errors.DATABASE):
            return None
        logging.getLogger(__name__).error("database trouble: %s", exception)
        return errors.database_trouble(request)
