"""The periods of a subscription, for every first day and interval; and which day it is, wherever the dashboard is."""

from calendar import isleap, monthrange
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from billing.periods import begins_on, period, period_number_from

pytestmark = pytest.mark.one_database

DAY = timedelta(days=1)
starts = st.dates(date(1999, 1, 1), date(2104, 12, 31))
numbers = st.integers(0, 400)
intervals = st.sampled_from(["day", "week", "month", "year"])
counts = st.integers(1, 12)


@given(starts, numbers, intervals, counts)
def test_periods_lie_side_by_side_and_each_lasts(start, n, interval, count):
    first, after = period(start, n, interval, count)

    assert first < after
    assert period(start, n + 1, interval, count)[0] == after
    assert period(start, 0, interval, count)[0] == start


@given(starts, numbers, st.sampled_from(["month", "year"]), counts)
def test_the_day_of_the_month_is_the_first_ones_or_the_months_last(start, n, interval, count):
    day = begins_on(start, n, interval, count)

    assert day.day == min(start.day, monthrange(day.year, day.month)[1])
    months = (day.year - start.year) * 12 + day.month - start.month
    assert months == n * count * (12 if interval == "year" else 1)


@given(starts, numbers, counts)
def test_days_and_weeks_have_their_length(start, n, count):
    assert begins_on(start, n, "day", count) == start + n * count * DAY
    assert begins_on(start, n, "week", count) == start + 7 * n * count * DAY


@given(starts, numbers, intervals, counts)
def test_the_number_of_a_first_day_is_its_periods(start, n, interval, count):
    assert period_number_from(start, begins_on(start, n, interval, count), interval, count) == n


@given(starts, st.integers(-400, 20_000), intervals, counts)
def test_the_number_from_a_day_is_the_first_period_that_begins_no_earlier(start, days, interval, count):
    day = start + days * DAY
    n = period_number_from(start, day, interval, count)

    assert begins_on(start, n, interval, count) >= day or n == 0
    assert begins_on(start, n, interval, count) >= max(day, start)
    assert n == 0 or begins_on(start, n - 1, interval, count) < day


def test_a_month_end_is_counted_from_the_start():
    days = [begins_on(date(2027, 1, 31), n, "month") for n in range(14)]

    assert [f"{d:%d %b}" for d in days[:5]] == ["31 Jan", "28 Feb", "31 Mar", "30 Apr", "31 May"]
    assert days[13] == date(2028, 2, 29)


def test_a_leap_day_comes_back_every_fourth_year():
    days = [begins_on(date(2028, 2, 29), n, "year") for n in range(9)]

    assert [d.day for d in days] == [29, 28, 28, 28, 29, 28, 28, 28, 29]
    assert all(isleap(d.year) == (d.day == 29) and d.month == 2 for d in days)


def test_the_calendar_ends():
    with pytest.raises(OverflowError):
        begins_on(date(2026, 1, 1), 8000, "year")
    with pytest.raises(OverflowError):
        begins_on(date(2026, 1, 1), 3_000_000, "day")


# --- which day it is ---------------------------------------------------------------------------------------
ZONES = [
    ("America/New_York", "2025-03-09"),  # 23 hours
    ("America/New_York", "2025-11-02"),  # 25 hours
    ("Africa/Cairo", "2025-04-25"),  # there is no midnight
    ("Africa/Cairo", "2025-10-30"),  # the hour before midnight comes twice
    ("Pacific/Kiritimati", "2026-01-01"),  # 14 hours ahead
    ("Etc/GMT+12", "2025-12-31"),  # the last place where it is still yesterday
    ("Asia/Kathmandu", "2025-06-01"),
]


@pytest.mark.parametrize(("zone", "day"), ZONES)
def test_a_day_begins_and_ends_with_the_dashboards(zone, day, settings):
    settings.TIME_ZONE = zone
    day, second, here = date.fromisoformat(day), timedelta(seconds=1), ZoneInfo(zone)
    first = datetime(day.year, day.month, day.day, tzinfo=here).astimezone(UTC)
    after = datetime.combine(day + DAY, datetime.min.time(), here).astimezone(UTC)

    assert timezone.localdate(first) == timezone.localdate(after - second) == day
    assert (timezone.localdate(first - second), timezone.localdate(after)) == (day - DAY, day + DAY)
