"""A customer's page: what 5,000 payments add to it, how it grows with the number of customers, how much it asks."""

from functools import partial

from django.db import connection
from django.test import RequestFactory
from django.urls import reverse

from billing.models import Payment
from customers.models import Customer
from customers.views import CustomerDetail
from dashboard.bench import clock, pages
from dashboard.bench.ledger import HEAVY_EVERY
from dashboard.bench.report import Line

SEVERAL = 5  # customers whose pages make one measurement, so that no one customer's name decides it
MOST_QUERIES = 7  # beyond session and user
ORDINARY, HEAVY = "ordinary", "heavy"


def measure(databases, sizes, rounds):
    """Goal 9; yields Lines."""
    small, large = sizes[0], sizes[-1]
    cases = {(kind, size): _case(databases, size, kind) for size in {small, large} for kind in (ORDINARY, HEAVY)}
    taken = {case: ms / SEVERAL for case, ms in clock.medians(cases, rounds).items()}
    with databases.using(large):
        payments = Payment.objects.filter(customer=customers(HEAVY)[0]).count()
        asked = queries(customers(HEAVY)[0])
    heavy, ordinary, before = taken[HEAVY, large], taken[ORDINARY, large], taken[ORDINARY, small]
    how = f"{ordinary:.1f} → {heavy:.1f} ms"
    yield Line("9", f"customer's page, {payments:,} payments / ten", f"{large:,}", heavy / ordinary, 1.2, how=how)
    how = f"{before:.1f} → {ordinary:.1f} ms"
    yield Line("9", "customer's page", f"{large:,} / {small:,}", ordinary / before, 1.1, how=how)
    yield Line("9", "customer's page, queries beyond session and user", f"{large:,}", asked, MOST_QUERIES, unit="")


def customers(kind):
    """Some customers of a kind. Their numbers end alike, so all have the same sorts of records, and as many but payments."""
    numbers = [n * HEAVY_EVERY for n in range(SEVERAL)] if kind == HEAVY else [n * 100 for n in range(1, SEVERAL + 1)]
    found = Customer.objects.filter(livemode=False, billing_statement_prefix__in=[f"B{n:09}" for n in numbers])
    return list(found.order_by("id"))


def _case(databases, size, kind):
    with databases.using(size):
        user, found = pages.viewer(), customers(kind)
    return partial(_show_all, databases, size, found, user)


def _show_all(databases, size, found, user):
    with databases.using(size):
        for n in range(SEVERAL):
            show(found[n % len(found)], user)


def show(customer, user):
    """The whole page as HTML."""
    request = RequestFactory().get(reverse("customers:customer", args=[customer.pk]))
    request.user, request.livemode, request.session = user, False, {}
    return CustomerDetail.as_view()(request, pk=customer.pk).render().content


def queries(customer):
    """How many a customer's page asks."""
    user, counted = pages.viewer(), clock.Sql()
    with connection.execute_wrapper(counted):
        show(customer, user)
    return counted.queries
