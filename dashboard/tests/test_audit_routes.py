"""Every route that changes something leaves an event: each is sent the form its page shows, and the trail must grow."""

import ast
import re
from datetime import timedelta
from html.parser import HTMLParser

from django.core.cache import cache
from django.utils import timezone

from billing.domain import statements, subscriptions
from billing.models import BillingStatement, Subscription
from billing.tests.factories import make_method, make_statement
from conftest import PASSWORD
from customers.domain import archive_customer, pin_comment
from customers.models import Comment, Customer
from customers.tests.factories import make_customer
from dashboard.models import Event
from dashboard.tests.routes import DATA, make_world, routes, undone
from dashboard.tests.test_structure import sources

NO_EVENT = {  # routes that change nothing of the business, and why they leave no event
    "theme/": "one's own theme, in a cookie",
    "mode/": "which mode one looks at, in one's session",
    "lists/columns/": "one's own columns",
    "lists/views/new/": "a way to look at a list",
    "lists/views/<id:pk>/delete/": "a way to look at a list",
    "customers/imports/<id:pk>/format/": "how a file is read that nothing was imported from yet",
    "pay/bill/<slug:token>/": "begins a payer's try: an Attempt, append-only itself, and events as soon as it comes to something",
    "pay/checkout/<slug:token>/": "the same",
    "pay/card/<slug:token>/": "the same",
    "pay/return/<id:attempt>/": "asks the gateway what became of a try: an event when that is news",
}
REFUSED = {  # what this walk cannot do, for the world it walks in has no such thing; their own tests look for the event
    "accounts/login/": "is signed in already",
    "accounts/password/reset/": "leads on: is signed in already",
    "accounts/password/set/": "leads on: has a password",
    "accounts/^password/reset/key/(?P<uidb36>[0-9a-z_]+)-(?P<key>.+)/$": "needs a mailed key",
    "accounts/reauthenticate/": "needs the password, and changes nothing but the session",
    "accounts/2fa/authenticate/": "is not half-way in",
    "accounts/2fa/reauthenticate/": "needs a code",
    "accounts/2fa/totp/activate/": "needs a code",
    "accounts/2fa/totp/deactivate/": "has no second step",
    "accounts/2fa/recovery-codes/generate/": "has no second step",
    "accounts/2fa/recovery-codes/download/": "has no second step",
    "accounts/2fa/passkeys/add/": "needs a passkey",
    "accounts/2fa/passkeys/confirm/": "needs a passkey",
    "accounts/2fa/passkeys/sign-in/": "needs a passkey",
    "accounts/2fa/passkeys/<int:number>/remove/": "has no passkey",
    "billing/payments/<id:pk>/capture/": "the payment is not authorised",
    "billing/payments/<id:pk>/release/": "the payment is not authorised",
    "customers/<id:customer>/request-payment/": "has two steps",
    "customers/imports/new/": "needs a file",
    "customers/imports/<id:pk>/columns/": "the import is further on",
    "customers/imports/<id:pk>/confirm/": "the import is not so far",
    "customers/imports/<id:pk>/continue/": "the import is not so far",
    "outbox/<id:pk>/retry/": "the mail has not failed",
    "profile/sessions/end/": "has no other session",
    "profile/sessions/<id:pk>/end/": "has no other session",
    "profile/tokens/<id:pk>/revoke/": "has no token",
    "profile/tokens/<id:pk>/roll/": "has no token",
    "team/<id:pk>/second-step/": "has no second step",
}
TYPED = {  # what the walk types into fields of these names, whatever stood there
    "first_name": "Walked",
    "name": "Walked",
    "description": "Walked",
    "body": "Walked by",
    "reason": "because",
    "why": "because",
    "line1": "1 Walk Street",
    "country": "PH",
    "amount": "1.00",
    "email": "walked@example.com",
    "promised_on": str(timezone.localdate() + timedelta(days=7)),
    "password": "correct horse battery",
    "metadata_key": ["walked"],
    "metadata_value": ["yes"],
}
REFUND = {"amount": "0.30", "amount_currency": "USD", "reason": "others", "destination": "credit"}
CHANGED = {"oldpassword": PASSWORD, "password1": "a better horse staple", "password2": "a better horse staple"}
MORE = {  # what the walk sends besides
    "accounts/password/change/": CHANGED,
    "api-keys/new/": {"scopes": ["customers:read"]},
    "profile/tokens/new/": {"scopes": ["customers:read"]},
    "billing/coupons/<id:pk>/duplicate/": {"amount": ""},
    "billing/payments/<id:pk>/refund/": REFUND,
    "billing/statements/<id:pk>/apply-credit/": {"amount": "0.30"},
    "customers/<id:customer>/coupons/new/": {"amount": ""},
    "customers/<id:pk>/erase/": {"reason": "asked", "confirm": "walked away"},
    "profile/": {"theme": "dark"},
}


