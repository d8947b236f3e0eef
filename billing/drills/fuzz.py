"""Hostile requests by all eight actors over all routes: whatever is sent, the answer is no fault and the books add up.

Requests come in batches, each on the same world: what one of them changes, those behind it find. After a batch the
minute's work is done on what was left, the database is proved, and log, mails and tables are searched for canaries.
`--seed` makes other requests; the same seed and rounds make the same ones again.
"""

import random
import time
import traceback
from collections import Counter
from contextlib import contextmanager
from io import StringIO
from itertools import count
from types import SimpleNamespace
from unittest import mock

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.models import AnonymousUser
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.urls import Resolver404, resolve

from billing.drills import nasty
from billing.drills.canaries import RECOVERY, SEED, Canaries, Log, has_number, ours, tables, tell_all
from billing.drills.fuzz_requests import FRAGILE, KINDS, Maker, reads_json
from billing.models import WebhookDelivery
from dashboard import audit, card_numbers, forms, limits, logs
from dashboard.management import proofs
from dashboard.models import Session, User
from dashboard.tests.actors import ACTORS, make_actors, make_cast
from dashboard.tests.routes import API, EVERYONE_OUTSIDE, make_world

SEED_OF_CHANCE = 20261122
BATCH = 500
SLOW = 10  # seconds
BUSY = 6  # a machine that does much else at the same time may take so many times as long for what it waits for
OUTSIDE = ("stranger", "payer", "former")
SHARES = {"admin": 34, "manager": 16, "support": 13, "reporting": 9, "stranger": 6, "payer": 8, "former": 5, "api_key": 9}
AGAIN = b"It could not be worked on now. Send it again.\n"
LEAST = (("pages", 0.2, {"status": 2}), ("were done", 0.35, {"good": True}), ("refused", 0.02, {"exact": 422}))  # of all
TOLD = 30  # violations that are printed; all are counted


def run(rounds, *, seed=SEED_OF_CHANCE, copies):
    """Send `rounds` requests, then try the controls. `copies` puts back the database. Yields ([sentences], violated)."""
    with as_served(), Log() as log, copies:
        stage = set_up(log)
        copies.keep()
        found = Found()
        for start in range(0, rounds, BATCH):
            copies.put_back()
            Batch(stage, found, random.Random(f"{seed} {start}")).send(min(BATCH, rounds - start), start)
        yield [stage.maker.told, *found.lines(rounds, seed)], found.violated(rounds)
        for control in CONTROLS:
            copies.put_back()
            yield control(stage)


