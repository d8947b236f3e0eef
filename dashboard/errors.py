"""Error pages: no query, no menu, always the request's id."""

import sys

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, InternalError, OperationalError
from django.shortcuts import render

from dashboard import doors

DATABASE = (OperationalError, InternalError, InterfaceError)  # the database's trouble, not a wrong query of ours


def is_database_trouble(error):
    """Whether the database's trouble is behind an error, whatever was raised on its account."""
    while error is not None and not isinstance(error, DATABASE):
        error = error.__context__
    return error is not None


@login_not_required
def bad_request(request, exception=None):
    if isinstance(exception, RequestDataTooBig):
        return render(request, "413.html", status=413)
    return render(request, "400.html", status=400)


@login_not_required
def forbidden(request, exception=None):
    doors.access_denied(request)
    return render(request, "403.html", status=403)


@login_not_required
def csrf_failure(request, reason=""):
    return render(request, "403_csrf.html", status=403)


@login_not_required
def not_found(request, exception=None):
    return render(request, "404.html", status=404)


@login_not_required
def too_many_requests(request, exception=None):
    response = render(request, "429.html", {"wait": getattr(exception, "wait", "")}, status=429)
    response["Retry-After"] = str(getattr(exception, "seconds", 60))
    return response


@login_not_required
def server_error(request):
    """500; 503 when it was the database, wherever on the way through the middleware that came up."""
    if is_database_trouble(sys.exc_info()[1]):
        return database_trouble(request)
    return render(request, "500.html", status=500)


@login_not_required
def database_trouble(request):
    """503 for a database that is away, full, locked or read-only: come again soon."""
    response = render(request, "503.html", status=503)
    response["Retry-After"] = "5"
    return response