class Form(HTMLParser):
    """The fields of the page's last POST form with what stands in them."""

    def __init__(self, html):
        super().__init__()
        self.forms, self.select, self.area = [], None, None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        at = dict(attrs)
        if tag == "form":
            self.forms.append((at.get("method", "get").lower(), at.get("action"), {}))
        if not self.forms or (not at.get("name") and tag != "option"):
            return
        fields = self.forms[-1][2]
        if tag == "input" and (at.get("type") not in ("checkbox", "radio", "submit", "file") or "checked" in at):
            fields.setdefault(at["name"], []).append(at.get("value", ""))
        if tag == "select":
            self.select = at["name"]
        if tag == "textarea":
            self.area = at["name"]
            fields.setdefault(self.area, []).append("")
        if tag == "option" and self.select and (self.select not in fields or "selected" in at):
            fields[self.select] = [at.get("value", "")]

    def handle_data(self, data):
        if self.area:
            self.forms[-1][2][self.area][-1] += data.lstrip("\n")

    def handle_endtag(self, tag):
        if tag == "select":
            self.select = None
        if tag == "textarea":
            self.area = None

    def filled(self, url):
        """The form that is sent to this page, as a person would fill it in: {name: [values]}."""
        here = [fields for method, action, fields in self.forms if method == "post" and action in (None, "", url)]
        fields = max(here, key=len, default={})
        return {name: TYPED.get(name, values) for name, values in fields.items()}


# --- records in the state an action is for: each maker gives what changes in the route's address ----------


def draft(world, by):
    return {"pk": make_statement(Customer.objects.get(pk=world.customer), by=by).pk}


def fulfilled(world, by):
    statements.fulfil_statement(BillingStatement.objects.get(pk=world.billingstatement), by=by)
    return {}


def archived(world, by):
    return {"pk": archive_customer(make_customer(by=by), by=by).pk}


def forgotten(world, by):
    return {"pk": make_customer(by=by, first_name="Walked", last_name="Away").pk}


def pinned(world, by):
    pin_comment(Comment.objects.get(pk=world.comment), pinned=True, by=by)
    return {}


def paused(world, by):
    subscriptions.pause(Subscription.objects.get(pk=world.subscription), by=by)
    return {}


def ending(world, by):
    subscriptions.cancel_subscription(Subscription.objects.get(pk=world.subscription), at_period_end=True, by=by)
    return {}


def second_method(world, by):
    return {"pk": make_method(Customer.objects.get(pk=world.customer), by=by, number="5555555555554444").pk}


def undisputed(world, by):
    return {"pk": world.bill_payment}


MADE = {
    "billing/payments/<id:pk>/refund/": undisputed,
    "billing/statements/<id:pk>/delete/": draft,
    "billing/statements/<id:pk>/edit/": draft,
    "billing/statements/<id:pk>/finalize/": draft,
    "billing/statements/<id:pk>/unfulfil/": fulfilled,
    "billing/subscriptions/<id:pk>/keep/": ending,
    "billing/subscriptions/<id:pk>/resume/": paused,
    "customers/<id:customer>/comments/<id:pk>/unpin/": pinned,
    "customers/<id:customer>/methods/<id:pk>/default/": second_method,
    "customers/<id:pk>/erase/": forgotten,
    "customers/<id:pk>/restore/": archived,
}


def walk(client, world, by):
    """{path: (status, whether the trail grew)} of a POST to every route. The admin and the API end in the same domain
    functions; their own tests look for their events."""
    return {route.path: post(client, route, world, by) for route in routes() if not route.path.startswith(("admin/", "api/"))}


def post(client, route, world, by):
    cookies = dict(client.cookies)  # a sign-out among the routes is undone as well
    with undone():
        url = route.url(world, **MADE.get(route.path, lambda world, by: {})(world, by))
        data = sent(client, url) | DATA.get(route.path, {}) | MORE.get(route.path, {})
        before = Event.objects.latest().pk
        status = client.post(url, data).status_code
        new = Event.objects.filter(pk__gt=before)
        refuse_secrets(route.path, str(list(new.values("changes", "data"))), world)
        grew = new.exists()
    client.cookies.update(cookies)
    return status, grew


def refuse_secrets(path, told, world):
    """No event holds what opens a door: passwords and the tokens of links."""
    secrets = [PASSWORD, CHANGED["password1"], world.token, world.card_token, world.bill_token, world.paid_token]
    assert not [secret for secret in secrets if secret in told], path


def sent(client, url):
    """What a person sends who fills in the page at this address."""
    shown = client.get(url)
    is_page = shown.status_code == 200 and not shown.streaming and "html" in shown["Content-Type"]
    return Form(shown.text).filled(url) if is_page else {}


SECRET = re.compile(r"password|token(?!ization)|secret|hashed|cookie|session_key|credential|nonce|cvv|signature", re.I)


def test_no_event_is_given_a_secret():
    """Every call that records one, read: no argument is named or made of a password, a token or a secret."""
    calls, wrong = 0, []
    for module, path in sources().items():
        for call in [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]:
            if ast.unparse(call.func) in (
                "events.record",
                "events.note",
                "events.record_many",
                "bulk.event",
                "bulk.events_alike",
            ):
                calls += 1
                given = [f"{word.arg}={ast.unparse(word.value)}" for word in call.keywords]
                wrong += [f"{module}: {text}" for text in given if SECRET.search(text)]

    assert calls > 60
    assert wrong == []


def test_every_route_that_changes_something_leaves_an_event(alice, as_alice):
    cache.clear()
    walked = walk(as_alice, make_world(alice), alice)
    silent = {path for path, (status, grew) in walked.items() if not grew and status != 405}

    assert silent - NO_EVENT.keys() - REFUSED.keys() == set()
    assert sum(grew for _, grew in walked.values()) > 60
    # a route that leaves an event after all, or is gone, comes off its list; none on the first list was refused
    assert {path for path in NO_EVENT | REFUSED if walked.get(path, (0, True))[1]} == set()
    assert {path for path in NO_EVENT if walked[path][0] != 302} == set()
