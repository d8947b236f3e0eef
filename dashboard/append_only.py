"""Tables that only grow: triggers on both databases refuse to change or delete a row."""

from django.db.migrations.operations.base import Operation

POSTGRES = [
    """CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME; END $$""",
    "CREATE TRIGGER {t}_append_only BEFORE UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
]
SQLITE = [
    "CREATE TRIGGER {t}_no_update BEFORE UPDATE ON {t} BEGIN SELECT RAISE(ABORT, '{t} is append-only'); END",
    "CREATE TRIGGER {t}_no_delete BEFORE DELETE ON {t} BEGIN SELECT RAISE(ABORT, '{t} is append-only'); END",
]
POSTGRES_TRUNCATE = [  # a statement of its own there; SQLite knows none, its DELETE without WHERE is refused above
    "CREATE OR REPLACE TRIGGER {t}_no_truncate BEFORE TRUNCATE ON {t} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
]
POSTGRES_DROP = ["DROP TRIGGER IF EXISTS {t}_append_only ON {t}", "DROP TRIGGER IF EXISTS {t}_no_truncate ON {t}"]
SQLITE_DROP = ["DROP TRIGGER IF EXISTS {t}_no_update", "DROP TRIGGER IF EXISTS {t}_no_delete"]


def guard(table, connection):
    """Make a table append-only."""
    _run(POSTGRES if connection.vendor == "postgresql" else SQLITE, table, connection)


def guard_truncate(table, connection):
    """Refuse TRUNCATE of an append-only table as well. Migrations that were there before call it themselves."""
    if connection.vendor == "postgresql":
        _run(POSTGRES_TRUNCATE, table, connection)


def guards(table, connection):
    """The names of the triggers that stand before a table now."""
    standing = (
        "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgenabled <> 'D'"
        if connection.vendor == "postgresql"
        else "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s"
    )
    with connection.cursor() as cursor:
        cursor.execute(standing, [table])
        return {name for (name,) in cursor.fetchall()}


def is_guarded(table, connection):
    """Whether the database still refuses every change of an append-only table."""
    kinds = ("append_only", "no_truncate") if connection.vendor == "postgresql" else ("no_update", "no_delete")
    return guards(table, connection) >= {f"{table}_{kind}" for kind in kinds}


def unguard(table, connection):
    """For migrations that must rewrite rows; they guard the table again."""
    _run(POSTGRES_DROP if connection.vendor == "postgresql" else SQLITE_DROP, table, connection)


def _run(statements, table, connection):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(t=table).replace("%%", "%"))


class AppendOnly(Operation):
    """Migration operation: guard a table."""

    reversible = True

    def __init__(self, table):
        self.table = table

    def state_forwards(self, app_label, state):
        pass

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        guard(self.table, schema_editor.connection)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        unguard(self.table, schema_editor.connection)

    def describe(self):
        return f"Make {self.table} append-only"


class Guarded(AppendOnly):
    """Migration operation: guard a table, TRUNCATE included. What stood there before is made anew."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        unguard(self.table, schema_editor.connection)
        guard(self.table, schema_editor.connection)
        guard_truncate(self.table, schema_editor.connection)


class Unguarded(AppendOnly):
    """Migration operation: let a table be rewritten by the operations that follow, up to the next Guarded."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        unguard(self.table, schema_editor.connection)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        unguard(self.table, schema_editor.connection)
        guard(self.table, schema_editor.connection)

    def describe(self):
        return f"Let {self.table} be rewritten"
