"""Events: what happened, to what, by whom. Written with the change, in its transaction, and never altered."""

from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

from django.utils import timezone

from dashboard.ids import new_hex
from dashboard.signing import sign_event

_acting = ContextVar("acting", default=MappingProxyType({}))
_WHERE = ("ip", "request_id")  # columns; whatever else acting() says goes into data


@contextmanager
def acting(**about):
    """Whatever is recorded inside says so too: actor="api", key="key_…".

    The middleware says where each request comes from (ip, request_id); workers and commands come from nowhere.
    """
    token = _acting.set(_acting.get() | about)
    try:
        yield
    finally:
        _acting.reset(token)


def where():
    """{"ip": …, "request_id": …} of the request under way; empty texts outside of one."""
    about = _acting.get()
    return {name: about.get(name, "") for name in _WHERE}


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


def note(kind, *, by, livemode, about=None, **data):
    """Write an event about no record of the business: an export, a refused delivery. `about` is a person, if it is one."""
    from dashboard.models import Event

    about = {"object_type": about._meta.model_name, "object_id": about.pk} if about else {"object_type": "", "object_id": ""}
    return Event.objects.create(
        **_signed({"type": kind, **about, "customer_id": "", "livemode": livemode, "changes": {}, **_source(by, data)})
    )


def _fields(kind, obj, by, changes, why, customer, data):
    return _signed(
        {
            "type": kind,
            "object_type": obj._meta.model_name,
            "object_id": obj.pk,
            "customer_id": customer.pk if customer else _customer_id(obj),
            "livemode": obj.livemode,
            "changes": changes or {},
            **_source(by, data | ({"why": why} if why else {})),
        }
    )


def _signed(fields):
    """An event complete with its ID, its time and the application's signature over all of it (see dashboard.signing)."""
    fields |= {"id": f"evt_{new_hex()}", "created_at": timezone.now()}
    return fields | {"signature": sign_event(fields)}


def _source(by, data):
    """Who acted, and how: what the call says itself, then what acting() says, then whether it was a person."""
    about = {name: value for name, value in _acting.get().items() if name not in _WHERE} | data
    actor = about.pop("actor", None) or ("staff" if by else "system")
    return {"by_id": by.pk if by else None, "actor": actor, "data": about, **where()}


def _customer_id(obj):
    return obj.pk if obj._meta.model_name == "customer" else getattr(obj, "customer_id", None) or ""


def changed(obj, fields):
    """{field: [old, new]} of the fields that differ from obj's values, as JSON holds them."""
    return {k: [getattr(obj, k), v] for k, v in fields.items() if getattr(obj, k) != v}


def timeline(customer_id, limit=20):
    """A customer's events, newest first: an ordinary queryset to slice."""
    from dashboard.models import Event

    return Event.objects.filter(customer_id=customer_id).select_related("by").order_by("-id")[:limit]
