"""Bills and payments in the admin: to read and to find, never to change."""

import re

import pytest
from django.apps import apps
from django.urls import reverse

from billing.models import GatewayCustomer
from customers.models import Customer
from dashboard.admin import site
from dashboard.tests.routes import make_world

pytestmark = pytest.mark.django_db
MODELS = (
    "billingstatement", "payment", "paymentrequest", "refund", "dispute", "attempt", "balanceentry", "reminder",
    "webhookdelivery", "paymentmethod", "tokenizationlink", "coupon", "couponredemption", "subscription",
)  # fmt: skip
WORDLESS = MODELS[4:10] + ("couponredemption",)  # found by ids alone
SECRET = (
    "token", "nonce", "hash", "form_key", "secret", "request_hash", "body", "search", "sort_name", "url", "fingerprint",
    "external_payer_id", "gateway_token", "vault_token",
)  # fmt: skip
TELLS = re.compile(r"token|nonce|hash|form_key|fingerprint|secret|password|session_key|external_payer")
INLINE = re.compile(r"<[^>]+\s(?:style|on[a-z]+)=|<script(?![^>]*\ssrc=)|<style|javascript:", re.I)
each = pytest.mark.parametrize("name", MODELS)


@pytest.fixture
def world(alice):
    return make_world(alice)


def admin_of(name):
    return next(a for m, a in site._registry.items() if m._meta.app_label == "billing" and m._meta.model_name == name)


def url(name, what, *args):
    return reverse(f"admin:billing_{name}_{what}", args=args)


@each
def test_it_is_listed_found_and_shown(name, world, as_sue):
    pk = getattr(world, name)
    page = as_sue.get(url(name, "changelist"), {"q": pk})

    assert page.status_code == 200
    assert pk in [row.pk for row in page.context["cl"].result_list]
    shown = as_sue.get(url(name, "change", pk))
    assert shown.status_code == 200
    assert pk in shown.content.decode()
    assert 'name="_save"' not in shown.content.decode()


@each
def test_nobody_adds_changes_or_deletes_it(name, world, as_alice):
    pk = getattr(world, name)
    model = admin_of(name).model
    before = model.objects.filter(pk=pk).values().get()
    answers = [
        as_alice.get(url(name, "add")),
        as_alice.post(url(name, "add"), {"amount": "1"}),
        as_alice.post(url(name, "change", pk), {"amount": "1", "status": "paid", "state": "done", "_save": "Save"}),
        as_alice.get(url(name, "delete", pk)),
        as_alice.post(url(name, "delete", pk), {"post": "yes"}),
        as_alice.post(url(name, "changelist"), {"action": "delete_selected", "_selected_action": [pk]}),
    ]

    assert [a.status_code for a in answers[:5]] == [403] * 5
    assert answers[5].status_code in (200, 302, 403)
    assert model.objects.filter(pk=pk).values().get() == before


@each
def test_no_secret_is_among_its_fields(name, world, as_alice):
    shown = {*admin_of(name).fields, *admin_of(name).list_display}

    assert shown.isdisjoint(SECRET)
    assert not [f for f in shown if "token" in f or "hash" in f or "nonce" in f]


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
    from billing.tests.factories import make_method

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


def test_every_model_of_billing_that_has_a_page_is_there():
    missing = {
        m._meta.model_name
        for m in apps.get_app_config("billing").get_models()
        if m not in site._registry and hasattr(m, "get_absolute_url")
    }

    assert missing == set()


def test_the_policy_holds_on_these_pages(world, as_alice):
    for name in MODELS:
        answer = as_alice.get(url(name, "change", getattr(world, name)))
        policy = answer["Content-Security-Policy"]
        assert "'unsafe-inline'" not in policy, name
        assert "script-src 'self'" in policy, name
        assert not INLINE.search(answer.text), name


@each
def test_reporting_stays_outside(name, world, as_rita):
    assert as_rita.get(url(name, "changelist")).status_code == 403
    assert as_rita.get(url(name, "change", getattr(world, name))).status_code == 403


@each
def test_it_leads_to_its_page_in_the_dashboard(name, world, as_sue):
    page = as_sue.get(url(name, "change", getattr(world, name))).content.decode()

    assert "in the dashboard</a> (in test mode)" in page or name == "attempt"


def test_records_of_no_words_are_found_by_what_they_belong_to(world, as_sue):
    for name, by in (
        ("dispute", world.payment), ("dispute", world.customer), ("balanceentry", world.refund),
        ("attempt", world.paymentrequest),
        ("reminder", world.billingstatement), ("webhookdelivery", "evt_1"), ("webhookdelivery", "sbxpay_none"),
        ("paymentmethod", world.customer), ("couponredemption", world.coupon), ("couponredemption", world.customer),
    ):  # fmt: skip
        rows = as_sue.get(url(name, "changelist"), {"q": by}).context["cl"].result_list
        assert getattr(world, name) in [row.pk for row in rows], (name, by)
    for name in WORDLESS:
        assert not list(as_sue.get(url(name, "changelist"), {"q": "nobody"}).context["cl"].result_list)


def test_lines_stand_on_their_statement(world, as_sue):
    page = as_sue.get(url("billingstatement", "change", world.billingstatement)).content.decode()

    assert "Coffee beans, 5 kg" in page


def test_every_filter_beside_a_list_answers(world, as_sue):
    for name in MODELS:
        page = as_sue.get(url(name, "changelist"))
        for spec in page.context["cl"].filter_specs:
            for choice in list(spec.choices(page.context["cl"]))[:3]:
                assert as_sue.get(url(name, "changelist") + choice["query_string"]).status_code == 200
