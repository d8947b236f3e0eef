"""Which of the two databases is backed up, and how another one is put in its place for a while."""

from contextlib import contextmanager

from django.db import connections

from dashboard.backups import postgres, sqlite


def database_of(connection):
    """The Sqlite or Postgres that backs a connection up and restores it."""
    return postgres.Postgres(connection) if connection.vendor == "postgresql" else sqlite.Sqlite(connection)


def integrity_faults():
    """What the database of the default connection finds wrong with its own files, in sentences."""
    connection = connections["default"]
    if connection.vendor == "postgresql":
        return postgres.integrity(connection)
    with connection.cursor() as cursor:
        return sqlite.integrity(lambda query: cursor.execute(query).fetchall())


@contextmanager
def instead(connection, name):
    """Everything that asks the default connection asks the database of this name meanwhile."""
    other = connection.copy()
    other.settings_dict["NAME"] = name
    other.settings_dict["OPTIONS"].pop("pool", None)
    was = connections["default"]
    connections["default"] = other
    try:
        yield other
    finally:
        connections["default"] = was
        other.close()
