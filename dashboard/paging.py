"""Keyset paging and capped counts: a page costs the same wherever it lies and however many rows there are.

A cursor names the row a page starts after or ends before: its sort value and id. Nothing is counted
beyond CAP. Where a filter leaves few rows and no index has them in order, they are found first and sorted
then: left to itself a planner may walk the sort's index past millions of rows looking for them.
"""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db import connection, connections
from django.db.models import F, Value
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan

from dashboard.search import CAP

SIZES = (25, 50, 100)
REMEMBERED_SECONDS = 60
SMALL = 1_000  # counts up to here are never remembered


class Counts:
    """Counts of a moment ago, by list, so that no page counts again and again what has not changed.

    `as_of` names the state of the records, where the caller can tell it: a count of the same state is right whatever
    its size. Without it only counts above a number are given back. Each process remembers for itself and for a
    minute, so nothing is older: neither what the clock changes, nor a change that was committed late.
    """

    MOST = 1000  # lists remembered: search texts make ever new ones

    def __init__(self):
        self.known = {}

    def learn(self, key, count, as_of=None):
        if key is not None and (as_of or count > SMALL):
            if len(self.known) >= self.MOST:
                self.known.clear()
            self.known[self._here(key)] = count, as_of, time.monotonic() + REMEMBERED_SECONDS

    def recall(self, key, above=CAP, as_of=None):
        """The count learnt for key, if it is of this state or above a number, and not too old; else None."""
        count, state, until = self.known.get(self._here(key), (0, None, 0))
        good = count > above or (as_of and state == as_of)
        return count if good and until > time.monotonic() else None

    def forget(self):
        self.known.clear()

    def _here(self, key):
        return connection.settings_dict["NAME"], key


counts = Counts()


class Queries:
    """Querysets of a moment ago, by what they depend on: building one and compiling it takes longer than running it.

    Each process keeps its own for a minute, and gives copies: a copy has no rows yet.
    """

    MOST = 200

    def __init__(self):
        self.known = {}

    def recall(self, key, make):
        """The queryset kept for key, else what make() gives."""
        key = connection.settings_dict["NAME"], key
        queryset, until = self.known.get(key, (None, 0))
        if until < time.monotonic():
            if len(self.known) >= self.MOST:
                self.known.clear()
            queryset = make()
            self.known[key] = queryset, time.monotonic() + REMEMBERED_SECONDS
        return queryset.all()


queries = Queries()


def compiled(queryset):
    """The queryset with its SQL made once and for all: run it, or a copy of it, as it stands."""
    queryset = queryset.all()
    first = queryset.query.get_compiler(queryset.db)
    statement = first.as_sql()
    first.as_sql = lambda: statement

    def get_compiler(using=None, **kwargs):
        again = copy(first)
        again.connection = connections[using]  # a connection belongs to its thread
        return again

    queryset.query.get_compiler = get_compiler
    return queryset


class Blank(Value):
    """A value a compiled queryset is yet to be told: see told."""

    def as_sql(self, compiler, connection):
        return "%s", [self]


def told(queryset, values):
    """A compiled queryset with its Blanks filled in from {their name: value}. It is changed in place."""
    make = queryset.query.get_compiler

    def get_compiler(using=None, **kwargs):
        again = make(using, **kwargs)
        sql, params = again.as_sql()
        filled = [_fill(part, values, again.connection) if isinstance(part, Blank) else part for part in params]
        again.as_sql = lambda: (sql, filled)
        return again

    queryset.query.get_compiler = get_compiler
    return queryset


def _fill(blank, values, connection):
    return blank.output_field.get_db_prep_value(values[blank.value], connection)


def capped_counts(querysets):
    """The count of each queryset, at most CAP + 1, in one query."""
    return list(_counted(querysets))


def recent_counts(lists, page):
    """The same of {key: function that gives a queryset}; numbers above SMALL may be a minute old.

    A page that has to count its own rows does so in the same query.
    """
    found = {key: counts.recall(key, above=SMALL, as_of=page.as_of) for key in lists}
    asked = {key: lists[key]() for key, count in found.items() if count is None}
    own = [page.filtered] if page.known_count is None else []
    numbers = capped_counts([*own, *asked.values()])
    for number in numbers[: len(own)]:
        page.learn_count(number)
    for key, number in zip(asked, numbers[len(own) :], strict=True):
        found[key] = number
        counts.learn(key, number, page.as_of)
    return found


def _counted(querysets):
    compiled = [_capped_sql(q) for q in querysets]
    if not compiled:
        return []
    # S608: the compiled SQL of querysets; values stay parameters
    sql = ", ".join(f"(SELECT count(*) FROM ({s}) c{i})" for i, (s, _) in enumerate(compiled))  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {sql}", [p for _, params in compiled for p in params])
        return cursor.fetchone()


def _capped_sql(queryset):
    try:
        query = queryset.order_by().values("pk").query
        query.set_limits(high=CAP + 1)
        return query.sql_with_params()
    except EmptyResultSet:  # Django knows that nothing can match
        return "SELECT 1 WHERE 1 = 0", ()


@dataclass(frozen=True)
class Order:
    """A sort: a column that is never null, and its direction; the id breaks ties the same way."""

    column: str
    descending: bool = False

    @property
    def fields(self):
        sign = "-" if self.descending else ""
        return [f"{sign}{name}" for name in dict.fromkeys((self.column, "pk"))]

    def reversed(self):
        return Order(self.column, not self.descending)

    def blank(self, model):
        """Any place in this order, for a query that is to be kept."""
        pk = model._meta.pk
        return Blank("value", pk if self.column == "pk" else model._meta.get_field(self.column)), Blank("pk", pk)


