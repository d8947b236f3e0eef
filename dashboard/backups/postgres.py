"""PostgreSQL: pg_dump at a snapshot of ours, pg_restore into a database beside the configured one, then two renames."""

import glob
import os
import re
import shutil
import subprocess
from contextlib import contextmanager

import psycopg
from django.db import DatabaseError
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dashboard.backups import BackupError
from dashboard.backups.sqlite import applied

PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")
LONGEST_NAME = 63  # bytes of a database's name


class Postgres:
    """The database of a connection."""

    kind, part = "postgresql", "database.dump"

    def __init__(self, connection):
        self.connection, self.name = connection, connection.settings_dict["NAME"]
        self.beside = True  # False once the server said that this role may make no database

    @property
    def folder(self):
        """None: nothing is renamed into place on a disk of ours."""
        return None

    # --- out -----------------------------------------------------------------------------------------------
    def dump(self, path):
        """Have pg_dump write the database at one moment to path; returns what it held at that very moment."""
        with self._session(self.name) as session:
            session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            snapshot = session.execute("SELECT pg_export_snapshot()").fetchone()[0]
            how = ["--format=custom", "--compress=0", "--lock-wait-timeout=60s", f"--snapshot={snapshot}", f"--file={path}"]
            self.run("pg_dump", *how, "--no-owner", "--no-privileges", self.reach(self.name))
            version = session.execute("SHOW server_version").fetchone()[0]
            return facts(session) | {"server": f"PostgreSQL {version}"}

    # --- in ------------------------------------------------------------------------------------------------
    def holds_data(self):
        """Whether a restore would take the place of something."""
        with self._session(self.name) as session:
            found = {table for _schema, table in _tables(session)}
            if "dashboard_user" not in found:
                return bool(found)
            return session.execute("SELECT 1 FROM dashboard_user LIMIT 1").fetchone() is not None

    def load(self, part, stamp):
        """Restore into a new database beside the configured one; its name."""
        name = _beside(self.name, f"_restoring_{stamp}")
        self._make(name)
        try:
            self.run("pg_restore", *RESTORE, "--single-transaction", f"--dbname={self.reach(name)}", str(part))
        except BaseException:
            self.drop(name)
            raise
        return name

    def _make(self, name):
        """An empty database that sorts and encodes as the configured one does. BackupError where we may make none."""
        with self._session(self.name) as session:
            row = session.execute("SELECT to_jsonb(d) FROM pg_database d WHERE datname = current_database()").fetchone()[0]
            encoding = session.execute("SELECT pg_encoding_to_char(%s::int)", [row["encoding"]]).fetchone()[0]
        words = [sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}").format(sql.Identifier(name), sql.Literal(encoding))]
        for word, column in (("LC_COLLATE", "datcollate"), ("LC_CTYPE", "datctype")):
            words.append(sql.SQL(f"{word} {{}}").format(sql.Literal(row[column])))
        if row.get("datlocprovider") == "i":
            locale = row.get("daticulocale") or row.get("datlocale")
            words.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(locale)))
        self.on_server(sql.SQL(" ").join(words))

    def facts(self, name):
        """What a database beside the configured one holds."""
        with self._session(name) as session:
            return facts(session)

    def drop(self, name):
        self.on_server(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def may_make(self):
        """Whether this role may make a database. Without that a restore goes into the configured one, in one transaction."""
        with self._session(self.name) as session:
            query = "SELECT rolsuper OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
            self.beside = session.execute(query).fetchone()[0]
        return self.beside

    def replace(self, part):
        """Empty the configured database and fill it from part, in one transaction: all of it or nothing."""
        self.refuse_others()
        script = part.with_name("script.sql")
        self.run("pg_restore", *RESTORE, f"--file={script}", str(part))
        first = part.with_name("first.sql")
        first.write_text("DROP SCHEMA public CASCADE;\nCREATE SCHEMA public;\n")
        how = ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
        self.run("psql", *how, f"--file={first}", f"--file={script}", self.reach(self.name))

    def refuse_others(self):
        """Raise BackupError while anybody else is connected to the database."""
        self._let_go()
        with self._session(self.name) as session:
            query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
            others = session.execute(query + " AND backend_type = 'client backend'", [self.name]).fetchone()[0]
        if others:
            raise BackupError(
                f"The database {self.name} has {others} other connections. Stop the dashboard and its worker, then restore "
                "again. Nothing was changed."
            )

    def swap(self, name, stamp):
        """Give the restored database the configured one's name; the old one is kept. Returns its new name."""
        self.refuse_others()
        kept = _beside(self.name, f"_before_restore_{stamp}")
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        self.on_server(
            rename.format(sql.Identifier(self.name), sql.Identifier(kept)),
            rename.format(sql.Identifier(name), sql.Identifier(self.name)),
        )
        return kept

    # --- the server ----------------------------------------------------------------------------------------
    def _let_go(self):
        self.connection.close()
        if self.connection.settings_dict["OPTIONS"].get("pool"):
            self.connection.close_pool()

    def _parameters(self, name):
        """What leads to a database of this server, without the password."""
        settings = self.connection.settings_dict
        told = {
            k: v
            for k, v in settings["OPTIONS"].items()
            if k not in ("pool", "options", "password", "assume_role", "isolation_level")
        }
        told |= {"host": settings["HOST"], "port": settings["PORT"], "user": settings["USER"], "dbname": name}
        return {k: v for k, v in told.items() if v not in ("", None)}

    def reach(self, name):
        """What tells PostgreSQL's programs which database of this server is meant."""
        return make_conninfo(**self._parameters(name))

    @contextmanager
    def _session(self, name):
        """A connection of its own, which may take as long as it needs."""
        patient = "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=60s"
        parameters = self._parameters(name) | {"options": patient, "password": self.connection.settings_dict["PASSWORD"] or None}
        try:
            session = psycopg.connect(**parameters, autocommit=True)
        except psycopg.OperationalError as error:
            raise BackupError(f"The database of DATABASE_URL cannot be opened: {_words(error)}") from None
        with session:
            try:
                yield session
            except psycopg.Error as error:
                raise BackupError(f"The server said no: {_words(error)}") from None

    def on_server(self, *statements):
        """Run statements about databases from outside of them; several happen together or not at all."""
        with self._session("postgres") as session:
            if len(statements) == 1:
                session.execute(statements[0])
                return
            with session.transaction():
                for statement in statements:
                    session.execute(statement)

    def _server_version(self):
        with self._session(self.name) as session:
            return session.info.server_version // 10000

    def run(self, program, *arguments):
        """Run one of PostgreSQL's own programs; BackupError with its last words when it fails."""
        command = [find_program(program, self._server_version()), *arguments]
        environment = os.environ | {"PGAPPNAME": "counterfoil backup", "LC_ALL": "C"}
        if self.connection.settings_dict["PASSWORD"]:
            environment["PGPASSWORD"] = self.connection.settings_dict["PASSWORD"]  # not among the arguments, which others see
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
        if ended.returncode:
            raise BackupError(f"{program} failed: {_words(_first_error(ended.stderr)) or 'it gave no reason.'}")
        return ended.stdout


RESTORE = ("--exit-on-error", "--no-owner", "--no-privileges", "--no-comments")


def find_program(name, least):
    """The path of a PostgreSQL program of at least the server's major version. BackupError in words when there is none."""
    folders = sorted((f for place in PLACES for f in glob.glob(place)), key=_numbers, reverse=True)
    candidates = filter(None, [*(shutil.which(name, path=f) for f in folders), shutil.which(name)])
    versions = {path: _version(path) for path in candidates}
    good = next((path for path, version in versions.items() if version >= least), None)
    if good:
        return good
    if versions:
        raise BackupError(
            f"The server is PostgreSQL {least} and {name} here is {max(versions.values())}: install a client as new."
        )
    raise BackupError(f"{name} was not found. Install PostgreSQL's client programs, version {least} or newer.")


def _numbers(text):
    return [int(n) for n in re.findall(r"\d+", text)]


def _version(path):
    said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    return next(iter(_numbers(said)), 0)


def _words(error):
    return " ".join(str(error).split())


def _first_error(text):
    """The line that says what went wrong: later ones are its echoes."""
    lines = text.strip().splitlines()
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")


def _beside(name, ending):
    return name[: LONGEST_NAME - len(ending)] + ending.replace("-", "_")


def _tables(session):
    query = (
        "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
    )
    return session.execute(query).fetchall()


def facts(session):
    """What a database holds: the migrations applied to it, and how many rows each table has."""
    tables = _tables(session)
    rows = {}
    for schema, table in tables:
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        rows[table] = session.execute(query).fetchone()[0]
    return {"migrations": applied(lambda q: session.execute(q).fetchall(), [t for _, t in tables]), "rows": rows}


def integrity(connection):
    """What PostgreSQL finds wrong: its own index check where the amcheck extension is installed, else every row is read."""
    found = [f"The rule {name} was never checked." for (name,) in _ask(connection, _UNCHECKED)]
    try:
        if _ask(connection, "SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"):
            _ask(connection, _AMCHECK)
        _read_everything(connection)
    except (psycopg.Error, DatabaseError) as error:
        found.append(f"Reading it failed: {_words(error)}")
    return found


_UNCHECKED = "SELECT conname FROM pg_constraint WHERE NOT convalidated"
_AMCHECK = """
    SELECT bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND i.indisvalid AND c.relpersistence = 'p'
    AND c.relnamespace = 'public'::regnamespace"""


def _ask(connection, query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def _read_everything(connection):
    """Every value of every row leaves the server: pages and large values that cannot be read do not stay unnoticed."""
    connection.ensure_connection()
    session = connection.connection
    for schema, table in _tables(session):
        with session.cursor() as cursor:
            query = sql.SQL("COPY {} TO STDOUT (FORMAT BINARY)").format(sql.Identifier(schema, table))
            with cursor.copy(query) as rows:
                for _ in rows:
                    pass
