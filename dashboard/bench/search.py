"""Search: what the product does with eight kinds of query and with very short ones, against icontains on five columns."""

from functools import partial
from urllib.parse import urlencode

from django.db import connection
from django.db.models import Q

from customers.models import Customer
from dashboard.bench import clock, pages
from dashboard.bench.peer import SEARCHED
from dashboard.bench.report import Line
from dashboard.search import CAP

SLOWEST = 150  # milliseconds no query may pass, at full size
SELECTIVE = 1_000  # hits up to which a query counts as selective: only those have a target against icontains


def measure(databases, sizes, rounds):
    """Goals 7 and 8 at the largest size; yields Lines."""
    size = sizes[-1]
    with databases.using(size):
        known = Customer.objects.filter(livemode=False, status="active").exclude(phone="").exclude(metadata={})
        known = known[min(size // 2, known.count() - 1)]
        user = pages.viewer()
        yield from kinds(known, user, f"{size:,}", rounds)
        yield from exact(known, user, f"{size:,}", rounds)


def queries(known):
    """{kind: text}, from a customer who is there; the last three are too short for trigrams."""
    return {
        "no hit": "zzyzx qqq",
        "part of a phone": known.phone[-6:],
        "order number": known.metadata["order_no"],
        "part of an ID": known.pk[-12:],
        "whole e-mail": known.email,
        "first and last name": "john smith",
        "common name": "john",
        "common domain": "mail.test",
        "two letters": "jo",
        "two rare letters": "qx",
        "one letter": "a",
    }


def kinds(known, user, size, rounds):
    """Each kind against icontains, and the slowest of all."""
    found, cases = queries(known), {}
    for kind, text in found.items():
        cases[kind, "ours"], cases[kind, "plain"] = partial(ours, text, user), partial(plain, text)
    taken = clock.medians(cases, max(3, rounds // 3))
    for kind, text in found.items():
        hits, before, after = matches(text, user), taken[kind, "plain"], taken[kind, "ours"]
        selective = len(text) > 2 and hits <= SELECTIVE
        how = f"{before:.1f} / {after:.1f} ms, {hits:,}{'+' if hits > CAP else ''} found"
        yield Line("7", f"icontains / ours: {kind}", size, before / after, 30 if selective else None, at_least=True, how=how)
    slowest = max(found, key=lambda kind: taken[kind, "ours"])
    yield Line("7", "slowest query", size, taken[slowest, "ours"], SLOWEST, unit=" ms", how=slowest)


def ours(text, user):
    """What the list does with a search: straight to the one record it names, else count and page. Not rendered."""
    view = pages.opened(urlencode({"q": text}), user)
    return view.jump() or (view.page.count, view.page.rows)


def matches(text, user):
    return pages.opened(urlencode({"q": text}), user).page.count


def plain(text):
    """Five columns OR-ed, counted in full, one page."""
    found = Q(*[(f"{name}__icontains", text) for name in SEARCHED], _connector=Q.OR)
    rows = Customer.objects.filter(found, livemode=False, status="active").order_by("-created_at", "-id")
    return rows.count(), list(rows.defer("search", "metadata", "description")[:25])


def exact(known, user, size, rounds):
    """A pasted ID or e-mail: the time in the database until the record is found."""
    for kind, text in (("ID", known.pk), ("e-mail", known.email)):
        taken = sorted(_sql_ms(text, user) for _ in range(max(rounds, 5)))
        yield Line("8", f"exact {kind}, in SQL", size, taken[len(taken) // 2], 1, unit=" ms")


def _sql_ms(text, user):
    view, spent = pages.opened(urlencode({"q": text}), user), clock.Sql()
    with connection.execute_wrapper(spent):
        view.jump()
    return spent.ms
