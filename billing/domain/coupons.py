"""What may be done with coupons: make, change, switch, use one, give its use back.

A use is taken when a statement is finalised, a payment request is made or a subscription begins, in that transaction,
and given back when the statement is voided or the request ends unpaid. One UPDATE decides whether there is a use left,
so two people never share the last one. Lock order: the bill first, its customer next, the coupon last.
"""

import secrets
from copy import copy
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Upper
from django.utils import timezone

from billing.domain.coupon_checks import LONGEST, faults, taken_sentence
from billing.domain.once import make_once
from billing.models import BillingStatement, Coupon, CouponRedemption, PaymentRequest, Subscription
from billing.models.coupons import CODE
from billing.periods import begins_on
from customers.domain import Stale, refuse_archived
from customers.models import Customer
from dashboard import events
from dashboard.money import Money
from dashboard.states import DomainError, Duplicate
from dashboard.templatetags.ui import day_text

LETTERS = "ACDEFGHJKMNPQRTUVWXY34679"  # none that looks like another: no 0/O, 1/I/L, 2/Z, 5/S, 8/B
LENGTH = 10
TERMS = ("code", "percent_off", "amount_off", "currency", "duration", "duration_in_months", "customer")
REST = ("name", "description", "max_redemptions", "max_per_customer", "starts_at", "redeem_by", "metadata")
EDITABLE = (*TERMS, *REST)
LOCKED = "This coupon has been used, so what it takes off stands. Duplicate it for other terms."
_SAME_FORM = ("livemode", "name", "max_redemptions", "max_per_customer", "starts_at", *TERMS[1:-1], "customer_id")
_ON = {BillingStatement: "statement", PaymentRequest: "request", Subscription: "subscription"}  # columns, by what it is used on


# --- finding and reckoning ---------------------------------------------------------------------------------
def find(code, livemode):
    """The coupon of a code in this mode, whatever its case, or None."""
    code = str(code).strip()
    if not CODE.regex.search(code):
        return None
    return Coupon.objects.alias(upper=Upper("code")).filter(livemode=livemode, upper=code.upper()).first()


def generate_code(livemode):
    """A code no coupon of this mode has, of characters one can read aloud."""
    while True:
        code = "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
        if not find(code, livemode):
            return code


def discount_of(coupon, subtotal, currency):
    """Minor units a coupon takes off `subtotal` minor units: all of it at most, halves of a unit rounded up.

    Raises DomainError when it takes off an amount in another currency.
    """
    if coupon.percent_off is None:
        if sentence := _wrong_currency(coupon, currency):
            raise DomainError(sentence)
        return min(subtotal, coupon.amount_off)
    hundredths = int(coupon.percent_off * 100)
    return (subtotal * hundredths + 5_000) // 10_000


def _wrong_currency(coupon, currency):
    if coupon.percent_off is None and currency and currency != coupon.currency:
        return f"{coupon} takes {coupon.amount_off_money} off bills in {coupon.currency}. This is in {currency}."
    return ""


def why_not_valid(coupon, *, customer=None, currency="", subtotal=None, now=None):
    """Why a coupon cannot be used, in a sentence; "" when it can. What is not given is not asked about."""
    return why_not_now(coupon, now) or _why_not_here(coupon, customer, currency, subtotal)


def why_not_now(coupon, now=None):
    """Why nobody can use a coupon at this time, in a sentence; "" when somebody can."""
    status = coupon.status_word_at(now or timezone.now())
    if status == "used_up":
        times = "once" if coupon.max_redemptions == 1 else f"{coupon.max_redemptions:,} times"
        return f"{coupon} has been used {times}, which is all it can be."
    return {
        "active": "",
        "off": f"{coupon} is switched off.",
        "expired": f"{coupon} could be used until {_moment(coupon.redeem_by)}. It has expired.",
        "scheduled": f"{coupon} cannot be used before {_moment(coupon.starts_at)}.",
    }[status]


def _moment(at):
    """A time in words: "22 Nov 2026, 11:02"."""
    local = timezone.localtime(at, settings.ZONE) if at else timezone.localtime()
    return f"{day_text(local)}, {local:%H:%M}"


def _why_not_here(coupon, customer, currency, subtotal):
    if customer and customer.livemode != coupon.livemode:
        return f"{coupon} is a coupon of {'live' if coupon.livemode else 'test'} mode."
    if customer and coupon.customer_id and coupon.customer_id != customer.pk:
        return f"{coupon} is for {coupon.customer} alone."
    if subtotal == 0:
        return f"There is nothing {coupon} could take off."
    return _wrong_currency(coupon, currency) or (customer and _why_not_again(coupon, customer)) or ""


def _why_not_again(coupon, customer):
    most = coupon.max_per_customer
    if most is None or coupon.redemptions.counted().filter(customer=customer).count() < most:
        return ""
    return f"{customer} has used {coupon} {'once' if most == 1 else f'{most:,} times'}, as often as one customer may."


