"""The benchmark's own databases, next to the configured one. Nothing here ever writes to the configured one.

PostgreSQL: `<name>_bench_<label>` on the same server. SQLite: files in DATA_DIR/bench.
"""

import shutil
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.core.management import CommandError
from django.db import DatabaseError, connections


class Databases:
    """Makes, copies, drops and opens them. `using(label)` puts one in the place of the default connection."""

    def __init__(self):
        self.configured = connections["default"]
        self.postgres = self.configured.vendor == "postgresql"
        self.opened = {}

    def name(self, label):
        """The database's name, or the path of its file."""
        configured = str(self.configured.settings_dict["NAME"])
        if self.postgres:
            return f"{configured}_bench_{label}"
        folder = settings.DATA_DIR / "bench"
        folder.mkdir(mode=0o700, exist_ok=True)
        return str(folder / f"{Path(configured).stem}_bench_{label}.sqlite3")

    @contextmanager
    def using(self, label):
        """Everything that asks the default connection asks this database meanwhile. It stays connected."""
        was = connections["default"]
        connections["default"] = self._open(self.name(label))
        try:
            yield connections["default"]
        finally:
            connections["default"] = was

    def _open(self, name):
        if name not in self.opened:
            self.opened[name] = self.configured.copy()
            self.opened[name].settings_dict["NAME"] = name
            self.opened[name].settings_dict["OPTIONS"].pop("pool", None)  # one connection, held: as a pool's would be
        return self.opened[name]

    def close(self, label=None):
        """Close the connections to one of them, or to all."""
        for name in list(self.opened) if label is None else [self.name(label)]:
            if wrapper := self.opened.pop(name, None):
                wrapper.close()

    def exists(self, label):
        if not self.postgres:
            return Path(self.name(label)).exists()
        return bool(self._ask("SELECT 1 FROM pg_database WHERE datname = %s", [self.name(label)]))

    def labels(self):
        """The labels of those that exist."""
        start = self.name("")
        if self.postgres:
            query = "SELECT datname FROM pg_database WHERE left(datname, %s) = %s"
            found = [name for (name,) in self._ask(query, [len(start), start])]
        else:
            start = start.removesuffix(".sqlite3")
            found = [str(p.with_suffix("")) for p in Path(start).parent.glob("*.sqlite3") if str(p).startswith(start)]
        return [name.removeprefix(start) for name in found]

    def drop(self, label):
        self.close(label)
        if self.postgres:
            return self._tell(f"DROP DATABASE IF EXISTS {self._quoted(label)}")
        for ending in ("", "-wal", "-shm"):
            Path(self.name(label) + ending).unlink(missing_ok=True)

    def copy(self, source, label):
        """Make a database as a copy of another of ours, or an empty one when source is None."""
        self.drop(label)
        if source is not None:
            self.close(source)
        if self.postgres:
            template = f" TEMPLATE {self._quoted(source)}" if source is not None else ""
            self._tell(f"CREATE DATABASE {self._quoted(label)}{template}")
        elif source is not None:
            shutil.copyfile(self.name(source), self.name(label))

    def rename(self, label, to):
        self.close(label)
        if self.postgres:
            self._tell(f"ALTER DATABASE {self._quoted(label)} RENAME TO {self._quoted(to)}")
        else:
            Path(self.name(label)).rename(self.name(to))

    def make(self, label, fill, *, source=None):
        """Make a database and fill it: whole, or not there under its name at all."""
        draft = f"{label}_draft"
        self.copy(source, draft)
        try:
            with self.using(draft):
                fill()
            self.rename(draft, label)
        except BaseException:
            self.drop(draft)
            raise

    def _quoted(self, label):
        return self.configured.ops.quote_name(self.name(label))

    def _server(self):
        return self._open(self.configured.settings_dict["NAME"])

    def _ask(self, query, params):
        with self._server().cursor() as cursor:
            cursor.execute(query, params)
            return cursor.fetchall()

    def _tell(self, statement):
        try:
            with self._server().cursor() as cursor:
                cursor.execute(statement)
        except DatabaseError as error:
            reason = " ".join(str(error).split())
            raise CommandError(
                f"The benchmark needs its own databases beside the configured one, and the server said no: {reason}. "
                "Use a role that may create databases."
            ) from error
