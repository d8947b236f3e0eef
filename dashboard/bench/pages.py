"""The pages that are measured: the product's own views, called with a request as middleware would hand it over.

Called directly, not through the middleware: session, user and headers cost the same whatever the list, and
would only bring the ratios nearer to one.
"""

from django.test import RequestFactory
from django.urls import reverse

from customers.models import Customer
from customers.views import CustomerList
from dashboard.bench.data import EMAIL
from dashboard.models import User
from dashboard.paging import Cursor, Order

NEWEST = Order("created_at", descending=True)


def request_for(query, user):
    """A GET of the customers list by user, in test mode."""
    request = RequestFactory().get(f"{reverse('customers:customers')}?{query}")
    request.user, request.livemode, request.session = user, False, {}
    return request


def viewer():
    """Who looks at the lists, as the database in use knows them."""
    return User.objects.get(email=EMAIL)


def show(query, user, view=CustomerList):
    """The whole page as HTML."""
    return view.as_view()(request_for(query, user)).render().content


def opened(query, user):
    """The list's view as it is after dispatch, to measure a part of the page."""
    view = CustomerList()
    view.setup(request_for(query, user))
    return view


def middle():
    """The query of the page that starts in the middle of the list."""
    rows = Customer.objects.filter(livemode=False, status="active").order_by(*NEWEST.fields)
    return f"after={Cursor.of(rows[rows.count() // 2], NEWEST)}"
