"""The customer's page and panel in a browser: by keyboard, on any screen, light or dark, on paper, without scripts."""

import pytest

from billing.tests.everything import give_everything
from billing.tests.factories import make_customer
from customers.tests.factories import make_comment

pytestmark = pytest.mark.one_database

SIDEWAYS = "document.documentElement.scrollWidth - window.innerWidth"
FOCUSED = "document.activeElement.textContent.trim()"
LOOKS = [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")]
MORE = ["Add card", "Request card details", "Add new address"]


@pytest.fixture
def marta(transactional_db, max):
    """Marta Santos, with something in every section."""
    customer = make_customer()
    give_everything(customer, 7, by=max)
    make_comment(customer, by=max, pinned=True)
    return customer


def wait_for_focus(page, words):
    """A closed dialog gives the focus back in an event of its own, a moment after it is closed."""
    page.wait_for_function("words => document.activeElement.textContent.trim() === words", arg=words)


@pytest.mark.parametrize(("width", "theme"), LOOKS)
def test_everybody_can_read_the_page_and_its_menu(width, theme, marta, max, open_as, axe):
    page = open_as(max, width=width, theme=theme)
    page.goto(marta.get_absolute_url())
    axe(page)
    assert page.evaluate(SIDEWAYS) <= 0

    page.locator("#statistics summary").click()
    page.locator("main details.menu summary").first.click()
    axe(page)
    page.goto(f"{marta.get_absolute_url()}?links=1")
    axe(page)
    assert page.evaluate(SIDEWAYS) <= 0


@pytest.mark.parametrize("key", ["Enter", "Space", "ArrowDown"])
@pytest.mark.parametrize("width", [1440, 390])
def test_more_actions_is_used_by_keyboard_alone(key, width, marta, max, open_as):
    page = open_as(max, width=width)
    page.goto(marta.get_absolute_url())
    menu = page.locator("main .page-head details.menu")
    menu.locator("summary").focus()
    page.keyboard.press(key)
    assert menu.get_attribute("open") is not None
    if key != "ArrowDown":
        page.keyboard.press("ArrowDown")

    seen = [page.evaluate(FOCUSED)]
    for _ in MORE[1:]:
        page.keyboard.press("ArrowDown")
        seen.append(page.evaluate(FOCUSED))
    assert seen == MORE
    page.keyboard.press("ArrowUp")
    assert page.evaluate(FOCUSED) == "Request card details"
    page.keyboard.press("End")
    assert page.evaluate(FOCUSED) == "Archive"
    page.keyboard.press("ArrowDown")  # round to the first
    assert page.evaluate(FOCUSED) == "Add card"

    page.keyboard.press("Escape")
    assert menu.get_attribute("open") is None
    assert page.evaluate(FOCUSED) == "More actions"


def test_a_menu_the_focus_leaves_is_closed(marta, max, open_as):
    page = open_as(max)
    page.goto(marta.get_absolute_url())
    menu = page.locator("main .page-head details.menu")
    menu.locator("summary").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Shift+Tab")
    assert menu.get_attribute("open") is not None  # on its own button
    page.keyboard.press("Shift+Tab")

    assert menu.get_attribute("open") is None


@pytest.mark.parametrize("width", [1440, 390])
def test_the_panel_opens_from_the_row_by_keyboard_and_gives_the_focus_back(width, marta, max, open_as, axe):
    page = open_as(max, width=width)
    page.goto("/customers/")
    page.get_by_role("link", name="Marta Santos", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#drawer:modal h2")
    axe(page)
    drawer = page.locator("#drawer")
    for name in ("Request payment", "Create coupon", "Create payment"):
        assert drawer.get_by_role("link", name=name).is_visible()

    drawer.locator("summary", has_text="More actions").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FOCUSED) == "Add card"
    page.keyboard.press("Escape")  # the menu alone
    assert page.evaluate(FOCUSED) == "More actions"
    assert page.locator("#drawer:modal").count() == 1
    page.keyboard.press("Escape")
    page.wait_for_selector("#drawer:modal", state="detached")

    wait_for_focus(page, "Marta Santos")
    assert page.url.endswith("/customers/")


def test_see_more_details_is_reached_by_tab_and_leads_to_the_page(marta, max, open_as):
    page = open_as(max)
    page.goto("/customers/")
    page.get_by_role("link", name="Marta Santos", exact=True).focus()
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == "See more details: Marta Santos":
            break
    assert page.evaluate("new URL(document.activeElement.href).pathname") == marta.get_absolute_url()
    page.keyboard.press("Enter")

    page.wait_for_url(f"**{marta.get_absolute_url()}")


def test_a_dialog_from_the_menu_gives_the_focus_back_to_it(marta, max, open_as):
    page = open_as(max)
    page.goto(marta.get_absolute_url())
    page.locator("main .page-head details.menu summary").focus()
    page.keyboard.press("ArrowUp")  # the last entry
    assert page.evaluate(FOCUSED) == "Archive"
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog:modal h2")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog:modal", state="detached")

    wait_for_focus(page, "More actions")


def test_without_scripts_the_row_leads_to_the_page_and_the_panel_is_one_too(marta, max, open_as):
    page = open_as(max, width=390, scripts=False)
    page.goto("/customers/")
    page.get_by_role("link", name="Marta Santos", exact=True).click()
    page.wait_for_url(f"**{marta.get_absolute_url()}")
    page.locator("#methods nav a", has_text="Card tokenization links").click()
    page.locator("#methods").get_by_text("Done").first.wait_for()

    page.goto(f"{marta.get_absolute_url()}panel/")
    page.locator("main summary", has_text="More actions").click()
    for name in ("Request payment", "Create coupon", "Create payment", *MORE):
        assert page.locator("main").get_by_role("link", name=name).is_visible(), name
    page.locator("main summary", has_text="More actions").click()
    page.get_by_role("link", name="See more details").click()
    page.wait_for_url(f"**{marta.get_absolute_url()}")


def test_on_paper_the_page_names_the_customer_and_leaves_buttons_out(marta, max, open_as):
    page = open_as(max)
    page.goto(marta.get_absolute_url())
    page.emulate_media(media="print")

    assert page.locator(".print-head").inner_text().startswith("Marta Santos")
    assert page.locator("main .btn:visible").count() == 0
    assert page.locator("main textarea:visible").count() == 0
    assert page.locator("#overdue").is_visible()


def test_a_filter_menu_at_the_right_edge_stays_on_the_screen(marta, max, open_as):
    page = open_as(max)
    page.goto("/customers/?gateway=sandbox&has_coupon=yes")
    turned = []
    for width in (1440, 1360, 1280, 1200, 1120):
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        menu = page.locator("details.menu", has_text="More filters")
        menu.locator("summary").click()
        page.wait_for_function(
            "() => document.querySelector('details.menu[open] .menu-panel').getBoundingClientRect().right <= innerWidth"
        )
        turned.append(not menu.evaluate("menu => menu.classList.contains('menu-start')"))
    assert any(turned)
    assert not all(turned)
