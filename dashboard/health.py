"""Whether this installation works: /healthz for the process alone, /readyz for everything it needs.

Neither tells a version, a path or a reason: what is wrong in detail stands in the log.
"""

import logging
import os
import shutil
import time
from datetime import timedelta
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_tasks_db.models import DBTaskResult

from dashboard.mail_models import Mail

log = logging.getLogger(__name__)
ROOM = 200 << 20  # bytes that must be free where the database and imports are written
LATE = timedelta(minutes=15)  # a task or mail that waits longer has no worker: the worker looks every second
FRESH = 2.0  # seconds an answer stands for: whoever asks more often is told the same again
_kept = {}


@login_not_required
@require_safe
def healthz(request):
    """200 while this process answers. It asks nothing of the database, so that a database that is away restarts nobody."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
def readyz(request):
    """200 when this installation can do its work, else 503; which part is wrong stands in the answer by name."""
    found = readiness()
    ready = all(found.values())
    parts = {name: "ok" if good else "wrong" for name, good in found.items()}
    response = JsonResponse({"ready": ready} | parts, status=200 if ready else 503)
    if not ready:
        response["Retry-After"] = "10"
    return response


def readiness():
    """{part: whether it is as it should be}; asked anew at most every FRESH seconds in each process."""
    made_at, found = _kept.get("readiness", (0, None))
    if found is None or not 0 <= time.monotonic() - made_at < FRESH:
        found = {name: _holds(name, check) for name, check in CHECKS.items()}
        _kept["readiness"] = (time.monotonic(), found)
    return found


def forget():
    """Ask everything anew the next time."""
    _kept.clear()


def _holds(name, check):
    try:
        problem = check()
    except (DatabaseError, OSError) as error:
        problem = type(error).__name__
    if problem:
        log.warning("not ready: %s: %s", name, problem)
    return not problem


# --- the parts: each returns what is wrong, or nothing -----------------------------------------------------
def database():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def migrations():
    missing = unapplied()
    return f"{len(missing)} migrations are not applied" if missing else ""


def unapplied():
    """The migrations of this code that the database does not have: (app, name) of each."""
    return sorted(_on_disk() - MigrationRecorder(connection).applied_migrations().keys())


@cache
def _on_disk():
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


def disk():
    short = [str(folder) for folder in _folders() if shutil.disk_usage(folder).free < ROOM]
    return f"less than {ROOM >> 20} MB left in {', '.join(short)}" if short else ""


def _folders():
    """Where this machine writes: our folder, and on SQLite the database's."""
    own = [settings.DATA_DIR]
    if connection.vendor == "sqlite":
        own.append(Path(os.path.abspath(connection.settings_dict["NAME"])).parent)
    return {folder for folder in own if folder.is_dir()}


def tasks():
    """The oldest task nobody has begun although it could be."""
    waiting = DBTaskResult.objects.ready().order_by("enqueued_at").values_list("enqueued_at", flat=True).first()
    return f"a task has waited since {waiting}" if waiting and waiting < timezone.now() - LATE else ""


def mail():
    """The mail that has been due longest."""
    due = Mail.objects.due().order_by("next_try_at").values_list("next_try_at", flat=True).first()
    return f"a mail has been due since {due}" if due and due < timezone.now() - LATE else ""


CHECKS = {"database": database, "migrations": migrations, "disk": disk, "tasks": tasks, "mail": mail}
