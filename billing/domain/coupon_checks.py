"""What can be wrong with a coupon as it is typed: one sentence a field. The form shows them, the domain refuses with them."""

from django.utils import timezone

from billing.models import Coupon
from billing.models.coupons import CODE
from dashboard.money import CURRENCIES, LARGEST, Money

LONGEST, MOST = 120, 1_000_000_000  # months; uses


def faults(coupon, was=None):
    """{field: sentence} of what is wrong with a coupon's values. `was` is the coupon before an edit."""
    return {
        **_code_faults(coupon),
        **_kind_faults(coupon),
        **_month_faults(coupon),
        **_limit_faults(coupon),
        **_date_faults(coupon, was),
        **_customer_faults(coupon),
    }


def taken_sentence(code):
    return f"There is a coupon {code} already, in whatever case. Choose another code."


def _code_faults(coupon):
    return {} if CODE.regex.search(coupon.code) else {"code": str(CODE.message)}


def _kind_faults(coupon):
    percent, amount = coupon.percent_off, coupon.amount_off
    if percent is None and amount is None:
        return {"percent_off": "Enter a percentage or an amount."}
    if percent is not None and amount is not None:
        return {"amount_off": "Enter a percentage or an amount, not both."}
    return _amount_faults(coupon) if percent is None else _percent_faults(coupon)


def _percent_faults(coupon):
    if not 1 <= coupon.percent_off <= 100 or coupon.percent_off != round(coupon.percent_off, 2):
        return {"percent_off": "Enter a percentage from 1 to 100, with two decimals at most."}
    return {"currency": "A percentage has no currency. Leave it out."} if coupon.currency else {}


def _amount_faults(coupon):
    if coupon.currency not in CURRENCIES:
        return {"currency": "Choose the currency of the amount."}
    if not 0 < coupon.amount_off <= LARGEST:
        return {"amount_off": f"Enter an amount above zero, up to {Money(LARGEST, coupon.currency)}."}
    return {}


def _month_faults(coupon):
    repeating, months = coupon.duration == Coupon.Duration.REPEATING, coupon.duration_in_months
    if coupon.duration not in Coupon.Duration:
        return {"duration": "Choose for how long it is given."}
    if repeating and not (months and 1 <= months <= LONGEST):
        return {"duration_in_months": f"Say for how many months, from 1 to {LONGEST}."}
    if not repeating and months is not None:
        return {"duration_in_months": "Months belong to “For some months”. Choose that, or leave this empty."}
    return {}


def _limit_faults(coupon):
    found = {}
    for name in ("max_redemptions", "max_per_customer"):
        limit = getattr(coupon, name)
        if limit is not None and not 1 <= limit <= MOST:
            found[name] = f"Enter a whole number from 1 to {MOST:,}, or leave this empty for no limit."
    if not found and coupon.max_redemptions and coupon.max_redemptions < coupon.times_redeemed:
        used = "once" if coupon.times_redeemed == 1 else f"{coupon.times_redeemed:,} times"
        found["max_redemptions"] = f"It has been used {used} already. Allow at least as many, or switch it off."
    return found


def _date_faults(coupon, was):
    starts, ends = coupon.starts_at, coupon.redeem_by
    if starts and ends and starts >= ends:
        return {"starts_at": "It would start after it ends. Choose an earlier start or a later end."}
    if ends and ends < timezone.now() and not (was and was.redeem_by == ends):
        return {"redeem_by": "This day has passed. Choose today or a later one."}
    return {}


def _customer_faults(coupon):
    if coupon.customer_id and coupon.customer.livemode != coupon.livemode:
        return {"customer": "There is no such customer in this mode."}
    return {}
