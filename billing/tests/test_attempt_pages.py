"""What is being checked, and what gateways told us: the lists, and the buttons that ask again."""

import json
import re

import pytest
from django.urls import reverse

from billing.domain.attempt_checks import check_attempt
from billing.domain.checkouts import start_payment
from billing.domain.payments import record_payment
from billing.domain.refunds import create_refund
from billing.gateways.base import OutcomeUnknown, Unavailable
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.models import Attempt, Payment, PaymentRequest, Refund, WebhookDelivery
from billing.tests.factories import make_customer, make_delivery, make_request, make_unknown_attempt, submit_card
from billing.views.deliveries import readable
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
LIST = "/billing/attempts/"


def text(answer):
    return re.sub(r"\s+", " ", answer.content.decode())


def listed(client, url=LIST, **query):
    return set(client.get(url, query).context["page"].rows)


def check(client, attempt):
    return client.post(f"{LIST}{attempt.pk}/check/", follow=True)


@pytest.fixture
def unknown(db):
    """A checkout whose call was sent and never answered."""
    return make_unknown_attempt(make_request())


@pytest.fixture
def paid(db):
    """A checkout on which the payer has just paid, which nobody here knows yet."""
    attempt = start_payment(make_request(make_customer(email="paid@example.com")))
    submit_card(attempt)
    return attempt


# --- the list --------------------------------------------------------------------------------------------
def test_the_list_starts_with_what_nobody_knows_and_tabs_show_the_rest(as_rita, unknown, paid):
    tabs = {tab["label"]: tab["count"] for tab in as_rita.get(LIST).context["list_tabs"]}

    assert tabs == {"Being checked": "1", "Open": "2", "All": "2"}
    assert listed(as_rita) == {unknown}
    assert listed(as_rita, state="open") == listed(as_rita, state="all") == {unknown, paid}
    assert listed(as_rita, state="done") == set()


def test_a_row_leads_to_what_it_is_for_and_says_the_last_answer(as_rita, unknown):
    page = text(as_rita.get(LIST))

    assert reverse("billing:request", args=[unknown.target_id]) in page
    assert "The gateway did not answer in time." in page
    assert "48.50" in page


def test_every_kind_of_target_has_a_page_to_lead_to(as_max, max, monkeypatch):
    monkeypatch.setattr(SandboxGateway, "refund", _silent)
    request = make_request()
    submit_card(start_payment(request))
    check_attempt(Attempt.objects.get(), by=max)
    create_refund(request.payments.get(), amount=100, reason="others", by=max)
    page = text(as_max.get(LIST, {"state": "all"}))

    for record in (request, Refund.objects.get()):
        assert f'href="{record.get_absolute_url()}"' in page


def test_an_attempt_of_the_other_mode_is_unknown_here(as_max):
    attempt = make_unknown_attempt(make_request())
    Attempt.objects.filter(pk=attempt.pk).update(livemode=True)

    assert listed(as_max) == set()
    assert check(as_max, attempt).status_code == 404


def test_what_is_sent_to_gateways_is_not_on_the_page(as_max, paid):
    page = text(as_max.get(LIST, {"state": "all"}))

    assert "return_url" not in page
    assert paid.url not in page


def test_only_those_who_may_ask_have_the_button(as_sue, as_rita, unknown):
    assert f"{LIST}{unknown.pk}/check/" in text(as_sue.get(LIST))
    assert "/check/" not in text(as_rita.get(LIST))
    assert check(as_rita, unknown).status_code == 403


# --- check now -------------------------------------------------------------------------------------------
def _silent(*args, **kwargs):
    raise OutcomeUnknown("The gateway did not answer in time.")


def test_asking_again_finds_the_payment_and_records_who_asked(as_sue, sue, paid):
    answer = check(as_sue, paid)

    assert PaymentRequest.objects.get().status == "done"
    assert Payment.objects.get().status == "paid"
    assert "The gateway has answered. The payment request now reads “Completed”." in text(answer)
    event = Event.objects.get(type="attempt.checked")
    assert (event.by, event.data["state"]) == (sue, "done")


