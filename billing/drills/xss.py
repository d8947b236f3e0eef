"""Sixty hostile texts in every text field of every record, past the forms and through them; then every page, mail and file.

On no page, in no mail and in no file may a text become anything but text. Each page is read by a parser of its own and
compared with the same page of harmless texts; with Chromium at hand, that looks at the pages as well.
"""

import logging
from collections import Counter
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

from django.core.cache import cache
from django.db import transaction
from django.template import engines
from django.test import override_settings

from billing.drills import xss_browser
from billing.drills.fuzz import as_served
from billing.drills.poison import poison
from billing.drills.xss_forms import ask_api, look_at_mails, send_forms
from billing.drills.xss_strings import HARMLESS, STRINGS, TOGETHER
from billing.drills.xss_walk import WALKERS, compare, told, walk
from dashboard import export, health, stepup, tables
from dashboard.paging import counts
from dashboard.tests.actors import make_actors, make_cast
from dashboard.tests.routes import make_world, undone

BRIEFLY = ("admin", "reporting", "payer")  # who sees the most, who sees it masked, who is outside
COMPARED = (  # pages that show the most texts: the short form compares these
    *("customers/<id:pk>/", "billing/statements/<id:pk>/", "billing/payments/<id:pk>/", "billing/payment-requests/<id:pk>/"),
    *("customers/", "billing/payments/", "billing/statements/", "activity/", "outbox/<id:pk>/", "overview/"),
)
CONTROLLED = ("customers/<id:pk>/", "customers/", "billing/payments/")
DAY = timedelta(days=1)
SHOWN = 25  # faults that are printed of a part


def run(rounds):
    """The four texts that hold all dangers together; then, if more than one round is asked for, the sixty of them in turns."""
    pages = []
    with stage() as world:
        yield from brief(world, pages)
        if rounds > 1:
            yield from whole(world, min(rounds, len(STRINGS)))
        yield from controls(world)
    yield in_chromium(pages)


@contextmanager
def stage():
    """The cast and a record of every kind, in a transaction that is undone; as in a test, code may wait for its end."""
    atom = transaction.atomic()
    atom._from_testcase = True  # what refuses to run in a transaction does not mind a test's
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # refusals by the hundred
    try:
        with as_served(), ageless(), override_settings(DEBUG=False), atom:  # the error pages that people see
            cache.clear()
            cast = make_cast()
            world = make_world(cast["admin"])
            clients = make_actors(world, cast, raise_request_exception=False)
            try:
                yield SimpleNamespace(records=world, clients=clients, admin=cast["admin"])
            finally:
                transaction.set_rollback(True)
    finally:
        logging.disable(disabled)


@contextmanager
def ageless():
    """However long the drill goes on, no sign-in turns stale and no mail late: pages would say so, and differ."""
    with mock.patch.object(stepup, "FRESH", DAY.total_seconds()), mock.patch.object(health, "LATE", DAY):
        yield


def brief(world, keep=None):
    """The four texts: rows, forms, API and mails. `keep` takes the answers that are pages, for a browser."""
    plain = pages_of(world, HARMLESS, (), {"admin": COMPARED, "payer": None})
    found = Found(plain)
    with poisoned(TOGETHER, 0) as done:
        found.note(done)
        for actor in BRIEFLY:
            found.look(walk(actor, world.clients[actor], world.records, TOGETHER[0]), keep)
        found.look(look_at_mails(world.admin.email), keep)
        found.look(ask_api(world.records, TOGETHER[0], world.admin))
    yield found.lines("rows"), found.violated(300)
    found = Found({})
    found.look(send_forms("admin", world.clients["admin"], world.records, TOGETHER[0]))
    found.look(send_forms("payer", world.clients["payer"], world.records, TOGETHER[0]))
    yield found.lines("forms"), found.violated(20) or found.answers[302] < 15


def whole(world, rounds):
    """All texts: as many rounds as are asked for, everybody in each. In sixty, every field has had every text."""
    plain = pages_of(world, HARMLESS, WALKERS, {})
    for shift in range(rounds):
        found, text = Found(plain), STRINGS[shift]
        with poisoned(STRINGS, shift) as done:
            found.note(done)
            for actor in WALKERS:
                found.look(walk(actor, world.clients[actor], world.records, text))
            found.look(look_at_mails(world.admin.email))
        for actor in ("admin", "payer"):
            found.look(send_forms(actor, world.clients[actor], world.records, text))
        found.look(ask_api(world.records, text, world.admin))
        yield found.lines(f"text {shift + 1} of {rounds}"), found.violated(300)


