"""Secrets and card numbers one would recognise anywhere, and where they are looked for after hostile requests.

Some are typed (a password in a form, a key in a header), some are ours (SECRET_KEY, a session, a payer's link). None may be
in the log, in a mail, in the database or in an answer, but for what KEPT says and why.
"""

import io
import logging
import re

from django.conf import settings
from django.db import connection

from billing.drills.nasty import CARD
from billing.gateways.sandbox import deliveries
from dashboard.logs import JsonLines, Lines
from dashboard.middleware import RequestIdFilter
from dashboard.models import Session

TYPED = {  # what the drill sends
    "password": "Hq7canaryPASSWORD9zk",
    "bearer": "sk_test_Hq7canaryBEARER9zkHq7canaryBEARER9zk",
    "key in a header": "Hq7canaryHEADER9zk",
    "cookie": "Hq7canaryCOOKIE9zk",
    "json": "Hq7canaryJSON9zk",
}
SEED, RECOVERY = "seed of the codes", "recovery code"
KEPT = {  # (what, where): why it belongs there
    ("session", "database"): "a session is found by it; it ends after half an hour left alone, and with a new password",
    ("link", "mails"): "the mail is how a payer gets the link",
    ("invitation", "mails"): "so does somebody who is invited",
    ("invitation", "answers"): "their own page",
    ("link", "answers"): "the payer's own page, and staff who copy the link for them",
    ("vault token", "database"): "what a saved card is charged by; of no use without the gateway's key",
    ("vault token", "answers"): "the API tells its client, who may charge by it (billing:read)",
    (RECOVERY, "answers"): "the page that shows them once to whom they are for",
}
_GROUPS = re.compile(r"(?<=\d)(?:[ +-]|%20|%2B)(?=\d)")


class Canaries:
    """`Canaries(ours).found(place, text)`: what of it is in a text and does not belong there."""

    def __init__(self, ours):
        self.known = list(TYPED.items())
        self.known += [(name, text) for name, texts in ours.items() for text in texts if len(text) > 7]

    def found(self, place, text, cards=True):
        """[names of what was found]; a place is one of KEPT's. `cards`: whether to look for card numbers, which takes longer."""
        there = {name for name, secret in self.known if secret in text}
        if cards and has_number(text):
            there.add("card number")
        return sorted(name for name in there if (name, place) not in KEPT)


def ours(world, clients, **more):
    """{what: [secrets]} of this installation and of those who are signed in."""
    sessions = [c.cookies[settings.SESSION_COOKIE_NAME].value for c in clients if settings.SESSION_COOKIE_NAME in c.cookies]
    tokens = [c.cookies[settings.CSRF_COOKIE_NAME].value for c in clients if settings.CSRF_COOKIE_NAME in c.cookies]
    keys = [c.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ") for c in clients if "HTTP_AUTHORIZATION" in c.defaults]
    return {
        "SECRET_KEY": [settings.SECRET_KEY] if len(settings.SECRET_KEY) > 15 else [],
        "webhook secret": deliveries.secrets(),
        "session": sessions,
        "form token": tokens,
        "API key": keys,
        "link": [world.token, world.bill_token, world.paid_token, world.card_token],
        "invitation": [world.invitation_token],
        "vault token": [world.vault_token],
        **more,
    }


def has_number(text, number=CARD):
    """Whether text holds the number, however it is spaced. Not the product's own way to see one."""
    return number in _GROUPS.sub("", text)


def whole_database():
    """Every row of every table, the framework's included, as text."""
    return "\n".join(tables().values())


def tables():
    """{table: all its rows as text}; and what sessions hold, which is packed there."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608  (the database's own names)
            found[table] = "\n".join(_text_of(value) for row in cursor.fetchall() for value in row)
    return found | {"sessions unpacked": "\n".join(str(session.get_decoded()) for session in Session.objects.all())}


def _text_of(value):
    return bytes(value).decode("latin-1") if isinstance(value, (bytes, memoryview)) else str(value)


class Log:
    """Everything that is logged meanwhile, in both formats by turns, in place of what would be written elsewhere."""

    def __enter__(self):
        self.stream, self.root = io.StringIO(), logging.getLogger()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.addFilter(RequestIdFilter())
        self.before = self.root.handlers, self.root.level, logging.getLogger("django.request").level
        self.root.handlers = [self.handler]
        self.root.setLevel(logging.INFO)
        logging.getLogger("django.request").setLevel(logging.DEBUG)
        self.begin(JsonLines)
        return self

    def begin(self, formatter):
        """Forget what was logged; write the next lines in this format."""
        self.handler.setFormatter(formatter())
        self.stream.seek(0)
        self.stream.truncate()

    def turn(self):
        """What was logged since the last turn, in the other format from now on."""
        text, now = self.stream.getvalue(), type(self.handler.formatter)
        self.begin(Lines if now is JsonLines else JsonLines)
        return text

    def tail(self):
        """The end of what was logged since the last turn."""
        return self.stream.getvalue()[-2000:]

    def __exit__(self, *exc):
        self.root.handlers, level, requests = self.before
        self.root.setLevel(level)
        logging.getLogger("django.request").setLevel(requests)


careless = logging.getLogger("dashboard.drill")


def tell_all(request):
    """Log everything a request sent, as no line of ours does: what is left of it is the log's own doing."""
    try:
        sent = dict(request.headers), dict(request.POST), dict(request.GET), request.COOKIES, request.body[:3000]
    except Exception as error:  # a body nobody could read: its error is told instead
        sent = dict(request.headers), dict(request.GET), error
    careless.warning("sent " + "%s " * len(sent), *sent, extra={"request": request})
