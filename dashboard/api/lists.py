"""Lists of the API: {"count", "list", "paging": {"page", "pageSize"}}, from the QuerySets and filters of the pages."""

from typing import Annotated

from django.http import QueryDict
from ninja import Query as Parameters
from ninja import Schema

from dashboard.api.fields import Count, Query, drop, optional
from dashboard.models import Event
from dashboard.paging import SMALL, Order, Page, counts

SIZE, MOST = 20, 100
FAR = 10**15  # rows: a page number beyond is nonsense
NEWEST = Order("created_at", descending=True)


class Place(Schema):
    page: int
    pageSize: int


class Paged[Row](Schema):
    """One page of a list. `count` is how many match in all; above 10,000 it may be a minute old."""

    count: int
    list: list[Row]
    paging: Place


class Paging(Query):
    """page counts from 1; pageSize is 20 unless told, and at most 100."""

    page: optional(Count(1, FAR // MOST), description="Counts from 1.")
    pageSize: optional(Count(1, FAR), description="20 unless told, and at most 100.")

    @property
    def place(self):
        """(page, its size)."""
        given = self.given()
        return given.get("page", 1), min(given.get("pageSize", SIZE), MOST)

    def filters(self):
        """What came besides paging and sort, under the names the page's filterset has."""
        return {name: value for name, value in self.given().items() if name not in ("page", "pageSize", "sort")}


PagingParameters = Annotated[Paging, Parameters()]


def listing(queryset, paging, show, *, order=NEWEST, narrowed=False, key=None):
    """A page of a queryset in an order; show(rows) gives their JSON.

    `narrowed` says that filters leave few rows, which are found before they are sorted, as on the pages. `count` is
    exact; one above 10,000 may be a minute old, where `key` names the list (see total).
    """
    number, size = paging.place
    start, end = (number - 1) * size, number * size
    found = Page(queryset, queryset, order, narrowed=narrowed).found
    if found is None:
        pks = list(queryset.order_by(*order.fields).values_list("pk", flat=True)[start:end])
    else:
        pks = [pk for _, pk in found[start:end]]
    count = total(queryset, key) if found is None else len(found)
    return {"count": count, "list": show(_in_order(queryset, pks)), "paging": {"page": number, "pageSize": size}}


def _in_order(queryset, pks):
    rows = {row.pk: row for row in queryset.order_by().filter(pk__in=pks)} if pks else {}
    return [rows[pk] for pk in pks if pk in rows]


def total(queryset, key=None):
    """How many rows a queryset has: exactly up to CAP, as of a minute ago at most beyond."""
    as_of = newest_event() if key else None
    known = counts.recall(("api", key), as_of=as_of) if key else None
    if known is None:
        known = queryset.order_by().count()
        if key and known > SMALL:
            counts.learn(("api", key), known, as_of)
    return known


def newest_event():
    """The id of the newest event: as long as it stays, nothing changed of what writes events."""
    return Event.objects.order_by("-id").values_list("id", flat=True).first() or "none"


class Filtered:
    """A queryset as a page's filterset leaves it: `rows`, and whether they are `narrowed` to few.

    `given` maps the filterset's own parameters to texts. One it does not take is disregarded, and named.
    """

    def __init__(self, request, filterset_class, queryset, **given):
        query = QueryDict(mutable=True)
        query.update({name: str(value) for name, value in given.items() if value is not None})
        filterset = filterset_class(query, queryset.filter(livemode=request.livemode), request=request)
        self.rows = filterset.qs
        for name in filterset.errors:
            drop(name)
        self.narrowed = bool(set(filterset.active) - set(filterset.ordered))
        self.key = (type(filterset).__name__, request.livemode, request.user.role, frozenset(query.items()))


def filtered_list(request, query, filterset_class, queryset, show, sorts):
    """The list a query asks for, as the page's filterset leaves it; show(row, caller) is a row's JSON.

    `sorts` maps what `sort` may say to an Order; without it the newest come first.
    """
    found = Filtered(request, filterset_class, queryset, **query.filters())
    order = sorts.get(query.given().get("sort"), sorts.get("-created_at", NEWEST))
    about = {"order": order, "narrowed": found.narrowed, "key": found.key}
    return listing(found.rows, query, lambda rows: [show(row, request.auth) for row in rows], **about)
