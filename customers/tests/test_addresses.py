"""Addresses: added, edited, removed; exactly one is the default, whoever is at it at once."""

import pytest

from customers import domain
from customers.models import Address, Customer
from customers.tests.factories import make_address, make_customer
from customers.tests.test_customers import at_once
from dashboard.models import Event

PH = {"country": "PH", "kind": "billing", "line1": "1 Rizal Street", "city": "Manila", "postal_code": "1000"}


@pytest.fixture
def ana(alice):
    return make_customer(by=alice)


def url(customer, rest):
    return f"/customers/{customer.pk}/addresses/{rest}"


def defaults(customer):
    return list(Address.objects.filter(customer=customer, is_default=True))


def test_the_first_address_is_the_default_and_gives_the_customer_its_country(as_sue, sue, ana):
    done = as_sue.post(url(ana, "new/"), PH)

    address = Address.objects.get()
    assert done.url == f"{ana.get_absolute_url()}#addresses"
    assert (address.is_default, address.created_by, address.livemode) == (True, sue, False)
    assert Customer.objects.get().country == "PH"
    assert Event.objects.latest().type == "address.created"


def test_a_second_address_leaves_the_default_alone_unless_told(ana, alice):
    first = make_address(ana, by=alice)
    make_address(ana, by=alice, country="US")
    assert defaults(ana) == [first]

    third = make_address(ana, by=alice, country="JP", is_default=True)

    assert defaults(ana) == [third]
    assert Customer.objects.get().country == "JP"


def test_another_becomes_the_default_by_its_button(as_sue, ana, alice):
    make_address(ana, by=alice)
    second = make_address(ana, by=alice, country="BR")

    as_sue.post(url(ana, f"{second.pk}/default/"))

    assert defaults(ana) == [second]
    assert Customer.objects.get().country == "BR"
    assert Event.objects.latest().type == "address.made_default"


def test_removing_the_default_hands_it_to_the_oldest_other(as_sue, ana, alice):
    first, second = make_address(ana, by=alice), make_address(ana, by=alice, country="US")
    make_address(ana, by=alice, country="JP")

    as_sue.post(url(ana, f"{first.pk}/delete/"))

    assert defaults(ana) == [second]
    assert Customer.objects.get().country == "US"
    assert Event.objects.filter(type="address.removed", object_id=first.pk).exists()


def test_removing_the_last_leaves_no_country(as_sue, ana, alice):
    only = make_address(ana, by=alice)

    as_sue.post(url(ana, f"{only.pk}/delete/"))

    assert not Address.objects.exists()
    assert Customer.objects.get().country == ""


def test_an_edit_is_recorded_with_both_values_and_moves_the_customers_date(as_sue, ana, alice):
    address = make_address(ana, by=alice)
    before = Customer.objects.get().updated_at

    as_sue.post(url(ana, f"{address.pk}/edit/"), PH | {"city": "Cebu"})

    address.refresh_from_db()
    assert address.city == "Cebu"
    assert Event.objects.latest().changes == {"city": ["Manila", "Cebu"]}
    assert Customer.objects.get().updated_at > before


def test_an_edit_that_changes_nothing_writes_nothing(as_sue, ana, alice):
    address = make_address(ana, by=alice)
    events = Event.objects.count()

    as_sue.post(url(ana, f"{address.pk}/edit/"), PH)

    assert Event.objects.count() == events


def test_editing_the_default_keeps_it_the_default(as_sue, ana, alice):
    address = make_address(ana, by=alice)

    as_sue.post(url(ana, f"{address.pk}/edit/"), PH | {"country": "US"})

    assert defaults(ana) == [address]
    assert Customer.objects.get().country == "US"


@pytest.mark.parametrize(
    ("change", "field"),
    [({"country": "ZZ"}, "country"), ({"country": "USA"}, "country"), ({"country": ""}, "country"), ({"line1": ""}, "line1"),
     ({"line1": "x" * 256}, "line1"), ({"phone_number": "555-1234"}, "phone_number"), ({"city": "a\0b"}, "city"),
     ({"kind": "palace"}, "kind")],
)  # fmt: skip
def test_nonsense_is_told_at_its_field_and_saves_nothing(as_sue, ana, change, field):
    page = as_sue.post(url(ana, "new/"), PH | change)

    assert page.status_code == 422
    assert field in page.context["form"].errors
    assert not Address.objects.exists()


def test_labels_follow_the_country(as_sue, ana):
    page = as_sue.post(url(ana, "new/"), PH | {"country": "US", "line1": ""})

    assert page.context["form"].fields["postal_code"].label == "ZIP code"
    assert page.context["form"].fields["state"].label == "State"


def test_a_phone_is_read_by_the_addresss_country(as_sue, ana):
    as_sue.post(url(ana, "new/"), PH | {"phone_number": "0917 555 0100"})

    assert Address.objects.get().phone_number == "+639175550100"


def test_an_address_of_somebody_else_is_404(as_sue, ana, alice):
    theirs = make_address(make_customer(by=alice), by=alice)

    for action in ("edit", "default", "delete"):
        assert as_sue.post(url(ana, f"{theirs.pk}/{action}/"), PH).status_code == 404
    assert Address.objects.get() == theirs


@pytest.mark.django_db(transaction=True)
def test_of_two_who_add_or_choose_at_once_exactly_one_default_is_left(alice):
    customer = make_customer(by=alice)
    for _ in range(5):
        at_once(2, lambda n: make_address(customer, by=alice, is_default=True))
        assert len(defaults(customer)) == 1
    pair = list(customer.addresses.order_by("id")[:2])
    for _ in range(5):
        at_once(2, lambda n: domain.make_default_address(Address.objects.get(pk=pair[n].pk), by=alice))
        assert len(defaults(customer)) == 1
    assert Address.objects.count() == 10


def test_the_database_itself_refuses_a_second_default(ana, alice):
    from django.db import IntegrityError, transaction

    make_address(ana, by=alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        Address.objects.create(customer=ana, livemode=False, is_default=True)
