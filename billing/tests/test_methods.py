"""Payment methods of a customer: what staff see of them, adding a card, the default, and removing."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from billing import gateways
from billing.domain import charges, vault
from billing.gateways.base import Capabilities, CheckoutResult, MethodSummary, Unavailable
from billing.gateways.sandbox.gateway import SandboxGateway
from billing.gateways.sandbox.models import SandboxCheckout
from billing.models import Attempt, Payment, PaymentMethod, TokenizationLink
from billing.tests.factories import DECLINED, GOOD, make_customer, make_method
from customers.domain import add_comment, archive_customer
from dashboard.models import Event

pytestmark = pytest.mark.django_db
KEY, MASTERCARD = "0" * 32, "5555555555554444"


class FarAway:
    """A live gateway with a page on another site, for customers billed in dollars."""

    slug = "faraway"
    capabilities = Capabilities(
        currencies=frozenset({"USD"}),
        method_types=("card",),
        limits={"USD": (50, 100_000)},
        livemode=True,
        off_session=True,
        save_card=True,
    )

    def ensure_customer(self, customer, *, key):
        return f"far_{customer.reference}"

    def create_checkout(self, request, *, key):
        return CheckoutResult(f"page_{request.reference}", f"https://pay.example/{request.reference}", request.expires_at)


@pytest.fixture
def far_away(monkeypatch):
    monkeypatch.setitem(gateways.GATEWAYS, "faraway", "billing.tests.test_methods.FarAway")
    return FarAway


@pytest.fixture
def marta(db):
    return make_customer()


def url_of(customer, path=""):
    return f"/customers/{customer.pk}/methods/{path}"


def page_of(client, url, **query):
    response = client.get(url, query)
    assert response.status_code == 200
    return response.content.decode()


def add(client, customer, **fields):
    return client.post(url_of(customer, "new/"), {"form_key": KEY} | fields)


def type_card(client, response, number=GOOD):
    """What staff do on the sandbox's page that adding a card leads to."""
    page = SandboxCheckout.objects.get(pk=response.url.split("/")[3])
    return client.post(response.url, {"number": number, "version": page.version})


def keep_other(customer, **fields):
    """A bank account or a wallet account on file."""
    return vault.keep_method(customer, gateway="sandbox", summary=MethodSummary(token="tok_2", **fields), by=None)


def fact(html, name):
    return re.sub(r"<[^>]+>|\s+", " ", html.partition(f"<dt>{name}</dt>")[2].partition("</dd>")[0]).strip()


# --- the list ------------------------------------------------------------------------------------------------
def test_the_list_shows_all_methods_and_the_removed_ones_too(as_max, marta):
    first, second = make_method(marta), make_method(marta, number=MASTERCARD)
    make_method(make_customer(first_name="Ana"))
    vault.remove_method(second, by=None)

    rows = as_max.get(url_of(marta)).context["page"].rows

    assert set(rows) == {first, second}
    html = page_of(as_max, url_of(marta))
    assert html.count(">Default<") == 1
    assert "Removed" in html


@pytest.mark.parametrize(("asked", "last4"), [("active", ["4242"]), ("expired", ["4444"]), ("removed", ["0005"]), ("", None)])
def test_the_list_is_filtered_by_what_can_be_charged(as_max, marta, asked, last4):
    make_method(marta)
    make_method(marta, number=MASTERCARD, expire_year=2020)
    vault.remove_method(make_method(marta, number="378282246310005"), by=None)

    rows = as_max.get(url_of(marta), {"status": asked}).context["page"].rows

    assert sorted(row.card_number_last4 for row in rows) == (last4 or ["0005", "4242", "4444"])


