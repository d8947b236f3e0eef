"""From an unpacked copy to a dashboard that answers, however often it is started, killed or started twice."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from dashboard import first_start, processes
from dashboard.models import Event, User
from dashboard.settings import BASE_DIR
from dashboard.tests import both
from dashboard.tests.ready import copy_to, drop

PREPARE = """
import django; django.setup()
from dashboard import first_start
found = first_start.prepare(lambda sentence: None)
print("admin made" if found else "nothing to do")
"""
PATIENCE = 300  # seconds until what does not come counts as failed: far more than a slow machine needs
NOT_INHERITED = ("DATABASE_URL", "ADMIN_EMAIL", "ADMIN_PASSWORD", "SITE_URL", "ALLOWED_HOSTS")


@pytest.fixture
def empty_installation(tmp_path, django_db_setup, django_db_blocker):
    """The environment of a start with nothing there yet, on the database the suite runs on."""
    with an_installation(tmp_path, "first_start", django_db_blocker) as environment:
        yield environment


@pytest.fixture(scope="module")
def installation(tmp_path_factory, django_db_setup, django_db_blocker):
    """The environment of an installation whose first start is over."""
    folder = tmp_path_factory.mktemp("installation")
    with an_installation(folder, "later_start", django_db_blocker, make=copy_to) as environment:
        assert prepare(environment).communicate(timeout=PATIENCE)[0] == "admin made\n"
        yield environment


@contextmanager
def an_installation(folder, name, django_db_blocker, *, make=None):
    """The environment of one in `folder`; its database is made by make(name), else it is empty."""
    environment = {k: v for k, v in os.environ.items() if k not in NOT_INHERITED}
    environment |= {"DATA_DIR": str(folder), "SAMPLE": "0", "DJANGO_SETTINGS_MODULE": "dashboard.settings"}
    environment |= {"PYTHONPATH": str(BASE_DIR), "PYTHONDONTWRITEBYTECODE": ""}  # as ./run has it
    database = str(folder / "counterfoil.sqlite3")
    if connection.vendor == "postgresql":
        database = f"{name}_{os.getpid()}"
        environment["DATABASE_URL"] = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{database}"
    with django_db_blocker.unblock():
        (make or make_empty)(database)
    yield environment
    with django_db_blocker.unblock():
        drop(database)


def make_empty(database):
    """SQLite makes an empty one by opening it."""
    if connection.vendor == "postgresql":
        drop(database)
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {database}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prepare(environment):
    command = [sys.executable, "-c", PREPARE]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


class Served:
    """`manage.py serve` in a process of its own."""

    def __init__(self, environment):
        self.address = environment["ADDR"]
        self.log = Path(environment["DATA_DIR"], f"log-{time.monotonic_ns()}")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"], cwd=BASE_DIR, env=environment, stdout=log, stderr=log
            )

    @property
    def said(self):
        return self.log.read_text()

    def wait_until_it_answers(self):
        deadline = time.monotonic() + PATIENCE
        while "Counterfoil is at" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.1)
        return self

    def children(self):
        found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True).stdout
        return {
            ("web" if "gunicorn" in args else "worker"): int(pid)
            for pid, args in (line.split(None, 1) for line in found.splitlines())
        }

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@pytest.fixture
def serve():
    """serve(environment, NAME="value", …) starts the whole thing on a free port; it is ended with the test."""
    started = []

    def start(environment, **settings):
        started.append(Served(environment | {"ADDR": f"127.0.0.1:{free_port()}"} | settings))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.end(signal.SIGTERM)


def test_a_first_start_answers_and_shows_a_password_that_a_second_start_does_not_repeat(serve, empty_installation):
    first = serve(empty_installation).wait_until_it_answers()
    page = urllib.request.urlopen(f"http://{first.address}/accounts/login/", timeout=PATIENCE)

    assert page.status == 200
    assert set(first.children()) == {"web", "worker"}
    assert re.search(r"admin@example\.com\n  password  (\w{5}-){3}\w{5}\n", first.said)
    assert f"Counterfoil is at http://{first.address} " in first.said
    children = first.children()
    assert first.end() == 0
    assert first.said.endswith("Stopped.\n")
    assert not any(alive(pid) for pid in children.values())

    second = serve(empty_installation).wait_until_it_answers()

    assert second.said.endswith(f"Counterfoil is at http://{second.address} (Ctrl-C stops it)\n")
    assert not re.search("password|Preparing|Collecting|Loading", second.said)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("victim, name", [("web", "web server"), ("worker", "task worker")])
def test_when_one_of_the_two_processes_dies_the_other_is_stopped_and_the_start_fails(serve, installation, victim, name):
    served = serve(installation).wait_until_it_answers()
    children = served.children()

    os.kill(children[victim], signal.SIGKILL)

    assert served.process.wait(PATIENCE) == 1
    assert f"The {name} ended by itself" in served.said
    assert not any(alive(pid) for pid in children.values())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_killed_start_takes_its_processes_along_and_frees_the_port(serve, installation):
    first = serve(installation).wait_until_it_answers()

    first.end(signal.SIGKILL)

    deadline = time.monotonic() + PATIENCE
    while port_taken(first.address) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not port_taken(first.address)


def port_taken(address):
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_port_in_use_is_named_before_anything_is_touched(serve, empty_installation, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"

        served = serve(empty_installation, ADDR=address)

        assert served.process.wait(PATIENCE) == 1
    assert f"ADDR is {address}, where nothing can listen: Address already in use" in served.said
    assert not (tmp_path / "counterfoil.sqlite3").exists()


def test_a_database_that_is_not_there_is_named_and_a_stop_still_works(serve, empty_installation):
    served = serve(empty_installation, DATABASE_URL=f"postgres://nobody@127.0.0.1:{free_port()}/none")
    deadline = time.monotonic() + PATIENCE
    while "Waiting for the database" not in served.said and time.monotonic() < deadline:
        time.sleep(0.1)

    assert "Waiting for the database of DATABASE_URL: " in served.said
    assert "refused" in served.said
    assert served.end() == 0
    assert "Traceback" not in served.said


def test_ctrl_c_in_the_middle_of_a_first_start_ends_it_quietly(serve, empty_installation):
    served = serve(empty_installation)
    deadline = time.monotonic() + PATIENCE
    while "Preparing" not in served.said and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)

    assert served.end() == 0
    assert served.said.endswith("Stopped.\n")
    assert "Traceback" not in served.said
    assert "Counterfoil is at" not in served.said


LOST = """
import signal, types
from dashboard import processes

