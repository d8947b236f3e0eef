"""A hostile mail-man: deliveries in every order, each twice, at once from many hands, forged and altered."""

import json
import random
import secrets
import time
from itertools import permutations

from billing.domain import checkouts, webhooks
from billing.domain.ledger import ledger_errors
from billing.domain.requests import create_payment_request
from billing.drills.children import at_once
from billing.drills.kills import drilled_customer
from billing.gateways import gateway_for
from billing.gateways.base import BadSignature, RefundRequest
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import find_card
from billing.gateways.sandbox.deliveries import HEADER, sign
from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout
from billing.models import Payment, WebhookDelivery

AMOUNT, BACK = 4807, 1807  # minor units; an ending of 07: the sandbox's own messages are lost, so only ours arrive
EVENTS = {
    "succeeded": "payment_intent.succeeded",
    "failed": "payment_intent.payment_failed",
    "processing": "payment_intent.processing",
    "refunded": "charge.refunded",
}
SENDERS = 8


def run(rounds):
    """All orders, many senders, `rounds` forgeries; yields ([sentences], violated)."""
    orders = list(permutations(EVENTS))
    states = {_end_state(order) for order in orders}
    wrong = [str(state) for state in states if state != ("paid", AMOUNT, BACK, 1)]
    yield [f"orders: {len(orders)} of {len(EVENTS)} events, each twice: {len(states)} end state", *wrong], bool(wrong)
    yield _control(orders)
    yield _many_senders()
    yield _forgeries(rounds)
    faults = ledger_errors()
    yield [f"ledger: {len(faults)} faults", *faults], bool(faults)


# --- orders ------------------------------------------------------------------------------------------------
def paid_there(*, refunded=True):
    """A charge that the gateway has taken, and maybe partly given back, and of which we know nothing yet."""
    request = create_payment_request(
        drilled_customer(), amount=AMOUNT, currency="USD", country="US", method_types=["card"], by=None
    )
    attempt = checkouts.start_payment(request)
    page = SandboxCheckout.objects.get(pk=attempt.remote_id)
    bank.pay(page, find_card("4242424242424242"), version=page.version)
    charge = SandboxCharge.objects.get(checkout=page)
    if refunded:
        give_back(charge)
    return request, charge


def give_back(charge):
    """The gateway refunds a part."""
    back = RefundRequest(reference=secrets.token_hex(8), payment=charge.pk, amount_minor=BACK, currency="USD")
    gateway_for("sandbox").refund(back, key=back.reference)


def _end_state(order):
    """What we hold once every event of an order has come twice; the refund happens just before the word of it."""
    request, charge = paid_there(refunded=order[0] == "refunded")
    for name in order:
        if name == "refunded" != order[0]:
            give_back(charge)
        body = event(EVENTS[name], charge.pk)
        deliver(body)
        deliver(body)
    payments = list(Payment.objects.filter(request=request))
    return payments[0].status, payments[0].amount, payments[0].amount_refunded, len(payments)


def _control(orders):
    """A handler that believes what a message says, instead of asking: the last writer wins."""
    states = set()
    for order in orders:
        row = {}
        for name in order:
            row["status"] = name
        states.add(row["status"])
    return [f"control, messages are believed: {len(states)} end states, {'caught' if len(states) > 1 else 'NOT CAUGHT'}"], len(
        states
    ) == 1


def event(event_type, remote_id, event_id=""):
    """The raw bytes of an event about a charge."""
    about = {"id": remote_id, "object": "payment"}
    body = {"id": event_id or f"evt_{secrets.token_hex(8)}", "type": event_type, "created": int(time.time()), "livemode": False}
    return json.dumps(body | {"data": {"object": about}}).encode()


def deliver(body, signature=None):
    return webhooks.receive("sandbox", body, {HEADER: signature or sign(body)})


# --- many senders ------------------------------------------------------------------------------------------
def _many_senders():
    """The same event from many hands at once: one row, one effect."""
    request, charge = paid_there()
    body = event(EVENTS["succeeded"], charge.pk)
    *_, broke = at_once(SENDERS, lambda n: [deliver(body) for _again in range(3)])
    rows = WebhookDelivery.objects.filter(event_id=json.loads(body)["id"])
    found = rows.count(), Payment.objects.filter(request=request).count(), rows.get().deliveries
    good = not broke and found == (1, 1, SENDERS * 3) and rows.get().state == "processed"
    return [f"{SENDERS} senders at once: {found[2]} deliveries, {found[0]} row, {found[1]} payment, {broke} broke"], not good


# --- forgeries ---------------------------------------------------------------------------------------------
def _forgeries(rounds):
    """Altered bytes, altered signatures, old and future ones, other secrets: none may get in."""
    _request, charge = paid_there()
    before, accepted, chance = WebhookDelivery.objects.count(), 0, random.Random(7)
    for n in range(rounds):
        body = event(EVENTS["succeeded"], charge.pk)
        accepted += _accepted(*FORGERS[n % len(FORGERS)](body, sign(body), chance))
    real = event(EVENTS["succeeded"], charge.pk)
    caught = _accepted(real, sign(real))  # the control: what is not forged does get in
    kept = WebhookDelivery.objects.count() - before - caught
    said = [
        f"forged or altered: {rounds} sent, {accepted} accepted, {kept} kept; a true one {'accepted' if caught else 'REFUSED'}"
    ]
    return said, bool(accepted or kept or not caught)


def _accepted(body, signature):
    try:
        deliver(body, signature)
    except BadSignature:
        return False
    return True


def _altered_body(body, signature, chance):
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << chance.randrange(8))]) + body[at + 1 :], signature


def _altered_signature(body, signature, chance):
    at = signature.index("v1=") + 3 + chance.randrange(64)
    return body, signature[:at] + ("0" if signature[at] != "0" else "1") + signature[at + 1 :]


def _cut(body, signature, chance):
    return body[: chance.randrange(len(body))], signature


def _spelled_again(body, signature, chance):
    return json.dumps(json.loads(body), indent=chance.randrange(1, 9)).encode(), signature


def _old(body, signature, chance):
    return body, sign(body, at=int(time.time()) - chance.randrange(302, 100_000))


def _from_the_future(body, signature, chance):
    return body, sign(body, at=int(time.time()) + chance.randrange(310, 100_000))


def _other_secret(body, signature, chance):
    return body, sign(body, secret=chance.randbytes(32).hex())


def _nothing(body, signature, chance):
    return body, chance.choice(["t=1", "v1=", "t=,v1=", "garbage", "t=1,v0=" + "0" * 64])


FORGERS = [
    _altered_body,
    _altered_signature,
    _cut,
    _spelled_again,
    _old,
    _from_the_future,
    _other_secret,
    _nothing,
]
