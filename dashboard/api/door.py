"""The API's door: every request passes it, every answer leaves by it. Nothing but JSON comes out."""

import json
import logging
from functools import wraps

from django.core.exceptions import RequestDataTooBig
from django.db import InternalError, OperationalError
from django.http import Http404
from ninja import NinjaAPI, Router, Schema
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from ninja.renderers import JSONRenderer
from ninja.security.http import HttpAuthBase

from dashboard.api import callers, idempotency
from dashboard.api.errors import ApiError, answer, answer_for, problem
from dashboard.api.fields import problems_of, watching
from dashboard.limits import TooOften
from dashboard.states import DomainError, Duplicate

MOST = 256 * 1024  # bytes of a body
DEEP = 20  # objects within objects
log = logging.getLogger(__name__)


class Problem(Schema):
    code: str
    detail: str
    parameter: str | None = None


class Errors(Schema):
    """What went wrong. `code` is for programs, `detail` for people, `parameter` names what it is about."""

    errors: list[Problem]

    model_config = {
        "json_schema_extra": {
            "example": {"errors": [{"code": "parameter_required", "detail": "name is required.", "parameter": "name"}]}
        }
    }


READ = (400, 401, 403, 404, 413, 429, 503)
WRITE = (*READ, 409)


def reads(schema):
    """Responses of an operation that reads."""
    return {200: schema} | dict.fromkeys(READ, Errors)


def writes(schema, status=200):
    """Responses of an operation that changes something."""
    return {status: schema} | dict.fromkeys(sorted(WRITE), Errors)


class Resource(Router):
    """The operations about one noun. Keys that were not set are not told, and `_id` is told under that name."""

    def api_operation(self, methods, path, **about):
        return super().api_operation(methods, path, **about | {"by_alias": True, "exclude_unset": True})


class ApiKeyAuth(HttpAuthBase):
    """A secret key, as `Authorization: Bearer sk_test_…`. The door has looked at it already."""

    openapi_scheme = "bearer"

    def __call__(self, request):
        return request.auth


class Readable(JSONRenderer):
    """JSON in UTF-8, with letters as they are written."""

    json_dumps_params = {"ensure_ascii": False}


class StrictParser(Parser):
    """JSON in UTF-8: an object, not too deep, without NaN."""

    def parse_body(self, request):
        return read_object(request)


def read_object(request):
    """The request's body as a dict. Raises ApiError."""
    try:
        body = json.loads(request.body, parse_constant=_no_constant)
        _refuse_deep(body)
    except (ValueError, RecursionError):
        raise ApiError("request_invalid", "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise ApiError("request_invalid", "The body is JSON, but not an object.")
    return body


def _no_constant(name):
    raise ValueError(name)


def _refuse_deep(value, level=0):
    if level > DEEP:
        raise ValueError("too deep")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_deep(part, level + 1)


def allowed_to(permission):
    """Declares what an operation needs: a permission of the table. GET reads, every other verb changes."""

    def declare(view):
        view.permission = permission
        return view

    return declare


def through_the_door(run):
    """Wraps an operation: who calls, how often, whether they may, in which mode, once."""
    permission = getattr(run.__self__.view_func, "permission", None)  # none declared: nobody's

    @wraps(run)
    def enter(request, *args, **kwargs):
        try:
            caller = request.auth = callers.find_caller(request)
            request.user, request.livemode = caller, caller.livemode
            callers.REQUESTS.spend(caller.pk)
            caller.require(permission, writing=request.method not in callers.SAFE)
            _refuse_large(request)
            with callers.acting(request, caller):
                return _answer(request, lambda: run(request, *args, **kwargs))
        except Exception as error:  # the last net: respond() logs what nobody expected, and nothing but JSON leaves
            return respond(request, error)

    return enter


def _answer(request, run):
    def work():
        with watching() as dropped:
            response = run()
        if dropped:
            response["X-Disregarded-Fields"] = _header(dropped)
        return response

    return work() if request.method in callers.SAFE else idempotency.once(request, work)


def _header(names):
    """Names for a header: no comma, control or other sign within one."""
    return ",".join("".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name) for name in names[:50])


def _refuse_large(request):
    told = request.headers.get("Content-Length") or "0"
    if not (told.isdecimal() and len(told) < 10 and int(told) <= MOST) or len(request.body) > MOST:
        raise ApiError("request_too_large", f"The body is larger than {MOST // 1024} kB.")


def respond(request, error):
    """The response for an exception."""
    if isinstance(error, ApiError):
        return answer(error.errors, error.status, error.headers)
    if isinstance(error, TooOften):
        return answer([problem("rate_limited", str(error))], 429, {"Retry-After": error.seconds})
    if isinstance(error, Duplicate):
        return answer([problem("duplicate", str(error), error.field)], 409)
    if isinstance(error, DomainError):
        return answer([problem("state_conflict", str(error))], 409)
    if isinstance(error, Http404):
        return answer([problem("resource_not_found", "No such record in this mode.")], 404)
    if isinstance(error, RequestDataTooBig):
        return answer_for(413)
    if isinstance(error, (OperationalError, InternalError)):
        log.error("database trouble: %s", error)
        return answer_for(503, {"Retry-After": 5})
    if isinstance(error, ValidationError):
        return answer(problems_of(error.errors), 400)
    if isinstance(error, HttpError):  # ninja's own, around what the parser raised
        return respond(request, error.__cause__) if isinstance(error.__cause__, ApiError) else answer_for(error.status_code)
    log.error("the API could not answer %s", request.path, exc_info=error)
    return answer_for(500)


class Api(NinjaAPI):
    """Ninja's own API object, with our door and errors."""

    def __init__(self, **about):
        super().__init__(
            auth=ApiKeyAuth(),
            parser=StrictParser(),
            renderer=Readable(),
            openapi_url="/openapi.json",
            docs_url=None,
            urls_namespace="api",
            **about,
        )
        self.add_decorator(through_the_door, mode="view")

    def on_exception(self, request, exc):
        return respond(request, exc)
