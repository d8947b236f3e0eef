"""The erasure drill's short form, and that it can fail. The long form: `./run drill erasure --rounds 300`."""

import io
import re

import pytest
from django.core.management import CommandError, call_command

from billing.drills import erasure
from billing.drills.people import Someone
from customers.models import Customer
from customers.tests.factories import make_customer
from dashboard import events

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("ready_to_drill")]


def drill(rounds):
    out = io.StringIO()
    call_command("drill", "erasure", rounds=rounds, stdout=out)
    return out.getvalue()


def test_who_is_erased_is_found_nowhere_but_in_what_the_law_keeps():
    said = drill(7)

    assert int(re.search(r"seeded: 2 customers, (\d+) canaries put in (\d+) places, found in (\d+) tables", said)[1]) > 200
    assert int(re.search(r"canaries put in (\d+) places", said)[1]) > 80
    assert re.search(r"searched: \d\d canaries kept by law, all in customers_keptrecord; \d{3} of the others' all there", said)
    assert re.search(r"looked for: \d+ searches of people, 8 links, 0 wrong", said)
    assert "audit trail and ledger: 0 faults" in said
    assert len(re.findall(r"control, without .*: \d+ found, caught", said)) == 2
    assert "no violations" in said
    assert not Customer.objects.exists()  # the configured database is not touched


def test_what_is_left_is_a_violation():
    who = Someone(None)
    gone, kept, other = (who.canary(f"billing.Payment.{name}") for name in ("description", "billing_name", "metadata"))
    who.kept = {kept}
    there = {gone: {"billing_payment"}, kept: {erasure.KEPT}, other: {erasure.KEPT}}

    assert sorted(erasure.left_of([who], there)) == [
        "  billing.Payment.description is still in billing_payment.",
        "  billing.Payment.metadata is still in customers_keptrecord.",
    ]
    assert list(erasure.left_of([who], {kept: {erasure.KEPT}})) == []
    assert list(erasure.left_of([who], {kept: {erasure.KEPT, "billing_payment"}})) != []


def test_a_canary_is_found_in_any_column_of_any_table(alice):
    word, other = Someone(None).canary("anywhere"), Someone(None).canary("in JSON")
    make_customer(by=alice, description=f"Says {word.upper()}.")
    events.note("customers.exported", by=alice, livemode=False, filters={"q": [other]})

    assert erasure.canaries() == {word: {"customers_customer"}, other: {"dashboard_event"}}


def test_a_violation_fails_the_drill(monkeypatch):
    monkeypatch.setattr(erasure, "run", lambda *_, **__: iter([(["1 canary left"], True)]))

    with pytest.raises(CommandError, match="1 violations"):
        drill(7)
