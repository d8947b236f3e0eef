"""Texts put into every text field of every record: straight into the rows, past the forms, as far as the database allows.

Defence in depth: what a form refuses today may have come in by another door, or yesterday.
"""

from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from dashboard.tests import guards

APPS = ("dashboard", "customers", "billing", "sandbox", "account", "admin")
TEXTS = (models.CharField, models.TextField, models.JSONField)
CODE = {  # what the code looks up in a table of its own, or imports: an unknown word there is a fault, not a text
    *("currency", "gateway", "importer", "encoding", "delimiter", "object_type", "attach", "list", "scopes", "list_columns"),
    *("mapping", "options", "through", "billing_reason", "address_check", "Mail.kind", "Mail.object_id"),
    *("Event.type", "Event.object_id", "Event.customer_id", "Event.request_id", "BillingStatement.billing"),
}
DOORS = {  # what opens a session or a link, or is compared: without it there is no page to look at
    *("password", "session_key", "session_data", "token_nonce", "token_hash", "hashed", "nonce", "vault_token"),
    *("Mail.key", "EmailConfirmation.key"),
}


def fields():
    """[(model, [its text fields that take any text])], and how many were left out because they take a word of the code's."""
    found, left = [], 0
    for model in [m for app in APPS for m in apps.get_app_config(app).get_models()]:
        texts = [f for f in model._meta.concrete_fields if isinstance(f, TEXTS) and not f.primary_key and not f.generated]
        free = [f for f in texts if not f.choices and not {f.name, f"{model.__name__}.{f.name}"} & (CODE | DOORS)]
        left += len(texts) - len(free)
        if free:
            found.append((model, free))
    return found, left


def poison(strings, shift=0):
    """Give the n-th text field strings[n + shift], in every row there is.

    Returns (fields, values written, fields left to words of the code's own, [fields in which the database refused a value]).
    """
    (known, left), number, written, refused = fields(), 0, 0, set()
    connection.check_constraints()  # PostgreSQL: nothing is pending that would keep the guards from resting
    with guards.resting():
        for model, texts in known:
            given = {f: strings[(number + n + shift) % len(strings)] for n, f in enumerate(texts)}
            number += len(texts)
            for count, row in enumerate(model._base_manager.all()):
                told = _write(row, {f: filled(f, text, getattr(row, f.attname), count) for f, text in given.items()})
                written += len(texts) - len(told)
                refused |= {f"{model._meta.label}.{name}" for name in told}
        connection.check_constraints()  # nor from waking
    return number, written, left, sorted(refused)


def filled(field, text, was, count):
    """The text as the field can hold it: cut to its length, its own for every row where it must be, inside of JSON."""
    if isinstance(field, models.JSONField):
        return _inside(was, text)
    if connection.vendor == "postgresql":
        text = text.replace("\0", "")
    mark = f"{count}" if count and _is_alone(field) else ""
    return text[: (field.max_length or 10_000) - len(mark)] + mark


def _is_alone(field):
    """Whether two rows may not have the same."""
    alone = [c for c in field.model._meta.constraints if isinstance(c, models.UniqueConstraint)]
    return field.unique or any(field.name in c.fields or f"({field.name})" in repr(c.expressions) for c in alone)


def _inside(value, text):
    """JSON of the same shape with the text in place of every text, and under a key of its own."""
    if isinstance(value, str):
        return text[:500]
    if isinstance(value, list):
        return [_inside(item, text) for item in value]
    if isinstance(value, dict):
        return {name: _inside(item, text) for name, item in value.items()} | ({text[:40]: text[:500]} if value else {})
    return value


def _write(row, values):
    """Write them together, or one by one where the database refuses some. Returns the names of those refused."""
    names = {f.attname: value for f, value in values.items()}
    if _update(row, names):
        return []
    return [name for name, value in names.items() if not _update(row, {name: value})]


def _update(row, names):
    try:
        with transaction.atomic():
            return bool(type(row)._base_manager.filter(pk=row.pk).update(**names))
    except DatabaseError:
        return False
