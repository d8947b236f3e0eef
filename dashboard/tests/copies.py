"""A copy of the test database, empty and migrated: quicker than migrating another one."""

import shutil
from pathlib import Path

from django.db import connections
from psycopg import sql

from dashboard.backups.databases import database_of
from dashboard.backups.making import stamp


def copy_test_database(name, folder):
    """Make the database (or file) `name` a copy of the test database; `folder` is for the file on the way."""
    database = database_of(connections["default"])
    part = Path(folder) / database.part
    database.dump(part)
    if database.kind == "sqlite":
        shutil.move(part, name)
        return
    made = database.load(part, stamp())
    rename = sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(made), sql.Identifier(name))
    database.on_server(rename)
    part.unlink()
