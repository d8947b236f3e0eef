"""The sandbox's pages and its log in a real browser."""

import pytest

from billing.domain.checkouts import start_payment
from billing.models import Payment
from billing.tests.factories import make_request, submit_card

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("scripts", "theme"), [(True, "light"), (True, "dark"), (False, "light")])
def test_a_payer_confirms_at_the_bank_on_a_phone(open_as, axe, scripts, theme):
    request = make_request(method_types=["card", "bank_account"])
    page = open_as(width=390, height=844, scripts=scripts, theme=theme)

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if scripts:
            axe(page)

    page.goto(f"/pay/checkout/{request.token}/")
    page.get_by_role("button", name="Pay $48.50").click()
    page.get_by_label("Test card", exact=True).select_option("4000002500003155")
    check()
    page.get_by_role("button", name="Pay $48.50").click()
    page.get_by_role("heading", name="Is this you?").wait_for()
    check()
    bank = page.url
    page.get_by_role("button", name="Confirm").click()
    page.get_by_role("heading", name="Paid", exact=True).wait_for()
    page.goto(bank)
    page.get_by_role("heading", name="Confirmed").wait_for()
    check()

    assert Payment.objects.get().status == "paid"


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_a_manager_lets_a_dispute_open_and_decides_it(open_as, axe, max, width, theme):
    submit_card(start_payment(make_request()), "4000000000000259")
    page = open_as(max, width=width, theme=theme)
    page.goto("/billing/sandbox-log/")
    axe(page)

    page.get_by_role("button", name="Run tick now").click()
    page.get_by_text("1 dispute opened").wait_for()
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Lost").click()
    page.get_by_text("the payer gets the money back").wait_for()

    assert Payment.objects.get().dispute == "lost"
