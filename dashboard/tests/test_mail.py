"""The outbox's engine: queued with its cause, sent once, tried again, given up; no header and no link slips in."""

import smtplib
import threading
from datetime import timedelta

import pytest
from django.core import mail as post
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.test import override_settings
from django.utils import timezone

from billing.tests.factories import make_open_statement, make_statement
from customers.tests.test_customers import at_once
from dashboard import mail
from dashboard.mail_models import Mail
from dashboard.models import Event
from dashboard.states import DomainError

pytestmark = pytest.mark.django_db
State = Mail.State


def queue(statement=None, **fields):
    """A mail with a link about an open statement, not sent."""
    statement = statement or make_open_statement()
    given = {"to": "marta@example.com", "subject": "A bill", "text": f"Pay it here:\n\n{Mail.MARK}\n\nThank you."}
    return mail.queue("statement", statement, **given | fields)


def broken(monkeypatch, error):
    """From now on the mail server answers with `error`; returns a function that mends it."""

    def refuse(self, *args, **kwargs):
        raise error

    whole = EmailMultiAlternatives.send
    monkeypatch.setattr(EmailMultiAlternatives, "send", refuse)
    return lambda: monkeypatch.setattr(EmailMultiAlternatives, "send", whole)


def refresh(row):
    row.refresh_from_db()
    return row


# --- what leaves -------------------------------------------------------------------------------------------


def test_a_queued_mail_leaves_with_its_link_as_text_and_html(mailoutbox):
    statement = make_open_statement()
    row = queue(statement)
    assert mailoutbox == []

    assert mail.send_due() == 1

    (sent,) = mailoutbox
    html = sent.alternatives[0].content
    assert sent.to == ["marta@example.com"]
    assert statement.url in sent.body
    assert statement.url in html
    assert Mail.MARK not in sent.body + html
    assert "src=" not in html
    assert "<script" not in html
    assert "url(" not in html
    assert (refresh(row).state, row.error, row.tries) == (State.SENT, "", 1)
    assert row.sent_at


def test_the_outbox_holds_no_link_that_opens_a_page(mailoutbox):
    statement = make_open_statement()
    row = queue(statement, text=f"Pasted: {statement.url} and {Mail.MARK}")

    mail.send_due()

    assert statement.token not in refresh(row).text + row.subject
    assert mailoutbox[0].body.count(statement.url) == 2
    assert statement.token not in str(list(Event.objects.values()))


def test_what_people_typed_is_escaped_in_the_html(mailoutbox):
    queue(subject="<b>A</b>", text='<script>alert(1)</script> & "you"')

    mail.send_due()

    html = mailoutbox[0].alternatives[0].content
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; " in html
    assert '<script>alert(1)</script> & "you"' in mailoutbox[0].body


def test_every_try_has_the_same_message_id(mailoutbox):
    row = queue()

    mail.send_due()
    Mail.objects.update(state=State.QUEUED, next_try_at=timezone.now())
    mail.send_due()

    ids = {m.message()["Message-ID"] for m in mailoutbox}
    assert len(mailoutbox) == 2
    assert ids == {f"<{row.message_id}>"}


def test_a_test_mail_says_so(mailoutbox):
    queue()

    mail.send_due()

    assert mailoutbox[0].subject == "[Test] A bill"
    assert "This is a test" in mailoutbox[0].body


@override_settings(MAIL_URL="smtp://mail.example.com")
def test_with_a_mail_server_test_mode_writes_to_nobody_but_staff(mailoutbox, alice):
    stranger, own = queue(), queue(to="Alice@example.com")
    live = queue()
    Mail.objects.filter(pk=live.pk).update(livemode=True)

    mail.send_due()

    assert sorted(m.to[0] for m in mailoutbox) == ["Alice@example.com", "marta@example.com"]
    assert (refresh(stranger).state, refresh(own).state, refresh(live).state) == (State.HELD, State.SENT, State.SENT)
    assert stranger.error.startswith("Test mode:")


# --- what may not be in a header -----------------------------------------------------------------------------

CRLF = ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\r\n\t"]


@pytest.mark.parametrize("end", CRLF)
def test_no_line_end_adds_a_header(end, mailoutbox):
    queue(subject=f"A bill{end}Bcc: thief@example.com", text=f"Hello{end}Bcc: thief@example.com")

    assert mail.send_due() == 1

    message = mailoutbox[0].message()
    assert message["Bcc"] is None
    assert mailoutbox[0].recipients() == ["marta@example.com"]
    assert len(message["Subject"].splitlines()) == 1


@pytest.mark.parametrize(
    "to",
    [
        "marta@example.com\r\nBcc: thief@example.com",
        "marta@example.com\n",
        "marta@example.com, thief@example.com",
        "marta@example.com;thief@example.com",
        "Marta <marta@example.com>",
        '"a b"@example.com',
        "marta",
        "",
        "marta@example.com\0",
        f"{'m' * 64}@{'e' * 600}.com",
    ],
)
def test_only_one_plain_address_is_taken(to):
    with pytest.raises(DomainError):
        queue(to=to)
    assert not Mail.objects.exists()


