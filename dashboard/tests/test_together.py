"""Several querysets in one query: the same rows, with the same values, as a query for each gives."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.models import BinaryField, Count, F, FloatField, Min, Sum, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from billing.domain.payments import record_payment
from billing.models import (
    BillingStatement,
    Coupon,
    CouponRedemption,
    CustomerTotal,
    Payment,
    PaymentMethod,
    PaymentRequest,
    Subscription,
    TokenizationLink,
)
from customers.models import Address, Comment, Customer
from customers.tests.factories import make_address, make_comment, make_customer
from dashboard.models import Event, User
from dashboard.money import LARGEST
from dashboard.together import CountOf, fetch_together

MOST = 100
MODELS = [
    Address, BillingStatement, Comment, Coupon, CouponRedemption, Customer, CustomerTotal, Event, Payment, PaymentMethod,
    PaymentRequest, Subscription, TokenizationLink, User,
]  # fmt: skip
ODD = ["", " ", "Zoë “Müller” 王", 'it\'s 100 %s \\ "q" {}', "</script>\n\t\r", "\x01\x1f\x7f", "\U0001f600\u2028", "[1]", "null"]
texts = st.one_of(st.sampled_from(ODD), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
moments = st.datetimes(datetime(1900, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))
numbers = st.one_of(st.sampled_from([0, 2**53 + 1, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1))
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=5,
)


def value_for(field):
    """Values a column may hold, with the odd ones first."""
    field = getattr(field, "target_field", field)
    kind = field.get_internal_type()
    fitting = {
        "BooleanField": st.booleans(),
        "DateField": st.dates(date(1, 1, 1), date(9999, 12, 31)),
        "DateTimeField": moments,
        "DecimalField": st.decimals(Decimal("-999.99"), Decimal("999.99"), places=2),
        "JSONField": json_values,
        "BigIntegerField": numbers,
        "IntegerField": st.integers(-(2**31), 2**31 - 1),
        "PositiveIntegerField": st.integers(0, 2**31 - 1),
        "PositiveSmallIntegerField": st.integers(0, 2**15 - 1),
    }
    if kind in fitting:
        return fitting[kind]
    return texts.map(lambda text: text[: field.max_length or None])


def row_of(model):
    """A row's values, odd ones first: {attname: value}."""
    fields = [f for f in model._meta.local_concrete_fields if not f.primary_key]
    return st.fixed_dictionaries({f.attname: st.none() | value_for(f) if f.null else value_for(f) for f in fields})


def stand_in(model):
    """A temporary table in the place of the model's, of the same columns and without its rules: anything fits in."""
    quote = connection.ops.quote_name
    columns = ", ".join(f"{quote(f.column)} {f.db_type(connection)}" for f in model._meta.local_concrete_fields)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {quote(model._meta.db_table)} ({columns})")


def values_of(row):
    return {name: (type(value), value) for name, value in vars(row).items() if name != "_state"}


# --- equal to queries of their own -------------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_every_value_comes_back_as_a_query_of_its_own_brings_it(model, data):
    with transaction.atomic():
        stand_in(model)
        model._base_manager.bulk_create(
            [model(**values) for values in data.draw(st.lists(row_of(model), min_size=1, max_size=3))]
        )
        queryset = model._base_manager.order_by("-pk")[:MOST]
        assert [values_of(row) for row in fetch_together(it=queryset)["it"]] == [values_of(row) for row in queryset]
        transaction.set_rollback(True)


@pytest.fixture
def ana(db, max):
    ana = make_customer(by=max, metadata={"Order ID": "A-1"}, email="ana@example.com")
    for n in range(3):
        make_address(ana, by=max, line1=f"{n} “Rizal” Street")
        make_comment(ana, by=max, body=f"Note {n}")
    return ana


