"""No table, log, mail, export or page holds a card number, wherever somebody types one. With the guards off, this sees it."""

import json
import logging
import re
import time
from copy import deepcopy

import pytest
from django.core import mail
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.urls import reverse

from billing.domain.checkouts import start_payment
from billing.drills.canaries import has_number, whole_database
from billing.drills.nasty import CARD as UNLISTED
from billing.drills.nasty import CARDS as WRITTEN
from billing.gateways.sandbox import deliveries
from billing.gateways.sandbox.cards import CARDS
from billing.gateways.sandbox.models import SandboxCheckout
from billing.models import Payment, WebhookDelivery
from billing.tests.factories import make_request
from customers.models import Customer
from dashboard import card_numbers
from dashboard.imports import runs
from dashboard.mail import send_due
from dashboard.models import User
from dashboard.tests.routes import EVERYONE_OUTSIDE, make_world, routes, undone
from dashboard.tests.test_lists import EXPORTED
from dashboard.tests.typing import Page

pytestmark = pytest.mark.django_db
LISTED = "4701322211111234"
WRITES = re.compile(r"\s*(INSERT|UPDATE|REPLACE)\b", re.I)
# Signing out; pages of the admin that are only read; the sandbox's, which takes the listed numbers: a test of its own below.
NOT_HERE = re.compile(r"logout/|admin/(?!dashboard/user/).*(change|history|delete|add)/|sandbox/(checkout|authenticate)/")
MUST_BE_TRIED = {  # (path, field): the control finds at least these; a page that loses its form here is noticed
    ("customers/new/", "first_name"), ("customers/new/", "description"), ("customers/new/", "reference"),
    ("customers/<id:pk>/edit/", "last_name"), ("customers/<id:customer>/addresses/new/", "line1"),
    ("customers/<id:pk>/", "body"), ("customers/", "q"), ("billing/payments/", "q"),
    ("billing/statements/new/", "description"), ("customers/<id:customer>/request-payment/", "description"),
    ("billing/payments/<id:pk>/refund/", "remarks"), ("billing/statements/<id:pk>/promise/", "note"),
    ("lists/views/new/", "name"), ("profile/", "name"), ("customers/<id:customer>/balance/adjust/", "reason"),
    ("accounts/login/", "login"), ("admin/customers/customer/", "q"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()


@pytest.fixture
def unguarded(monkeypatch):
    monkeypatch.setattr(card_numbers, "_spans", lambda text: iter(()))


# --- every box of every page -----------------------------------------------------------------------------


class Watch:
    """Tries every box with a card number; `leaks` are the (path, field, where) in which it turned up."""

    def __init__(self, world, client, caplog):
        self.world, self.client, self.caplog, self.leaks, self.tried, self.seen = world, client, caplog, set(), set(), set()

    def __call__(self, execute, sql, params, many, context):
        if WRITES.match(sql) and has_number(str(params)):
            self.wrote.append(sql[:60])
        return execute(sql, params, many, context)

    def walk(self, paths=None):
        for route in routes():
            if route.path in paths if paths else not NOT_HERE.search(route.path):
                client = Client() if route.path in EVERYONE_OUTSIDE else self.client
                self.try_page(route, client)
        return self

    def urls(self, route):
        """A page's address, and what else there is at it."""
        second_step = {"query": {"step": "2", "method": "card"}}
        other = {"billing/payments/<id:pk>/refund/": {"pk": self.world.paid_payment}}.get(route.path)
        yield route.url(self.world, **other or {})
        if route.path.endswith("/request-payment/"):
            yield reverse(route.name, args=[self.world.customer], **second_step)

    def try_page(self, route, client):
        for url in self.urls(route):
            with undone():
                answer = client.get(url)
            if answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
                for form in Page(answer.text).forms:
                    self.try_form(route, client, form, url)

    def try_form(self, route, client, form, here):
        """Every box by itself. The same form on many pages is tried on the first."""
        action = form.action or here
        for at in form.typed:
            for button in form.buttons:
                known = (action, form.boxes[at].name, button)
                if known not in self.seen:
                    self.seen.add(known)
                    self.try_box(route, client, form, at, button, action)

    def try_box(self, route, client, form, at, button, action):
        name = form.boxes[at].name
        self.tried.add((route.path, name))
        written = WRITTEN[len(self.seen) % len(WRITTEN)]
        self.wrote, before = [], deepcopy(client.cookies)
        self.caplog.clear()
        cache.clear()
        with undone(), connection.execute_wrapper(self):
            shown = self.send(client, form, action, form.filled(at, written, button))
        client.cookies = before
        found = {"page": has_number(shown), "table": bool(self.wrote), "log": has_number(self.logged())}
        self.leaks |= {(route.path, name, where) for where, there in found.items() if there}

    def logged(self):
        """What the product's own formatter would have written."""
        line = card_numbers.Formatter("%(message)s")
        return "\n".join(line.format(record) for record in self.caplog.records)

    def send(self, client, form, action, body):
        """Send it and go on where it leads: all that is shown and where."""
        if form.method == "post":
            answer = client.post(action, body, content_type="application/x-www-form-urlencoded")
        else:
            answer = client.get(f"{action.partition('?')[0]}?{body}")
        shown = self.text_of(answer)
        for _ in range(3):
            if answer.status_code != 302 or not answer.url.startswith("/"):
                break
            answer = client.get(answer.url)
            shown += self.text_of(answer)
        return shown

    def text_of(self, answer):
        text = answer.getvalue() if answer.streaming else answer.content
        return text.decode(errors="replace") + answer.get("Location", "") + str(answer.cookies)


@pytest.fixture
def watch(alice, as_alice, caplog):
    caplog.set_level(logging.INFO)
    as_alice.raise_request_exception = False
    return Watch(make_world(alice), as_alice, caplog)


def test_no_box_of_any_page_keeps_shows_or_logs_a_card_number(watch):
    watch.walk()

    assert sorted(watch.leaks) == []
    assert watch.tried >= MUST_BE_TRIED


def test_without_the_guards_the_same_walk_finds_them(watch, unguarded):
    leaks = watch.walk({path for path, _ in MUST_BE_TRIED}).leaks

    assert {(path, name) for path, name, _ in leaks} >= MUST_BE_TRIED
    assert {where for _, _, where in leaks} >= {"page", "table"}


def test_what_is_refused_says_why_and_comes_back_empty(as_max):
    page = as_max.post("/customers/new/", {"kind": "individual", "first_name": "Ana", "currency": "USD", "description": UNLISTED})

    assert page.status_code == 422
    assert "looks like a payment card number. Card numbers are not kept here. Nothing was saved." in page.text
    assert UNLISTED not in page.text
    assert 'value="Ana"' in page.text  # what else was typed is still there
    assert not Customer.objects.exists()


# --- what comes by other ways ----------------------------------------------------------------------------


def send_event(note):
    body = json.dumps(
        {"id": "evt_card", "type": "charge.refunded", "created": int(time.time()), "livemode": False}
        | {"data": {"object": {"id": "sbch_none", "object": "payment", "note": note, "number": int(UNLISTED)}}}
    ).encode()
    return Client().post(
        "/webhooks/sandbox/", body, content_type="application/json", HTTP_SANDBOX_SIGNATURE=deliveries.sign(body)
    )


def import_them(by):
    """A file with card numbers in a heading, in a note, in a phone's column, and in its own name."""
    notes = {"Ana": f"{WRITTEN[1]},,x", "Bo": f"fine,{UNLISTED},y", "Cy": f"fine,,card {WRITTEN[0]} exp", "Di": "fine,,z"}
    rows = [f"first_name,description,phone,{UNLISTED}", *(f"{name},{cells}" for name, cells in notes.items())]
    text = "\r\n".join(rows)
    upload = SimpleUploadedFile(f"card {UNLISTED}.csv", text.encode())
    run = runs.start_import(upload, importer="customers", livemode=False, by=by)
    kept = whole_database()  # the file lies there while somebody chooses its columns
    runs.check_import(run, mapping=run.mapping, match="", country="", clear=False, by=by)
    run.refresh_from_db()
    runs.confirm_import(run, by=by)
    runs.apply_rows(run.pk)
    run.refresh_from_db()
    return run, kept


def pay_on_the_sandbox_page(*numbers):
    """A payer types these, one after the other, and comes back; the answers."""
    attempt = start_payment(make_request())
    path, payer = reverse("sandbox_checkout", args=[attempt.remote_id]), Client()
    sent = []
    for number in numbers:
        version = SandboxCheckout.objects.get(pk=attempt.remote_id).version
        sent.append(payer.post(path, {"number": number, "version": version}))
    payer.get(f"/pay/return/{attempt.pk}/")
    payer.post(f"/pay/return/{attempt.pk}/")
    return sent


def everything_that_happens(alice, client, caplog):
    """Card numbers by every other way in; {what: text} of all that is kept, sent, shown or logged afterwards."""
    caplog.set_level(logging.DEBUG)
    make_world(alice)
    send_event(f"card {WRITTEN[1]}")
    run, kept = import_them(alice)
    refused, paid = pay_on_the_sandbox_page(UNLISTED, LISTED)
    stranger = Client()
    for _ in range(2):
        stranger.post("/accounts/login/", {"login": f"{UNLISTED}@example.com", "password": UNLISTED})
        stranger.post("/accounts/password/reset/", {"email": f"a{UNLISTED}@example.com"})
    stranger.get(f"/customers/{UNLISTED}/")
    stranger.get(f"/nowhere/{UNLISTED}")
    reporting = Client()
    reporting.force_login(User.objects.create_user("refused@example.com", role="reporting"))
    reporting.get(f"/admin/customers/customer/{WRITTEN[1]}/")  # is refused, which is recorded
    client.get("/customers/", {"after": WRITTEN[1]})
    send_due()
    files = [client.get(f"{r.url(make_again(alice))}?format=csv") for r in EXPORTED if "customer" not in r.params]
    event = WebhookDelivery.objects.get(event_id="evt_card").get_absolute_url()
    here = run.get_absolute_url()
    pages = [client.get(url) for url in (here, f"{here}?show=errors", "/billing/deliveries/", event)]
    line = card_numbers.Formatter("%(message)s")
    return {
        "database": whole_database(), "database while importing": kept,
        "log": "\n".join(line.format(record) for record in caplog.records if not record.name.startswith("django.db")),
        "mails": "\n".join(str(m.message()) for m in mail.outbox),
        "exports": b"".join(f.getvalue() for f in files).decode(),
        "error file": b"".join(runs.error_file(run)).decode(),
        "pages": "\n".join(p.text for p in pages),
        "the sandbox's page": refused.text.partition("<form")[0] + refused.text.rpartition("</select>")[2],  # it lists its own
        "answers": f"{refused.status_code} {paid.status_code}",
    }  # fmt: skip


def make_again(alice):
    from types import SimpleNamespace

    return SimpleNamespace(customer=Customer.objects.first().pk, user=alice.pk)


def test_no_table_log_mail_export_or_page_holds_one(alice, as_alice, caplog):
    found = everything_that_happens(alice, as_alice, caplog)

    assert [what for what, text in found.items() if has_number(text) or has_number(text, LISTED)] == []
    assert found["answers"] == "422 302"
    assert Payment.objects.filter(status="paid", method_last4=LISTED[-4:]).exists()  # the whole way was gone
    assert "alice@example.com" in found["database"]


def test_without_the_guards_the_same_search_finds_them(alice, as_alice, caplog, unguarded):
    found = everything_that_happens(alice, as_alice, caplog)

    there = {what for what, text in found.items() if has_number(text)}
    assert there >= {"database", "database while importing", "log", "exports", "pages"}


def test_a_row_with_a_card_number_is_an_error_and_its_neighbours_are_not(alice):
    run, _ = import_them(alice)

    assert {row.number: row.action for row in run.rows.all()} == {2: "error", 3: "error", 4: "error", 5: "create"}
    assert "#### #### #### 1486" in b"".join(runs.error_file(run)).decode()
    assert run.file_name == "card ############1486.csv"


def test_an_error_file_uploaded_as_it_was_is_refused_again(alice):
    run, _ = import_them(alice)
    again = SimpleUploadedFile("again.csv", b"".join(runs.error_file(run)))

    second = runs.start_import(again, importer="customers", livemode=False, by=alice)
    runs.check_import(second, mapping=second.mapping, match="", country="", clear=False, by=alice)
    second.refresh_from_db()

    assert (second.errors, second.creates) == (3, 0)


def test_the_numbers_of_this_test_are_what_they_say():
    assert LISTED in {c.number for c in CARDS}
    assert UNLISTED not in {c.number for c in CARDS}
    assert all(has_number(text) and card_numbers.find_card_number(text) for text in WRITTEN)
