"""Card tokenization links: made once, used once, ended once, opened and mailed."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing import gateways
from billing.domain import card_links, checkouts, visits
from billing.domain.card_links import cancel_card_link, create_card_link, expire_card_links, record_opening, send_card_link
from billing.gateways.base import OutcomeUnknown
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.gateways.sandbox.models import SandboxCheckout, SandboxMethod
from billing.models import Attempt, Payment, PaymentMethod, TokenizationLink
from billing.models.links import hash_token
from billing.tests.factories import DECLINED, make_card_link, make_customer, make_method, submit_card
from billing.tests.test_attempts import at_once
from customers.domain import archive_customer
from dashboard import mail, search
from dashboard.mail_models import Mail
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"


def used(link=None, number="4242424242424242"):
    """A link on which a payer saved a card."""
    link = link or make_card_link()
    submit_card(checkouts.start_payment(link), number)
    checkouts.check_again(link)
    link.refresh_from_db()
    return link


def at(link, **columns):
    TokenizationLink.objects.filter(pk=link.pk).update(**columns)
    link.refresh_from_db()
    return link


def lapsed(link=None):
    return at(link or make_card_link(), expires_at=timezone.now() - timedelta(seconds=1))


def events(verb):
    return Event.objects.filter(type=f"tokenization_link.{verb}")


# --- making ------------------------------------------------------------------------------------------------
def test_a_link_freezes_whom_it_asks_and_records_who_asked(max):
    link = make_card_link(by=max, description="For the monthly plan")

    assert (link.customer_name, link.customer_email, link.badge) == ("Marta Santos", "marta@example.com", "New")
    assert (link.currency, link.livemode, link.method) == ("USD", False, None)
    assert timedelta(days=13, hours=23) < link.expires_at - timezone.now() < timedelta(days=14)
    event = events("created").get()
    assert (event.by, event.customer_id, event.object_id) == (max, link.customer_id, link.pk)


@pytest.mark.parametrize("time", [timedelta(minutes=1), timedelta(days=30)], ids=["1 minute", "30 days"])
def test_a_link_may_work_for_a_minute_and_for_thirty_days(time):
    assert make_card_link(expires_at=timezone.now() + time).payable


@pytest.mark.parametrize(
    "time",
    [timedelta(seconds=-1), timedelta(0), timedelta(seconds=50), timedelta(days=30, minutes=1), timedelta(days=31)],
    ids=str,
)
def test_other_times_are_refused_with_a_sentence(time):
    customer = make_customer()

    with pytest.raises(DomainError, match="at least 1 minute and at most 30 days"):
        make_card_link(customer, expires_at=timezone.now() + time)
    assert not TokenizationLink.objects.exists()


def test_an_archived_customer_is_not_asked(max):
    customer = archive_customer(make_customer(), by=max)

    with pytest.raises(DomainError, match="archived"):
        make_card_link(customer)
    assert not TokenizationLink.objects.exists()


def test_a_customer_archived_meanwhile_is_not_asked_either(max):
    customer = make_customer()
    archive_customer(type(customer).objects.get(pk=customer.pk), by=max)

    with pytest.raises(DomainError, match="archived"):
        make_card_link(customer)


class NoVault:
    """A gateway that takes payments and keeps no cards."""

    slug = "novault"

    class capabilities:
        livemode, save_card, currencies = False, False, frozenset({"USD"})


@pytest.mark.parametrize("case", ["saves no cards", "not of this mode", "not this currency", "unknown"])
def test_a_gateway_that_saves_no_card_for_this_customer_is_refused(case, monkeypatch):
    monkeypatch.setitem(gateways.GATEWAYS, "novault", "billing.tests.test_card_links.NoVault")
    customer = make_customer(livemode=case == "not of this mode")
    type(customer).objects.filter(pk=customer.pk).update(currency="XTS" if case == "not this currency" else "USD")
    customer.refresh_from_db()
    slug = {"saves no cards": "novault", "unknown": "gold"}.get(case, "sandbox")

    assert slug not in card_links.gateways_saving(customer)
    with pytest.raises(DomainError, match="does not save cards"):
        make_card_link(customer, gateway=slug)
    assert not TokenizationLink.objects.exists()


def test_one_form_makes_one_link():
    customer = make_customer()

    first, second = (make_card_link(customer, form_key="a1") for _ in range(2))

    assert first == second
    assert TokenizationLink.objects.count() == events("created").count() == 1


def test_one_form_with_other_content_is_refused():
    customer = make_customer()
    make_card_link(customer, form_key="a1")

    with pytest.raises(DomainError, match="made the tokenization link"):
        make_card_link(customer, form_key="a1", make_default=True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("key", "count"), [("same", 1), ("", 6)], ids=["as it is", "control: no form key"])
def test_submits_of_one_form_at_once_make_one_link(key, count):
    customer = make_customer()

    at_once(6, lambda n: make_card_link(customer, form_key=key))

    assert TokenizationLink.objects.count() == count


def test_only_the_hash_of_a_link_is_kept(settings):
    link = TokenizationLink.objects.get(pk=make_card_link().pk)
    token = link.token

    assert link.url == f"{settings.SITE_URL}/pay/card/{token}/"
    assert link.token_hash == hash_token(token) != token
    assert TokenizationLink.objects.for_token(token) == link
    settings.SECRET_KEY = "another key of at least thirty-two characters"
    assert link.url == ""
    assert TokenizationLink.objects.for_token(token) == link  # links already sent go on working


def test_a_link_to_add_a_card_oneself_is_nobodys_to_open_nor_listed(max):
    link = make_card_link(by=max, by_staff=True)

    assert link.url == ""
    assert TokenizationLink.objects.for_token(link.token) is None
    assert not TokenizationLink.objects.sent().exists()


def test_links_are_found_by_customer_message_and_id():
    link = make_card_link(description="Espresso subscription")
    make_card_link(make_customer(first_name="Jo", last_name="Reyes", email="jo@example.com"))

    for text in ("santos", "marta@example.com", "espresso subs", link.pk[-24:]):
        assert list(search.matching(TokenizationLink.objects.all(), text)) == [link], text


# --- used --------------------------------------------------------------------------------------------------
def test_a_card_saved_on_a_link_ends_it_and_is_the_customers():
    link = used()

    assert (link.status, link.badge, str(link.method)) == ("done", "Done", "Visa •••• 4242")
    assert link.completed_at
    assert link.method.customer == link.customer
    assert not Payment.objects.exists()
    assert events("done").get().object_id == link.pk


@pytest.mark.parametrize("make_default", [True, False])
def test_the_card_becomes_the_default_when_the_link_says_so(make_default):
    customer = make_customer()
    before = make_method(customer)

    link = used(make_card_link(customer, make_default=make_default))

    assert PaymentMethod.objects.get(is_default=True) == (link.method if make_default else before)


def test_a_declined_card_leaves_the_link_as_it_was_for_another_try():
    link = used(number=DECLINED)
    assert (link.status, link.method, PaymentMethod.objects.count()) == ("new", None, 0)

    assert used(link).status == "done"


def ended(case, max):
    link = make_card_link()
    if case == "used":
        return used(link)
    if case == "canceled":
        return cancel_card_link(link, by=max)
    lapsed(link)
    if case == "marked expired":
        expire_card_links()
        link.refresh_from_db()
    return link


@pytest.mark.parametrize(
    ("case", "words"), [("used", "used already"), ("canceled", "canceled"), ("expired", "expired"), ("marked expired", "expired")]
)
def test_a_link_that_is_over_saves_no_card_and_says_why(case, words, max):
    link = ended(case, max)
    cards = PaymentMethod.objects.count()

    with pytest.raises(DomainError, match=words):
        checkouts.start_payment(link)
    assert PaymentMethod.objects.count() == cards


@pytest.mark.django_db(transaction=True)
def test_two_payers_who_use_one_link_at_once_save_one_card():
    for number in ("4242424242424242", "5555555555554444"):
        link = make_card_link()

        def save(n, link=link, number=number):
            attempt = checkouts.start_payment(TokenizationLink.objects.get(pk=link.pk))
            submit_card(attempt, number if n else "378282246310005")
            checkouts.settle_checkout("sandbox", attempt.remote_id)

        at_once(2, save)
        checkouts.check_again(link)
        link.refresh_from_db()
        assert (link.status, link.method.customer_id) == ("done", link.customer_id)
        assert PaymentMethod.objects.filter(customer_id=link.customer_id).count() == 1
        assert events("done").filter(object_id=link.pk).count() == 1
        assert Attempt.objects.for_target(link, Attempt.Kind.CHECKOUT).count() == 1


@pytest.mark.django_db(transaction=True)
def test_without_one_link_between_them_the_same_two_save_two_cards():
    customer = make_customer()  # the control of the race above

    at_once(2, lambda n: used(make_card_link(customer)))

    assert PaymentMethod.objects.count() == SandboxMethod.objects.count() == 2


# --- ending ------------------------------------------------------------------------------------------------
def test_expiring_a_link_now_closes_the_gateways_page_and_records_who(max):
    link = make_card_link()
    attempt = checkouts.start_payment(link)

    cancel_card_link(link, by=max)

    link.refresh_from_db()
    attempt.refresh_from_db()
    assert (link.status, link.badge, attempt.state) == ("canceled", "Canceled", "failed")
    assert link.canceled_at
    assert SandboxCheckout.objects.get().status == "canceled"
    assert events("canceled").get().by == max
    assert not submit_card(attempt)
    assert not PaymentMethod.objects.exists()


def test_expiring_a_link_on_which_a_card_was_just_saved_finds_the_card_instead(max):
    link = make_card_link()
    submit_card(checkouts.start_payment(link))

    with pytest.raises(DomainError, match="A card was saved on this link already"):
        cancel_card_link(link, by=max)

    link.refresh_from_db()
    assert (link.status, str(link.method)) == ("done", "Visa •••• 4242")


def unanswered(*args, **kwargs):
    raise OutcomeUnknown("The gateway did not answer in time.")


def test_a_link_nobody_knows_the_outcome_of_is_neither_ended_nor_expired(max, monkeypatch):
    link = make_card_link()
    monkeypatch.setattr(SandboxGateway, "create_checkout", unanswered)
    with pytest.raises(DomainError, match="checking"):
        checkouts.start_payment(link)
    assert Attempt.objects.get().state == "unknown"

    with pytest.raises(DomainError, match="being saved on this link right now"):
        cancel_card_link(link, by=max)
    lapsed(link)
    assert expire_card_links() == 0
    link.refresh_from_db()
    assert link.status == "new"


@pytest.mark.parametrize("case", ["used", "canceled", "marked expired"])
def test_what_is_over_is_not_ended_again(case, max):
    link = ended(case, max)
    was = link.status

    with pytest.raises(DomainError, match="already"):
        cancel_card_link(link, by=max)

    link.refresh_from_db()
    assert link.status == was


@pytest.mark.django_db(transaction=True)
def test_saving_a_card_and_ending_the_link_at_once_never_do_both(max):
    for _ in range(4):
        link = make_card_link()
        attempt = checkouts.start_payment(link)

        def act(n, link=link, attempt=attempt):
            if n:
                return cancel_card_link(TokenizationLink.objects.get(pk=link.pk), by=max)
            submit_card(attempt)
            return checkouts.settle_checkout("sandbox", attempt.remote_id)

        at_once(2, act)
        checkouts.settle_checkout("sandbox", attempt.remote_id)
        link.refresh_from_db()
        assert (link.status, link.customer.methods.count()) in {("done", 1), ("canceled", 0)}


def test_a_link_past_its_time_expires_once():
    link = lapsed()

    assert (link.badge, link.payable) == ("Expired", False)
    assert list(TokenizationLink.objects.expired()) == [link]
    assert [expire_card_links(), expire_card_links()] == [1, 0]
    link.refresh_from_db()
    assert link.status == "expired"
    assert events("expired").get().actor == "system"


def test_tick_marks_links_past_their_time(capsys):
    link, other = lapsed(), make_card_link()

    call_command("tick")

    assert "1 card links expired." in capsys.readouterr().out
    assert [at(found).status for found in (link, other)] == ["expired", "new"]


def test_a_card_that_was_being_saved_when_the_time_ran_out_is_kept():
    link = make_card_link()
    attempt = checkouts.start_payment(link)
    submit_card(attempt)
    lapsed(link)

    assert expire_card_links() == 0
    checkouts.settle_attempt(attempt)
    link.refresh_from_db()
    assert (link.status, str(link.method)) == ("done", "Visa •••• 4242")


# --- opened ------------------------------------------------------------------------------------------------
def test_the_first_opening_is_kept_and_every_one_is_recorded(monkeypatch):
    link = make_card_link()

    first = record_opening(link, address="203.0.113.9", agent=PHONE)
    assert record_opening(link, address="203.0.113.9", agent=PHONE) is None  # still the same look
    monkeypatch.setattr(visits, "QUIET", timedelta(0))
    record_opening(link, address="203.0.113.9", agent=PHONE)

    link.refresh_from_db()
    assert link.opened_at == first.created_at
    assert events("opened").count() == 2
    assert (first.actor, first.customer_id, set(first.data)) == ("payer", link.customer_id, {"visitor"})


def test_a_preview_of_the_link_is_no_opening():
    link = make_card_link()

    assert record_opening(link, address="203.0.113.9", agent="WhatsApp/2.23.20.0") is None
    assert not events("opened").exists()


# --- mailed ------------------------------------------------------------------------------------------------
def test_a_link_goes_to_its_customer_and_no_copy_of_it_is_kept(sue, mailoutbox):
    link = make_card_link(description="For the monthly plan")
    sent = send_card_link(link, by=sue, message="See you <soon>.", form_key="k1")
    send_card_link(link, by=sue, message="See you <soon>.", form_key="k1")

    assert sent.sent_at
    row = Mail.objects.get()
    assert (row.to, row.kind, link.token in row.text) == ("marta@example.com", "card_link", False)
    event = events("sent").get()
    assert (event.by, event.data["to"]) == (sue, "marta@example.com")
    Mail.objects.update(to=sue.email)  # in test mode mail leaves to staff alone
    mail.send_due()
    (letter,) = mailoutbox
    for words in ("Marta Santos", "asks you to save a card", "No money moves", "For the monthly plan", "<soon>", link.url):
        assert words in letter.body, words


@pytest.mark.parametrize("case", ["used", "canceled", "expired"])
def test_a_link_that_is_over_is_not_mailed(case, max):
    link = ended(case, max)

    with pytest.raises(DomainError, match="saves no card and is not sent"):
        send_card_link(link, by=max)
    assert not Mail.objects.exists()


def test_no_mail_goes_without_an_address_nor_to_an_archived_customer_nor_for_ones_own(max):
    link = make_card_link(make_customer(email=""))
    with pytest.raises(DomainError, match="no e-mail address"):
        send_card_link(link, by=max)
    with pytest.raises(DomainError, match="not sent to anybody"):
        send_card_link(make_card_link(by_staff=True), by=max, to="a@example.com")
    archive_customer(link.customer, by=max)
    with pytest.raises(DomainError, match="is archived"):
        send_card_link(link, by=max, to="a@example.com")
    assert not Mail.objects.exists()


def test_create_keeps_the_message_clean():
    link = create_card_link(make_customer(), gateway="sandbox", by=None, description=" For\r\nyou\0 ")

    assert link.description == "For\nyou"
