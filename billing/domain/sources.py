"""Payment sources a merchant's own system brings: a gateway's token, or, in test mode, a listed test card.

The gateway says what a token stands for; the merchant says whose it is and where they live. No number comes this far.
"""

from dataclasses import dataclass, field, replace

from django.db import transaction

from billing.domain import attempts, vault
from billing.gateways import gateway_for
from billing.gateways.base import Declined, GatewayError, MethodSummary, Rejected
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import TestCard, failure_of
from billing.models import PaymentMethod
from customers.domain import refuse_archived
from customers.models import Customer
from dashboard.states import DomainError

NOTHING = "Nothing was saved."
SANDBOX = "sandbox"


class UnknownToken(DomainError):
    """The gateway knows no such token, or keeps it for another customer."""


@dataclass(frozen=True)
class NewSource:
    """What is to be kept: the token of a gateway, or one of the sandbox's own test cards and accounts.

    `shown` are fields of MethodSummary the merchant knows better than the gateway, or knows as well: the two must agree
    on `last4` and `bin`. `columns` are those of PaymentMethod that no gateway tells.
    """

    type: str
    gateway: str
    token: str = ""
    test_card: TestCard | None = None
    shown: dict = field(default_factory=dict)
    columns: dict = field(default_factory=dict)


def look_at(source):
    """The MethodSummary a source would be kept with. Changes nothing; asks the gateway, so no transaction may be open.

    Raises UnknownToken, and DomainError when the card is declined, is something else than was said, or the gateway
    cannot be reached.
    """
    if source.test_card is None:
        return _told(source, _ask(lambda: gateway_for(source.gateway).find_method(source.token)))
    _refuse_live_or_bad(source)
    card = source.test_card
    return _told(source, MethodSummary(card.type, card.brand, card.last4, bin=card.bin))


def save_source(customer, source, *, by, make_default=False, form_key=""):
    """Put a source on file with a customer. The same token is one method, and so is the same form_key of a test card.

    Calls the gateway: not to be called inside a transaction. Raises DomainError as look_at does, and for an archived
    customer; then nothing is on file. What the gateway keeps by then is of no harm: nobody charges it.
    """
    refuse_archived(customer)
    look_at(source)
    summary = _told(source, _tokenize(customer, source, form_key) if source.test_card else _attach(customer, source))
    with transaction.atomic():
        refuse_archived(Customer.objects.select_for_update(no_key=True).get(pk=customer.pk))
        method = vault.keep_method(
            customer, gateway=source.gateway, summary=summary, by=by, make_default=make_default, **source.columns
        )
    if method.archived:
        raise DomainError(f"{method} was removed. To use it again, the customer has to give it again. {NOTHING}")
    return method


def _refuse_live_or_bad(source):
    if source.gateway != SANDBOX:
        raise DomainError(f"Only the sandbox keeps test cards. {NOTHING}")
    if failure := failure_of(source.test_card.failure):
        raise DomainError(f"{failure.message} {NOTHING}")


def _tokenize(customer, source, form_key):
    key = f"{form_key}.token" if form_key else ""
    return _ask(lambda: bank.tokenize(source.test_card, customer.pk, key=key))


def _attach(customer, source):
    remote = vault.gateway_customer(customer, source.gateway)
    key = f"{customer.pk}.{attempts.hash_body({'token': source.token})[:16]}.attach"
    return _ask(lambda: gateway_for(source.gateway).attach_method(source.token, remote, key=key))


def _ask(call):
    """The gateway's answer, or why there is none as a refusal."""
    try:
        return call()
    except Rejected:
        raise UnknownToken(f"The payment company knows no such token for this customer. {NOTHING}") from None
    except Declined as error:
        raise DomainError(f"{error.failure.message} {NOTHING}") from None
    except GatewayError:
        raise DomainError(vault.UNREACHABLE) from None


def _told(source, summary):
    """The gateway's summary with what the merchant tells. Raises DomainError where they contradict each other."""
    if summary.type != source.type:
        raise DomainError(f"This is a {_noun(summary.type)}, not a {_noun(source.type)}. {NOTHING}")
    agreed = {name: _agreed(source, summary, name) for name in ("last4", "bin")}
    return replace(summary, **source.shown | agreed)


def _noun(kind):
    return dict(PaymentMethod.Type.choices).get(kind, kind).lower()


def _agreed(source, summary, name):
    """The digits both tell, as many as either does."""
    said, known = source.shown.get(name, ""), getattr(summary, name)
    if said and known and not (said.startswith(known) or known.startswith(said)):
        words = "last four" if name == "last4" else "first"
        raise DomainError(f"The {words} digits are not those the payment company tells. {NOTHING}")
    return max(said, known, key=len)
