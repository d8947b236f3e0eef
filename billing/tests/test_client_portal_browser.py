"""The four procedures of a client portal's manual, walked as they are written there: details, tokenized cards, panel, request."""

import re

import pytest

from billing.domain.invoicing import bill_subscription
from billing.domain.payments import record_payment
from billing.models import Coupon, Payment, PaymentMethod, PaymentRequest
from billing.tests.factories import GOOD, make_customer, make_method, make_open_statement, make_subscription
from conftest import PASSWORD
from customers.tests.factories import make_comment

pytestmark = pytest.mark.django_db(transaction=True)
WIDTHS = [1440, 390]
CARD = "Or type a test card number"


@pytest.fixture(params=WIDTHS)
def width(request):
    return request.param


@pytest.fixture
def portal(open_as, axe, max, width):
    """A manager's page, signed in by the form, and check(), which says that it fits and is accessible."""
    page = open_as(width=width)

    def check(at=page):
        assert at.evaluate("document.documentElement.scrollWidth") <= width, at.url
        axe(at)

    page.goto("/")
    page.get_by_label("Work email").fill(max.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/login/" not in url)
    return page, check


def navigate_to_customers(page, width):
    """Collect > Customers."""
    if width < 700:
        page.get_by_role("button", name="Open menu").click()
    page.get_by_role("group", name="Collect").get_by_role("link", name="Customers", exact=True).click()
    page.get_by_role("heading", name="Customers", level=1).wait_for()


def see_more_details(page, width):
    """Hover over the row, then the icon at its right side; a phone has no pointer, and its panel leads on."""
    row = page.get_by_role("row").filter(has_text="Marta Santos")
    if width >= 700:
        row.hover()
        icon = row.get_by_role("link", name="See more details: Marta Santos")
        assert icon.bounding_box()["x"] > row.bounding_box()["x"] + row.bounding_box()["width"] * 0.8
        icon.click()
    else:
        page.get_by_role("link", name="Marta Santos", exact=True).click()
        page.get_by_role("link", name="See more details", exact=True).click()
    page.wait_for_url(re.compile(r"/customers/[^/]+/$"))
    page.get_by_role("heading", name="Marta Santos", level=1).wait_for()


def open_panel(page):
    """Tap the row; the details panel appears beside the list."""
    page.get_by_role("link", name="Marta Santos", exact=True).click()
    panel = page.locator("#drawer")
    panel.get_by_role("link", name="Request payment").wait_for()
    return panel


@pytest.fixture
def marta(max, sue):
    """A customer with something under every heading of the description of fields."""
    customer = make_customer(by=max, phone="+639175550123")
    make_method(customer, by=max)
    record_payment(customer, amount=4850, currency="USD", by=max, description="Order 7")
    coupon = Coupon.objects.create(livemode=False, code="TENOFF", percent_off=10, sort_name="tenoff", search="tenoff")
    make_open_statement(customer, by=max, coupon=coupon)
    bill_subscription(make_subscription(customer, by=max).pk)
    make_comment(customer, by=sue, body="Prefers mornings.")
    return customer


def test_procedure_one_the_details_page(portal, marta, width):
    page, check = portal
    navigate_to_customers(page, width)
    check()
    see_more_details(page, width)
    check()

    overview = page.locator("#overview")
    for field, value in (("Created at", re.compile(r"\d{1,2}:\d\d")), ("Email", marta.email), ("Phone", "+63 917 555 0123")):
        shown = overview.locator("div", has=page.locator("dt", has_text=field)).last
        assert shown.get_by_text(value).first.is_visible(), field
    for section, value in (
        ("addresses", "1 Harbor Drive"), ("methods", "Visa •••• 4242"), ("payments", "Order 7"), ("coupons", "TENOFF"),
        ("subscriptions", "Beans, monthly"), ("comments", "Prefers mornings."),
    ):  # fmt: skip
        page.locator(f"#{section}").scroll_into_view_if_needed()
        assert page.locator(f"#{section}").get_by_text(value).first.is_visible(), section
    assert page.locator("#comments").get_by_text("Sue").first.is_visible()
    page.locator("#payments").get_by_role("link", name="Open in payments table").click()
    page.get_by_role("heading", name="Payments", level=1).wait_for()
    assert f"customer={marta.pk}" in page.url


def test_procedure_two_card_tokenization_links(portal, marta, width, open_as):
    page, check = portal
    navigate_to_customers(page, width)
    see_more_details(page, width)
    tabs = page.locator("#methods").get_by_role("navigation", name="Payment methods and links")
    assert tabs.get_by_role("link").all_inner_texts()[0].startswith("Payment methods")
    tab = tabs.get_by_role("link", name=re.compile("^Card tokenization links"))
    tab.click()
    tabs.locator("[aria-current]", has_text="Card tokenization links").wait_for()
    check()

    page.locator("#methods").get_by_role("link", name="Request card details").first.click()
    page.get_by_role("dialog", name="Request card details").get_by_role("button", name="Create").click()
    url = page.get_by_label("Card link URL").first.input_value()
    check()
    payer = open_as(width=width)
    payer.goto(re.sub("^https?://[^/]+", "", url))
    payer.get_by_role("button", name="Save a card").click()
    payer.get_by_label(CARD).fill("5555555555554444")
    payer.get_by_role("button", name="Save card").click()
    payer.get_by_role("heading", name="Your card ending 4444 is saved").wait_for()
    check(payer)

    page.goto(f"{marta.get_absolute_url()}?links=1#methods")
    links = page.locator("#methods")
    links.get_by_text("Done").first.wait_for()
    assert links.get_by_text("Mastercard •••• 4444").first.is_visible()
    assert re.fullmatch("[A-Za-z0-9]+", PaymentMethod.objects.get(card_number_last4="4444").vault_token)


LEADS_TO = {  # each button of the panel, and the heading of the page behind it
    "Request payment": "Payment request", "Create coupon": "Create coupon", "Create payment": "Create payment",
    "Add card": "Add card", "Request card details": "Request card details", "Add new address": "Add new address",
}  # fmt: skip


def test_procedure_three_the_panel_and_its_buttons(portal, marta, width):
    page, check = portal
    navigate_to_customers(page, width)
    for button, heading in LEADS_TO.items():
        panel = open_panel(page)
        if button in list(LEADS_TO)[3:]:
            panel.locator("summary", has_text="More actions").click()
        if button in ("Request payment", "Add card"):
            check()  # the panel, and its menu
        panel.get_by_role("link", name=button, exact=True).click()
        page.get_by_role("heading", name=heading).first.wait_for()
        check()
        page.goto("/customers/")


def test_procedure_three_charges_a_card_through_the_virtual_terminal(portal, marta, width):
    page, check = portal
    navigate_to_customers(page, width)
    open_panel(page).get_by_role("link", name="Create payment", exact=True).click()
    terminal = page.get_by_role("dialog", name="Create payment")
    terminal.get_by_label("Amount", exact=True).fill("12.50")
    check()
    terminal.get_by_role("button", name="Charge").click()
    page.get_by_text("$12.50 was charged to Visa •••• 4242.").wait_for()
    check()

    paid = Payment.objects.latest("id")
    assert (paid.status, paid.amount, paid.product_type, paid.method_last4) == ("paid", 1250, "virtual_terminal", "4242")


def test_procedure_four_request_payment(portal, marta, width, open_as):
    page, check = portal
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    navigate_to_customers(page, width)
    open_panel(page).get_by_role("link", name="Request payment", exact=True).click()
    dialog = page.get_by_role("dialog", name="Payment request")
    dialog.get_by_role("group", name="Payment method type").wait_for()
    check()
    for box in dialog.get_by_role("group", name="Payment method type").get_by_role("checkbox").all():
        box.uncheck()
    dialog.get_by_role("button", name="Next").click()
    page.get_by_text(re.compile("Choose at least one")).first.wait_for()
    page.get_by_role("group", name="Payment method type").get_by_role("checkbox", name=re.compile("^Card")).check()
    page.get_by_role("button", name="Next").last.click()
    page.get_by_label("Amount", exact=True).fill("120")
    page.get_by_label("Payer's country").select_option("PH")
    check()
    page.get_by_role("button", name="Create").last.click()
    created = page.get_by_role("dialog", name="Checkout page created")
    created.wait_for()
    check()
    created.get_by_role("button", name="Copy", exact=True).click()
    page.locator("#toast", has_text="Copied").wait_for(state="attached")  # it goes away by itself
    url = page.evaluate("navigator.clipboard.readText()")

    payer = open_as(width=width)
    payer.goto(re.sub("^https?://[^/]+", "", url))
    check(payer)
    payer.get_by_role("button", name="Pay $120.00").click()
    payer.get_by_label(CARD).fill(GOOD)
    payer.get_by_role("button", name="Pay $120.00").click()
    payer.get_by_role("heading", name="Paid", exact=True).wait_for()
    check(payer)

    asked = PaymentRequest.objects.get()
    assert (asked.url, asked.amount, asked.currency, asked.method_types, asked.status) == (url, 12000, "USD", ["card"], "done")
    assert asked.payments.get().status == "paid"
