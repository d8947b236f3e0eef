"""The drills' short form, and that a violation fails them. The long forms: `./run drill kills --rounds 2000`."""

import asyncio
import io
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from billing.drills import children
from billing.management.commands import drill as command
from billing.models import Payment
from customers.models import Customer
from dashboard.bench.databases import Databases
from dashboard.states import DomainError

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("ready_to_drill"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),  # the test runner's own
]


def drill(name, rounds):
    out = io.StringIO()
    call_command("drill", name, rounds=rounds, stdout=out)
    return out.getvalue()


def test_nothing_is_lost_doubled_or_stuck_whenever_a_process_is_killed():
    said = drill("kills", 28)

    assert said.count("lost 0, double 0, phantom 0, stuck 0") == 3
    assert len(re.findall(r"^  [a-z ]+: [1-9]", said, re.M)) == 3 * 7  # every phase of each had its kills
    assert said.count(", caught") == 3
    assert "no violations" in said
    assert not Payment.objects.exists()
    assert not Customer.objects.exists()  # the configured database is not touched
    assert command.LABEL not in Databases().labels()


def test_only_so_many_win_a_race():
    said = drill("races", 1)

    assert "50 refunds of 30 %: 3 went through, 47 refused" in said
    assert "20 submits of one form: 1 charge, 1 payment" in said
    assert said.count(", caught") == 3


def test_the_mail_man_changes_nothing_by_order_number_or_forgery():
    said = drill("webhooks", 1000)

    assert "each twice: 1 end state" in said
    assert "1000 sent, 0 accepted, 0 kept; a true one accepted" in said


def test_nobody_gets_a_use_of_a_coupon_that_is_not_there():
    said = drill("coupons", 2)

    assert "8 at the last 3 uses: 3 went through, 5 refused, 0 broke" in said
    assert "8 at one customer's only use: 1 went through, 7 refused, 0 broke" in said
    assert said.count(", caught") == 2
    assert "ledger and coupons: 0 faults" in said


def test_a_violation_fails_the_drill(monkeypatch):
    monkeypatch.setitem(command.DRILLS, "kills", lambda rounds: iter([(["lost 1"], True)]))

    with pytest.raises(CommandError, match="1 violations"):
        drill("kills", 7)


def test_a_drill_in_which_a_phase_had_no_kills_proves_nothing(monkeypatch):
    monkeypatch.setattr(children, "dying", lambda function, before: function)

    with pytest.raises(CommandError):
        drill("kills", 7)


@pytest.mark.django_db(transaction=True)
def test_children_say_what_became_of_them(capfd):
    def work(n):
        if n == 1:
            raise DomainError("No.")
        if n == 2:
            raise ValueError("broken")

    assert children.at_once(4, work) == (2, 1, 1)
    assert "broken" in capfd.readouterr().err


def test_children_ask_the_database_of_their_parent_where_an_event_loop_runs(ready_to_drill):
    """Django keeps connections elsewhere in a thread that runs a loop, as a test process does once it opened a browser."""

    async def count():
        databases = Databases()
        with databases.using(command.READY) as drilled:
            found = children.at_once(2, lambda n: _ask_here(drilled.settings_dict["NAME"]))
        databases.close()
        return found

    with ThreadPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(lambda: asyncio.run(count())).result() == (2, 0, 0)


def _ask_here(name):
    assert connection.settings_dict["NAME"] == name
    assert not Customer.objects.exists()