def test_a_card_is_expired_from_the_day_after_its_last(as_max, marta):
    today = timezone.localdate()
    past = today.replace(day=1) - timedelta(days=1)
    good = make_method(marta, expire_month=today.month, expire_year=today.year)
    gone = make_method(marta, number=MASTERCARD, expire_month=past.month, expire_year=past.year)

    assert list(as_max.get(url_of(marta), {"status": "active"}).context["page"].rows) == [good]
    assert list(as_max.get(url_of(marta), {"status": "expired"}).context["page"].rows) == [gone]
    html = page_of(as_max, url_of(marta))
    assert "Expires soon" in html
    assert 'badge-bad"' in html.partition(gone.pk)[2]


def test_a_customer_without_methods_reads_what_to_do(as_max, marta):
    assert "Add a card, or request card details" in page_of(as_max, url_of(marta))


# --- one of them -----------------------------------------------------------------------------------------------
def test_a_cards_page_tells_all_that_is_kept_of_it(as_max, max, marta):
    method = make_method(marta, by=max, card_name="Marta Santos", address={"line1": "1 Harbor Drive", "country": "PH"})
    html = page_of(as_max, method.get_absolute_url())

    told = {
        name: fact(html, name) for name in ("Name on card", "Last four digits", "First digits", "Scheme", "Funding", "Expires")
    }
    assert told == {
        "Name on card": "Marta Santos",
        "Last four digits": "4242",
        "First digits": "424242",
        "Scheme": "Visa",
        "Funding": "Credit",
        "Expires": "12 / 2034",
    }
    assert fact(html, "Gateway") == "Sandbox"
    assert fact(html, "Gateway type") == "sandbox"
    assert re.fullmatch(r"gw_[0-9a-f]{24}", fact(html, "Gateway ID"))
    assert fact(html, "Vault token").startswith(method.vault_token)
    assert fact(html, "Added by") == "Max"
    assert "1 Harbor Drive" in fact(html, "Address")
    assert "Payment method created" in html
    assert method.gateway_token not in html


def test_a_bank_account_and_a_wallet_account_tell_theirs(as_max, as_rita, marta):
    account = keep_other(marta, type="bank_account", brand="BDO", last4="6789", holder="Marta Santos")
    html = page_of(as_max, account.get_absolute_url())
    assert (fact(html, "Bank"), fact(html, "Last four digits"), fact(html, "Account holder")) == ("BDO", "6789", "Marta Santos")

    vault.remove_method(account, by=None)
    wallet = vault.keep_method(
        marta,
        gateway="sandbox",
        summary=MethodSummary("checkout", "paypal", holder="Marta S.", email="marta@wallet.example", token="tok_3"),
        by=None,
    )
    html = page_of(as_max, wallet.get_absolute_url())
    assert (fact(html, "Holder"), fact(html, "Email"), fact(html, "Wallet")) == ("Marta S.", "marta@wallet.example", "Paypal")
    assert "Scheme" not in html
    assert "marta@wallet.example" not in page_of(as_rita, wallet.get_absolute_url())


def test_the_payments_made_with_a_method_are_on_its_page_and_in_the_table(as_max, marta):
    method, other = make_method(marta), make_method(marta, number=MASTERCARD)
    about = {"currency": "USD", "by": None}
    mine = charges.charge(marta, amount=4850, form_key="a", method=method, description="Order 7", **about)
    charges.charge(marta, amount=900, form_key="b", method=other, description="Order 8", **about)

    html = page_of(as_max, method.get_absolute_url())
    assert "Order 7" in html
    assert "Order 8" not in html
    assert f"/billing/payments/?source={method.pk}" in html
    listed = as_max.get("/billing/payments/", {"source": method.pk})
    assert list(listed.context["page"].rows) == [mine]
    assert "Visa •••• 4242" in str(listed.context["chips"])
    assert as_max.get("/billing/payments/", {"source": "src_" + "0" * 24}).status_code == 200


def test_a_removed_method_is_kept_for_history_and_offers_nothing(as_max, marta):
    method = vault.remove_method(make_method(marta), by=None)
    html = page_of(as_max, method.get_absolute_url())
    assert "kept for history" in html
    for path in ("default/", "remove/"):
        assert url_of(marta, f"{method.pk}/{path}") not in html
    assert f"?method={method.pk}" not in html


