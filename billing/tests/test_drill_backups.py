"""The backup drill's short form, and that it can fail. The long form: `./run drill backups --rounds 100`."""

import io
import re

import pytest
from django.core.management import CommandError, call_command

from billing.drills import backups
from billing.models import Payment

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("ready_to_drill"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),  # the test runner's own
]


def drill(rounds):
    out = io.StringIO()
    call_command("drill", "backups", rounds=rounds, stdout=out)
    return out.getvalue()


def test_backups_under_load_restore_and_add_up():
    said = drill(2)

    assert re.search(r"hot backups: 2 made and restored while \d+ payments and refunds were written, 0 faults", said)
    assert ", caught" in said
    assert "0 halves or drafts left" in said
    assert "no violations" in said
    assert not Payment.objects.exists()  # the configured database is not touched


def test_what_was_acknowledged_and_is_not_there_is_a_fault(tmp_path):
    (tmp_path / "journal").write_text("pay_1 ref_1\npay_2 ref_2\n")

    found = backups._missing(backups.acknowledged(tmp_path / "journal"))

    assert found == ["4 payments and refunds acknowledged before are not in it."]
    assert backups._missing(set()) == []


def test_a_fault_in_one_backup_or_too_little_load_is_a_violation(monkeypatch, tmp_path):
    def make(connection, path, **how):
        path.write_text("a backup")
        return path, {}

    journal = tmp_path / "journal"
    journal.touch()
    monkeypatch.setattr(backups, "make_backup", make)
    monkeypatch.setattr(backups, "look_into", lambda *_, **__: ({}, ["A total is wrong."]))

    lines, violated = backups.backed_up(1, tmp_path, journal)

    assert violated
    assert lines[1:] == ["  backup 1: A total is wrong.", "  Only 0 writes were acknowledged meanwhile: that is no load."]


def test_a_control_that_is_not_caught_is_a_violation(monkeypatch, tmp_path):
    (tmp_path / "journal").touch()
    for how, violated in ((["it is torn"], False), ([], True)):
        for copy in ("_copied_file", "_copied_tables"):
            monkeypatch.setattr(backups, copy, lambda folder, before, how=how: how)

        assert backups.control(tmp_path, tmp_path / "journal")[1] is violated


def test_a_violation_fails_the_drill(monkeypatch):
    monkeypatch.setattr(backups, "run", lambda rounds: iter([(["1 fault"], True)]))

    with pytest.raises(CommandError, match="1 violations"):
        drill(1)
