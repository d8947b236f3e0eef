"""Bills and payments in the admin: found by what they belong to, and without what opens a page or charges a card.

That they are read and never changed is looked at with every other model, in dashboard/tests/test_admin.py.
"""

import re

import pytest
from django.apps import apps
from django.urls import reverse

from billing.models import GatewayCustomer
from billing.tests.factories import make_method
from customers.models import Customer
from dashboard.admin import site

pytestmark = pytest.mark.django_db
WORDLESS = ("dispute", "attempt", "balanceentry", "reminder", "webhookdelivery", "paymentmethod", "couponredemption")
SECRET = {
    "token", "nonce", "hash", "form_key", "secret", "request_hash", "body", "search", "sort_name", "url", "fingerprint",
    "external_payer_id", "gateway_token", "vault_token",
}  # fmt: skip
TELLS = re.compile(r"token|nonce|hash|form_key|fingerprint|secret|password|session_key|external_payer")


@pytest.fixture(scope="module")
def world(world_of_this_file):
    return world_of_this_file


def rows_of(client, name, text):
    found = client.get(reverse(f"admin:billing_{name}_changelist"), {"q": text}).context["cl"].result_list
    return [row.pk for row in found]


def test_no_secret_is_among_the_fields():
    for model, there in site._registry.items():
        shown = {*(there.fields or ()), *there.list_display}

        assert shown.isdisjoint(SECRET), model
        assert not [f for f in shown if "token" in f or "hash" in f or "nonce" in f], model


def secrets():
    """{where: value} of everything stored or derived that opens a page, charges a card or names a card or form for ever."""
    found = {}
    for model in apps.get_models():
        named = [f.name for f in model._meta.concrete_fields if TELLS.search(f.name) and f.name != "card_token_hash"]
        for row in model._default_manager.all():
            values = {name: getattr(row, name) for name in named} | {"token": getattr(row, "token", "")}
            if model._meta.label == "billing.GatewayCustomer":
                values["remote_id"] = row.remote_id
            found |= {f"{model._meta.label}.{name}": v for name, v in values.items() if isinstance(v, str) and len(v) > 15}
    return found


def test_no_page_of_any_model_shows_a_secret_of_any_record(world, as_alice):
    for n in range(2):
        make_method(Customer.objects.get(pk=world.customer), number=("4242424242424242", "5555555555554444")[n])
    GatewayCustomer.objects.create(customer_id=world.customer, gateway="sandbox", remote_id="sbcu_0193f0c1d2a7b34e5f607182")
    kept, shown = secrets(), {}
    for model, admin in site._registry.items():
        route = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        urls = [reverse(f"{route}_changelist"), f"{reverse(f'{route}_changelist')}?q={world.customer}"]
        urls += [reverse(f"{route}_change", args=[pk]) for pk in admin.model._default_manager.values_list("pk", flat=True)[:3]]
        shown |= {u: as_alice.get(u) for u in urls}
    texts = {u: page.text for u, page in shown.items()}

    assert {page.status_code for page in shown.values()} == {200}
    assert [(u, where) for u, text in texts.items() for where, value in kept.items() if value in text] == []
    assert [u for u, text in texts.items() if "return_url" in text] == []
    assert {name.rpartition(".")[2] for name in kept} >= {
        "token", "token_nonce", "token_hash", "gateway_token", "vault_token", "fingerprint", "request_hash", "remote_id",
    }  # fmt: skip


def test_records_are_found_by_what_they_belong_to(world, as_max):
    for name, by in (
        ("dispute", world.payment), ("dispute", world.customer), ("balanceentry", world.refund),
        ("attempt", world.paymentrequest), ("refund", world.payment), ("payment", world.billingstatement),
        ("reminder", world.billingstatement), ("webhookdelivery", "evt_1"), ("webhookdelivery", "sbxpay_none"),
        ("paymentmethod", world.customer), ("couponredemption", world.coupon), ("couponredemption", world.customer),
    ):  # fmt: skip
        mine = world.bill_payment if name == "payment" else getattr(world, name)
        assert mine in rows_of(as_max, name, by), (name, by)
    bare = world.customer.removeprefix("cus_")
    assert rows_of(as_max, "dispute", bare) == rows_of(as_max, "dispute", world.customer)
    for name in WORDLESS:
        assert not rows_of(as_max, name, "nobody")
        assert not rows_of(as_max, name, "cou_000000000000000000000000")


def test_lines_stand_on_their_statement_and_are_not_written(world, as_sue):
    page = as_sue.get(reverse("admin:billing_billingstatement_change", args=[world.billingstatement])).text

    assert "Coffee beans, 5 kg" in page
    assert 'name="lines-0-description"' not in page
