"""What is kept of erased customers goes when its time is over: see customers.privacy, and dashboard.retention."""

from datetime import timedelta

from customers.privacy.erasure import kept_overdue, scrub_kept
from dashboard.retention import Rule


def _scrub(customers):
    return sum(scrub_kept(customer, by=None) for customer in customers)


RULES = (
    Rule("kept_records", "documents of erased customers that need not be kept any more", timedelta, kept_overdue, _scrub),
)  # each says itself until which day it is kept