def test_an_expired_card_says_that_it_cannot_be_charged(as_max, marta):
    method = make_method(marta, expire_year=2020)
    html = page_of(as_max, method.get_absolute_url())
    assert "It cannot be charged." in html
    assert f"?method={method.pk}" not in html


def test_a_gateway_that_is_gone_keeps_its_methods_readable(as_max, marta):
    method = make_method(marta, gateway="old_company")
    html = page_of(as_max, method.get_absolute_url())
    assert "Old company" in html
    assert "not connected any more" in html


def test_another_customers_method_is_not_there(as_max, marta):
    method = make_method(make_customer(first_name="Ana"))
    for path in ("", "default/", "remove/"):
        assert as_max.get(url_of(marta, f"{method.pk}/{path}")).status_code == 404
        assert as_max.post(url_of(marta, f"{method.pk}/{path}")).status_code in (404, 405)
    assert PaymentMethod.objects.active().count() == 1


# --- who ------------------------------------------------------------------------------------------------------
def test_a_reporter_reads_methods_without_their_tokens_and_changes_none(as_rita, marta):
    method = make_method(marta)
    for path in ("", f"{method.pk}/"):
        assert method.vault_token not in page_of(as_rita, url_of(marta, path))
    for path in ("new/", f"{method.pk}/default/", f"{method.pk}/remove/"):
        assert as_rita.get(url_of(marta, path)).status_code == 403
        assert as_rita.post(url_of(marta, path)).status_code == 403


def test_customer_service_adds_and_chooses_but_does_not_remove(as_sue, marta):
    method = make_method(marta)
    second = make_method(marta, number=MASTERCARD)
    assert as_sue.get(url_of(marta, "new/")).status_code == 200
    assert as_sue.post(url_of(marta, f"{second.pk}/default/")).status_code == 302
    assert as_sue.post(url_of(marta, f"{method.pk}/remove/")).status_code == 403
    assert url_of(marta, f"{method.pk}/remove/") not in page_of(as_sue, method.get_absolute_url())


# --- add ------------------------------------------------------------------------------------------------------
def test_a_card_that_staff_add_is_on_file_and_the_first_is_the_default(as_sue, sue, marta):
    html = page_of(as_sue, url_of(marta, "new/"))
    assert "It becomes the default" in html
    assert 'name="make_default"' not in html
    assert 'name="gateway"' not in html.replace('type="hidden" name="gateway"', "")

    response = add(as_sue, marta)

    link = TokenizationLink.objects.get()
    assert response.url.startswith("/sandbox/checkout/")
    assert (link.by_staff, link.created_by) == (True, sue)
    assert timedelta(minutes=58) < link.expires_at - timezone.now() < timedelta(minutes=61)
    type_card(as_sue, response)
    method = PaymentMethod.objects.get()
    assert (str(method), method.is_default, method.created_by, method.customer) == ("Visa •••• 4242", True, sue, marta)
    assert Event.objects.filter(type="payment_method.created", by=sue).count() == 1


def test_a_second_card_becomes_the_default_only_when_asked(as_max, marta):
    first = make_method(marta)
    assert 'name="make_default"' in page_of(as_max, url_of(marta, "new/"))
    type_card(as_max, add(as_max, marta), MASTERCARD)
    assert vault.default_method(marta) == first

    type_card(as_max, add(as_max, marta, form_key="1" * 32, make_default="on"), "378282246310005")
    assert str(vault.default_method(marta)) == "Amex •••• 0005"


