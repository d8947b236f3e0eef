"""The audit trail proves itself: what was changed, deleted or put in past the application is found."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

from customers.tests.factories import make_customer
from dashboard import audit, events, signing
from dashboard.audit_check import TABLES, Check
from dashboard.models import Event, EventSeal, Redaction, SealedEvent
from dashboard.tests import guards

LATER = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def _own_note(tmp_path, settings):
    """The newest seal is noted in a folder of the test's own."""
    settings.DATA_DIR = tmp_path


def seal_all():
    """Seal everything there is, as if ten minutes had passed."""
    return audit.seal_events(timezone.now() + LATER)


def faults(**options):
    return list(Check(**options).faults())


@pytest.fixture
def trail(alice):
    """Two seals: five events under the first, three under the second, and one event without."""
    customer = make_customer(by=alice)
    for n in range(4):
        events.record("customer.noted", customer, by=alice, changes={"score": [n, n + 1]}, why="because", ratio=1e22, half=0.5)
    seal_all()
    for _ in range(3):
        events.record("customer.noted", customer, by=None, amount=100)
    seal_all()
    events.record("customer.noted", customer, by=alice)
    connection.check_constraints()
    return customer


def tamper(statement, *params):
    """Somebody with the database alone: away with the guards, change, and the guards stand again."""
    connection.check_constraints()  # PostgreSQL alters no table while rows of this transaction wait for their checks
    with guards.resting(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)
        assert cursor.rowcount
        connection.check_constraints()
    assert faults_of_guards() == []


def faults_of_guards():
    return list(Check()._open_tables())


def sealed(sequence):
    return list(SealedEvent.objects.filter(seal_id=sequence).order_by("pk").values_list("pk", flat=True))


# --- what is there --------------------------------------------------------------------------------------


def test_a_trail_nobody_touched_is_whole(trail):
    check = Check()

    assert list(check.faults()) == []
    assert (check.events, check.sealed, check.seals) == (9, 8, 2)
    assert [s.count for s in EventSeal.objects.all()] == [5, 3]


def test_every_event_is_signed_however_it_was_written(alice):
    customers = [make_customer(by=alice) for _ in range(3)]
    events.record_many("customer.imported", customers, by=alice, file="a.csv")
    events.note("customers.exported", by=alice, livemode=True, columns=["id"])

    assert not Event.objects.filter(signature="").exists()
    assert faults() == []


def test_events_of_a_large_import_are_signed(max):
    """Sixty rows: more than are worth a COPY on PostgreSQL."""
    from dashboard.imports import bulk

    customer, about = make_customer(by=max), {"by": max, "at": timezone.now(), "data": {"file": "many.csv"}}
    with transaction.atomic():
        rows = [bulk.event("customer.updated", customer, changes={"name": ["", f"Ána {n}"]}, **about) for n in range(60)]
        bulk.insert(Event, rows)

    assert Event.objects.filter(type="customer.updated").count() == 60
    assert faults() == []


@pytest.mark.parametrize("data", [{}, {"origin": "import"}, {'Ä"\\': ["é\n", 1.0, 2.5, None], "": {"a": True}}])
def test_events_alike_are_signed_as_each_on_its_own_would_be(max, data):
    from dashboard.imports import bulk

    about = bulk.events_alike("customer.created", make_customer(by=max), by=max, at=timezone.now(), data=data)
    made = [about(f"cus_{n}", owner) for n, owner in enumerate(["cus_1", "", 'Ö"\\'])]

    assert [m["signature"] for m in made] == [signing.sign_event(m) for m in made]
    assert len({m["signature"] for m in made}) == 3


def test_young_events_are_not_sealed_yet(alice):
    make_customer(by=alice)

    assert audit.seal_events() == 0
    assert seal_all() == 1
    assert seal_all() == 0


def test_an_event_that_arrives_late_goes_under_the_next_seal(trail):
    first = Event.objects.order_by("pk").first()
    late = dict(Event.objects.filter(pk=first.pk).values(*signing.COLUMNS).get())
    late["id"] = first.pk[:-1] + ("1" if first.pk[-1] == "0" else "0")
    Event.objects.create(**late, signature=signing.sign_event(late))

    assert faults() == []
    assert seal_all() == 2  # the late one, and the one that had no seal yet
    assert late["id"] in sealed(3)
    assert faults() == []


def test_events_far_behind_are_looked_for_once_a_day(alice, trail):
    from django.core.cache import cache

    old = {**Event.objects.values(*signing.COLUMNS).first(), "id": "evt_0150" + "0" * 20}
    Event.objects.create(**old, signature=signing.sign_event(old))
    cache.set("audit:looked-everywhere", 1)
    seal_all()
    assert Check().behind == 1

    cache.delete("audit:looked-everywhere")
    seal_all()
    assert Check().behind == 0


