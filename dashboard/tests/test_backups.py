"""Backups: whole or absent, private, readable by nobody else, and put in place only when they hold up."""

import gzip
import io
import json
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tarfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction
from psycopg import sql

from customers.tests.factories import make_customer
from dashboard.backups import BackupError, archive, postgres, sealed
from dashboard.backups.databases import database_of, instead
from dashboard.backups.making import key_mark, make_backup, stamp
from dashboard.backups.restoring import look_into, restore_backup
from dashboard.management import proofs
from dashboard.models import User
from dashboard.settings import BASE_DIR
from dashboard.tests.ready import copy_to

PASSPHRASE = "correct horse battery"


@pytest.fixture(scope="module")
def ready(django_db_setup, django_db_blocker, tmp_path_factory):
    """The name of a migrated, empty database to copy."""
    folder, configured = tmp_path_factory.mktemp("ready"), connections["default"]
    name = str(folder / "ready.sqlite3") if configured.vendor == "sqlite" else f"{configured.settings_dict['NAME']}_ready"
    with django_db_blocker.unblock():
        copy_to(name)
        yield name
        database_of(configured).drop(name)


@pytest.fixture
def shop(ready, db, tmp_path, settings):
    """A database of its own in the place of the configured one, with one user and three customers."""
    settings.DATA_DIR, settings.BIND = tmp_path, ("127.0.0.1", free_port())
    configured = connections["default"]
    name = tmp_path / "shop.sqlite3" if configured.vendor == "sqlite" else f"{configured.settings_dict['NAME']}_shop"
    shutil.copyfile(ready, name) if configured.vendor == "sqlite" else on_server(configured, name, ready)
    with instead(configured, name) as wrapper:
        User.objects.create_user("owner@example.com", "x", role="admin")
        fill(3)
        yield wrapper
    if configured.vendor == "postgresql":
        on_server(configured, name)


def on_server(configured, name, template=None):
    """Drop every database whose name begins so, and make one as a copy of another."""
    database = database_of(configured)
    with configured.cursor() as cursor:
        cursor.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [name])
        for (found,) in cursor.fetchall():
            database.drop(found)
    if template:
        database.on_server(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fill(count):
    for n in range(count):
        make_customer(first_name="Marta", last_name=f"Nr {n}")


def customers():
    from customers.models import Customer

    return Customer.objects.count()


def restore(path, **how):
    connections["default"].close()
    return restore_backup(connections["default"], path, check=proofs.faults, **how)


# --- making ------------------------------------------------------------------------------------------------


def test_a_backup_is_one_private_file_that_says_what_it_holds(shop, tmp_path):
    path, manifest = make_backup(shop)

    assert path.parent == tmp_path / "backups"
    assert os.listdir(path.parent) == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert manifest["rows"]["customers_customer"] == 3
    assert "dashboard.0001_initial" in manifest["migrations"]
    with tarfile.open(path) as tar:
        assert json.loads(tar.extractfile("manifest.json").read()) == manifest
        assert len(tar.getnames()) == 2


def test_it_does_not_hold_the_secret_key_unless_asked_to_and_encrypted(shop, tmp_path, settings):
    plain, _ = make_backup(shop, tmp_path / "a")
    with pytest.raises(BackupError, match="encrypted only"):
        make_backup(shop, tmp_path / "b", with_secret_key=True)
    _, manifest = make_backup(shop, tmp_path / "c", with_secret_key=True, passphrase=PASSPHRASE)

    assert settings.SECRET_KEY.encode() not in gzip.decompress(plain.read_bytes())
    assert "secret_key" in manifest["parts"]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name in "abc") == ["a", "c"]


def test_a_backup_is_never_written_over_and_its_folder_must_be_there(shop, tmp_path):
    (tmp_path / "there").write_text("mine")

    with pytest.raises(BackupError, match="exists already"):
        make_backup(shop, tmp_path / "there")
    with pytest.raises(BackupError, match="There is no folder"):
        make_backup(shop, tmp_path / "no" / "file")
    assert (tmp_path / "there").read_text() == "mine"


