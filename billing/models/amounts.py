"""Amounts on a row: columns hold minor units, pages want Money."""

from django.db.models import CheckConstraint, Q

from dashboard.money import LARGEST, Money


def money_of(column):
    """A property giving a column of minor units as Money in the row's `currency`."""
    return property(lambda row: Money(getattr(row, column), row.currency), doc=f"`{column}` as Money.")


def within_bounds(prefix, *columns):
    """Constraints: each column from 0 to the largest amount there is."""
    return [CheckConstraint(condition=Q(**{f"{c}__gte": 0, f"{c}__lte": LARGEST}), name=f"{prefix}_{c}_bounds") for c in columns]