def test_a_large_backlog_is_sealed_piece_by_piece(trail, monkeypatch):
    monkeypatch.setattr(audit, "MOST", 2)
    for _ in range(4):
        events.record("customer.noted", trail, by=None)

    assert seal_all() == 5
    assert [s.count for s in EventSeal.objects.filter(sequence__gt=2)] == [2, 2, 1]
    assert faults() == []


def test_a_new_secret_key_verifies_what_the_old_one_signed(trail, settings):
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another key of quite some length, made up"
    assert len(faults()) >= 9
    settings.SECRET_KEY_FALLBACKS = [old]

    assert faults() == []
    events.record("customer.noted", trail, by=None)
    seal_all()
    assert faults() == []


# --- what is found --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("type", "customer.other"), ("object_id", "cus_x"), ("customer_id", ""), ("by_id", None), ("actor", "api"),
        ("ip", "192.0.2.1"), ("request_id", "x"), ("changes", '{"score": [1, 3]}'), ("data", "[1]"), ("signature", ""),
        ("created_at", "2020-01-01 00:00:00+00:00"),
    ],
)  # fmt: skip
def test_a_changed_event_is_found_sealed_or_not(trail, column, value):
    for pk in (sealed(1)[1], Event.objects.latest().pk):
        tamper(f"UPDATE dashboard_event SET {column} = %s WHERE id = %s", value, pk)

        assert any(pk in sentence for sentence in faults())


def test_two_events_that_swap_their_ids_are_found(trail):
    one, two = sealed(1)[1:3]
    for before, after in ((one, "evt_x"), (two, one), ("evt_x", two)):
        tamper("UPDATE dashboard_event SET id = %s WHERE id = %s", after, before)

    assert [pk for pk in (one, two) if any(pk in s for s in faults())] == [one, two]


def test_a_deleted_event_is_found_and_named(trail):
    gone = sealed(1)[2]
    tamper("DELETE FROM dashboard_event WHERE id = %s", gone)

    assert faults() == [f"Event {gone} is gone. It was under seal 1."]


def test_a_deleted_event_whose_place_in_the_list_goes_too_is_found(trail):
    gone = sealed(1)[2]
    tamper("DELETE FROM dashboard_event WHERE id = %s", gone)
    tamper("DELETE FROM dashboard_sealedevent WHERE event_id = %s", gone)

    assert faults() == ["Seal 1 was made over 5 events, and its list has 4."]


def test_an_event_put_in_by_hand_is_found_whatever_moment_it_claims(trail):
    row = (
        "type, object_type, object_id, customer_id, livemode, by_id, actor, ip, request_id, changes, data, created_at, signature"
    )
    copied = f"INSERT INTO dashboard_event (id, {row}) SELECT %s, {row} FROM dashboard_event WHERE id = %s"
    for pk in ("evt_" + sealed(1)[0][4:-1] + "z", "evt_" + "f" * 24):
        tamper(copied, pk, sealed(1)[0])

        assert any(pk in sentence for sentence in faults())
    seal_all()  # a seal over it does not make it right
    assert any("evt_" + sealed(1)[0][4:-1] in sentence for sentence in faults())


def test_the_newest_seal_deleted_with_its_events_is_found_by_the_note(trail):
    gone = sealed(2)
    tamper("DELETE FROM dashboard_sealedevent WHERE seal_id = 2")
    tamper("DELETE FROM dashboard_eventseal WHERE sequence = 2")
    tamper(f"DELETE FROM dashboard_event WHERE id IN ({', '.join(['%s'] * len(gone))})", *gone)

    [sentence] = faults()
    assert sentence.startswith("Seal 2, which this machine noted when it was made, is not in the database.")
    assert faults(noted=False) == []  # a copy elsewhere has no note: that is what the printed digest is for
    seal_all()  # the next seal takes its number, and does not hide it
    assert len(faults()) == 1


def test_everything_deleted_is_found_by_the_note(trail):
    for table in ("sealedevent", "eventseal", "event"):
        tamper(f"DELETE FROM dashboard_{table}")

    assert len(faults()) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM dashboard_eventseal WHERE sequence = 1", ["Seal 1 is gone."]),
        ("UPDATE dashboard_eventseal SET count = 6 WHERE sequence = 1", ["Seal 1 was changed", "Seal 1 was made over 6 events"]),
        ("UPDATE dashboard_eventseal SET sealed_at = '2020-01-01 00:00:00+00:00' WHERE sequence = 1", ["Seal 1 was changed"]),
        ("UPDATE dashboard_eventseal SET digest = '' WHERE sequence = 1", ["Seal 1 was changed", "Seal 2 does not follow"]),
        ("UPDATE dashboard_eventseal SET events = 'x' WHERE sequence = 1", ["Seal 1 was changed", "Seal 1 was made over other"]),
        ("UPDATE dashboard_eventseal SET sequence = 3 WHERE sequence = 1", ["Seal 1 is gone", "Seal 3 was changed"]),
        ("UPDATE dashboard_sealedevent SET seal_id = 2 WHERE seal_id = 1", ["Seal 1 was made over 5", "Seal 2 was made over 3"]),
    ],
)
def test_a_seal_somebody_changed_is_found(trail, change, told):
    tamper(change)

    found = faults()
    for sentence in told:
        assert any(f.startswith(sentence) for f in found), found


