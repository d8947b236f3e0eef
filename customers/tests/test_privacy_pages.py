"""The pages: who may take a copy, who may erase, what they are told before and after."""

import pytest

from billing.tests.factories import make_open_statement
from customers.models import Customer
from customers.privacy import erasure
from customers.tests.factories import make_customer
from customers.tests.test_privacy_erasure import erase, forgettable
from dashboard.tests.api_client import Api
from dashboard.tests.test_signin import make_stale

pytestmark = pytest.mark.django_db
SURE = {"reason": "asked", "confirm": "ana cruz"}


def page(client, customer, name):
    return client.get(f"/customers/{customer.pk}/{name}/")


def test_admins_erase_and_managers_take_copies(alice, as_alice, as_max, as_sue, as_rita):
    customer = make_customer(by=alice)
    allowed = {"data": (200, 200, 403, 403), "erase": (200, 403, 403, 403), "kept": (200, 403, 403, 403)}

    for name, wanted in allowed.items():
        assert tuple(page(c, customer, name).status_code for c in (as_alice, as_max, as_sue, as_rita)) == wanted, name
    assert "Erase personal data" in as_alice.get(customer.get_absolute_url()).text
    assert "Erase personal data" not in as_max.get(customer.get_absolute_url()).text
    assert "Download their data" in as_max.get(customer.get_absolute_url()).text
    assert "Download their data" not in as_sue.get(customer.get_absolute_url()).text


def test_the_report_comes_first(alice, as_alice):
    customer = forgettable(alice)

    said = page(as_alice, customer, "erase").text

    assert "Name, contact data, identifiers, description and metadata" in said
    assert "Billing statements and invoices: name" in said
    assert str(erasure.report_on(customer).kept[0][2].year) in said
    assert "Not yet" not in said
    customer.refresh_from_db()
    assert customer.erased_at is None


def test_what_is_open_is_shown_with_where_to_settle_it(alice, as_alice):
    customer = forgettable(alice)
    statement = make_open_statement(customer, by=alice)

    said = page(as_alice, customer, "erase").text
    refused = as_alice.post(f"/customers/{customer.pk}/erase/", SURE)

    assert "Not yet: something is still open" in said
    assert f'<a href="{statement.get_absolute_url()}">' in said
    assert 'name="confirm"' not in said
    assert refused.status_code == 422
    assert not Customer.objects.exclude(erased_at=None).exists()


@pytest.mark.parametrize("wrong", [{"confirm": "Ana"}, {"confirm": ""}, {"reason": ""}, {"reason": "because"}])
def test_a_name_or_reason_that_is_not_right_erases_nothing(wrong, alice, as_alice):
    customer = forgettable(alice)

    response = as_alice.post(f"/customers/{customer.pk}/erase/", SURE | wrong)

    assert response.status_code == 422
    customer.refresh_from_db()
    assert (customer.erased_at, customer.email) == (None, "ana@example.com")


def test_an_old_sign_in_asks_for_the_password_first(alice, as_alice):
    customer = forgettable(alice)
    page(as_alice, customer, "erase")
    make_stale(as_alice)

    asked = as_alice.post(f"/customers/{customer.pk}/erase/", SURE)

    assert asked.status_code == 422
    assert "Confirm that it is you" in asked.text
    customer.refresh_from_db()
    assert customer.erased_at is None


def test_the_page_of_somebody_erased_says_what_happened(alice, as_alice, as_max):
    customer = forgettable(alice)

    response = as_alice.post(f"/customers/{customer.pk}/erase/", SURE, follow=True)

    for words in (
        "The customer was erased.",
        "Erased customer",
        "They asked for it",
        "What was taken out",
        "Addresses",
        "See them",
    ):
        assert words in response.text, words
    for words in ("Ana", "Cruz", "ana@example.com", "Manila", "Restore"):
        assert words not in response.text, words
    assert "Ana Cruz" in page(as_alice, customer, "kept").text
    assert "See them" not in as_max.get(customer.get_absolute_url()).text
    for address in ("/customers/?q=ana", "/customers/?q=cruz", "/customers/?status=archived", "/search/?q=ana%40example.com"):
        assert "Ana" not in as_alice.get(address, follow=True).text.replace("Ana&", ""), address


def test_nobody_edits_restores_or_comments_somebody_erased(alice, as_alice):
    customer = erase(forgettable(alice), alice)
    base = f"/customers/{customer.pk}"
    typed = {"kind": "individual", "first_name": "Ana", "currency": "USD", "version": customer.version, "was": "{}"}

    assert as_alice.post(f"{base}/edit/", typed).status_code == 422
    assert as_alice.post(f"{base}/restore/").status_code == 422
    assert as_alice.post(f"{base}/comments/", {"body": "It was Ana"}).status_code == 422
    assert as_alice.post(f"{base}/addresses/new/", {"line1": "1 Rizal Street", "country": "PH"}).status_code == 422
    assert as_alice.get(f"{base}/panel/").status_code == 200
    customer.refresh_from_db()
    assert (customer.name, customer.status, customer.comments.count(), customer.addresses.count()) == (
        "Erased customer", "archived", 0, 0,
    )  # fmt: skip


def test_the_api_says_since_when_and_offers_no_erasing(alice):
    customer, api = forgettable(alice), Api(scopes=["write"])
    assert api.get(f"/customers/{customer.pk}").json()["erased_at"] is None
    erase(customer, alice)

    shown = api.get(f"/customers/{customer.pk}").json()

    assert shown["erased_at"].endswith("Z")
    assert (shown["name"], shown["email"], shown["metadata"], shown["addresses"]) == ("Erased customer", None, {}, [])
    refused = api.put(f"/customers/{customer.pk}", {"name": "Ana Cruz"})
    assert (refused.status_code, "This customer was erased." in refused.text) == (409, True)
    assert api.post(f"/customers/{customer.pk}/erase", {}).status_code in (404, 405)
    assert "ana" not in api.get("/payments").text.lower().replace("manage", "")
