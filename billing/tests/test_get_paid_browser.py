"""The whole job at phone width: bill somebody new, and see what the bank said, at both ends."""

import io
import re

import pytest
from django.core.management import call_command

from billing.models import BillingStatement, Payment
from billing.tests.factories import DECLINED, GOOD
from customers.models import Customer
from dashboard.mail_models import Mail

pytestmark = pytest.mark.django_db(transaction=True)
CASES = {  # price, card, what the payer reads, the statement's badge, after reconcile
    "paid": ("48.50", GOOD, "has your payment of $48.50", "Paid", "Paid"),
    "declined": ("20.00", DECLINED, "The bank declined the card without giving a reason. No money moved.", "Open", "Open"),
    "unknown": ("30.01", GOOD, "We are checking with the bank. Do not pay again.", "Open", "Paid"),
}


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
@pytest.mark.parametrize("case", CASES)
def test_somebody_new_is_billed_and_pays(open_as, axe, max, case, scripts):
    price, card, told, badge, settled = CASES[case]
    staff = open_as(max, width=390, height=844, scripts=scripts)
    payer = open_as(width=390, height=844, scripts=scripts)

    def check(page):
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if scripts:
            axe(page)

    staff.goto("/billing/statements/new/")
    staff.get_by_label("Name").fill("Ada Lovelace")
    staff.locator("input[name=email]").fill("ada@example.org")
    staff.locator("input[name$=description]").first.fill("Set-up and installation")
    staff.locator("input[name$=price]").first.fill(price)
    check(staff)
    staff.get_by_role("button", name="Save and review").click()
    staff.get_by_role("button", name="Finalise statement").wait_for()
    check(staff)
    staff.get_by_role("button", name="Finalise statement").click()
    link = staff.locator("input[readonly]").first
    link.wait_for()
    check(staff)

    payer.goto(re.sub("^https?://[^/]+", "", link.input_value()))
    check(payer)
    payer.get_by_role("button", name=f"Pay ${price}").click()
    payer.get_by_label("Or type a test card number").fill(card)
    check(payer)
    payer.get_by_role("button", name=f"Pay ${price}").click()
    payer.get_by_text(told).first.wait_for()
    check(payer)

    statement = BillingStatement.objects.get()
    staff.goto(statement.get_absolute_url())
    staff.locator(".badge", has_text=re.compile(f"^{badge}$")).first.wait_for()
    check(staff)
    if case == "declined":
        assert "declined the card without giving a reason" in staff.locator("main").inner_text()

    call_command("reconcile", older_than=0, stdout=io.StringIO())
    statement.refresh_from_db()
    assert statement.get_status_display() == settled
    customer = Customer.objects.get()
    assert (customer.email, customer.origin) == ("ada@example.org", "billing_statement")
    receipts = Mail.objects.filter(kind="receipt", to="ada@example.org").count()
    assert (Payment.objects.paid().count(), receipts) == ((1, 1) if settled == "Paid" else (0, 0))
    if settled == "Paid":
        staff.goto("/billing/payments/")
        staff.get_by_text("Succeeded").last.wait_for()
        staff.goto("/outbox/")
        staff.get_by_text(f"Receipt for ${price}").first.wait_for()