def test_missing_guards_are_a_fault(trail):
    with guards.resting():
        assert len(faults_of_guards()) == len(TABLES)
    assert faults_of_guards() == []


# --- the guards -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("statement", ["UPDATE {t} SET {c} = {c}", "DELETE FROM {t}", "TRUNCATE {t} CASCADE"])
def test_the_database_refuses_to_change_the_trail(trail, table, statement):
    if "TRUNCATE" in statement and connection.vendor != "postgresql":
        statement = "DELETE FROM {t} WHERE 1"  # what SQLite has in its place
    column = {"eventseal": "count", "sealedevent": "seal_id", "redaction": "nth"}.get(table.removeprefix("dashboard_"), "type")
    Redaction.objects.create(event_id="evt_x", nth=1, before="a", after="b", erasure="evt_x", signature="")
    before = faults()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(t=table, c=column))

    assert faults() == before


# --- the note and the command ---------------------------------------------------------------------------


def test_the_newest_seal_is_noted_beside_the_secret_key(trail):
    said = json.loads(audit.note_path().read_text())

    assert (said["seal"], said["digest"]) == (2, EventSeal.objects.latest().digest)


def test_a_note_that_cannot_be_written_keeps_no_seal_from_being_made(trail, settings, caplog):
    settings.DATA_DIR = "/proc/nowhere"

    assert seal_all() == 1
    assert "could not be noted" in caplog.text


def test_the_command_prints_the_digest_to_keep(trail):
    out = StringIO()
    call_command("verify_audit", stdout=out)

    newest = EventSeal.objects.latest()
    assert "9 events, 8 of them under 2 seals." in out.getvalue()
    assert f"Newest seal: 2, of {newest.sealed_at:%Y-%m-%d %H:%M:%S} UTC, digest {newest.digest}." in out.getvalue()
    assert out.getvalue().endswith("The audit trail is whole.\n")


def test_the_command_ends_with_1_and_a_sentence_for_each_fault(trail):
    tamper("DELETE FROM dashboard_event WHERE id = %s", sealed(1)[2])
    out = StringIO()

    with pytest.raises(CommandError, match="The audit trail has 1 fault") as caught:
        call_command("verify_audit", stdout=out)

    assert caught.value.returncode == 1
    assert f"Event {sealed(1)[2]} is gone" in out.getvalue()


def test_a_restored_backup_is_accepted_by_hand_and_that_is_recorded(trail):
    audit.note_path().write_text(json.dumps({"seal": 7, "digest": "x"}))
    with pytest.raises(CommandError):
        call_command("verify_audit", stdout=StringIO())

    call_command("verify_audit", restored=True, stdout=StringIO())

    assert Event.objects.latest().type == "audit.restored"
    assert faults() == []


def test_an_empty_trail_is_whole(db):
    out = StringIO()
    call_command("verify_audit", stdout=out)

    assert "0 events" in out.getvalue()


def test_checking_asks_the_same_number_of_queries_however_long_the_trail(trail, django_assert_max_num_queries):
    for _ in range(30):
        events.record("customer.noted", trail, by=None)
    seal_all()

    with django_assert_max_num_queries(12):
        assert faults() == []


def test_the_minutes_work_seals(alice, monkeypatch):
    make_customer(by=alice)
    monkeypatch.setattr(audit, "HORIZON", timedelta(0))
    monkeypatch.setattr(timezone, "now", lambda now=timezone.now: now() + timedelta(seconds=1))
    out = StringIO()
    call_command("tick", stdout=out)

    assert "1 events sealed." in out.getvalue()


# --- many at once ---------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_eight_writers_and_two_sealers_at_once_lose_nothing(alice):
    customer = make_customer(by=alice)

    def write(_):
        try:
            for _ in range(10):
                with transaction.atomic():
                    events.record("customer.noted", customer, by=None)
                    events.record("customer.noted", customer, by=None)
        finally:
            connections.close_all()

    def seal(_):
        try:
            for _ in range(15):
                seal_all()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(10) as pool:
        done = [pool.submit(write, n) for n in range(8)] + [pool.submit(seal, n) for n in range(2)]
        for one in done:
            one.result(timeout=300)
    while seal_all():
        pass

    check = Check()
    assert list(check.faults()) == []
    assert check.events == check.sealed == 161
    assert EventSeal.objects.count() == EventSeal.objects.latest().sequence
