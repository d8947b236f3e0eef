"""The log: one line for each request and each thing that went wrong, as text or JSON, without secrets or personal data.

What a request sent (cookies, keys, form values) is known while it runs, so those very values are taken out of whatever
is logged meanwhile; what has the form of a secret, an e-mail address or a card number goes anyway.
"""

import json
import logging
import re
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder

from dashboard.card_numbers import Formatter, hide_card_numbers

_request = ContextVar("request", default=None)
HIDDEN = "…"
QUIET = ("/healthz", "/readyz")  # asked every few seconds; a 200 of theirs says nothing
LEAST = 6  # characters of a value that was sent: shorter ones stand everywhere by chance
LONGEST = 10_000  # characters of a line
access = logging.getLogger("dashboard.access")


class AccessLog:
    """One line for each request: who, from where, what, how it ended and how long it took. Never the query string."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        token, began = _request.set(request), time.perf_counter()
        try:
            response = self.get_response(request)
            level = logging.DEBUG if _is_noise(request, response) else logging.INFO
            if access.isEnabledFor(level):
                ended = {"status": response.status_code, "ms": round((time.perf_counter() - began) * 1000, 1)}
                access.log(level, "%s %s %d", request.method, shown_path(request), response.status_code, extra=ended)
            return response
        finally:
            _request.reset(token)


def _is_noise(request, response):
    return request.path.startswith(settings.STATIC_URL) or (request.path in QUIET and response.status_code == 200)


# --- what may not be seen ----------------------------------------------------------------------------------
_PATHS = re.compile(r"(/pay/(?!return/)[a-z]+/|/invitation/|/password/reset/key/)[^/\s?\"']+")
_DETAIL = re.compile(r"(DETAIL:|LINE \d+:).*?(?=\n(?:HINT|CONTEXT|DETAIL|The above|During|Traceback|  File|\s*$)|\Z)", re.S)
_NAMED = re.compile(
    r"""(?ix) ( \b [\w-]{0,40} (?:authorization|cookie|passw(?:or)?d|passphrase|secret|token|api[_-]?key|session|csrf\w*)
        ["']? \s{0,3} [:=] \s{0,3} )
        (?: (?:bearer|basic|token) \s+ \S+ | "[^"\n]*" | '[^'\n]*' | [^\s,;&)]+ (?: ; \s* [\w-]+ = [^\s;,]+ )* )"""
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}")
_IN_ADDRESS = re.compile(r"(://[^\s/:@]{0,64}:)[^\s/@]+@")
_EMAIL = re.compile(r"[^\s@<>\"'(),:;=\[\]&?]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63})+")
_WORD = re.compile(r"(?<![\w-])[A-Za-z0-9_-]{20,}(?![\w-])")
_PUBLIC_ID = re.compile(r"[a-z]+(?:_[a-z]+)?_[0-9a-f]{24}|[0-9a-f]{24}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PIECE = r"(?:[A-Za-z]+|\d+|[0-9a-f]{6,8})"  # words, numbers and the short digests at the end of an index's name …
_ORDINARY = re.compile(rf"{_PIECE}(?:[_-]+{_PIECE})*_*")  # … are what identifiers are made of


def scrub(text, sent=()):
    """Text without what has the form of a secret, an e-mail address or a card number, and without the values in `sent`."""
    for value in sent:
        text = text.replace(value, HIDDEN)
    text = _PATHS.sub(rf"\1{HIDDEN}", text)
    text = _DETAIL.sub(rf"\1 {HIDDEN}", text)
    text = _IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)
    text = _NAMED.sub(rf"\1{HIDDEN}", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _EMAIL.sub(HIDDEN, text)
    text = _WORD.sub(lambda found: HIDDEN if is_secret(found[0]) else found[0], text)
    return hide_card_numbers(text)


def is_secret(word):
    """Whether a long word looks drawn by lot: not a public id, not made of words and numbers."""
    if _PUBLIC_ID.fullmatch(word):
        return False
    if _ORDINARY.fullmatch(word):  # forty letters without a break are no word either
        return any(len(part) >= 40 for part in re.split(r"[_-]", word))
    return any(c.isdigit() for c in word) or any(c.isupper() for c in word)


def sent_values(request):
    """What a request sent that may be private, the longest first. Reads only what was read already."""
    if request is None:
        return []
    found = [*request.COOKIES.values(), *(request.headers.get(name, "") for name in ("Authorization", "Cookie", "X-Api-Key"))]
    for form in (request.__dict__.get("_post"), request.__dict__.get("GET")):
        found += [spelled for _, values in form.lists() for value in values for spelled in _spellings(value)] if form else []
    if isinstance(body := request.__dict__.get("_body"), bytes) and "json" in request.headers.get("Content-Type", ""):
        found += re.findall(r'"((?:[^"\\]|\\.)*)"\s*[,}\]]', body[:200_000].decode("utf-8", "replace"))
    found += [str(value) for value in _arguments(request).values() if not _PUBLIC_ID.fullmatch(str(value))]
    return sorted({v.strip() for v in found if isinstance(v, str) and len(v.strip()) >= LEAST}, key=len, reverse=True)


def _spellings(value):
    """A value of a form, and how it may stand in an address or a body."""
    return {value, quote_plus(value, errors="replace"), quote(value, errors="replace"), quote(value, safe="", errors="replace")}


def _arguments(request):
    match = getattr(request, "resolver_match", None)
    return match.kwargs if match else {}


def shown_path(request):
    """A request's path without the parts that open something to whoever knows them."""
    path = request.path
    for name, value in _arguments(request).items():
        if "token" in name or name in ("key", "uidb36"):
            path = path.replace(str(value), HIDDEN)
    return scrub(path)


# --- formats -----------------------------------------------------------------------------------------------
_CONTROLS = {n: f"\\x{n:02x}" for n in (*range(32), *range(127, 160))} | {10: "\\n", 13: "\\r", 9: "\\t"}
_CONTROLS |= {n: f"\\u{n:04x}" for n in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))}


