"""What happened to a payment request, for each recipient: from the outbox, the payer's visits and the gateway, in one order."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from billing.domain import checkouts, refunds, visits
from billing.domain.requests import cancel_payment_request, expire_payment_requests, extend_request
from billing.domain.sending import send_request
from billing.gateways.sandbox.models import SandboxCheckout
from billing.life import life_of
from billing.models import Attempt, PaymentRequest
from billing.tests.factories import DECLINED, make_open_statement, make_request, submit_card
from dashboard.mail_models import Mail

pytestmark = pytest.mark.django_db
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Safari/604.1"


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


def told(record, viewer):
    return [moment.words for moment in life_of(record, viewer=viewer)]


def test_the_whole_life_is_told_in_its_order(max):
    request = make_request(by=max)
    send_request(request, by=max, to="ana@example.com")
    Mail.objects.update(state="sent", sent_at=timezone.now())
    visits.record_view(request, address="203.0.113.9", agent=PHONE)
    for number in (DECLINED, None):
        submit_card(checkouts.start_payment(request), *[number] if number else [])
        checkouts.check_again(request)
    payment, failed = request.payments.paid().get(), request.payments.get(status="failed")
    refunds.create_refund(payment, amount=850, reason="others", destination="credit", by=max)

    life = life_of(PaymentRequest.objects.get(), viewer=max)

    assert [moment.words for moment in life] == [
        "Created",
        "Link sent to ana@example.com",
        "Opened by the payer",
        "Payment started by the payer",
        f"Visa •••• 0002 declined. {failed.failure_message}",
        "$48.50 paid, Visa •••• 4242",
        "$8.50 refunded",
    ]
    assert "The bank declined the card" in failed.failure_message
    assert [moment.tone for moment in life] == ["info", "info", "info", "", "bad", "ok", ""]
    assert [moment.who for moment in life] == ["Max", "Max", "", "", "", "", "Max"]
    assert life[5].url == payment.get_absolute_url()


def test_each_recipient_is_told_and_what_became_of_the_mail(max):
    request = make_request(by=max)
    for n, (to, state, error) in enumerate(
        [
            ("a@example.com", "queued", ""),
            ("b@example.com", "failed", "550 no such user"),
            ("c@example.com", "held", "Test mode."),
        ]
    ):
        send_request(request, by=max, to=to, form_key=f"k{n}")
        Mail.objects.filter(to=to).update(state=state, error=error)

    assert told(request, max)[1:] == [
        "Link to a@example.com is in the outbox",
        "Link to b@example.com was not delivered: 550 no such user",
        "Link to c@example.com was not sent: Test mode.",
    ]


def test_reporting_sees_no_address(max, rita):
    request = make_request(by=max)
    send_request(request, by=max, to="ana@example.com")
    Mail.objects.update(state="failed", error="550 ana@example.com unknown")

    words = told(request, rita)[1]

    assert words == "Link to a•••@example.com was not delivered"
    assert life_of(request, viewer=rita)[1].url == ""


def test_each_opening_is_told_and_staff_are_not_counted(as_max, max):
    request = make_request()
    path = request.url.removeprefix("http://127.0.0.1:8000")
    as_max.get(path, headers={"User-Agent": PHONE})
    assert told(request, max) == ["Created"]
    for last in (1, 2, 3):
        visits.record_view(request, address=f"203.0.113.{last}", agent=PHONE)
    assert told(request, max) == ["Created", *["Opened by the payer"] * 3]


def test_more_time_expiry_and_the_end_are_told(max):
    request = make_request()
    PaymentRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    expire_payment_requests()
    request.refresh_from_db()
    request = extend_request(request, expires_at=timezone.now() + timedelta(days=1), by=max)
    cancel_payment_request(request, by=max)

    assert told(request, max) == ["Created", "Expired", "Given more time", "Canceled"]


def test_a_payment_being_checked_is_told_without_saying_it_failed(max):
    request = make_request(amount=5001)
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    checkouts.settle_attempt(attempt)
    Attempt.objects.update(state="unknown")
    SandboxCheckout.objects.update(faulted=False)

    assert told(request, max)[-1].startswith("Being checked with the bank. It is not known yet whether money moved")


def test_a_page_that_was_closed_unpaid_is_told(max):
    request = make_request()
    checkouts.start_payment(request)
    cancel_payment_request(request, by=max)

    assert sorted(told(request, max)[1:]) == ["Canceled", "Payment page closed, unpaid", "Payment started by the payer"]


def test_what_was_authorised_and_released_moved_no_money(max):
    from billing.domain.captures import release_payment

    request = make_request(authorize_only=True)
    submit_card(checkouts.start_payment(request))
    checkouts.check_again(request)
    release_payment(request.payments.get(), by=max)

    assert told(request, max)[-2:] == ["$48.50 authorised, Visa •••• 4242", "$48.50 released, nothing taken"]


def test_the_details_page_tells_it(as_max, as_rita):
    request = make_request()
    visits.record_view(request, address="203.0.113.9", agent=PHONE)
    for client in (as_max, as_rita):
        page = client.get(request.get_absolute_url()).content.decode()
        assert "What happened" in page
        assert "Opened by the payer" in page


def test_a_statement_has_such_a_life_as_well(max):
    assert told(make_open_statement(), max) == ["Created", "Finalised"]


def test_a_long_life_costs_no_more_queries(max, django_assert_max_num_queries):
    request = make_request(by=max)
    for n in range(4):
        send_request(request, by=max, to=f"a{n}@example.com", form_key=f"k{n}")
        visits.record_view(request, address=f"203.0.113.{n}", agent=PHONE)
        submit_card(checkouts.start_payment(request), DECLINED)
        checkouts.check_again(request)

    with django_assert_max_num_queries(5):
        life = life_of(request, viewer=max)

    assert len(life) == 1 + 4 * 3 + Attempt.objects.count()
