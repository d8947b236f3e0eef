"""The API's map: every resource, and its OpenAPI document."""

from django.contrib.auth.decorators import login_not_required
from django.http import JsonResponse
from django.urls import reverse

from billing.api import (
    coupons,
    invoices,
    line_items,
    links,
    overdue,
    payments,
    refunds,
    requests,
    source_routes,
    statements,
    subscriptions,
)
from billing.api import customers as whole_customers
from customers.api import routes as customers
from dashboard.api.door import Api

ABOUT = """Everything the dashboard's pages can do with customers and their money. Send a secret key as
`Authorization: Bearer sk_test_…`; its mode decides whether you see test or live data. Amounts are whole numbers of minor
units (cents); times are UTC. A malformed optional field is left out and named in `X-Disregarded-Fields`. Send an
`Idempotency-Key` with what must not happen twice."""

api = Api(title="Counterfoil API", version="1", description=ABOUT)
for _resource in (
    whole_customers,
    customers,
    statements,
    line_items,
    invoices,
    overdue,
    subscriptions,
    payments,
    refunds,
    requests,
    coupons,
    links,
    source_routes,
):
    api.add_router("", _resource.router)


def _root(request, **kwargs):
    """Where to read on."""
    return JsonResponse({"openapi": reverse("api:openapi-json"), "resources": reverse("api:api-root") + "customers"})


def _open(pattern):
    """The door asks for a key itself, and answers in JSON where a page would lead to the sign-in."""
    pattern.callback = login_not_required(_root if pattern.name == "api-root" else pattern.callback)
    return pattern


_patterns, _app, _namespace = api.urls
urls = [_open(pattern) for pattern in _patterns], _app, _namespace
