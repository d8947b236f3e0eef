"""Money on other nouns' pages: rows for the sections of a customer, its figures, QR codes."""

from typing import NamedTuple

import qrcode
from django import template
from django.db.models import Count, IntegerField, Min, Subquery, Sum, Value
from django.utils.safestring import mark_safe
from django.utils.timezone import now

from billing.tables import method_html, method_words
from dashboard.money import Money

register = template.Library()
SHOWN, COUNTED = 5, 100  # rows in a section; a count beyond is said as "100+"


class _CountOf(Subquery):
    """How many rows a queryset has, as a column of another: one query brings a section's rows and their number."""

    template = "(SELECT count(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


class Section(NamedTuple):
    """The newest rows of a list, and how many there are in words: "46", "100+"."""

    rows: list
    count: str

    @property
    def more(self):
        return len(self.rows) == SHOWN and self.count != str(SHOWN)


def section(queryset):
    """The Section of a queryset, in one query."""
    of_all = _CountOf(queryset.order_by().values("pk")[: COUNTED + 1])
    rows = list(queryset.annotate(of_all=of_all).order_by("-created_at", "-pk")[:SHOWN])
    found = rows[0].of_all if rows else 0
    return Section(rows, f"{COUNTED}+" if found > COUNTED else str(found))


@register.simple_tag
def recent_payments(customer):
    """{% recent_payments customer as payments %}: those of other products than statements (R-45)."""
    return section(customer.payments.other_products().defer("search", "metadata", "billing_address", "custom_fields"))


@register.simple_tag
def all_payments(customer):
    """{% all_payments customer as payments %}: of every product, for the panel."""
    return section(customer.payments.defer("search", "metadata", "billing_address", "custom_fields"))


@register.simple_tag
def recent_statements(customer):
    return section(customer.statements.one_off().defer("search", "metadata", "bill_to_address"))


@register.simple_tag
def recent_requests(customer):
    return section(customer.requests.defer("search", "metadata"))


class Total(NamedTuple):
    """Several rows of one currency added up: the amount, how many, and the earliest of their times."""

    amount: Money
    count: int
    first: object

    @property
    def days(self):
        """Whole days since the earliest."""
        return (now() - self.first).days


@register.simple_tag
def customer_figures(customer):
    """{% customer_figures customer as figures %}: collected, payments, overdue, open requests; one query.

    `collected` and the sums of `overdue` and `asked` are lists, one entry a currency, the customer's own first.
    """
    own_first = sorted(customer.totals.all(), key=lambda t: t.currency != customer.currency)
    owed = {"overdue": [], "asked": []}
    for kind, currency, amount, count, first in _owed(customer):
        owed[kind].append(Total(Money(amount, currency), count, first))
    for sums in owed.values():
        sums.sort(key=lambda s: s.amount.currency != customer.currency)
    collected = [t.collected_money for t in own_first] or [Money(0, customer.currency)]
    return owed | {
        "collected": collected,
        "payments": sum(t.successful_payments for t in own_first),
        "overdue_count": sum(s.count for s in owed["overdue"]),
        "asked_count": sum(s.count for s in owed["asked"]),
    }


def _owed(customer):
    """(kind, currency, amount, rows, earliest time): past due statements and open requests, by currency, in one query."""
    overdue = customer.statements.past_due().order_by().values("currency")
    asked = customer.requests.open().order_by().values("currency")
    columns = ("kind", "currency", "minor", "rows", "first")
    overdue = overdue.annotate(kind=Value("overdue"), minor=Sum("amount_remaining"), rows=Count("pk"), first=Min("due_at"))
    asked = asked.annotate(kind=Value("asked"), minor=Sum("amount"), rows=Count("pk"), first=Min("expires_at"))
    return overdue.values_list(*columns).union(asked.values_list(*columns), all=True)


@register.simple_tag
def method(payment):
    """{% method payment %}: brand and last four digits, or the kind of method."""
    return method_html(payment)


@register.filter
def methods(types):
    """{{ request.method_types|methods }}: "Card, E-wallet"."""
    return method_words(types)


def qr_svg(text):
    """A QR code of text as an SVG of one path, black on white with its quiet zone; no style, no script."""
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, border=4)
    code.add_data(text)
    code.make(fit=True)
    matrix = code.get_matrix()
    size = len(matrix)
    path = "".join(f"M{x} {y}h{length}v1h-{length}z" for y, row in enumerate(matrix) for x, length in _runs(row))
    return mark_safe(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" shape-rendering="crispEdges">'
        f'<rect width="{size}" height="{size}" fill="#fff"/><path d="{path}" fill="#000"/></svg>'
    )


def _runs(row):
    """(start, length) of each run of dark modules in a row."""
    start = None
    for x, dark in enumerate([*row, False]):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            yield start, x - start
            start = None


@register.simple_tag
def qr_code(text):
    """{% qr_code request.url %}"""
    return qr_svg(text)
