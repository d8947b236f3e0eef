"""The payer's way in a real browser, at phone width."""

from datetime import timedelta

import pytest

from billing.domain import settle
from billing.models import BillingStatement, Payment
from billing.tests.factories import DECLINED, GOOD, make_customer, make_open_statement, make_request

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


SMALL = """() => [...document.querySelectorAll("a, button, summary, select, input:not([type=hidden])")]
  .map((el) => [el, el.getBoundingClientRect()]).filter(([, box]) => box.width && box.height && box.height < 44)
  .map(([el, box]) => `${el.outerHTML.slice(0, 80)}: ${box.height}`)"""


@pytest.fixture
def phone(open_as, axe, request):
    """A payer's phone: pay(number) from the link's page on; check() that a page fits, can be touched and is accessible."""
    scripts = request.param
    page = open_as(width=390, height=844, scripts=scripts)

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(SMALL) == []
        if scripts:
            axe(page)

    def pay(statement, number, button="Pay $48.60"):
        page.get_by_role("button", name=button).click()
        page.get_by_label("Or type a test card number").fill(number)
        page.get_by_role("button", name=button).click()
        page.wait_for_url(f"**/pay/bill/{statement.token}/")

    page.check, page.pay = check, pay
    return page


with_and_without_scripts = pytest.mark.parametrize("phone", [True, False], ids=["scripts on", "scripts off"], indirect=True)


@with_and_without_scripts
def test_a_payer_pays_a_statement_and_keeps_its_receipt(phone):
    statement = make_open_statement(description="Wholesale order, November")

    phone.goto(f"/pay/bill/{statement.token}/")
    phone.get_by_role("heading", name="Pay Harbour & Pine").wait_for()
    phone.check()
    phone.pay(statement, DECLINED)
    phone.get_by_role("heading", name="Your Visa •••• 0002 was declined").wait_for()
    phone.get_by_text("The bank declined the card without giving a reason. No money moved.").wait_for()
    phone.check()
    statement.refresh_from_db()
    assert statement.status == "open"
    phone.pay(statement, GOOD)
    phone.get_by_role("heading", name="Paid", exact=True).wait_for()
    phone.check()
    phone.get_by_role("link", name="Receipt for $48.60").click()
    phone.get_by_role("heading", name="Receipt from Harbour & Pine").wait_for()
    phone.get_by_text("Visa •••• 4242").wait_for()
    phone.check()
    phone.get_by_role("link", name="Back to your link").click()
    phone.wait_for_url(f"**/pay/bill/{statement.token}/")

    statement.refresh_from_db()
    assert statement.status == "paid"
    assert sorted(Payment.objects.values_list("status", flat=True)) == ["failed", "paid"]


@with_and_without_scripts
def test_a_payment_nobody_knows_of_yet_is_being_checked_until_it_is_paid(phone):
    statement = make_open_statement(lines=[("Coffee beans", 1, 5001)])

    phone.goto(f"/pay/bill/{statement.token}/")
    phone.pay(statement, GOOD, button="Pay $50.01")
    phone.get_by_text("We are checking with the bank. Do not pay again.").wait_for()
    phone.check()
    assert phone.get_by_role("button", name="Pay").count() == 0
    list(settle.reconcile_attempts(older_than=timedelta(0)))
    phone.get_by_role("heading", name="Paid", exact=True).wait_for(timeout=60_000)  # it shows by itself
    phone.check()

    assert Payment.objects.get().status == "paid"


@with_and_without_scripts
def test_a_payer_who_comes_back_without_paying_may_pay(phone, request):
    statement = make_open_statement()

    phone.goto(f"/pay/bill/{statement.token}/")
    phone.get_by_role("button", name="Pay $48.60").click()
    phone.get_by_role("link", name="Back to Harbour & Pine").click()
    if not request.node.callspec.params["phone"]:
        phone.get_by_role("heading", name="Confirming").wait_for()
        phone.check()
        phone.get_by_role("button", name="Show the answer").click()
    phone.wait_for_url(f"**/pay/bill/{statement.token}/")

    phone.get_by_role("button", name="Pay $48.60").wait_for()


@pytest.mark.one_database
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_state_of_a_statement_is_accessible(open_as, axe, theme):
    from django.utils import timezone

    from billing.domain.payments import record_payment
    from dashboard import states

    customer = make_customer()
    void, part, late = (make_open_statement(customer) for _ in range(3))
    states.move(void, "void", by=None, voided_at=timezone.now())
    record_payment(customer, amount=1000, currency="USD", statement=part, by=None)
    BillingStatement.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(days=3))
    page = open_as(theme=theme)

    for statement, words in ((void, "This statement is void"), (part, "Partly paid"), (late, "Past due")):
        page.goto(f"/pay/bill/{statement.token}/")
        page.get_by_role("heading", name=words).wait_for()
        axe(page)


@pytest.mark.one_database
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
