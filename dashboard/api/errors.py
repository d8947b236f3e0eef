"""Errors of the API: one shape, never HTML. {"errors": [{"code", "detail", "parameter"}]}"""

import json

from django.http import HttpResponse

STATUS = {  # code: HTTP status
    "parameter_required": 400,
    "parameter_invalid": 400,
    "parameter_type_invalid": 400,
    "parameter_above_maximum": 400,
    "parameter_below_minimum": 400,
    "request_invalid": 400,
    "auth_invalid": 401,
    "permission_denied": 403,
    "resource_not_found": 404,
    "method_not_allowed": 405,
    "state_conflict": 409,
    "duplicate": 409,
    "request_too_large": 413,
    "rate_limited": 429,
    "internal_system_error": 500,
    "temporarily_unavailable": 503,
}
BY_STATUS = {
    400: ("request_invalid", "The request is not understood."),
    401: ("auth_invalid", "No valid API key came with the request. Send it as: Authorization: Bearer sk_test_…"),
    403: ("permission_denied", "This key may not do that."),
    404: ("resource_not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that verb."),
    413: ("request_too_large", "The request is too large."),
    429: ("rate_limited", "Too many requests. Wait, then try again."),
    503: ("temporarily_unavailable", "The database does not answer. Nothing was changed by this request. Try again soon."),
}
FALLBACK = ("internal_system_error", "Something went wrong on our side. Quote the X-Request-ID of this answer to your admin.")


class ApiError(Exception):
    """An answer that is an error: a code of STATUS, a sentence, and which parameter it is about."""

    def __init__(self, code, detail, parameter=None, **headers):
        super().__init__(detail)
        self.errors = [problem(code, detail, parameter)]
        self.status, self.headers = STATUS[code], headers


class Invalid(ApiError):
    """Several problems of one request's parameters at once."""

    def __init__(self, errors):
        super().__init__(errors[0]["code"], errors[0]["detail"])
        self.errors = errors


def problem(code, detail, parameter=None):
    return {"code": code, "detail": detail} | ({"parameter": parameter} if parameter else {})


def required(parameter):
    return ApiError("parameter_required", f"{parameter} is required.", parameter)


def unknown(what="record"):
    return ApiError("resource_not_found", f"No such {what} in this mode.")


def answer(errors, status, headers=None):
    """The HTTP response of some problems."""
    body = json.dumps({"errors": errors}, ensure_ascii=False)
    headers = {name.replace("_", "-"): str(value) for name, value in (headers or {}).items()}
    return HttpResponse(body, status=status, content_type="application/json", headers=headers)


def answer_for(status, headers=None):
    """The response for a status nobody explained: a wrong path, a wrong verb, trouble."""
    return answer([problem(*BY_STATUS.get(status, FALLBACK))], status, headers)
