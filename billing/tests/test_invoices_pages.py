"""The pages of invoices: their lists, their page, Pay now; and where they stand beside billing statements."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing.domain import invoicing, reminders, sending, statements
from billing.domain.invoicing import bill_due, charge_due
from billing.models import BillingStatement, Payment, Reminder
from billing.tests.factories import make_customer, make_method, make_open_statement, make_subscription
from dashboard.models import Mail
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
LIST, STATEMENTS = "/billing/invoices/", "/billing/statements/"
DECLINES_LATER = "4000000000000341"


def make_invoice(number="4242424242424242", **fields):
    """An open invoice of $29.00 and its subscription, charged to a listed card."""
    customer = make_customer()
    make_method(customer, number=number)
    sub = make_subscription(customer, **fields)
    bill_due()
    return sub.invoices.get()


def rows(client, url):
    return {row.pk for row in client.get(url).context["page"].rows}


# --- lists -----------------------------------------------------------------------------------------------------
def test_invoices_have_their_own_list_and_statements_theirs(as_rita):
    invoice, statement = make_invoice(), make_open_statement()

    assert rows(as_rita, LIST) == {invoice.pk}
    assert rows(as_rita, STATEMENTS) == {statement.pk}
    assert rows(as_rita, f"{STATEMENTS}?bills=all") == {invoice.pk, statement.pk}
    assert rows(as_rita, f"{STATEMENTS}?bills=one_off&status=open") == {statement.pk}
    assert rows(as_rita, f"{STATEMENTS}?bills=all&status=paid") == set()


def test_the_list_has_number_subscription_period_amount_status_due_and_paid(as_max):
    invoice = make_invoice()
    charge_due()

    html = as_max.get(LIST).text

    for text in (
        invoice.number,
        "Beans, monthly",
        invoicing.days_text(invoice.period_start, invoice.period_end),
        "29.00",
        "Paid",
    ):
        assert text in html


def test_tabs_and_filters_of_the_list(as_max):
    paid, late = make_invoice(), make_invoice(name="Late")
    invoicing.pay_invoice(paid, by=None, form_key="a" * 32)
    BillingStatement.objects.filter(pk=late.pk).update(due_at=timezone.now() - DAY)

    assert rows(as_max, f"{LIST}?status=paid") == {paid.pk}
    assert rows(as_max, f"{LIST}?status=overdue") == {late.pk}
    assert rows(as_max, f"{LIST}?subscription={late.subscription_id}") == {late.pk}
    assert rows(as_max, f"{LIST}?billing=send_invoice") == set()
    assert rows(as_max, f"{LIST}?period_from={timezone.localdate() + DAY}") == set()
    page = as_max.get(f"{LIST}?subscription={late.subscription_id}")
    assert ("Subscription", "Late", "subscription") in page.context["filterset"].chips
    assert {tab["label"]: tab["count"] for tab in page.context["list_tabs"]}["Paid"] == "1"


def test_a_customers_own_list_shows_its_invoices_alone(as_max):
    mine, other = make_invoice(), make_invoice()

    assert rows(as_max, f"/customers/{mine.customer_id}/invoices/") == {mine.pk}
    assert rows(as_max, f"/customers/{mine.customer_id}/statements/") == set()
    assert rows(as_max, f"/customers/{mine.customer_id}/subscriptions/") == {mine.subscription_id}
    assert other.pk not in rows(as_max, f"/customers/{mine.customer_id}/statements/?bills=all")


def test_the_export_names_subscription_and_period(as_max):
    invoice = make_invoice(name="Beans")

    text = b"".join(as_max.get(f"{LIST}?format=csv").streaming_content).decode()

    heading, row = text.lstrip("\ufeff").splitlines()
    cells = dict(zip([h.partition(" ")[0] for h in heading.split(",")], row.split(","), strict=False))
    assert (cells["number"], cells["subscription"], cells["status"]) == (invoice.number, "Beans", "open")
    assert (cells["period_start"], cells["period_end"]) == (str(invoice.period_start), str(invoice.period_end))


def test_its_number_typed_into_a_list_leads_to_it(as_max):
    invoice = make_invoice()

    assert as_max.get(f"{LIST}?q={invoice.number.lower()}").url == invoice.get_absolute_url()


def test_the_overviews_figures_of_money_owed_count_invoices_and_open_them(as_max):
    invoice, statement = make_invoice(), make_open_statement()
    late = make_invoice(name="Late")
    BillingStatement.objects.filter(pk=late.pk).update(due_at=timezone.now() - 3 * DAY)

    figures = as_max.get("/overview/").context["figures"]

    assert (figures.not_due.count, figures.overdue.count) == (2, 1)
    assert rows(as_max, figures.not_due.url) == {invoice.pk, statement.pk}
    assert rows(as_max, figures.overdue.url) == {late.pk}


# --- its page ----------------------------------------------------------------------------------------------------
def test_its_page_is_a_statements_called_an_invoice(as_max):
    invoice = make_invoice()

    html = as_max.get(invoice.get_absolute_url()).text

    assert f"<h1>Invoice {invoice.number}" in html
    for text in ("Charged automatically.", invoice.subscription.get_absolute_url(), "Pay now", "Void", ">Invoices</a>"):
        assert text in html
    assert "Duplicate" not in html
    assert "Billing statement</h2>" not in html


def test_it_says_when_the_next_charge_is_tried_and_when_it_was_given_up(as_max):
    invoice, now = make_invoice(DECLINES_LATER), timezone.now()
    charge_due(now)
    html = as_max.get(invoice.get_absolute_url()).text
    assert "1 automatic charge failed." in html
    assert "The next try is" in html
    for _ in range(3):
        now += 8 * DAY
        charge_due(now)

    assert "Given up after 4 failed charges." in as_max.get(invoice.get_absolute_url()).text


def test_an_invoice_is_not_duplicated_and_not_edited(as_max):
    invoice = make_invoice()

    refused = as_max.post(f"{STATEMENTS}{invoice.pk}/duplicate/", {"form_key": "a" * 32})
    assert (refused.status_code, "is not duplicated" in refused.text) == (422, True)
    assert as_max.get(f"{STATEMENTS}{invoice.pk}/edit/").status_code == 302
    with pytest.raises(DomainError):
        statements.duplicate_statement(invoice, by=None)
    assert BillingStatement.objects.count() == 1


def test_its_buttons_speak_of_an_invoice(as_max):
    invoice = make_invoice()

    html = as_max.get(f"{STATEMENTS}{invoice.pk}/void/").text

    assert html.count("Void invoice") >= 2
    assert "Void statement" not in html


# --- pay now -----------------------------------------------------------------------------------------------------
def test_pay_now_charges_the_card_and_says_so(as_max, max):
    invoice = make_invoice()
    url = f"{LIST}{invoice.pk}/pay/"
    assert "Visa •••• 4242 is charged $29.00 at once" in as_max.get(url).text

    for _ in range(2):
        answer = as_max.post(url, {"form_key": "a" * 32}, follow=True)
    assert "is paid with Visa •••• 4242" in answer.text
    assert (Payment.objects.get().created_by, Payment.objects.get().amount) == (max, 2900)


def test_a_declined_pay_now_gives_the_reason_and_the_next_press_is_another_charge(as_max):
    invoice = make_invoice(DECLINES_LATER)
    url = f"{LIST}{invoice.pk}/pay/"

    page = as_max.post(url, {"form_key": "a" * 32})

    assert (page.status_code, "declined" in page.text, "No money moved" in page.text) == (422, True, True)
    key = page.context["form"]["form_key"].value()
    assert key != "a" * 32
    as_max.post(url, {"form_key": key})
    assert Payment.objects.filter(status="failed").count() == 2


def test_pay_now_without_a_card_and_of_a_paid_invoice_is_refused(as_max):
    invoice = make_invoice()
    invoice.customer.methods.update(is_default=False, status="archived")
    url = f"{LIST}{invoice.pk}/pay/"
    assert "no payment method on file" in as_max.get(url).text
    assert "no payment method on file" in as_max.post(url, {"form_key": "a" * 32}).text

    make_method(invoice.customer, number="5555555555554444")
    as_max.post(url, {"form_key": "b" * 32})
    assert "paid already" in as_max.post(url, {"form_key": "c" * 32}).text


def test_pay_now_is_for_invoices_and_for_those_who_run_billing(as_max, as_sue):
    statement, invoice = make_open_statement(), make_invoice()

    assert as_max.get(f"{LIST}{statement.pk}/pay/").status_code == 404
    assert as_sue.post(f"{LIST}{invoice.pk}/pay/", {"form_key": "a" * 32}).status_code == 403
    assert not Payment.objects.exists()


# --- what its customer reads -----------------------------------------------------------------------------------
def test_mail_paper_and_payers_page_speak_of_an_invoice(client):
    sub = make_subscription(billing="send_invoice")
    bill_due()
    invoice = sub.invoices.get()

    letter = Mail.objects.get()
    assert letter.subject.startswith(f"Invoice {invoice.number} from")
    assert f"here is invoice {invoice.number}" in letter.text
    assert "statement" not in letter.text
    assert sending.reminder_letter(invoice).subject.startswith(f"Invoice {invoice.number} is due")
    html = client.get(f"/pay/bill/{invoice.token}/").text
    assert f"Invoice {invoice.number}" in html
    assert "Billing statement" not in html
    assert client.get(f"/pay/bill/{invoice.token}/statement.pdf").content.startswith(b"%PDF")


def test_who_is_charged_automatically_is_reminded_only_when_it_is_late():
    automatic = make_invoice()
    make_subscription(billing="send_invoice", days_until_due=3)
    bill_due()

    soon = reminders.due(Reminder.Kind.WILL_BE_DUE)
    late = reminders.due(Reminder.Kind.OVERDUE, timezone.now() + 10 * DAY)

    assert automatic not in soon
    assert soon.count() == 1
    assert automatic in late


def test_a_tick_bills_and_charges(capsys):
    sub = make_subscription()

    call_command("tick")

    assert sub.invoices.get().status == "paid"
    told = capsys.readouterr().out
    assert "1 invoices issued." in told
    assert "1 invoices charged." in told
