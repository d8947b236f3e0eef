"""The deployment page: its commands work, its files are well formed, and it knows every setting and no other."""

import ast
import os
import re
import shutil
import subprocess
import sys
import uuid

import pytest
from django.core.management import get_commands
from django.db import connection

from dashboard.settings import BASE_DIR

PAGE = BASE_DIR / "docs" / "deployment.md"
DEPLOY = BASE_DIR / "deploy"
READERS = ("env", "flag", "number", "days", "os.environ.get")
OUTSIDE = {"BACKUP_PASSPHRASE"}  # read by commands, not by settings.py


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def settings_read():
    """The names settings.py reads from the environment."""
    tree = ast.parse((BASE_DIR / "dashboard" / "settings.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) in READERS]
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}


def documented():
    """The names in the first column of the tables of settings."""
    rows = re.findall(r"^\| (`[^|]+) \|", (BASE_DIR / "README.md").read_text() + PAGE.read_text(), re.M)
    return {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}


def test_every_setting_is_documented_and_every_documented_one_exists():
    assert len(settings_read()) > 25
    assert settings_read() - documented() == set()
    assert documented() - settings_read() - OUTSIDE == set()


def test_the_example_of_settings_names_real_ones_and_is_a_live_installation(tmp_path):
    lines = [line for line in (DEPLOY / "counterfoil.env").read_text().splitlines() if line and not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)

    assert given.keys() <= settings_read() | OUTSIDE
    ended = manage("help", tmp_path, **given | {"DATA_DIR": str(tmp_path)})
    assert ended.returncode == 0, ended.stderr


def manage(command, folder, **settings):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DATA_DIR": str(folder), **settings}
    words = [sys.executable, "manage.py", *command.split()]
    return subprocess.run(words, cwd=BASE_DIR, env=environment, capture_output=True, text=True, timeout=300)


def test_every_command_on_the_page_exists():
    own = {"serve", "test", "lint", "lock", "help"}
    named = set(re.findall(r"\./run ([a-z_]+)", PAGE.read_text())) | set(
        re.findall(r"/run ([a-z_]+)", "".join(f.read_text() for f in DEPLOY.glob("*.service")))
    )

    assert {"backup", "restore", "verify", "reconcile", "serve"} <= named
    assert named <= set(get_commands()) | own


def test_the_files_it_names_exist_and_none_is_left_out():
    named = set(re.findall(r"deploy/([\w.-]+\.\w+|Caddyfile)", PAGE.read_text()))

    assert all((DEPLOY / name).exists() for name in named)
    assert {"Caddyfile", "nginx.conf", "counterfoil.env"} <= named


def test_the_commands_of_the_page_work_one_after_the_other(tmp_path):
    """On SQLite, in a folder of its own: what PostgreSQL does differently test_backups.py shows on both."""
    settings = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "DATA_DIR": str(tmp_path), "ADDR": "127.0.0.1:1", "SAMPLE": "0",
        "SITE_URL": "https://billing.example.com", "PROXIES": "1", "MAIL_URL": "smtp://mail.example.com",
        "MERCHANT_EMAIL": "billing@shop.test", "BACKUP_PASSPHRASE": "a passphrase of the test",
    }  # fmt: skip
    start = "import django; django.setup(); from dashboard import first_start; first_start.prepare(lambda sentence: None)"
    prepared = settings | {"DJANGO_SETTINGS_MODULE": "dashboard.settings", "PYTHONPATH": str(BASE_DIR)}
    subprocess.run([sys.executable, "-c", start], env=prepared, check=True, cwd=BASE_DIR)
    found = blocks("sh test")
    assert len(found) >= 5

    for block in found:
        script = block.replace("./run ", f"{sys.executable} manage.py ").replace("python3 ", f"{sys.executable} ")
        ended = subprocess.run(["sh", "-euc", script], cwd=BASE_DIR, env=settings, capture_output=True, text=True, timeout=300)
        assert ended.returncode == 0, block + ended.stdout + ended.stderr

    assert len(list((tmp_path / "backups").glob("*.backup"))) >= 1
    assert list(tmp_path.glob("*.before-restore-*"))


@pytest.mark.django_db(transaction=True)
def test_the_role_of_the_page_owns_its_database_and_nothing_more():
    if connection.vendor != "postgresql":
        return  # there are no roles
    name = f"deploy_{uuid.uuid4().hex[:8]}"
    (block,) = blocks("sql")
    statements = [part.strip() for part in block.replace("counterfoil", name).split(";") if part.strip()]
    with connection._nodb_cursor() as cursor:
        try:
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = %s", [name])
            assert cursor.fetchone() == (False, False, False)
            as_role(name)
        finally:
            cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            cursor.execute(f"DROP ROLE IF EXISTS {name}")


def as_role(name):
    import psycopg

    settings = connection.settings_dict
    about = {
        "host": settings["HOST"],
        "port": settings["PORT"],
        "dbname": name,
        "user": name,
        "password": "a-long-random-password",
    }
    with psycopg.connect(**about, autocommit=True) as session:
        session.execute("CREATE EXTENSION pg_trgm")
        session.execute("CREATE TABLE x (y int)")
        assert session.execute("SHOW statement_timeout").fetchone() == ("15min",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("CREATE DATABASE another")


def test_systemd_takes_the_units(tmp_path):
    """Where systemd is not installed its units are still read as the files of sections they are."""
    import configparser

    for unit in DEPLOY.glob("counterfoil*.*"):
        if unit.suffix == ".env":
            continue
        parser = configparser.RawConfigParser(strict=False)
        parser.optionxform = str
        parser.read_string(unit.read_text())
        assert {"Unit"} < set(parser.sections())
        (tmp_path / unit.name).write_text(unit.read_text().replace("/opt/counterfoil", str(BASE_DIR)))
    program = shutil.which("systemd-analyze")
    if program:
        units = [str(p) for p in tmp_path.iterdir()]
        ended = subprocess.run([program, "verify", "--man=no", *units], capture_output=True, text=True)
        about_ours = [line for line in ended.stderr.splitlines() if "counterfoil" in line and "postgresql" not in line]
        assert about_ours == []


def test_the_proxies_tell_where_a_request_comes_from_and_keep_no_links():
    nginx, caddy = (DEPLOY / "nginx.conf").read_text(), (DEPLOY / "Caddyfile").read_text()

    for text in (nginx, caddy):
        code = re.sub(r"#.*", "", text)
        assert code.count("{") == code.count("}") > 0
        assert "127.0.0.1:8000" in code
        assert re.search(r"X-Forwarded-For (\$remote_addr|\{remote_host\})", code)
        assert re.search(r"X-Forwarded-Proto (\$scheme|\{scheme\})", code)
        assert "proxy_add_x_forwarded_for" not in code
    statements = [line.strip() for line in re.sub(r"#.*", "", nginx).splitlines() if line.strip()]
    assert all(line.endswith((";", "{", "}")) for line in statements)
    assert "access_log off;" in nginx
    assert not re.search(r"^\s*log\b", re.sub(r"#.*", "", caddy), re.M)
