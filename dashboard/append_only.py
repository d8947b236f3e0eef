"""Tables that only grow: triggers on both databases refuse to change or delete a row.

One table has an exception. Erasing a person takes their data out of events (dashboard.redaction), so the guard of that
table lets an UPDATE pass for which a row of another append-only table, the redactions, names this event, the signature it
has and the one it gets, and which touches REDACTABLE columns alone. That both signatures are ours no database can tell:
verify_audit does.
"""

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
REDACTABLE = ("changes", "data", "ip", "signature")  # columns of an event
_SANCTIONED = """NEW.signature <> OLD.signature AND EXISTS (
    SELECT 1 FROM {r} r WHERE r.event_id = OLD.id AND r."before" = OLD.signature AND r."after" = NEW.signature)"""
POSTGRES_BUT_REDACTION = [
    f"""CREATE OR REPLACE FUNCTION {{t}}_refuse_change() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN
         IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - {{redactable}} = to_jsonb(OLD) - {{redactable}} AND {_SANCTIONED}
         THEN RETURN NEW; END IF;
         RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME;
       END $$""",
    "CREATE TRIGGER {t}_append_only BEFORE UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION {t}_refuse_change()",
]
SQLITE_BUT_REDACTION = [
    f"""CREATE TRIGGER {{t}}_no_update BEFORE UPDATE ON {{t}} WHEN NOT ({{same}} AND {_SANCTIONED})
       BEGIN SELECT RAISE(ABORT, '{{t}} is append-only'); END""",
    SQLITE[1],
]
POSTGRES_DROP = ["DROP TRIGGER IF EXISTS {t}_append_only ON {t}", "DROP TRIGGER IF EXISTS {t}_no_truncate ON {t}"]
SQLITE_DROP = ["DROP TRIGGER IF EXISTS {t}_no_update", "DROP TRIGGER IF EXISTS {t}_no_delete"]


def guard(table, connection):
    """Make a table append-only."""
    _run(POSTGRES if connection.vendor == "postgresql" else SQLITE, table, connection)


def guard_but_redaction(table, redactions, connection):
    """Make a table append-only but for what the table of redactions sanctions, instead of the guard it has."""
    unguard(table, connection)
    if connection.vendor == "postgresql":
        redactable = f"'{{{','.join(REDACTABLE)}}}'::text[]"
        _run(POSTGRES_BUT_REDACTION + POSTGRES_TRUNCATE, table, connection, r=redactions, redactable=redactable)
    else:
        same = " AND ".join(f'NEW."{name}" IS OLD."{name}"' for name in _frozen(table, connection))
        _run(SQLITE_BUT_REDACTION, table, connection, r=redactions, same=same)


def _frozen(table, connection):
    """The columns that no redaction touches."""
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, table)
    return [column.name for column in columns if column.name not in REDACTABLE]


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


def _run(statements, table, connection, **names):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(t=table, **names).replace("%%", "%"))


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


class GuardedButRedaction(AppendOnly):
    """Migration operation: let a guarded table be redacted, as the table of redactions says. Columns that come later
    need it again."""

    def __init__(self, table, redactions):
        super().__init__(table)
        self.redactions = redactions

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        guard_but_redaction(self.table, self.redactions, schema_editor.connection)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        Guarded.database_forwards(self, app_label, schema_editor, from_state, to_state)

    def describe(self):
        return f"Make {self.table} append-only but for redaction"


class Unguarded(AppendOnly):
    """Migration operation: let a table be rewritten by the operations that follow, up to the next Guarded."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        unguard(self.table, schema_editor.connection)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        unguard(self.table, schema_editor.connection)
        guard(self.table, schema_editor.connection)

    def describe(self):
        return f"Let {self.table} be rewritten"
