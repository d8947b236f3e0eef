"""How a call reaches the sandbox: once for each key, and, for some amounts, over a bad line.

Idempotency is strict, as at real gateways: a known key with the same body gets the first call's effect again, with
another body it is Rejected. An amount whose last two digits are a key of FAULTS has that fault once, so that staff
can see what a bad connection looks like without one.
"""

import hashlib
import json
from typing import NamedTuple

from django.db import transaction

from billing.gateways.base import OutcomeUnknown, Rejected, Unavailable
from billing.gateways.sandbox.models import SandboxCheckout, SandboxRequestLog


class Fault(NamedTuple):
    """What goes wrong the first time. `executes`: the call has its effect all the same."""

    error: type
    message: str
    executes: bool


BUSY = 9
FAULTS = {  # last two digits of the amount in minor units
    1: Fault(OutcomeUnknown, "The bank took the call but its answer did not arrive.", executes=True),
    2: Fault(OutcomeUnknown, "The line broke before the bank had the call.", executes=False),
    3: Fault(OutcomeUnknown, "The bank answered with an internal error.", executes=True),
    BUSY: Fault(Unavailable, "The bank is taking too many requests.", executes=False),
}


def once(operation, key, body, execute, *, amount=0, faults=FAULTS):
    """Run execute at most once for a key, and answer what it answered ever after.

    execute returns what JSON can hold. Raises Rejected for a key used before for something else, and the fault of
    the amount the first time the key comes.
    """
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    with transaction.atomic():
        SandboxRequestLog.objects.get_or_create(key=key, defaults={"operation": operation, "body_hash": digest})
        log = SandboxRequestLog.objects.select_for_update().get(key=key)
        if (log.operation, log.body_hash) != (operation, digest):
            raise Rejected("This key was used before for something else.")
        log.calls += 1
        fault = faults.get(amount % 100) if log.calls == 1 else None
        if log.response is None and (not fault or fault.executes):
            log.response = execute()
        log.save(update_fields=["calls", "response"])
    if fault:
        raise fault.error(fault.message)
    return log.response


def fault_once(checkout):
    """The fault of an odd amount when a page is asked about: only after its payer submitted a card, and only once."""
    fault = FAULTS.get(checkout.amount % 100) if checkout.version and not checkout.faulted else None
    if not fault or fault is FAULTS[BUSY]:
        return
    if SandboxCheckout.objects.filter(pk=checkout.pk, faulted=False).update(faulted=True):
        raise fault.error(fault.message)
