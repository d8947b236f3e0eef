"""Hot backups while others write, each restored into a fresh database and proved; and backups killed half-way.

Whatever was acknowledged before a backup began must be in it, and what it holds must add up. The control copies the
way one would without a backup: a plain copy of SQLite's file, PostgreSQL's tables dumped one after the other.
"""

import os
import random
import secrets
import shutil
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from django.db import DatabaseError, connection, connections

from billing.domain import refunds
from billing.drills.children import meanwhile
from billing.drills.kills import charge_once, drilled_customer
from billing.models import CustomerTotal, Payment, Refund
from dashboard.backups import BackupError
from dashboard.backups.databases import database_of, instead
from dashboard.backups.making import make_backup, stamp
from dashboard.backups.restoring import look_into, unpacked
from dashboard.management import proofs

WRITERS = 3
PASSPHRASE = "a passphrase of the drill"
TRIES = 5  # of the control: one caught proves that the drill can see it


def run(rounds):
    """Backups under load, kills, the control; yields ([sentences], violated)."""
    with working_folder() as folder:
        journal = folder / "journal"
        journal.touch()
        with meanwhile(WRITERS, lambda n: write(journal)):
            yield backed_up(rounds, folder, journal)
            yield killed(max(3, rounds // 5), folder)
            yield control(folder, journal)
    found = proofs.faults()
    yield [f"the database itself: {len(found)} faults", *found], bool(found)


@contextmanager
def working_folder():
    folder = Path(tempfile.mkdtemp(prefix="drill-backups-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def write(journal):
    """A new customer pays and gets a part back; then, and not before, the journal says so."""
    customer, form = drilled_customer(), secrets.token_hex(8)
    charge_once(customer, form)
    payment = Payment.objects.get(form_key=form)
    part = payment.amount // 2
    refund = refunds.create_refund(payment, amount=part, reason=Refund.Reason.REQUESTED, by=None, form_key=form)
    with open(journal, "a") as file:
        file.write(f"{payment.pk} {refund.pk}\n")
    time.sleep(0.01)


def acknowledged(journal):
    """Everything the writers were told is saved, up to now."""
    return {pk for line in journal.read_text().splitlines() for pk in line.split()}


# --- backups -----------------------------------------------------------------------------------------------
def backed_up(rounds, folder, journal):
    wrong, bytes_made, began = [], 0, len(acknowledged(journal))
    for n in range(rounds):
        before = acknowledged(journal)
        passphrase = PASSPHRASE if n % 2 else ""
        path, _manifest = make_backup(connections["default"], folder / f"{n}.backup", passphrase=passphrase)
        bytes_made += path.stat().st_size
        _manifest, found = look_into(connections["default"], path, passphrase=passphrase, check=_checking(before))
        wrong += [f"  backup {n + 1}: {fault}" for fault in found]
        path.unlink()
    wrote = len(acknowledged(journal)) - began
    if wrote < rounds:
        wrong.append(f"  Only {wrote} writes were acknowledged meanwhile: that is no load.")
    said = f"hot backups: {rounds} made and restored while {wrote} payments and refunds were written, {len(wrong)} faults"
    return [f"{said}, {bytes_made // rounds:,} bytes each", *wrong], bool(wrong)


def _checking(before):
    return lambda same_key: [*proofs.faults(same_key), *_missing(before)]


def _missing(before):
    """What was acknowledged and is not in the database that stands in for the default one."""
    here = set(Payment.objects.values_list("pk", flat=True)) | set(Refund.objects.values_list("pk", flat=True))
    lost = before - here
    return [f"{len(lost)} payments and refunds acknowledged before are not in it."] if lost else []


# --- kills -------------------------------------------------------------------------------------------------
def killed(rounds, folder):
    """kill -9 at a random moment of a backup: a whole one under its name, or none; and no draft once another was made."""
    place, chance, died, wrong = folder / "killed", random.Random(7), 0, []
    place.mkdir()
    began = time.monotonic()
    make_backup(connections["default"], place / "first.backup")
    took = time.monotonic() - began
    for n in range(rounds):
        moment = chance.uniform(0, 1.3 * took)
        if _killed_at(moment, place / f"{n}.backup"):
            died += 1
        else:
            took = min(took, moment)  # the first one was slower than others are: it began cold
        wrong += _halves(place)
    time.sleep(1.1)  # a draft that young might be somebody's
    make_backup(connections["default"], place / "last.backup")
    wrong += [f"  {left.name} was left behind." for left in place.iterdir() if left.suffix != ".backup"]
    whole = len(list(place.iterdir())) - 2
    if not died:
        wrong.append("  No backup was killed before it was done: that proves nothing.")
    return [f"killed backups: {died} of {rounds} killed, {whole} whole, {len(wrong)} halves or drafts left", *wrong], bool(wrong)


def _killed_at(moment, path):
    """Whether the backup was killed before it was done."""
    connection.close()
    child = os.fork()
    if not child:
        try:
            make_backup(connections["default"], path)
        finally:
            os._exit(0)
    time.sleep(moment)
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _halves(place):
    database, wrong = database_of(connections["default"]), []
    for path in place.glob("*.backup"):
        try:
            with unpacked(path, database, ""):
                pass
        except BackupError as error:
            wrong.append(f"  {path.name}: {error}")
    return wrong


# --- the control -------------------------------------------------------------------------------------------
def control(folder, journal):
    """Copies made without a backup's care: at least one must be caught."""
    copy = _copied_tables if connection.vendor == "postgresql" else _copied_file
    caught = sum(bool(copy(folder, acknowledged(journal))) for _ in range(TRIES))
    what = "tables dumped one after the other" if connection.vendor == "postgresql" else "a plain copy of the file"
    return [f"control, {what}: {caught} of {TRIES} are wrong, {'caught' if caught else 'NOT CAUGHT'}"], not caught


def _copied_file(folder, before):
    name = str(folder / "copy.sqlite3")
    shutil.copyfile(connection.settings_dict["NAME"], name)
    return _faults_of(name, before)


def _copied_tables(folder, before):
    """The totals' table is dumped a moment after the others."""
    database, table = database_of(connections["default"]), CustomerTotal._meta.db_table
    first, second = folder / "first.dump", folder / "second.dump"
    reach = database.reach(database.name)
    database.run("pg_dump", "--format=custom", f"--exclude-table-data={table}", f"--file={first}", reach)
    time.sleep(0.3)
    database.run("pg_dump", "--format=custom", "--data-only", f"--table={table}", f"--file={second}", reach)
    name = database.load(first, stamp())
    try:
        database.run("pg_restore", "--exit-on-error", f"--dbname={database.reach(name)}", str(second))
        return _faults_of(name, before)
    except BackupError as error:  # a total of a customer who is not there
        return [str(error)]
    finally:
        database.drop(name)


def _faults_of(name, before):
    with instead(connections["default"], name):
        try:
            return [*proofs.faults(), *_missing(before)]
        except DatabaseError as error:
            return [str(error)]
