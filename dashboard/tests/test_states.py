"""The one state machine: allowed moves once, refused ones in a sentence, each with its event."""

import threading

import pytest
from django.db import connection

from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard import states
from dashboard.models import Event
from dashboard.states import DomainError


def test_a_move_changes_the_status_and_is_recorded_with_who_and_why(alice, max):
    customer = make_customer(by=alice)

    moved = states.move(customer, Customer.Status.ARCHIVED, by=max, why="Closed down")

    assert moved is customer
    assert Customer.objects.get().status == customer.status == "archived"
    event = Event.objects.latest()
    assert (event.type, event.by, event.changes) == ("customer.archived", max, {"status": ["active", "archived"]})
    assert event.data["why"] == "Closed down"


def test_a_move_nobody_listed_is_refused_in_a_sentence(alice):
    customer = make_customer(by=alice)

    with pytest.raises(DomainError, match="This customer is active and cannot become active"):
        states.move(customer, Customer.Status.ACTIVE, by=alice)
    assert Event.objects.filter(type="customer.active").count() == 0


def test_the_second_of_two_who_move_one_thing_is_told(alice, max):
    customer = make_customer(by=alice)
    stale = Customer.objects.get()
    states.move(customer, Customer.Status.ARCHIVED, by=alice)

    with pytest.raises(DomainError, match="Someone else changed this just now"):
        states.move(stale, Customer.Status.ARCHIVED, by=max)

    assert stale.status == "active"
    assert Event.objects.filter(type="customer.archived").count() == 1


def test_other_fields_move_along(alice):
    customer = make_customer(by=alice)

    states.move(customer, Customer.Status.ARCHIVED, by=alice, description="gone")

    customer.refresh_from_db()
    assert customer.description == "gone"


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_exactly_one_moves_it(alice):
    customer = make_customer(by=alice)
    start, results = threading.Barrier(4), []

    def move():
        try:
            own = Customer.objects.get(pk=customer.pk)
            start.wait(10)
            states.move(own, Customer.Status.ARCHIVED, by=alice)
            results.append("moved")
        except DomainError:
            results.append("told")
        finally:
            connection.close()

    threads = [threading.Thread(target=move) for _ in range(4)]
    [t.start() for t in threads]
    [t.join(30) for t in threads]

    assert sorted(results) == ["moved", "told", "told", "told"]
    assert Event.objects.filter(type="customer.archived").count() == 1
