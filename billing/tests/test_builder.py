"""The builder: a statement for a customer or for a name and an e-mail, with lines that come and go by buttons."""

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from billing.domain.statements import update_draft
from billing.models import BillingStatement, LineItem
from billing.tests.factories import make_customer, make_open_statement, make_statement
from billing.tests.test_attempts import at_once
from customers.domain import add_comment
from customers.models import Customer
from dashboard.models import Event

pytestmark = pytest.mark.django_db
NEW = "/billing/statements/new/"
KEY = "a" * 32


def in_days(days):
    return str(timezone.localdate() + timedelta(days=days))


def typed(*lines, **fields):
    """What a browser sends: lines are (description, quantity, price)."""
    data = {"line": [str(n) for n in range(len(lines))], "currency": "USD", "due_on": in_days(14), "form_key": KEY}
    for n, (text, quantity, price) in enumerate(lines):
        data |= {f"line-{n}-description": text, f"line-{n}-quantity": quantity, f"line-{n}-price": price}
    return data | fields


BEANS, CUPS = ("Coffee beans, 5 kg", "2", "21.80"), ("Cups", "10", "1,250.00")


def draft():
    return BillingStatement.objects.get()


def numbers_in(page):
    return re.findall(r'name="line" value="(\d+)"', page)


# --- making one -----------------------------------------------------------------------------------------------
def test_a_draft_is_made_for_a_customer_chosen(as_max, max):
    customer = make_customer()

    answer = as_max.post(NEW, typed(BEANS, CUPS, customer=customer.pk, email=customer.email, description="November order"))

    assert answer.url == draft().get_absolute_url()
    assert (draft().customer, draft().status, str(draft().total_money)) == (customer, "draft", "$12,543.60")
    assert [str(line.amount_money) for line in draft().lines.all()] == ["$43.60", "$12,500.00"]
    assert (draft().created_by, draft().description) == (max, "November order")


def test_the_due_date_lasts_until_the_end_of_its_day(as_max):
    as_max.post(NEW, typed(BEANS, customer=make_customer().pk, due_on=in_days(3)))

    local = draft().due_at.astimezone(settings.ZONE)
    assert (str(local.date()), local.hour, local.minute) == (in_days(3), 23, 59)


def test_save_and_review_leads_to_the_page_that_finalises(as_max):
    answer = as_max.post(NEW, typed(BEANS, customer=make_customer().pk, review="1"))

    assert answer.url == reverse("billing:statement_finalize", args=[draft().pk])


def test_the_form_starts_with_two_weeks_and_an_empty_line(as_max):
    page = as_max.get(NEW)

    assert page.context["form"]["due_on"].value() == timezone.localdate() + timedelta(days=14)
    assert numbers_in(page.text) == ["0"]


@pytest.mark.parametrize("route", ["query", "path"])
def test_a_customer_can_be_preset(as_max, route):
    customer = make_customer(currency="EUR")
    url = f"{NEW}?customer={customer.pk}" if route == "query" else reverse("customer_billing:statement_new", args=[customer.pk])

    page = as_max.get(url)

    assert f'name="customer" value="{customer.pk}"' in page.text
    assert page.context["form"]["currency"].value() == "EUR"
    assert page.context["form"]["email"].value() == "marta@example.com"


def test_a_path_decides_whom_its_form_bills(as_max):
    mine, other = make_customer(), make_customer(email="other@example.com")

    as_max.post(reverse("customer_billing:statement_new", args=[mine.pk]), typed(BEANS, customer=other.pk))

    assert draft().customer == mine


def test_a_name_and_an_email_make_the_customer(as_max):
    answer = as_max.post(NEW, typed(BEANS, name="Luís Gonçalves", email="LUIS@example.com"), follow=True)

    made = Customer.objects.get()
    assert (made.first_name, made.last_name, made.email, made.origin) == (
        "Luís", "Gonçalves", "luis@example.com", "billing_statement",
    )  # fmt: skip
    assert draft().customer == made
    assert "The customer is new on your list" in answer.text


