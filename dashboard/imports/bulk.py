"""Inserting many records at once: COPY on PostgreSQL, bulk_create elsewhere. Same rows either way.

Records are dicts of column attributes, complete with their ids: making a model instance of each would
take longer than storing it. What else such a dict holds is passed over.
"""

from operator import itemgetter

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models

from dashboard.events import where
from dashboard.ids import new_hex
from dashboard.signing import sign_event

_encode = DjangoJSONEncoder().encode
_NOTHING = {}
WORTH_COPYING = 50
PENDING_SEARCH_LIST = "64MB"  # entries a search index may gather before it files them: larger batches file faster


def insert(model, things, record=None):
    """Insert a record of one model for each thing: record(thing) gives it, a thing is one itself without it.

    Call it inside a transaction. COPY stores as it is sent to: records are made one at a time while the database is busy
    with those before.
    """
    records = map(record, things) if record else things
    if len(things) >= WORTH_COPYING and connection.vendor == "postgresql":
        _copy(model._meta, records)
    elif things:
        names = [f.attname for f in model._meta.local_concrete_fields]
        model._base_manager.bulk_create([model(**{n: r[n] for n in names}) for r in records], batch_size=500)


def _copy(meta, records):
    fields = meta.local_concrete_fields
    values = itemgetter(*[f.attname for f in fields])
    kept = {i: (None, None) for i, f in enumerate(fields) if isinstance(f, models.JSONField)}
    columns = ", ".join(connection.ops.quote_name(f.column) for f in fields)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('gin_pending_list_limit', %s, true)", [PENDING_SEARCH_LIST])
        with cursor.copy(f"COPY {connection.ops.quote_name(meta.db_table)} ({columns}) FROM STDIN") as copy:
            for record in records:
                copy.write_row(_with_json(values(record), kept) if kept else values(record))


def _with_json(row, kept):
    """The row with its JSON as text; kept holds each such column's last value and text, for many records share one."""
    row = list(row)
    for i, (value, _) in kept.items():
        if row[i] is not value:
            kept[i] = row[i], None if row[i] is None else _encode(row[i])
        row[i] = kept[i][1]
    return row


def event(kind, obj, *, by, at, data, customer_id="", changes=None):
    """The record of an event about obj, to be inserted with many others. `at` and `data` are those of all of them."""
    fields = {
        "id": f"evt_{new_hex()}",
        "type": kind,
        "object_type": obj._meta.model_name,
        "object_id": obj.pk,
        "customer_id": customer_id,
        "livemode": obj.livemode,
        "by_id": by.pk if by else None,
        "actor": "staff" if by else "system",
        "changes": changes or _NOTHING,
        "data": data,
        "created_at": at,
        **where(),
    }
    fields["signature"] = sign_event(fields)
    return fields