class Scrubbed(Formatter):
    """What both formats share. `about(record)` is all a line tells, as a dict."""

    def about(self, record):
        request = _request_of(record)
        sent = [] if record.name == access.name else sent_values(request)
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": scrub(record.getMessage()[:LONGEST], sent),
            "request": getattr(request, "id", None) or getattr(record, "request_id", None),
        }
        if request is not None:
            told |= {"user": _user(request), "ip": _address(request), "method": request.method, "path": shown_path(request)}
        told |= {name: getattr(record, name, None) for name in ("status", "ms")}
        if record.exc_info:
            told["exception"] = scrub(self.formatException(record.exc_info)[-LONGEST:], sent)
        return {name: value for name, value in told.items() if value not in (None, "", "-")}


class JsonLines(Scrubbed):
    """Each line is one JSON object; time is UTC."""

    def format(self, record):
        return json.dumps(self.about(record), cls=DjangoJSONEncoder)


class Lines(Scrubbed):
    """For people: one line, and below it, indented, where it went wrong. Nothing anybody sends can begin a line."""

    def format(self, record):
        told = self.about(record)
        line = f"{told['time']} {told['level']} {told['logger']} [{told.get('request', '-')}] {told['message']}"
        if record.name == access.name:
            line += f" {told.get('ms')}ms {told.get('user', '-')} {told.get('ip', '-')}"
        below = [f"    {text.translate(_CONTROLS)}" for text in told.get("exception", "").splitlines()]
        return "\n".join([line.translate(_CONTROLS), *below])


def _request_of(record):
    request = getattr(record, "request", None)  # Django's own loggers say which
    return request if hasattr(request, "COOKIES") else _request.get()


def _user(request):
    """The person's id, if somebody asked for it already: the log asks the database nothing."""
    return getattr(request.__dict__.get("_cached_user"), "pk", None)


def _address(request):
    from dashboard.middleware import address_of

    return address_of(request)