@contextmanager
def as_served():
    """Settings of a server that takes the drill's own requests; mails are kept, tasks done at once, and hashes cheap."""
    mailer = {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # none need have been collected
    hours = count(int(time.time()), 3600)  # for the limits an hour passes between two requests: they are not what is tried
    with (
        override_settings(
            ALLOWED_HOSTS=[*settings.ALLOWED_HOSTS, "testserver"],
            MAILERS=dict.fromkeys(settings.MAILERS, mailer),
            PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
            SECURE_SSL_REDIRECT=False,
            STORAGES=settings.STORAGES | {"staticfiles": plain},
            TASKS={"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}},
        ),
        mock.patch.object(limits, "now", hours.__next__),
    ):
        mail.outbox = []
        settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
        yield


def set_up(log):
    """The world, a client of each actor, and what there is to send."""
    cast = make_cast()
    world = make_world(cast["admin"])
    clients = make_actors(world, cast, raise_request_exception=False)
    seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    TOTP.activate(cast["manager"], seed)
    codes = RecoveryCodes.activate(cast["manager"]).get_unused_codes()
    canaries = Canaries(ours(world, clients.values(), **{SEED: [seed], RECOVERY: codes}))
    people = list(Session.objects.values()), list(User.objects.values("id", "role", "is_active", "password"))
    maker = Maker(world, clients["admin"], clients["stranger"])
    call_command("tick", stdout=StringIO())  # what waits too long is no fault of a request
    log.turn()
    return SimpleNamespace(world=world, clients=clients, maker=maker, canaries=canaries, people=people, log=log)


class Found:
    """What the requests came to."""

    def __init__(self):
        self.statuses, self.violations, self.searched, self.batches, self.secrets = Counter(), [], Counter(), 0, 0
        self.slowest = (0, "")

    def total(self, **wanted):
        """How many requests of an actor, a kind, a class of statuses (2 for 2xx), an exact status, a good end."""
        return sum(n for key, n in self.statuses.items() if all(key[AT[name]] == value for name, value in wanted.items()))

    def lines(self, rounds, seed):
        """The sentences to print."""
        yield f"{self.total()} requests of seed {seed} in {self.batches} batches, {len(self.violations)} violations"
        for name, values in (("actor", ACTORS), ("kind", KINDS)):
            for value in values:
                told = ", ".join(f"{n} x {c}xx" for c in range(1, 6) if (n := self.total(**{name: value, "status": c})))
                yield f"  {name} {value.removesuffix('_of')}: {self.total(**{name: value})} ({told})"
        took, url = self.slowest
        yield f"  422: {self.total(exact=422)}, 429: {self.total(exact=429)}; slowest {took:.1f} s: {url[:100]}"
        searched = ", ".join(f"{size:,} characters of {place}" for place, size in self.searched.items())
        yield f"canaries: {self.secrets} requests with secrets; searched {searched}"
        yield from self.violations[:TOLD]
        yield from (f"  {sentence}" for sentence in self.too_little(rounds))

    def too_little(self, rounds):
        """Why a clean pass would mean little."""
        if rounds < 200:
            return
        for actor in ACTORS:
            if self.total(actor=actor) < rounds * SHARES[actor] / 200:
                yield f"Only {self.total(actor=actor)} requests of {actor}."
        for kind, share in KINDS.items():
            if self.total(kind=kind) < rounds * share / 200:
                yield f"Only {self.total(kind=kind)} requests of the kind {kind}."
            if not self.total(kind=kind, good=True) and kind != "paths":
                yield f"No request of the kind {kind} was a good one."
        for name, least, wanted in LEAST:
            if self.total(**wanted) < rounds * least:
                yield f"Only {self.total(**wanted)} {name}."
        if self.total(exact=429) > rounds * 0.02:
            yield f"{self.total(exact=429)} were refused for coming too often: what they held was not looked at."

    def violated(self, rounds):
        return bool(self.violations or list(self.too_little(rounds)))


AT = {"actor": 0, "kind": 1, "status": 2, "exact": 3, "good": 4}


class Batch:
    """Requests on one copy of the world, and the search behind them."""

    def __init__(self, stage, found, chance, actors=SHARES):
        self.stage, self.found, self.chance, self.actors = stage, found, chance, dealt(actors, chance)

    def send(self, requests, start=0, kinds=KINDS, search=True):
        """Send so many, then look at what they left."""
        self.found.batches += 1
        mail.outbox.clear()
        kinds = dealt({kind: KINDS[kind] for kind in kinds}, self.chance)
        for number in range(start, start + requests):
            sent, actor = self.stage.maker.make(next(kinds), self.chance), next(self.actors)
            if sent.kind == "api" and self.chance.random() < 0.6:
                actor = "api_key"
            self.send_one(number, sent, actor)
        if search:
            self.search()

    def send_one(self, number, sent, actor):
        client, began, worked = self.stage.clients[actor], time.monotonic(), time.process_time()
        address = f"203.0.113.{self.chance.randrange(256)}"
        try:
            answer = sent.send(client, address)
            body = answer.getvalue() if answer.streaming else answer.content
        except Exception as error:  # one that is raised while an answer is streamed reaches nobody else
            self.tell(number, actor, sent, [f"broke: {where(error)}"])
            return
        took = max(time.process_time() - worked, (time.monotonic() - began) / BUSY)
        self.found.slowest = max(self.found.slowest, (took, f"{sent.verb} {sent.url}"))
        self.found.statuses[actor, sent.kind, answer.status_code // 100, answer.status_code, is_good(answer)] += 1
        if sent.secret:
            self.found.secrets += 1
            tell_all(answer.wsgi_request)
        said = [*faults_of(answer, body, took, actor), *self.leaks(sent, answer, body)]
        if said and answer.status_code >= 500 and not answer.exc_info:  # the API logs its faults itself
            said.append(f"the log ends: {self.stage.log.tail()}")
        self.tell(number, actor, sent, said)
        if answer.status_code < 400 and sent.verb != "GET" and sent.url[1:].startswith(FRAGILE):
            self.put_people_back()

    def leaks(self, sent, answer, body):
        if not answer["Content-Type"].startswith("application/pdf"):
            yield from self.searched("answers", body.decode("utf-8", "replace"), cards=has_number(str(sent)))

    def put_people_back(self):
        """Whoever signed out, was switched off or took another mode is as before: their next request is theirs again."""
        sessions, users = self.stage.people
        for row in sessions:
            Session.objects.update_or_create(session_key=row["session_key"], defaults=row)
        for row in users:
            User.objects.filter(pk=row["id"]).update(**row)

    def search(self):
        """The minute's work on what was left, the database's proofs, then the canaries."""
        out, said = StringIO(), []
        try:
            call_command("tick", stdout=out)
        except CommandError as error:
            said.append(f"The minute's work: {error}")
        said += [f"a delivery: {delivery}" for delivery in WebhookDelivery.objects.filter(error__contains="the log says more")]
        said += proofs.faults()
        log = self.stage.log.turn()
        mails = "\n".join(str(message.message()) for message in mail.outbox)
        for table, shown in tables().items():
            said += self.searched("database", shown, table)
        said += [*self.searched("log", log), *self.searched("mails", mails)]
        if any("minute's work" in sentence for sentence in said):
            said.append(log[-3000:])
        self.found.violations += [f"after batch {self.found.batches}: {sentence}" for sentence in said]

    def searched(self, place, shown, table="", cards=True):
        """Sentences for what is in a place and does not belong there."""
        self.found.searched[place] += len(shown)
        found = self.stage.canaries.found(place, shown, cards)
        lines = [line[:1000] for line in shown.splitlines() if self.stage.canaries.found(place, line)][:3] if found else []
        return [f"{name} in the {place} {table}: {lines}" for name in found]

    def tell(self, number, actor, sent, said):
        self.found.violations += [f"{number} {actor}: {sentence}: {str(sent)[:1500]}" for sentence in said]


def dealt(shares, chance):
    """Names as from a shuffled pack that holds each as often as its share says; then from the next pack."""
    pack = [name for name, share in shares.items() for _ in range(share)]
    while True:
        chance.shuffle(pack)
        yield from pack


# --- what may not be ---------------------------------------------------------------------------------------
def faults_of(answer, body, took, actor):
    """Sentences for what is wrong with an answer."""
    if answer.status_code >= 500 and not is_asked_again(answer, body):
        yield f"{answer.status_code} {where(answer.exc_info[1]) if answer.exc_info else ''}"
    if took > SLOW:
        yield f"took {took:.0f} s"
    if not is_what_it_says(answer, body):
        yield f"{answer.status_code} is no {answer['Content-Type']}"
    if answer["Content-Type"].startswith("text/html"):
        if nasty.MARK.encode() in body:
            yield "shows what was sent as markup"
        if "Content-Security-Policy" not in answer:
            yield f"{answer.status_code} has no policy"
    if "X-Request-ID" not in answer:
        yield f"{answer.status_code} has no request id"
    if actor in OUTSIDE and answer.status_code < 300 and not is_open(answer.wsgi_request.path_info):
        yield f"{answer.status_code} for somebody outside"


def is_asked_again(answer, body):
    """Whether a gateway that signed a delivery is told to send it again: of something it says it does not know itself."""
    return answer.wsgi_request.path_info == "/webhooks/sandbox/" and body == AGAIN


def is_good(answer):
    """Whether what was asked for was done or shown, or led on to where it is: not to the sign-in."""
    return answer.status_code < 300 or (answer.status_code < 400 and "/login/" not in answer.get("Location", ""))


def where(error):
    """An exception and the last lines of ours it went through."""
    base = f"{settings.BASE_DIR}/"
    steps = [step for step in traceback.extract_tb(error.__traceback__) if base in step.filename and ".venv" not in step.filename]
    places = " < ".join(f"{step.filename.removeprefix(base)}:{step.lineno}" for step in reversed(steps[-3:]))
    return f"{type(error).__name__} {str(error)[:200]!r} at {places}"


def is_what_it_says(answer, body):
    """Whether a body is of its Content-Type, as far as that is quickly seen."""
    kind, _, _rest = answer["Content-Type"].partition(";")
    if not body or answer.wsgi_request.method == "HEAD":
        return True
    if kind == "application/json":
        return reads_json(body)
    if kind == "application/pdf":
        return body.startswith(b"%PDF-")
    if kind in ("text/html", "image/svg+xml"):
        return body.lstrip()[:1] == b"<" and is_utf8(body)
    return kind not in ("text/csv", "text/plain") or is_utf8(body)


def is_utf8(body):
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_open(path):
    """Whether strangers are answered at a path: a page of theirs, a file of ours, or a door that asks itself."""
    try:
        route = resolve(path).route
    except Resolver404:
        return path.startswith(settings.STATIC_URL)
    return route in OPEN


OPEN = {path.replace("^", "") for path in EVERYONE_OUTSIDE} | {API, f"{API}openapi.json"}  # as resolve() spells them


# --- the controls: what this could not see would mean nothing ------------------------------------------------
def planted(stage):
    """A form breaks on some texts."""
    check = forms.KitForm.is_valid

    def breaks(form):
        if not "".join(map(str, form.data.values())).isascii():
            raise ValueError("planted")
        return check(form)

    with mock.patch.object(forms.KitForm, "is_valid", breaks):
        found = sent_under_control(stage, 60, ("form",))
    return _caught("a form that breaks on some texts", [v for v in found.violations if "planted" in v])


def open_door(stage):
    """Nobody asks who somebody is nor what they may: each is enough to keep strangers out."""
    unasked = mock.patch.object(LoginRequiredMiddleware, "handle_no_permission", return_value=None)
    with unasked, mock.patch.object(AnonymousUser, "has_perm", return_value=True):
        found = sent_under_control(stage, 30, ("pages",), dict.fromkeys(OUTSIDE, 1))
    return _caught("no sign-in is asked for", found.violations)


def unguarded(stage):
    """Nothing is taken out of the log, and no card number is seen."""
    identity = mock.patch.object(logs, "scrub", lambda line, sent=(): line)
    blind = mock.patch.object(card_numbers, "_spans", return_value=())
    with identity, blind:
        found = sent_under_control(stage, 60, KINDS, search=True)
    return _caught("nothing is hidden from the log", [v for v in found.violations if "in the log" in v])


def sent_under_control(stage, requests, kinds, actors=None, search=False):
    found = Found()
    Batch(stage, found, random.Random(7), actors or SHARES).send(requests, kinds=kinds, search=search)
    return found


def _caught(what, violations):
    return [f"control, {what}: {len(violations)} found, {'caught' if violations else 'NOT CAUGHT'}"], not violations


CONTROLS = (planted, open_door, unguarded)


class Copies:
    """The drilled database as it was once the world was made, to begin every batch with. `databases` are the command's."""

    KEPT = "drill_world"

    def __init__(self, databases, label):
        self.databases, self.label = databases, label

    def keep(self):
        self._copy(self.label, self.KEPT)

    def put_back(self):
        audit.write_note(None)  # this machine notes seals that the copy has not made
        self._copy(self.KEPT, self.label)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        audit.write_note(None)
        connection.close()
        self.databases.drop(self.KEPT)

    def _copy(self, source, label):
        connection.close()
        self.databases.copy(source, label)
