"""Lets a test empty append-only tables: the database's own guards rest while Django flushes.

On SQLite the triggers that refuse (RAISE) are dropped and made again as they were; PostgreSQL can switch
user triggers off by table. Product code has no way to do either.
"""

from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def resting():
    """Switch off every trigger of ours that may refuse a DELETE or TRUNCATE, and on again afterwards."""
    rest, wake = _postgres() if connection.vendor == "postgresql" else _sqlite()
    _run(rest)
    try:
        yield
    finally:
        _run(wake)


def _run(statements):
    if statements:
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


def _rows(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def _sqlite():
    found = _rows("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%RAISE%'")
    return [f'DROP TRIGGER "{name}"' for name, _ in found], [sql for _, sql in found]


def _postgres():
    tables = _rows("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'")
    return [[f"ALTER TABLE {table} {verb} TRIGGER USER" for (table,) in tables] for verb in ("DISABLE", "ENABLE")]
