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
POSTGRES_DROP = ["DROP TRIGGER IF EXISTS {t}_append_only ON {t}"]
SQLITE_DROP = ["DROP TRIGGER IF EXISTS {t}_no_update", "DROP TRIGGER IF EXISTS {t}_no_delete"]


def guard(table, connection):
    """Make a table append-only."""
    _run(POSTGRES if connection.vendor == "postgresql" else SQLITE, table, connection)


def unguard(table, connection):
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
