"""Many hands on the last uses of a coupon: never one too many, in all or by one customer, and none lost when given back.

The control looks whether a use is left, and writes when all have looked, as code without a guard does; it must overshoot.
"""

from billing.domain import coupons, statements
from billing.domain.ledger import ledger_errors
from billing.drills.children import at_once
from billing.drills.races import PATIENCE, billed_customer, draft, everybody
from billing.models import Coupon, CouponRedemption

LIMIT = 3


def run(rounds, processes):
    """Every race, `rounds` times over; yields ([sentences], violated)."""
    for race in (last_uses, one_customers_only_use, given_back_and_used):
        found = [race(processes) for _ in range(rounds)]
        wrong = [sentence for sentence, good in found if not good]
        yield [f"{race.__name__.replace('_', ' ')}: {rounds} rounds, {found[-1][0]}", *wrong], bool(wrong)
    for control in (used_after_a_look, counted_after_a_look):
        found = [control(processes) for _ in range(5)]
        caught = any(overshot for _, overshot in found)
        yield [f"control, {found[-1][0]}, {'caught' if caught else 'NOT CAUGHT'}"], not caught
    faults = [*ledger_errors(), *coupons.coupon_errors()]
    yield [f"ledger and coupons: {len(faults)} faults", *faults], bool(faults)


def _coupon(**limits):
    return coupons.create_coupon(livemode=False, by=None, percent_off=10, **limits)


def _drafts(count, coupon, customer=None):
    """Drafts that name the coupon, of one customer or of one each."""
    found = [draft(customer or billed_customer()) for _ in range(count)]
    lines = [("Beans", 1, 10_000)]
    return [statements.update_draft(one, version=1, by=None, lines=lines, coupon=coupon) for one in found]


def _uses(coupon):
    return coupon.redemptions.counted().count(), Coupon.objects.get(pk=coupon.pk).times_redeemed


def last_uses(processes):
    """Statements of as many customers are finalised with a coupon of three uses: three are."""
    coupon = _coupon(max_redemptions=LIMIT)
    drafts = _drafts(processes, coupon)
    did, refused, broke = at_once(processes, lambda n: statements.finalize_statement(drafts[n], by=None))
    good = (did, broke) == (LIMIT, 0) and _uses(coupon) == (LIMIT, LIMIT)
    return f"{processes} at the last {LIMIT} uses: {did} went through, {refused} refused, {broke} broke", good


def one_customers_only_use(processes):
    """One customer's statements are finalised with a coupon of one use a customer: one is."""
    coupon = _coupon(max_per_customer=1)
    drafts = _drafts(processes, coupon, billed_customer())
    did, refused, broke = at_once(processes, lambda n: _use_directly(coupon, drafts[n]))
    good = (did, broke) == (1, 0) and _uses(coupon) == (1, 1)
    for statement in drafts:  # drafts hold no use
        coupons.release(statement, by=None)
    good = good and _uses(coupon) == (0, 0)
    return f"{processes} at one customer's only use: {did} went through, {refused} refused, {broke} broke", good


def _use_directly(coupon, statement):
    """Without finalising, whose lock of the customer would hold the race off before the coupon does."""
    about = {"customer": statement.customer, "on": statement, "subtotal": statement.subtotal, "currency": "USD"}
    coupons.redeem(coupon, by=None, **about)


def given_back_and_used(processes):
    """Half the hands void statements, one of them twice; the others want the uses that sets free. The count comes out right."""
    coupon = _coupon(max_redemptions=LIMIT)
    held = [statements.finalize_statement(one, by=None) for one in _drafts(LIMIT, coupon)]
    drafts = _drafts(processes, coupon)

    def work(n):
        if n % 2:
            statements.finalize_statement(drafts[n], by=None)
        else:
            statements.void_statement(held[n // 2 % LIMIT], reason="Drill", by=None)

    *_, broke = at_once(processes, work)
    rows, kept = _uses(coupon)
    good = rows == kept <= LIMIT and not broke
    return f"{processes} give back and use at once: {rows} uses stand, {kept} counted, {broke} broke", good


def used_after_a_look(processes):
    """Look whether a use is left, write when all have looked."""
    coupon, looked = _coupon(max_redemptions=LIMIT), everybody(processes)
    drafts = _drafts(processes, coupon)
    at_once(processes, lambda n: _careless_use(coupon, drafts[n], looked))
    rows = coupon.redemptions.count()
    CouponRedemption.objects.filter(coupon=coupon).delete()
    Coupon.objects.filter(pk=coupon.pk).update(times_redeemed=0)
    return f"a use after a look: {rows} of {LIMIT} were taken", rows > LIMIT


def _careless_use(coupon, statement, looked):
    used = Coupon.objects.get(pk=coupon.pk).times_redeemed
    looked.wait(PATIENCE)
    if used < LIMIT:
        Coupon.objects.filter(pk=coupon.pk).update(times_redeemed=used + 1)
        _careless_row(coupon, statement)


def counted_after_a_look(processes):
    """Count the customer's uses, write when all have counted."""
    coupon, looked = _coupon(max_per_customer=1), everybody(processes)
    drafts = _drafts(processes, coupon, billed_customer())
    at_once(processes, lambda n: _careless_count(coupon, drafts[n], looked))
    rows = coupon.redemptions.count()
    CouponRedemption.objects.filter(coupon=coupon).delete()
    return f"a customer's use after a look: {rows} of 1 were taken", rows > 1


def _careless_count(coupon, statement, looked):
    used = coupon.redemptions.filter(customer=statement.customer_id).exists()
    looked.wait(PATIENCE)
    if not used:
        _careless_row(coupon, statement)


def _careless_row(coupon, statement):
    about = {"livemode": False, "customer_id": statement.customer_id, "statement": statement, "currency": "USD"}
    CouponRedemption.objects.create(coupon=coupon, amount_discounted=1_000, **about)