def test_keeping_a_few_removes_the_oldest_of_our_own_names_only(shop, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("counterfoil-20200101-000000-000.backup", "counterfoil-20210101-000000-000.backup", "notes.backup"):
        (folder / name).write_text("old")

    path, _ = make_backup(shop, folder, keep=2)

    assert sorted(os.listdir(folder)) == ["counterfoil-20210101-000000-000.backup", path.name, "notes.backup"]
    with pytest.raises(BackupError, match="None was removed"):
        make_backup(shop, folder / "named.backup", keep=1)
    assert len(os.listdir(folder)) == 4


def test_a_backup_that_cannot_be_made_leaves_nothing(shop, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_fill", full)
    with pytest.raises(BackupError, match="could not be made: No space left on device"):
        make_backup(shop, tmp_path / "x.backup")

    assert not [p for p in tmp_path.iterdir() if "backup" in p.name]


def test_what_a_killed_backup_left_is_cleared_up_and_what_another_works_in_is_not(shop, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    dead = folder / f"{archive.DRAFT}dead"
    with archive.draft_folder(folder) as alive:
        dead.mkdir()
        (dead / "database.sqlite3").touch()
        os.utime(dead, (1, 1))
        os.utime(alive, (1, 1))
        make_backup(shop, folder)

        assert not dead.exists()
        assert alive.exists()


def test_a_hot_backup_holds_one_moment_while_others_write(shop, tmp_path):
    """Two tables that always hold equally many rows: any other moment than one would show."""
    stop, wrote = threading.Event(), []
    with shop.cursor() as cursor:
        for table in "ab":
            cursor.execute(f"CREATE TABLE {table} (x text)")
            cursor.executemany(f"INSERT INTO {table} VALUES (%s)", [("x" * 500,)] * 5000)

    def writer():
        with instead(shop, shop.settings_dict["NAME"]):
            while not stop.is_set():
                with transaction.atomic(), connection.cursor() as cursor:
                    cursor.execute("INSERT INTO a VALUES ('1')")
                    cursor.execute("INSERT INTO b VALUES ('1')")
                wrote.append(1)

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        for n in range(3):
            while len(wrote) < 20 * (n + 1):
                time.sleep(0.01)
            before = len(wrote)
            _, manifest = make_backup(shop, tmp_path / f"{n}")
            assert manifest["rows"]["a"] == manifest["rows"]["b"] >= 5000 + before
            assert len(wrote) > before  # nobody had to wait for the backup
    finally:
        stop.set()
        thread.join()


# --- reading -----------------------------------------------------------------------------------------------


def test_any_altered_byte_of_an_encrypted_backup_is_noticed(tmp_path):
    part = tmp_path / "database.dump"
    part.write_bytes(os.urandom(3000))
    archive.write(tmp_path / "b", {"rows": {}}, {"database.dump": part}, passphrase=PASSPHRASE)
    whole = (tmp_path / "b").read_bytes()
    kdf_start = len(sealed.MAGIC)
    for at in [*range(kdf_start, kdf_start + 40, 13), len(whole) // 2, len(whole) - 1]:
        bad = bytearray(whole)
        bad[at] ^= 1
        if at == kdf_start:
            bad[at] = 200  # an absurd cost must not be paid
        with pytest.raises(BackupError):
            unpack(tmp_path, bytes(bad))
    for cut in (1, 20, 1000, len(whole) - 10):
        with pytest.raises(BackupError):
            unpack(tmp_path, whole[:-cut])
    with pytest.raises(BackupError):
        unpack(tmp_path, whole + b"more")
    assert unpack(tmp_path, whole)["format"] == 1


def unpack(tmp_path, data, passphrase=PASSPHRASE):
    folder = tmp_path / f"into-{time.monotonic_ns()}"
    folder.mkdir()
    (folder / "file").write_bytes(data)
    return archive.unpack(folder / "file", folder, passphrase=passphrase)


def test_chunks_cannot_be_cut_swapped_or_repeated(monkeypatch):
    monkeypatch.setattr(sealed, "CHUNK", 100)
    target = io.BytesIO()
    target.close = lambda: None
    data = os.urandom(450)
    with sealed.Sealing(target, PASSPHRASE) as file:
        file.write(data)
    whole = target.getvalue()
    head = len(sealed.MAGIC) + 1 + sealed.SALT + sealed.PREFIX + sealed.TAG
    chunks = [whole[i : i + 116] for i in range(head, len(whole), 116)]

    def read(chunks):
        return io.BufferedReader(sealed.Opening(io.BytesIO(whole[:head] + b"".join(chunks)), PASSPHRASE)).read()

    assert len(chunks) == 5
    assert read(chunks) == data
    for wrong in (chunks[:-1], chunks[1:], [chunks[1], chunks[0], *chunks[2:]], [chunks[0], *chunks], [*chunks, chunks[-1]], []):
        with pytest.raises(BackupError, match="damaged"):
            read(wrong)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"\x1f\x8b", b"\x1f\x8b" + b"\0" * 100, gzip.compress(b"no tar", mtime=0), b"SQLite format 3\0"]
)
def test_what_is_no_backup_is_refused_in_a_sentence(tmp_path, data):
    with pytest.raises(BackupError, match=r"^This .*\.$"):
        unpack(tmp_path, data)


def packed(members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for about, data in members:
            about = tarfile.TarInfo(about) if isinstance(about, str) else about
            about.size = len(data)
            tar.addfile(about, io.BytesIO(data))
    return out.getvalue()


def link(name, to):
    about = tarfile.TarInfo(name)
    about.type, about.linkname = tarfile.SYMTYPE, to
    return about


@pytest.mark.parametrize("name", ["../escaped", "/tmp/escaped", "other", "database.dump"])
def test_a_forged_archive_reaches_nothing_outside_its_folder(tmp_path, name):
    about = {"format": 1, "parts": {name: {"bytes": 4, "sha256": "0" * 64}}}
    members = [("manifest.json", json.dumps(about).encode()), (name, b"evil")]

    with pytest.raises(BackupError):
        unpack(tmp_path, packed(members))
    with pytest.raises(BackupError):
        unpack(tmp_path, packed([members[0], (link(name, "/etc/passwd"), b"")]))
    assert not list(tmp_path.glob("escaped*"))


# --- restoring ---------------------------------------------------------------------------------------------


def test_a_restore_brings_back_what_was_there_and_keeps_what_is(shop, tmp_path):
    path, _ = make_backup(shop, passphrase=PASSPHRASE)
    fill(2)

    with pytest.raises(BackupError, match="Add --yes to put"):
        restore(path, passphrase=PASSPHRASE)
    assert customers() == 5
    restored = restore(path, passphrase=PASSPHRASE, yes=True)

    assert customers() == 3
    with instead(shop, restored.kept):
        assert customers() == 5
    if shop.vendor == "sqlite":
        assert sorted(p.name for p in tmp_path.iterdir() if "shop" in p.name and not p.name.endswith(("-wal", "-shm"))) == [
            "shop.sqlite3",
            os.path.basename(restored.kept),
        ]
        assert stat.S_IMODE((tmp_path / "shop.sqlite3").stat().st_mode) == 0o600


def test_a_restore_ends_every_session(shop, client):
    client.force_login(User.objects.get())
    assert client.get("/customers/").status_code == 200
    path, _ = make_backup(shop)

    restore(path, yes=True)

    assert client.get("/customers/").status_code == 302


@pytest.mark.parametrize("how", ["cut", "altered", "other passphrase", "no passphrase", "newer", "other database", "missing"])
def test_a_backup_that_is_not_fit_touches_nothing(shop, tmp_path, how):
    passphrase = PASSPHRASE if "passphrase" in how else ""
    path, manifest = make_backup(shop, tmp_path / "b.backup", passphrase=passphrase)
    fill(1)
    data = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(data[:-100])
    if how == "altered":
        data[len(data) // 2] ^= 255
        path.write_bytes(data)
    if how in ("newer", "other database"):
        rewrite(tmp_path, path, {"newer": {"migrations": [*manifest["migrations"], "billing.9999_later"]},
                                 "other database": {"database": "oracle"}}[how])  # fmt: skip
    if how == "missing":
        path.unlink()
    before = sorted(p.name for p in tmp_path.iterdir())

    with pytest.raises(BackupError) as refused:
        restore(path, yes=True, passphrase={"other passphrase": "another one entirely"}.get(how, ""))

    assert str(refused.value).endswith(".")
    assert customers() == 4
    assert [n for n in sorted(p.name for p in tmp_path.iterdir()) if n != "start.lock" and "-" not in n[-4:]] == [
        n for n in before if "-" not in n[-4:]
    ]


def rewrite(tmp_path, path, changes):
    """The same backup with another manifest."""
    folder = tmp_path / "again"
    folder.mkdir()
    manifest = archive.unpack(path, folder)
    parts = {name: folder / name for name in manifest["parts"]}
    path.unlink()
    archive.write(path, manifest | changes, parts)
    shutil.rmtree(folder)


def test_a_backup_whose_rows_do_not_add_up_is_not_put_in_place(shop, tmp_path):
    from billing.models import CustomerTotal
    from customers.models import Customer

    CustomerTotal.objects.create(customer=Customer.objects.first(), currency="USD", collected=5, successful_payments=1)
    path, _ = make_backup(shop)
    CustomerTotal.objects.all().delete()

    with pytest.raises(BackupError, match=r"does not add up: cus_.* the total says 5"):
        restore(path, yes=True)

    assert not CustomerTotal.objects.exists()


def test_rows_that_are_not_those_of_the_manifest_are_noticed(shop, tmp_path):
    path, manifest = make_backup(shop, tmp_path / "b.backup")
    rewrite(tmp_path, path, {"rows": manifest["rows"] | {"customers_customer": 4}})

    with pytest.raises(BackupError, match="does not hold what the backup says"):
        restore(path, yes=True)


def test_a_restore_waits_for_nobody_and_refuses_while_the_dashboard_runs(shop, tmp_path, settings):
    path, _ = make_backup(shop)
    with socket.create_server(settings.BIND), pytest.raises(BackupError, match="Something answers at"):
        restore(path, yes=True)
    other = shop.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT 1 FROM dashboard_user")
        with pytest.raises(BackupError, match="Stop the dashboard and its worker"):
            restore(path, yes=True)
    other.close()
    assert customers() == 3


def test_an_empty_installation_takes_a_backup_without_asking(shop):
    path, _ = make_backup(shop)
    User.objects.all().delete()

    restore(path)

    assert User.objects.count() == 1


def test_a_backup_of_an_older_version_is_brought_up_to_date(shop, tmp_path):
    from django.db.migrations.recorder import MigrationRecorder

    call_command("migrate", "sessions", "zero", verbosity=0)
    path, manifest = make_backup(shop)
    assert "sessions.0001_initial" not in manifest["migrations"]
    call_command("migrate", verbosity=0)

    restore(path, yes=True)

    assert ("sessions", "0001_initial") in MigrationRecorder(connections["default"]).applied_migrations()


def test_the_secret_key_comes_along_only_when_asked_for(shop, tmp_path, settings, monkeypatch):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    path, _ = make_backup(shop, tmp_path / "b", passphrase=PASSPHRASE, with_secret_key=True)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "k" * 40 + "another0"
    (tmp_path / "secret_key").write_text(settings.SECRET_KEY)

    left = restore(path, passphrase=PASSPHRASE, yes=True)
    assert "is not the one the backup was made with" in left.notes[0]
    assert (tmp_path / "secret_key").read_text() == settings.SECRET_KEY
    taken = restore(path, passphrase=PASSPHRASE, yes=True, take_key=True)

    assert taken.notes == ["The backup's secret key is in place."]
    assert (tmp_path / "secret_key").read_text() == old
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert next(tmp_path.glob("secret_key.before-restore-*")).read_text() == settings.SECRET_KEY


def test_a_key_that_is_not_in_the_backup_or_would_not_be_used_is_refused(shop, tmp_path, monkeypatch):
    monkeypatch.delenv("SECRET_KEY", raising=False)
    without, _ = make_backup(shop, tmp_path / "a", passphrase=PASSPHRASE)
    with pytest.raises(BackupError, match="holds no secret key"):
        restore(without, passphrase=PASSPHRASE, yes=True, take_key=True)
    with_key, _ = make_backup(shop, tmp_path / "b", passphrase=PASSPHRASE, with_secret_key=True)
    monkeypatch.setenv("SECRET_KEY", "x" * 50)
    with pytest.raises(BackupError, match="SECRET_KEY is set in the environment"):
        restore(with_key, passphrase=PASSPHRASE, yes=True, take_key=True)


def test_a_role_that_may_make_no_database_restores_in_one_transaction_and_keeps_a_backup(shop, tmp_path, monkeypatch):
    if shop.vendor == "sqlite":
        return  # a file beside a file needs nobody's leave
    path, _ = make_backup(shop)
    fill(2)
    monkeypatch.setattr(postgres.Postgres, "may_make", lambda self: False)

    restored = restore(path, yes=True)

    assert customers() == 3
    assert look_into_again(shop, monkeypatch, restored.kept)["rows"]["customers_customer"] == 5


def look_into_again(shop, monkeypatch, path):
    monkeypatch.setattr(postgres.Postgres, "may_make", lambda self: True)
    connections["default"].close()
    return look_into(shop, path, check=proofs.faults)[0]


# --- looking into one --------------------------------------------------------------------------------------


def test_a_backup_is_proved_without_touching_anything(shop, tmp_path):
    path, _ = make_backup(shop)
    fill(1)

    manifest, faults = look_into(shop, path, check=proofs.faults)

    assert (manifest["rows"]["customers_customer"], faults, customers()) == (3, [], 4)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(archive.DRAFT)]


def test_the_configured_database_is_proved_and_a_fault_ends_with_1(shop, capsys):
    from customers.models import Customer

    call_command("verify")
    assert "No fault was found" in capsys.readouterr().out
    Customer.objects.update(next_billing_statement_sequence_number=3)

    with pytest.raises(CommandError, match="3 faults"):
        call_command("verify")
    assert "statement numbers should run from 1 to 2; there are 0" in capsys.readouterr().err


def test_a_damaged_file_is_found_and_not_backed_up(shop, tmp_path):
    if shop.vendor == "postgresql":
        return  # its pages are its server's; integrity reads every row of them
    shop.close()
    with closing(sqlite3.connect(shop.settings_dict["NAME"])) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'customers_customer'").fetchone()[0]
        size = db.execute("PRAGMA page_size").fetchone()[0]
    with open(shop.settings_dict["NAME"], "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 200)

    with pytest.raises(BackupError):
        make_backup(shop, tmp_path / "b.backup")
    assert not (tmp_path / "b.backup").exists()


def test_a_row_that_points_nowhere_is_found(shop):
    if shop.vendor == "postgresql":
        return  # it has no way to leave such a row
    shop.close()
    with closing(sqlite3.connect(shop.settings_dict["NAME"])) as db:
        db.execute("PRAGMA foreign_keys=OFF")
        db.execute("UPDATE customers_customer SET created_by_id = 'usr_000000000000000000000000'")
        db.commit()

    assert any("points to a row of dashboard_user" in fault for fault in proofs.faults())


def test_missing_migrations_are_a_fault_in_words(shop):
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder(connections["default"]).record_unapplied("billing", "0001_initial")

    assert proofs.faults() == ["1 migrations are not applied: start it once with ./run, then verify it again."]


# --- the commands and programs -----------------------------------------------------------------------------


def test_the_commands_speak_in_sentences(shop, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("BACKUP_PASSPHRASE", raising=False)
    with pytest.raises(CommandError, match="set BACKUP_PASSPHRASE"):
        call_command("backup", encrypt=True)
    monkeypatch.setenv("BACKUP_PASSPHRASE", "short")
    with pytest.raises(CommandError, match="too short"):
        call_command("backup", encrypt=True)
    monkeypatch.setenv("BACKUP_PASSPHRASE", PASSPHRASE)
    with pytest.raises(CommandError, match="--keep takes"):
        call_command("backup", keep=-1)

    call_command("backup", str(tmp_path / "b.backup"), encrypt=True)
    said = capsys.readouterr().out
    assert "does not hold the secret key" in said
    assert "SHA-256 " in said
    call_command("verify", str(tmp_path / "b.backup"))
    connections["default"].close()
    call_command("restore", str(tmp_path / "b.backup"), yes=True)
    said = capsys.readouterr().out
    assert "What was there before is kept: " in said
    assert "./run reconcile" in said


def test_a_client_older_than_the_server_and_none_at_all_are_told(monkeypatch, tmp_path):
    program = tmp_path / "pg_dump"
    program.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.2'\n")
    program.chmod(0o755)
    monkeypatch.setattr(postgres, "PLACES", (str(tmp_path),))
    monkeypatch.setenv("PATH", "/nowhere")

    assert postgres.find_program("pg_dump", 14) == str(program)
    with pytest.raises(BackupError, match="The server is PostgreSQL 15 and pg_dump here is 14"):
        postgres.find_program("pg_dump", 15)
    with pytest.raises(BackupError, match="pg_restore was not found"):
        postgres.find_program("pg_restore", 15)


def test_the_password_is_no_argument_of_a_program(shop, monkeypatch):
    if shop.vendor == "sqlite":
        return
    seen = {}

    def run(command, env, **_):
        seen.update(command=command, env=env)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(postgres, "find_program", lambda name, least: name)
    monkeypatch.setattr(postgres.subprocess, "run", run)
    shop.settings_dict["PASSWORD"] = "hunter2"
    database_of(shop).run("pg_dump", database_of(shop).reach("shop"))

    assert "hunter2" not in " ".join(seen["command"])
    assert seen["env"]["PGPASSWORD"] == "hunter2"


def test_the_mark_of_a_key_tells_two_apart_and_neither():
    assert key_mark("a" * 40) == key_mark("a" * 40) != key_mark("b" * 40)
    assert "a" * 8 not in key_mark("a" * 40)


def test_two_names_of_one_second_differ_and_sort_as_their_moments_do():
    moment = datetime(2025, 11, 22, 18, 9, 43, 7_000, UTC)
    assert stamp(moment) == "20251122-180943-007" < stamp(moment + timedelta(milliseconds=1)) < stamp()


def test_a_backup_by_command_line_works_on_its_own(shop, tmp_path):
    if shop.vendor == "postgresql":
        url = os.environ["DATABASE_URL"].rpartition("/")[0] + "/" + shop.settings_dict["NAME"]
    else:
        url = f"sqlite:///{shop.settings_dict['NAME']}"
    shop.close()
    environment = os.environ | {"DATABASE_URL": url, "DATA_DIR": str(tmp_path), "DEBUG": "1"}

    ended = subprocess.run([sys.executable, "manage.py", "backup"], env=environment, cwd=BASE_DIR, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr
    assert len(list((tmp_path / "backups").glob("counterfoil-*.backup"))) == 1