class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

processes.stop_on_signals()
last = Last()
del last  # what its end raises is dropped
print("lost", flush=True)
try:
    processes.wait_for_first_end({"web server": types.SimpleNamespace(poll=lambda: None)})
except processes.Stopped:
    print("heard")
"""


def test_a_signal_that_came_where_python_drops_exceptions_is_heard_at_the_next_step():
    done = subprocess.run([sys.executable, "-c", LOST], cwd=BASE_DIR, capture_output=True, text=True, timeout=60)

    assert (done.stdout.split(), done.stderr) == (["lost", "heard"], "")


def test_of_several_starts_at_once_exactly_one_makes_the_admin(empty_installation):
    starts = [prepare(empty_installation) for _ in range(3)]

    assert sorted(start.communicate(timeout=PATIENCE)[0] for start in starts) == ["admin made\n"] + ["nothing to do\n"] * 2


def test_a_first_start_killed_at_any_point_leaves_what_the_next_start_completes(empty_installation):
    killed = 0
    for after in (0.6, 1.0, 1.5):
        start = prepare(empty_installation)
        try:
            start.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            start.kill()
            start.communicate()
            killed += 1

    assert prepare(empty_installation).communicate(timeout=PATIENCE)[0] in ("admin made\n", "nothing to do\n")
    assert prepare(empty_installation).communicate(timeout=PATIENCE)[0] == "nothing to do\n"
    assert killed, "every start was over before it could be killed"


DYING = """
import os
from django.db.migrations.recorder import MigrationRecorder

