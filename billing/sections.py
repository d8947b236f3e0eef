"""What a customer's page, its panel and the pages beside them show of money: every section and figure in one query.

However much a customer has, a section reads its newest rows and counts to COUNTED; sums come from the roll-up and from
what is still owed, which are few.
"""

from typing import NamedTuple

from django.db.models import Count, Min, Sum
from django.utils.timezone import localdate

from billing.models import BillingStatement
from dashboard.money import Money
from dashboard.together import CountOf, fetch_together

SHOWN, METHODS_SHOWN = 5, 20  # rows of a section
COUNTED = 100  # a count beyond is said as "100+"
CURRENCIES_SHOWN = 200  # more than there are
NEWEST = ("-created_at", "-pk")


class Section(NamedTuple):
    """The first rows of a list, how many there are in words ("46", "100+"), and whether there are more than these."""

    rows: list
    count: str
    more: bool


class Total(NamedTuple):
    """Several rows of one currency added up: the amount, how many, and the earliest of their times."""

    amount: Money
    count: int
    first: object

    @property
    def days(self):
        """Whole days since the earliest; 0 when that is yet to come."""
        return max((localdate() - localdate(self.first)).days, 0)


class Owing(NamedTuple):
    """What is owed in one currency, as Totals: all of it, what is late, what was given up on; None where there is nothing."""

    currency: str
    all: Total
    late: Total | None
    given_up: Total | None


