"""Every page of the admin in a browser: no message of the security policy, no error, and axe content."""

from urllib.parse import urlsplit

import pytest
from django.urls import reverse

from customers.models import Customer
from dashboard.admin import site
from dashboard.tests.routes import make_world

pytestmark = pytest.mark.django_db(transaction=True)


def addresses(world):
    """The pages of each model: its list, filtered and searched, and its record."""
    for model, there in site._registry.items():
        rows = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        filters = "&".join(f"{f}__exact=" if isinstance(f, str) else f"{f.parameter_name}=" for f in there.list_filter)
        yield f"{rows}?{filters}" if len(there.list_filter) == 1 else rows
        yield there.url_of(model(pk=getattr(world, model._meta.model_name)))


def test_the_admin_keeps_the_policy_on_every_page_and_fits_a_phone(open_as, axe, alice):
    world, page = make_world(alice), open_as(alice)
    customer = reverse("admin:customers_customer_change", args=[world.customer])
    looked_at = {"/admin/", "/admin/customers/customer/", customer, "/admin/dashboard/user/add/"}
    visited = [
        "/admin/",
        "/admin/billing/",
        *addresses(world),
        "/admin/dashboard/user/add/",
        "/admin/customers/customer/?q=nobody",
    ]
    for address in [*visited, f"{customer}?_popup=1", f"/admin/dashboard/user/{alice.pk}/history/"]:
        assert page.goto(address).status == 200, address
        if address in looked_at:
            axe(page)
    page.emulate_media(color_scheme="dark")
    page.goto("/admin/customers/customer/")
    axe(page)

    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("archive")
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Archive customers").wait_for()
    axe(page)
    page.get_by_role("button", name="Archive customers").click()
    page.locator(".messagelist", has_text="archived.").wait_for()
    assert urlsplit(page.url).path == "/admin/customers/customer/"
    assert not Customer.objects.filter(status="active").exists()
    assert len(visited) > 45

    page.set_viewport_size({"width": 390, "height": 800})
    for address in ("/admin/", "/admin/billing/payment/", f"/admin/billing/payment/{world.payment}/change/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
