"""Periods of subscriptions in words."""

from datetime import timedelta

from django import template

from billing.domain.invoicing import days_text

register = template.Library()


@register.filter
def period(invoice):
    """{{ invoice|period }}: the days it bills, "1 Nov to 30 Nov 2026"."""
    return days_text(invoice.period_start, invoice.period_end)


@register.filter
def current_period(subscription):
    """{{ subscription|current_period }}: the days of the newest period that was billed."""
    return days_text(subscription.current_period_start, subscription.current_period_end)


@register.filter
def days(upcoming):
    """{{ part|days }}: the days of a period that is yet to be billed."""
    return days_text(upcoming.first, upcoming.last + timedelta(days=1))
