"""SQLite: its own backup API copies one moment of a file that is being written to; a restored file is renamed into place."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from dashboard.backups import BackupError

STEP = 2000  # pages copied in one go: 8 MB, so that Ctrl-C does not wait long


class Sqlite:
    """The file of a connection."""

    kind, part = "sqlite", "database.sqlite3"
    beside = True  # what is restored is looked at before it takes the old one's place

    def __init__(self, connection):
        self.connection, self.path = connection, Path(connection.settings_dict["NAME"])

    @property
    def folder(self):
        """Where a restored file has to be made to be renamed into place."""
        return self.path.absolute().parent

    def dump(self, path):
        """Copy the database as it is at one moment to path, while others write; returns what the copy holds.

        An open transaction keeps the moment: without one, each write by somebody else would start the copy anew.
        """
        if not self.path.exists():
            raise BackupError(f"There is no database at {self.path}: nothing to back up.")
        with closing(_open(self.path)) as source, closing(sqlite3.connect(path)) as copy:
            source.execute("BEGIN")
            source.execute("SELECT 1 FROM sqlite_master").fetchone()
            source.backup(copy, pages=STEP, sleep=0)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, with nothing beside it
            faults = integrity(lambda query: copy.execute(query).fetchall())
            if faults:
                raise BackupError(f"The database is damaged, so no backup was made: {faults[0]}")
            return facts(lambda query: copy.execute(query).fetchall()) | {"server": f"SQLite {sqlite3.sqlite_version}"}

    def holds_data(self):
        """Whether a restore would take the place of something."""
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        with closing(_open(self.path)) as source:
            return _has_users(lambda query: source.execute(query).fetchall())

    def load(self, part, stamp):
        """The restored database's name: the file itself, already beside the configured one."""
        return str(part)

    def facts(self, name):
        """What a restored file holds."""
        with closing(_open(Path(name))) as source:
            return facts(lambda query: source.execute(query).fetchall())

    def drop(self, name):
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(name + ending).unlink(missing_ok=True)

    def refuse_others(self):
        """Raise BackupError while anybody else has the database open."""
        self.connection.close()
        if not self.path.exists() or not self.path.stat().st_size:
            return
        with closing(sqlite3.connect(self.path, timeout=2, isolation_level=None)) as alone:
            try:
                alone.execute("PRAGMA journal_mode=DELETE")  # takes in the log of writes, and needs the file for itself
            except sqlite3.OperationalError:
                raise BackupError(
                    f"{self.path} is in use. Stop the dashboard and its worker, then restore again. Nothing was changed."
                ) from None

    def swap(self, name, stamp):
        """Put the restored file in place of the old one, which is kept; returns the old one's new name, or ""."""
        self.refuse_others()
        _settle(name)
        kept = self.path.with_name(f"{self.path.name}.before-restore-{stamp}")
        if self.path.exists():
            os.link(self.path, kept)  # at every moment there is a database under the name
        os.replace(name, self.path)
        return str(kept) if kept.exists() else ""


def _open(path):
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=20, isolation_level=None)


def _settle(name):
    """All of a database in its one file, on the disk."""
    with closing(sqlite3.connect(name, isolation_level=None)) as new:
        new.execute("PRAGMA journal_mode=DELETE")
    handle = os.open(name, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    os.chmod(name, 0o600)


def integrity(ask):
    """What SQLite finds wrong with its own file, in sentences."""
    found = [text for (text,) in ask("PRAGMA integrity_check") if text != "ok"]
    orphans = [f"{row[0]} row {row[1]} points to a row of {row[2]} that is not there." for row in ask("PRAGMA foreign_key_check")]
    return found + orphans


def facts(ask):
    """What a database holds: the migrations applied to it, and how many rows each table has."""
    tables = [
        name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    ]
    rows = {table: ask(f'SELECT count(*) FROM "{table}"')[0][0] for table in tables}  # noqa: S608  (its own catalogue's names)
    return {"migrations": applied(ask, tables), "rows": rows}


def applied(ask, tables):
    """The names of the migrations applied to a database."""
    if "django_migrations" not in tables:
        return []
    return sorted(f"{app}.{name}" for app, name in ask("SELECT app, name FROM django_migrations"))


def _has_users(ask):
    tables = {name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
    return bool(tables) and ("dashboard_user" not in tables or bool(ask("SELECT 1 FROM dashboard_user LIMIT 1")))
