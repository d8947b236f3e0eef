"""The webhook inbox: what is let in, kept once, worked on, parked, replayed; and how the sandbox sends."""

import json
import logging
import random
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from billing.domain import settle, webhooks
from billing.domain.checkouts import start_payment
from billing.gateways import InsideTransaction, gateway_for
from billing.gateways.base import BadSignature, OutcomeUnknown
from billing.gateways.sandbox import deliveries
from billing.gateways.sandbox.models import SandboxCharge
from billing.models import Payment, WebhookDelivery
from billing.tests.factories import DECLINED, make_request, submit_card
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
URL = "/webhooks/sandbox/"
HEADER = "HTTP_SANDBOX_SIGNATURE"


def event(remote_id="sbcs_none", kind="checkout", event_id="evt_1", **fields):
    about = {"id": event_id, "type": "checkout.session.completed", "created": int(time.time()), "livemode": False}
    return json.dumps(about | {"data": {"object": {"id": remote_id, "object": kind}}} | fields).encode()


def post(body, signature=None, client=None):
    signature = deliveries.sign(body) if signature is None else signature
    return (client or Client()).post(URL, body, content_type="application/json", **{HEADER: signature})


@pytest.fixture
def paid():
    """A request whose payer has submitted a card that succeeds; nobody has told us yet."""
    return start_and_submit()


def start_and_submit(number="4242424242424242", **fields):
    attempt = start_payment(make_request(**fields))
    submit_card(attempt, number)
    return attempt


# --- the door ----------------------------------------------------------------------------------------------
def test_a_signed_delivery_pays_the_request(paid):
    answer = post(event(paid.remote_id))

    assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain; charset=utf-8")
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.deliveries, delivery.tries, delivery.livemode) == ("processed", 1, 1, False)
    assert (delivery.type, delivery.object_kind, delivery.remote_id) == (
        "checkout.session.completed", "checkout", paid.remote_id,
    )  # fmt: skip
    assert Payment.objects.get().status == "paid"


def test_what_a_delivery_says_is_asked_and_not_believed():
    attempt = start_and_submit(DECLINED)

    post(event(attempt.remote_id, amount=999999, status="succeeded"))

    assert Payment.objects.get().status == "failed"


def test_only_a_post_is_taken():
    for method in ("get", "put", "delete", "patch", "head"):
        assert getattr(Client(), method)(URL).status_code == 405


def test_no_form_token_and_no_sign_in_is_needed(paid):
    assert post(event(paid.remote_id), client=Client(enforce_csrf_checks=True)).status_code == 200


def test_a_gateway_that_is_not_here_is_404():
    assert Client().post("/webhooks/nobody/", b"{}", content_type="application/json").status_code == 404


def test_a_body_above_256_kb_is_413():
    body = event(padding="x" * (256 * 1024))

    assert post(body).status_code == 413
    assert post(event(padding="x" * (255 * 1024))).status_code == 200
    assert WebhookDelivery.objects.count() == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"{", b'"x"', b'{"id": 1}'])
def test_a_signed_body_that_is_no_event_is_400(body):
    assert post(body).status_code == 400
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "x\0y"},
        {"id": ""},
        {"id": "x" * 300},
        {"id": None},
        {"type": "a b"},
        {"livemode": "no"},
        {"created": "now"},
        {"created": 1e300},
        {"data": {"object": {"id": ["x"], "object": "checkout"}}},
    ],
)
def test_a_signed_event_with_nonsense_in_it_is_400(fields):
    assert post(event(**fields)).status_code == 400
    assert not WebhookDelivery.objects.exists()


# --- signatures ----------------------------------------------------------------------------------------------
def refused(body, header):
    with pytest.raises(BadSignature):
        gateway_for("sandbox").parse_webhook(body, {"Sandbox-Signature": header} if header is not None else {})
    return True


def test_a_signature_is_good_for_five_minutes_before_and_after():
    body, now = event(), int(time.time())

    for seconds in (-298, -10, 0, 10, 298):
        assert gateway_for("sandbox").parse_webhook(body, {"Sandbox-Signature": deliveries.sign(body, at=now + seconds)})
    for seconds in (-3600 * 24, -3600, -302, 302, 3600, 10**9):
        assert refused(body, deliveries.sign(body, at=now + seconds))
        assert post(body, deliveries.sign(body, at=now + seconds)).status_code == 400


@pytest.mark.parametrize(
    "header",
    [None, "", "t=", "v1=", "t=1,v1=", "nonsense", "t=,v1=", "t=abc,v1=00", "t=-5,v1=00", "t=١,v1=00", "t=" + "9" * 400, ",,,="],
)
def test_a_header_that_is_no_signature_is_refused(header):
    assert refused(event(), header)


def test_two_times_in_one_header_are_refused():
    body = event()
    good = deliveries.sign(body)

    assert refused(body, f"t={int(time.time()) - 9},{good}")


