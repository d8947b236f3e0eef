"""The payer's way in a real browser, at phone width."""

import pytest

from billing.models import Payment
from billing.tests.factories import DECLINED, GOOD, make_customer, make_request

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_a_payer_is_declined_tries_another_card_and_has_paid(open_as, axe, scripts):
    request = make_request()
    page = open_as(width=390, height=844, scripts=scripts)

    def pay_with(number):
        page.get_by_role("button", name="Pay $48.50").click()
        page.get_by_text("No money moves. Never type a real card number.").wait_for()
        page.get_by_label("Or type a test card number").fill(number)
        check()
        page.get_by_role("button", name="Pay $48.50").click()
        page.wait_for_url(f"**/pay/checkout/{request.token}/")

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        if scripts:
            axe(page)

    page.goto(f"/pay/checkout/{request.token}/")
    check()
    pay_with(DECLINED)
    page.get_by_text("The bank declined the card without giving a reason. No money moved.").wait_for()
    check()
    pay_with(GOOD)
    page.get_by_role("heading", name="Paid", exact=True).wait_for()
    check()

    request.refresh_from_db()
    assert request.status == "done"
    assert sorted(Payment.objects.values_list("status", flat=True)) == ["failed", "paid"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_without_payment_are_accessible(open_as, axe, theme):
    from billing.domain.requests import cancel_payment_request
    from billing.models import PaymentRequest

    customer = make_customer()
    canceled, expired = make_request(customer), make_request(customer)
    cancel_payment_request(canceled, by=None)
    PaymentRequest.objects.filter(pk=expired.pk).update(expires_at=expired.created_at)
    page = open_as(theme=theme)

    for request, words in ((canceled, "This request was canceled"), (expired, "This link has expired")):
        page.goto(f"/pay/checkout/{request.token}/")
        page.get_by_text(words).wait_for()
        axe(page)
