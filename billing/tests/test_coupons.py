"""The rules of coupons: what they take off, when they may be used, how often, and how a use is given back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from billing.domain import coupons, statements
from billing.domain.ledger import ledger_errors
from billing.models import Coupon, CouponRedemption
from billing.tests.factories import make_coupon, make_customer, make_open_statement, make_request, make_statement
from customers.domain import Stale, archive_customer
from dashboard.models import Event
from dashboard.money import LARGEST
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def kinds(coupon):
    return list(Event.objects.filter(object_id=coupon.pk).order_by("pk").values_list("type", flat=True))


def refusal(call, *args, **kwargs):
    with pytest.raises(DomainError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def all_is_well():
    return list(coupons.coupon_errors()) == [] and list(ledger_errors()) == []


# --- reckoning -----------------------------------------------------------------------------------------------
PERCENTS = st.integers(100, 10_000).map(lambda n: Decimal(n) / 100)


@given(subtotal=st.integers(0, LARGEST), percent=PERCENTS)
def test_a_percentage_is_rounded_half_up_and_never_more_than_the_bill(subtotal, percent):
    off = coupons.discount_of(Coupon(percent_off=percent), subtotal, "JPY")

    exact = Decimal(subtotal) * percent / 100
    assert abs(off - exact) <= Decimal("0.5")
    assert off - exact != Decimal("-0.5")  # a half goes up
    assert 0 <= off <= subtotal


@given(subtotal=st.integers(0, LARGEST), amount=st.integers(1, LARGEST))
def test_an_amount_is_taken_off_as_far_as_the_bill_goes(subtotal, amount):
    off = coupons.discount_of(Coupon(amount_off=amount, currency="USD"), subtotal, "USD")

    assert off == min(subtotal, amount)
    assert 0 <= off <= subtotal


@pytest.mark.parametrize(("subtotal", "percent", "off"), [(5, 10, 1), (4, 10, 0), (999, "12.5", 125), (1, 100, 1), (0, 100, 0)])
def test_halves_of_the_smallest_unit_are_rounded_up(subtotal, percent, off):
    assert coupons.discount_of(Coupon(percent_off=Decimal(percent)), subtotal, "USD") == off


def test_an_amount_in_dollars_is_not_taken_off_a_bill_in_euros():
    coupon = make_coupon(amount_off=500, currency="USD", code="FIVE")

    assert "in EUR" in coupons.why_not_valid(coupon, currency="EUR")
    assert "in EUR" in refusal(coupons.discount_of, coupon, 1000, "EUR")


# --- status --------------------------------------------------------------------------------------------------
@given(
    active=st.booleans(),
    used=st.integers(0, 2),
    limit=st.sampled_from([None, 2]),
    starts=st.sampled_from([None, -DAY, DAY]),
    ends=st.sampled_from([None, -DAY, 2 * DAY]),
)
def test_rows_and_expressions_agree_on_the_status(active, used, limit, starts, ends):
    now = timezone.now()
    fields = {"starts_at": starts and now + starts, "redeem_by": ends and now + ends, "max_redemptions": limit}
    coupon = Coupon(
        livemode=False, code=coupons.generate_code(False), percent_off=10, active=active, times_redeemed=used, **fields
    )
    coupon.derive().save(force_insert=True)

    every = ("active", "scheduled", "used_up", "expired", "off")
    status = coupon.status_word_at(now)
    row = Coupon.objects.filter(pk=coupon.pk)
    assert [name for name in every if row.in_status(name, now).exists()] == [status]
    assert row.in_status(coupon.status_word).exists()
    assert row.usable(now).exists() == (status == "active")
    assert (coupons.why_not_now(coupon, now) == "") == (status == "active")


def test_each_status_says_why_in_words(max):
    now, named = timezone.now(), {}
    named["active"] = make_coupon(code="A")
    named["off"] = coupons.switch(make_coupon(code="B"), active=False, by=max)
    named["scheduled"] = make_coupon(code="C", starts_at=now + DAY)
    named["expired"] = make_coupon(code="D", redeem_by=now + DAY)
    named["used_up"] = make_coupon(code="E", max_redemptions=1)
    make_open_statement(coupon=named["used_up"])
    Coupon.objects.filter(code="D").update(redeem_by=now - DAY)

    said = {}
    for status, coupon in named.items():
        coupon.refresh_from_db()
        assert coupon.status_word == status
        said[status] = coupons.why_not_valid(coupon)
    assert said["active"] == ""
    assert said["off"] == "B is switched off."
    assert said["scheduled"].startswith("C cannot be used before ")
    assert said["expired"].endswith("It has expired.")
    assert said["used_up"] == "E has been used once, which is all it can be."


def test_what_it_takes_off_reads_as_people_say_it():
    assert make_coupon(percent_off=Decimal("12.50")).off == "12.5 % off"
    assert (
        make_coupon(amount_off=500, currency="USD", duration="repeating", duration_in_months=3).off == "$5.00 off, for 3 months"
    )
    assert make_coupon(duration="forever").off == "10 % off, forever"
    assert make_coupon(max_redemptions=3).uses_left == 3
    assert make_coupon().uses_left is None


def test_a_repeating_coupon_without_a_last_day_ends_when_its_months_do(settings):
    made = datetime(2026, 1, 31, 12, tzinfo=UTC)
    repeating = {"duration": "repeating", "duration_in_months": 1, "created_at": made}

    sentence = refusal(make_coupon, **repeating)
    assert sentence == "This day has passed. Choose today or a later one."
    coupon = make_coupon(**repeating | {"duration_in_months": 13})
    assert coupon.redeem_by == datetime(2027, 2, 28, 12, tzinfo=UTC)
    day = timezone.now() + DAY
    assert make_coupon(duration="repeating", duration_in_months=3, redeem_by=day).redeem_by == day


# --- making --------------------------------------------------------------------------------------------------
def test_a_coupon_is_made_and_recorded(max):
    coupon = make_coupon(by=max, code="SUMMER_26", name="Summer")

    assert (coupon.code, coupon.created_by, coupon.off) == ("SUMMER_26", max, "10 % off")
    assert kinds(coupon) == ["coupon.created"]
    assert Event.objects.latest().by == max


def test_a_generated_code_has_ten_characters_that_look_like_no_other(monkeypatch):
    codes = {coupons.generate_code(False) for _ in range(200)}

    assert len(codes) == 200
    assert all(len(code) == 10 and not set(code) & set("0O1IL2Z5S8B") for code in codes)


def test_a_generated_code_is_not_one_that_is_taken(monkeypatch):
    letters = iter("A" * 10 + "A" * 10 + "C" * 10)
    monkeypatch.setattr(coupons.secrets, "choice", lambda _: next(letters))

    assert make_coupon().code == "A" * 10
    assert make_coupon().code == "C" * 10


def test_a_code_is_one_coupon_whatever_its_case_and_another_in_the_other_mode():
    coupon = make_coupon(code="Summer")

    assert coupons.find("sUMMER ", False) == coupon
    assert coupons.find("Summer", True) is None
    assert "already" in refusal(make_coupon, code="SUMMER")
    assert make_coupon(code="summer", livemode=True).pk != coupon.pk
    assert Coupon.objects.count() == 2


@pytest.mark.parametrize("text", ["", "no such", "a b", "ß", "x" * 65, "a\x00b", "' OR 1=1 --", "%", "SUMMER\n"])
def test_what_is_no_code_finds_nothing(text):
    make_coupon(code="SS")
    assert coupons.find(text, False) is None


BAD = {
    "110 %": ({"percent_off": 110}, "from 1 to 100"),
    "0 %": ({"percent_off": 0}, "from 1 to 100"),
    "three decimals": ({"percent_off": Decimal("1.234")}, "two decimals"),
    "amount without currency": ({"percent_off": None, "amount_off": 500}, "Choose the currency"),
    "a currency nobody knows": ({"percent_off": None, "amount_off": 500, "currency": "XXX"}, "Choose the currency"),
    "a percentage in dollars": ({"currency": "USD"}, "has no currency"),
    "both kinds": ({"amount_off": 500, "currency": "USD"}, "not both"),
    "neither kind": ({"percent_off": None}, "a percentage or an amount."),
    "nothing off": ({"percent_off": None, "amount_off": 0, "currency": "USD"}, "above zero"),
    "too much off": ({"percent_off": None, "amount_off": LARGEST + 1, "currency": "USD"}, "up to $10,000,000,000.00"),
    "months without repeating": ({"duration_in_months": 3}, "Months belong to"),
    "repeating without months": ({"duration": "repeating"}, "for how many months"),
    "repeating for no months": ({"duration": "repeating", "duration_in_months": 0}, "for how many months"),
    "repeating for ever so long": ({"duration": "repeating", "duration_in_months": 1000}, "from 1 to 120"),
    "no such duration": ({"duration": "always"}, "for how long"),
    "a day that has passed": ({"redeem_by": datetime(2020, 1, 1, tzinfo=UTC)}, "has passed"),
    "a start after the end": (
        {"starts_at": datetime(2090, 1, 2, tzinfo=UTC), "redeem_by": datetime(2090, 1, 1, tzinfo=UTC)},
        "start after it ends",
    ),
    "a code with spaces": ({"code": "SUMMER SALE"}, "without spaces"),
    "a code too long": ({"code": "X" * 65}, "up to 64"),
    "a limit below nothing": ({"max_redemptions": -1}, "no limit"),
    "a limit without end": ({"max_per_customer": 10**12}, "no limit"),
}


@pytest.mark.parametrize(("fields", "sentence"), BAD.values(), ids=BAD)
def test_bad_terms_are_refused_in_words_and_nothing_is_made(fields, sentence):
    assert sentence in refusal(coupons.create_coupon, livemode=False, by=None, **{"percent_off": 10} | fields)
    assert not Coupon.objects.exists()
    assert not Event.objects.exists()


def test_a_coupon_is_not_made_for_an_archived_customer_or_one_of_the_other_mode(max):
    archived, live = make_customer(email="a@example.com"), make_customer(livemode=True, email="b@example.com")
    archive_customer(archived, by=max)
    archived.refresh_from_db()

    assert "archived" in refusal(make_coupon, customer=archived)
    assert "in this mode" in refusal(make_coupon, customer=live)
    assert not Coupon.objects.exists()


def test_a_limit_of_zero_is_none():
    assert make_coupon(max_redemptions=0, max_per_customer=0).max_redemptions is None


def test_one_form_makes_one_coupon():
    first = make_coupon(form_key="f" * 32)

    assert make_coupon(form_key="f" * 32) == first  # although each gets a code of its own
    assert "made the coupon" in refusal(make_coupon, form_key="f" * 32, percent_off=20)
    assert Coupon.objects.count() == 1


# --- changing ------------------------------------------------------------------------------------------------
def test_an_edit_is_recorded_with_old_and_new(max):
    coupon = make_coupon(code="OLD")

    edited = coupons.update_coupon(coupon, version=1, by=max, code="NEW", percent_off=Decimal("20"), name="Better")

    assert (edited.code, edited.off, edited.version) == ("NEW", "20 % off", 2)
    event = Event.objects.latest()
    assert (event.type, event.by) == ("coupon.updated", max)
    assert event.changes == {"code": ["OLD", "NEW"], "percent_off": ["10.00", "20"], "name": ["", "Better"]}
    assert coupons.find("new", False) == coupon


def test_a_save_that_changes_nothing_writes_nothing(max):
    coupon = make_coupon(code="SAME")
    coupon.refresh_from_db()
    coupons.update_coupon(coupon, version=1, by=max, code="SAME", percent_off=Decimal("10.00"), name="")
    assert kinds(coupon) == ["coupon.created"]


def test_a_stale_edit_overwrites_nothing(max):
    coupon = make_coupon()
    coupons.update_coupon(coupon, version=1, by=max, name="Theirs")

    with pytest.raises(Stale):
        coupons.update_coupon(coupon, version=1, by=max, name="Mine")
    coupon.refresh_from_db()
    assert coupon.name == "Theirs"


def test_after_the_first_use_the_terms_stand_and_the_rest_may_change(max):
    coupon = make_coupon(code="USED", max_redemptions=5)
    statement = make_open_statement(coupon=coupon)

    for terms in ({"percent_off": Decimal("50")}, {"code": "OTHER"}, {"duration": "forever"}, {"customer": statement.customer}):
        assert refusal(coupons.update_coupon, coupon, version=1, by=max, **terms) == coupons.LOCKED
    edited = coupons.update_coupon(coupon, version=1, by=max, name="Late", max_redemptions=1, redeem_by=timezone.now() + DAY)
    assert edited.name == "Late"
    statements.void_statement(statement, reason="wrong", by=max)
    assert refusal(coupons.update_coupon, coupon, version=2, by=max, percent_off=Decimal("50")) == coupons.LOCKED


def test_a_limit_cannot_go_below_the_uses_there_are(max):
    coupon = make_coupon(max_redemptions=3)
    for _ in range(2):
        make_open_statement(make_customer(email=f"c{_}@example.com"), coupon=coupon)

    assert "used 2 times already" in refusal(coupons.update_coupon, coupon, version=1, by=max, max_redemptions=1)


def test_an_edit_to_a_code_that_is_taken_is_refused_in_words(max):
    make_coupon(code="FIRST")
    second = make_coupon(code="SECOND")

    assert "already" in refusal(coupons.update_coupon, second, version=1, by=max, code="first")
    second.refresh_from_db()
    assert second.code == "SECOND"


def test_switching_off_and_on_is_recorded_once_each(max):
    coupon = make_coupon()
    for active in (False, False, True, True):
        coupons.switch(coupon, active=active, by=max)

    assert kinds(coupon) == ["coupon.created", "coupon.switched_off", "coupon.switched_on"]
    assert coupon.active


# --- using ---------------------------------------------------------------------------------------------------
def test_finalising_a_statement_uses_its_coupon_and_takes_the_discount_off(max):
    customer, coupon = make_customer(), make_coupon(code="TEN")

    draft = make_statement(customer, coupon=coupon)
    assert (draft.subtotal, draft.discount_amount, draft.total, draft.amount_remaining) == (4860, 486, 4374, 4374)
    assert not CouponRedemption.objects.exists()
    done = statements.finalize_statement(draft, by=max)

    assert (done.status, done.discount_amount, done.amount_remaining) == ("open", 486, 4374)
    use = CouponRedemption.objects.get()
    assert (use.used_on, use.customer, use.amount_discounted, use.counts) == (done, customer, 486, True)
    coupon.refresh_from_db()
    assert coupon.times_redeemed == 1
    event = Event.objects.filter(type="coupon.redeemed").get()
    assert (event.object_id, event.customer_id, event.by) == (coupon.pk, customer.pk, max)
    assert event.data | {"on": done.pk, "amount": 486} == event.data
    assert all_is_well()


def test_a_coupon_of_100_percent_pays_a_statement_at_once(max):
    done = statements.finalize_statement(make_statement(coupon=make_coupon(percent_off=100)), by=max)

    assert (done.status, done.total, done.amount_remaining, bool(done.paid_at)) == ("paid", 0, 0, True)
    assert all_is_well()


def test_voiding_a_statement_gives_the_use_back_once(max):
    coupon = make_coupon(max_redemptions=1)
    statement = make_open_statement(coupon=coupon)
    statements.void_statement(statement, reason="wrong amount", by=max)
    coupons.release(statement, by=max)

    coupon.refresh_from_db()
    assert (coupon.times_redeemed, coupon.status_word) == (0, "active")
    assert CouponRedemption.objects.get().released_at
    assert kinds(coupon) == ["coupon.created", "coupon.redeemed", "coupon.released"]
    assert all_is_well()
    make_open_statement(make_customer(email="next@example.com"), coupon=coupon)  # somebody else may have it now


@pytest.mark.parametrize("change", [{"active": False}, {"redeem_by": timezone.now() - DAY}, {"max_redemptions": 0}])
def test_a_coupon_that_is_not_valid_any_more_stops_the_finalising_and_leaves_the_draft(max, change):
    coupon = make_coupon(code="GONE")
    draft = make_statement(coupon=coupon)
    Coupon.objects.filter(pk=coupon.pk).update(**change)

    assert "GONE" in refusal(statements.finalize_statement, draft, by=max)
    draft.refresh_from_db()
    assert (draft.status, draft.number, draft.discount_amount) == ("draft", "", 486)
    assert not CouponRedemption.objects.exists()
    assert not draft.customer.next_billing_statement_sequence_number > 1


def test_a_coupon_edited_after_the_draft_is_not_used_on_other_terms(max):
    coupon = make_coupon(code="TEN")
    draft = make_statement(coupon=coupon)
    coupons.update_coupon(coupon, version=1, by=max, percent_off=Decimal("50"))

    assert "$24.30 off now, not $4.86" in refusal(statements.finalize_statement, draft, by=max)
    lines = [("Coffee beans, 5 kg", 2, 2180), ("Delivery", 1, 500)]
    saved = statements.update_draft(draft, version=1, by=max, lines=lines)  # saved as it is, it says the new discount
    assert saved.discount_amount == 2430
    assert statements.finalize_statement(saved, by=max).discount_amount == 2430
    assert all_is_well()


def test_a_draft_takes_no_coupon_of_another_customer_mode_or_currency():
    mine, other = make_customer(), make_customer(email="other@example.com")

    assert "alone" in refusal(make_statement, mine, coupon=make_coupon(customer=other))
    assert "live mode" in refusal(make_statement, mine, coupon=make_coupon(livemode=True))
    assert "in PHP" in refusal(make_statement, mine, coupon=make_coupon(amount_off=500, currency="USD"), currency="PHP")
    assert "nothing" in refusal(make_open_statement, mine, coupon=make_coupon(), lines=[("Gift", 1, 0)])


def test_one_customer_uses_a_coupon_as_often_as_one_may():
    coupon, ana, ben = make_coupon(code="ONCE", max_per_customer=1), make_customer(), make_customer(email="ben@example.com")
    drafts = [make_statement(ana, coupon=coupon) for _ in range(2)]
    first = statements.finalize_statement(drafts[0], by=None)

    assert (
        refusal(statements.finalize_statement, drafts[1], by=None) == f"{ana} has used ONCE once, as often as one customer may."
    )
    make_open_statement(ben, coupon=coupon)
    statements.void_statement(first, reason="wrong", by=None)
    assert statements.finalize_statement(drafts[1], by=None).status == "open"
    assert all_is_well()


def test_a_duplicate_keeps_the_coupon_only_while_it_can_be_used(max):
    coupon = make_coupon(max_redemptions=2)
    statement = make_open_statement(coupon=coupon)

    assert statements.duplicate_statement(statement, by=max).coupon == coupon
    make_open_statement(make_customer(email="last@example.com"), coupon=coupon)
    copy = statements.duplicate_statement(statement, by=max)
    assert (copy.coupon, copy.discount_amount, copy.total) == (None, 0, 4860)


def test_what_belongs_to_a_use_takes_no_other(max):
    coupon = make_coupon(max_redemptions=1)
    make_open_statement(coupon=coupon)
    invoice = make_open_statement(make_customer(email="sub@example.com"))

    use = coupons.redeem(coupon, customer=invoice.customer, on=invoice, subtotal=1000, currency="USD", by=max, counts=False)
    coupon.refresh_from_db()
    assert (use.amount_discounted, coupon.times_redeemed) == (100, 1)
    assert coupons.release(invoice, by=max) == 0
    coupon.refresh_from_db()
    assert coupon.times_redeemed == 1


def test_one_bill_takes_one_coupon():
    statement = make_open_statement(coupon=make_coupon())
    other = make_coupon()
    about = {"customer": statement.customer, "on": statement, "subtotal": 4860, "currency": "USD", "by": None}

    assert "One bill takes one coupon" in refusal(coupons.redeem, other, **about)
    other.refresh_from_db()
    assert other.times_redeemed == 0


def test_a_payment_request_uses_its_coupon_when_it_is_made():
    coupon = make_coupon(max_redemptions=1)
    request = make_request(coupon=coupon)

    assert (request.amount, request.discount_amount) == (4365, 485)
    coupon.refresh_from_db()
    assert coupon.times_redeemed == 1
    assert request.redemptions.get().amount_discounted == 485
    assert all_is_well()


def test_the_proof_names_a_count_and_a_discount_that_do_not_add_up():
    counted, billed = make_coupon(), make_coupon()
    statement = make_open_statement(coupon=billed)
    Coupon.objects.filter(pk=counted.pk).update(times_redeemed=2)
    CouponRedemption.objects.filter(statement=statement).update(amount_discounted=1)

    said = " ".join(coupons.coupon_errors())
    assert f"{counted.pk}: the coupon says it was used 2 times; its redemptions say 0." in said
    assert f"{statement.pk}: the statement's discount is 486; its redemptions say 1." in said


def test_a_void_statement_that_still_holds_a_use_is_not_overlooked(max):
    statement = make_open_statement(coupon=make_coupon())
    statements.void_statement(statement, reason="wrong", by=max)
    CouponRedemption.objects.update(released_at=None)

    assert any("redemptions say 1" in sentence for sentence in coupons.coupon_errors())


def test_a_coupon_is_told_on_its_customers_timeline(max):
    statement = make_open_statement(coupon=make_coupon(by=max), by=max)
    told = Event.objects.filter(customer_id=statement.customer_id).values_list("type", flat=True)
    assert "coupon.redeemed" in told
