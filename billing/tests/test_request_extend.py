"""More time for a payment request: the same link, never while somebody pays, and the coupon's use taken again."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from billing.domain import checkouts, coupons
from billing.domain.requests import (
    cancel_payment_request,
    create_payment_request,
    expire_payment_requests,
    extend_request,
)
from billing.gateways.sandbox.models import SandboxCheckout
from billing.models import Attempt, CouponRedemption, PaymentRequest
from billing.tests.factories import make_customer, make_request, submit_card
from billing.tests.test_attempts import at_once
from customers.domain import archive_customer
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db


def in_days(days):
    return timezone.now() + timedelta(days=days)


def expired(request):
    """The request, marked as expired."""
    PaymentRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(minutes=1))
    assert expire_payment_requests() == 1
    return PaymentRequest.objects.get(pk=request.pk)


def make_coupon(**fields):
    return coupons.create_coupon(**{"livemode": False, "by": None, "code": "SPRING", "percent_off": Decimal(10), **fields})


def uses(coupon):
    coupon.refresh_from_db()
    standing = CouponRedemption.objects.filter(coupon=coupon, released_at=None).count()
    assert coupon.times_redeemed == standing
    return standing


# --- the time ----------------------------------------------------------------------------------------------
def test_an_open_request_gets_more_time_on_the_same_link(max):
    request, until = make_request(), in_days(20)
    url = request.url

    assert extend_request(request, expires_at=until, by=max).url == url

    request.refresh_from_db()
    assert (request.expires_at, request.status) == (until, "new")
    event = Event.objects.get(type="payment_request.extended")
    assert (event.by, event.data["until"]) == (max, until.isoformat())


def test_an_expired_request_is_open_again(max):
    request = expired(make_request())

    extend_request(request, expires_at=in_days(1), by=max)

    request.refresh_from_db()
    assert (request.badge, request.payable) == ("Open", True)
    assert Event.objects.filter(type="payment_request.new", by=max).count() == 1
    submit_card(checkouts.start_payment(request))
    checkouts.check_again(request)
    request.refresh_from_db()
    assert request.status == "done"


def test_a_request_past_its_time_and_not_marked_yet_gets_more_time_too(max):
    request = make_request()
    PaymentRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    request.refresh_from_db()

    assert extend_request(request, expires_at=in_days(1), by=max).payable


@pytest.mark.parametrize("delta", [timedelta(days=31), timedelta(days=30, minutes=1), timedelta(seconds=30), timedelta(days=-1)])
def test_more_than_thirty_days_or_less_than_a_minute_is_refused(max, delta):
    request = expired(make_request())

    with pytest.raises(DomainError, match="at least 1 minute and at most 30 days"):
        extend_request(request, expires_at=timezone.now() + delta, by=max)

    request.refresh_from_db()
    assert request.status == "expired"


@pytest.mark.parametrize("delta", [timedelta(minutes=1), timedelta(days=30)])
def test_one_minute_and_thirty_days_are_taken(max, delta):
    assert extend_request(expired(make_request()), expires_at=timezone.now() + delta, by=max).payable


def test_less_time_than_it_has_is_no_extension(max):
    with pytest.raises(DomainError, match="Choose a later time"):
        extend_request(make_request(), expires_at=in_days(3), by=max)


def test_a_canceled_or_paid_request_stays_over(max):
    canceled, paid = make_request(), make_request()
    cancel_payment_request(canceled, by=max)
    submit_card(checkouts.start_payment(paid))
    checkouts.check_again(paid)

    for request, word in ((canceled, "canceled"), (paid, "completed")):
        request.refresh_from_db()
        with pytest.raises(DomainError, match=f"{word} already"):
            extend_request(request, expires_at=in_days(20), by=max)


def test_an_archived_customer_gets_no_more_time(max):
    request = expired(make_request())
    archive_customer(request.customer, by=max)

    with pytest.raises(DomainError, match="archived"):
        extend_request(request, expires_at=in_days(1), by=max)


# --- while it is being paid ----------------------------------------------------------------------------------
def test_the_gateways_page_of_the_old_time_is_closed(max):
    request = make_request()
    attempt = checkouts.start_payment(request)

    extend_request(request, expires_at=in_days(20), by=max)

    assert SandboxCheckout.objects.get().status == "canceled"
    assert not submit_card(attempt)
    assert submit_card(checkouts.start_payment(request))


def test_what_was_just_paid_is_found_instead_of_extended(max):
    request = make_request()
    was = request.expires_at
    submit_card(checkouts.start_payment(request))

    with pytest.raises(DomainError, match="has just paid"):
        extend_request(request, expires_at=in_days(20), by=max)

    request.refresh_from_db()
    assert (request.status, request.expires_at) == ("done", was)


def test_a_request_being_checked_gets_no_more_time(max):
    request = make_request(amount=5001)
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    checkouts.settle_attempt(attempt)
    Attempt.objects.update(state="unknown")
    SandboxCheckout.objects.update(faulted=False)

    with pytest.raises(DomainError, match="being checked"):
        extend_request(request, expires_at=in_days(20), by=max)


@pytest.mark.django_db(transaction=True)
def test_paying_and_extending_at_once_never_lose_the_payment(max):
    for _ in range(5):
        request = make_request()
        attempt = checkouts.start_payment(request)

        def act(n, request=request, attempt=attempt):
            if n:
                return extend_request(PaymentRequest.objects.get(pk=request.pk), expires_at=in_days(20), by=max)
            submit_card(attempt)
            return checkouts.settle_checkout("sandbox", attempt.remote_id)

        at_once(2, act)
        checkouts.settle_checkout("sandbox", attempt.remote_id)
        request.refresh_from_db()
        extended = Event.objects.filter(object_id=request.pk, type="payment_request.extended").count()
        assert (request.status, request.payments.paid().count(), extended) in {("done", 1, 0), ("new", 0, 1)}


@pytest.mark.django_db(transaction=True)
def test_expiring_and_extending_at_once_leave_one_of_the_two(max):
    for round_ in range(5):
        coupon = make_coupon(code=f"RACE{round_}", max_redemptions=1)
        request = make_request(coupon=coupon)
        PaymentRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now() - timedelta(seconds=1))

        def act(n, request=request):
            if n:
                return extend_request(PaymentRequest.objects.get(pk=request.pk), expires_at=in_days(2), by=max)
            return expire_payment_requests()

        at_once(2, act)
        request.refresh_from_db()
        assert (request.status, uses(coupon)) in {("new", 1), ("expired", 0)}
        assert not list(coupons.coupon_errors())


# --- with a coupon -------------------------------------------------------------------------------------------
def test_a_coupon_makes_the_amount_smaller_and_its_use_is_taken_now(max):
    coupon = make_coupon(percent_off=Decimal("12.5"))

    request = make_request(amount=4850, coupon=coupon, by=max)

    assert (request.amount, request.discount_amount, request.subtotal, request.coupon) == (4244, 606, 4850, coupon)
    redemption = request.redemptions.get()
    assert (redemption.amount_discounted, redemption.customer, redemption.created_by) == (606, request.customer, max)
    assert uses(coupon) == 1
    assert not list(coupons.coupon_errors())


def test_the_payer_pays_what_is_left(max):
    request = make_request(amount=4850, coupon=make_coupon(percent_off=None, amount_off=1000, currency="USD"))
    submit_card(checkouts.start_payment(request))
    checkouts.check_again(request)

    request.refresh_from_db()
    assert (request.status, request.payments.get().amount) == ("done", 3850)
    assert uses(request.coupon) == 1


@pytest.mark.parametrize(
    ("off", "words"),
    [
        ({"percent_off": Decimal(100)}, "leaves nothing to pay"),
        ({"percent_off": None, "amount_off": 9999, "currency": "USD"}, "leaves nothing to pay"),
        ({"percent_off": Decimal(99)}, r"leaves \$0.48 to pay"),
        ({"percent_off": None, "amount_off": 100, "currency": "PHP"}, "bills in PHP"),
        ({"active": False}, "switched off"),
    ],
)
def test_a_coupon_that_leaves_too_little_or_is_not_valid_is_refused_and_not_used(off, words):
    coupon = make_coupon(**{k: v for k, v in off.items() if k != "active"})
    if "active" in off:
        coupon = coupons.switch(coupon, active=False, by=None)

    with pytest.raises(DomainError, match=words):
        make_request(amount=4850, coupon=coupon)

    assert not PaymentRequest.objects.exists()
    assert uses(coupon) == 0


def test_one_form_takes_one_use_however_often_it_comes():
    customer, coupon = make_customer(), make_coupon(max_redemptions=1)

    first, second = (make_request(customer, form_key="a1", coupon=coupon) for _ in range(2))

    assert first == second
    assert uses(coupon) == 1


@pytest.mark.django_db(transaction=True)
def test_twenty_submits_of_one_form_take_the_last_use_once():
    customer, coupon = make_customer(), make_coupon(max_redemptions=1)

    results = at_once(20, lambda n: make_request(customer, form_key="same", coupon=coupon))

    assert {getattr(r, "pk", r) for r in results} == {PaymentRequest.objects.get().pk}
    assert uses(coupon) == 1


@pytest.mark.django_db(transaction=True)
def test_two_forms_at_the_last_use_make_one_request():
    coupon = make_coupon(max_redemptions=1)
    customers = [make_customer(first_name=name, email=f"{name}@example.com") for name in ("ana", "ben")]

    results = at_once(2, lambda n: make_request(customers[n], coupon=coupon))

    assert sorted(type(r).__name__ for r in results) == ["DomainError", "PaymentRequest"]
    assert PaymentRequest.objects.count() == uses(coupon) == 1


def test_canceling_and_expiring_give_the_use_back(max):
    coupon = make_coupon(max_redemptions=1)
    cancel_payment_request(make_request(coupon=coupon), by=max)
    assert uses(coupon) == 0

    request = expired(make_request(coupon=coupon))

    assert uses(coupon) == 0
    assert (request.amount, request.discount_amount) == (4365, 485)  # what it asked for stays on record


def test_an_expired_request_takes_its_use_again(max):
    coupon = make_coupon(max_redemptions=1)
    request = expired(make_request(coupon=coupon))

    extend_request(request, expires_at=in_days(1), by=max)

    assert uses(coupon) == 1
    assert not list(coupons.coupon_errors())


def test_a_coupon_used_up_meanwhile_is_said_and_the_request_stays_expired(max):
    coupon = make_coupon(max_redemptions=1)
    request = expired(make_request(coupon=coupon))
    make_request(request.customer, coupon=coupon)

    with pytest.raises(DomainError, match="has been used once"):
        extend_request(request, expires_at=in_days(1), by=max)

    request.refresh_from_db()
    assert (request.status, uses(coupon)) == ("expired", 1)


@pytest.mark.django_db(transaction=True)
def test_paying_and_canceling_at_once_keep_the_use_or_give_it_back(max):
    for round_ in range(5):
        coupon = make_coupon(code=f"RACE{round_}", max_redemptions=1)
        request = make_request(coupon=coupon)
        attempt = checkouts.start_payment(request)

        def act(n, request=request, attempt=attempt):
            if n:
                return cancel_payment_request(PaymentRequest.objects.get(pk=request.pk), by=max)
            submit_card(attempt)
            return checkouts.settle_checkout("sandbox", attempt.remote_id)

        at_once(2, act)
        checkouts.settle_checkout("sandbox", attempt.remote_id)
        request.refresh_from_db()
        assert (request.status, request.payments.paid().count(), uses(coupon)) in {("done", 1, 1), ("canceled", 0, 0)}
        assert not list(coupons.coupon_errors())


def test_a_request_made_at_the_terminal_says_so():
    request = create_payment_request(
        make_customer(), amount=5000, currency="USD", country="US", method_types=["card"], by=None, by_staff=True
    )
    assert PaymentRequest.objects.get(pk=request.pk).by_staff


# --- the page ------------------------------------------------------------------------------------------------
def extend(client, request, **fields):
    return client.post(f"{request.get_absolute_url()}extend/", {"expires": "20160", **fields})


def test_staff_give_an_expired_link_more_time(as_max, max):
    request = expired(make_request())
    page = as_max.get(f"{request.get_absolute_url()}extend/").content.decode()
    assert "no money moves" in page

    response = extend(as_max, request, expires="1440")

    request.refresh_from_db()
    assert response.url == request.get_absolute_url()
    assert (request.expires_at - timezone.now()).total_seconds() == pytest.approx(86_400, abs=60)
    assert "The link now works until" in as_max.get(response.url).content.decode()


def test_looking_at_more_time_changes_nothing(as_max):
    request = expired(make_request())
    as_max.get(f"{request.get_absolute_url()}extend/")
    request.refresh_from_db()
    assert request.status == "expired"


def test_a_time_of_ones_own_is_read_where_the_dashboard_is(as_max):
    request = expired(make_request())
    until = timezone.localtime(in_days(2)).replace(second=0, microsecond=0)
    extend(as_max, request, until=until.strftime("%Y-%m-%dT%H:%M"))
    request.refresh_from_db()
    assert request.expires_at == until


@pytest.mark.parametrize("until", ["2020-01-01T00:00", "9999-12-31T23:59", "0001-01-01T00:00", "tomorrow", "31 days"])
def test_a_time_that_makes_no_sense_is_said_at_its_field(as_max, until):
    request = make_request()
    until = timezone.localtime(in_days(31)).strftime("%Y-%m-%dT%H:%M") if until == "31 days" else until
    response = extend(as_max, request, until=until)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == ["until"]
    assert not Event.objects.filter(type="payment_request.extended").exists()


def test_only_those_who_ask_for_money_give_more_time(as_sue, as_rita):
    request = make_request()
    for client in (as_sue, as_rita):
        assert extend(client, request, expires="43200").status_code == 403
        assert "Give more time" not in client.get(request.get_absolute_url()).content.decode()
