"""Seed S3, procedure 2, in a real browser: card tokenization links from the customer's page to the card a payer saved."""

import re

import pytest

from billing.models import PaymentMethod, TokenizationLink
from billing.tests.factories import DECLINED, make_card_link, make_customer
from billing.tests.test_card_links import at, lapsed, used

pytestmark = pytest.mark.django_db(transaction=True)
CARD = "Or type a test card number"


def fits(page, width, axe):
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if axe:
        axe(page)


@pytest.mark.parametrize("width", [1440, 390])
def test_staff_ask_for_card_details_and_the_payer_saves_a_card(open_as, axe, sue, width):
    customer = make_customer()
    staff, payer = open_as(sue, width=width), open_as(width=width)

    def tab():
        staff.goto(f"/customers/{customer.pk}/")
        staff.get_by_role("link", name="Card tokenization links").last.click()
        staff.wait_for_url("**links=1#methods")
        return staff.locator("#methods")

    # sign in, Collect > Customers, See more details, the tab next to Payment methods
    staff.goto("/customers/")
    if width > 600:
        staff.get_by_role("link", name="See more details: Marta Santos").click()
    else:  # a phone's row has no room for the icon: the row opens the panel, and the panel leads on
        staff.get_by_role("link", name="Marta Santos").click()
        staff.get_by_role("link", name="See more details", exact=True).click()
    staff.get_by_role("heading", name="Marta Santos").wait_for()
    tab().get_by_text("No card tokenization links yet").wait_for()
    fits(staff, width, axe)

    # More actions > Request card details
    staff.get_by_text("More actions").click()
    staff.locator(".menu-panel").get_by_role("link", name="Request card details").click()
    dialog = staff.get_by_role("dialog", name="Request card details")
    dialog.get_by_label("Message to the customer").fill("For the monthly plan")
    dialog.get_by_label("Link works for").fill("31")
    dialog.get_by_role("button", name="Create").click()
    staff.get_by_text("A link works for at least 1 minute and at most 30 days").first.wait_for()
    fits(staff, width, axe)
    staff.get_by_label("Link works for").fill("30")
    staff.get_by_role("button", name="Create").click()
    staff.get_by_role("heading", name="Card link created").wait_for()
    fits(staff, width, axe)
    url = staff.get_by_label("Card link URL").first.input_value()
    assert (
        staff.get_by_label("Words for a chat").first.input_value() == f"Hi Marta, save your card for Harbour & Pine here: {url}"
    )

    # the payer's side: a declined card first, then one that is saved
    payer.goto(re.sub("^https?://[^/]+", "", url))
    payer.get_by_text("For the monthly plan").wait_for()
    fits(payer, width, axe)
    payer.get_by_role("button", name="Save a card").click()
    payer.get_by_label(CARD).fill(DECLINED)
    payer.get_by_role("button", name="Save card").click()
    payer.get_by_role("heading", name="The card was not saved").wait_for()
    payer.get_by_label(CARD).fill("4242424242424242")
    payer.get_by_role("button", name="Save card").click()
    payer.get_by_role("heading", name="Your card ending 4242 is saved").wait_for()
    fits(payer, width, axe)

    # manage the links: what became of this one, and an end to another
    section = tab()
    section.get_by_text("Done").wait_for()
    section.get_by_role("link", name="Visa •••• 4242").wait_for()
    fits(staff, width, axe)
    other = make_card_link(customer)
    section = tab()
    section.get_by_role("link", name="Card details", exact=True).click()
    staff.get_by_role("link", name="Expire now").click()
    staff.get_by_role("button", name="Expire now").click()
    staff.get_by_text("The link no longer works.").wait_for()
    fits(staff, width, axe)
    assert at(other).status == "canceled"
    assert PaymentMethod.objects.get().customer == customer


@pytest.mark.one_database
@pytest.mark.parametrize("case", ["used", "expired", "canceled", "works"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_state_of_the_payers_page_fits_a_phone(open_as, axe, case, theme):
    link = make_card_link(description="For the monthly plan")
    {"used": used, "expired": lapsed, "canceled": lambda found: at(found, status="canceled"), "works": at}[case](link)
    page = open_as(width=390, height=844, theme=theme)

    page.goto(f"/pay/card/{link.token}/")

    fits(page, 390, axe)


def test_a_card_is_saved_with_scripts_off(open_as):
    link = make_card_link()
    page = open_as(width=390, height=844, scripts=False)

    page.goto(f"/pay/card/{link.token}/")
    page.get_by_role("button", name="Save a card").click()
    page.get_by_label(CARD).fill("5555555555554444")
    page.get_by_role("button", name="Save card").click()
    page.get_by_role("heading", name="Your card ending 4444 is saved").wait_for()

    assert TokenizationLink.objects.get().status == "done"


def test_staff_without_scripts_get_the_same_link(open_as, sue):
    customer = make_customer()
    page = open_as(sue, width=390, scripts=False)

    page.goto(f"/customers/{customer.pk}/card-links/new/")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("heading", name="Card link created").wait_for()

    assert page.get_by_label("Card link URL").first.input_value() == TokenizationLink.objects.get().url


@pytest.mark.one_database
@pytest.mark.parametrize(("width", "theme"), [(1440, "dark"), (390, "light")])
def test_the_list_and_a_links_page_are_accessible(open_as, axe, max, width, theme):
    customer = make_customer()
    link = used(make_card_link(customer, by=max, description="For the monthly plan"))
    lapsed(make_card_link(customer, by=max))
    make_card_link(customer, by=max)
    page = open_as(max, width=width, theme=theme)

    for path in ("/billing/tokenization-links/", link.get_absolute_url(), f"/customers/{customer.pk}/card-links/"):
        page.goto(path)
        fits(page, width, axe)
