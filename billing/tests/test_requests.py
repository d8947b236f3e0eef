"""Payment requests: made once, ended once, and their links."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from billing.domain import checkouts
from billing.domain.requests import cancel_payment_request, create_payment_request, expire_payment_requests
from billing.gateways.sandbox.models import SandboxCheckout
from billing.models import Attempt, Payment, PaymentRequest
from billing.models.links import hash_token
from billing.tests.factories import make_customer, make_request, submit_card
from billing.tests.test_attempts import at_once
from customers.domain import archive_customer
from dashboard import search
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db


def test_a_request_freezes_whom_it_asks_and_records_who_asked(max):
    request = make_request(by=max)

    assert (request.customer_name, request.customer_email, request.badge) == ("Marta Santos", "marta@example.com", "Open")
    assert timedelta(days=13, hours=23) < request.expires_at - timezone.now() < timedelta(days=14)
    event = Event.objects.get(type="payment_request.created")
    assert (event.by, event.customer_id, event.data["amount"]) == (max, request.customer_id, 4850)


def test_an_archived_customer_is_not_asked(max):
    customer = archive_customer(make_customer(), by=max)

    with pytest.raises(DomainError, match="archived"):
        make_request(customer)
    assert not PaymentRequest.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -5},
        {"amount": 49},
        {"amount": 10**12 + 1},
        {"method_types": []},
        {"method_types": ["card", "cash"]},
        {"expires_at": timezone.now() - timedelta(minutes=5)},
        {"expires_at": timezone.now() + timedelta(days=31)},
        {"currency": "ZZZ"},
        {"currency": "PHP", "amount": 1999},
    ],
)
def test_what_no_gateway_takes_is_refused_with_a_sentence(wrong):
    customer = make_customer()

    with pytest.raises(DomainError, match=r"[A-Z].*\."):
        make_request(customer, **wrong)
    assert not PaymentRequest.objects.exists()


def test_live_mode_has_no_gateway_yet_and_says_so():
    with pytest.raises(DomainError, match="No gateway"):
        make_request(make_customer(livemode=True))


def test_one_form_makes_one_request():
    customer = make_customer()

    first, second = (make_request(customer, form_key="a1") for _ in range(2))

    assert first == second
    assert PaymentRequest.objects.count() == Event.objects.filter(type="payment_request.created").count() == 1


def test_one_form_with_other_content_is_refused():
    customer = make_customer()
    make_request(customer, form_key="a1")

    with pytest.raises(DomainError, match="made the payment request"):
        make_request(customer, form_key="a1", amount=9999)


@pytest.mark.django_db(transaction=True)
def test_twenty_submits_of_one_form_make_one_request():
    customer = make_customer()

    results = at_once(20, lambda n: make_request(customer, form_key="same"))

    assert {getattr(r, "pk", r) for r in results} == {PaymentRequest.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_without_the_form_key_the_same_submits_make_many():
    customer = make_customer()  # the control of what the form key is for

    at_once(5, lambda n: make_request(customer))

    assert PaymentRequest.objects.count() == 5


# --- links --------------------------------------------------------------------------------------------
def test_the_link_can_be_shown_again_but_only_with_the_secret_key(settings):
    request = PaymentRequest.objects.get(pk=make_request().pk)
    token = request.token

    assert request.url == f"{settings.SITE_URL}/pay/checkout/{token}/"
    assert len(token) == 43
    assert PaymentRequest.objects.for_token(token) == request
    settings.SECRET_KEY = "another key of at least thirty-two characters"
    assert request.token == request.url == ""
    assert PaymentRequest.objects.for_token(token) == request  # links already sent go on working


def test_an_older_secret_key_still_shows_its_links(settings):
    request = make_request()
    token, old = request.token, settings.SECRET_KEY

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another key of at least thirty-two characters", [old]

    assert request.token == token


def test_links_differ_and_only_their_hash_is_kept():
    first, second = make_request(), make_request()

    assert first.token != second.token
    assert first.token_hash == hash_token(first.token)


# --- ending -------------------------------------------------------------------------------------------
def test_canceling_closes_the_gateways_page_and_records_who(max):
    request = make_request()
    attempt = checkouts.start_payment(request)

    cancel_payment_request(request, by=max)

    request.refresh_from_db()
    attempt.refresh_from_db()
    assert (request.status, request.badge, attempt.state) == ("canceled", "Canceled", "failed")
    assert request.canceled_at
    assert SandboxCheckout.objects.get().status == "canceled"
    assert Event.objects.get(type="payment_request.canceled").by == max
    assert not submit_card(attempt)


def test_canceling_what_was_just_paid_finds_the_payment_instead(max):
    request = make_request()
    submit_card(checkouts.start_payment(request))

    with pytest.raises(DomainError, match="has just paid"):
        cancel_payment_request(request, by=max)

    request.refresh_from_db()
    assert request.status == "done"
    assert Payment.objects.get().status == "paid"


def test_a_request_being_checked_is_not_canceled(max):
    request = make_request(amount=5001)
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    checkouts.settle_attempt(attempt)
    Attempt.objects.update(state="unknown")
    SandboxCheckout.objects.update(faulted=False)

    with pytest.raises(DomainError, match="being checked"):
        cancel_payment_request(request, by=max)

    request.refresh_from_db()
    assert request.status == "new"


def test_canceling_twice_is_refused_in_words(max):
    request = make_request()
    cancel_payment_request(request, by=max)

    with pytest.raises(DomainError, match="canceled already"):
        cancel_payment_request(PaymentRequest.objects.get(), by=max)


@pytest.mark.django_db(transaction=True)
def test_paying_and_canceling_at_once_never_do_both(max):
    for _ in range(5):
        request = make_request()
        attempt = checkouts.start_payment(request)

        def act(n, request=request, attempt=attempt):
            if n:
                return cancel_payment_request(PaymentRequest.objects.get(pk=request.pk), by=max)
            submit_card(attempt)
            return checkouts.settle_checkout("sandbox", attempt.remote_id)

        at_once(2, act)
        checkouts.settle_checkout("sandbox", attempt.remote_id)
        request.refresh_from_db()
        paid = request.payments.paid().count()
        assert (request.status, paid) in {("done", 1), ("canceled", 0)}


def test_a_request_past_its_time_expires_once():
    request = make_request()
    PaymentRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    request.refresh_from_db()

    assert (request.badge, request.payable) == ("Expired", False)
    assert list(PaymentRequest.objects.expired()) == [request]
    assert [expire_payment_requests(), expire_payment_requests()] == [1, 0]
    request.refresh_from_db()
    assert request.status == "expired"


def test_a_request_does_not_expire_while_a_payment_is_under_way():
    request = make_request(amount=5001)
    attempt = checkouts.start_payment(request)
    submit_card(attempt)
    checkouts.settle_attempt(attempt)
    PaymentRequest.objects.update(expires_at=timezone.now() - timedelta(minutes=1))

    assert expire_payment_requests() == 0
    checkouts.settle_attempt(attempt)
    request.refresh_from_db()
    assert request.status == "done"


# --- the database's own word ----------------------------------------------------------------------------
def test_the_database_refuses_impossible_amounts():
    request = make_request()

    for amount in (0, -1, 10**12 + 1):
        with pytest.raises(IntegrityError), transaction.atomic():
            PaymentRequest.objects.filter(pk=request.pk).update(amount=amount)


def test_requests_are_found_by_customer_reference_and_metadata():
    request = make_request(merchant_reference_id="PO-2231", metadata={"channel": "Instagram"})
    make_request(make_customer(first_name="Jo", last_name="Reyes", email="jo@example.com"), description="Other")

    for text in ("santos", "PO-2231", "instagram", "wholesale novem", request.pk[-24:]):
        assert list(search.matching(PaymentRequest.objects.all(), text)) == [request], text


def test_create_takes_minor_units_and_keeps_the_rest():
    request = create_payment_request(
        make_customer(),
        amount=5000,
        currency="JPY",
        country="JP",
        method_types=["card"],
        save_card=True,
        expires_at=timezone.now() + timedelta(minutes=1),
        metadata={"a": "b"},
        by=None,
    )

    assert (str(request.amount_money), request.save_card, request.metadata) == ("¥5,000", True, {"a": "b"})