def test_an_email_one_has_already_finds_its_customer(as_max):
    customer = make_customer()

    as_max.post(NEW, typed(BEANS, name="marta santos", email="Marta@Example.com"))

    assert (draft().customer, Customer.objects.count()) == (customer, 1)


@pytest.mark.parametrize(
    "who", [{"name": "Somebody Else", "email": "marta@example.com"}, {"name": "Marta Santos", "email": "n@e.com"}]
)
def test_a_likely_duplicate_is_asked_about_first(as_max, who):
    customer = make_customer()

    asked = as_max.post(NEW, typed(BEANS, **who))
    assert (asked.status_code, BillingStatement.objects.count(), Customer.objects.count()) == (409, 0, 1)
    assert customer.get_absolute_url() in asked.text
    as_max.post(NEW, typed(BEANS, **who, not_a_duplicate="1"))

    assert (draft().customer == customer) == (who["email"] == customer.email)


def test_another_email_becomes_the_customers(as_max, max):
    customer = make_customer()

    as_max.post(NEW, typed(BEANS, customer=customer.pk, email="new@example.com"))

    customer.refresh_from_db()
    assert customer.email == draft().bill_to_email == "new@example.com"
    assert Event.objects.get(type="customer.updated").changes == {"email": ["marta@example.com", "new@example.com"]}


def test_a_warning_about_the_customer_is_shown(as_max, max):
    customer = make_customer()
    add_comment(customer, body="Only bills in December.", by=max, pinned=True)

    assert "Only bills in December." in as_max.get(f"{NEW}?customer={customer.pk}").text


def test_an_archived_customer_gets_no_statement_and_the_page_says_so(as_max):
    from customers.tests.factories import make_customer

    customer = make_customer(archived=True)

    assert "is archived" in as_max.get(f"{NEW}?customer={customer.pk}").text
    assert as_max.post(NEW, typed(BEANS, customer=customer.pk)).status_code == 422
    assert not BillingStatement.objects.exists()


def test_a_customer_of_the_other_mode_is_nobody(as_max):
    assert as_max.post(NEW, typed(BEANS, customer=make_customer(livemode=True).pk)).status_code == 422
    assert not BillingStatement.objects.exists()


# --- once -------------------------------------------------------------------------------------------------------
def test_the_same_form_makes_one_statement(as_max):
    customer = make_customer()

    urls = {as_max.post(NEW, typed(BEANS, customer=customer.pk)).url for _ in range(3)}

    assert urls == {draft().get_absolute_url()}


def test_the_same_form_with_other_content_is_refused(as_max):
    customer = make_customer()
    as_max.post(NEW, typed(BEANS, customer=customer.pk))

    again = as_max.post(NEW, typed(CUPS, customer=customer.pk))

    assert (again.status_code, LineItem.objects.get().description) == (422, "Coffee beans, 5 kg")
    assert "made the billing statement “Draft" in again.text


@pytest.mark.django_db(transaction=True)
def test_twenty_submits_of_one_form_make_one_customer_and_one_statement(max):
    from django.test import Client

    def submit(n):
        client = Client()
        client.force_login(max)
        return client.post(NEW, typed(BEANS, name="Ana Cruz", email="ana@example.com")).status_code

    assert at_once(20, submit) == [302] * 20
    assert (Customer.objects.count(), BillingStatement.objects.count(), LineItem.objects.count()) == (1, 1, 1)


