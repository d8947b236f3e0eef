"""The overview in a browser: on any screen, light or dark, with scripts or without."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.domain.payments import record_payment
from billing.tests.factories import make_customer, make_open_statement, make_request

pytestmark = pytest.mark.one_database

SIDEWAYS = "document.documentElement.scrollWidth - window.innerWidth"
LOOKS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture
def business(transactional_db, max):
    """Something for every part of the page, and two currencies."""
    customer = make_customer()
    now = timezone.now()
    for n, currency in enumerate(("USD", "USD", "EUR")):
        record_payment(customer, amount=4850, currency=currency, by=max, method_type="cash", paid_at=now - timedelta(days=n * 30))
    make_request(customer)
    make_open_statement(customer, due_at=now - timedelta(days=40), at=now - timedelta(days=50))
    return customer


@pytest.mark.one_database
@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_everybody_can_read_the_overview(width, theme, business, max, open_as, axe):
    page = open_as(max, width=width, theme=theme)
    page.goto("/overview/")
    page.locator(".numbers summary").click()

    axe(page)
    assert page.evaluate(SIDEWAYS) <= 0
    assert page.locator("svg.chart:visible").count() == 1  # the wide or the narrow one


def test_a_bar_says_its_day_and_amount_when_pointed_at(business, max, open_as):
    page = open_as(max)
    page.goto("/overview/")
    bar = page.locator(".wide-only .pt", has_text="$48.50").last  # today's, or yesterday's from midnight on
    bar.locator(".slot").hover()

    tip = bar.locator(".tip", has_text="$48.50").element_handle()
    page.wait_for_function("tip => getComputedStyle(tip).opacity === '1'", arg=tip)


def test_range_and_currency_change_without_scripts(business, max, open_as):
    page = open_as(max, width=390, scripts=False)
    page.goto("/overview/")
    page.locator(".page-head summary", has_text="Last 30 days").click()
    start = (timezone.localdate() - timedelta(days=70)).isoformat()
    page.get_by_label("From", exact=True).fill(start)
    page.get_by_role("button", name="Show these days").click()
    page.wait_for_url(f"**start={start}&end=*")
    assert "Last 30 days" not in page.locator(".page-head > .row > .menu > summary").last.inner_text()

    page.locator(".page-head summary", has_text="USD").click()
    page.get_by_role("link", name="EUR", exact=True).click()
    page.wait_for_url("**currency=EUR*")
    assert f"start={start}" in page.url


def test_the_first_steps_can_be_read_by_everybody(max, transactional_db, open_as, axe):
    page = open_as(max, width=390)
    page.goto("/overview/")

    axe(page)
    assert page.get_by_role("link", name="Add a customer").is_visible()
