from django.db import migrations

from dashboard.append_only import AppendOnly, guard, guard_truncate, unguard

TABLE = "billing_balanceentry"
POSTGRES = [
    f"""CREATE OR REPLACE FUNCTION {TABLE}_refuse_change() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN
         IF TG_OP = 'UPDATE' AND NEW.reason = '' AND to_jsonb(NEW) - 'reason' = to_jsonb(OLD) - 'reason'
         THEN RETURN NEW; END IF;
         RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
       END $$""",
    f"CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE}"
    f" FOR EACH ROW EXECUTE FUNCTION {TABLE}_refuse_change()",
]


class GuardedButReason(AppendOnly):
    """Let the free text of a guarded entry be emptied, and nothing else of it: people are erased, their ledger is not."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        connection = schema_editor.connection
        unguard(self.table, connection)
        with connection.cursor() as cursor:
            for statement in POSTGRES if connection.vendor == "postgresql" else self._sqlite(connection, cursor):
                cursor.execute(statement)
        guard_truncate(self.table, connection)

    def _sqlite(self, connection, cursor):
        columns = [c.name for c in connection.introspection.get_table_description(cursor, self.table) if c.name != "reason"]
        same = " AND ".join(f'NEW."{name}" IS OLD."{name}"' for name in columns)
        refuse = f"BEGIN SELECT RAISE(ABORT, '{self.table} is append-only'); END"
        return [
            f"CREATE TRIGGER {self.table}_no_update BEFORE UPDATE ON {self.table} WHEN NOT (NEW.reason = '' AND {same}) {refuse}",
            f"CREATE TRIGGER {self.table}_no_delete BEFORE DELETE ON {self.table} {refuse}",
        ]

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        unguard(self.table, schema_editor.connection)
        guard(self.table, schema_editor.connection)

    def describe(self):
        return f"Make {self.table} append-only but for emptying its reasons"


class Migration(migrations.Migration):
    """The free text of a balance entry may name somebody: it can be emptied, by erasing its customer."""

    dependencies = [("billing", "0004_methods_links_coupons_subscriptions"), ("customers", "0007_erasure")]

    operations = [GuardedButReason(TABLE)]
