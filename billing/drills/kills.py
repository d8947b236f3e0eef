"""kill -9 in every phase of moving money. Afterwards nothing is lost, nothing is charged twice and nothing is stuck.

A round fills in one form and is killed at one place. Half of the forms are sent again, as a person would who saw no
answer; then reconcile runs, and the bank's books (files, see bank.py) are compared with ours.
"""

import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from importlib import import_module
from itertools import cycle, islice

from billing.domain import charges, checkouts, refunds, settle
from billing.domain.ledger import ledger_errors
from billing.domain.requests import create_payment_request
from billing.drills import children
from billing.drills.bank import SLUG, FileBank
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import find_card
from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout
from billing.models import Attempt, Payment, Refund
from customers.domain import create_customer
from dashboard.states import DomainError

AMOUNT = 4850  # minor units

# where a process dies: (module or class, function, before or after it)
_BANK = "billing.drills.bank:FileBank"
CHARGE_PHASES = {
    "intent being written": ("billing.domain.attempts", "write_attempt", False),
    "intent saved": ("billing.domain.attempts", "mark_sent", True),
    "call on its way": (_BANK, "charge", True),
    "money taken": (_BANK, "charge", False),
    "answer in hand": ("billing.domain.charges", "apply_answer", True),
    "books half written": ("billing.domain.payments", "collect", False),
    "committed": ("billing.domain.charges", "settle_attempt", False),
}
REFUND_PHASES = {
    "intent being written": ("billing.domain.attempts", "write_attempt", False),
    "intent saved": ("billing.domain.attempts", "mark_sent", True),
    "call on its way": (_BANK, "refund", True),
    "money taken": (_BANK, "refund", False),
    "answer in hand": ("billing.domain.refunds", "apply_refund", True),
    "books half written": ("billing.domain.attempts", "mark_done", False),
    "committed": ("billing.domain.refunds", "settle_attempt", False),
}
CHECKOUT_PHASES = {
    "intent being written": ("billing.domain.attempts", "write_attempt", False),
    "intent saved": ("billing.domain.attempts", "mark_sent", True),
    "page made": ("billing.gateways.sandbox.gateway:SandboxGateway", "create_checkout", False),
    "page kept": ("billing.domain.attempts", "keep_answer", False),
    "money taken": ("billing.gateways.sandbox.bank", "pay", False),
    "answer in hand": ("billing.domain.payments", "apply_snapshot", True),
    "books half written": ("billing.domain.payments", "collect", False),
}


@dataclass
class Result:
    """What a drill found. `faults` is empty when all is well."""

    name: str
    rounds: int
    killed: Counter = field(default_factory=Counter)
    lost: int = 0
    double: int = 0
    phantom: int = 0
    stuck: int = 0
    faults: list = field(default_factory=list)

    @property
    def lines(self):
        yield f"{self.name}: {self.rounds} rounds, killed {sum(self.killed.values())} times"
        yield from (f"  {phase}: {count}" for phase, count in self.killed.items())
        yield f"  lost {self.lost}, double {self.double}, phantom {self.phantom}, stuck {self.stuck}"
        yield from (f"  {fault}" for fault in self.faults)

    @property
    def clean(self):
        return not (self.lost or self.double or self.phantom or self.stuck or self.faults)


def run(rounds, *, charge=None, phases=CHARGE_PHASES, name="charge"):
    """Charge a saved card `rounds` times, each killed in one phase. `charge(customer, form)` stands in for the product's."""
    charge, customer = charge or charge_once, drilled_customer()
    result, forms, again = Result(name, rounds), [], set()
    for n, phase in enumerate(islice(cycle(phases), rounds)):
        forms.append(form := f"{name}-{secrets.token_hex(8)}")
        _round(result, phase, phases[phase], partial(charge, customer, form))
        if _resent(n, phases):
            again.add(form)
            charge(customer, form)
    reconcile()
    return _compare_charges(result, forms, again)


def _resent(n, phases):
    """Whether round n's form is sent again: in every second turn through the phases."""
    return n // len(phases) % 2 == 0


def _round(result, phase, place, work):
    if children.run_and_wait(lambda: (_arm(*place), work())):
        result.killed[phase] += 1


def _arm(owner, name, before):
    module, _, cls = owner.partition(":")
    target = getattr(import_module(module), cls) if cls else import_module(module)
    setattr(target, name, children.dying(getattr(target, name), before=before))


def drilled_customer(**fields):
    """A customer nobody else drills with."""
    return create_customer(by=None, livemode=False, currency="USD", first_name="Drill", last_name=secrets.token_hex(4), **fields)


def charge_once(customer, form, form_key=""):
    """The product's way."""
    how = {"gateway": SLUG, "token": "tok", "amount": AMOUNT, "currency": "USD", "by": None}
    charges.charge_method(customer, form_key=form_key or form, description=form, **how)