def test_asking_when_nobody_answers_leaves_it_unknown_and_says_so(as_sue, unknown, monkeypatch):
    monkeypatch.setattr(SandboxGateway, "create_checkout", _silent)
    answer = check(as_sue, unknown)

    assert "Nobody knows yet whether money moved." in text(answer)
    assert listed(as_sue) == {unknown}


def test_asking_when_the_gateway_is_away_says_that_no_money_moved(as_sue, unknown, monkeypatch):
    def away(*args, **kwargs):
        raise Unavailable("The gateway is down.")

    monkeypatch.setattr(SandboxGateway, "create_checkout", away)

    assert "Nothing was sent, and no money moved." in text(check(as_sue, unknown))


def test_asking_about_a_page_nobody_has_paid_on_says_so(as_sue):
    attempt = start_payment(make_request())

    assert "Nothing was paid on it yet." in text(check(as_sue, attempt))


def test_what_is_settled_is_not_asked_about_again(as_sue, paid):
    check(as_sue, paid)
    answer = check(as_sue, paid)

    assert answer.status_code == 422
    assert "This was settled already: done." in text(answer)
    assert Event.objects.filter(type="attempt.checked").count() == 1
    assert Payment.objects.count() == 1


def test_a_get_asks_nobody(as_sue, paid, monkeypatch):
    monkeypatch.setattr(SandboxGateway, "fetch", _silent)

    assert as_sue.get(f"{LIST}{paid.pk}/check/").status_code == 200
    assert not Event.objects.filter(type="attempt.checked").exists()


def test_a_refund_nobody_answered_is_settled_by_asking_again(as_max, max, monkeypatch):
    request = make_request()
    submit_card(start_payment(request))
    check_attempt(Attempt.objects.get(), by=max)
    with monkeypatch.context() as patch:
        patch.setattr(SandboxGateway, "refund", _silent)
        refund = create_refund(request.payments.get(), amount=100, reason="others", by=max)
    assert refund.status == "pending"
    answer = check(as_max, Attempt.objects.get(kind="refund"))

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    assert "The refund now reads “Succeeded”." in text(answer)
    assert request.payments.get().amount_refunded == 100


def test_the_domain_refuses_what_is_settled(max, paid):
    check_attempt(paid, by=max)
    with pytest.raises(DomainError):
        check_attempt(paid, by=max)


# --- deliveries ------------------------------------------------------------------------------------------
DELIVERIES = "/billing/deliveries/"
SECRETS = {
    "client_secret": "pi_1_secret_abcdef",
    "url": "https://checkout.example/c/pay/cs_1",
    "receipt_url": "https://pay.example/receipts/x",
    "note": "my key is sk_test_12345abc",
    "number": "4242424242424242",
    "pasted": "call me about 4242 4242 4242 4242",
    "metadata": {"api_key": "k-1", "order": "7"},
    "tokens": ["tok_1", "tok_2"],
    "account": 4242424242424242,
}


def test_deliveries_are_listed_by_state(as_max):
    made = {s: make_delivery(event_id=f"evt_{s}", state=s) for s in WebhookDelivery.State.values}

    assert listed(as_max, DELIVERIES) == set(made.values())
    assert listed(as_max, DELIVERIES, state="waiting") == {made["received"], made["parked"], made["failed"]}
    assert listed(as_max, DELIVERIES, state="processed") == {made["processed"]}
    assert listed(as_max, DELIVERIES, type="charge.") == set(made.values())
    assert listed(as_max, DELIVERIES, event_id="evt_failed") == {made["failed"]}
    assert listed(as_max, DELIVERIES, remote_id="nothing") == set()


