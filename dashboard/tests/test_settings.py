"""The environment goes in, checked values come out, and a bad one stops the start by name."""

import os
import re
import runpy
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from dashboard import checks
from dashboard.settings import BASE_DIR, write_secret

SETTINGS = str(BASE_DIR / "dashboard" / "settings.py")


@pytest.fixture
def load(monkeypatch, tmp_path):
    """load(NAME="value", …) reads settings.py as a start would, with only these settings in the environment."""

    def load(**environment):
        for name in set(os.environ) - {"PATH", "HOME"}:
            monkeypatch.delenv(name)
        for name, value in {"DATA_DIR": str(tmp_path), **environment}.items():
            monkeypatch.setenv(name, value)
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "pytest")  # settings relax under pytest, and these tests want them strict
            return runpy.run_path(SETTINGS)

    return load


BAD = {
    "ADDR": ["8000", "localhost", "127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1:8000/path"],
    "ADMIN_EMAIL": ["nobody"],
    "ALLOWED_HOSTS": ["*", "a.example.com,*"],
    "DATABASE_POOL": ["0", "many"],
    "DATABASE_URL": [
        "mysql://root@localhost/x",
        "nonsense",
        "postgres://",
        "sqlite:////no/such/folder/db",
        "postgres://h:port/n",
    ],
    "DEBUG": ["maybe"],
    "DEFAULT_COUNTRY": ["ZZ", "us", "USA"],
    "DEFAULT_CURRENCY": ["ZZZ", "usd", "XXX", "dollars"],
    "IMPORT_MAX_MB": ["-1", "1.5"],
    "LOG_FORMAT": ["xml"],
    "LOG_LEVEL": ["LOUD"],
    "MAIL_FROM": ["the shop"],
    "MAIL_URL": ["http://mail.example.com", "smtp://", "smtp://mail.example.com:port"],
    "MERCHANT_EMAIL": ["the shop"],
    "MERCHANT_NAME": ["x" * 101],
    "PROXIES": ["two", "-1"],
    "REQUIRE_SECOND_STEP": ["owner", "admin,", "admin;manager"],
    "SAMPLE": ["perhaps"],
    "SECRET_KEY": ["short", "a" * 60, "django-insecure-0123456789abcdefghijklmnopqrstuvwxyz"],
    "SESSION_IDLE_MINUTES": ["0", "an hour"],
    "SITE_URL": ["billing.example.com", "ftp://example.com", "https://", "http://example.com:port"],
    "STEP_UP_REFUND": ["-1", "a lot", "10.50"],
    "TIME_ZONE": ["Mars/Base", "../../etc/passwd", "/etc/localtime"],
    "WEB_THREADS": ["0"],
    "WEB_WORKERS": ["0", "²"],
    "SUBSCRIPTION_RETRY_DAYS": ["0,3", "three", "3,,5", "-1", "91", "3;5"],
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in BAD.items() for value in values])
def test_a_bad_value_stops_the_start_with_one_sentence_that_names_it(load, name, value):
    needed = {"DATABASE_URL": "postgres://localhost/x"} if name == "DATABASE_POOL" else {}

    with pytest.raises(SystemExit) as stopped:
        load(**needed, **{name: value})

    sentence = stopped.value.code
    assert sentence.startswith(f"{name} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_bad_value_ends_the_command_with_exit_code_1(tmp_path):
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), "TIME_ZONE": "Mars/Base"}

    ended = subprocess.run([sys.executable, "manage.py", "check"], cwd=BASE_DIR, env=environment, capture_output=True, text=True)

    assert (ended.returncode, ended.stderr) == (1, "TIME_ZONE is 'Mars/Base': use a name such as Asia/Manila.\n")


LIVE = {"SITE_URL": "https://billing.example.com", "MAIL_URL": "smtp://mail.example.com", "PROXIES": "1"}
UNFIT = [("DEBUG", "1"), ("MAIL_URL", "console:"), ("MAIL_URL", ""), ("ALLOWED_HOSTS", "*"), ("SECRET_KEY", "k" * 50)]


@pytest.mark.parametrize("name, value", UNFIT)
def test_a_live_installation_does_not_start_with_what_is_for_ones_own_machine_only(tmp_path, name, value):
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path), **LIVE}
    command = [sys.executable, "manage.py", "help"]

    sound = subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True)
    ended = subprocess.run(command, cwd=BASE_DIR, env=environment | {name: value}, capture_output=True, text=True)

    assert sound.returncode == 0, sound.stderr
    assert ended.returncode == 1
    assert re.fullmatch(rf"{name} [^\n]+\.\n", ended.stderr)
    assert "Traceback" not in ended.stderr


