"""The overview: each figure is the sum of exactly the rows its link opens, whatever the clock or the calendar does."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from billing import days
from billing.domain.payments import record_payment
from billing.models import BillingStatement, Payment, PaymentRequest, Refund
from billing.tests.factories import make_customer, make_open_statement, make_request, make_statement
from dashboard import events
from dashboard.filters import midnight
from dashboard.models import Event

URL = "/overview/"
DAY = timedelta(days=1)
COLUMN = {Payment: "amount", Refund: "amount", PaymentRequest: "amount", BillingStatement: "amount_remaining"}


def pay(customer, amount, *, days_ago=0, at=None, currency="USD", method="cash", brand="", **fields):
    """A payment that was made so many days ago, at noon where the dashboard is, or `at` a moment."""
    paid_at = at or midnight(timezone.localdate() - days_ago * DAY) + timedelta(hours=0 if not days_ago else 12)
    paid = record_payment(customer, amount=amount, currency=currency, by=None, method_type=method, paid_at=paid_at, **fields)
    Payment.objects.filter(pk=paid.pk).update(method_brand=brand)
    return paid


def owe(customer, price, *, late=None, currency="USD"):
    """An open statement that became due so many days ago, at the end of that day; without `late`, due in two weeks."""
    due_at = midnight(timezone.localdate() - (-14 if late is None else late - 1) * DAY) - timedelta(seconds=1)
    issued = timezone.now() - timedelta(days=(late or 0) + 30)
    return make_open_statement(customer, lines=[("Beans", 1, price)], due_at=due_at, currency=currency, at=issued)


def give_back(payment, amount, *, days_ago=0, status="succeeded"):
    """A refund as the domain leaves it behind; what it did to the payment is not asked about here."""
    refund = Refund(
        livemode=payment.livemode,
        payment=payment,
        customer=payment.customer,
        amount=amount,
        currency=payment.currency,
        reason="others",
        status=status,
        created_at=midnight(timezone.localdate() - days_ago * DAY),
    )
    refund.derive().save(force_insert=True)
    return refund


@pytest.fixture
def business(db):
    """Money of every kind in two currencies, in this mode and the other, inside the last 30 days and outside."""
    customer, live = make_customer(), make_customer(livemode=True)
    for days_ago, amount in [(0, 1111), (0, 40), (1, 500), (7, 700), (29, 2900), (30, 3000), (59, 5900), (60, 6000), (400, 1)]:
        pay(customer, amount, days_ago=days_ago)
    pay(customer, 8, days_ago=2, method="card", brand="visa")
    pay(customer, 16, days_ago=3, method="card", brand="visa")
    pay(customer, 32, days_ago=3, method="card", brand="mastercard")
    pay(customer, 64, days_ago=3, method="ewallet", brand="gcash")
    pay(customer, 128, days_ago=3, method="ewallet")
    paid = pay(customer, 5000, days_ago=4, currency="EUR")
    for amount, days_ago, status in [(70, 0, "succeeded"), (80, 40, "succeeded"), (90, 1, "pending"), (95, 1, "failed")]:
        give_back(paid, amount, days_ago=days_ago, status=status)
    for late in (None, 1, 30, 31, 60, 61, 90, 91, 365):
        owe(customer, 1000 + (late or 0), late=late)
    owe(customer, 77, late=3, currency="EUR")
    make_request(customer, amount=4850)
    make_request(customer, amount=51, currency="EUR")
    lapsed = make_request(customer, amount=9999)
    PaymentRequest.objects.filter(pk=lapsed.pk).update(expires_at=timezone.now() - DAY)
    make_statement(customer)
    pay(live, 123456)
    owe(live, 999, late=5)
    asked = make_request(customer, amount=333)
    PaymentRequest.objects.filter(pk=asked.pk).update(livemode=True, customer=live)
    return customer


def figures_of(page):
    """Every figure on the page: those of all currencies, the chart's bars, the ages and the ways to pay."""
    context = page.context
    found = {}
    for each in context["by_currency"] or [context["figures"]]:
        for name in ("today", "week_ago", "collected", "collected_before", "refunded", "not_due", "requested", "overdue"):
            found[f"{each.currency} {name}"] = getattr(each, name)
    found |= {f"age {age.key}": figure for age, figure, _ in context["ages"]}
    found |= {f"way {label}": figure for label, figure, *_ in context["ways"]}
    for part in context["figures"].parts:
        found |= {f"{part.label} now": part.now, f"{part.label} before": part.before}
    return found


