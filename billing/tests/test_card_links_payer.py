"""The page behind a card tokenization link: what each state says, what a button does, and what it never shows."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from billing.domain import settle, vault
from billing.domain.card_links import cancel_card_link
from billing.gateways.base import Unavailable
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.models import Attempt, PaymentMethod, TokenizationLink
from billing.tests.factories import DECLINED, GOOD, make_card_link, make_request
from billing.tests.test_card_links import PHONE, at, ended, events, lapsed, unanswered, used
from customers.domain import archive_customer
from dashboard.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


def path(link):
    return f"/pay/card/{link.token}/"


def opened(link, client=None, **data):
    return (client or Client()).get(path(link), data, headers={"User-Agent": PHONE})


def save(link, client=None):
    return (client or Client()).post(path(link), {"save": "1"})


def type_card(client, page, number):
    """The payer on the sandbox's page: its form as it stands, with a number typed."""
    version = client.get(page).context["form"].initial["version"]
    return client.post(page, {"number": number, "version": version})


# --- states ------------------------------------------------------------------------------------------------
def test_a_link_says_who_asks_what_saving_means_and_that_no_money_moves():
    page = opened(make_card_link(description="For the monthly plan"))

    for words in (
        "Harbour &amp; Pine asks you to save a card",
        "Marta Santos",
        "For the monthly plan",
        "No money moves",
        "Save a card",
    ):
        assert words in page.text, words
    assert (page["Cache-Control"], page["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert page["X-Robots-Tag"] == "noindex, nofollow"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("used", "Your card ending 4242 is saved"),
        ("canceled", "This link was canceled"),
        ("expired", "This link has expired"),
        ("marked expired", "This link has expired"),
    ],
)
def test_a_link_that_is_over_says_why_to_whoever_looks_and_to_whoever_posts(case, words, max):
    link = ended(case, max)
    cards, tries = PaymentMethod.objects.count(), Attempt.objects.count()

    seen, posted = opened(link), save(link)

    assert (seen.status_code, posted.status_code) == (200, 409)
    for page in (seen, posted):
        assert words in page.text
        assert 'name="save"' not in page.text
    assert (PaymentMethod.objects.count(), Attempt.objects.count()) == (cards, tries)


def test_a_wrong_link_leads_nowhere_whatever_it_resembles(max):
    request, own = make_request(), make_card_link(by_staff=True)

    for token in ("a" * 43, request.token, own.token, make_card_link().token[:-1]):
        for page in (Client().get(f"/pay/card/{token}/"), Client().post(f"/pay/card/{token}/", {"save": "1"})):
            assert page.status_code == 404
            assert "This link leads nowhere" in page.text
    assert not Attempt.objects.exists()


def test_the_link_of_a_customer_archived_since_is_closed_without_a_word_about_them(max):
    link = make_card_link()
    archive_customer(link.customer, by=max)

    for page in (opened(link), save(link)):
        assert "This link is closed" in page.text
        assert "archived" not in page.text.lower()
        assert "Restore" not in page.text
    assert not Attempt.objects.exists()


def test_a_card_removed_since_is_not_said_to_be_on_file(max):
    link = used()
    vault.remove_method(link.method, by=max)

    assert "removed since" in opened(link).text


# --- saving ------------------------------------------------------------------------------------------------
def test_a_payer_saves_a_card_comes_back_and_the_link_is_used_up():
    link, client = make_card_link(), Client()
    page = save(link, client).url
    assert page.startswith("/sandbox/checkout/")

    back = type_card(client, page, GOOD).url
    answer = client.get(back, follow=True)
    if "Confirming" in answer.text:
        answer = client.post(back, follow=True)

    assert answer.redirect_chain[-1][0] == path(link)
    assert "Your card ending 4242 is saved" in answer.text
    assert at(link).status == "done"
    again = save(link)
    assert again.status_code == 409
    assert "A link works once" in again.text
    assert PaymentMethod.objects.count() == 1