# --- wrong input ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("line", "currency", "sentence"),
    [
        (("Beans", "1", "NaN"), "USD", "Enter an amount such as"),
        (("Beans", "1", "1e9"), "USD", "Enter an amount such as"),
        (("Beans", "1", "-5"), "USD", "Enter an amount such as"),
        (("Beans", "1", "0.001"), "PHP", "PHP has 2 decimal places"),
        (("Beans", "1", "10.5"), "JPY", "JPY has no decimal places"),
        (("Beans", "1", "10,000,000,000,000"), "USD", "The largest amount is"),
        (("Beans", "1", ""), "USD", "Enter an amount such as"),
        (("Beans", "1e3", "5"), "USD", "whole number from 1 to 1,000,000"),
        (("Beans", "0", "5"), "USD", "whole number from 1 to 1,000,000"),
        (("Beans", "1.5", "5"), "USD", "whole number from 1 to 1,000,000"),
        (("Beans", "1000001", "5"), "USD", "whole number from 1 to 1,000,000"),
        (("", "1", "5"), "USD", "Say what is billed."),
        (("4242 4242 4242 4242", "1", "5"), "USD", "payment card number"),
        (("Bea\0ns", "1", "5"), "USD", "control characters"),
        (("x" * 501, "1", "5"), "USD", "500 characters"),
    ],
)
def test_a_wrong_line_is_told_at_its_field_and_nothing_is_saved(as_max, line, currency, sentence):
    answer = as_max.post(
        NEW, typed(CUPS if currency == "USD" else ("Cups", "1", "5"), line, customer=make_customer().pk, currency=currency)
    )

    wrong = answer.context["lines"].forms[1]
    assert answer.status_code == 422
    assert any(sentence in error for errors in wrong.errors.values() for error in errors), wrong.errors
    assert sentence.split("“")[0] in answer.text.replace("&#x27;", "'")
    assert not BillingStatement.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"currency": "XXX"}, "not a currency one can bill in"),
        ({"currency": ""}, "required"),
        ({"due_on": in_days(-1)}, "This day has passed"),
        ({"due_on": "soon"}, "Enter a date such as"),
        ({"due_on": "9999-12-31"}, "Choose a year from 1900 to 9000"),
        ({"due_on": ""}, "required"),
        ({"statement_descriptor": "x" * 23}, "22 characters"),
        ({"statement_descriptor": "a*b"}, "banks refuse them"),
        ({"email": "nobody"}, "valid email"),
        ({"form_key": ""}, "Parts of this form are missing"),
        ({"metadata_key": "", "metadata_value": "x"}, "has no key"),
    ],
)
def test_a_wrong_field_is_told_and_nothing_is_saved(as_max, wrong, sentence):
    answer = as_max.post(NEW, typed(BEANS, customer=make_customer().pk) | wrong)

    assert answer.status_code == 422
    assert sentence in answer.text
    assert not BillingStatement.objects.exists()


def test_a_sum_past_the_largest_amount_is_refused(as_max):
    answer = as_max.post(NEW, typed(("Gold", "1000000", "9,999,999.00"), customer=make_customer().pk))

    assert answer.status_code == 422
    assert "A statement can be at most" in answer.text


def test_nobody_to_bill_is_told_at_both_fields(as_max):
    errors = as_max.post(NEW, typed(BEANS)).context["form"].errors

    assert "Choose a customer" in errors["name"][0]
    assert "e-mail" in errors["email"][0]


def test_more_lines_than_there_can_be_are_not_read(as_max):
    lines = [("x", "1", "1")] * 205

    as_max.post(NEW, typed(*lines, customer=make_customer().pk))

    assert draft().lines.count() == 200


# --- buttons that save nothing ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("button", "left"), [({"add": "1"}, ["0", "1", "2"]), ({"remove": "0"}, ["1"]), ({"update": "1"}, ["0", "1"])]
)
def test_lines_come_and_go_and_what_was_typed_stays(as_max, button, left):
    answer = as_max.post(NEW, typed(BEANS, CUPS, name="Ana", **button))

    assert (answer.status_code, numbers_in(answer.text)) == (200, left)
    assert 'value="Cups"' in answer.text
    assert answer.context["form"]["name"].value() == "Ana"
    assert 'class="error"' not in answer.text
    assert not BillingStatement.objects.exists()
    assert not Customer.objects.exists()


def test_the_last_line_removed_leaves_an_empty_one(as_max):
    answer = as_max.post(NEW, typed(BEANS, remove="0"))

    assert numbers_in(answer.text) == ["1"]
    assert "Coffee beans" not in answer.text


