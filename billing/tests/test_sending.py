"""Statements, reminders by hand, requests and receipts by mail."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from billing.domain import sending
from billing.domain.checkouts import check_again, start_payment
from billing.domain.payments import record_payment
from billing.models import BillingStatement, Payment
from billing.tests.factories import (
    DECLINED,
    make_customer,
    make_open_statement,
    make_request,
    make_statement,
    submit_card,
)  # fmt: skip
from dashboard import mail
from dashboard.mail_models import Mail
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
KEY = "0" * 32


@pytest.fixture(autouse=True)
def fresh_limits(db):
    cache.clear()


def path(record, verb):
    return f"{record.get_absolute_url()}{verb}/"


def form_of(page):
    """What a browser would send back of a form that was opened."""
    key = re.search(r'name="form_key" value="(\w+)"', page.text)[1]
    to = re.search(r'name="to" value="([^"]*)"', page.text)
    return {"form_key": key, "to": to[1] if to else ""}


# --- statements ------------------------------------------------------------------------------------------------


def test_a_statement_goes_to_its_customer_with_name_number_amount_due_date_link_and_pdf(as_sue, sue, mailoutbox):
    statement = make_open_statement()
    opened = as_sue.get(path(statement, "send"))
    assert statement.number in opened.text
    assert "[link]" in opened.text
    assert statement.token not in opened.text

    done = as_sue.post(path(statement, "send"), form_of(opened) | {"message": "See you <soon>."})

    assert done.status_code == 302
    assert mailoutbox == []
    mail.send_due()
    (sent,) = mailoutbox
    assert sent.to == ["marta@example.com"]
    for words in ("Marta Santos", statement.number, "$48.60", statement.url, "See you <soon>.", f"{statement.due_at.day} "):
        assert words in sent.body, words
    (file,) = sent.attachments
    assert (file[0], file[1][:5], file[2]) == (f"{statement.number}.pdf", b"%PDF-", "application/pdf")
    assert statement.number in sent.subject
    statement.refresh_from_db()
    assert (statement.sent_count, statement.sent_at is None) == (1, False)
    event = Event.objects.get(type="billing_statement.sent")
    assert (event.by, event.data["to"], event.object_id) == (sue, "marta@example.com", statement.pk)


def test_the_same_form_sends_once(as_sue):
    statement = make_open_statement()
    form = form_of(as_sue.get(path(statement, "send")))

    for _ in range(3):
        assert as_sue.post(path(statement, "send"), form).status_code == 302
    assert Mail.objects.count() == Event.objects.filter(type="billing_statement.sent").count() == 1

    as_sue.post(path(statement, "send"), form_of(as_sue.get(path(statement, "send"))))
    statement.refresh_from_db()
    assert (Mail.objects.count(), statement.sent_count) == (2, 2)


def test_another_recipient_is_taken_and_remembered(as_sue):
    statement = make_open_statement()

    as_sue.post(path(statement, "send"), {"form_key": KEY, "to": "boss@example.com"})

    assert Mail.objects.get().to == "boss@example.com"
    assert Event.objects.get(type="billing_statement.sent").data["to"] == "boss@example.com"


@pytest.mark.parametrize("to", ["", "marta", "a@example.com\r\nBcc: b@example.com", "a@example.com,b@example.com"])
def test_a_bad_recipient_is_said_at_its_field_and_nothing_is_sent(to, as_sue):
    statement = make_open_statement()

    page = as_sue.post(path(statement, "send"), {"form_key": KEY, "to": to})

    assert page.status_code == 422
    assert not Mail.objects.exists()
    statement.refresh_from_db()
    assert statement.sent_at is None


def test_a_card_number_is_not_mailed(as_sue):
    page = as_sue.post(
        path(make_open_statement(), "send"), {"form_key": KEY, "to": "a@example.com", "message": "4242 4242 4242 4242"}
    )

    assert page.status_code == 422
    assert "payment card number" in page.text


def test_a_draft_and_a_void_statement_are_not_sent(as_sue):
    draft, void = make_statement(), make_open_statement()
    BillingStatement.objects.filter(pk=void.pk).update(status="void")

    for statement, words in ((draft, "Finalise it before you send it"), (void, "is void and is not sent")):
        page = as_sue.get(path(statement, "send"))
        assert words in page.text
        assert 'name="to"' not in page.text
        posted = as_sue.post(path(statement, "send"), {"form_key": KEY, "to": "a@example.com"})
        assert posted.status_code == 422
        assert words in posted.text
    assert not Mail.objects.exists()


def test_a_paid_statement_is_sent_as_a_copy(as_sue, alice, mailoutbox):
    statement = make_open_statement()
    record_payment(statement.customer, amount=4860, currency="USD", statement=statement, by=alice)
    Mail.objects.all().delete()

    as_sue.post(path(statement, "send"), {"form_key": KEY, "to": "a@example.com"})
    mail.send_due()

    assert "It is paid; nothing is owed." in mailoutbox[0].body
    assert "Amount due" not in mailoutbox[0].body


def test_without_any_address_staff_are_told_to_enter_one():
    statement = make_open_statement()
    BillingStatement.objects.update(bill_to_email="")
    statement.customer.email = ""
    statement.customer.save(update_fields=["email"])

    with pytest.raises(DomainError, match="no e-mail address"):
        sending.send_statement(statement, by=None)


def test_reporting_sends_nothing(as_rita):
    statement, request = make_open_statement(), make_request()
    for url in (path(statement, "send"), path(statement, "remind"), path(request, "send"), path(statement, "promise")):
        assert as_rita.get(url).status_code == as_rita.post(url, {"form_key": KEY, "to": "a@example.com"}).status_code == 403
    assert not Mail.objects.exists()


def test_opening_the_page_sends_nothing(as_sue):
    as_sue.get(path(make_open_statement(), "send"))

    assert not Mail.objects.exists()


def test_what_is_made_void_before_the_mail_leaves_is_not_sent(mailoutbox):
    statement = sending.send_statement(make_open_statement(), by=None)
    BillingStatement.objects.update(status="void")

    mail.send_due()

    assert mailoutbox == []
    assert (Mail.objects.get().state, statement.sent_count) == ("held", 1)
    assert "made void" in Mail.objects.get().error


# --- reminders by hand -------------------------------------------------------------------------------------------


def test_a_reminder_by_hand_says_what_is_still_due(as_sue, alice, mailoutbox):
    statement = make_open_statement()
    record_payment(statement.customer, amount=860, currency="USD", statement=statement, by=alice)
    Mail.objects.all().delete()

    as_sue.post(path(statement, "remind"), form_of(as_sue.get(path(statement, "remind"))))
    mail.send_due()

    assert "Amount due: $40.00" in mailoutbox[0].body
    assert statement.url in mailoutbox[0].body
    assert Event.objects.filter(type="billing_statement.reminded", object_id=statement.pk).count() == 1
    assert not statement.reminders.exists()  # those are the automatic ones


def test_a_late_statement_is_said_to_be_late():
    statement = make_open_statement()
    BillingStatement.objects.update(due_at=timezone.now() - timedelta(days=3))
    statement.refresh_from_db()

    letter = sending.reminder_letter(statement)

    assert "was due" in letter.subject
    assert "is not paid in full yet" in letter.text
    assert "is due" in sending.reminder_letter(make_open_statement()).subject


def test_nobody_is_reminded_of_what_is_paid(as_sue, alice):
    statement = make_open_statement()
    record_payment(statement.customer, amount=4860, currency="USD", statement=statement, by=alice)

    assert "nothing to remind of" in as_sue.get(path(statement, "remind")).text
    assert as_sue.post(path(statement, "remind"), {"form_key": KEY, "to": "a@example.com"}).status_code == 422


def test_a_reminder_that_waited_does_not_leave_after_the_money_came(alice, mailoutbox):
    statement = sending.remind_statement(make_open_statement(), by=alice)
    record_payment(statement.customer, amount=4860, currency="USD", statement=statement, by=alice)

    mail.send_due()

    reminder = Mail.objects.get(kind="reminder")
    assert (reminder.state, reminder.error[:23]) == ("held", "The statement was paid ")
    assert "reminder" not in [m.subject for m in mailoutbox]


# --- payment requests ------------------------------------------------------------------------------------------------


def test_a_request_goes_to_its_customer_with_amount_purpose_and_link(as_sue, mailoutbox):
    request = make_request()

    as_sue.post(path(request, "send"), form_of(as_sue.get(path(request, "send"))))
    mail.send_due()

    (sent,) = mailoutbox
    for words in ("Marta Santos", "$48.50", "Wholesale order, November", request.url):
        assert words in sent.body, words
    request.refresh_from_db()
    assert request.sent_at
    assert Event.objects.get(type="payment_request.sent").data["to"] == "marta@example.com"
    assert request.token not in Mail.objects.get().text


def test_a_request_that_takes_no_payment_is_not_sent(as_sue):
    request = make_request()
    type(request).objects.update(status="canceled")

    assert as_sue.post(path(request, "send"), {"form_key": KEY, "to": "a@example.com"}).status_code == 422
    assert "is canceled" in as_sue.get(path(request, "send")).text


# --- receipts ------------------------------------------------------------------------------------------------------------


def paid_payment(request=None):
    request = request or make_request()
    submit_card(start_payment(request))
    check_again(request)
    return Payment.objects.get(request=request)


def test_whoever_pays_gets_one_receipt_with_its_pdf(mailoutbox):
    payment = paid_payment()
    check_again(payment.request)

    assert mail.send_due() == 1

    (sent,) = mailoutbox
    assert sent.to == ["marta@example.com"]
    for words in ("$48.50", "Visa •••• 4242", payment.pk, "Wholesale order, November"):
        assert words in sent.body, words
    assert sent.attachments[0][2] == "application/pdf"
    assert Event.objects.filter(type="payment.receipt_sent").count() == 1


def test_a_receipt_is_queued_once_however_often_it_is_asked_for():
    payment = paid_payment()

    assert sending.queue_receipt(payment) is None
    assert Mail.objects.filter(kind="receipt").count() == 1


def test_a_declined_payment_has_no_receipt():
    request = make_request()
    submit_card(start_payment(request), DECLINED)
    check_again(request)

    assert Payment.objects.get().status == "failed"
    assert not Mail.objects.exists()


@pytest.mark.parametrize("email", ["", "not an address", "a@example.com, b@example.com"])
def test_money_is_booked_whatever_the_payers_address_is(email):
    request = make_request(make_customer())
    type(request).objects.update(customer_email=email)
    if not email:
        type(request.customer).objects.update(email="")
    request.refresh_from_db()

    payment = paid_payment(request)

    assert payment.status == "paid"
    assert not Mail.objects.exists()


def test_the_page_of_a_request_offers_to_send_it_while_it_takes_payment(as_sue, as_rita):
    request = make_request()
    assert path(request, "send") in as_sue.get(request.get_absolute_url()).text
    assert path(request, "send") not in as_rita.get(request.get_absolute_url()).text

    type(request).objects.update(status="canceled")

    assert path(request, "send") not in as_sue.get(request.get_absolute_url()).text