def test_a_declined_card_is_said_on_the_gateways_page_and_the_link_still_works():
    link, client = make_card_link(), Client()
    page = save(link, client).url

    refused = type_card(client, page, DECLINED)

    assert refused.url == page
    assert "The card was not saved" in client.get(page).text
    assert "Save a card" in opened(link).text
    assert not PaymentMethod.objects.exists()


def test_two_payers_are_led_to_the_same_page():
    link = make_card_link()

    assert save(link).url == save(link).url
    assert Attempt.objects.count() == 1


def test_a_gateway_that_cannot_be_reached_is_said_in_words_and_nothing_is_lost(monkeypatch):
    def away(*args, **kwargs):
        raise Unavailable("No connection.")

    link = make_card_link()
    monkeypatch.setattr(SandboxGateway, "create_checkout", away)
    refused = save(link)
    monkeypatch.undo()

    assert refused.status_code == 409
    assert "did not open" in refused.text
    assert "No money moved" in refused.text
    assert save(link).status_code == 302


def test_a_link_nobody_knows_the_outcome_of_is_being_checked(monkeypatch):
    link = make_card_link()
    monkeypatch.setattr(SandboxGateway, "create_checkout", unanswered)
    assert save(link).status_code == 409
    monkeypatch.undo()

    page = opened(link)
    assert "Not settled yet" in page.text
    assert 'name="save"' not in page.text

    assert Client().post(path(link), {"check": "1"}).url == path(link)
    assert 'name="save"' in opened(link).text  # asked again, the gateway made its page


def test_a_link_ended_while_its_page_was_open_saves_nothing(max):
    link, client = make_card_link(), Client()
    page = save(link, client).url
    form = client.get(page).context["form"]
    cancel_card_link(link, by=max)

    client.post(page, {"number": GOOD, "version": form.initial["version"]})

    list(settle.reconcile_attempts(older_than=timedelta(0)))
    assert "This link was canceled" in opened(link).text
    assert not PaymentMethod.objects.exists()


def test_a_link_that_runs_out_between_look_and_click_says_so():
    link, client = make_card_link(), Client()
    opened(link, client)
    TokenizationLink.objects.update(expires_at=timezone.now())

    refused = save(link, client)

    assert refused.status_code == 409
    assert "This link has expired" in refused.text


# --- who looked --------------------------------------------------------------------------------------------
def test_a_payers_look_is_recorded_once_and_staffs_never(as_sue):
    link = make_card_link()
    assert "it is not counted as opened" in opened(link, as_sue).text
    opened(link, again="1")
    Client().head(path(link), headers={"User-Agent": PHONE})
    assert not events("opened").exists()

    for _ in range(2):
        opened(link)

    assert events("opened").get().actor == "payer"
    assert at(link).opened_at


def test_a_post_that_is_refused_records_no_opening(max):
    link = lapsed(make_card_link())
    before = Event.objects.count()

    save(link)

    assert Event.objects.count() == before


# --- limits ------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("stopped_clock")
def test_whoever_tries_very_often_has_to_wait():
    link = make_card_link()

    statuses = [save(link).status_code for _ in range(11)]

    assert statuses[:10] == [302] * 10
    assert statuses[10] == 429


@pytest.mark.usefixtures("stopped_clock")
def test_whoever_guesses_links_has_to_wait():
    statuses = [Client().get(f"/pay/card/{n:043}/").status_code for n in range(22)]

    assert statuses[0] == 404
    assert statuses[-1] == 429


def test_no_post_passes_without_its_token():
    link = make_card_link()

    assert Client(enforce_csrf_checks=True).post(path(link), {"save": "1"}).status_code == 403
    assert not Attempt.objects.exists()


def test_the_page_holds_nothing_internal():
    link = make_card_link(description="For the monthly plan")

    page = opened(link).text

    for secret in (link.pk, link.customer_id, link.token_hash, link.token_nonce, link.customer_email, "sandbox/checkout"):
        assert secret not in page
