"""A coupon in the browser: made from the customer in two clicks, used on a statement, and shown under Used."""

import pytest

from billing.models import BillingStatement, Coupon
from billing.tests.factories import make_coupon, make_customer, make_open_statement

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("width", "scripts"), [(1440, True), (390, True), (390, False)], ids=["wide", "phone", "no scripts"])
def test_a_coupon_is_made_in_two_clicks_used_on_a_statement_and_shown_under_used(open_as, axe, max, width, scripts):
    customer = make_customer(by=max)
    page = open_as(max, width=width, height=900, scripts=scripts)

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if scripts:
            axe(page)

    page.goto(customer.get_absolute_url())
    page.get_by_text("No coupons used").wait_for()
    page.locator("a", has_text="Create coupon").first.click()
    dialog = page.locator("dialog#coupon-new")
    dialog.wait_for()
    if scripts:
        assert dialog.get_by_label("Percent off").evaluate("box => box === document.activeElement")
        check()
    dialog.get_by_role("button", name="Create", exact=True).click()
    page.get_by_text("was created: 10 % off").wait_for()
    coupon = Coupon.objects.get()
    assert coupon.customer == customer
    check()

    page.goto(f"/billing/statements/new/?customer={customer.pk}")
    page.locator("input[name$=description]").first.fill("Set-up and installation")
    page.locator("input[name$=price]").first.fill("48.50")
    page.get_by_label("Coupon code").fill(coupon.code.lower())
    if scripts:
        page.locator("#totals").get_by_text("−$4.85").wait_for()
        check()
    page.get_by_role("button", name="Save and review").click()
    page.get_by_role("button", name="Finalise statement").click()
    page.get_by_text("is finalised.").wait_for()
    page.locator("main").get_by_text(f"Discount {coupon.code}").wait_for()
    statement = BillingStatement.objects.get()
    assert (statement.status, statement.total) == ("open", 4365)
    check()

    page.goto(customer.get_absolute_url())
    used = page.locator("#coupons")
    used.get_by_role("heading", name="Used").wait_for()
    row = used.locator("tr", has_text=statement.number).first.inner_text()
    assert coupon.code in row
    assert "4.85" in row
    used.locator("tr", has_text="Used up").wait_for()


@pytest.mark.one_database
@pytest.mark.parametrize("width", [1440, 390])
def test_the_lists_the_page_and_the_form_read_well_at_every_width(open_as, axe, max, width):
    coupon = make_coupon(by=max, code="AUTUMN", name="Autumn sale", max_redemptions=50, amount_off=500, currency="USD")
    make_open_statement(make_customer(by=max), by=max, coupon=coupon)
    make_coupon(by=max, code="FRIENDS", duration="repeating", duration_in_months=3)
    page = open_as(max, width=width, height=900)

    for url in ("/billing/coupons/", "/billing/coupons/uses/", "/billing/coupons/new/", f"{coupon.get_absolute_url()}edit/"):
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, url
        axe(page)
    page.goto(coupon.get_absolute_url())
    page.get_by_label("Bill of").fill("3")
    page.get_by_role("button", name="Test").click()
    page.get_by_text("Valid: $3.00 off.").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    axe(page)
    page.locator("details.menu summary[aria-label='More actions']").last.click()
    page.get_by_role("link", name="Switch off").click()
    page.get_by_text("Nobody can use it from now on").wait_for()
    axe(page)
    page.get_by_role("button", name="Switch off").click()
    page.get_by_text("AUTUMN is switched off.").first.wait_for()
