"""Adding a card, choosing the default, charging, and reading a decline, in a real browser."""

import pytest

from billing.domain import vault
from billing.models import Payment, PaymentMethod
from billing.tests.factories import make_customer, make_method

pytestmark = pytest.mark.django_db(transaction=True)
LATER = "4000000000000341"  # can be saved, every charge is declined


def menu_of(page, words):
    """The open menu of a method's row."""
    page.get_by_role("button", name=f"Actions for {words}").click()
    return page.locator(".menu-panel:popover-open")


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_staff_add_a_card_make_it_the_default_charge_it_and_read_why_not(open_as, axe, max, width, theme):
    marta = make_customer()
    make_method(marta)
    page = open_as(max, width=width, height=844, theme=theme)

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        axe(page)

    page.goto(f"{marta.get_absolute_url()}#methods")
    check()
    page.locator("#methods").get_by_role("link", name="Add card").click()
    page.get_by_role("dialog", name="Add card").wait_for()
    check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="Choose a test card").wait_for()
    page.get_by_label("Or type a test card number").fill("4000000000000002")
    page.get_by_role("button", name="Save card").click()
    page.get_by_role("heading", name="The card was not saved").wait_for()
    assert PaymentMethod.objects.count() == 1
    page.get_by_label("Or type a test card number").fill(LATER)
    page.get_by_role("button", name="Save card").click()
    page.get_by_text("Visa •••• 0341 is on file. No money moved.").wait_for()
    check()

    menu = menu_of(page, "Visa •••• 0341")
    check()
    menu.get_by_role("link", name="Make default").click()
    dialog = page.get_by_role("dialog", name="Make default")
    dialog.get_by_text("instead of Visa •••• 4242").wait_for()
    page.keyboard.press("Escape")
    page.locator("[aria-label='Actions for Visa •••• 0341']:focus").wait_for()
    menu_of(page, "Visa •••• 0341").get_by_role("link", name="Make default").click()
    dialog.get_by_role("button", name="Make default").click()
    page.get_by_text("Visa •••• 0341 is the default now.").wait_for()
    assert str(vault.default_method(marta)) == "Visa •••• 0341"

    menu_of(page, "Visa •••• 0341").get_by_role("link", name="Charge").click()
    terminal = page.get_by_role("dialog", name="Create payment")
    terminal.get_by_label("Amount", exact=True).fill("20.00")
    terminal.get_by_label("Description").fill("Order 7")
    assert not terminal.get_by_label("Test card", exact=True).is_visible()
    assert not terminal.get_by_label("Save card").is_visible()
    check()
    terminal.get_by_role("button", name="Charge").click()
    page.get_by_text("This payment failed.").wait_for()
    page.get_by_text("The bank declined the card without giving a reason. No money moved.").first.wait_for()
    check()

    page.get_by_role("link", name="Try another card").click()
    terminal.wait_for()
    assert terminal.get_by_label("Amount", exact=True).input_value() == "20.00"
    terminal.get_by_label("A test card").check()
    terminal.get_by_label("Test card", exact=True).select_option("5555555555554444")
    terminal.get_by_label("Save card").check()
    check()
    terminal.get_by_role("button", name="Charge").dblclick()
    page.get_by_text("$20.00 was charged to Mastercard •••• 4444.").wait_for()
    check()
    assert list(Payment.objects.order_by("pk").values_list("status", "method_last4")) == [("failed", "0341"), ("paid", "4444")]

    page.get_by_role("link", name="Payment method of Marta Santos").click()
    page.get_by_role("heading", name="Payments made with it").wait_for()
    check()
    page.goto(f"/customers/{marta.pk}/methods/")
    check()


def test_without_scripts_a_card_is_added_charged_and_removed(open_as, max):
    marta = make_customer()
    page = open_as(max, width=390, scripts=False)

    page.goto(f"/customers/{marta.pk}/methods/new/")
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Test card", exact=True).select_option("4242424242424242")
    page.get_by_role("button", name="Save card").click()
    page.get_by_text("Visa •••• 4242 is on file.").wait_for()

    menu_of(page, "Visa •••• 4242").get_by_role("link", name="Charge").click()
    page.get_by_label("Amount", exact=True).fill("20.00")
    page.get_by_label("Two-step payment").check()
    page.get_by_role("button", name="Charge").click()
    page.get_by_text("$20.00 is authorised on Visa •••• 4242.").wait_for()

    page.goto(PaymentMethod.objects.get().get_absolute_url())
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("No payment method — add a card or request card details.").wait_for()
    assert Payment.objects.get().status == "authorized"
