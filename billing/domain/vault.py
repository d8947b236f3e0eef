"""Payment methods on file: kept, chosen and removed. A gateway holds the method; we hold a token and what may be shown."""

from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from billing.domain import attempts, payables
from billing.domain.gateway_texts import NAME, kept
from billing.gateways import gateway_for
from billing.gateways.base import CheckoutStatus, CustomerRef, GatewayError
from billing.models import Attempt, GatewayCustomer, Payment, PaymentMethod, Subscription, TokenizationLink
from customers.domain import refuse_erased
from customers.models import Customer
from dashboard import events, states
from dashboard.places import country_code
from dashboard.states import DomainError

UNREACHABLE = "The payment company cannot be reached right now. Nothing was saved, and no money moved. Try again in a minute."


def gateway_customer(customer, slug):
    """The gateway's id of a customer, under which it saves methods; made there on the first call.

    Not to be called inside a transaction. Raises DomainError when the gateway cannot be reached.
    """
    if found := GatewayCustomer.objects.filter(customer=customer, gateway=slug).first():
        return found.remote_id
    told = CustomerRef(customer.pk, customer.name, customer.email)
    key = f"{customer.pk}.{attempts.hash_body(asdict(told))[:16]}"  # other words are another call: keys are strict
    try:
        remote_id = gateway_for(slug).ensure_customer(told, key=key)
    except GatewayError:
        raise DomainError(UNREACHABLE) from None
    made, _ = GatewayCustomer.objects.get_or_create(customer=customer, gateway=slug, defaults={"remote_id": remote_id})
    return made.remote_id


# --- keeping ---------------------------------------------------------------------------------------------
@transaction.atomic
def keep_method(customer, *, gateway, summary, by, make_default=False, **told):
    """Put a method a gateway saved on file: `summary` is a MethodSummary with its token. The same token is one method.

    `told` are columns the merchant knows and the gateway does not say: an address, a bank's name. The customer's first
    active method becomes the default by itself (C15). Raises DomainError when the gateway told too little to show it:
    R-33 and R-34 name what a card and a wallet account must have; and when it is on file with another customer.
    """
    refuse_erased(Customer.objects.select_for_update(no_key=True).get(pk=customer.pk))
    if found := PaymentMethod.objects.filter(gateway=gateway, gateway_token=summary.token).first():
        if found.customer_id != customer.pk:
            raise DomainError("This payment method is on file with another customer. Nothing was saved.")
        return found
    columns = columns_of(summary) | told
    others = PaymentMethod.objects.filter(customer=customer, is_default=True)
    if make_default:
        others.update(is_default=False)
    method = PaymentMethod.objects.create(
        livemode=customer.livemode,
        customer=customer,
        gateway=gateway,
        gateway_token=summary.token,
        is_default=make_default or not others.exists(),
        created_by=by,
        **columns,
    )
    events.record("payment_method.created", method, by=by, method=str(method), default=method.is_default)
    return method


def columns_of(summary):
    """A MethodSummary as the columns of a PaymentMethod."""
    if not summary.token or summary.type not in _COLUMNS or not _whole(summary):
        raise DomainError("The payment company told too little about this payment method, so it was not kept.")
    given = {"country": country_code(summary.country), "postal_code": summary.postal_code}
    address = {name: value for name, value in given.items() if value}
    return _COLUMNS[summary.type](summary) | {"type": summary.type, "fingerprint": summary.fingerprint, "address": address}


def _whole(summary):
    if summary.type == PaymentMethod.Type.CARD:
        return bool(summary.last4 and summary.brand and 1 <= summary.expire_month <= 12 and summary.expire_year >= 2000)
    return summary.type != PaymentMethod.Type.CHECKOUT or bool(summary.email and summary.holder)


def _card(summary):
    return {
        "card_name": kept(summary.holder, NAME),
        "card_number_last4": summary.last4,
        "card_number_bin": summary.bin,
        "card_scheme": summary.brand,
        "card_funding_method": summary.funding,
        "expire_month": summary.expire_month,
        "expire_year": summary.expire_year,
    }


def _bank_account(summary):
    named = {"account_name": kept(summary.holder, NAME), "account_bank_name": kept(summary.brand, NAME)}
    return named | {"account_number_last4": summary.last4}


def _wallet(summary):
    return {"checkout_email": summary.email, "checkout_holder": kept(summary.holder, NAME), "wallet_type": summary.brand}


_COLUMNS = {"card": _card, "bank_account": _bank_account, "checkout": _wallet}


# --- what a checkout page saved ----------------------------------------------------------------------------
@transaction.atomic
def apply_setup(attempt, snapshot):
    """Step 3 of a page that only saves a card: the card goes on file and the link is done. Repeating it changes nothing."""
    link = payables.lock(attempt.target_id)
    attempt = Attempt.objects.select_for_update(no_key=True).get(pk=attempt.pk)
    saved = snapshot.method if snapshot.method and snapshot.method.token else None
    if saved and snapshot.status == CheckoutStatus.COMPLETE:
        saved = _finish(link, attempt, saved)
    if attempt.is_open:
        _settle(attempt, snapshot, saved)
    return link