def test_each_part_keeps_its_order_and_limit_in_one_query(ana, django_assert_num_queries):
    parts = {
        "addresses": ana.addresses.order_by("line1")[:2],
        "comments": Comment.objects.order_by("-id")[1:3],
        "nobody": Customer.objects.filter(pk="none")[:5],
        "nothing": Customer.objects.none()[:5],
    }
    with django_assert_num_queries(1):
        found = fetch_together(**parts)
    assert found == {name: list(queryset) for name, queryset in parts.items()}
    assert found["addresses"]
    assert found["comments"]


def test_columns_left_out_stay_out_and_related_records_come_along(ana, django_assert_num_queries):
    comments = Comment.objects.select_related("author", "customer").defer("body", "customer__search", "author__password")[:5]
    found = fetch_together(it=comments)["it"]
    assert found[0].get_deferred_fields() == {"body"}
    assert found[0].customer.get_deferred_fields() == {"search"}
    with django_assert_num_queries(0):
        assert (str(found[0].author), str(found[0].customer)) == ("Max", "Ana Cruz")
    with django_assert_num_queries(1):
        assert found[0].body == "Note 2"


def test_rows_of_a_relation_know_the_record_they_belong_to(ana, django_assert_num_queries):
    found = fetch_together(it=ana.addresses.all()[:5])["it"]
    with django_assert_num_queries(0):
        assert found[0].customer is ana


def test_a_column_that_is_null_is_none(ana):
    for row in fetch_together(it=Customer.objects.all()[:5])["it"]:
        assert (row.did, row.archived_at, row.email_source_at) == (None, None, None)


def test_more_columns_than_a_function_takes_arguments(ana):
    wide = Payment.objects.select_related("customer", "statement__customer", "request", "source", "attempt")
    record_payment(ana, amount=LARGEST, currency="JPY", by=None, product_type="api")
    assert wide[:1].query.sql_with_params()[0].count(",") > 127
    (found,), (expected,) = fetch_together(it=wide[:1])["it"], wide[:1]
    assert found.amount == LARGEST
    assert values_of(found.customer) == values_of(expected.customer)
    assert found.statement is None


def test_sums_counts_and_expressions_are_what_they_are_alone(ana):
    for amount, currency in ((LARGEST, "JPY"), (2, "JPY"), (1050, "USD")):
        record_payment(ana, amount=amount, currency=currency, by=None, product_type="api")
    by_currency = ana.payments.order_by("currency").values("currency")
    parts = {
        "dicts": by_currency.annotate(minor=Sum("amount"), n=Count("pk"), first=Min("paid_at"))[:9],
        "lists": by_currency.annotate(minor=Sum("amount")).values_list("currency", "minor")[:9],
        "flat": ana.payments.order_by("amount").values_list("amount", flat=True)[:9],
        "third": Customer.objects.annotate(third=Value(1 / 3, FloatField()), twice=F("version") * 2)[:9],
    }
    found = fetch_together(**parts)
    assert found == {name: list(queryset) for name, queryset in parts.items()}
    assert found["lists"][0] == ("JPY", LARGEST + 2)
    assert (found["third"][0].third, found["third"][0].twice) == (1 / 3, 2)


def test_a_count_stops_at_its_limit(ana):
    counts = fetch_together(
        all=CountOf(ana.comments.all(), 10), some=CountOf(ana.comments.all(), 2), none=CountOf(ana.comments.none(), 10)
    )
    assert counts == {"all": 3, "some": 2, "none": 0}


# --- refused -------------------------------------------------------------------------------------------------
def test_a_queryset_without_a_limit_is_refused():
    with pytest.raises(ValueError, match="how many rows"):
        fetch_together(it=Customer.objects.all())


def test_a_column_that_json_cannot_carry_exactly_is_refused():
    with pytest.raises(TypeError, match="BinaryField cannot"):
        fetch_together(it=Customer.objects.annotate(raw=Value(b"", BinaryField()))[:1])


def test_nothing_asked_asks_nothing(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert fetch_together() == {}
        assert fetch_together(it=Customer.objects.none()[:1]) == {"it": []}
