"""The gateways of this installation, by slug. Each comes wrapped so that no call runs inside a transaction."""

import functools
import hashlib
from typing import NamedTuple

from django.db import connection, transaction
from django.utils.module_loading import import_string

GATEWAYS = {"sandbox": "billing.gateways.sandbox.gateway.SandboxGateway"}


class About(NamedTuple):
    """How a gateway is named to people and to other systems: a stable id, its kind, its name."""

    id: str
    type: str
    name: str


def about(slug):
    """The About of a gateway, also of one this installation has no more: old methods and payments still name it."""
    digest = hashlib.sha256(f"counterfoil.gateway:{slug}".encode()).hexdigest()[:24]
    return About(f"gw_{digest}", slug, slug.replace("_", " ").capitalize())


class InsideTransaction(RuntimeError):
    """A gateway was called while a transaction was open: a rollback would forget money that moved."""


class Outside:
    """A gateway whose operations refuse to run inside a transaction."""

    def __init__(self, gateway):
        self._gateway = gateway

    def __getattr__(self, name):
        found = getattr(self._gateway, name)
        return _checked(found) if callable(found) else found


def _checked(operation):
    @functools.wraps(operation)
    def call(*args, **kwargs):
        refuse_transaction()
        return operation(*args, **kwargs)

    return call


def refuse_transaction():
    """Raise InsideTransaction when a transaction is open in this thread.

    A durable block is Django's own way to ask; it does not count the transaction a test case wraps around a test.
    """
    if not connection.in_atomic_block:
        return
    try:
        with transaction.atomic(durable=True):
            pass
    except RuntimeError:
        raise InsideTransaction("A gateway may not be called inside a transaction.") from None


def gateway_for(slug):
    """The gateway of a slug; KeyError for one this installation does not have."""
    return Outside(import_string(GATEWAYS[slug])())


def gateways_for(livemode, currency):
    """The gateways that take a currency in a mode, the preferred one first. The sandbox is never live."""
    found = (gateway_for(slug) for slug in GATEWAYS)
    return [g for g in found if g.capabilities.livemode == livemode and currency in g.capabilities.currencies]


def method_types_for(livemode, currency):
    """The method types some gateway of this mode takes in a currency, without repeats."""
    return list(dict.fromkeys(t for g in gateways_for(livemode, currency) for t in g.capabilities.method_types))