def _finish(link, attempt, saved):
    """The method on file, or None when the gateway told too little of it: that is looked into, not forgotten."""
    by = link.created_by if link.by_staff else None
    try:
        method = keep_method(link.customer, gateway=attempt.gateway, summary=saved, by=by, make_default=link.make_default)
    except DomainError:
        return None
    if TokenizationLink.Status.DONE in link.MOVES[link.status]:
        now = timezone.now()
        states.move(link, TokenizationLink.Status.DONE, by=by, method=method, completed_at=now, updated_at=now)
    return method


def _settle(attempt, snapshot, saved):
    if snapshot.status == CheckoutStatus.OPEN:
        attempts.mark_open(attempt)
    elif snapshot.status == CheckoutStatus.COMPLETE and saved:
        attempts.mark_done(attempt)
    elif snapshot.status == CheckoutStatus.COMPLETE:
        attempts.mark_unknown(attempt, "The gateway says a card was saved, but does not tell which.")
    else:
        attempts.mark_failed(attempt, f"The gateway's page is {snapshot.status}.")


@transaction.atomic
def keep_paid_with(target, attempt, snapshot):
    """Put the methods on file that payers let be saved while they paid, and name them on their payments."""
    for result in snapshot.payments:
        if result.method.token:
            _keep_paid_with(target.customer, attempt.gateway, result)


def _keep_paid_with(customer, gateway, result):
    """The money stands whatever becomes of the method: one told too little of is not kept."""
    paid = Payment.objects.filter(gateway=gateway, gateway_reference=result.remote_id, status__in=["paid", "authorized"])
    if not paid.filter(source=None).exists():
        return
    try:
        paid.update(source=keep_method(customer, gateway=gateway, summary=result.method, by=None))
    except DomainError:
        pass


# --- choosing and removing ---------------------------------------------------------------------------------
def default_method(customer):
    """The method that is charged when nobody chooses one, or None."""
    return PaymentMethod.objects.active().filter(customer=customer, is_default=True).first()


@transaction.atomic
def make_default(method, *, by):
    """Let charges without a chosen method use this one (R-30). Raises DomainError for a removed or expired one."""
    Customer.objects.select_for_update(no_key=True).get(pk=method.customer_id)
    current = PaymentMethod.objects.get(pk=method.pk)
    refuse_unchargeable(current)
    if current.is_default:
        raise DomainError(f"{current} is the default already.")
    PaymentMethod.objects.filter(customer_id=current.customer_id, is_default=True).update(is_default=False)
    if not PaymentMethod.objects.active().filter(pk=current.pk).update(is_default=True):
        raise DomainError(f"{current} was removed a moment ago.")
    events.record("payment_method.made_default", current, by=by, method=str(current))
    current.is_default = True
    return current


def remove_method(method, *, by):
    """Take a method out of use: it stays for history and is never charged again (R-36). Its gateway forgets it.

    Not to be called inside a transaction. Raises DomainError while it is the default among several, or while a live
    subscription is charged to it (C16).
    """
    removed = _remove(method, by)
    _detach(removed)  # left there, it is of no use to us any more; staff can see to it at the gateway
    return removed


def _detach(method):
    """Have the gateway forget a method; "" when it has, else why that is not known, which an event says too."""
    try:
        gateway_for(method.gateway).detach_method(method.gateway_token, key=f"{method.pk}.detach")
    except GatewayError as error:
        why = kept(error, 300) or "it does not say why."
        events.record("payment_method.kept_at_gateway", method, by=None, why=why)
        return why
    return ""


@transaction.atomic
def _remove(method, by):
    Customer.objects.select_for_update(no_key=True).get(pk=method.customer_id)
    current = PaymentMethod.objects.get(pk=method.pk)
    if current.archived:
        raise DomainError(f"{current} was removed already.")
    others = PaymentMethod.objects.active().filter(customer_id=current.customer_id).exclude(pk=current.pk)
    if current.is_default and others.exists():
        raise DomainError(f"{current} is the default. Make another one the default first.")
    if used := _subscription_on(current):
        raise DomainError(
            f"The subscription “{used}” is charged to {current}. Give it another payment method or cancel it first."
        )
    return states.move(current, PaymentMethod.Status.ARCHIVED, by=by, is_default=False, archived_at=timezone.now())


def _subscription_on(method):
    """A live subscription that is charged to a method: by name, or because it is the default."""
    live = Subscription.objects.live().filter(customer_id=method.customer_id, billing=Subscription.Billing.AUTOMATIC)
    return live.filter(method=method).first() or (live.filter(method=None).first() if method.is_default else None)


def refuse_unchargeable(method):
    """Raise DomainError for a method that was removed or has expired."""
    if method.archived:
        raise DomainError(f"{method} was removed. Choose another payment method. No money moved.")
    if method.expired:
        raise DomainError(
            f"{method} expired at the end of {method.last_day:%B %Y}. Choose another payment method. No money moved."
        )


def forget_at_gateway(method, *, gone):
    """Ask the gateway to forget a method of somebody who was erased; `gone` then stands where its token stood.

    Not to be called inside a transaction. Returns "" when it is done, else a sentence for staff: nothing is known for sure.
    """
    if why := _detach(method):
        return f"{method.gateway.capitalize()} may still keep a {method.get_type_display().lower()}: {why}"
    PaymentMethod.objects.filter(pk=method.pk).update(gateway_token=gone)
    return ""