def refuse_invalid(coupon, **about):
    """Raise DomainError with the sentence of why_not_valid, if there is one."""
    if sentence := why_not_valid(coupon, **about):
        raise DomainError(sentence)


# --- making and changing -----------------------------------------------------------------------------------
def create_coupon(*, livemode, by, code="", form_key="", created_at=None, **fields):
    """Make a coupon; without a code it gets one. The same form_key gives the same coupon, however often it comes.

    `fields` are EDITABLE ones. A limit of 0 is none (spec 2.3). A repeating coupon without a last day ends when
    its months, counted from its creation, do (spec 2.3). Raises DomainError with what is wrong.
    """
    coupon = Coupon(livemode=livemode, created_by=by, form_key=form_key, created_at=created_at or timezone.now())
    set_fields(coupon, code=code or generate_code(livemode), **fields)
    _refuse(faults(coupon))
    try:
        alike = lambda found: not code or found.code.upper() == code.upper()  # noqa: E731  a code of ours differs each time
        return make_once(coupon, lambda: _save_new(coupon, by), same=_SAME_FORM, alike=alike)
    except IntegrityError:
        raise Duplicate(taken_sentence(coupon.code), "code") from None


@transaction.atomic
def _save_new(coupon, by):
    """A bound customer is locked, so that nobody archives it between the look and the write."""
    if coupon.customer_id:
        refuse_archived(Customer.objects.select_for_update(no_key=True).get(pk=coupon.customer_id))
    coupon.derive().save(force_insert=True)
    events.record("coupon.created", coupon, by=by, code=coupon.code, off=coupon.off)
    return coupon


def set_fields(coupon, **fields):
    """Put EDITABLE values on a coupon, unsaved, completed as create_coupon says. Returns the coupon."""
    if unknown := set(fields) - set(EDITABLE):
        raise TypeError(f"A coupon's {', '.join(sorted(unknown))} cannot be set.")
    for name, value in fields.items():
        setattr(coupon, name, _completed(name, value))
    if coupon.redeem_by is None and coupon.duration == "repeating" and 1 <= (coupon.duration_in_months or 0) <= LONGEST:
        coupon.redeem_by = _months_later(coupon.created_at, coupon.duration_in_months)
    return coupon


def _completed(name, value):
    if name in ("max_redemptions", "max_per_customer"):
        return value or None
    if name == "percent_off":
        return value if value is None else Decimal(value)
    return (value or {}) if name == "metadata" else value


def _months_later(at, months):
    """The same time of the day so many calendar months later, where the dashboard is."""
    local = timezone.localtime(at, settings.ZONE)
    return datetime.combine(begins_on(local.date(), months, "month"), local.time(), settings.ZONE)


def _refuse(found):
    if found:
        raise DomainError(next(iter(found.values())))


def _lock(coupon):
    """The coupon as it is now, its row locked."""
    return Coupon.objects.select_for_update(no_key=True).get(pk=coupon.pk)


def is_used(coupon):
    """Whether its terms stand: someone has used it, be it that the use was given back."""
    return coupon.redemptions.exists()


@transaction.atomic
def update_coupon(coupon, *, version, by, **fields):
    """Set some of a coupon's EDITABLE fields; of a used one, REST alone. A save that changes nothing writes nothing.

    Raises Stale when the stored version is not `version`, DomainError with what is wrong.
    """
    was = _lock(coupon)
    if was.version != version:
        raise Stale(was)
    current = set_fields(copy(was), **fields)
    changes = {
        n: [_told(getattr(was, n)), _told(getattr(current, n))] for n in EDITABLE if getattr(was, n) != getattr(current, n)
    }
    if set(changes) & set(TERMS) and is_used(was):
        raise DomainError(LOCKED)
    if not changes:
        return was
    _refuse(faults(current, was))
    if "customer" in changes and current.customer:
        refuse_archived(current.customer)
    _save_version(current, version)
    events.record("coupon.updated", current, by=by, changes=changes)
    return current


