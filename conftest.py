"""What every test may ask for: the cast, their signed-in clients, and a watched browser.

The cast is the same everywhere: alice is an admin, max a manager, sue works in customer service and rita
in reporting. `as_max` is max's client; `open_as(max, width=390, theme="dark")` is max's browser page.
"""

import gc
import os
import shutil
import tempfile
import time

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client, TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from whitenoise.middleware import WhiteNoiseMiddleware

from dashboard.tests import chromium, ready

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the browser's driver runs a loop in the thread that queries
CI = os.environ.get("CI", "").lower() in ("1", "true")

hypothesis_settings.register_profile(
    "here",
    deadline=None,  # a loaded machine is slow, not wrong
    derandomize=CI,  # the same examples for everybody who looks at a failed build
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
hypothesis_settings.load_profile("here")


# --- the run ------------------------------------------------------------------------------------


def pytest_configure(config):
    ready.begin_run()
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)


@pytest.hookimpl(trylast=True)  # when databases may be asked again
def pytest_unconfigure(config):
    """Drop what the run made, and the folder settings.py made for this process; a DATA_DIR that was given stays."""
    ready.end_run()
    if settings.DATA_DIR.is_relative_to(tempfile.gettempdir()) and settings.DATA_DIR.name.startswith("counterfoil-test-"):
        shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items):
    """Mark what opens a browser; a walk on which no money moves, as all outside billing, needs one kind of database."""
    for item in items:
        if {"open_as", "browser"} & set(item.fixturenames):
            item.add_marker("browser")
            if not item.nodeid.startswith("billing/"):
                item.add_marker("one_database")


def pytest_collection_finish():
    """What is there now stays to the end: no garbage collection need look at it again, and each takes a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """In CI a skipped test is a test that did not run: the build fails."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if CI and reporter and reporter.stats.get("skipped") and not exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if CI and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("CI=true: skipped tests count as failures. Run with -rs for the reasons.", red=True)


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_modify_db_settings, django_db_blocker):
    """The database of this test process, a copy of the one that was migrated for all of them."""
    with django_db_blocker.unblock():
        name = connection.creation._get_test_db_name()
        ready.copy_to(name)
        with ready.connected_to(name):
            yield
        ready.drop(name)


@pytest.fixture(scope="module")
def rows_for_this_file(django_db_setup, django_db_blocker):
    """What a file's own fixture of this scope writes stays until the file ends; each test works on top of it and is undone.

    Not for files with transactional tests or a live server, which would stand inside the file's transaction.
    """
    with django_db_blocker.unblock():
        block = transaction.atomic()
        block._from_testcase = True  # as Django's own test case does: the rules about transactions stay in force
        with block:
            yield
            transaction.set_rollback(True)


@pytest.fixture(scope="module")
def world_of_this_file(rows_for_this_file):
    """One record of each kind (dashboard.tests.routes), made once for all tests of a file; nothing of it stays."""
    from dashboard.models import User
    from dashboard.tests.routes import make_world

    return make_world(User.objects.create_user("maker@example.com", role="admin", name="Mia"))


@pytest.fixture(scope="module")
def ready_to_drill(django_db_setup, django_db_blocker):
    """A migrated database the drills of a file start from: to make its tables takes longer than most of them."""
    from billing.management.commands.drill import READY
    from dashboard.bench.databases import Databases

    databases = Databases()
    with django_db_blocker.unblock():
        databases.drop(READY)
        ready.copy_to(databases.name(READY))
        yield
        databases.drop(READY)
        databases.close()


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    """Counts of lists, that the sign-in is flooded, and IDs of a time a test travelled to outlive it in this process."""
    from dashboard import ids, throttle
    from dashboard.paging import counts

    counts.forget()
    throttle._flooded_until = 0.0
    if ids._last >> 48 > time.time_ns() // 1_000_000 + 1000:
        ids._last = 0