def test_only_the_web_server_has_statements_cut_off_after_ten_seconds(load, tmp_path, monkeypatch):
    """Not imports, backups, migrations and the worker; exports lift it for themselves."""
    monkeypatch.delitem(sys.modules, "dashboard.wsgi", raising=False)  # another test may have asked for it in this process
    postgres = {"DATABASE_URL": "postgres://nobody@localhost/none", "DATA_DIR": str(tmp_path)}
    ask = "import dashboard.wsgi, django.conf; print(django.conf.settings.DATABASES['default']['OPTIONS']['options'])"

    web = subprocess.run([sys.executable, "-c", ask], cwd=BASE_DIR, env=postgres, capture_output=True, text=True, check=True)
    other = load(**postgres)["DATABASES"]["default"]["OPTIONS"]["options"]

    assert web.stdout.strip() == f"{other} -c statement_timeout=10s"
    assert "lock_timeout=10s" in other


def test_a_live_installation_logs_json_with_a_line_for_each_request(load):
    live, own = load(**LIVE), load()

    assert (live["LOG_FORMAT"], live["LOG_LEVEL"]) == ("json", "INFO")
    assert (own["LOG_FORMAT"], own["LOG_LEVEL"]) == ("line", "WARNING")
    assert load(**LIVE, LOG_FORMAT="line")["LOGGING"]["handlers"]["console"]["formatter"] == "line"


@pytest.mark.parametrize("name", ["DATABASE_URL", "MAIL_URL"])
def test_a_bad_address_with_a_password_in_it_is_not_printed(load, name):
    with pytest.raises(SystemExit) as stopped:
        load(**{name: "nonsense://staff:hunter2@host/x"})

    assert "hunter2" not in stopped.value.code


def test_nothing_set_gives_a_private_installation_on_this_machine(load, tmp_path):
    found = load()

    assert found["DEBUG"] is False
    assert found["SITE_URL"] == "http://127.0.0.1:8000"
    assert found["ALLOWED_HOSTS"] == ["127.0.0.1", "localhost", "127.0.0.1", "[::1]"]
    assert found["DATABASES"]["default"]["NAME"] == str(tmp_path / "counterfoil.sqlite3")
    assert "synchronous=FULL" in found["DATABASES"]["default"]["OPTIONS"]["init_command"]
    assert found["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert found["PASSWORD_HASHERS"][0].endswith("TakesTurns")  # Argon2id
    assert found["TASKS"]["default"]["BACKEND"] == "django_tasks_db.DatabaseBackend"


def test_an_https_site_gets_host_bound_cookies_and_hsts(load):
    found = load(SITE_URL="https://billing.example.com/", MAIL_URL="smtp://mail.example.com")

    assert found["SITE_URL"] == "https://billing.example.com"
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://billing.example.com"]
    assert found["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert found["SESSION_COOKIE_SECURE"]
    assert found["SECURE_HSTS_SECONDS"] == 31536000


def test_a_server_for_the_whole_network_links_to_a_name_a_browser_can_open(load):
    assert load(ADDR="0.0.0.0:9000")["SITE_URL"] == "http://localhost:9000"
    assert load(ADDR="[::]:9000")["SITE_URL"] == "http://localhost:9000"


def test_postgresql_is_pooled_and_never_waits_for_a_lock_for_ever(load):
    found = load(DATABASE_URL="postgres://shop:secret@db.example.com:5433/counterfoil", DATABASE_POOL="3")["DATABASES"]["default"]

    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db.example.com", 5433, "counterfoil")
    assert found["OPTIONS"]["pool"]["max_size"] == 3
    assert "lock_timeout" in found["OPTIONS"]["options"]


def test_mail_goes_out_with_the_name_and_password_of_the_url(load):
    found = load(MAIL_URL="smtps://shop%40example.com:p%2Fw@mail.example.com", MERCHANT_NAME='Fish, "Chips" & Co')

    options = found["MAILERS"]["default"]["OPTIONS"]
    assert (options["host"], options["port"], options["username"], options["password"]) == (
        "mail.example.com",
        465,
        "shop@example.com",
        "p/w",
    )
    assert found["DEFAULT_FROM_EMAIL"] == "\"Fish, 'Chips' & Co\" <billing@example.com>"


def test_the_secret_key_is_made_once_and_only_its_owner_reads_it(load, tmp_path):
    first, second = load()["SECRET_KEY"], load()["SECRET_KEY"]

    assert first == second == (tmp_path / "secret_key").read_text()
    assert len(first) >= 50
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600


def test_many_first_starts_at_once_agree_on_one_key(tmp_path):
    path = tmp_path / "secret_key"

    def start(_):
        write_secret(path)
        return path.read_text()

    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(start, range(64)))

    assert len(keys) == 1
    assert os.listdir(tmp_path) == ["secret_key"]


def test_an_empty_key_file_stops_the_start(load, tmp_path):
    (tmp_path / "secret_key").write_text("")

    with pytest.raises(SystemExit, match=r"^SECRET_KEY is too short"):
        load()


def test_a_data_folder_that_cannot_be_made_stops_the_start(load, tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(SystemExit, match=r"^DATA_DIR is "):
        load(DATA_DIR=str(tmp_path / "file" / "data"))


# --- checks -------------------------------------------------------------------------------------


def warnings(**settings):
    with override_settings(**settings):
        return {found.id for found in run_checks(tags=[checks.INSTALLATION], databases=[])}


SOUND = {
    "SECURE": True,
    "SITE_URL": "https://billing.example.com",
    "DEBUG": False,
    "MAIL_URL": "smtp://mail.example.com",
    "PROXIES": 1,
    "MERCHANT_EMAIL": "billing@shop.example.net",
}


@pytest.mark.parametrize(
    "wrong, warning",
    [
        ({"PROXIES": 0}, "dashboard.W003"),
        ({"MERCHANT_EMAIL": "billing@example.com"}, "dashboard.W004"),
        ({"SECURE": False, "SITE_URL": "http://billing.example.com"}, "dashboard.W005"),
    ],
)
def test_a_public_site_is_told_its_risks_and_a_sound_one_has_none(wrong, warning):
    assert warnings(**SOUND) == set()
    assert warnings(**SOUND | wrong) == {warning}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "shop.localhost"])
