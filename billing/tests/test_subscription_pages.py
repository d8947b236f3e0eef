"""The pages of subscriptions: list, start with its preview, details, change, pause, resume, cancel and keep."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from billing.domain import coupons, invoicing, subscriptions
from billing.models import Subscription
from billing.tests.factories import make_customer, make_method, make_subscription
from customers.domain import archive_customer
from customers.tests import factories
from dashboard.models import Event

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LIST = "/billing/subscriptions/"


def today():
    return timezone.localdate()


def new_url(customer):
    return f"/customers/{customer.pk}/subscriptions/new/"


def typed(**changes):
    """A form filled in: $29.00 every month from today, charged to the default."""
    return {
        "name": "Beans, monthly",
        "amount": "29.00",
        "amount_currency": "USD",
        "quantity": "1",
        "interval": "month",
        "interval_count": "1",
        "started_on": today().isoformat(),
        "billing": "pay_automatically",
        "method": "",
        "days_until_due": "14",
        "code": "",
        "form_key": "a" * 32,
        **changes,
    }


def with_card():
    customer = make_customer()
    make_method(customer)
    return customer


# --- the list ------------------------------------------------------------------------------------------------
def test_the_list_tells_what_is_billed_how_often_and_when_next(as_rita):
    make_subscription(amount=2900, quantity=2)

    html = as_rita.get(LIST).text

    for text in ("Beans, monthly", "Marta Santos", "every month", "58.00", "Active"):
        assert text in html


def test_the_list_is_filtered_by_status_end_problem_and_words(as_max):
    active, paused, ending = (make_subscription(name=name) for name in ("Active one", "Paused one", "Ending one"))
    subscriptions.pause(paused, by=None)
    invoicing.bill_subscription(ending.pk)
    subscriptions.cancel_subscription(ending, at_period_end=True, by=None)
    Subscription.objects.filter(pk=active.pk).update(problem="No e-mail")

    def names(query):
        return {row.name for row in as_max.get(f"{LIST}?{query}").context["page"].rows}

    assert names("status=paused") == {"Paused one"}
    assert names("ends=yes") == {"Ending one"}
    assert names("problem=yes") == {"Active one"}
    assert names("q=paused") == {"Paused one"}
    assert names("interval=year") == set()
    assert names(f"next_to={today().isoformat()}") == {"Active one", "Paused one"}
    assert names("") == {"Active one", "Paused one", "Ending one"}


def test_the_export_has_amounts_and_days(as_max):
    make_subscription(amount=2900, quantity=2)

    text = b"".join(as_max.get(f"{LIST}?format=csv").streaming_content).decode()

    heading, row = text.lstrip("\ufeff").splitlines()
    cells = dict(zip(heading.split(","), row.replace('"Beans, monthly"', "Beans").split(","), strict=True))
    assert (cells["amount"], cells["quantity"], cells["period_amount"], cells["interval"]) == ("29.00", "2", "58.00", "month")
    assert cells["started_on"] == today().isoformat()


def test_another_modes_subscription_is_unknown(as_max):
    sub = make_subscription()
    Subscription.objects.filter(pk=sub.pk).update(livemode=True)

    assert as_max.get(f"{LIST}{sub.pk}/").status_code == 404
    assert not as_max.get(LIST).context["page"].rows


# --- starting ------------------------------------------------------------------------------------------------
def test_one_is_started_from_a_customer_and_sent_twice_it_starts_once(as_max, max):
    customer = with_card()
    assert as_max.get(new_url(customer)).status_code == 200

    first = as_max.post(new_url(customer), typed())
    again = as_max.post(new_url(customer), typed())

    sub = Subscription.objects.get()
    assert first.url == again.url == sub.get_absolute_url()
    assert (sub.created_by, sub.period_amount, sub.next_invoice_on, sub.method) == (max, 2900, today(), None)
    assert "issued within a minute" in as_max.get(first.url).text


def test_the_preview_shows_three_periods_with_the_discount_and_saves_nothing(as_max):
    customer = with_card()
    coupons.create_coupon(livemode=False, by=None, code="HALF", percent_off=Decimal(50))
    data = typed(code="half", started_on=f"{today().year + 1}-01-31", preview="1")

    page = as_max.post(new_url(customer), data)
    part = as_max.post(new_url(customer), data, headers={"HX-Request": "true"})

    for html in (page.text, part.text):
        for text in ("31 Jan", "14.50", "29.00", "Feb"):
            assert text in html
    assert "<html" not in part.text
    assert len(page.context["upcoming"]) == 3
    assert not Subscription.objects.exists()


def test_a_preview_of_an_unfinished_form_says_what_to_fill_in(as_max):
    page = as_max.post(new_url(with_card()), {"name": "Beans", "preview": "1"}, headers={"HX-Request": "true"})

    assert page.status_code == 200
    assert "Fill in a name" in page.text


def test_the_preview_tells_how_many_periods_have_begun(as_max):
    data = typed(started_on=(today() - 100 * DAY).isoformat(), bill_past="on", preview="1")

    assert "4 periods have begun already" in as_max.post(new_url(with_card()), data).text


WRONG = [
    ({"name": ""}, "name", "Say what the subscription is for"),
    ({"amount": ""}, "amount", "Enter an amount"),
    ({"amount": "0"}, "amount", "above zero"),
    ({"quantity": "0"}, "quantity", "whole number from 1"),
    ({"quantity": "lots"}, "quantity", "whole number from 1"),
    ({"interval_count": "37"}, "interval_count", "at most 36 months"),
    ({"interval": "year", "interval_count": "4"}, "interval_count", "at most 3 years"),
    ({"interval": "decade"}, "interval", "valid choice"),
    ({"started_on": "soon"}, "started_on", "Enter a date"),
    ({"started_on": "2020-01-01"}, "bill_past", "first day is past"),
    ({"days_until_due": "400"}, "days_until_due", "whole number from 0"),
    ({"method": "src_00000000000000000000000a"}, "method", "not on file"),
    ({"code": "NOSUCH"}, "code", "no coupon with this code"),
    ({"code": "spaces in it"}, "code", "no coupon with this code"),
]


@pytest.mark.parametrize(("changes", "field", "sentence"), WRONG)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_started(changes, field, sentence, as_max):
    page = as_max.post(new_url(with_card()), typed(**changes))

    assert page.status_code == 422
    assert sentence in str(page.context["form"].errors[field])
    assert not Subscription.objects.exists()


def test_a_coupon_of_another_customer_is_refused_at_its_field(as_max):
    coupons.create_coupon(livemode=False, by=None, code="MINE", percent_off=Decimal(5), customer=make_customer())

    page = as_max.post(new_url(with_card()), typed(code="mine"))

    assert "alone" in str(page.context["form"].errors["code"])


def test_a_first_day_too_long_ago_is_refused_on_the_form(as_max):
    page = as_max.post(new_url(with_card()), typed(started_on="2020-01-01", bill_past="on"))

    assert (page.status_code, "at most one year back" in page.text) == (422, True)


def test_without_a_card_invoices_can_only_be_sent(as_max):
    customer = make_customer()
    page = as_max.get(new_url(customer))
    assert "no payment method on file" in page.text
    assert page.context["form"]["billing"].value() == "send_invoice"

    refused = as_max.post(new_url(customer), typed())
    assert "Customer must have a default source" in refused.text
    assert as_max.post(new_url(customer), typed(billing="send_invoice")).status_code == 302


def test_an_archived_customer_and_one_without_email_are_told_why_not(as_max):
    for customer, word in [(archive_customer(make_customer(), by=None), "archived"), (factories.make_customer(), "no email")]:
        page = as_max.get(new_url(customer))
        assert word in page.text
        assert '<form method="post" action="/customers' not in page.text
        assert as_max.post(new_url(customer), typed()).status_code == 422
    assert not Subscription.objects.exists()


# --- one -------------------------------------------------------------------------------------------------------
def test_its_page_tells_the_terms_the_next_invoices_and_those_issued(as_rita):
    sub = make_subscription(quantity=2, amount=1450)
    invoicing.bill_due()

    html = as_rita.get(sub.get_absolute_url()).text

    for text in ("The next invoice is issued on", "29.00", "every month", "Visa •••• 4242", "The customer’s default", "-0001"):
        assert text in html
    assert "Pause" not in html  # rita only reads


def test_its_page_shows_what_stands_in_the_way(as_max):
    sub = make_subscription()
    Subscription.objects.filter(pk=sub.pk).update(problem="Marta Santos has no e-mail.")

    assert "Marta Santos has no e-mail." in as_max.get(sub.get_absolute_url()).text


def test_terms_are_changed_and_a_stale_form_changes_nothing(as_max):
    sub = make_subscription()
    url = f"{LIST}{sub.pk}/edit/"
    data = {"name": "Beans, large", "amount": "99.00", "quantity": "2", "billing": "send_invoice", "days_until_due": "7"}

    assert as_max.get(url).status_code == 200
    assert as_max.post(url, data | {"version": "1"}).status_code == 302
    stale = as_max.post(url, data | {"version": "1", "name": "Stale"})

    sub.refresh_from_db()
    assert (sub.name, sub.amount, sub.quantity, sub.billing, sub.version) == ("Beans, large", 9900, 2, "send_invoice", 2)
    assert (stale.status_code, "was changed after you opened this form" in stale.text) == (422, True)


def test_paused_and_resumed_by_buttons_with_their_consequence(as_max, max):
    sub = make_subscription(started_on=today() + 9 * DAY)
    assert "are not billed" in as_max.get(f"{LIST}{sub.pk}/pause/").text

    as_max.post(f"{LIST}{sub.pk}/pause/")
    assert "It is paused" in as_max.get(sub.get_absolute_url()).text
    assert "It is billed again from" in as_max.get(f"{LIST}{sub.pk}/resume/").text
    as_max.post(f"{LIST}{sub.pk}/resume/")

    sub.refresh_from_db()
    assert sub.status == "active"
    assert [e.by for e in Event.objects.filter(type__in=["subscription.paused", "subscription.active"])] == [max, max]


def test_canceled_at_the_periods_end_and_kept(as_max):
    sub = make_subscription()
    only_now = as_max.get(f"{LIST}{sub.pk}/cancel/")
    assert [value for value, _ in only_now.context["form"].fields["when"].choices] == ["now"]
    invoicing.bill_due()

    as_max.post(f"{LIST}{sub.pk}/cancel/", {"when": "period_end", "why": "Moves"})
    assert "It ends on" in as_max.get(sub.get_absolute_url()).text
    as_max.post(f"{LIST}{sub.pk}/keep/")

    sub.refresh_from_db()
    assert (sub.status, sub.cancel_at_period_end) == ("active", False)


def test_canceled_at_once_it_offers_nothing_more(as_max):
    sub = make_subscription()

    as_max.post(f"{LIST}{sub.pk}/cancel/", {"when": "now", "why": ""})

    html = as_max.get(sub.get_absolute_url()).text
    assert "nothing more is billed" in html
    assert "/pause/" not in html
    assert as_max.post(f"{LIST}{sub.pk}/cancel/", {"when": "now"}).status_code == 422


@pytest.mark.parametrize("action", ["edit", "pause", "resume", "cancel", "keep"])
def test_who_only_reads_or_knows_customers_changes_nothing(action, as_sue, as_rita):
    sub = make_subscription()

    for client in (as_sue, as_rita):
        assert client.post(f"{LIST}{sub.pk}/{action}/").status_code == 403
        assert client.post(new_url(sub.customer), typed()).status_code == 403
    assert Subscription.objects.get().version == 1


# --- the customer's page -----------------------------------------------------------------------------------------
def test_the_customers_page_lists_subscriptions_and_invoices(as_max):
    sub = make_subscription()
    empty = make_customer()
    invoicing.bill_due()

    html = as_max.get(sub.customer.get_absolute_url()).text
    section = html.partition('id="subscriptions"')[2].partition("</section>")[0]
    for text in (sub.name, "Every month", "-0001", "29.00", "New subscription"):
        assert text in section
    assert "No invoices" in as_max.get(empty.get_absolute_url()).text


def test_a_search_from_anywhere_finds_it(as_max):
    make_subscription(name="Quarterly cupping box")

    assert "Quarterly cupping box" in as_max.get("/search/?q=cupping").text
