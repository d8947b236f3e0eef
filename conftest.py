"""What every test may ask for: the cast, their signed-in clients, and a watched browser.

The cast is the same everywhere: alice is an admin, max a manager, sue works in customer service and rita
in reporting. `as_max` is max's client; `open_as(max, width=390, theme="dark")` is max's browser page.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from django.test import Client, TransactionTestCase
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the browser's driver runs a loop in the thread that queries
CI = os.environ.get("CI", "").lower() in ("1", "true")
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]

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
    from django.conf import settings

    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)


def pytest_unconfigure(config):
    """Drop the folder settings.py made for this process; a DATA_DIR that was given stays."""
    from django.conf import settings

    if settings.DATA_DIR.is_relative_to(tempfile.gettempdir()) and settings.DATA_DIR.name.startswith("counterfoil-test-"):
        shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


def pytest_collection_modifyitems(items):
    for item in items:
        if "open_as" in item.fixturenames or "browser" in item.fixturenames:
            item.add_marker("browser")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    """In CI a skipped test is a test that did not run: the build fails."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if CI and reporter and reporter.stats.get("skipped") and not exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    if CI and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("CI=true: skipped tests count as failures. Run with -rs for the reasons.", red=True)


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    """Counts of lists outlive a test in this process; its rows do not."""
    from dashboard.paging import counts

    counts.forget()


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


def _chromium():
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return CHROMIUM if Path(CHROMIUM).exists() else next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser_type_launch_args():
    path = _chromium() or pytest.skip("Chromium is not installed: browser tests did not run.")
    return {"executable_path": path, "args": CHROMIUM_FLAGS}


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
        page.set_default_timeout(15_000)
        page.problems = problems  # a test that provokes one looks at it here and takes it out
        _watch(page, problems)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems, "The browser reported:\n" + "\n".join(problems)


def _session_cookie(user, url):
    from django.conf import settings

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
        found = Axe().run(page).response["violations"]
        told = [f"{v['id']} ({v['impact']}): {v['help']}: " + "; ".join(n["html"] for n in v["nodes"][:5]) for v in found]
        assert not told, f"{page.url} has accessibility violations:\n" + "\n".join(told)

    return check


@pytest.fixture
def one_window(monkeypatch):
    """What payers do in a test counts as done in one window of every limit, however slow the machine is."""
    monkeypatch.setattr("billing.views.public.window", lambda seconds: 0)
