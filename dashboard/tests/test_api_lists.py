"""What lists of the API count, and when they count anew."""

import pytest

from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard import paging
from dashboard.api import lists
from dashboard.tests.api_client import Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def small(monkeypatch):
    """Limits small enough to be reached by a few rows."""
    for place in (paging, lists):
        monkeypatch.setattr(place, "SMALL", 1)
    monkeypatch.setattr(paging.Counts.recall, "__defaults__", (3, None))  # above: CAP


def test_a_count_is_exact_as_soon_as_something_changed(small, max):
    make_customer(by=max)
    make_customer(by=max)
    assert Api().get("/customers").json()["count"] == 2

    make_customer(by=max)

    assert Api().get("/customers").json()["count"] == 3


def test_a_large_count_is_not_taken_anew_within_the_minute(small, max, monkeypatch):
    for _n in range(4):
        make_customer(by=max)
    assert Api().get("/customers").json()["count"] == 4

    make_customer(by=max)

    assert Api().get("/customers").json()["count"] == 4
    paging.counts.forget()
    assert Api().get("/customers").json()["count"] == 5


def test_each_filter_is_counted_for_itself(small, max):
    for _n in range(4):
        make_customer(by=max)
    make_customer(by=max, company_name="ACME", kind="company")
    api = Api()

    assert api.get("/customers").json()["count"] == 5
    assert api.get("/customers?status=all").json()["count"] == Customer.objects.count()
    assert Api(livemode=True).get("/customers").json()["count"] == 0