def rows_behind(client, figure):
    """The rows the figure's link lists, from the page itself."""
    page = client.get(f"{figure.url}&per_page=100")
    assert page.status_code == 200
    view = page.context["view"]
    assert not view.filterset.errors, f"{figure.url}: {view.filterset.errors}"
    assert set(view.parameters) == {pair.split("=")[0] for pair in figure.url.partition("?")[2].split("&")}
    return page.context["page"].rows


def assert_true(client, figure, what):
    rows = rows_behind(client, figure)
    assert len(rows) < 100
    assert {row.currency for row in rows} <= {figure.amount.currency}, what
    assert sum(getattr(row, COLUMN[type(row)]) for row in rows) == figure.amount.minor, what
    assert len(rows) == figure.count, what


RANGES = ["", "range=7d&currency=EUR", "range=90d", "range=this_year", "currency=JPY"]


@pytest.mark.parametrize("query", RANGES)
def test_each_figure_is_the_sum_of_the_rows_its_link_opens(query, business, as_max):
    page = as_max.get(f"{URL}?{query}")
    figures = figures_of(page)

    assert len(figures) > 20
    for what, figure in figures.items():
        if figure.count or not what.endswith((" now", " before")):
            assert_true(as_max, figure, what)


def test_the_figures_of_thirty_days_are_these(business, as_max):
    context = as_max.get(URL).context
    figures = context["figures"]

    assert figures.currency == "USD"
    assert figures.today.amount.minor == 1111 + 40
    assert figures.week_ago.amount.minor == 700
    assert figures.collected.amount.minor == 1111 + 40 + 500 + 700 + 2900 + 8 + 16 + 32 + 64 + 128
    assert figures.collected_before.amount.minor == 3000 + 5900
    assert (figures.not_due.amount.minor, figures.requested.amount.minor) == (1000, 4850)
    assert figures.overdue.count == 8
    assert figures.oldest_days == 365
    assert [(age.key, f.count) for age, f in figures.ages] == [("not_due", 1), ("30", 2), ("60", 2), ("90", 2), ("over_90", 2)]
    assert {each.currency: each.refunded.amount.minor for each in context["by_currency"]} == {"EUR": 70, "USD": 0}


def test_the_parts_of_a_figure_add_up_to_it(business, as_max):
    for query in ("range=90d", "range=this_year"):
        context = as_max.get(f"{URL}?{query}").context
        figures = context["figures"]

        assert sum(part.now.amount.minor for part in figures.parts) == figures.collected.amount.minor
        assert sum(part.before.amount.minor for part in figures.parts) == figures.collected_before.amount.minor
        assert sum(figure.amount.minor for _, figure, *_ in context["ways"]) == figures.collected.amount.minor
        assert sum(figure.amount.minor for _, figure in figures.ages) == figures.owed


def test_a_method_is_told_by_brand_only_where_every_payment_has_one(business, as_max):
    ways = {label: figure.amount.minor for label, figure, *_ in as_max.get(URL).context["ways"]}

    assert ways == {"Cash": 1111 + 40 + 500 + 700 + 2900, "Visa card": 24, "Mastercard card": 32, "E-wallet": 192}


# --- the calendar ----------------------------------------------------------------------------------------


@pytest.fixture(params=["America/New_York", "Asia/Kathmandu"])
def zone(request, settings):
    """A dashboard somewhere else."""
    settings.TIME_ZONE, settings.ZONE = request.param, ZoneInfo(request.param)
    return settings.ZONE


CLOCK_CHANGES = [
    ("America/New_York", "2025-03-09"),
    ("America/New_York", "2025-11-02"),
    ("Africa/Cairo", "2025-04-25"),  # there is no midnight
    ("Africa/Cairo", "2025-10-30"),  # the hour before midnight comes twice
    ("Asia/Kathmandu", "2025-06-01"),  # no change, but a quarter of an hour
]


@pytest.mark.parametrize(("zone", "day"), CLOCK_CHANGES, indirect=["zone"])
def test_a_day_is_counted_from_midnight_to_midnight_even_when_the_clock_changes(day, zone, as_max):
    day, customer = date.fromisoformat(day), make_customer()
    second = timedelta(seconds=1)
    moments = [midnight(day) - second, midnight(day), midnight(day + DAY) - second, midnight(day + DAY)]
    for amount, moment in zip((1, 10, 100, 1000), moments, strict=True):
        pay(customer, amount, at=moment.astimezone(UTC))

    page = as_max.get(f"{URL}?start={day - DAY}&end={day + DAY}&currency=USD")

    assert [part.now.amount.minor for part in page.context["figures"].parts] == [1, 110, 1000]
    for part in page.context["figures"].parts:
        assert_true(as_max, part.now, part.label)


