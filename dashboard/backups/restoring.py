"""Restore a backup beside what is there, look at it, and only then put it in its place; or only look at it."""

import fcntl
import os
import socket
import sqlite3
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.cache import caches
from django.db import DatabaseError
from django.db.migrations.loader import MigrationLoader

from dashboard import first_start
from dashboard.backups import BackupError, archive
from dashboard.backups.databases import database_of, instead
from dashboard.backups.making import key_mark, make_backup, stamp

OURS = ("dashboard.", "customers.", "billing.", "sandbox.")  # whose migrations only a newer version can have more of


class Restored(NamedTuple):
    """What a restore did. `kept` names the database that was there before, or is ""."""

    manifest: dict
    kept: str
    notes: list


def restore_backup(connection, file, *, check, passphrase="", yes=False, take_key=False, say=lambda sentence: None):
    """Put the backup in place of the configured database. Until the swap at the end nothing there is touched.

    check(same_key) gives the faults of the default connection's database; one fault ends the restore. Raises BackupError.
    """
    database = database_of(connection)
    with _nobody_else(), unpacked(file, database, passphrase) as (folder, manifest):
        _refuse_key(folder, take_key)
        if not yes and database.holds_data():
            raise BackupError(
                "The configured database holds data. Add --yes to put the backup in its place; what is there now is kept "
                "under another name. Nothing was changed."
            )
        database.refuse_others()
        place = _beside if database.kind == "sqlite" or database.may_make() else _in_place
        kept = place(connection, database, folder / database.part, manifest, check, say)
        return Restored(manifest, kept, _key(folder, manifest, take_key))


def _beside(connection, database, part, manifest, check, say):
    moment = stamp()
    name = database.load(part, moment)
    try:
        _compare(manifest, database.facts(name))
        with instead(connection, name):
            _prepare(manifest, check, say)
        say("Putting it in place.")
        return database.swap(name, moment)
    except BaseException:
        database.drop(name)
        raise


def _in_place(connection, database, part, manifest, check, say):
    """For a role that may make no database: a backup of what is there, then one transaction that replaces it."""
    before = make_backup(connection)[0] if database.holds_data() else ""
    database.replace(part)
    try:
        _compare(manifest, database.facts(database.name))
        _prepare(manifest, check, say)
    except BackupError as error:
        raise BackupError(f"{error} What was there before the restore is in {before or 'no file: it was empty'}.") from None
    return str(before)


def _prepare(manifest, check, say):
    """Bring the default connection's database up to date, end every session, and prove it."""
    try:
        first_start.migrate(lambda sentence: say("Bringing it up to date."))
        _end_sessions()
        caches["default"].clear()
        faults = check(same_key=manifest["key"] == key_mark(settings.SECRET_KEY))
    except DatabaseError as error:
        raise BackupError(f"The backup could not be brought up to date: {' '.join(str(error).split())}") from error
    if faults:
        raise BackupError(f"What the backup holds does not add up: {faults[0]} ({len(faults)} faults in all)")


def _end_sessions():
    """A session that was ended after the backup was made must not come alive again."""
    import_module(settings.SESSION_ENGINE).SessionStore.get_model_class().objects.all().delete()


def _compare(manifest, found):
    """Raise BackupError when a restored database is not what was backed up."""
    if (found["migrations"], found["rows"]) != (manifest["migrations"], manifest["rows"]):
        raise BackupError("The restored database does not hold what the backup says. Use another backup.")


def look_into(connection, file, *, check, passphrase=""):
    """(manifest, faults) of a backup, restored into a place of its own that is gone afterwards. Raises BackupError."""
    database = database_of(connection)
    with unpacked(file, database, passphrase) as (folder, manifest):
        if database.kind == "postgresql" and not database.may_make():
            raise BackupError(
                "The file is whole. To look at what it holds, its database has to be restored beside the configured one, and "
                "this role may make no database: ask with one that may (ALTER ROLE … CREATEDB)."
            )
        name = database.load(folder / database.part, stamp())
        try:
            _compare(manifest, database.facts(name))
            with instead(connection, name):
                first_start.migrate(lambda sentence: None)
                return manifest, check(same_key=manifest["key"] == key_mark(settings.SECRET_KEY))
        finally:
            database.drop(name)


@contextmanager
def unpacked(file, database, passphrase):
    """(folder, manifest) of a backup fit for this installation and this kind of database."""
    if not Path(file).is_file():
        raise BackupError(f"There is no file {file}.")
    beside = (database.folder or settings.DATA_DIR) if os.access(database.folder or settings.DATA_DIR, os.W_OK) else None
    try:
        with archive.draft_folder(beside or settings.DATA_DIR) as folder:
            manifest = archive.unpack(file, folder, passphrase=passphrase)
            _refuse_unfit(manifest, database)
            yield folder, manifest
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"The backup cannot be read or restored: {getattr(error, 'strerror', None) or error}.") from error


def _refuse_unfit(manifest, database):
    if manifest["database"] != database.kind:
        raise BackupError(
            f"This is a backup of a {manifest['database']} database, and DATABASE_URL names a {database.kind} one. "
            "Nothing was changed."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}
    if [name for name in manifest["migrations"] if name.startswith(OURS) and name not in known]:
        raise BackupError(
            "This backup was made by a newer version of Counterfoil. Update this installation first. Nothing was changed."
        )


# --- who else is there -------------------------------------------------------------------------------------
@contextmanager
def _nobody_else():
    """Hold the lock every start takes, with no server of ours at ADDR. Raises BackupError otherwise."""
    with open(settings.DATA_DIR / "start.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError("The dashboard is being started just now. Stop it, then restore again.") from None
        with socket.socket(socket.AF_INET6 if ":" in settings.BIND[0] else socket.AF_INET) as probe:
            probe.settimeout(2)
            if probe.connect_ex(settings.BIND) == 0:
                raise BackupError(
                    f"Something answers at {settings.ADDR}. Stop the dashboard and its worker, then restore again. "
                    "Nothing was changed."
                )
        yield


# --- the secret key ----------------------------------------------------------------------------------------
def _refuse_key(folder, take_key):
    if take_key and not (folder / "secret_key").exists():
        raise BackupError("This backup holds no secret key. Restore it without --with-secret-key. Nothing was changed.")
    if take_key and os.environ.get("SECRET_KEY"):
        raise BackupError("SECRET_KEY is set in the environment, so the backup's key would not be used. Nothing was changed.")


def _key(folder, manifest, take_key):
    """Take over the backup's secret key if asked to; notes about a key that is another than this installation's."""
    if manifest["key"] == key_mark(settings.SECRET_KEY):
        return []
    if not take_key:
        return [
            "This installation's secret key is not the one the backup was made with: payers' links cannot be shown to staff "
            "and reset mails not used. Put the old key in place and start again."
        ]
    path = settings.DATA_DIR / "secret_key"
    if path.exists():
        path.rename(path.with_name(f"secret_key.before-restore-{stamp()}"))
    os.rename(folder / "secret_key", path)
    return ["The backup's secret key is in place."]
