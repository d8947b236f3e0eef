"""Inserting many records at once: COPY on PostgreSQL, bulk_create elsewhere. Same rows either way.

Records are dicts of column attributes, complete with their ids: making a model instance of each would
take longer than storing it. What else such a dict holds is passed over.
"""

import gc
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from operator import itemgetter

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models

from dashboard.events import where
from dashboard.ids import new_hex
from dashboard.signing import sign_event, signer_of_alike

_encode = DjangoJSONEncoder().encode
_NOTHING = {}
WORTH_COPYING = 50
PENDING_SEARCH_LIST = "64MB"  # entries a search index may gather before it files them: larger batches file faster

_USUAL = gc.get_threshold()  # not what is found on entering: several threads may be inside
_meanwhile = ContextVar("meanwhile", default=())


@contextmanager
def meanwhile(work):
    """Inside, a step of `work` (an iterator) is taken with each record that is copied, while the database stores those
    before. What it has left to do is the caller's."""
    token = _meanwhile.set(work)
    try:
        yield
    finally:
        _meanwhile.reset(token)


@contextmanager
def rare_collections():
    """What a batch is made of dies with it and holds no cycles: look for cycles less often than every 2,000 objects."""
    gc.set_threshold(100_000, *_USUAL[1:])
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL)


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
    kept = {i: (None, None) for i, f in enumerate(fields) if isinstance(f, models.JSONField | models.DateTimeField)}
    columns = ", ".join(connection.ops.quote_name(f.column) for f in fields)
    work = iter(_meanwhile.get())
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('gin_pending_list_limit', %s, true)", [PENDING_SEARCH_LIST])
        with cursor.copy(f"COPY {connection.ops.quote_name(meta.db_table)} ({columns}) FROM STDIN") as copy:
            for record in records:
                copy.write_row(_as_text(values(record), kept))
                next(work, None)


def _as_text(row, kept):
    """The row with JSON and times as text; kept holds each such column's last value and text: most records share them."""
    row = list(row)
    for i, (value, _) in kept.items():
        if row[i] is not value:
            kept[i] = row[i], _text(row[i])
        row[i] = kept[i][1]
    return row


def _text(value):
    if value is None or value == {}:
        return None if value is None else "{}"
    return value.isoformat() if isinstance(value, datetime) else _encode(value)


def event(kind, obj, *, by, at, data, customer_id="", changes=None):
    """The record of an event about obj, to be inserted with many others. `at` and `data` are those of all of them."""
    common = _common(kind, obj, by, at, data, changes or _NOTHING)
    fields = common | {"id": f"evt_{new_hex()}", "object_id": obj.pk, "customer_id": customer_id}
    return fields | {"signature": sign_event(fields)}


def events_alike(kind, like, *, by, at, data):
    """A function (object's id, customer's id) that gives the record of an event about an object such as `like`.

    For many of which nothing else differs: what they have in common is worked out, and made ready to be signed, once.
    """
    common = _common(kind, like, by, at, data, _NOTHING)
    sign = signer_of_alike(common)

    def event_about(object_id, customer_id):
        own = f"evt_{new_hex()}"
        signature = sign(own, object_id, customer_id)
        return common | {"id": own, "object_id": object_id, "customer_id": customer_id, "signature": signature}

    return event_about


def _common(kind, obj, by, at, data, changes):
    return {
        "type": kind,
        "object_type": obj._meta.model_name,
        "livemode": obj.livemode,
        "by_id": by.pk if by else None,
        "actor": "staff" if by else "system",
        "changes": changes,
        "data": data,
        "created_at": at,
        **where(),
    }