def test_another_key_signs_nothing():
    body = event()

    assert refused(body, deliveries.sign(body, secret="some other secret"))
    assert refused(body, deliveries.sign(body).replace("v1=", "v0="))
    assert refused(json.dumps(json.loads(body), indent=1).encode(), deliveries.sign(body))  # the same event, written anew


def test_the_secret_rolls_with_the_installations_key(settings):
    body, old_key = event(), settings.SECRET_KEY
    with_old = deliveries.sign(body)
    settings.SECRET_KEY = "n" * 50
    parse, header = gateway_for("sandbox").parse_webhook, "Sandbox-Signature"

    assert refused(body, with_old)
    settings.SECRET_KEY_FALLBACKS = [old_key]
    assert parse(body, {header: with_old}) == parse(body, {header: deliveries.sign(body)})
    both = f"{with_old},v1={'0' * 64}"
    assert parse(body, {header: both})
    settings.SECRET_KEY_FALLBACKS = []
    assert refused(body, with_old)


def test_of_a_thousand_forgeries_none_is_let_in(paid, caplog):
    caplog.set_level(logging.ERROR)
    chance = random.Random(7)
    body = event(paid.remote_id)
    header, let_in = deliveries.sign(body), []
    for _ in range(1000):
        forged = forge(chance, body, header)
        try:
            gateway_for("sandbox").parse_webhook(forged[0], {"Sandbox-Signature": forged[1]})
        except BadSignature:
            continue
        let_in.append(forged)
    posted = {post(*forge(chance, body, header)).status_code for _ in range(20)}

    assert (let_in, posted) == ([], {400})
    assert not WebhookDelivery.objects.exists()
    assert not Payment.objects.exists()
    assert gateway_for("sandbox").parse_webhook(body, {"Sandbox-Signature": header}).remote_id == paid.remote_id  # the control


def forge(chance, body, header):
    """Body and header with one thing changed."""
    if chance.random() < 0.5:
        return changed(chance, body), header
    at, _, digest = header.partition(",v1=")
    kind = chance.randrange(3)
    if kind == 0:  # another digest
        spoilt = changed(chance, digest.encode(), b"0123456789abcdef")
        return body, f"{at},v1={spoilt.decode()}"
    if kind == 1:  # another time, still within the five minutes
        return body, f"t={int(at[2:]) + chance.choice([-1, 1]) * chance.randrange(1, 250)},v1={digest}"
    return body, f"{at},v1={digest[: chance.randrange(64)]}"


def changed(chance, text, alphabet=bytes(range(256))):
    """Bytes with one byte replaced, taken out, doubled or put in."""
    n = chance.randrange(len(text))
    new = bytes([chance.choice([b for b in alphabet if b != text[n]])])
    return chance.choice([text[:n] + new + text[n + 1 :], text[:n] + text[n + 1 :] if len(text) > 64 else text[:n] + new,
                          text[:n] + new + text[n:]])  # fmt: skip


# --- once ----------------------------------------------------------------------------------------------------
def test_a_repeated_event_is_kept_once_and_counted(paid):
    for _ in range(5):
        assert post(event(paid.remote_id)).status_code == 200

    delivery = WebhookDelivery.objects.get()
    assert (delivery.deliveries, delivery.tries, delivery.state) == (5, 1, "processed")
    assert Payment.objects.count() == 1
    assert paid.customer.totals.get().collected == 4850


@pytest.mark.django_db(transaction=True)
def test_the_same_event_from_many_senders_at_once_has_its_effect_once():
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    attempt = start_and_submit()
    body = event(attempt.remote_id)

    def deliver(_n):
        try:
            return post(body).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(deliver, range(20)))

    assert set(answers) == {200}
    assert WebhookDelivery.objects.get().deliveries == 20
    assert Payment.objects.count() == 1
    assert attempt.customer.totals.get().collected == 4850
    assert Event.objects.filter(type="payment.paid").count() == 1


def test_events_in_any_order_end_the_same():
    from itertools import permutations

    for order in permutations(["checkout", "payment", "declined", "expired"]):
        attempt = start_and_submit(DECLINED)
        submit_card(attempt)
        bad, good = SandboxCharge.objects.filter(checkout=attempt.remote_id).order_by("id")
        about = {
            "checkout": event(attempt.remote_id, event_id=f"{attempt.pk}.1"),
            "payment": event(good.pk, "payment", f"{attempt.pk}.2", type="payment_intent.succeeded"),
            "declined": event(bad.pk, "payment", f"{attempt.pk}.3", type="payment_intent.payment_failed"),
            "expired": event(attempt.remote_id, event_id=f"{attempt.pk}.4", type="checkout.session.expired"),
        }
        for name in order:
            assert post(about[name]).status_code == 200
        attempt.refresh_from_db()
        payments = Payment.objects.filter(attempt=attempt)
        assert (attempt.state, sorted(payments.values_list("status", flat=True))) == ("done", ["failed", "paid"])


# --- what is not ours, not yet, or goes wrong ------------------------------------------------------------------
def test_an_event_of_a_type_we_have_no_use_for_is_ignored():
    assert post(event("acct_1", "account", type="account.updated")).status_code == 200

    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.object_kind) == ("ignored", "")


