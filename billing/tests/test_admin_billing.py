"""Bills and payments in the admin: to read and to find, never to change."""

import pytest
from django.urls import reverse

from dashboard.admin import site
from dashboard.tests.routes import make_world

pytestmark = pytest.mark.django_db
MODELS = (
    "billingstatement", "payment", "paymentrequest", "refund", "dispute", "attempt", "balanceentry", "reminder",
    "webhookdelivery",
)  # fmt: skip
SECRET = ("token", "nonce", "hash", "form_key", "secret", "request_hash", "body", "search", "sort_name", "url")
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


def test_no_page_shows_a_payers_link_or_what_is_sent(world, as_alice):
    for name in MODELS:
        page = as_alice.get(url(name, "change", getattr(world, name))).content.decode()
        assert world.token not in page, name
        assert world.bill_token not in page, name
        assert "return_url" not in page, name


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
    ):  # fmt: skip
        rows = as_sue.get(url(name, "changelist"), {"q": by}).context["cl"].result_list
        assert getattr(world, name) in [row.pk for row in rows], (name, by)
    for name in MODELS[4:]:
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
