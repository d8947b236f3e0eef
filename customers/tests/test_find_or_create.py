"""One e-mail, one customer (R-52); and the newest statement or payment sets the e-mail (R-13, I5)."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from billing.tests.test_attempts import at_once
from customers import domain
from customers.domain import find_or_create_customer, take_email
from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard.models import Event

pytestmark = pytest.mark.django_db


def find(email="ana@example.com", name="Ana Maria Cruz", livemode=False, by=None):
    return find_or_create_customer(name=name, email=email, livemode=livemode, by=by, origin="billing_statement")


def test_an_unknown_email_makes_a_customer_and_says_where_from(max):
    customer = find(by=max)

    assert (customer.first_name, customer.last_name, customer.email) == ("Ana", "Maria Cruz", "ana@example.com")
    assert (customer.origin, customer.created_by) == ("billing_statement", max)
    assert Event.objects.get(type="customer.created").data["origin"] == "billing_statement"


@pytest.mark.parametrize("email", ["ana@example.com", "ANA@Example.com", "  ana@example.com "])
def test_a_known_email_finds_its_customer_in_any_spelling(email):
    known = make_customer(email="ana@example.com")

    assert find(email, name="Somebody Else") == known
    assert str(Customer.objects.get()) == "Ana Cruz"


def test_of_several_with_one_email_the_oldest_active_one_is_meant(max):
    archived, oldest, newer = (make_customer(email="ana@example.com") for _ in range(3))
    domain.archive_customer(archived, by=max)

    assert find() == oldest
    domain.archive_customer(oldest, by=max)
    assert find() == newer


def test_an_archived_customer_or_one_of_the_other_mode_is_not_found():
    make_customer(email="ana@example.com", archived=True)
    make_customer(email="ana@example.com", livemode=True)

    assert find().livemode is False
    assert Customer.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_make_one_customer():
    for n in range(5):
        found = at_once(8, lambda _, email=f"ana{n}@example.com": find(email))

        assert len({c.pk for c in found}) == 1, found
    assert Customer.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_without_its_lock_the_same_race_makes_several(monkeypatch):
    """The control. On SQLite the lock is the transaction's own, so there it is the transaction that is taken away."""
    from threading import Barrier

    meet = Barrier(8)
    create = domain.create_customer
    monkeypatch.setattr(domain, "_lock_email", lambda *args: None)
    monkeypatch.setattr(domain, "create_customer", lambda **kw: (meet.wait(10), create(**kw))[1])
    racer = find_or_create_customer if connection.vendor == "postgresql" else find_or_create_customer.__wrapped__

    at_once(8, lambda _: racer(name="Ana", email="ana@example.com", livemode=False, by=None, origin="api"))

    assert Customer.objects.count() > 1


# --- the e-mail used last ---------------------------------------------------------------------------------------
def test_the_newest_use_sets_the_email_and_is_recorded(max):
    customer = make_customer(email="old@example.com")

    after = take_email(customer, email="New@Example.com", at=timezone.now(), by=max)

    customer.refresh_from_db()
    assert customer.email == after.email == "new@example.com"
    assert customer.updated_at > customer.created_at
    assert "new@example" in customer.search.replace(" ", "@")
    event = Event.objects.get(type="customer.updated")
    assert (event.by, event.changes) == (max, {"email": ["old@example.com", "new@example.com"]})


def test_an_older_use_recorded_later_changes_nothing():
    customer, now = make_customer(email="old@example.com"), timezone.now()
    take_email(customer, email="new@example.com", at=now, by=None)

    for at in (now - timedelta(seconds=1), now - timedelta(days=30)):
        take_email(customer, email="older@example.com", at=at, by=None)

    customer.refresh_from_db()
    assert customer.email == "new@example.com"


def test_the_same_email_again_is_no_change():
    customer = make_customer(email="ana@example.com")

    take_email(customer, email="ANA@example.com", at=timezone.now(), by=None)

    again = Customer.objects.get()
    assert (again.version, again.updated_at) == (customer.version, customer.updated_at)
    assert not Event.objects.filter(type="customer.updated").exists()
