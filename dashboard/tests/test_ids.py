"""Public ids: unique, sorted by creation, found with or without their prefix, never the wrong kind."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard.ids import PublicIdConverter, PublicIdField, bare, new_hex
from dashboard.models import Event

FIELD = Customer._meta.pk


def test_a_hundred_thousand_ids_are_unique_and_sorted_by_creation():
    made = [new_hex() for _ in range(100_000)]

    assert len(set(made)) == 100_000
    assert made == sorted(made)
    assert all(len(one) == 24 for one in made)


def test_ids_made_by_threads_at_once_are_unique():
    with ThreadPoolExecutor(8) as pool:
        made = [one for part in pool.map(lambda _: [new_hex() for _ in range(2000)], range(8)) for one in part]

    assert len(set(made)) == 16_000


def test_an_id_is_a_prefix_and_24_hex_digits_that_begin_with_the_time():
    one = FIELD.new()

    assert re.fullmatch(r"cus_[0-9a-f]{24}", one)
    assert one < f"cus_{new_hex()}"
    assert bare(one) == one.removeprefix("cus_")
    assert bare("bstm_li_" + "a" * 24) == "a" * 24


def test_the_clock_may_stand_still_or_go_back(monkeypatch):
    before = new_hex()
    monkeypatch.setattr("dashboard.ids.time.time_ns", lambda: 0)

    made = [before, *[new_hex() for _ in range(1000)]]

    assert made == sorted(set(made))


def test_a_record_is_found_with_and_without_its_prefix(alice):
    customer = make_customer(by=alice)

    assert Customer.objects.get(pk=bare(customer.pk)) == customer
    assert Customer.objects.get(pk=customer.pk) == customer
    assert list(Customer.objects.filter(pk__in=[bare(customer.pk)])) == [customer]


@pytest.mark.parametrize("text", ["addr_" + "a" * 24, "", "cus_", "CUS_" + "A" * 24, "x" * 5000, "1 OR 1=1", "%", "ü"])
def test_what_is_no_id_of_this_kind_finds_nothing(db, text):
    assert not Customer.objects.filter(pk=text).exists()


@pytest.mark.parametrize("text", ["addr_" + "a" * 24, "a" * 23, "cus", "A" * 24, "\0"])
def test_what_is_no_id_of_this_kind_is_refused_as_a_value(text):
    with pytest.raises(ValidationError):
        FIELD.to_python(text)


def test_an_id_is_taken_once(alice):
    customer = make_customer(by=alice)
    twin = Customer(
        pk=customer.pk, livemode=False, currency="USD", first_name="Twin", billing_statement_prefix="TWINTWIN"
    ).derive()

    with pytest.raises(IntegrityError), transaction.atomic():
        twin.save(force_insert=True)


def test_no_form_sets_an_id(as_max):
    as_max.post(
        "/customers/new/", {"kind": "individual", "first_name": "Ana", "currency": "USD", "id": "cus_" + "f" * 24, "pk": "x"}
    )

    assert Customer.objects.get().pk != "cus_" + "f" * 24


def test_the_database_orders_ids_byte_by_byte(alice):
    made = [make_customer(by=alice).pk for _ in range(20)]

    assert list(Customer.objects.order_by("id").values_list("id", flat=True)) == made == sorted(made)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT collation_name FROM information_schema.columns WHERE table_name = %s AND column_name = 'id'",
                ["customers_customer"],
            )
            assert cursor.fetchone() == ("C",)


def test_a_path_takes_ids_only():
    pattern = re.compile(PublicIdConverter.regex)

    assert pattern.fullmatch("cus_" + "0" * 24)
    assert pattern.fullmatch("0" * 24)
    assert pattern.fullmatch("bstm_li_" + "0" * 24)
    assert not any(map(pattern.fullmatch, ["new", "1", "cus_1", "CUS_" + "0" * 24, "cus_" + "0" * 25, "../" + "0" * 24]))


def test_the_field_survives_a_migration():
    _name, path, args, kwargs = FIELD.deconstruct()

    assert (path, args) == ("dashboard.ids.PublicIdField", ["cus"])
    assert not {"primary_key", "max_length", "default", "editable"} & kwargs.keys()
    assert PublicIdField(*args, **kwargs).max_length == len(FIELD.new())


def test_every_record_of_ours_has_such_an_id_and_its_own_prefix():
    from django.apps import apps

    inner = ("bucket", "session", "eventseal", "sealedevent")  # nobody is ever told their keys
    models = [m for m in apps.get_models() if m._meta.app_label in ("dashboard", "customers", "billing")]
    ours = [m for m in models if m._meta.model_name not in inner]
    prefixes = [m._meta.pk.prefix for m in ours if isinstance(m._meta.pk, PublicIdField)]

    assert len(prefixes) == len(ours) > 8
    assert len(set(prefixes)) == len(prefixes)
    assert Event._meta.pk.prefix == "evt"
