"""What the product promises about statements, payments and methods on file and nothing else proves whole."""

from dataclasses import replace

import pytest

from billing.domain import vault
from billing.domain.payments import record_payment
from billing.domain.statements import create_statement, finalize_statement, fulfil_statement, mark_uncollectible, void_statement
from billing.filters import PaymentFilter, StatementFilter
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import find_card
from billing.models import Payment
from billing.tests.factories import GOOD, make_customer, make_open_statement, make_statement
from dashboard.models import Event

pytestmark = pytest.mark.django_db


# --- a customer's own lists --------------------------------------------------------------------

VALUES = {  # a value of every filter that takes typed text or a day; of the others their choices are taken
    "q": "coffee", "created_from": "2020-01-01", "created_to": "2099-01-01", "due_from": "2020-01-01", "due_to": "2099-01-01",
    "paid_from": "2020-01-01", "paid_to": "2099-01-01", "amount_from": "10", "amount_to": "50", "total_from": "10",
    "total_to": "48.60", "brand": "visa", "last4": "4242", "source": "src_000000000000000000000000", "statement": "none",
    "failure": "declined",
}  # fmt: skip
PAGES = {"statements": (StatementFilter, "/billing/statements/"), "payments": (PaymentFilter, "/billing/payments/")}


def values_of(filterset, name):
    field = filterset.base_filters[name].field
    return [str(value) for value, _ in getattr(field, "choices", []) if value][:4] or [VALUES[name]]


def ids(client, url, **query):
    page = client.get(url, query)
    assert page.status_code == 200, (url, query)
    return [row.pk for row in page.context["page"].rows]


@pytest.fixture
def several(max):
    """Ana and Marta, each with a draft, an open, a paid and a void statement and payments of two products."""
    for customer in (make_customer(by=max), make_customer(by=max, first_name="Ana", email="ana@example.com")):
        make_statement(customer, by=max)
        void_statement(make_open_statement(customer, by=max), reason="Wrong", by=max)
        paid = make_open_statement(customer, by=max, currency="EUR")
        record_payment(customer, amount=paid.total, currency="EUR", statement=paid, by=max, description="Coffee")
        record_payment(customer, amount=1000, currency="USD", by=max, product_type=Payment.Product.PAGE)
        fulfil_statement(make_open_statement(customer, by=max), by=max)
    return customer


@pytest.mark.parametrize("noun", PAGES)
def test_every_filter_of_a_section_is_the_main_lists(as_max, several, noun):
    filterset, main = PAGES[noun]
    names = [name for name in filterset.base_filters if name not in ("customer", "product", "bills")]
    everything = {"product": "all"} if noun == "payments" else {}
    wrong = []
    for name in names:
        for value in values_of(filterset, name):
            section = ids(as_max, f"{several.get_absolute_url()}{noun}/", **everything | {name: value})
            if section != ids(as_max, main, customer=several.pk, **{name: value}):
                wrong.append((name, value))

    assert wrong == []
    assert len(names) > 10


# --- statements --------------------------------------------------------------------------------


def seen(client, statement):
    """(badge, its event names, the tabs' counters) of a statement."""
    statement.refresh_from_db()
    page = client.get("/billing/statements/")
    counters = {tab["label"]: tab["count"] for tab in page.context["tabs"] if tab["count"]}
    events = set(Event.objects.filter(object_id=statement.pk).values_list("type", flat=True))
    shown = client.get(statement.get_absolute_url()).text
    assert statement.badge in shown
    return statement.badge, events, counters


def test_each_step_of_a_statement_changes_badge_counter_and_history(as_max, max):
    draft = make_statement(by=max)
    was, before = seen(as_max, draft), Event.objects.count()
    assert was[0] == "Draft"
    steps = [
        ("Open", "billing_statement.open", lambda s: finalize_statement(s, by=max)),
        ("Uncollectible", "billing_statement.uncollectible", lambda s: mark_uncollectible(s, by=max)),
        (
            "Paid",
            "billing_statement.paid",
            lambda s: record_payment(s.customer, amount=s.total, currency="USD", statement=s, by=max),
        ),
    ]
    for badge, event, act in steps:
        act(draft)
        now = seen(as_max, draft)
        assert now[0] == badge
        assert now[1] - was[1] == {event}
        assert now[2] != was[2], badge
        was = now
    gone = make_open_statement(draft.customer, by=max)
    void_statement(gone, reason="Wrong", by=max)

    assert seen(as_max, gone)[0] == "Void"
    assert Event.objects.count() > before + 4


def test_set_up_consulting_and_goods_add_up_in_whole_cents(max):
    lines = (("Set-up and installation", 1, 15005), ("Consulting, hours", 3, 9999), ("Steel shelf", 12, 333))
    statement = create_statement(make_customer(by=max), lines=lines, currency="USD", by=max)

    assert [line.amount for line in statement.lines.all()] == [15005, 29997, 3996]
    assert (statement.subtotal, statement.total) == (48998, 48998)
    assert all(
        type(amount) is int for amount in (statement.subtotal, statement.total, *[n.amount for n in statement.lines.all()])
    )


# --- a method's own address --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "kept"),
    [("", {}), ("PH", {"country": "PH", "postal_code": "1008"}), ("Mars", {"postal_code": "1008"})],
)
def test_a_method_keeps_the_address_the_payer_gave_and_no_country_there_is_not(max, country, kept):
    customer = make_customer(by=max)
    summary = bank.tokenize(find_card(GOOD), reference=customer.pk)
    summary = replace(summary, country=country, postal_code="1008" if country else "")

    assert vault.keep_method(customer, gateway="sandbox", summary=summary, by=max).address == kept