def test_ages_are_cut_at_midnight_where_the_dashboard_is(zone, as_max):
    customer = make_customer()
    for late in (1, 30, 31, 90, 91):
        owe(customer, 100, late=late)

    figures = as_max.get(URL).context["figures"]

    assert [f.count for _, f in figures.ages] == [0, 2, 1, 1, 1]
    for age, figure in figures.ages:
        assert_true(as_max, figure, age.key)


def test_a_statement_that_became_due_an_hour_ago_is_overdue_and_in_the_first_age(db, as_max):
    statement = owe(make_customer(), 100)
    BillingStatement.objects.filter(pk=statement.pk).update(due_at=timezone.now() - timedelta(minutes=1))

    figures = as_max.get(URL).context["figures"]

    assert (figures.not_due.count, figures.overdue.count) == (0, 1)
    assert figures.ages[1][1].count == 1


def test_one_without_a_due_date_is_not_due(db, as_max):
    statement = owe(make_customer(), 100)
    BillingStatement.objects.filter(pk=statement.pk).update(due_at=None)

    figures = as_max.get(URL).context["figures"]

    assert figures.not_due.count == 1
    assert_true(as_max, figures.not_due, "not due")


def test_a_long_range_is_drawn_by_months_cut_at_its_ends():
    span = days.custom_span(date(2024, 12, 30), date(2025, 4, 2))

    assert span.by_month
    assert [part.words for part in span.parts] == [
        "30 Dec to 31 Dec 2024",
        "Jan 2025",
        "Feb 2025",
        "Mar 2025",
        "1 Apr to 2 Apr 2025",
    ]
    assert [part.axis for part in span.parts] == ["Dec", "Jan", "Feb", "Mar", "Apr"]


@pytest.mark.parametrize("key", days.RANGES)
def test_a_range_ends_today_and_is_compared_with_as_many_days_before(key):
    span = days.span_of(key, date(2024, 2, 29))

    assert span.last == date(2024, 2, 29)
    assert span.before.last == span.first - DAY
    assert span.before.days == span.days
    assert sum(part.days for part in span.parts) == span.days


# --- what the page says ----------------------------------------------------------------------------------


def test_the_front_door_leads_to_the_overview(as_max):
    assert as_max.get("/").url == reverse("dashboard:overview") == URL


def test_an_empty_dashboard_says_what_to_do_first(as_max):
    page = as_max.get(URL).content.decode()

    assert "Get paid in three steps" in page
    assert reverse("customers:new") in page
    assert 'class="stats' not in page


def test_with_a_customer_the_next_step_is_to_ask_for_money(as_max):
    make_customer()

    assert "Bill your first customer" in as_max.get(URL).content.decode()


def test_someone_who_may_not_add_customers_is_not_asked_to(as_rita):
    page = as_rita.get(URL).content.decode()

    assert reverse("customers:new") not in page
    assert reverse("customers:customers") in page


def test_a_draft_is_enough_to_leave_the_first_steps(as_max):
    make_statement()

    assert 'class="stats' in as_max.get(URL).content.decode()


def test_live_mode_counts_live_money_only(business, as_max):
    as_max.post("/mode/", {"mode": "live"})
    figures = as_max.get(URL).context["figures"]

    assert figures.today.amount.minor == 123456
    assert (figures.overdue.amount.minor, figures.requested.amount.minor) == (999, 333)
    assert_true(as_max, figures.today, "today")


def test_the_merchants_currency_comes_first_unless_there_is_none_of_it(settings, as_max):
    customer = make_customer()
    pay(customer, 100, currency="EUR")
    pay(customer, 100, currency="EUR")
    pay(customer, 90000, currency="JPY")
    assert as_max.get(URL).context["currency"] == "EUR"

    make_request(customer, amount=700)  # asked for in the merchant's own, but nobody paid in it yet
    assert as_max.get(URL).context["currency"] == "EUR"

    settings.DEFAULT_CURRENCY = "JPY"
    assert as_max.get(URL).context["currency"] == "JPY"


def test_another_currency_keeps_the_range_and_the_other_way_round(business, as_max):
    context = as_max.get(f"{URL}?range=7d&currency=EUR").context

    assert ("USD", "?range=7d&currency=USD", False) in context["currencies"]
    assert ("Last 90 days", "?range=90d&currency=EUR", False) in context["ranges"]


