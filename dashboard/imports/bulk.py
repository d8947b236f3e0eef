"""Inserting many records at once: COPY on PostgreSQL, bulk_create elsewhere. Same rows either way.

Records are dicts of column attributes, complete with their ids: making a model instance of each would
take longer than storing it.
"""

import json
from operator import itemgetter

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models

from dashboard.ids import new_hex

WORTH_COPYING = 50
PENDING_SEARCH_LIST = "64MB"  # entries a search index may gather before it files them: larger batches file faster


def insert(model, records):
    """Insert records of one model: every concrete field by its attribute name. Call it inside a transaction."""
    if len(records) >= WORTH_COPYING and connection.vendor == "postgresql":
        _copy(model._meta, records)
    elif records:
        model._base_manager.bulk_create([model(**r) for r in records], batch_size=500)


def _copy(meta, records):
    fields = meta.local_concrete_fields
    values = itemgetter(*[f.attname for f in fields])
    at = [i for i, f in enumerate(fields) if isinstance(f, models.JSONField)]
    columns = ", ".join(connection.ops.quote_name(f.column) for f in fields)
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('gin_pending_list_limit', %s, true)", [PENDING_SEARCH_LIST])
        with cursor.copy(f"COPY {connection.ops.quote_name(meta.db_table)} ({columns}) FROM STDIN") as copy:
            for record in records:
                copy.write_row(_with_json(values(record), at) if at else values(record))


def _with_json(row, at):
    row = list(row)
    for i in at:
        row[i] = None if row[i] is None else "{}" if row[i] == {} else json.dumps(row[i], cls=DjangoJSONEncoder)
    return row


def event(kind, obj, *, by, at, customer_id="", changes=None, **data):
    """The record of an event about obj, to be inserted with many others. `at` is the moment of all of them."""
    return {
        "id": f"evt_{new_hex()}",
        "type": kind,
        "object_type": obj._meta.model_name,
        "object_id": obj.pk,
        "customer_id": customer_id,
        "livemode": obj.livemode,
        "by_id": by.pk if by else None,
        "actor": "staff" if by else "system",
        "changes": changes or {},
        "data": data,
        "created_at": at,
    }
