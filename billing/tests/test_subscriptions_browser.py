"""A subscription in the browser: started from its customer with the preview beside it, billed by the tick, paused."""

import pytest
from django.core.management import call_command

from billing.models import Subscription
from billing.tests.factories import make_customer, make_method

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("width", [1440, 390])
def test_a_subscription_is_started_billed_and_paused(width, open_as, max, axe):
    customer = make_customer()
    make_method(customer)
    page = open_as(max, width=width)

    page.goto(f"{customer.get_absolute_url()}#subscriptions")
    page.click("#subscriptions >> text=New subscription")
    page.wait_for_url("**/subscriptions/new/")
    page.fill("[name=name]", "Filter papers")
    page.fill("[name=amount]", "12.50")
    page.select_option("[name=interval]", "week")
    page.wait_for_selector("#preview >> text=$12.50, every week")
    axe(page)
    page.click("button >> text=Start subscription")
    page.wait_for_selector("text=issued within a minute")

    call_command("tick")
    page.goto(Subscription.objects.get().get_absolute_url())
    page.wait_for_selector("td >> text=Paid")
    axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.click("text=Pause")
    page.click("dialog >> text=Pause subscription >> nth=-1")
    page.wait_for_selector("text=It is paused")
    assert Subscription.objects.get().status == "paused"
