"""Events: what happened, to what, by whom. Written with the change, in its transaction, and never altered."""

from django.utils import timezone


def record(kind, obj, *, by, changes=None, why="", customer=None, **data):
    """Write one event about obj. `by` is a staff member, or None for the payer or the system.

    changes maps a field to [old, new]; data is anything else the timeline needs to say it in words.
    """
    from dashboard.models import Event

    return Event.objects.create(**_fields(kind, obj, by, changes, why, customer, data))


def record_many(kind, objects, *, by, **data):
    """One event for each object, in one statement: for imports."""
    from dashboard.models import Event

    return Event.objects.bulk_create([Event(**_fields(kind, o, by, None, "", None, data)) for o in objects], batch_size=1000)


def note(kind, *, by, livemode, **data):
    """Write an event about no one record: an export, a sign-in."""
    from dashboard.models import Event

    return Event.objects.create(
        type=kind,
        object_type="",
        object_id="",
        livemode=livemode,
        by=by,
        actor="staff" if by else "system",
        data=data,
        created_at=timezone.now(),
    )


def _fields(kind, obj, by, changes, why, customer, data):
    actor = data.pop("actor", None)
    return {
        "type": kind,
        "object_type": obj._meta.model_name,
        "object_id": obj.pk,
        "customer_id": customer.pk if customer else _customer_id(obj),
        "livemode": obj.livemode,
        "by": by,
        "actor": actor or ("staff" if by else "system"),
        "changes": changes or {},
        "data": data | ({"why": why} if why else {}),
        "created_at": timezone.now(),
    }


def _customer_id(obj):
    return obj.pk if obj._meta.model_name == "customer" else getattr(obj, "customer_id", None) or ""


def changed(obj, fields):
    """{field: [old, new]} of the fields that differ from obj's values, as JSON holds them."""
    return {k: [getattr(obj, k), v] for k, v in fields.items() if getattr(obj, k) != v}


def timeline(customer_id, limit=20):
    """A customer's events, newest first: an ordinary queryset to slice."""
    from dashboard.models import Event

    return Event.objects.filter(customer_id=customer_id).select_related("by").order_by("-id")[:limit]