def test_an_address_is_trimmed():
    assert queue(to=" marta@example.com ").to == "marta@example.com"


# --- with its cause ------------------------------------------------------------------------------------------


def test_what_is_rolled_back_leaves_no_mail(mailoutbox):
    statement = make_open_statement()
    with transaction.atomic():
        queue(statement)
        transaction.set_rollback(True)

    mail.send_due()

    assert mailoutbox == []
    assert not Mail.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_task_is_written_in_the_same_transaction(settings):
    """With the tasks the installation runs: a row of theirs, which goes when the cause goes."""
    from django_tasks_db.models import DBTaskResult

    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    statement = make_open_statement()
    with transaction.atomic():
        queue(statement)
        assert DBTaskResult.objects.count() == 1
        transaction.set_rollback(True)
    assert DBTaskResult.objects.count() == 0

    with transaction.atomic():
        row = queue(statement)

    assert DBTaskResult.objects.get().args_kwargs["args"] == [row.pk]


@pytest.mark.django_db(transaction=True)
def test_the_task_sends(mailoutbox):
    row = queue()
    assert mailoutbox == []

    mail.deliver.func(row.pk)

    assert len(mailoutbox) == 1
    assert refresh(row).state == State.SENT


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_inside_a_transaction(mailoutbox):
    row = queue()
    with transaction.atomic(), pytest.raises(RuntimeError):
        mail.send(row.pk)
    with transaction.atomic():
        mail.deliver.func(row.pk)

    assert mailoutbox == []
    assert refresh(row).state == State.QUEUED


def test_a_key_is_mailed_once():
    statement = make_open_statement()

    assert queue(statement, key="form-1")
    assert queue(statement, key="form-1") is None
    assert queue(statement, key="form-2")
    assert queue(statement)
    assert queue(statement)
    assert Mail.objects.count() == 4


# --- once ----------------------------------------------------------------------------------------------------


def count_sends(monkeypatch):
    """The message IDs handed to the mail server, whichever thread does it."""
    handed, lock = [], threading.Lock()

    def send(self, *args, **kwargs):
        with lock:
            handed.append(self.extra_headers["Message-ID"])
        return 1

    monkeypatch.setattr(EmailMultiAlternatives, "send", send)
    return handed


@pytest.mark.django_db(transaction=True)
def test_many_workers_send_one_mail_once(monkeypatch):
    row, handed, start = queue(), count_sends(monkeypatch), threading.Barrier(4)

    def work(_):
        start.wait(10)
        mail.send(row.pk)

    at_once(4, work)

    assert len(handed) == 1
    assert refresh(row).state == State.SENT


@pytest.mark.django_db(transaction=True)
def test_without_the_claim_the_same_workers_send_it_four_times(monkeypatch):
    """The control: whoever looks first and writes later sends what another is sending."""
    row, handed, start = queue(), count_sends(monkeypatch), threading.Barrier(4)

    def look_then_write(pk, now):
        seen = Mail.objects.due(now).filter(pk=pk).first()
        start.wait(10)
        Mail.objects.filter(pk=pk).update(state=State.SENDING)
        return seen

    monkeypatch.setattr(mail, "_claim", look_then_write)
    at_once(4, lambda _: mail.send(row.pk))

    assert len(handed) == 4


class Killed(BaseException):
    """Stands for kill -9: nothing after it runs."""


@pytest.mark.parametrize("handed_over", [False, True])
def test_a_mail_whose_worker_was_killed_leaves_later(handed_over, monkeypatch, mailoutbox):
    row = queue()
    whole = EmailMultiAlternatives.send

    def die(self, *args, **kwargs):
        if handed_over:
            whole(self, *args, **kwargs)
        raise Killed

    monkeypatch.setattr(EmailMultiAlternatives, "send", die)
    with pytest.raises(Killed):
        mail.send(row.pk)
    monkeypatch.setattr(EmailMultiAlternatives, "send", whole)
    assert refresh(row).state == State.SENDING

    assert mail.send_due(timezone.now() + timedelta(minutes=9)) == 0  # it may still be at it
    assert mail.send_due(timezone.now() + timedelta(minutes=11)) == 1

    assert refresh(row).state == State.SENT
    assert len({m.message()["Message-ID"] for m in mailoutbox}) == 1
    assert len(mailoutbox) == 1 + handed_over


def test_a_mail_that_kills_its_worker_each_time_is_given_up(monkeypatch):
    row = queue()
    broken(monkeypatch, Killed())
    now = timezone.now()
    for n in range(mail.TRIES):
        with pytest.raises(Killed):
            mail.send(row.pk, now + timedelta(minutes=11 * n))

    assert mail.send(row.pk, now + timedelta(days=1)) == State.FAILED
    assert "never finished" in refresh(row).error


