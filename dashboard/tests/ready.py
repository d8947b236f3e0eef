"""Databases that take long to make, made once for all test processes of a run; what tests work on are copies of them.

Migrating takes some ten seconds of a processor, a copy a fraction of one. A database made here is only ever copied.
"""

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection, connections

from dashboard import first_start
from dashboard.bench import data

RUN = "COUNTERFOIL_TEST_RUN"  # the number of the process that began the run: its test processes inherit it
MIGRATED = "migrated"
MANY = 12_000  # customers, and as many payments: enough that reading a table whole costs more than an index


def begin_run():
    """Called in every test process: the first one's number names the run."""
    if RUN not in os.environ:
        os.environ[RUN] = str(os.getpid())
        shutil.rmtree(_folder(), ignore_errors=True)  # of a run with this number that was killed


def end_run():
    """Remove what was made, once, when the process ends that began the run."""
    if os.environ.get(RUN) != str(os.getpid()) or not _folder().exists():
        return
    if settings.POSTGRES:
        for marker in _folder().glob("*.made"):
            drop(_place(marker.stem))
    shutil.rmtree(_folder())


def copy_to(name, label=MIGRATED, fill=None):
    """Make the database `name` (on SQLite a path) a copy of the migrated one, or of the one of a label that fill() fills once."""
    _make_once(label, fill)
    _copy(label, name)


def _copy(label, name):
    drop(name)
    if settings.POSTGRES:
        _tell(f"CREATE DATABASE {_quoted(name)} TEMPLATE {_quoted(_place(label))}")
    else:
        shutil.copyfile(_place(label), name)


def copy_of_many(name):
    """Make the database `name` one of MANY made-up customers and what they owe and paid, with fresh statistics."""
    copy_to(name, "many", lambda: (data.make_empty(), data.fill(MANY, lambda sentence: None)))


def drop(name):
    """Drop a database that copy_to() made."""
    if settings.POSTGRES:
        _tell(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")
    else:
        for ending in ("", "-wal", "-shm"):
            Path(f"{name}{ending}").unlink(missing_ok=True)


@contextmanager
def connected_to(name):
    """The default connection of every thread leads to this database meanwhile."""
    was = settings.DATABASES["default"]["NAME"]
    _lead_to(name)
    try:
        yield
    finally:
        _lead_to(was)


def _lead_to(name):
    connections.close_all()
    if settings.POSTGRES:
        connection.close_pool()  # its connections lead to the database before
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name


# --- made once ------------------------------------------------------------------------------------


def _make_once(label, fill):
    """Make the database of a label, unless a process of this run did; whoever comes meanwhile waits."""
    if label != MIGRATED:
        _make_once(MIGRATED, None)
    _folder().mkdir(exist_ok=True)
    made = _folder() / f"{label}.made"
    with open(_folder() / f"{label}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(label, fill)
            made.touch()


def _make(label, fill):
    drop(_place(label))  # of one that was begun and not made
    if label != MIGRATED:
        _copy(MIGRATED, _place(label))
    elif settings.POSTGRES:
        _tell(f"CREATE DATABASE {_quoted(_place(label))}")
    with connected_to(_place(label)):
        fill() if fill else first_start.migrate(lambda sentence: None)


def _folder():
    return Path(tempfile.gettempdir()) / f"counterfoil-ready-{os.environ[RUN]}"


def _place(label):
    """The name, or on SQLite the path, of the database of a label."""
    return f"ready_{os.environ[RUN]}_{label}" if settings.POSTGRES else str(_folder() / f"{label}.sqlite3")


def _quoted(name):
    return connection.ops.quote_name(name)


def _tell(statement):
    with connection._nodb_cursor() as cursor:
        cursor.execute(statement)