def reconcile():
    """What the worker does each minute."""
    for _attempt in settle.reconcile_attempts(timedelta(0)):
        pass
    for _sentence in settle.reconcile_processing(timedelta(0)):
        pass


def _compare_charges(result, forms, again):
    taken = Counter(e["body"]["description"] for e in FileBank.entries("charge"))
    booked = Counter(Payment.objects.paid().filter(description__in=forms).values_list("description", flat=True))
    for form in forms:
        result.double += taken[form] > 1
        result.lost += taken[form] > booked[form]
        result.phantom += booked[form] > taken[form]
        if form in again and not taken[form]:
            result.faults.append(f"{form} was sent again and never charged.")
    return _finish(result, Payment.objects.filter(description__in=forms, status=Payment.Status.PENDING))


def _finish(result, waiting, unfinished=None):
    unfinished = Attempt.objects.open() if unfinished is None else unfinished
    result.stuck = waiting.count() + unfinished.count()
    result.faults += ledger_errors()
    return result


# --- refunds ---------------------------------------------------------------------------------------------
def run_refunds(rounds):
    """Refund a payment of its own `rounds` times, each killed in one phase."""
    customer, result = drilled_customer(), Result("refund", rounds)
    paid = {}
    for n, phase in enumerate(islice(cycle(REFUND_PHASES), rounds)):
        form = f"refund-{secrets.token_hex(8)}"
        charge_once(customer, form)
        paid[form] = Payment.objects.get(form_key=form)
        _round(result, phase, REFUND_PHASES[phase], partial(refund_once, paid[form], form))
        if _resent(n, REFUND_PHASES):
            refund_once(paid[form], form)
    reconcile()
    return _compare_refunds(result, paid)


def refund_once(payment, form):
    refunds.create_refund(payment, amount=AMOUNT // 2, reason=Refund.Reason.REQUESTED, by=None, form_key=form)


def _compare_refunds(result, paid):
    given = Counter(e["body"]["payment"] for e in FileBank.entries("refund"))
    done = Refund.objects.filter(form_key__in=paid, status=Refund.Status.SUCCEEDED)
    booked = Counter(done.values_list("payment__gateway_reference", flat=True))
    for payment in paid.values():
        back = given[payment.gateway_reference]
        result.double += back > 1
        result.lost += back > booked[payment.gateway_reference]
        result.phantom += booked[payment.gateway_reference] > back
    return _finish(result, Refund.objects.filter(form_key__in=paid, status=Refund.Status.PENDING))


# --- a payer on a gateway's page -------------------------------------------------------------------------
def run_checkouts(rounds):
    """Pay a request of its own `rounds` times on the sandbox's card page, each killed in one phase."""
    customer, result, asked = drilled_customer(), Result("checkout", rounds), []
    for n, phase in enumerate(islice(cycle(CHECKOUT_PHASES), rounds)):
        fields = {"amount": AMOUNT, "currency": "USD", "country": "US", "method_types": ["card"]}
        asked.append(request := create_payment_request(customer, by=None, **fields))
        _round(result, phase, CHECKOUT_PHASES[phase], partial(pay_once, request))
        if _resent(n, CHECKOUT_PHASES):
            pay_once(request)
    reconcile()
    return _compare_checkouts(result, asked)


def pay_once(request):
    """A payer opens the link, types a card if there is a page for it, and comes back."""
    try:
        attempt = checkouts.start_payment(request)
    except DomainError:  # paid already, or being checked
        return
    page = SandboxCheckout.objects.get(pk=attempt.remote_id)
    bank.pay(page, find_card("4242424242424242"), version=page.version)
    checkouts.settle_checkout("sandbox", page.pk)


def _compare_checkouts(result, asked):
    attempts = dict(Attempt.objects.filter(target_id__in=[r.pk for r in asked]).values_list("pk", "target_id"))
    charged = SandboxCharge.objects.filter(reference__in=attempts, status=SandboxCharge.Status.SUCCEEDED)
    taken = Counter(attempts[reference] for reference in charged.values_list("reference", flat=True))
    booked = Counter(Payment.objects.paid().filter(request__in=asked).values_list("request_id", flat=True))
    for request in asked:
        result.double += taken[request.pk] > 1
        result.lost += taken[request.pk] > booked[request.pk]
        result.phantom += booked[request.pk] > taken[request.pk]
    return _finish(result, Payment.objects.filter(request__in=asked, status=Payment.Status.PENDING), _unfinished())


def _unfinished():
    """Open attempts that something has to become of; a page that merely waits for its payer is not stuck."""
    return Attempt.objects.open().exclude(kind=Attempt.Kind.CHECKOUT, state=Attempt.State.SENT)
