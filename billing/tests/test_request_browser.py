"""Requesting a payment in a real browser, in the seed's own steps: the row, the panel, two steps, the URL, and the payer."""

import re

import pytest

from billing.models import Payment, PaymentRequest
from billing.tests.factories import GOOD, make_customer, make_request
from customers.models import Customer

pytestmark = pytest.mark.django_db(transaction=True)
SIZES = {"desk": (1440, 900), "phone": (390, 844)}


@pytest.fixture
def watched(open_as, axe):
    """watched(user, size, scripts): a page and check(), which says that it fits and is accessible."""

    def open_page(user=None, *, size="desk", scripts=True):
        width, height = SIZES[size]
        page = open_as(user, width=width, height=height, scripts=scripts)

        def check():
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            if scripts:
                axe(page)

        return page, check

    return open_page


def path_of(url):
    return re.sub("^https?://[^/]+", "", url)


def pay(payer, check, url, amount="$120.00"):
    """What the payer does with the URL."""
    payer.goto(path_of(url))
    check()
    payer.get_by_role("button", name=f"Pay {amount}").click()
    payer.get_by_label("Or type a test card number").fill(GOOD)
    payer.get_by_role("button", name=f"Pay {amount}").click()
    payer.get_by_role("heading", name="Paid", exact=True).wait_for()
    check()


@pytest.mark.parametrize("size", SIZES)
def test_procedure_four_from_the_row_to_the_paid_url(watched, max, size):
    customer = make_customer()
    staff, check = watched(max, size=size)
    staff.context.grant_permissions(["clipboard-read", "clipboard-write"])

    staff.goto("/customers/")
    staff.locator("a.row-link", has_text="Marta Santos").click()
    panel = staff.locator("#drawer")
    panel.get_by_role("link", name="Request payment").click()

    dialog = staff.get_by_role("dialog", name="Payment request")
    dialog.get_by_role("group", name="Payment method type").wait_for()
    check()
    dialog.get_by_label("Bank account").uncheck()
    dialog.get_by_role("button", name="Next").click()

    dialog.get_by_label("Amount", exact=True).fill("120")
    dialog.get_by_label("Payer's country").select_option("PH")
    dialog.get_by_label("Description").fill("Deposit")
    check()
    dialog.get_by_role("button", name="Create").last.click()

    created = staff.get_by_role("dialog", name="Checkout page created")
    created.wait_for()
    check()
    created.get_by_role("button", name="Copy", exact=True).click()
    staff.locator("#toast", has_text="Copied").wait_for(state="attached")  # it goes away by itself
    url = staff.evaluate("navigator.clipboard.readText()")
    request = PaymentRequest.objects.get()
    assert (url, request.customer, request.amount, request.method_types) == (request.url, customer, 12_000, ["card"])
    created.get_by_role("button", name="Copy text").click()
    words = "Hi Marta, you can pay $120.00 to "
    staff.wait_for_function("async words => (await navigator.clipboard.readText()).startsWith(words)", arg=words)

    payer, check_payer = watched(size=size)
    pay(payer, check_payer, url)

    staff.goto(request.get_absolute_url())
    staff.locator("h1 .badge", has_text="Completed").wait_for()
    life = staff.locator("#life").inner_text()
    told = ["Created", "Opened by the payer", "Payment started by the payer", "$120.00 paid, Visa •••• 4242"]
    assert [life.index(words) for words in told] == sorted(life.index(words) for words in told)
    check()
    assert Payment.objects.get().request == request


def test_procedure_four_with_scripts_off(watched, max):
    make_customer()
    staff, check = watched(max, scripts=False)
    staff.goto("/customers/")
    staff.get_by_role("link", name="Marta Santos").first.click()
    staff.get_by_role("link", name="Request payment").first.click()
    staff.get_by_role("group", name="Payment method type").wait_for()
    check()
    staff.get_by_role("button", name="Next").click()
    staff.get_by_label("Amount", exact=True).fill("120")
    staff.get_by_label("Payer's country").select_option("PH")
    staff.get_by_role("button", name="Create").last.click()
    staff.get_by_role("heading", name="Checkout page created").wait_for()
    check()
    payer, check_payer = watched(scripts=False)
    pay(payer, check_payer, staff.get_by_label("Checkout page URL").first.input_value())

    assert PaymentRequest.objects.get().status == "done"


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts on", "scripts off"])
def test_back_loses_nothing_and_somebody_new_is_asked(watched, max, scripts):
    staff, check = watched(max, size="phone", scripts=scripts)
    staff.goto("/billing/payment-requests/")
    staff.get_by_role("link", name="Request payment").first.click()
    staff.get_by_label("Name").wait_for()
    check()
    staff.get_by_label("Name").fill("Ada Lovelace")
    staff.locator("input[name=email]").fill("ada@example.org")
    staff.get_by_role("button", name="Next").last.click()
    staff.get_by_role("group", name="Payment method type").wait_for()
    staff.get_by_role("button", name="Next").click()
    staff.get_by_label("Amount", exact=True).fill("75.50")
    staff.get_by_label("Description").fill("Half an hour")
    staff.get_by_label("Save the card").check()
    staff.get_by_role("button", name="Back").click()
    staff.get_by_role("group", name="Payment method type").wait_for()
    check()
    staff.get_by_label("Bank account").uncheck()
    staff.get_by_role("button", name="Next").click()
    assert staff.get_by_label("Amount", exact=True).input_value() == "75.50"
    assert staff.get_by_label("Description").input_value() == "Half an hour"
    assert staff.get_by_label("Save the card").is_checked()
    check()
    staff.get_by_label("Payer's country").select_option("GB")
    staff.get_by_role("button", name="Create").last.click()
    staff.get_by_role("heading", name="Checkout page created").wait_for()

    request = PaymentRequest.objects.get()
    assert (request.customer, request.amount, request.save_card) == (Customer.objects.get(), 7550, True)


def test_the_search_for_a_customer_shows_them_while_one_types(watched, max):
    make_request(make_customer())
    staff, check = watched(max)
    staff.goto("/overview/")
    staff.get_by_role("link", name="Request payment").first.click()
    staff.get_by_label("Find a customer").press_sequentially("sant")
    hit = staff.locator("#customer-hits button", has_text="Marta Santos")
    hit.wait_for()
    check()
    hit.click()
    staff.get_by_role("group", name="Payment method type").wait_for()
    assert "From Marta Santos" in staff.get_by_role("dialog").inner_text()


def test_more_time_is_given_over_the_page_and_the_answer_can_be_read(watched, max):
    request = make_request(by=max)
    staff, check = watched(max, size="phone")
    staff.goto(request.get_absolute_url())
    staff.get_by_role("link", name="Give more time").click()
    dialog = staff.get_by_role("dialog", name="Give more time")
    dialog.get_by_label("Link expires").select_option("In 30 days")
    check()
    dialog.get_by_role("button", name="Save").click()
    staff.get_by_text("The link now works until").wait_for()
    check()
