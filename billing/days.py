"""Days of the calendar where the dashboard is: ranges of them, and the day a moment in the database falls on."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Case, DateField, F, Func, Value, When
from django.db.models.functions import TruncDate

from dashboard.filters import midnight
from dashboard.templatetags.ui import MONTHS, day_text

RANGES = {
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "this_month": "This month",
    "this_year": "This year",
}
USUAL = "30d"
MOST_BARS = 92  # days drawn one by one; a longer range is drawn by months
LONGEST = 1830  # days of a range of one's own
DAY = timedelta(days=1)


def month_end(day):
    """The last day of a day's month."""
    return (day.replace(day=1) + 31 * DAY).replace(day=1) - DAY


class Span(NamedTuple):
    """Days of the calendar, both ends included."""

    first: date
    last: date
    key: str = ""
    label: str = ""

    @property
    def days(self):
        return (self.last - self.first).days + 1

    @property
    def before(self):
        """As many days right before."""
        return self.moved(-self.days)

    def moved(self, days):
        return Span(self.first + days * DAY, self.last + days * DAY)

    @property
    def by_month(self):
        return self.days > MOST_BARS

    @property
    def words(self):
        """The days as people say them: "24 Oct to 22 Nov 2026", "22 Nov 2026", "Oct 2026"."""
        if self.first == self.last:
            return day_text(self.last)
        if self.first.day == 1 and self.last == month_end(self.first):
            return f"{MONTHS[self.first.month - 1]} {self.first.year}"
        start = day_text(self.first)
        return f"{start[:-5] if self.first.year == self.last.year else start} to {day_text(self.last)}"

    @property
    def parts(self):
        """The days, or the months as far as they are in it, one Span each."""
        if not self.by_month:
            return [Span(day, day) for day in (self.first + n * DAY for n in range(self.days))]
        found, first = [], self.first
        while first <= self.last:
            last = min(self.last, month_end(first))
            found.append(Span(first, last))
            first = last + DAY
        return found

    @property
    def axis(self):
        """The words below a bar."""
        month = MONTHS[self.first.month - 1]
        return f"{self.first.day} {month}" if self.first == self.last else month


def span_of(key, today):
    """One of RANGES, ending today."""
    first = {
        "7d": today - 6 * DAY,
        "30d": today - 29 * DAY,
        "90d": today - 89 * DAY,
        "this_month": today.replace(day=1),
        "this_year": today.replace(month=1, day=1),
    }[key]
    return Span(first, today, key, RANGES[key])


def custom_span(first, last):
    """A range of one's own."""
    span = Span(first, last, "custom")
    return span._replace(label=span.words)


def day_of(column, span):
    """The day of a moment, as an expression. It is right for moments in the days of `span`.

    SQLite adds the offset itself, by cases where the clocks change: Django's function there is Python called for
    each row, three times as slow.
    """
    if connection.vendor != "sqlite":
        return TruncDate(column, tzinfo=settings.ZONE)
    *changes, (_, last) = offsets(span)
    cases = [When(**{f"{column}__lt": until}, then=_moved(column, seconds)) for until, seconds in changes]
    return Case(*cases, default=_moved(column, last), output_field=DateField())


def _moved(column, seconds):
    return Func(F(column), Value(f"{seconds:+d} seconds"), function="date", output_field=DateField())


def offsets(span):
    """[(moment until which it holds, seconds ahead of UTC)] of the days of a span: one, and one more for each change."""
    start, end = (int(midnight(day).timestamp()) for day in (span.first, span.last + DAY))
    found = []
    while start < end:
        after = min(start + 86_400, end)
        if _offset(start) != _offset(after):
            found.append((_moment(_change(start, after)), _offset(start)))
        start = after
    return [*found, (_moment(end), _offset(end - 1))]


def _change(before, after):
    """The second between two at which the clocks change."""
    was = _offset(before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if _offset(middle) == was else (before, middle)
    return after


def _offset(second):
    return int(_moment(second).astimezone(settings.ZONE).utcoffset().total_seconds())


def _moment(second):
    return datetime.fromtimestamp(second, UTC)