@pytest.fixture(scope="session", autouse=True)
def _static_files_are_looked_for_once():
    """Each client has its own middleware, and WhiteNoise's goes through all static files first: the same ones every time."""
    look, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def look_once(self):
        kind = (self.static_prefix, self.max_age, str(settings.STATICFILES_DIRS))
        if kind not in found:
            look(self)
            found[kind] = dict(self.files)
        self.files = dict(found[kind])

    WhiteNoiseMiddleware.add_files_from_finders = look_once
    yield
    WhiteNoiseMiddleware.add_files_from_finders = look


@pytest.fixture(scope="session", autouse=True)
def _emptying_passes_the_guards():
    """Between transactional tests Django empties all tables; append-only tables refuse that, so their guards rest."""
    from dashboard.tests import guards

    original = TransactionTestCase._fixture_teardown

    def teardown(self):
        with guards.resting():
            original(self)

    TransactionTestCase._fixture_teardown = teardown
    yield
    TransactionTestCase._fixture_teardown = original


# --- the cast -----------------------------------------------------------------------------------

PASSWORD = "correct horse battery"  # of everyone in the cast


def _staff(name, role):
    from dashboard.models import User

    return User.objects.create_user(f"{name.lower()}@example.com", PASSWORD, role=role, name=name)


def _client(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alice(db):
    return _staff("Alice", "admin")


@pytest.fixture
def max(db):
    return _staff("Max", "manager")


@pytest.fixture
def sue(db):
    return _staff("Sue", "support")


@pytest.fixture
def rita(db):
    return _staff("Rita", "reporting")


@pytest.fixture
def as_alice(alice):
    return _client(alice)


@pytest.fixture
def as_max(max):
    return _client(max)


@pytest.fixture
def as_sue(sue):
    return _client(sue)


@pytest.fixture
def as_rita(rita):
    return _client(rita)


# --- the browser --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def browser_type_launch_args():
    path = chromium.find() or pytest.skip("Chromium is not installed: browser tests did not run.")
    return {"executable_path": path, "args": chromium.FLAGS}


@pytest.fixture
def open_as(live_server, browser):
    """open_as(user=None, width=1440, height=900, theme="light", scripts=True) -> a page, signed in as user.

    Paths are relative: `page.goto("/customers/")`. The test fails if any page it opened wrote an error to the
    console (a CSP refusal is one) or raised in a script; a refused form's own 409 or 422 is not an error.
    """
    from django.core.cache import cache

    cache.clear()  # rate limits of an earlier test
    contexts, problems = [], []

    def open_page(user=None, *, width=1440, height=900, theme="light", scripts=True):
        context = browser.new_context(
            base_url=live_server.url,
            viewport={"width": width, "height": height},
            color_scheme=theme,
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        contexts.append(context)
        if user:
            context.add_cookies([_session_cookie(user, live_server.url)])
        page = context.new_page()
        page.set_default_timeout(30_000)  # a loaded machine is slow, not wrong
        page.problems = problems  # a test that provokes one looks at it here and takes it out
        _watch(page, problems)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, "The browser reported:\n" + "\n".join(problems)


def _session_cookie(user, url):
    name = settings.SESSION_COOKIE_NAME
    return {"name": name, "value": _client(user).cookies[name].value, "url": url}


def _watch(page, problems):
    def console(message):
        refused_form = "the server responded with a status of 4" in message.text and (
            "409" in message.text or "422" in message.text
        )
        if "Content Security Policy" in message.text or (message.type == "error" and not refused_form):
            problems.append(f"{page.url}: {message.text}")

    page.on("console", console)
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))


@pytest.fixture
def axe():
    """axe(page) fails the test when axe finds an accessibility violation on the page as it is now."""
    from axe_playwright_python.sync_playwright import Axe

    def check(page):
        page.wait_for_load_state()  # what was waited for may stand above what is still to come
        found = Axe().run(page).response["violations"]
        told = [f"{v['id']} ({v['impact']}): {v['help']}: " + "; ".join(n["html"] for n in v["nodes"][:5]) for v in found]
        assert not told, f"{page.url} has accessibility violations:\n" + "\n".join(told)

    return check


@pytest.fixture
def stopped_clock(monkeypatch):
    """For the limits no time passes in a test, however slow the machine is: no token comes back."""
    from dashboard import limits

    at = limits.now()
    monkeypatch.setattr(limits, "now", lambda: at)