class Figures(NamedTuple):
    """Sums, as lists with one entry a currency, the customer's own first; counts are of all currencies."""

    by_currency: list  # the roll-up's rows
    collected: list  # Money; never empty
    payments: int
    credit: list  # Money above zero
    overdue: list  # Totals of all that is past due or given up on, and still owed
    late: list  # of these, open ones past their due date
    given_up: list  # of these, uncollectible ones
    overdue_count: int
    asked: list  # Totals of open payment requests
    asked_count: int

    @property
    def days_late(self):
        """Of what is overdue longest, in any currency."""
        return max(total.days for total in self.overdue)

    @property
    def owing(self):
        """Owing of each currency, the customer's own first."""
        late, given_up = ({t.amount.currency: t for t in totals} for totals in (self.late, self.given_up))
        return [Owing(c, t, late.get(c), given_up.get(c)) for t in self.overdue for c in [t.amount.currency]]

    @property
    def no_credit(self):
        return Money(0, self.collected[0].currency)

    @property
    def average(self):
        """Of the payments in the first currency, rounded to a minor unit; None without any."""
        first = next((total for total in self.by_currency if total.successful_payments), None)
        return first and Money((2 * first.collected // first.successful_payments + 1) // 2, first.currency)


class Sections:
    """A customer's sections by name, as Section, and `figures`: what `customer_sections` gives a template."""

    def __init__(self, customer, querysets, shown):
        self.__dict__ |= _fetch(customer, querysets, shown)


def customer_sections(customer):
    """Everything the customer's page shows of money. Asked once for each customer at hand, whoever asks again."""
    if not hasattr(customer, "_sections"):
        statements = customer.statements.defer("search", "metadata", "bill_to_address")
        querysets = {
            "payments": _light(customer.payments.other_products()).order_by(*NEWEST),
            "statements": statements.one_off().order_by(*NEWEST),
            "overdue": statements.past_due().order_by("due_at", "pk"),
            "requests": customer.requests.defer("search", "metadata").order_by(*NEWEST),
            "methods": customer.methods.active().shown_first(),
            "card_links": _links(customer),
            "redemptions": _uses(customer),
            "coupons": customer.coupons.defer("search", "metadata").order_by(*NEWEST),
            "subscriptions": customer.subscriptions.defer("search", "metadata").order_by(*NEWEST),
            "invoices": statements.invoices().select_related("subscription").order_by(*NEWEST),
        }
        customer._sections = Sections(customer, querysets, {"methods": METHODS_SHOWN})
    return customer._sections


def panel_sections(customer):
    """The same for the panel: the latest payments of every product, the payment methods, the figures."""
    querysets = {"payments": _light(customer.payments).order_by(*NEWEST), "methods": customer.methods.active().shown_first()}
    return Sections(customer, querysets, {})


def customer_figures(customer):
    """A customer's Figures alone."""
    return customer._sections.figures if hasattr(customer, "_sections") else Sections(customer, {}, {}).figures


def _light(payments):
    return payments.defer("search", "metadata", "billing_address", "custom_fields")


def _links(customer):
    """Links made for a payer, with who made them and the card they led to."""
    return customer.card_links.sent().select_related("created_by", "method").defer("search").order_by(*NEWEST)


def _uses(customer):
    """Coupons in use: which, on what, and how much it took off. Released ones are no use any more."""
    wide = ["coupon__search", "coupon__metadata", "subscription__search", "subscription__metadata"]
    wide += ["request__search", "request__metadata", "statement__search", "statement__metadata", "statement__bill_to_address"]
    uses = customer.redemptions.filter(released_at=None).select_related("coupon", "statement", "request", "subscription")
    return uses.defer(*wide).order_by("-pk")


# --- one query ---------------------------------------------------------------------------------------------
def _fetch(customer, querysets, shown):
    limits = {name: shown.get(name, SHOWN) for name in querysets}
    parts = {name: queryset[: limits[name]] for name, queryset in querysets.items()}
    counts = {f"{name}_count": CountOf(queryset, COUNTED + 1) for name, queryset in querysets.items()}
    found = fetch_together(**parts, **counts, **_sums(customer))
    sections = {name: _section(found[name], found[f"{name}_count"]) for name in querysets}
    return sections | {"figures": _figures(customer, found)}


def _section(rows, count):
    return Section(rows, f"{COUNTED}+" if count > COUNTED else str(count), count > len(rows))


def _sums(customer):
    owed = customer.statements.past_due().order_by().values("currency", "status")
    asked = customer.requests.open().order_by().values("currency")
    return {
        "totals": customer.totals.order_by("currency")[:CURRENCIES_SHOWN],
        "owed": owed.annotate(minor=Sum("amount_remaining"), rows=Count("pk"), first=Min("due_at"))[: CURRENCIES_SHOWN * 2],
        "asked": asked.annotate(minor=Sum("amount"), rows=Count("pk"), first=Min("expires_at"))[:CURRENCIES_SHOWN],
    }


def _figures(customer, found):
    totals = _own_first(customer, found["totals"], lambda total: total.currency)
    given_up = [row for row in found["owed"] if row["status"] == BillingStatement.Status.UNCOLLECTIBLE]
    late = [row for row in found["owed"] if row not in given_up]
    return Figures(
        by_currency=totals,
        collected=[total.collected_money for total in totals] or [Money(0, customer.currency)],
        payments=sum(total.successful_payments for total in totals),
        credit=[total.credit_balance_money for total in totals if total.credit_balance],
        overdue=_totals(customer, found["owed"]),
        late=_totals(customer, late),
        given_up=_totals(customer, given_up),
        overdue_count=sum(row["rows"] for row in found["owed"]),
        asked=_totals(customer, found["asked"]),
        asked_count=sum(row["rows"] for row in found["asked"]),
    )


def _totals(customer, rows):
    """A Total for each currency of rows with `currency`, `minor`, `rows` and `first`."""
    added = {}
    for row in rows:
        amount, count, first = added.get(row["currency"], (0, 0, row["first"]))
        added[row["currency"]] = amount + row["minor"], count + row["rows"], min(first, row["first"])
    totals = [Total(Money(amount, currency), count, first) for currency, (amount, count, first) in sorted(added.items())]
    return _own_first(customer, totals, lambda total: total.amount.currency)


def _own_first(customer, rows, currency):
    return sorted(rows, key=lambda row: currency(row) != customer.currency)
