"""What happened is written down with it, and nobody rewrites it."""

import pytest
from django.db import DatabaseError, connection, transaction

from customers import domain
from customers.tests.factories import make_customer
from dashboard import events
from dashboard.models import Event


@pytest.fixture
def event(alice):
    return events.record("customer.noted", make_customer(by=alice), by=alice, why="because")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE dashboard_event SET type = 'x'",
        "DELETE FROM dashboard_event",
        "UPDATE dashboard_event SET by_id = NULL WHERE id = %s",
    ],
)
def test_the_database_refuses_to_change_or_delete_an_event(event, statement):
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, [event.pk] if "%s" in statement else [])

    assert Event.objects.get(pk=event.pk).type == "customer.noted"


def test_the_orm_is_refused_as_well(event):
    for change in (event.delete, Event.objects.all().delete, lambda: Event.objects.update(type="x"), event.save):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def test_events_are_still_added(event, alice):
    before = Event.objects.count()
    events.record("customer.noted", make_customer(by=alice), by=None)

    assert Event.objects.count() == before + 2


def test_an_event_says_who_what_why_and_about_whom(event, alice):
    assert (event.by, event.actor, event.who) == (alice, "staff", "Alice")
    assert event.customer_id == event.object_id
    assert event.data == {"why": "because"}
    assert events.record("customer.seen", make_customer(by=alice), by=None).who == "System"
    assert events.record("customer.paid", make_customer(by=alice), by=None, actor="payer").who == "Payer"


def test_a_change_that_fails_leaves_no_event(alice):
    customer = make_customer(by=alice)
    before = Event.objects.count()

    def archive_and_fail():
        domain.archive_customer(customer, by=alice)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        transaction.atomic(archive_and_fail)()

    assert Event.objects.count() == before


def test_many_are_written_in_one_statement(alice, django_assert_num_queries):
    customers = [make_customer(by=alice) for _ in range(3)]
    with django_assert_num_queries(1):
        events.record_many("customer.imported", customers, by=alice, file="a.csv")

    assert set(Event.objects.filter(type="customer.imported").values_list("customer_id", flat=True)) == {c.pk for c in customers}


def test_the_timeline_is_newest_first_and_of_one_customer(alice):
    customer, other = make_customer(by=alice), make_customer(by=alice)
    domain.archive_customer(customer, by=alice)
    domain.archive_customer(other, by=alice)

    assert [e.type for e in events.timeline(customer.pk)] == ["customer.archived", "customer.created"]


def test_changed_names_what_differs_with_both_values(alice):
    customer = make_customer(by=alice)

    assert events.changed(customer, {"first_name": "Ana", "last_name": "Reyes"}) == {"last_name": ["Cruz", "Reyes"]}


def test_the_activity_log_lists_this_modes_events_and_filters_them(alice, as_rita):
    customer = make_customer(by=alice)
    live = make_customer(by=alice, livemode=True)

    page = as_rita.get("/activity/").text
    assert customer.pk in page
    assert live.pk not in page
    assert customer.pk not in as_rita.get("/activity/?type=address").text
    assert customer.pk in as_rita.get(f"/activity/?customer={customer.pk}&actor=staff&created=today").text


MUTATING = {  # customers' own actions: URL and data, on a fresh customer
    "edit": lambda c: (f"/customers/{c.pk}/edit/", None),
    "archive": lambda c: (f"/customers/{c.pk}/archive/", {}),
    "address": lambda c: (f"/customers/{c.pk}/addresses/new/", {"country": "PH", "kind": "billing", "line1": "1 Rizal"}),
    "comment": lambda c: (f"/customers/{c.pk}/comments/", {"body": "Hello"}),
}


@pytest.mark.parametrize("action", MUTATING)
def test_every_change_through_a_page_leaves_an_event_of_that_person(as_alice, alice, action):
    from customers.tests.test_customers import edit_data

    customer = make_customer(by=None)
    url, data = MUTATING[action](customer)
    before = Event.objects.filter(by=alice).count()

    answer = as_alice.post(url, data if data is not None else edit_data(customer, first_name="Eva"))

    assert answer.status_code == 302
    assert Event.objects.filter(by=alice, customer_id=customer.pk).count() > before
