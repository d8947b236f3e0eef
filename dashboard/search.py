"""Search over a `search` text column: one call for both databases.

The column holds folded text (text.search_text). PostgreSQL has a trigram GIN index on it; SQLite an FTS5
trigram table kept by triggers. Words of one or two letters have no trigram, so a query of nothing else
matches the beginning of the columns the model names in SEARCH_PREFIX, each with a plain index.
"""

from django.db import connections, migrations, models
from django.db.models import Q
from django.db.models.expressions import RawSQL

from dashboard.card_numbers import find_card_number
from dashboard.text import clean_text, words

LIMIT = 200  # characters of a query that are looked at
CAP = 10_000  # counts stop here; a search that matches more is walked in list order instead


def clean_query(text):
    """A search text as it is looked for and shown again: "" for a card number."""
    text = clean_text(str(text or ""), LIMIT)
    return "" if find_card_number(text) else text


def matching(queryset, text):
    """The rows of queryset that hold every word of text, in any order, anywhere; all rows for blank text."""
    tokens = words(clean_query(text))
    if not tokens:
        return queryset.none() if clean_query(text) else queryset
    if all(len(t) < 3 for t in tokens):
        return queryset.filter(_prefixes(queryset.model, " ".join(tokens)))
    joined = "".join(tokens).lstrip("0")
    found = _holding(queryset, tokens)
    if joined.isdigit() and len(tokens) > 1 and len(joined) >= 5:  # a phone or order number, however it was spaced
        found |= _holding(queryset, [joined])
    return queryset.filter(found)


def matching_name(queryset, text):
    """The same for someone who may not see contact data: only the name is looked at, so nothing leaks."""
    tokens = words(clean_query(text))
    return queryset.filter(*[Q(**{f"{queryset.model.SEARCH_NAME}__contains": t}) for t in tokens]) if tokens else queryset.none()


def _prefixes(model, start):
    return Q(*[(f"{name}__startswith", start) for name in model.SEARCH_PREFIX], _connector=Q.OR)


def _holding(queryset, tokens):
    if connections[queryset.db].vendor == "postgresql":
        return Q(*[("search__contains", t) for t in tokens])
    table = queryset.model._meta.db_table
    phrase = " AND ".join(f'"{t}"' for t in tokens if len(t) > 2)
    source = f"{table}_fts f JOIN {table}_fts_map m ON m.docid = f.rowid"
    hit = f"SELECT m.id FROM {source} WHERE {table}_fts MATCH %s"  # noqa: S608  (the name of a model's table)
    return Q(pk__in=RawSQL(hit, [phrase], output_field=models.CharField())) & Q(
        *[("search__contains", t) for t in tokens if len(t) < 3]
    )


class SearchIndex(migrations.operations.base.Operation):
    """Migration operation: the search index of a table with a text primary key `id` and a `search` column."""

    reversible = True
    reduces_to_sql = True

    def __init__(self, table):
        self.table = table

    def state_forwards(self, app_label, state):
        pass

    def describe(self):
        return f"Index {self.table}.search by trigram"

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        statements = _POSTGRES if schema_editor.connection.vendor == "postgresql" else _SQLITE
        for statement in statements:
            schema_editor.execute(statement.format(t=self.table))

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        statements = _POSTGRES_DROP if schema_editor.connection.vendor == "postgresql" else _SQLITE_DROP
        for statement in statements:
            schema_editor.execute(statement.format(t=self.table))


class SearchTriggers(SearchIndex):
    """Migration operation, last in one that alters an indexed table: SQLite makes such a table anew, without its triggers."""

    def describe(self):
        return f"Keep {self.table}'s search index current"

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "sqlite":
            for statement in (*_SQLITE_DROP[:3], *_SQLITE[4:]):
                schema_editor.execute(statement.format(t=self.table))

    database_backwards = database_forwards


_POSTGRES = [
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX {t}_search ON {t} USING gin (search gin_trgm_ops)",
]
_POSTGRES_DROP = ["DROP INDEX IF EXISTS {t}_search"]
# A row's own rowid may change on VACUUM, so FTS goes by a map from a stable number to the id.
_SQLITE = [
    "CREATE TABLE {t}_fts_map (docid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE {t}_fts USING fts5 (search, tokenize = 'trigram')",
    "INSERT INTO {t}_fts_map (id) SELECT id FROM {t}",
    "INSERT INTO {t}_fts (rowid, search) SELECT m.docid, c.search FROM {t} c JOIN {t}_fts_map m ON m.id = c.id",
    """CREATE TRIGGER {t}_fts_insert AFTER INSERT ON {t} BEGIN
       INSERT INTO {t}_fts_map (id) VALUES (new.id);
       INSERT INTO {t}_fts (rowid, search) SELECT docid, new.search FROM {t}_fts_map WHERE id = new.id; END""",
    """CREATE TRIGGER {t}_fts_update AFTER UPDATE OF search ON {t} WHEN old.search <> new.search BEGIN
       UPDATE {t}_fts SET search = new.search WHERE rowid = (SELECT docid FROM {t}_fts_map WHERE id = new.id); END""",
    """CREATE TRIGGER {t}_fts_delete AFTER DELETE ON {t} BEGIN
       DELETE FROM {t}_fts WHERE rowid = (SELECT docid FROM {t}_fts_map WHERE id = old.id);
       DELETE FROM {t}_fts_map WHERE id = old.id; END""",
]
_SQLITE_DROP = [
    "DROP TRIGGER IF EXISTS {t}_fts_insert",
    "DROP TRIGGER IF EXISTS {t}_fts_update",
    "DROP TRIGGER IF EXISTS {t}_fts_delete",
    "DROP TABLE IF EXISTS {t}_fts",
    "DROP TABLE IF EXISTS {t}_fts_map",
]