record = MigrationRecorder.record_applied
MigrationRecorder.record_applied = lambda self, app, name: os._exit(9) if app == "{app}" else record(self, app, name)
"""


@pytest.mark.parametrize("app", ["admin", "customers", "billing"])
def test_a_first_start_killed_before_a_migration_is_noted_is_completed_by_the_next(empty_installation, app):
    """Django notes one whose foreign keys come last when its tables are there already."""
    killed = subprocess.run([sys.executable, "-c", DYING.format(app=app) + PREPARE], env=empty_installation, cwd=BASE_DIR)

    assert killed.returncode == 9
    assert prepare(empty_installation).communicate(timeout=PATIENCE)[0] == "admin made\n"


# --- the steps ----------------------------------------------------------------------------------


def nothing(sentence):
    pass


def test_the_first_admin_signs_in_with_the_password_shown(db, client, settings):
    settings.SAMPLE = False

    email, password = first_start.welcome(nothing)

    assert User.objects.get().role == "admin"
    client.post("/accounts/login/", {"login": email, "password": password})
    assert client.session.get("_auth_user_id") == User.objects.get().pk


def test_a_password_given_in_the_environment_is_used_and_not_shown(db, settings):
    settings.SAMPLE, settings.ADMIN_EMAIL, settings.ADMIN_PASSWORD = False, "Owner@Shop.example", "a long enough one"

    assert first_start.welcome(nothing) == ("owner@shop.example", None)
    assert User.objects.get().check_password("a long enough one")


def test_an_installation_with_a_user_gets_neither_admin_nor_sample(sue, settings, monkeypatch):
    monkeypatch.setattr(first_start, "call_command", lambda *_, **__: pytest.fail("loaded a sample"))

    assert first_start.welcome(nothing) is None
    assert User.objects.get() == sue


def test_a_sample_that_cannot_be_loaded_leaves_the_installation_empty(db, settings, monkeypatch):
    def demo(*_, **__):
        raise CommandError("broken")

    monkeypatch.setattr(first_start, "call_command", demo)
    settings.SAMPLE = True

    with pytest.raises(CommandError):
        first_start.welcome(nothing)

    assert not User.objects.exists()


def test_static_files_are_collected_again_only_when_one_changed(settings, tmp_path):
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "app.css").write_text("a{}")
    settings.DATA_DIR, settings.STATIC_ROOT, settings.STATICFILES_DIRS = tmp_path, tmp_path / "static", [ours]
    said = []

    first_start.collect_files(said.append)
    first_start.collect_files(said.append)
    assert len(said) == 1
    assert (tmp_path / "static" / "app.css").read_text() == "a{}"

    (ours / "app.css").write_text("b{color:red}")
    first_start.collect_files(said.append)
    assert len(said) == 2
    assert (tmp_path / "static" / "app.css").read_text() == "b{color:red}"


def test_no_two_first_passwords_are_alike():
    assert len({first_start.random_password() for _ in range(200)}) == 200


def test_the_web_server_opens_no_control_socket_and_uses_the_configured_size(settings):
    settings.WEB_WORKERS, settings.WEB_THREADS = 3, 7

    command = " ".join(processes.web_command(5))

    assert "--no-control-socket" in command
    assert "--bind fd://5" in command
    assert "--workers 3 --threads 7" in command


# --- both databases -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "results, ci, code",
    [
        ({"SQLite": 0, "PostgreSQL": 0}, True, 0),
        ({"SQLite": 1, "PostgreSQL": 0}, False, 1),
        ({"SQLite": 0, "PostgreSQL": 1}, False, 1),
        ({"SQLite": 0}, False, 0),
        ({"SQLite": 0}, True, 1),
        ({"SQLite": 2}, False, 1),
    ],
)
def test_the_suite_passes_only_when_every_database_it_must_run_on_passed(monkeypatch, capsys, results, ci, code):
    monkeypatch.setattr(both, "CI", ci)

    assert both.tell(results) == code
    assert ("NOT TESTED" in capsys.readouterr().err) == ("PostgreSQL" not in results)


@pytest.mark.parametrize(
    "arguments, chosen",
    [([], ["-m", "not one_database"]), (["billing", "-k", "void"], ["-m", "not one_database"]), (["-m", "browser"], [])],
)
def test_postgres_leaves_out_what_needs_one_database_unless_marks_are_chosen(arguments, chosen):
    assert both.second(arguments) == chosen


# --- what the other tests lean on ---------------------------------------------------------------


def test_a_page_that_breaks_the_content_policy_fails_its_test(open_as):
    page = open_as()
    page.goto("/accounts/login/")
    assert page.problems == []

    with page.expect_console_message():
        page.evaluate("document.body.setAttribute('style', 'color: red')")
    with page.expect_event("pageerror"):
        page.evaluate("setTimeout(() => { throw new Error('a broken script') })")

    found = "\n".join(page.problems)
    page.problems.clear()
    assert "Content Security Policy" in found
    assert "a broken script" in found


def test_a_picture_without_a_description_fails_the_accessibility_check(open_as, axe):
    page = open_as()
    page.goto("/accounts/login/")
    page.evaluate("document.body.append(document.createElement('img'))")

    with pytest.raises(AssertionError, match="image-alt"):
        axe(page)


def test_the_copy_the_tests_work_on_has_every_migration(db):
    executor = MigrationExecutor(connection)

    assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []


@pytest.mark.parametrize("time", ["first", "again, after all tables were emptied"])
def test_append_only_tables_refuse_changes_in_every_transactional_test(transactional_db, time):
    event = Event.objects.create(type="a", object_type="b", object_id="c", livemode=False, created_at=timezone.now())

    assert Event.objects.count() == 1
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        event.delete()
