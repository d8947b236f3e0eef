"""How the sandbox tells us what happened: through the same door as any gateway, and with the faults an amount asks for."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing.domain import settle
from billing.gateways import InsideTransaction, gateway_for
from billing.gateways.sandbox import deliveries
from billing.gateways.sandbox.models import SandboxCharge, SandboxDelivery
from billing.models import Payment, WebhookDelivery
from billing.tests.test_webhooks import start_and_submit

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid():
    """The attempt of a payer who has submitted a card that succeeds; nobody has told us yet."""
    return start_and_submit()


def sent():
    return list(SandboxDelivery.objects.order_by("id").values_list("type", "times", "answer"))


def test_the_sandbox_sends_through_the_same_door(paid):
    assert (deliveries.send_due(), deliveries.send_due()) == (1, 0)

    assert sent() == [("checkout.session.completed", 1, 200)]
    assert WebhookDelivery.objects.get().body == SandboxDelivery.objects.get().body
    assert Payment.objects.get().status == "paid"


def test_a_tick_sends_what_is_due(paid, capsys):
    call_command("tick")

    assert "1 sandbox messages sent" in capsys.readouterr().out
    assert Payment.objects.get().status == "paid"


def test_an_amount_ending_in_04_tells_twice():
    start_and_submit(amount=5004)
    deliveries.send_due()

    assert sent() == [("checkout.session.completed", 2, 200)]
    assert WebhookDelivery.objects.get().deliveries == 2
    assert Payment.objects.count() == 1


def test_an_amount_ending_in_05_tells_five_minutes_late():
    start_and_submit(amount=5005)

    assert deliveries.send_due() == 0
    assert not Payment.objects.exists()
    assert deliveries.send_due(timezone.now() + timedelta(minutes=5, seconds=1)) == 1
    assert Payment.objects.get().status == "paid"


def test_an_amount_ending_in_06_tells_before_it_answers():
    from billing.gateways.base import RefundRequest

    attempt = start_and_submit()
    deliveries.send_due()
    charge = SandboxCharge.objects.get(checkout=attempt.remote_id)
    gateway = gateway_for("sandbox")

    gateway.refund(RefundRequest("re_a", charge.pk, 1000, "USD"), key="k1")
    assert not WebhookDelivery.objects.filter(type="charge.refunded").exists()
    gateway.refund(RefundRequest("re_b", charge.pk, 1006, "USD"), key="k2")
    assert WebhookDelivery.objects.filter(type="charge.refunded").exists()
    payment = Payment.objects.get()
    assert payment.amount_refunded == 2006


def test_an_amount_ending_in_07_tells_nobody_and_reconcile_finds_it():
    attempt = start_and_submit(amount=5007)

    assert deliveries.send_due(timezone.now() + timedelta(days=2)) == 0
    assert SandboxDelivery.objects.get().lost
    type(attempt).objects.update(touched_at=timezone.now() - timedelta(minutes=5))
    call_command("reconcile")

    assert Payment.objects.get().status == "paid"
    assert not WebhookDelivery.objects.exists()


def test_an_amount_ending_in_08_tells_of_a_failure_after_the_success():
    start_and_submit(amount=5008)
    deliveries.send_due()

    assert [t for t, *_ in sent()] == ["checkout.session.completed", "payment_intent.payment_failed"]
    assert list(WebhookDelivery.objects.values_list("state", flat=True)) == ["processed"] * 2
    assert Payment.objects.get().status == "paid"


def test_a_message_that_is_not_taken_is_sent_again_later(paid, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(settle, "look", lambda *args: 1 / 0)
        assert deliveries.send_due() == 1
    row = SandboxDelivery.objects.get()
    assert (row.answer, row.arrived) == (500, 0)
    assert deliveries.send_due() == 0  # not at once

    assert deliveries.send_due(row.due_at) == 1
    row.refresh_from_db()
    assert (row.answer, row.times, row.due_at) == (200, 2, None)
    assert WebhookDelivery.objects.get().deliveries == 2


def test_a_message_nobody_takes_is_given_up_after_three_days(paid, monkeypatch):
    monkeypatch.setattr(settle, "look", lambda *args: 1 / 0)
    SandboxDelivery.objects.update(created_at=timezone.now() - timedelta(days=3, minutes=1), copies=2)

    assert deliveries.send_due() == 1
    assert SandboxDelivery.objects.get().due_at is None


def test_a_message_signed_with_a_key_of_yesterday_is_refused_and_kept(paid, monkeypatch):
    monkeypatch.setattr(deliveries, "sign", lambda body: "t=1,v1=00")

    deliveries.send_due()

    row = SandboxDelivery.objects.get()
    assert row.answer == 400
    assert row.due_at > timezone.now()


def test_the_sandbox_sends_nothing_inside_a_transaction(paid):
    from django.db import transaction

    with transaction.atomic(), pytest.raises(InsideTransaction):
        deliveries.send_due()
    assert not Payment.objects.exists()
