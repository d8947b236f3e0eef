"""The customer's page and panel: every section in its place, every action in its order, every figure with its rows."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from billing.domain import credit
from billing.domain.payments import record_payment
from billing.models import BillingStatement, Payment
from billing.sections import customer_sections
from billing.tests.everything import give_everything
from billing.tests.factories import make_customer, make_open_statement
from customers import domain
from customers.models import Customer
from customers.tests.factories import make_comment
from dashboard.money import Money

pytestmark = pytest.mark.django_db
ORDER = [
    "overview", "addresses", "methods", "statements", "payments", "overdue", "requests", "coupons", "subscriptions",
    "comments", "statistics", "metadata", "timeline",
]  # fmt: skip
BUTTONS = ["Request payment", "Create coupon", "Create payment", "More actions"]
MORE = ["Add card", "Request card details", "Add new address"]


@pytest.fixture
def marta(db):
    return make_customer()


@pytest.fixture
def full(marta, max):
    give_everything(marta, 7, by=max)
    return marta


def page_of(client, customer, panel=""):
    response = client.get(f"{customer.get_absolute_url()}{panel}")
    assert response.status_code == 200
    return response.text


def sections_of(page):
    return re.findall(r'<section class="card" id="(\w+)"', page)


def part(page, name):
    return page.partition(f'id="{name}"')[2].partition("</section>")[0]


def actions_of(page):
    """[(label, address)] of the buttons and of More actions, in their order; "" for what is no link."""
    head = page.partition("<main")[2].partition("<dl ")[0]
    found = re.findall(r"<(?:a|summary|button)\b([^>]*)>(?:<svg.*?</svg>)?([^<]+)", head)
    return [(label.strip(), (re.findall(r'href="([^"]+)"', tag) or [""])[0]) for tag, label in found if label.strip()]


def labels(page):
    return [label for label, _ in actions_of(page)]


def owe(customer, days, currency="USD", **changes):
    """An open statement that was due so many days ago."""
    made = make_open_statement(customer, currency=currency)
    BillingStatement.objects.filter(pk=made.pk).update(due_at=timezone.now() - timedelta(days=days), **changes)
    return made


# --- what is where ---------------------------------------------------------------------------------------------
def test_the_page_has_every_section_in_its_order(full, as_max):
    assert sections_of(page_of(as_max, full)) == ORDER


def test_a_new_customer_has_every_section_and_its_empty_words(as_max, marta):
    page = page_of(as_max, make_customer(address=None, email="new@example.com"))

    assert sections_of(page) == [name for name in ORDER if name != "overdue"]
    for words in (
        "No address on file",
        "No payment method",
        "No statements yet",
        "No coupons used",
        "No invoices",
        "No comments",
    ):
        assert words in page


def test_each_section_shows_its_newest_rows_and_how_many_there_are(full, as_max):
    page = page_of(as_max, full)

    for name, rows in (("statements", 5), ("payments", 5), ("requests", 5), ("methods", 7), ("overdue", 5)):
        assert part(page, name).count('class="row-link') == rows, name
    assert "See all 7 payments" in part(page, "payments")
    assert "See all 7 payment requests" in part(page, "requests")


def test_both_tabs_of_methods_and_links_are_pages_without_script(full, as_max):
    assert "•••• 0000" in part(page_of(as_max, full), "methods")
    assert "•••• 0006" in part(page_of(as_max, full, "?links=1"), "methods")
    assert "Done" in part(page_of(as_max, full, "?links=1"), "methods")
    assert "Done" not in part(page_of(as_max, full), "methods")


def test_the_latest_50_comments_are_shown_and_all_of_them_on_request(marta, as_max, sue):
    warning = make_comment(marta, by=sue, body="Cash only.", pinned=True)
    for n in range(50):
        make_comment(marta, by=sue, body=f"Note {n}.")

    page = page_of(as_max, marta)
    assert warning.pk not in page
    assert "Cash only." in page  # a warning stays, however old
    assert "See all 51 comments" in page
    assert warning.pk in page_of(as_max, marta, "?comments=all")


# --- what one may do (R-53, R-56, R-57, R-58) --------------------------------------------------------------------
@pytest.mark.parametrize("panel", ["", "panel/"])
def test_a_manager_has_the_actions_in_their_order(panel, marta, as_max):
    found = [label for label in labels(page_of(as_max, marta, panel)) if label in (*BUTTONS, *MORE)]

    assert found == [*BUTTONS, *MORE]


@pytest.mark.parametrize(("who", "expected"), [("as_sue", ["More actions", *MORE]), ("as_rita", ["More actions"])])
@pytest.mark.parametrize("panel", ["", "panel/"])
def test_other_roles_have_the_actions_they_may_use(who, expected, panel, marta, request):
    page = page_of(request.getfixturevalue(who), marta, panel)

    assert [label for label in labels(page) if label in (*BUTTONS, *MORE)] == expected


def test_every_action_opens_a_page_about_this_customer(marta, as_alice):
    links = {url for label, url in actions_of(page_of(as_alice, marta)) if url and label != "Customers"}

    assert len(links) > 8
    for url in links:
        assert marta.pk in url
        assert as_alice.get(url).status_code == 200, url


def test_an_archived_customer_is_offered_nothing_that_takes_money_or_cards(marta, as_max, max):
    domain.archive_customer(marta, by=max)
    found = labels(page_of(as_max, marta))

    assert not {"Request payment", "Create coupon", "Create payment", "Add card", "Request card details"} & set(found)
    assert "New billing statement" not in found
    assert "Add new address" in found
    assert "Restore" in found


def test_the_panel_shows_the_last_five_payments_the_methods_and_what_is_owed(full, as_sue):
    page = page_of(as_sue, full, "panel/")

    assert [f"Payment {n}<" in page for n in range(7)] == [True] * 5 + [False] * 2
    assert "See all 7 payments" in page
    assert "Visa •••• 0000" in page
    assert "See all 7 payment methods" in page
    for words in ("Collected", "Overdue", "Credit", "Open requests"):
        assert f"<dt>{words}</dt>" in page


# --- overdue (R-22, R-61) ----------------------------------------------------------------------------------------
def test_what_is_late_makes_a_customer_delinquent_until_it_is_paid_or_void(marta, as_max, max):
    def delinquent():
        return Customer.objects.with_delinquent().get(pk=marta.pk).delinquent

    make_open_statement(marta, due_at=timezone.now() + timedelta(days=1))
    assert not delinquent()
    for end in ("paid", "void"):
        late = owe(marta, 1)
        assert delinquent()
        assert "Overdue</span></h1>" in page_of(as_max, marta)
        BillingStatement.objects.filter(pk=late.pk).update(
            status=end, amount_remaining=0, amount_paid=late.total, paid_at=timezone.now()
        )
        assert not delinquent()
    given_up = make_open_statement(marta, due_at=timezone.now() + timedelta(days=1))
    BillingStatement.objects.filter(pk=given_up.pk).update(status="uncollectible")
    assert delinquent()
    assert list(Customer.objects.delinquent()) == [marta]
    assert not Customer.objects.not_delinquent()


def test_nothing_overdue_shows_no_card(marta, as_max):
    make_open_statement(marta)

    assert 'id="overdue"' not in page_of(as_max, marta)


def test_what_is_overdue_is_added_up_by_currency_and_what_was_given_up_stands_apart(marta, as_max):
    owe(marta, 11)
    owe(marta, 3)
    owe(marta, 40, status="uncollectible")
    owe(marta, 5, currency="EUR")
    paid = owe(marta, 9)
    record_payment(marta, amount=4860, currency="USD", statement=paid, by=None)
    owing = {o.currency: o for o in customer_sections(marta).figures.owing}

    assert list(owing) == ["USD", "EUR"]  # the customer's own first
    assert [t.amount.minor for t in (owing["USD"].late, owing["USD"].given_up, owing["USD"].all)] == [9720, 4860, 14580]
    assert (owing["USD"].late.count, owing["USD"].late.days) == (2, 11)
    assert owing["EUR"].given_up is None
    card = part(page_of(as_max, marta), "overdue")
    assert "2 bills, 11 days late" in card
    assert paid.number not in card
    assert card.index("Uncollectible</span>") < card.index("11 days</td>")  # the longest overdue first


def test_each_overdue_figure_opens_exactly_its_rows(full, as_max):
    card = part(page_of(as_max, full), "overdue")
    figures = re.findall(r'<a class="figure" href="([^"]+)">(.*?)</a>.*?(\d+) bill', card)

    assert len(figures) > 2
    for url, shown, count in figures:
        rows = as_max.get(url.replace("&amp;", "&")).context["page"].rows
        amount = Money(sum(row.amount_remaining for row in rows), rows[0].currency)
        assert len(rows) == int(count), url
        assert str(amount) in shown, url
        assert {row.customer_id for row in rows} == {full.pk}


# --- statistics and balance (R-21, R-23) ---------------------------------------------------------------------------
def test_statistics_count_what_succeeded(marta, as_sue):
    page = page_of(as_sue, marta)
    assert "$0.00" in page.partition("Total collected")[2].partition("</dd>")[0]
    for amount in (1000, 550):
        record_payment(marta, amount=amount, currency="USD", by=None, product_type="api")
    Payment.objects.create(
        customer=marta, livemode=False, product_type="api", status="failed", amount=700, currency="USD", method_type="card"
    )
    page = page_of(as_sue, marta)

    assert "$15.50" in page.partition("Total collected")[2].partition("</dd>")[0]
    assert "<dd>2<" in page.partition("Successful payments")[2].partition("</div>")[0]
    assert "$7.75" in part(page, "statistics")  # the average


def test_figures_by_currency_lead_to_their_payments(marta, as_sue):
    for amount, currency in ((1000, "USD"), (500, "JPY"), (100, "USD")):
        record_payment(marta, amount=amount, currency=currency, by=None, product_type="api")
    card = part(page_of(as_sue, marta), "statistics")
    rows = re.findall(r'<th scope="row">(\w+)</th><td class="num"><a href="([^"]+)">(\d+)</a></td>', card)

    assert [(currency, int(count)) for currency, _, count in rows] == [("USD", 2), ("JPY", 1)]
    for currency, url, count in rows:
        found = as_sue.get(url.replace("&amp;", "&")).context["page"].rows
        assert [row.currency for row in found] == [currency] * int(count)


def test_the_balance_is_told_and_leads_to_its_ledger(marta, as_max, max):
    for amount in (10000, -3000):
        credit.adjust_credit(marta, amount=amount, currency="USD", reason="Goodwill", by=max)
    page = page_of(as_max, marta).partition("Credit balance</dt>")[2].partition("</dd>")[0]
    ledger = as_max.get(reverse("customer_billing:balance", args=[marta.pk]))

    assert "$70.00" in page
    assert reverse("customer_billing:balance", args=[marta.pk]) in page
    assert sum(entry.amount for entry in ledger.context["entries"]) == 7000 == Decimal("70.00") * 100
    assert "Adjust balance" in ledger.text
    assert "Goodwill" in ledger.text


def test_only_those_who_may_are_offered_to_adjust_the_balance(marta, as_sue):
    assert "Adjust balance" not in as_sue.get(reverse("customer_billing:balance", args=[marta.pk])).text