def test_support_and_reporting_do_not_read_deliveries(as_sue, as_rita):
    delivery = make_delivery()
    for client in (as_sue, as_rita):
        for url in (DELIVERIES, delivery.get_absolute_url(), f"{delivery.get_absolute_url()}replay/"):
            assert client.get(url).status_code == 403


def test_a_body_is_indented_and_its_secrets_are_hidden(as_max):
    delivery = make_delivery(body=json.dumps({"id": "evt_1", "amount": 4850, "data": SECRETS}))
    page = as_max.get(delivery.get_absolute_url()).content.decode()

    for hidden in ("abcdef", "checkout.example", "pay.example", "12345abc", "4242", "k-1", "tok_1", "tok_2"):
        assert hidden not in page, hidden
    assert "&quot;amount&quot;: 4850" in page
    assert "&quot;order&quot;: &quot;7&quot;" in page


@pytest.mark.parametrize("body", ["", "<html>no</html>", "{", "[" * 100_000, "null", "7", '"x"', "x" * 100_000, "\ud800"])
def test_a_body_of_any_shape_is_shown(body):
    assert len(readable(body)) <= 40_002


def test_a_body_that_is_no_json_hides_secrets_too():
    assert "sk_live_1" not in readable("key=sk_live_1 and more")
    assert "4242" not in readable("card 4242424242424242")


def test_a_script_in_a_body_is_only_text(as_max):
    delivery = make_delivery(body='{"a": "<script>alert(1)</script>"}', type="<b>x")
    page = as_max.get(delivery.get_absolute_url()).content.decode()

    assert "<script>alert" not in page
    assert "<b>x" not in page


def test_replaying_works_on_it_again_and_records_who_did(as_max, max):
    delivery = make_delivery(object_kind="", state="failed", error="It went wrong.")
    answer = as_max.post(f"{delivery.get_absolute_url()}replay/", follow=True)

    delivery.refresh_from_db()
    assert delivery.state == "ignored"
    assert "This is about nothing of yours." in text(answer)
    assert Event.objects.get(type="webhook_delivery.replayed").by == max


def test_a_replay_applies_what_the_gateway_says_now(as_max, paid):
    delivery = make_delivery(object_kind="checkout", remote_id=paid.remote_id)
    for _ in range(2):
        answer = as_max.post(f"{delivery.get_absolute_url()}replay/", follow=True)

    assert "what it says is applied" in text(answer)
    assert Payment.objects.get().status == "paid"


def test_a_replay_that_fails_again_says_why(as_max, monkeypatch, paid):
    monkeypatch.setattr(SandboxGateway, "fetch", _silent)
    delivery = make_delivery(object_kind="payment", remote_id="sbch_x")
    answer = as_max.post(f"{delivery.get_absolute_url()}replay/", follow=True)

    assert answer.status_code == 422
    assert "The gateway did not answer in time." in text(answer)
    delivery.refresh_from_db()
    assert delivery.state == "failed"


def test_looking_at_a_delivery_replays_nothing(as_max):
    delivery = make_delivery()
    as_max.get(delivery.get_absolute_url())
    as_max.get(f"{delivery.get_absolute_url()}replay/")

    delivery.refresh_from_db()
    assert delivery.tries == 1


def test_a_delivery_of_the_other_mode_is_unknown_here(as_max):
    delivery = make_delivery(livemode=True)

    assert listed(as_max, DELIVERIES) == set()
    assert as_max.get(delivery.get_absolute_url()).status_code == 404


# --- the menu --------------------------------------------------------------------------------------------
def test_the_menu_leads_to_them_by_role(as_max, as_sue):
    record_payment(make_customer(), amount=1, currency="USD", by=None)
    manager, support = text(as_max.get("/billing/payments/")), text(as_sue.get("/billing/payments/"))

    for url in ("/billing/refunds/", LIST, DELIVERIES):
        assert f'href="{url}"' in manager
    assert f'href="{LIST}"' in support
    assert f'href="{DELIVERIES}"' not in support