def test_an_event_of_live_mode_changes_nothing_in_the_sandbox(paid, caplog):
    assert post(event(paid.remote_id, livemode=True)).status_code == 200

    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.livemode) == ("ignored", True)
    assert "of the other mode" in caplog.text
    assert not Payment.objects.exists()


def test_what_is_unknown_is_parked_for_a_day_and_then_not_ours():
    assert post(event()).status_code == 200
    assert WebhookDelivery.objects.get().state == "parked"

    later = timezone.now() + timedelta(hours=2)
    assert webhooks.process_waiting(later) == 1
    assert WebhookDelivery.objects.get().state == "parked"
    WebhookDelivery.objects.update(received_at=timezone.now() - timedelta(days=1, minutes=1))
    webhooks.process_waiting(later)

    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.error) == ("ignored", webhooks.NOT_OURS)
    assert webhooks.process_waiting(later) == 0


def test_a_parked_delivery_is_applied_once_its_attempt_is_there(paid):
    type(paid).objects.filter(pk=paid.pk).update(remote_id="")  # we have not noted the gateway's answer yet
    post(event(paid.remote_id))
    assert WebhookDelivery.objects.get().state == "parked"
    type(paid).objects.filter(pk=paid.pk).update(remote_id=paid.remote_id)

    assert webhooks.process_waiting(timezone.now() + timedelta(minutes=2)) == 1

    assert WebhookDelivery.objects.get().state == "processed"
    assert Payment.objects.get().status == "paid"


def test_an_unanswered_question_is_500_and_is_asked_again(paid, monkeypatch):
    def silent(*args):
        raise OutcomeUnknown("The bank did not answer.")

    with monkeypatch.context() as broken:
        broken.setattr(settle, "look", silent)
        assert post(event(paid.remote_id)).status_code == 500
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.error) == ("failed", "The bank did not answer.")

    assert post(event(paid.remote_id)).status_code == 200
    delivery.refresh_from_db()
    assert (delivery.state, delivery.error, delivery.deliveries, delivery.tries) == ("processed", "", 2, 2)
    assert Payment.objects.get().status == "paid"


def test_a_fault_of_ours_keeps_the_delivery_and_is_logged(paid, monkeypatch, caplog):
    def broken(*args):
        raise ZeroDivisionError("secret detail")

    with monkeypatch.context() as patch:
        patch.setattr(settle, "look", broken)
        answer = post(event(paid.remote_id))

    assert answer.status_code == 500
    assert b"secret" not in answer.content
    assert WebhookDelivery.objects.get().error == "ZeroDivisionError: the log says more."
    assert "ZeroDivisionError: secret detail" in caplog.text
    assert webhooks.process_waiting(timezone.now() + timedelta(minutes=2)) == 1
    assert Payment.objects.get().status == "paid"


def test_what_fails_is_worked_on_less_and_less_often_and_not_for_ever(monkeypatch):
    def silent(*args):
        raise OutcomeUnknown("The bank did not answer.")

    monkeypatch.setattr(settle, "look", silent)
    post(event())
    start = timezone.now()

    def worked(after, tries):
        WebhookDelivery.objects.update(tries=tries, touched_at=start, state="failed")
        return webhooks.process_waiting(start + timedelta(minutes=after))

    assert (worked(0, 1), worked(2, 1), worked(2, 3), worked(5, 3), worked(50, 30), worked(61, 30)) == (0, 1, 0, 1, 0, 1)
    WebhookDelivery.objects.update(received_at=start - timedelta(days=4))
    assert worked(300, 1) == 0


def test_a_gateway_is_never_asked_inside_a_transaction(paid):
    from django.db import transaction

    body = event(paid.remote_id)
    with transaction.atomic(), pytest.raises(InsideTransaction):
        webhooks.receive("sandbox", body, {"Sandbox-Signature": deliveries.sign(body)})


# --- replay --------------------------------------------------------------------------------------------------
def test_staff_replay_a_delivery_and_it_is_recorded(max, paid, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(settle, "look", lambda *args: 1 / 0)
        post(event(paid.remote_id))
    delivery = WebhookDelivery.objects.get()

    assert webhooks.replay(delivery, by=max).state == "processed"
    assert webhooks.replay(delivery, by=max).state == "processed"

    assert Payment.objects.count() == 1
    replayed = Event.objects.filter(type="webhook_delivery.replayed", object_id=delivery.pk, by=max)
    assert replayed.count() == 2
    assert replayed.first().data["event"] == "evt_1"


def test_a_replay_that_fails_says_why(max, paid, monkeypatch):
    post(event(paid.remote_id))

    def silent(*args):
        raise OutcomeUnknown("The bank did not answer.")

    monkeypatch.setattr(settle, "look", silent)
    with pytest.raises(DomainError, match=r"It failed again: The bank did not answer\."):
        webhooks.replay(WebhookDelivery.objects.get(), by=max)
    assert WebhookDelivery.objects.get().state == "failed"