def test_with_one_currency_there_is_no_switch_and_no_table_of_currencies(as_max):
    pay(make_customer(), 100)
    page = as_max.get(URL)

    assert not page.context["by_currency"]
    assert "By currency" not in page.content.decode()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("start=2025-02-10&end=2025-02-09", "Choose a first day that is not after the last."),
        ("start=2015-01-01&end=2025-02-09", "Choose at most five years."),
        ("start=0001-01-01&end=2025-02-09", "Choose a year from 1900 to 9000."),
        ("start=2025-01-01&end=9999-12-31", "Choose a year from 1900 to 9000."),
        ("start=2025-01-01&end=8999-12-31", "Choose a last day up to today."),
        ("start=x&end=2025-02-09", "Enter a valid date."),
        ("range=custom", "This field is required."),
    ],
)
def test_a_range_that_makes_no_sense_is_told_and_the_usual_one_shown(query, sentence, as_max):
    pay(make_customer(), 100)
    page = as_max.get(f"{URL}?{query}")

    assert page.status_code == 200
    assert sentence in page.content.decode()
    assert page.context["span"].key == "30d"


@pytest.mark.parametrize("query", ["range=%00", "currency=%00", "range=year&currency=XXX", "start=%00&end=1", "currency=usd'--"])
def test_nonsense_in_the_address_changes_nothing(query, as_max):
    pay(make_customer(), 100)
    page = as_max.get(f"{URL}?{query}")

    assert page.status_code == 200
    assert (page.context["currency"], page.context["span"].key) == ("USD", "30d")


def test_the_longest_overdue_come_first_with_days_and_amount(business, as_max):
    overdue = as_max.get(URL).context["overdue"]

    assert [days for _, days in overdue] == [365, 91, 90, 61, 60]
    assert overdue[0][0].amount_remaining == 1365


def test_recent_payments_show_what_failed_as_well(business, as_max):
    failed = pay(business, 5)
    Payment.objects.filter(pk=failed.pk).update(status="failed", created_at=timezone.now())
    page = as_max.get(URL)

    assert page.context["recent"][0].pk == failed.pk
    assert "Failed" in page.content.decode()


def test_activity_is_told_in_words_with_customer_and_amount(business, as_max, max):
    events.record("payment.paid", Payment.objects.first(), by=max, amount=4850, currency="USD")
    said = as_max.get(URL).context["activity"][0]

    assert (said.name, str(said.amount), said.event.by) == ("Marta Santos", "$48.50", max)


def test_an_event_about_nobody_is_told_as_well(business, as_max):
    events.note("export.made", by=None, livemode=False, amount="many")
    said = as_max.get(URL).context["activity"][0]

    assert (said.name, said.amount) == ("", None)


def test_nobodys_contact_data_is_on_the_page(business, as_rita):
    page = as_rita.get(URL).content.decode()

    assert "Marta Santos" in page
    assert "marta@" not in page
    assert "Remind" not in page


def test_names_are_escaped(as_max):
    customer = make_customer(first_name="<script>", last_name="&amp;")
    owe(customer, 100, late=3)
    pay(customer, 100)
    page = as_max.get(URL).content.decode()

    assert "<script>&" not in page
    assert "&lt;script&gt;" in page


def test_looking_changes_nothing(business, as_max):
    before = Event.objects.count()
    as_max.get(URL)

    assert Event.objects.count() == before
    assert as_max.post(URL).status_code == 405


def test_a_refund_that_is_pending_or_failed_is_not_counted(as_max):
    paid = pay(make_customer(), 5000)
    give_back(paid, 10, status="pending")
    give_back(paid, 20, status="failed")
    give_back(paid, 40)

    assert as_max.get(URL).context["figures"].refunded.amount.minor == 40


def queries_of(client, query=""):
    with CaptureQueriesContext(connection) as ran:
        client.get(f"{URL}?{query}")
    return len(ran)


def test_however_much_there_is_the_page_asks_as_often(as_max):
    pay(make_customer(), 100)
    few = queries_of(as_max)
    customer = make_customer(email="b@example.com")
    for n in range(30):
        pay(customer, 100 + n, days_ago=n, currency=("USD", "EUR", "JPY")[n % 3])
        owe(customer, 100, late=n + 1)

    assert queries_of(as_max) <= few
    assert queries_of(as_max, "range=this_year&currency=EUR") <= few
    assert few <= 15


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        ("America/New_York", [("2025-03-09T07:00:00", -5), ("2025-11-02T06:00:00", -4), ("2026-01-01T05:00:00", -5)]),
        ("Australia/Lord_Howe", [("2025-04-05T15:00:00", 11), ("2025-10-04T15:30:00", 10.5), ("2025-12-31T13:00:00", 11)]),
        ("Asia/Manila", [("2025-12-31T16:00:00", 8)]),
    ],
    indirect=["zone"],
)
def test_the_moments_when_the_clocks_change_are_found_to_the_second(zone, changes):
    year = days.custom_span(date(2025, 1, 1), date(2025, 12, 31))

    assert days.offsets(year) == [(datetime.fromisoformat(f"{until}+00:00"), hours * 3600) for until, hours in changes]
