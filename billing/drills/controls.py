"""The same charge with a guard left out. Each of these must fail the kill drill, or the drill proves nothing."""

import secrets

from django.db import transaction

from billing.domain.payments import record_payment
from billing.drills.bank import FileBank
from billing.drills.kills import AMOUNT
from billing.gateways.base import ChargeRequest
from billing.models import Payment

_BANK = "billing.drills.bank:FileBank"
PHASES = {"call on its way": (_BANK, "charge", True), "money taken": (_BANK, "charge", False)}


def _charge(form, key):
    FileBank().charge(ChargeRequest(reference=form, amount_minor=AMOUNT, currency="USD", description=form, token="tok"), key=key)


def _record(customer, form):
    record_payment(customer, amount=AMOUNT, currency="USD", by=None, description=form, form_key=form)


def _recorded(form):
    return Payment.objects.filter(form_key=form).exists()


def new_key_per_try(customer, form):
    """Every try is a new one for the bank: whoever tries again pays twice."""
    if not _recorded(form):
        _charge(form, key=secrets.token_hex(16))
        _record(customer, form)


def record_after_the_call(customer, form):
    """Nothing is written before the call: who dies in between has forgotten it."""
    if not _recorded(form):
        _charge(form, key=form)
        _record(customer, form)


def call_inside_the_transaction(customer, form):
    """A rollback takes the record away, and not the money."""
    if _recorded(form):
        return
    with transaction.atomic():
        _record(customer, form)
        _charge(form, key=form)


CONTROLS = {
    "new key per try": (new_key_per_try, "double"),
    "record after the call": (record_after_the_call, "lost"),
    "call inside the transaction": (call_inside_the_transaction, "lost"),
}