def in_chromium(pages):
    """The pages of the four texts in a real browser. It asks for nothing new, so the world may be gone."""
    if not xss_browser.installed():
        return ["Chromium: not here, or not the package that drives it. Its part was skipped."], False
    with xss_browser.browser() as browser:
        opened, wrong = xss_browser.open_all(browser, seen(pages))
    lines = [f"Chromium: {opened} pages opened, {len(wrong)} faults", *(f"  {fault}" for fault in wrong[:SHOWN])]
    return lines, bool(wrong) or opened < 150


def seen(pages):
    """What is worth a browser's time: each page once, as the first who may see it does, and the mails."""
    first = {}
    for answer in pages:
        actor, _, name = answer.name.partition(" ")
        if not name.startswith("help/") and not name.endswith(" filtered"):
            first.setdefault(answer.name if actor == "mail" else name, answer)
    return list(first.values())


@contextmanager
def poisoned(strings, shift):
    """Rows with these texts, until the block ends. Gives poison's account."""
    with undone():
        done = poison(strings, shift)
        counts.forget()
        yield done


def pages_of(world, strings, actors, some):
    """{name: answer} of a world of harmless texts, to compare with: of whole walks, and of some paths."""
    with poisoned(strings, 0):
        walks = {**dict.fromkeys(actors), **some}
        return {
            answer.name: answer
            for actor, paths in walks.items()
            for answer in walk(actor, world.clients[actor], world.records, strings[0], paths=paths)
        }


class Found:
    """What came of looking at answers."""

    def __init__(self, plain):
        self.plain, self.answers, self.kinds, self.faults, self.done, self.compared = plain, Counter(), Counter(), [], "", 0

    def note(self, done):
        number, written, left, refused = done
        self.done = f"{number} text fields, {written} values written (not in {left} fields of our own words"
        self.done += f", {len(refused)} the database guards); " if refused else "); "

    def look(self, answers, keep=None):
        for answer in answers:
            self.answers[answer.status] += 1
            self.kinds[answer.kind] += 1
            if answer.name in self.plain:
                self.compared += 1
                answer.faults += compare(answer, self.plain[answer.name])
            self.faults += [f"  {answer.name}: {fault}" for fault in answer.faults]
            if keep is not None:
                keep.append(answer)

    def lines(self, what):
        """The sentences of a part."""
        statuses = told(self.answers.elements())
        return [
            f"{what}: {self.done}{self.answers.total()} answers ({statuses}), {self.compared} compared with harmless ones, "
            f"{len(self.faults)} faults",
            *self.faults[:SHOWN],
        ]

    def violated(self, least):
        """Whether anything was wrong, or so little was looked at that nothing could be."""
        return bool(self.faults) or self.answers[200] < least


# --- controls ----------------------------------------------------------------------------------------------
def controls(world):
    """Escaping switched off, a column that forgets it, a file without its guard: each must be caught."""
    for name, off in CONTROLS.items():
        found = Found({})
        with poisoned(TOGETHER, 0), off():
            found.look(walk("admin", world.clients["admin"], world.records, TOGETHER[0], paths=CONTROLLED))
        caught = len(found.faults)
        said = f"{caught} faults in {found.answers.total()} answers, {'caught' if caught else 'NOT CAUGHT'}"
        yield [f"control, {name}: {said}"], not caught


def templates_unescaped():
    return mock.patch.object(engines["django"].engine, "autoescape", False)


def column_unescaped():
    return mock.patch.object(tables, "escaped", str)


@contextmanager
def files_unguarded():
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(export._SQL, text=export._SQL["code"]))
        stack.enter_context(mock.patch.dict(export._FORMAT, text=export._FORMAT["code"]))
        yield


CONTROLS = {
    "templates that do not escape": templates_unescaped,
    "a column that does not escape": column_unescaped,
    "a file without its guard": files_unguarded,
}