def test_totals_are_the_servers_and_skip_what_cannot_be_read(as_max):
    answer = as_max.post(NEW, typed(BEANS, CUPS, ("Typo", "2", "1o"), update="1"), headers={"HX-Request": "true"})

    assert answer.text.lstrip().startswith("<section")
    assert "$12,543.60" in answer.text
    assert "1 line cannot be counted yet" in answer.text


def test_a_customer_is_found_and_chosen_without_script(as_max):
    customer = make_customer(currency="EUR")
    make_customer(first_name="Jo", last_name="Reyes", email="jo@example.com")

    found = as_max.post(NEW, typed(BEANS, q="santos", find="1"))
    assert f'name="pick" value="{customer.pk}"' in found.text
    assert "Jo Reyes" not in found.text
    chosen = as_max.post(NEW, typed(BEANS, q="santos", pick=customer.pk))

    assert f'name="customer" value="{customer.pk}"' in chosen.text
    assert chosen.context["form"]["email"].value() == customer.email
    assert chosen.context["form"]["currency"].value() == "EUR"
    assert 'value="Coffee beans, 5 kg"' in chosen.text


def test_a_choice_can_be_taken_back(as_max):
    answer = as_max.post(NEW, typed(BEANS, customer=make_customer().pk, unpick="1"))

    assert 'name="customer"' not in answer.text


def test_live_hits_are_active_customers_of_this_mode(as_max):
    from customers.tests.factories import make_customer

    hit = make_customer(first_name="Marta")
    make_customer(first_name="Marta", livemode=True), make_customer(first_name="Marta", archived=True)

    page = as_max.get("/billing/statements/customers/", {"q": "marta"}).text

    assert re.findall(r'value="(cus_\w+)"', page) == [hit.pk]
    assert as_max.get("/billing/statements/customers/", {"q": "\0"}).status_code == 200


# --- editing --------------------------------------------------------------------------------------------------------
def edit_of(statement, *lines, **fields):
    return typed(*lines, version=statement.version, email=statement.customer.email, **fields)


def test_a_draft_is_edited_and_the_change_recorded(as_max, max):
    statement = make_statement()

    as_max.post(reverse("billing:statement_edit", args=[statement.pk]), edit_of(statement, BEANS, CUPS, description="More"))

    statement.refresh_from_db()
    assert (statement.version, str(statement.total_money), statement.description) == (2, "$12,543.60", "More")
    event = Event.objects.get(type="billing_statement.updated")
    assert (event.by, set(event.changes)) == (max, {"lines", "description", "due_at"})
    assert event.changes["lines"][1][1] == ["Cups", 10, 125000]


def test_the_edit_form_shows_the_draft_as_it_is(as_max):
    page = as_max.get(reverse("billing:statement_edit", args=[make_statement(metadata={"po": "7"}).pk]))

    assert numbers_in(page.text) == ["0", "1"]
    assert 'value="21.80"' in page.text
    assert "$48.60" in page.text
    assert 'value="po"' in page.text


def test_a_stale_form_overwrites_nothing_and_shows_both(as_max, alice):
    statement = make_statement()
    theirs = [("Tea", 1, 900)]
    update_draft(statement, version=1, by=alice, lines=theirs, currency="USD", due_at=statement.due_at)

    answer = as_max.post(reverse("billing:statement_edit", args=[statement.pk]), edit_of(statement, CUPS))

    assert answer.status_code == 409
    assert "Alice saved this draft" in answer.text
    assert "1 × Tea, $9.00" in answer.text
    assert 'value="Cups"' in answer.text
    assert [line.description for line in LineItem.objects.all()] == ["Tea"]
    assert answer.context["form"]["version"].value() == 2


def test_a_stale_form_saved_again_takes_over(as_max, alice):
    statement = make_statement()
    update_draft(statement, version=1, by=alice, lines=[("Tea", 1, 900)], currency="USD", due_at=statement.due_at)
    url = reverse("billing:statement_edit", args=[statement.pk])
    version = as_max.post(url, edit_of(statement, CUPS)).context["form"]["version"].value()

    as_max.post(url, typed(CUPS, version=version))

    assert [line.description for line in LineItem.objects.all()] == ["Cups"]