def _told(value):
    """A value as an event keeps it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, (Decimal, Customer)) else value


def _save_version(current, version):
    """Compare and set: on SQLite nothing else stops two writers between read and write."""
    current.version, current.updated_at = version + 1, timezone.now()
    values = {n: getattr(current.derive(), n) for n in (*EDITABLE, "version", "updated_at", "sort_name", "search")}
    try:
        with transaction.atomic():
            saved = Coupon.objects.filter(pk=current.pk, version=version).update(**values)
    except IntegrityError:
        raise Duplicate(taken_sentence(current.code), "code") from None
    if not saved:
        raise Stale(Coupon.objects.get(pk=current.pk))


@transaction.atomic
def switch(coupon, *, active, by):
    """Switch a coupon off, so that nobody uses it any more, or on again. Twice is once."""
    changed = Coupon.objects.filter(pk=coupon.pk, active=not active)
    if changed.update(active=active, updated_at=timezone.now(), version=F("version") + 1):
        events.record("coupon.switched_on" if active else "coupon.switched_off", coupon, by=by)
    coupon.refresh_from_db()
    return coupon


# --- using -------------------------------------------------------------------------------------------------
@transaction.atomic
def redeem(coupon, *, customer, on, subtotal, currency, by, counts=True):
    """Use a coupon on a saved statement, payment request or subscription, in the caller's transaction.

    Takes one of its uses; with counts=False it takes none, for what belongs to a use taken before. The discount is
    reckoned from `subtotal` minor units; a subscription's own is 0, because its invoices say what was taken off.
    Raises DomainError, with nothing changed, when it cannot be used (any more).
    """
    if counts:
        _take_use(coupon)
    current = Coupon.objects.select_related("customer").get(pk=coupon.pk)  # its row is locked: these terms are the ones used
    if sentence := _why_not_here(current, customer, currency, None) if counts else _wrong_currency(current, currency):
        raise DomainError(sentence)
    redemption = CouponRedemption(
        livemode=current.livemode,
        coupon=current,
        customer=customer,
        counts=counts,
        amount_discounted=0 if isinstance(on, Subscription) else discount_of(current, subtotal, currency),
        currency=currency,
        created_by=by,
        **{_ON[type(on)]: on},
    )
    if counts:
        _refuse_other_discount(redemption, on)
    return _save_use(redemption, on, by)


def _refuse_other_discount(redemption, on):
    """What the bill says is taken off must be what is: the coupon may have been edited since the bill was drafted."""
    said = getattr(on, "discount_amount", redemption.amount_discounted)
    if said != redemption.amount_discounted:
        amounts = f"{redemption.amount_money} off now, not {Money(said, redemption.currency)}"
        raise DomainError(f"{redemption.coupon} was changed: it takes {amounts}. Open the form and save it again.")


def _take_use(coupon):
    """One UPDATE decides: of two people at the last use, the second waits here for the first, and then is refused."""
    if not Coupon.objects.filter(pk=coupon.pk).usable().update(times_redeemed=F("times_redeemed") + 1):
        current = Coupon.objects.get(pk=coupon.pk)
        raise DomainError(why_not_now(current) or f"Someone else used {current} just now. Try again.")


def _save_use(redemption, on, by):
    if on.redemptions.standing().exists():
        raise DomainError("A coupon is used on this already. One bill takes one coupon.")
    redemption.save(force_insert=True)
    _record("coupon.redeemed", redemption, on, by)
    return redemption


def _record(kind, redemption, on, by):
    """On the coupon, and told on the customer's timeline."""
    about = {"on": on.pk, "amount": redemption.amount_discounted, "currency": redemption.currency}
    events.record(kind, redemption.coupon, by=by, customer=redemption.customer, code=redemption.coupon.code, **about)


@transaction.atomic
def release(on, *, by):
    """Give back what a statement, payment request or subscription took of its coupon, in the caller's transaction.

    Twice is once. Returns how many uses were given back.
    """
    standing = on.redemptions.standing().select_related("coupon", "customer").order_by("pk")
    return sum(_give_back(redemption, on, by) for redemption in standing)


def _give_back(redemption, on, by):
    now = timezone.now()
    if not CouponRedemption.objects.filter(pk=redemption.pk, released_at=None).update(released_at=now):
        return False
    if redemption.counts:
        Coupon.objects.filter(pk=redemption.coupon_id, times_redeemed__gt=0).update(times_redeemed=F("times_redeemed") - 1)
    _record("coupon.released", redemption, on, by)
    return redemption.counts


# --- the proof ---------------------------------------------------------------------------------------------
def coupon_errors():
    """A sentence for every coupon and bill that its redemptions do not add up to. Empty when all is well."""
    yield from _count_errors()
    bill, request = BillingStatement.Status, PaymentRequest.Status
    yield from _bill_errors(BillingStatement, "statement", over=[bill.DRAFT, bill.VOID])
    yield from _bill_errors(PaymentRequest, "request", over=[request.CANCELED, request.EXPIRED], either=[request.DONE])


def _count_errors():
    counted = Count("redemptions", filter=Q(redemptions__counts=True, redemptions__released_at=None))
    wrong = Coupon.objects.annotate(true=counted).exclude(times_redeemed=F("true"))
    for pk, kept, true in wrong.values_list("pk", "times_redeemed", "true"):
        yield f"{pk}: the coupon says it was used {kept} times; its redemptions say {true}."


def _bill_errors(model, name, *, over, either=()):
    """Bills must say the discount their redemptions say; those that are `over` hold none.

    A request that ended unpaid gave its use back, and may be paid after all: `either` is what such a one becomes.
    """
    uses = CouponRedemption.objects.standing().exclude(**{name: None}).order_by()
    true = dict(uses.values_list(name).annotate(Sum("amount_discounted")))
    rows = model.objects.filter(Q(pk__in=true) | ~Q(discount_amount=0) & ~Q(status__in=[*over, *either]))
    for pk, status, discount in rows.order_by("pk").values_list("pk", "status", "discount_amount"):
        said = 0 if status in over else discount
        if said != true.get(pk, 0):
            yield f"{pk}: the {name}'s discount is {said}; its redemptions say {true.get(pk, 0)}."