def test_the_way_back_from_the_gateway_is_the_customers_page(as_max, marta):
    response = add(as_max, marta)
    back = type_card(as_max, response)
    while back.status_code == 302 and "/pay/return/" in back.url:
        back = as_max.get(back.url)
    assert back.url == f"{marta.get_absolute_url()}#methods"
    html = page_of(as_max, back.url)
    assert "Visa •••• 4242 is on file. No money moved." in html
    assert PaymentMethod.objects.get().get_absolute_url() in html


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (DECLINED, "The bank declined the card"),
        ("4000000000000069", "The card has expired"),
        ("4000000000000127", "The security code is incorrect"),
        ("4242424242424241", "This is not one of the test cards"),
        ("4111111111111111", "This is not one of the test cards"),
    ],
)
def test_a_card_that_is_no_good_is_not_stored_and_the_page_says_why(as_max, marta, number, told):
    response = add(as_max, marta)
    answer = type_card(as_max, response, number)
    html = as_max.get(response.url).content.decode() if answer.status_code == 302 else answer.content.decode()
    assert told in html
    assert "o money moved" in html
    assert not PaymentMethod.objects.exists()


def test_the_same_form_sent_twice_opens_one_page(as_max, marta):
    assert add(as_max, marta).url == add(as_max, marta).url
    assert TokenizationLink.objects.count() == Attempt.objects.count() == 1


@pytest.mark.parametrize("wrong", [{"form_key": ""}, {"form_key": "x"}, {"gateway": "bank of nowhere"}], ids=str)
def test_a_form_that_was_tampered_with_adds_nothing(as_max, marta, wrong):
    response = add(as_max, marta, **wrong)
    assert response.status_code == 422
    assert "No money moved" in response.content.decode()
    assert not TokenizationLink.objects.exists()


def test_an_archived_customer_takes_no_card(as_max, max, marta):
    archive_customer(marta, by=max)
    assert "Restore the customer first." in page_of(as_max, url_of(marta, "new/"))
    response = add(as_max, marta)
    assert response.status_code == 422
    assert "Nothing was stored. No money moved." in response.content.decode()
    assert not TokenizationLink.objects.exists()


def test_a_gateway_that_cannot_be_reached_stores_nothing_and_says_so(as_max, marta, monkeypatch):
    def away(self, customer, *, key):
        raise Unavailable("No connection.")

    monkeypatch.setattr(SandboxGateway, "ensure_customer", away)
    response = add(as_max, marta)
    assert response.status_code == 422
    assert "cannot be reached right now" in response.content.decode()
    assert not PaymentMethod.objects.exists()


def test_pinned_warnings_stand_where_a_card_is_added(as_max, max, marta):
    add_comment(marta, body="Uses stolen cards.", by=max, pinned=True)
    assert "Uses stolen cards." in page_of(as_max, url_of(marta, "new/"))


# --- live mode ---------------------------------------------------------------------------------------------------
@pytest.fixture
def live(as_max):
    as_max.post("/mode/", {"mode": "live"})
    return make_customer(livemode=True)


def test_live_mode_without_a_gateway_says_so(as_max, live):
    assert "No payment gateway keeps cards in USD in live mode" in page_of(as_max, url_of(live, "new/"))
    assert add(as_max, live).status_code == 422


def test_a_live_card_is_typed_on_the_gateways_own_page_and_a_link_leads_there(as_max, live, far_away):
    html = page_of(as_max, url_of(live, "new/"))
    assert not re.search(r'<(input|select)[^>]*name="(number|card|cvc?|expiry|pan)"', html)
    assert "Faraway" in html

    response = add(as_max, live)

    link = Attempt.objects.get().url
    assert response.status_code == 200
    assert link.startswith("https://pay.example/")
    assert f'href="{link}"' in response.content.decode()
    assert not PaymentMethod.objects.exists()


