"""What the overview counts. Each figure carries the address of the list of exactly the rows it adds up.

Days begin and end at the dashboard's midnights. Money collected is counted on the day it was paid, money given
back on the day the refund was made; what is owed is counted as it is now. Sums are taken by the database, for all
currencies at once.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlencode

from django.conf import settings
from django.db.models import Count, Min, Sum
from django.urls import reverse
from django.utils import timezone

from billing.ages import AGES, aged, days_late
from billing.days import DAY, Span, day_of
from billing.models import BillingStatement, Payment, PaymentRequest, Refund
from customers.models import Customer
from dashboard.filters import midnight
from dashboard.models import Event
from dashboard.money import Money

OVERDUE_SHOWN, PAYMENTS_SHOWN, EVENTS_SHOWN = 5, 6, 8
WIDE = ("search", "metadata", "customer__search", "customer__metadata", "customer__description")  # no row here shows them


@dataclass(frozen=True)
class Figure:
    """An amount, how many rows it adds up, and the address of the list of these rows."""

    amount: Money
    count: int
    url: str


class Part(NamedTuple):
    """A bar of the chart: its days, what was collected in them and what in the days it is compared with."""

    span: Span
    now: Figure
    before: Figure

    @property
    def label(self):
        return self.span.words


@dataclass(frozen=True)
class Figures:
    """The figures of one currency."""

    currency: str
    today: Figure
    week_ago: Figure  # the same day last week
    collected: Figure
    collected_before: Figure
    refunded: Figure
    not_due: Figure
    requested: Figure
    overdue: Figure
    oldest_days: int  # how late the oldest overdue statement is
    ages: list  # (Age, Figure)
    parts: list

    @property
    def shown(self):
        """In the order of the table of currencies."""
        return [self.today, self.collected, self.refunded, self.not_due, self.requested, self.overdue]

    @property
    def owed(self):
        """All that open statements still ask for, minor units."""
        return self.not_due.amount.minor + self.overdue.amount.minor

    @property
    def weight(self):
        """How much there is to show in this currency; more payments first."""
        return self.collected.count, self.not_due.count + self.overdue.count + self.requested.count


class Way(NamedTuple):
    """How people paid: words, and what came in that way."""

    label: str
    figure: Figure


class Said(NamedTuple):
    """An event in words. `name` and `url` are its customer's."""

    event: Event
    name: str
    url: str
    amount: Money | None


# --- addresses of the rows ------------------------------------------------------------------------------


def paid_url(currency, span, **more):
    days = {"paid_from": span.first.isoformat(), "paid_to": span.last.isoformat()}
    return _url("billing:payments", status="paid", currency=currency, **days, **more)


def refunds_url(currency, span):
    days = {"created_from": span.first.isoformat(), "created_to": span.last.isoformat()}
    return _url("billing:refunds", status="succeeded", currency=currency, **days)


def _url(name, **parameters):
    return f"{reverse(name)}?{urlencode(parameters)}"


# --- sums ----------------------------------------------------------------------------------------------


def collected_by_day(livemode, span):
    """{currency: {day: (minor units, payments)}} of what was paid in the days of a span."""
    rows = _within(Payment.objects.filter(livemode=livemode).paid(), "paid_at", span)
    rows = rows.order_by().annotate(day=day_of("paid_at", span)).values("currency", "day")
    found = defaultdict(dict)
    for row in rows.annotate(minor=Sum("amount"), rows=Count("pk")):
        found[row["currency"]][row["day"]] = row["minor"], row["rows"]
    return found


def refunded(livemode, span):
    """{currency: (minor units, refunds)} of the refunds made in the days of a span that succeeded."""
    rows = Refund.objects.filter(livemode=livemode, status=Refund.Status.SUCCEEDED)
    return _by_currency(_within(rows, "created_at", span), "amount")


def requested(livemode, now):
    """{currency: (minor units, requests)} of what open payment requests ask for."""
    return _by_currency(PaymentRequest.objects.filter(livemode=livemode).open(now), "amount")


def owed_by_age(livemode, now):
    """{currency: row} of open statements and invoices.

    Columns `minor_<age>` and `rows_<age>`, and `oldest`, the earliest due date.
    """
    columns = {"oldest": Min("due_at")}
    for age in AGES:
        columns[f"minor_{age.key}"] = Sum("amount_remaining", filter=aged(age.key, now), default=0)
        columns[f"rows_{age.key}"] = Count("pk", filter=aged(age.key, now))
    rows = BillingStatement.objects.filter(livemode=livemode, status=BillingStatement.Status.OPEN)
    return {row["currency"]: row for row in rows.order_by().values("currency").annotate(**columns)}


def ways_paid(livemode, span, currency):
    """How people paid in a currency, most first: by brand where every payment of a method has one, else by method."""
    rows = _within(Payment.objects.filter(livemode=livemode, currency=currency).paid(), "paid_at", span)
    rows = rows.order_by().values_list("method_type", "method_brand").annotate(minor=Sum("amount"), rows=Count("pk"))
    brands = defaultdict(lambda: defaultdict(lambda: (0, 0)))
    for method, brand, minor, count in rows:
        brands[method][brand.lower()] = _total([brands[method][brand.lower()], (minor, count)])
    found = [way for method in brands for way in _ways(method, brands[method], currency, span)]
    return sorted(found, key=lambda way: (-way.figure.amount.minor, way.label))


def _ways(method, brands, currency, span):
    if "" in brands:
        url = paid_url(currency, span, method=method)
        return [Way(str(Payment.Method(method).label), _figure(_total(brands.values()), currency, url))]
    kind = " card" if method == Payment.Method.CARD else ""
    return [
        Way(f"{brand.capitalize()}{kind}", _figure(sums, currency, paid_url(currency, span, method=method, brand=brand)))
        for brand, sums in brands.items()
    ]


