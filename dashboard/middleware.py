"""What every request passes: an id, security headers, the staff session's mode and clock, calm database errors."""

import logging
import secrets
import time
from contextvars import ContextVar
from urllib.parse import unquote_plus

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.db import InternalError, OperationalError
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.utils.http import escape_leading_slashes

from dashboard.card_numbers import find_card_number

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
        response = self.get_response(request)
        response["X-Request-ID"] = request.id
        return response


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


class StaffSession:
    """Sets request.livemode from the session, and signs out a session that is too old or was left alone for a while."""

    RENEW = 60  # seconds between writes of "last seen": a page view is not a database write

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.livemode = False
        if request.user.is_authenticated:
            now, seen = int(time.time()), request.session.get("seen")
            since = request.session.setdefault("since", now)
            if now - since > settings.SESSION_COOKIE_AGE or (seen and now - seen > settings.SESSION_IDLE_SECONDS):
                logout(request)
            else:
                if not seen or now - seen > self.RENEW:
                    request.session["seen"] = now
                request.livemode = bool(request.session.get("livemode"))
        return self.get_response(request)


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
        if not isinstance(exception, (OperationalError, InternalError)):
            return None
        logging.getLogger(__name__).error("database trouble: %s", exception)
        response = render(request, "503.html", status=503)
        response["Retry-After"] = "5"
        return response