def test_a_worker_that_wakes_up_late_does_not_undo_what_another_did(monkeypatch):
    row = queue()
    first = mail._claim(row.pk, timezone.now())
    second = mail._claim(row.pk, timezone.now() + timedelta(minutes=11))
    mail._close(second, State.SENT, sent_at=timezone.now())

    mail._note_failure(first, OSError("late"), timezone.now())

    assert refresh(row).state == State.SENT


# --- again, and no more ----------------------------------------------------------------------------------------


def test_while_the_mail_server_is_down_mails_wait_and_none_is_lost(monkeypatch, mailoutbox):
    statement = make_open_statement()
    rows = [queue(statement) for _ in range(6)]
    mend = broken(monkeypatch, ConnectionRefusedError(111, "Connection refused"))

    assert mail.send_due() == 0
    tried = Mail.objects.filter(tries=1)
    assert tried.count() == mail.PATIENCE  # then the server is left alone until the next round
    assert {m.error for m in tried} == {"The mail server cannot be reached: Connection refused"}

    mend()
    assert mail.send_due(timezone.now() + timedelta(minutes=2)) == 6
    assert len(mailoutbox) == len(rows)
    assert set(Mail.objects.values_list("state", "error")) == {(State.SENT, "")}


def test_pauses_grow_and_after_ten_tries_it_is_given_up_and_said(monkeypatch):
    statement = make_open_statement()
    row = queue(statement)
    broken(monkeypatch, smtplib.SMTPServerDisconnected("gone"))
    now, waits = timezone.now(), []
    while mail.send(row.pk, now):
        refresh(row)
        waits.append(round((row.next_try_at - now).total_seconds() / 60))
        now = row.next_try_at

    assert waits[: mail.TRIES - 1] == list(mail.PAUSES)
    assert waits[:4] == [1, 5, 15, 60]
    assert (row.state, row.tries) == (State.FAILED, 10)
    event = Event.objects.get(type="billing_statement.mail_failed")
    assert (event.object_id, event.data["mail"], event.by) == (statement.pk, row.pk, None)
    assert mail.send_due(now + timedelta(days=30)) == 0


def test_an_address_the_server_refuses_for_good_is_given_up_at_once(monkeypatch):
    row = queue()
    broken(monkeypatch, smtplib.SMTPRecipientsRefused({"marta@example.com": (550, b"no such user")}))

    assert mail.send(row.pk) == State.FAILED
    assert refresh(row).error == "The mail server refuses this address: 550 no such user"


def test_an_address_the_server_refuses_for_now_is_tried_again(monkeypatch):
    row = queue()
    broken(monkeypatch, smtplib.SMTPRecipientsRefused({"marta@example.com": (450, b"greylisted")}))

    assert mail.send(row.pk) == State.QUEUED


def test_a_link_that_cannot_be_told_is_not_replaced_by_nothing(mailoutbox):
    row = queue(make_statement())  # a draft: nobody may open it

    assert mail.send(row.pk) == State.FAILED
    assert mailoutbox == []
    assert "link cannot be told" in refresh(row).error


def test_a_mail_names_nothing_but_makers_of_attachments(mailoutbox):
    row = queue(attach="os.getcwd")

    assert mail.send(row.pk) == State.FAILED
    assert mailoutbox == []
    assert refresh(row).error == "os.getcwd makes no attachments."


def test_one_bad_mail_does_not_hold_up_the_others(mailoutbox):
    bad, good = queue(attach="billing.documents.no_such_thing"), queue()

    mail.send_due()

    assert (refresh(bad).state, refresh(good).state) == (State.QUEUED, State.SENT)
    assert bad.error.startswith("The mail could not be made: ")


# --- the terminal ------------------------------------------------------------------------------------------------


def test_the_terminal_shows_a_mail_to_read(capsys, settings):
    from dashboard.mail_console import EmailBackend

    message = post.EmailMultiAlternatives("A bill", "Pay it here:\nhttps://x.example/pay/", to=["marta@example.com"])
    message.attach("bill.pdf", b"%PDF-1.7 ...", "application/pdf")
    message.attach_alternative("<p>Pay</p>", "text/html")

    EmailBackend().send_messages([message])

    shown = capsys.readouterr().out
    assert "To: marta@example.com\nSubject: A bill\n\nPay it here:\nhttps://x.example/pay/\n[attached: bill.pdf]" in shown
    assert "JVBER" not in shown
    assert "<p>" not in shown


def test_a_database_that_goes_away_leaves_the_mail_to_be_sent_later(monkeypatch):
    from django.db import OperationalError

    row = queue()
    mend = broken(monkeypatch, OperationalError("gone"))
    with pytest.raises(OperationalError):
        mail.send(row.pk)
    mend()

    assert refresh(row).state == State.SENDING
    assert mail.send_due(timezone.now() + timedelta(minutes=11)) == 1
