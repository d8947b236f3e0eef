"""What a database file still holds of deleted text, on SQLite: overwritten at once, and merged out of the search indexes.

PostgreSQL keeps old versions of rows until its vacuum comes by, within minutes by itself; they are in no table any more.
"""

from django.db import DatabaseError, connection

TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%\\_fts' ESCAPE '\\'"
PAGES = 500  # of an index, merged at a time: others can write in between
MOST = 10_000  # times


def overwrite_deleted():
    """Have SQLite put zeros where something is deleted or replaced, on this connection from now on."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA secure_delete = ON")
            cursor.fetchall()


def tidy():
    """Rewrite the search indexes without what was erased, and empty the write-ahead log. Outside any transaction, or not
    at all; a database that is too busy is tidied by the next erasure."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return
    try:
        with connection.cursor() as cursor:
            for (table,) in cursor.execute(TABLES).fetchall():
                _merge(cursor, table)
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except DatabaseError:
        return


def _merge(cursor, table):
    """Merge an index into one segment: words of replaced rows are only marked as deleted until then."""
    pages = -PAGES
    for _ in range(MOST):
        before = _changes(cursor)
        cursor.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('merge', %s)", [pages])  # noqa: S608  (a table of ours)
        pages = PAGES
        if _changes(cursor) - before < 2:
            return


def _changes(cursor):
    return cursor.execute("SELECT total_changes()").fetchone()[0]
