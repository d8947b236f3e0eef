"""The sandbox log: what staff see of the sandbox, and the buttons that let its time pass."""

import pytest

from billing.domain.checkouts import start_payment
from billing.gateways.sandbox.models import SandboxDelivery, SandboxDispute
from billing.models import Payment, WebhookDelivery
from billing.tests.factories import make_request, submit_card
from dashboard.models import Event

pytestmark = pytest.mark.django_db
LOG = "/billing/sandbox-log/"
DISPUTED = "4000000000000259"


@pytest.fixture
def message():
    """The sandbox's message about a paid request, not sent yet."""
    submit_card(start_payment(make_request()), DISPUTED)
    return SandboxDelivery.objects.get()


def test_the_log_shows_calls_messages_and_no_number(as_max, message):
    page = as_max.get(LOG)

    for words in (message.pk, message.type, message.remote_id, "create_checkout", "att_", "Run tick now"):
        assert words in page.text
    assert DISPUTED not in page.text
    assert "0259" not in page.text


def test_an_empty_log_says_what_to_do(as_max):
    assert "Pay a payment request with a test card" in as_max.get(LOG).text


def test_a_manager_lets_the_sandboxs_time_pass(as_max, max, message):
    page = as_max.post(f"{LOG}tick/", follow=True)

    assert "1 dispute opened" in page.text
    assert "messages sent" in page.text
    assert Payment.objects.get().status == "paid"
    event = Event.objects.get(type="sandbox.ticked")
    assert (event.by, event.livemode, event.data["disputes"]) == (max, False, 1)


def test_a_message_can_be_sent_again_and_has_its_effect_once(as_max, max, message):
    for _ in range(2):
        page = as_max.post(f"{LOG}messages/{message.pk}/send/", follow=True)

    message.refresh_from_db()
    assert "The message was sent and answered with 200." in page.text
    assert (message.times, message.due_at) == (2, None)
    assert WebhookDelivery.objects.get().deliveries == 2
    assert Payment.objects.paid().count() == 1
    assert Event.objects.filter(type="sandbox.message_sent", by=max).count() == 2


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_the_bank_decides_a_dispute_once(as_max, message, outcome):
    as_max.post(f"{LOG}tick/")
    dispute = SandboxDispute.objects.get()
    assert dispute.charge_id in as_max.get(LOG).text
    path = f"{LOG}disputes/{dispute.pk}/close/"

    as_max.post(path, {outcome: "1"})
    again = as_max.post(path, {"won": "1"}, follow=True)

    dispute.refresh_from_db()
    assert dispute.status == outcome
    assert "This dispute is decided already." in again.text
    assert Payment.objects.get().dispute == outcome
    assert Event.objects.filter(type=f"sandbox.dispute_{outcome}").count() == 1


def test_support_and_reporting_have_no_sandbox_log(as_sue, as_rita, message):
    for client in (as_sue, as_rita):
        assert client.get(LOG).status_code == 403
        assert client.post(f"{LOG}messages/{message.pk}/send/").status_code == 403
        assert "Sandbox log" not in client.get("/customers/").text
    message.refresh_from_db()
    assert message.times == 0


def test_live_mode_has_no_sandbox_log(as_max, message):
    as_max.post("/mode/", {"mode": "live"})

    assert as_max.get(LOG).status_code == 404
    assert as_max.post(f"{LOG}tick/").status_code == 404
    assert as_max.post(f"{LOG}messages/{message.pk}/send/").status_code == 404
    message.refresh_from_db()
    assert message.times == 0


def test_looking_at_a_button_does_nothing(as_max, message):
    assert as_max.get(f"{LOG}tick/").status_code == 405
    assert as_max.get(f"{LOG}messages/{message.pk}/send/").status_code == 405
    assert as_max.post(f"{LOG}messages/sbev_0193f0c1d2a7b34e5f607182/send/").status_code == 404
