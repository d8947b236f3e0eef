"""The outbox's pages."""

import pytest

from billing.tests.factories import make_open_statement
from dashboard import mail
from dashboard.mail_models import Mail
from dashboard.models import Event

pytestmark = pytest.mark.django_db
OUTBOX = "/outbox/"


@pytest.fixture
def row():
    statement = make_open_statement()
    text = f"Hello <b>Marta</b>,\n\npay it here:\n\n{Mail.MARK}"
    return mail.queue("statement", statement, to="marta@example.com", subject="A bill", text=text)


def test_the_outbox_lists_what_was_mailed_and_where_it_stands(as_sue, row):
    page = as_sue.get(OUTBOX).text
    assert "A bill" in page
    assert "marta@example.com" in page
    assert "Queued" in page

    mail.send_due()

    assert ">Sent" in as_sue.get(OUTBOX).text
    assert "A bill" in as_sue.get(f"{OUTBOX}?state=sent").text
    assert "A bill" not in as_sue.get(f"{OUTBOX}?state=failed").text
    assert "A bill" in as_sue.get(f"{OUTBOX}?object={row.object_id}").text


def test_a_newcomer_reads_the_mail_there_but_for_its_link(as_sue, row):
    page = as_sue.get(row.get_absolute_url()).text

    assert "Hello &lt;b&gt;Marta&lt;/b&gt;," in page
    assert "[link]" in page
    assert Mail.MARK not in page
    assert row.record.token not in page
    assert row.record.get_absolute_url() in page


def test_reporting_has_no_outbox(as_rita, row):
    assert as_rita.get(OUTBOX).status_code == 403
    assert as_rita.get(row.get_absolute_url()).status_code == 403
    assert as_rita.post(f"{row.get_absolute_url()}retry/").status_code == 403


def test_live_mails_are_not_shown_in_test_mode(as_sue, row):
    Mail.objects.update(livemode=True)

    assert "A bill" not in as_sue.get(OUTBOX).text
    assert as_sue.get(row.get_absolute_url()).status_code == 404


def test_a_failed_mail_is_tried_again_by_a_button(as_sue, sue, row, mailoutbox):
    Mail.objects.update(state="failed", tries=10, error="The mail server refuses it: 554")
    retry = f"{row.get_absolute_url()}retry/"
    assert "The mail server refuses it: 554" in as_sue.get(row.get_absolute_url()).text
    assert retry in as_sue.get(row.get_absolute_url()).text

    assert as_sue.post(retry).status_code == 302

    row.refresh_from_db()
    assert (row.state, row.tries, row.error) == ("queued", 0, "")
    assert Event.objects.get(type="billing_statement.mail_retried").by == sue
    mail.send_due()
    assert len(mailoutbox) == 1


def test_only_a_failed_mail_is_tried_again(as_sue, row, mailoutbox):
    mail.send_due()
    retry = f"{row.get_absolute_url()}retry/"
    assert retry not in as_sue.get(row.get_absolute_url()).text

    page = as_sue.post(retry)

    row.refresh_from_db()
    assert page.status_code == 422
    assert "Only a mail that failed can be tried again" in page.text
    assert row.state == "sent"
    assert as_sue.get(retry).status_code == 200
    mail.send_due()
    assert len(mailoutbox) == 1
