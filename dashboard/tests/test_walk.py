"""A person's walk in a real browser: list, panel, details, edit, comment; wide and narrow, light and dark."""

import pytest

from customers import domain
from customers.models import Comment, Customer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def luis(max):
    address = {"line1": "Av. Brigadeiro Faria Lima, 2170", "city": "São José dos Campos", "state": "SP", "country": "BR"}
    return domain.create_customer(
        by=max,
        livemode=False,
        currency="USD",
        first_name="Luís",
        last_name="Gonçalves",
        email="luisg@embraer.com.br",
        phone="+551239235555",
        address=address,
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_a_manager_walks_from_the_list_to_a_comment(open_as, axe, max, luis, width, theme):
    page = open_as(max, width=width, theme=theme)
    page.goto("/customers/")
    axe(page)

    page.get_by_role("link", name="Luís Gonçalves", exact=True).click()
    panel = page.get_by_role("dialog")
    panel.get_by_text("luisg@embraer.com.br").wait_for()
    axe(page)
    page.keyboard.press("Escape")
    panel.wait_for(state="hidden")
    page.wait_for_function("() => document.activeElement.textContent === 'Luís Gonçalves'")

    if width > 640:
        page.get_by_role("link", name="See more details: Luís Gonçalves").click()
    else:  # a phone's two-line entry has no room for the icon; the panel leads on
        page.get_by_role("link", name="Luís Gonçalves", exact=True).click()
        panel.get_by_role("link", name="See more details").click()
    page.wait_for_url(f"**/customers/{luis.pk}/")
    axe(page)

    page.get_by_role("link", name="Edit customer").click()
    page.get_by_label("Last name").wait_for()
    axe(page)
    page.get_by_label("Last name").fill("Gonçalves de Souza")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Luís Gonçalves de Souza").first.wait_for()

    page.get_by_label("Add a comment").fill("Called about the invoice.")
    page.get_by_role("button", name="Add comment").click()
    page.get_by_text("Called about the invoice.").wait_for()
    axe(page)

    assert Customer.objects.get().last_name == "Gonçalves de Souza"
    assert Comment.objects.get().author == max


def test_the_same_walk_without_script(open_as, max, luis):
    page = open_as(max, scripts=False)
    page.goto("/customers/?q=goncalves")
    page.get_by_role("link", name="Luís Gonçalves", exact=True).click()
    page.wait_for_url(f"**/customers/{luis.pk}/")
    page.get_by_role("link", name="Edit customer").click()
    page.get_by_label("First name").fill("Luiz")
    page.get_by_role("button", name="Save").click()
    page.get_by_label("Add a comment").fill("Spells it with a z.")
    page.get_by_role("button", name="Add comment").click()
    page.get_by_text("Spells it with a z.").wait_for()

    assert Customer.objects.get().name == "Luiz Gonçalves"


def test_typing_in_the_search_box_narrows_the_list_as_one_types(open_as, max, luis):
    domain.create_customer(by=max, livemode=False, currency="USD", first_name="Ana", last_name="Cruz")
    page = open_as(max)
    page.goto("/customers/")
    page.get_by_label("Search customers").fill("goncal")

    page.get_by_role("link", name="Ana Cruz", exact=True).wait_for(state="hidden")
    page.wait_for_url("**/customers/?*q=goncal*")
    page.get_by_text("Export 1").wait_for()  # what one would export is what one sees
    page.locator("#list-export a[href*='q=goncal']").last.wait_for(state="attached")
    assert page.get_by_role("link", name="Luís Gonçalves", exact=True).is_visible()
