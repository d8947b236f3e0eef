"""How late the money of open statements is, in whole days by the dashboard's midnights."""

from datetime import timedelta
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from dashboard.filters import midnight


class Age(NamedTuple):
    """One step of lateness: `over` and `upto` are days; None has no end. `tone` is the colour of its bar."""

    key: str
    label: str
    over: int | None
    upto: int | None
    tone: str = ""


NOT_DUE = "not_due"
AGES = [
    Age(NOT_DUE, "Not due yet", None, None),
    Age("30", "Up to 30 days late", None, 30, "warn"),
    Age("60", "31–60 days late", 30, 60, "warn"),
    Age("90", "61–90 days late", 60, 90, "bad"),
    Age("over_90", "Over 90 days late", 90, None, "bad"),
]
CHOICES = [(age.key, age.label) for age in AGES]


def aged(key, now=None):
    """The condition on `due_at` of one age. Together they part all open statements; one without a due date is not due."""
    now = now or timezone.now()
    if key == NOT_DUE:
        return Q(due_at__gte=now) | Q(due_at=None)
    age = next(a for a in AGES if a.key == key)
    late = Q(due_at__lt=now if age.over is None else _days_ago(age.over, now))
    return late if age.upto is None else late & Q(due_at__gte=_days_ago(age.upto, now))


def _days_ago(days, now):
    return midnight(timezone.localdate(now) - timedelta(days=days))


def days_late(statement, now=None):
    """Whole days since the day a statement was due."""
    return (timezone.localdate(now) - timezone.localdate(statement.due_at)).days
