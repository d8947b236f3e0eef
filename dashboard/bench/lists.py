"""The customers list: how it grows, how deep one may page, what it saves against the plain list, what its rows cost."""

from functools import partial

from django.template import engines

from customers.tables import CustomerTable
from dashboard.bench import clock, pages
from dashboard.bench.peer import PlainList
from dashboard.bench.report import Line
from dashboard.money import Money
from dashboard.paging import counts
from dashboard.places import country_name

FILTERS = (
    "status=archived", "status=all", "delinquent=yes", "delinquent=no", "created=30d", "created=this_year", "created=last_year",
    "updated=30d", "country=US", "country=IS", "kind=company", "origin=import", "currency=EUR", "currency=ISK",
    "reference=C-0000001", "company_name=Smith+Marine+GmbH", "did=did:example:000000003",
    "gateway=sandbox", "method=card", "method=bank_account", "method=checkout", "card=expiring", "card=expired", "has_coupon=yes",
    "has_coupon=no",
)  # fmt: skip
ROWS = """{% for row in rows %}<tr><td class="strong m1"><span class="who"><span class="avatar avatar-sm" aria-hidden="true">
{{ row.initials }}</span><a class="row-link" href="{{ row.get_absolute_url }}" hx-get="{{ row.get_absolute_url }}panel/"
 hx-target="#drawer" hx-swap="innerHTML">{{ row.name }}</a></span></td><td class="m3">{{ row.email|default:"—" }}</td>
<td class="tnum">{{ row.phone|default:"—" }}</td><td class="">{{ row.country_shown }}</td>
<td class="m4">{% if row.archived %}{% badge "Archived" %}{% elif row.delinquent %}{% badge "Overdue" %}{% else %}
{% badge "Active" %}{% endif %}</td><td class="tnum">{% when row.created_at %}</td>
<td class="num m2">{% amount row.collected_money %}</td>
<td class="actions"><a class="btn btn-quiet btn-icon btn-sm see-more" href="{{ row.get_absolute_url }}"
 aria-label="See more details: {{ row }}" title="See more details">{% icon "panel-right-open" %}</a></td></tr>
{% endfor %}"""


def measure(databases, sizes, rounds):
    """Goals 1 to 5; yields Lines."""
    yield from growth(databases, sizes, rounds)
    yield from against_plain(databases, sizes, rounds)
    yield from rendering(databases, sizes[-1], rounds)


def growth(databases, sizes, rounds):
    """Page 1, each sort and the page in the middle; each filter: the largest size against the smallest."""
    small, large = sizes[0], sizes[-1]
    taken = clock.medians(dict(_pages(databases, {small, large})), rounds)
    orders = [q for q in _queries() if q not in FILTERS]
    for query in [*orders, "middle"]:
        yield _grown("1", query, taken, small, large, 1.1)
    yield _grown("1", "counted anew", taken, small, large, None)
    for query in FILTERS:
        yield _grown("2", query, taken, small, large, 1.5)
    how = f"{taken['', large]:.1f} → {taken['middle', large]:.1f} ms"
    yield Line("3", "page in the middle / page 1", f"{large:,}", taken["middle", large] / taken["", large], 1.2, how=how)


def _queries():
    sorts = [f"sort={sign}{name}" for name in CustomerTable.sorts() for sign in ("", "-")]
    return ["", *sorts, *FILTERS]


def _pages(databases, sizes):
    for size in sizes:
        with databases.using(size):
            user, middle = pages.viewer(), pages.middle()
        for query in [*_queries(), "middle"]:
            yield (query, size), partial(_show, databases, size, middle if query == "middle" else query, user)
        yield ("counted anew", size), partial(_show_anew, databases, size, user)


def _show(databases, size, query, user, view=None):
    with databases.using(size):
        pages.show(query, user, **({"view": view} if view else {}))


def _show_anew(databases, size, user):
    """Page 1 as the first one in a minute has it: nothing is remembered of any list."""
    known = dict(counts.known)
    counts.forget()
    _show(databases, size, "", user)
    counts.known = known


def _grown(goal, query, taken, small, large, limit):
    what = {"": "page 1", "middle": "page in the middle", "counted anew": "page 1, every count anew"}.get(query, query)
    before, after = taken[query, small], taken[query, large]
    return Line(goal, what, f"{large:,} / {small:,}", after / before, limit, how=f"{before:.1f} → {after:.1f} ms")


def against_plain(databases, sizes, rounds):
    """The plain list's page 1 against ours, at each size."""
    for size in sizes:
        with databases.using(size):
            user = pages.viewer()
        ours, plain = (partial(_show, databases, size, "", user, view) for view in (None, PlainList))
        taken = clock.medians({"ours": ours, "plain": plain}, rounds, in_a_row=5)
        how = f"{taken['plain']:.1f} / {taken['ours']:.1f} ms"
        limit = 20 if size >= 1_000_000 else 5
        yield Line("4", "plain list / ours, page 1", f"{size:,}", taken["plain"] / taken["ours"], limit, at_least=True, how=how)


def by_hand(rows):
    """A function that renders the hand-written loop. What a template cannot look up lies ready in the rows: to its favour."""
    template = engines["django"].from_string(ROWS)
    for row in rows:
        row.country_shown, row.collected_money = country_name(row.country), Money(row.collected, row.currency)
    return lambda: template.render({"rows": rows})


def rendering(databases, size, rounds):
    """Our rows against a hand-written template loop over the same rows, both with everything loaded."""
    with databases.using(size):
        view = pages.opened("", pages.viewer())
        rows = view.page.rows
        taken = clock.medians(
            {
                "ours": lambda: CustomerTable(rows, viewer=view.request.user, sort=view.sort).body,
                "hand": by_hand(rows),
            },
            rounds * 3,
        )
    how = f"{taken['ours']:.2f} / {taken['hand']:.2f} ms for {len(rows)} rows"
    yield Line("5", "our rows / a hand-written loop", f"{size:,}", taken["ours"] / taken["hand"], 1.3, how=how)