def test_a_finalised_statement_has_no_form_and_takes_no_edit(as_max):
    statement = make_open_statement()
    url = reverse("billing:statement_edit", args=[statement.pk])

    assert as_max.get(url).url == statement.get_absolute_url()
    answer = as_max.post(url, edit_of(statement, CUPS))

    assert answer.status_code == 422
    assert "finalised it on" in answer.text
    assert statement.lines.count() == 2


@pytest.mark.parametrize("method", ["get", "post"])
def test_only_those_who_run_billing_build(as_sue, as_rita, method):
    statement = make_statement()

    for client in (as_sue, as_rita):
        for url in (NEW, f"/billing/statements/{statement.pk}/edit/", "/billing/statements/customers/?q=a"):
            assert getattr(client, method)(url).status_code == 403


# --- in a browser -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_a_statement_is_built_from_search_to_finalised(open_as, axe, max, width, theme):
    customer = make_customer()
    page = open_as(max, width=width, theme=theme)

    page.goto(NEW)
    page.get_by_label("Find a customer").fill("sant")
    page.get_by_role("button", name="Marta Santos").click()
    page.get_by_role("button", name="Choose another").wait_for()  # the page before has lines too
    page.wait_for_load_state()
    page.get_by_label("Description of line 1").fill("Coffee beans")
    page.get_by_label("Quantity of line 1").fill("3")
    page.get_by_label("Unit price of line 1").fill("21.80")
    page.get_by_text("$65.40").first.wait_for()
    page.get_by_role("button", name="Add a line").click()
    page.get_by_label("Description of line 2").wait_for()
    page.wait_for_load_state()
    page.get_by_label("Description of line 2").fill("Delivery")
    page.get_by_label("Unit price of line 2").fill("5")
    page.get_by_text("$70.40").wait_for()
    axe(page)
    page.get_by_role("button", name="Save and review").click()
    page.get_by_role("heading", name="Review and finalise").wait_for()
    axe(page)
    page.get_by_role("button", name="Finalise statement").click()
    page.get_by_role("heading", name=f"{customer.billing_statement_prefix}-0001").first.wait_for()
    axe(page)

    assert draft().status == "open"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_builder_works_without_script(open_as, max):
    make_customer()
    page = open_as(max, width=390, scripts=False)

    page.goto(NEW)
    page.get_by_label("Find a customer").fill("santos")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Marta Santos").click()
    page.get_by_role("button", name="Choose another").wait_for()
    page.get_by_label("Description of line 1").fill("Coffee beans")
    page.get_by_label("Unit price of line 1").fill("21.80")
    page.get_by_role("button", name="Add a line").click()
    page.get_by_label("Description of line 2").fill("Delivery")
    page.get_by_label("Unit price of line 2").fill("5")
    page.get_by_role("button", name="Remove line 1").click()
    page.locator("input[value=Delivery]").wait_for()  # what was typed so far is nobody's attribute
    page.get_by_role("button", name="Update totals").click()
    page.get_by_role("cell", name="$5.00").first.wait_for()
    page.get_by_role("button", name="Save and review").click()
    page.get_by_role("button", name="Finalise statement").click()
    page.get_by_text("is finalised.").wait_for()

    assert [str(line) for line in draft().lines.all()] == ["Delivery"]


def test_enter_in_a_box_adds_up_and_saves_nothing(open_as, max):
    make_customer()
    page = open_as(max)

    page.goto(NEW)
    page.get_by_label("Description of line 1").fill("Coffee beans")
    page.get_by_label("Unit price of line 1").fill("7")
    with page.expect_navigation():
        page.get_by_label("Unit price of line 1").press("Enter")
    page.get_by_role("cell", name="$7.00").first.wait_for()

    assert page.get_by_label("Description of line 1").input_value() == "Coffee beans"
    assert not BillingStatement.objects.exists()
