"""The periods of a subscription: whole days, counted from its first day so that a short month shifts no later one.

Period n begins n intervals after the first day: on the same day of the month, or on the month's last where that day
does not exist (31 Jan, 28 or 29 Feb, 31 Mar; 29 Feb, 28 Feb, …, 29 Feb again in a leap year). Days are the calendar's
where the dashboard is, so a clock that changes lengthens or shortens none.
"""

from calendar import monthrange
from datetime import date, timedelta

DAYS = {"day": 1, "week": 7}
MONTHS = {"month": 1, "year": 12}


def begins_on(started_on, n, interval, count=1):
    """The first day of period n (from 0). `interval` is day, week, month or year, and a period lasts `count` of them.

    Raises OverflowError beyond the calendar's last year.
    """
    if interval in DAYS:
        return started_on + timedelta(days=n * count * DAYS[interval])
    return _months_after(started_on, n * count * MONTHS[interval])


def _months_after(day, months):
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if year > date.max.year:
        raise OverflowError("This is beyond the calendar's last year.")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def period(started_on, n, interval, count=1):
    """(first day, day after the last) of period n."""
    return begins_on(started_on, n, interval, count), begins_on(started_on, n + 1, interval, count)


def period_number_from(started_on, day, interval, count=1):
    """The number of the first period that begins on `day` or later."""
    if day <= started_on:
        return 0
    n = _whole_intervals(started_on, day, interval) // count
    while begins_on(started_on, n, interval, count) < day:
        n += 1
    return n


def _whole_intervals(started_on, day, interval):
    """So many intervals, or fewer by what a clamped day makes of the last one, lie between two days."""
    if interval in DAYS:
        return (day - started_on).days // DAYS[interval]
    months = (day.year - started_on.year) * 12 + day.month - started_on.month
    return max(0, months - 1) // MONTHS[interval]