# --- the default, and removing ------------------------------------------------------------------------------------
def test_making_a_method_the_default_is_said_and_recorded(as_sue, sue, marta):
    first, second = make_method(marta), make_method(marta, number=MASTERCARD)
    url = url_of(marta, f"{second.pk}/default/")
    assert f"instead of {first}" in page_of(as_sue, url)
    response = as_sue.post(url, follow=True)
    assert "Mastercard •••• 4444 is the default now." in response.content.decode()
    assert vault.default_method(marta) == second
    assert Event.objects.filter(type="payment_method.made_default", by=sue).count() == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "archived"}, "was removed"),
        ({"expire_year": 2020}, "expired at the end of December 2020"),
        ({}, "is the default already"),
    ],
    ids=["removed", "expired", "default already"],
)
def test_a_method_that_cannot_be_the_default_is_refused_in_words(as_max, marta, changes, told):
    keeper = make_method(marta)
    method = make_method(marta, number=MASTERCARD, **changes) if changes else keeper
    response = as_max.post(url_of(marta, f"{method.pk}/default/"))
    assert response.status_code == 422
    assert told in response.content.decode()
    assert vault.default_method(marta) == keeper


def test_removing_a_method_keeps_it_for_history(as_max, max, marta):
    method = make_method(marta)
    url = url_of(marta, f"{method.pk}/remove/")
    assert "never charged again" in page_of(as_max, url)
    assert PaymentMethod.objects.active().count() == 1
    assert "is removed" in as_max.post(url, follow=True).content.decode()
    method.refresh_from_db()
    assert (method.status, method.is_default) == ("archived", False)
    assert Event.objects.get(type="payment_method.archived").by == max
    again = as_max.post(url)
    assert again.status_code == 422
    assert "removed" in again.content.decode()


def test_the_default_among_several_is_not_removed(as_max, marta):
    first = make_method(marta)
    make_method(marta, number=MASTERCARD)
    response = as_max.post(url_of(marta, f"{first.pk}/remove/"))
    assert response.status_code == 422
    assert "Make another one the default first." in response.content.decode()
    assert PaymentMethod.objects.active().count() == 2


# --- on the customer's page ------------------------------------------------------------------------------------------
def section_of(client, customer, **query):
    html = client.get(customer.get_absolute_url(), query).content.decode()
    return html.partition('id="methods"')[2].partition("</section>")[0]


def test_the_customers_page_lists_the_methods_that_can_be_charged(as_max, marta):
    method = make_method(marta)
    old = make_method(marta, number=MASTERCARD, expire_year=2020)
    gone = vault.remove_method(make_method(marta, number="378282246310005"), by=None)

    html = section_of(as_max, marta)

    assert "4242" in html
    assert "Default" in html
    assert "12 / 2034" in html
    assert "Sandbox" in html
    assert "Expired" in html
    assert gone.get_absolute_url() not in html
    assert f'data-copy="{method.vault_token}"' in html
    assert url_of(marta, f"{old.pk}/remove/") in html
    assert f"/charge/?method={method.pk}" in html
    assert f"/charge/?method={old.pk}" not in html
    assert f'href="{url_of(marta)}"' in html


def test_a_customer_without_methods_is_told_what_to_do(as_max, marta):
    assert "No payment method — add a card or request card details." in section_of(as_max, marta)


def test_card_tokenization_links_are_the_tab_next_to_payment_methods(as_max, marta):
    tabs = re.findall(r'<a href="([^"]+)"( aria-current="true")?>([^<]+)', section_of(as_max, marta))[:2]
    assert [label for _, _, label in tabs] == ["Payment methods", "Card tokenization links"]
    assert tabs[1][0] == f"{marta.get_absolute_url()}?links=1#methods"
    there = re.findall(r'<a href="([^"]+)"( aria-current="true")?>([^<]+)', section_of(as_max, marta, links="1"))[:2]
    assert [bool(current) for _, current, _ in there] == [False, True]


def test_the_section_shows_a_reporter_no_token_and_no_button(as_rita, marta):
    method = make_method(marta)
    html = section_of(as_rita, marta)
    assert "4242" in html
    assert method.vault_token not in html
    assert "Add card" not in html
    assert "Remove" not in html


def test_no_payment_was_made_by_any_of_this(as_max, marta):
    type_card(as_max, add(as_max, marta))
    assert not Payment.objects.exists()