def test_plain_http_on_ones_own_machine_is_no_risk(host):
    assert warnings(SECURE=False, SITE_URL=f"http://{host}:8000") == set()


def test_a_key_file_others_can_read_is_a_warning(tmp_path):
    key = Path(tmp_path, "secret_key")
    key.write_text("x" * 50)

    key.chmod(0o600)
    assert "dashboard.W006" not in warnings(**SOUND, DATA_DIR=tmp_path)
    key.chmod(0o640)
    assert "dashboard.W006" in warnings(**SOUND, DATA_DIR=tmp_path)


def test_a_superuser_role_is_a_risk_of_a_public_site(db, settings):
    from django.db import connection

    settings.SECURE = True
    found = {e.id for e in checks.check_modest_role(None, databases=["default"])}
    with connection.cursor() as cursor:
        query = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
        superuser = connection.vendor == "postgresql" and (cursor.execute(query), cursor.fetchone())[1] == (True,)

    assert found == ({"dashboard.W008"} if superuser else set())
    settings.SECURE = False
    assert checks.check_modest_role(None, databases=["default"]) == []


def test_a_sandbox_that_takes_live_payments_stops_the_start(monkeypatch):
    from dataclasses import replace

    from billing.gateways.sandbox.gateway import SandboxGateway

    assert "billing.E001" not in warnings(**SOUND)
    monkeypatch.setattr(SandboxGateway, "capabilities", replace(SandboxGateway.capabilities, livemode=True))

    assert "billing.E001" in warnings(**SOUND)


def test_a_postgresql_that_may_forget_payments_is_an_error_on_a_public_site(db, settings):
    from django.db import connection

    settings.SECURE = True
    found = {e.id for e in checks.check_durable_database(None, databases=["default"])}
    with connection.cursor() as cursor:
        forgets = connection.vendor == "postgresql" and (cursor.execute("SHOW fsync"), cursor.fetchone())[1] == ("off",)

    assert found == ({"dashboard.E001"} if forgets else set())


@pytest.mark.parametrize(
    "given, roles",
    [
        ({}, ()),
        ({"SITE_URL": "https://billing.example.com"}, ("admin", "manager")),
        ({"SITE_URL": "https://billing.example.com", "REQUIRE_SECOND_STEP": "none"}, ()),
        ({"REQUIRE_SECOND_STEP": "all"}, ("admin", "manager", "support", "reporting")),
        ({"REQUIRE_SECOND_STEP": "admin, Support"}, ("admin", "support")),
    ],
)
def test_a_second_step_is_required_of_admins_and_managers_once_the_dashboard_is_on_https(load, given, roles):
    assert load(**given, MAIL_URL="smtp://mail.example.com")["REQUIRE_SECOND_STEP"] == roles
