"""No value past the limits of its column, whoever writes it.

Forms, the API and imports check what people send and say it at its field; this holds the domain functions to the same limits,
for SQLite keeps a text of any length and neither database knows a column's choices. What skips save(), such as bulk_create and
update, is held by the checks in the database.
"""

from functools import cache

from django.core.exceptions import ValidationError
from django.db.models.signals import pre_save

from dashboard.states import DomainError

OURS = ("dashboard", "customers", "billing")


def watch():
    pre_save.connect(check_values, dispatch_uid="dashboard.values")


def check_values(sender, instance, update_fields=None, **kwargs):
    """Before save(): raises DomainError when a value is too long, none of its column's choices or fails its validators."""
    for field in _limited(sender):
        value = instance.__dict__.get(field.attname)
        if value in field.empty_values or hasattr(value, "resolve_expression"):
            continue
        if update_fields is None or field.name in update_fields:
            _check(field, value, instance)


def _check(field, value, instance):
    try:
        field.clean(value, instance)
    except ValidationError as error:
        label = field.verbose_name[:1].upper() + field.verbose_name[1:]
        raise DomainError(f"{label}: {' '.join(error.messages)} Nothing was saved.")


@cache
def _limited(model):
    """The columns of a model of ours that have limits of their own."""
    if model.__module__.partition(".")[0] not in OURS:
        return ()
    return tuple(f for f in model._meta.local_concrete_fields if (f.validators or f.choices) and not f.remote_field)
