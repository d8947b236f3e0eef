"""The limits of columns hold for domain functions too, past every form (trust.md D03; ASVS 5.0 2.2.2)."""

from contextlib import nullcontext

import pytest
from django.apps import apps
from django.conf import settings
from django.db import DataError, transaction
from django.db.models import F
from django.db.models.signals import pre_save

from billing.models import Coupon
from customers import domain
from customers.models import Customer
from dashboard import values
from dashboard.models import Event
from dashboard.states import DomainError

MODELS = [m for m in apps.get_models() if values._limited(m)]
TEXTS = [(m, f) for m in MODELS for f in values._limited(m) if f.max_length and not f.choices]
CHOSEN = [(m, f) for m in MODELS for f in values._limited(m) if f.choices]


def label(found):
    return found._meta.label if hasattr(found, "_meta") else found.name


@pytest.mark.parametrize("model, field", TEXTS, ids=label)
def test_a_text_that_does_not_fit_its_column_is_refused(model, field):
    with pytest.raises(DomainError, match="Nothing was saved"):
        values.check_values(model, model(**{field.name: "a" * (field.max_length + 1)}))


@pytest.mark.parametrize("model, field", CHOSEN, ids=label)
def test_a_value_nobody_can_choose_is_refused(model, field):
    with pytest.raises(DomainError, match="not a valid choice"):
        values.check_values(model, model(**{field.name: "odd"}))


def make(by, **fields):
    with transaction.atomic():
        return domain.create_customer(by=by, livemode=False, currency="EUR", first_name="Ada", **fields)


def test_a_domain_function_keeps_to_them_past_every_form(max):
    with pytest.raises(DomainError, match=r"Last name: .*at most 255 characters.* Nothing was saved\."):
        make(max, last_name="x" * 256)

    assert not Customer.objects.exists()
    assert not Event.objects.filter(type="customer.created").exists()


def test_without_the_check_sqlite_keeps_it_and_postgres_fails(max):
    """The control of the test above."""
    pre_save.disconnect(dispatch_uid="dashboard.values")
    try:
        with pytest.raises(DataError) if settings.POSTGRES else nullcontext():
            assert len(make(max, last_name="x" * 256).last_name) == 256
    finally:
        values.watch()


def test_what_is_not_being_saved_is_not_looked_at(max):
    ada = make(max)
    ada.last_name, ada.version = "x" * 256, F("version") + 1

    ada.save(update_fields=["version"])

    with pytest.raises(DomainError):
        ada.save(update_fields=["last_name"])


def test_a_value_of_another_type_that_means_the_same_passes():
    values.check_values(Coupon, Coupon(percent_off=10))
    values.check_values(Coupon, Coupon(percent_off="10.5"))
    with pytest.raises(DomainError, match="Percent off"):
        values.check_values(Coupon, Coupon(percent_off=12345))
