"""What stands between an unpacked copy and a working dashboard: tables, cache, files, an admin, sample data.

`prepare()` may be called at every start, by several starts at once, and after one that was killed: each step
looks first, does nothing when it is done, and is whole or not there at all. Only one start works at a time.
"""

import fcntl
import hashlib
import secrets
import time
from contextlib import contextmanager, nullcontext

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

ADVISORY_LOCK = 0x436F756E746572  # any fixed number: the same for every start on one PostgreSQL
PATIENCE = 120  # seconds one start waits for another
WORD_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that look alike in a terminal


def reach_database():
    """Open the database once, without the pool, whose own error would hide the reason. Raises OperationalError."""
    if not settings.POSTGRES:
        return connection.ensure_connection()
    alone = connection.copy()
    alone.settings_dict["OPTIONS"].pop("pool")
    alone.ensure_connection()
    return alone.close()


def let_go_of_database():
    """Close our connections, so that the process that watches over the others holds none."""
    connection.close()
    if settings.POSTGRES:
        connection.close_pool()


def prepare(say):
    """Bring the installation up to date; say(sentence) tells the person at the terminal what is being done."""
    with only_one_start():
        migrate(say)
        collect_files(say)
        return welcome(say)


@contextmanager
def only_one_start():
    """Hold this installation's start lock: a file on this machine and, on PostgreSQL, one for all machines.

    Both locks vanish with the process that holds them. Raises CommandError when another start takes too long.
    """
    with open(settings.DATA_DIR / "start.lock", "w") as file:
        _wait_for(lambda: _locked(file))
        if settings.POSTGRES:
            _wait_for(lambda: _ask("SELECT pg_try_advisory_lock(%s)"))
        yield  # on an error the process ends, and its locks with it: the connection may be past answering
        if settings.POSTGRES:
            _ask("SELECT pg_advisory_unlock(%s)")


def _wait_for(take):
    deadline = time.monotonic() + PATIENCE
    while not take():
        if time.monotonic() > deadline:
            raise CommandError(
                f"Another start of this installation has been busy for {PATIENCE} seconds. Stop it, then start again."
            )
        time.sleep(0.2)


def _locked(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _ask(query):
    with connection.cursor() as cursor:
        cursor.execute(query, [ADVISORY_LOCK])
        return cursor.fetchone()[0]


def migrate(say):
    """Apply the migrations that are missing, each in its own transaction, and make the cache table.

    An empty database gets all of it or nothing: of a migration whose indexes or foreign keys come last Django notes that it
    is done after its transaction, and a start killed in between would leave tables which no later start could make.
    """
    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    say("Preparing the database.")
    with nullcontext() if executor.loader.applied_migrations else _all_or_nothing():
        call_command("createcachetable", verbosity=0)  # before the migrations: their end means all tables are there
        call_command("migrate", verbosity=0, interactive=False)


@contextmanager
def _all_or_nothing():
    """One transaction for schema and rows; SQLite alters no schema in one that began while it looked after foreign keys."""
    with connection.constraint_checks_disabled(), transaction.atomic():
        yield


def collect_files(say):
    """Copy, name and compress static files when any of them changed since the last time."""
    stamp, now = settings.DATA_DIR / "static.stamp", _fingerprint()
    if settings.DEBUG or (stamp.exists() and stamp.read_text() == now and settings.STATIC_ROOT.is_dir()):
        return
    say("Collecting static files.")
    stamp.unlink(missing_ok=True)
    call_command("collectstatic", clear=True, verbosity=0, interactive=False)  # it goes by time: an older file is a change too
    stamp.write_text(now)


def _fingerprint():
    """Changes with the name, size or time of any static file, ours or a package's."""
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            digest.update(f"{name} {storage.size(name)} {storage.get_modified_time(name).timestamp()}\n".encode())
    return digest.hexdigest()


def welcome(say):
    """Give an installation without users its first admin and its sample; None when it has users.

    Returns (e-mail, password); the password is None when ADMIN_PASSWORD set it. One transaction: a start that
    is killed here leaves an empty installation, which the next start fills.
    """
    from dashboard.models import User

    if User.objects.exists():
        return None
    with transaction.atomic():
        credentials = create_first_admin()
        if settings.SAMPLE:
            say("Loading sample customers and invoices into test mode.")
            call_command("demo", verbosity=0)
    return credentials


def create_first_admin():
    """Make the admin of ADMIN_EMAIL; returns (e-mail, random password), or (e-mail, None) when one was given."""
    from dashboard import events, second_step
    from dashboard.models import User

    password = settings.ADMIN_PASSWORD or random_password()
    admin = User.objects.create_superuser(settings.ADMIN_EMAIL, password)
    about = {"email": admin.email, "role": admin.role, second_step.PRINTED: not settings.ADMIN_PASSWORD}
    events.record("user.created", admin, by=admin, **about)
    return admin.email, None if settings.ADMIN_PASSWORD else password


def random_password():
    """Four groups of five letters and digits, about 99 bits: long enough, and a person can type it."""
    return "-".join("".join(secrets.choice(WORD_LETTERS) for _ in range(5)) for _ in range(4))