class Cursor:
    """The place of a row in an order, as text for a URL."""

    @staticmethod
    def of(row, order):
        value = getattr(row, order.column)
        value = value.isoformat() if isinstance(value, datetime) else value
        return urlsafe_b64encode(json.dumps([value, row.pk]).encode()).decode().rstrip("=")

    @staticmethod
    def read(text, order, model):
        """(value, id) as the column holds them, or None for a cursor that is not ours."""
        try:
            value, pk = json.loads(urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
            if not isinstance(pk, str) or "\0" in pk or (isinstance(value, str) and "\0" in value):
                return None
            field = model._meta.pk if order.column == "pk" else model._meta.get_field(order.column)
            value = field.to_python(value)
            return (value, model._meta.pk.to_python(pk)) if _is_comparable(value) else None
        except (ValueError, TypeError, OverflowError, RecursionError, ValidationError):
            return None


def _is_comparable(value):
    """Whether stored values can be compared with it: a time has a zone, a number fits its column."""
    if isinstance(value, datetime):
        return value.tzinfo is not None
    return value is not None and (not isinstance(value, int) or abs(value) < 2**63)


def beyond(queryset, order, place):
    """The rows after a place in an order: one row-value comparison, which an index answers directly."""
    value, pk = place
    later = TupleLessThan if order.descending else TupleGreaterThan
    if order.column == "pk":
        return queryset.filter(**{f"pk__{'lt' if order.descending else 'gt'}": pk})
    return queryset.filter(later(Tuple(F(order.column), F("pk")), (value, pk)))


class Page:
    """One page of `filtered` in an order. `rows` costs one query and `count` another, both bounded.

    `base` is the same list before anybody filtered it, with what its rows need (select_related, defer). `key` names
    list and filters, and `as_of` the state of their records, to remember how many they leave (see Counts). `shape`,
    where given, names all that the query depends on but order, size and place, to keep it ready (see Queries).
    """

    def __init__(
        self, base, filtered, order, *, size=SIZES[0], after="", before="", narrowed=False, key=None, as_of=None, shape=None
    ):
        self.base, self.filtered, self.order, self.size, self.narrowed = base, filtered, order, size, narrowed
        self.key, self.as_of, self.shape, self._counted = key, as_of, shape, None
        self.after = Cursor.read(after, order, base.model) if after else None
        self.before = Cursor.read(before, order, base.model) if before and not self.after else None

    @cached_property
    def found(self):
        """(sort value, id) of all rows the filters leave, in order; None where those are more than CAP, or nothing narrows.

        One pass finds them, counts them and sorts them here: text compares by code point in Python as by byte in
        the database.
        """
        if not self.narrowed or counts.recall(self.key):
            return None
        column = () if self.order.column == "pk" else (self.order.column,)
        found = list(self.filtered.order_by().values_list(*column, "pk")[: CAP + 1])
        if len(found) > CAP:
            return counts.learn(self.key, len(found))
        return sorted(((row[0], row[-1]) for row in found), reverse=self.order.descending)

    @cached_property
    def count(self):
        """How many rows there are, up to CAP + 1."""
        if self.known_count is None:
            self.learn_count(*capped_counts([self.filtered]))
        return self.known_count

    @property
    def known_count(self):
        """The count, where nothing need be asked for it; else None."""
        if self.found is not None:
            return len(self.found)
        if self.narrowed:
            return CAP + 1
        return counts.recall(self.key, as_of=self.as_of) if self._counted is None else self._counted

    def learn_count(self, count):
        self._counted = count
        counts.learn(self.key, count, self.as_of)

    @property
    def capped(self):
        return self.count > CAP

    @property
    def count_text(self):
        return f"{CAP:,}+" if self.capped else f"{self.count:,}"

    @cached_property
    def rows(self):
        found = list(self._slice())
        self._more = len(found) > self.size
        found = found[: self.size]
        return found[::-1] if self.before else found

    def _slice(self):
        order, place = self.order.reversed() if self.before else self.order, self.before or self.after
        if self.found is not None:
            return self.base.filter(pk__in=self._ids(place)).order_by(*order.fields)
        if not self.shape:
            return self._ahead(order, place)
        kept = (self.shape, order, self.size, bool(place))
        rows = queries.recall(kept, lambda: compiled(self._ahead(order, place and order.blank(self.base.model))))
        return told(rows, dict(zip(("value", "pk"), place, strict=True))) if place else rows

    def _ahead(self, order, place):
        """The rows of this page, and one more."""
        source = beyond(self.filtered, order, place) if place else self.filtered
        return source.order_by(*order.fields)[: self.size + 1]

    def _ids(self, place):
        """The ids of this page's rows and of one more, out of those found."""
        rows = self.found[::-1] if self.before else self.found
        if place:
            up = self.order.descending == bool(self.before)
            rows = [row for row in rows if (row > place if up else row < place)]
        return [pk for _, pk in rows[: self.size + 1]]

    @property
    def next(self):
        """Cursor of the next page, or None."""
        return Cursor.of(self.rows[-1], self.order) if self.rows and (self.before or self._more) else None

    @property
    def previous(self):
        """Cursor of the page before, or None."""
        more = self.after or (self.before and self.rows and self._more)
        return Cursor.of(self.rows[0], self.order) if self.rows and more else None