def _within(rows, column, span):
    return rows.filter(**{f"{column}__gte": midnight(span.first), f"{column}__lt": midnight(span.last + DAY)})


def _by_currency(rows, column):
    rows = rows.order_by().values_list("currency").annotate(minor=Sum(column), rows=Count("pk"))
    return {currency: (minor, count) for currency, minor, count in rows}


def _total(sums):
    """(minor units, rows) of several such pairs added up."""
    sums = list(sums)
    return sum(minor for minor, _ in sums), sum(rows for _, rows in sums)


def _figure(sums, currency, url):
    minor, count = sums or (0, 0)
    return Figure(Money(minor, currency), count, url)


# --- the page ------------------------------------------------------------------------------------------


class Counted:
    """The figures of every currency that has any in the span, in five queries."""

    def __init__(self, livemode, span, now):
        self.span, self.now, self.day = span, now, Span(timezone.localdate(now), timezone.localdate(now))
        self.paid = collected_by_day(livemode, Span(span.before.first, span.last))
        self.lately = collected_by_day(livemode, Span(self.day.first - 7 * DAY, self.day.last))
        self.refunded = refunded(livemode, span)
        self.requested = requested(livemode, now)
        self.owed = owed_by_age(livemode, now)

    @property
    def currencies(self):
        return sorted({*self.paid, *self.lately, *self.refunded, *self.requested, *self.owed})

    def figures(self, currency):
        today, week_ago, span = self.day, self.day.moved(-7), self.span
        ages = self._ages(currency)
        return Figures(
            currency=currency,
            today=self._collected(currency, today, self.lately),
            week_ago=self._collected(currency, week_ago, self.lately),
            collected=self._collected(currency, span),
            collected_before=self._collected(currency, span.before),
            refunded=_figure(self.refunded.get(currency), currency, refunds_url(currency, span)),
            requested=_figure(self.requested.get(currency), currency, _url("billing:requests", status="open", currency=currency)),
            not_due=ages[0][1],
            overdue=self._overdue(currency, ages[1:]),
            oldest_days=self._oldest(currency),
            ages=ages,
            parts=[
                Part(part, self._collected(currency, part), self._collected(currency, part.moved(-span.days)))
                for part in span.parts
            ],
        )

    def _collected(self, currency, span, days=None):
        """What was collected in some of the days that were read."""
        days = (self.paid if days is None else days).get(currency, {})
        of_days = (days.get(span.first + n * DAY, (0, 0)) for n in range(span.days))
        return _figure(_total(of_days), currency, paid_url(currency, span))

    def _ages(self, currency):
        row = self.owed.get(currency, {})
        return [
            (age, _figure(
                (row.get(f"minor_{age.key}", 0), row.get(f"rows_{age.key}", 0)),
                currency,
                _url("billing:statements", bills="all", age=age.key, currency=currency),
            ))
            for age in AGES
        ]  # fmt: skip

    def _overdue(self, currency, late):
        total = _total((figure.amount.minor, figure.count) for _, figure in late)
        return _figure(total, currency, _url("billing:statements", bills="all", status="overdue", currency=currency))

    def _oldest(self, currency):
        oldest = self.owed.get(currency, {}).get("oldest")
        return max(0, (self.day.first - timezone.localdate(oldest)).days) if oldest else 0


def usual_currency(figures):
    """The merchant's own currency, unless nothing was paid in it and something in another: then the one most pay in."""
    if not figures:
        return settings.DEFAULT_CURRENCY
    most = max(figures, key=lambda f: (f.weight, f.currency))
    own = next((f for f in figures if f.currency == settings.DEFAULT_CURRENCY), None)
    return own.currency if own and (own.collected.count or not most.collected.count) else most.currency


def overdue_statements(livemode, currency, now):
    """The statements and invoices overdue for longest: [(statement, days late)]."""
    rows = BillingStatement.objects.overdue(now).filter(livemode=livemode, currency=currency)
    rows = rows.select_related("customer").defer("bill_to_address", *WIDE).order_by("due_at", "id")[:OVERDUE_SHOWN]
    return [(row, days_late(row, now)) for row in rows]


def recent_payments(livemode):
    """The newest payments in any currency, whatever became of them."""
    rows = Payment.objects.filter(livemode=livemode).select_related("customer")
    return rows.defer("billing_address", "custom_fields", *WIDE).order_by("-created_at", "-id")[:PAYMENTS_SHOWN]


def recent_activity(livemode):
    """The newest events, each with its customer's name: two queries."""
    events = list(Event.objects.filter(livemode=livemode).select_related("by").order_by("-pk")[:EVENTS_SHOWN])
    customers = Customer.objects.filter(livemode=livemode).only("name").in_bulk({e.customer_id for e in events} - {""})
    return [_said(event, customers.get(event.customer_id)) for event in events]


def _said(event, customer):
    minor, currency = event.data.get("amount", event.data.get("total")), event.data.get("currency")
    amount = Money(minor, currency) if isinstance(minor, int) and currency else None
    return Said(event, customer.name if customer else "", customer.get_absolute_url() if customer else "", amount)


def first_steps(livemode):
    """What has been done so far towards the first payment; None once something was billed."""
    billed = (BillingStatement.objects.filter(livemode=livemode), PaymentRequest.objects.filter(livemode=livemode))
    if any(rows.exists() for rows in billed):
        return None
    return {"customer": Customer.objects.filter(livemode=livemode).exists()}
