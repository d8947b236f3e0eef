"""Personal data goes out of events, and the audit trail proves that nothing else did."""

from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction

from customers.tests.factories import make_customer
from dashboard import events, signing
from dashboard.append_only import REDACTABLE
from dashboard.audit_check import Check
from dashboard.models import Event, EventSeal, Redaction
from dashboard.redaction import redact_events
from dashboard.tests.test_audit import faults, seal_all, tamper

CANARY = "canary@secret.example"


@pytest.fixture(autouse=True)
def _own_note(tmp_path, settings):
    """The newest seal is noted in a folder of the test's own."""
    settings.DATA_DIR = tmp_path


def emptied(event):
    """The contents an event keeps: the names of the fields that changed."""
    return {name: ["", ""] for name in event.changes}, {}, ""


def note(customer, **data):
    with events.acting(ip="203.0.113.7", request_id="r1"):
        return events.record("customer.noted", customer, by=None, changes={"email": ["", CANARY]}, to=CANARY, **data)


def erase(customer, *, by, rewrite=emptied):
    """An erasure as customers does it: its event first, then all others about the customer."""
    with transaction.atomic():
        erasure = events.record("customer.erased", customer, by=by)
        return erasure, redact_events(Event.objects.filter(customer_id=customer.pk), rewrite, erasure=erasure)


def texts():
    return [str([getattr(e, n) for n in signing.COLUMNS]) for e in Event.objects.all()]


@pytest.fixture
def customer(alice):
    """A customer with three sealed events that hold a canary and one that is not sealed; a neighbour has one, too."""
    customer = make_customer(by=alice, email=CANARY)
    note(customer, n=1)
    note(customer, n=2)
    note(make_customer(by=alice), n=3)
    seal_all()
    note(customer, n=4)
    return customer


# --- what it does ---------------------------------------------------------------------------------------


def test_personal_data_goes_and_the_trail_stays_whole(customer, alice):
    before = {e.pk: e for e in Event.objects.all()}

    erasure, count = erase(customer, by=alice)

    assert count == 4
    assert [text for text in texts() if CANARY in text and customer.pk in text] == []
    assert len([text for text in texts() if CANARY in text]) == 1  # the neighbour's
    for event in Event.objects.filter(pk__in=before):
        kept = [n for n in signing.COLUMNS if n not in REDACTABLE]
        assert [getattr(event, n) for n in kept] == [getattr(before[event.pk], n) for n in kept]
    assert Event.objects.get(type="audit.redacted").data == {"count": 4}
    assert faults() == []
    assert seal_all() == 3  # what was not sealed yet: a redacted event, the erasure, and how many it redacted
    check = Check()
    assert list(check.faults()) == []
    assert (check.redacted, check.erasures) == (4, 1)
    assert set(Redaction.objects.values_list("erasure", flat=True)) == {erasure.pk}


def test_a_second_erasure_takes_what_is_left_and_no_more(customer, alice):
    erase(customer, by=alice, rewrite=lambda e: (*emptied(e)[:2], e.ip))
    assert erase(customer, by=alice)[1] == 3  # their addresses
    assert erase(customer, by=alice)[1] == 0
    seal_all()

    assert not Event.objects.filter(customer_id=customer.pk).exclude(ip="").exists()
    assert sorted(Redaction.objects.values_list("nth", flat=True)) == [1, 1, 1, 1, 2, 2, 2]
    check = Check()
    assert list(check.faults()) == []
    assert (check.redacted, check.erasures) == (4, 2)


def test_what_is_rewritten_in_place_counts_and_what_is_left_alone_does_not(customer, alice):
    def drop_to(event):
        if event.data.get("n") == 1:
            return None
        event.data.pop("to", None)
        return event.changes, event.data, event.ip

    assert erase(customer, by=alice, rewrite=drop_to)[1] == 2
    assert [e.data for e in Event.objects.filter(type="customer.noted", customer_id=customer.pk).order_by("pk")] == [
        {"n": 1, "to": CANARY}, {"n": 2}, {"n": 4},
    ]  # fmt: skip
    assert faults() == []


def test_many_events_are_redacted_a_batch_at_a_time(customer, alice, monkeypatch):
    monkeypatch.setattr("dashboard.redaction.AT_ONCE", 3)
    for n in range(5):
        note(customer, n=n)

    assert erase(customer, by=alice)[1] == 9
    assert faults() == []


def test_an_erasure_that_fails_leaves_all_as_it_was(customer, alice):
    before = texts()

    def fail(event):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        erase(customer, by=alice, rewrite=lambda e: emptied(e) if e.data.get("n") != 4 else fail(e))
    with pytest.raises(ValueError, match=r"customer\.noted erases nothing"):
        redact_events(Event.objects.all(), emptied, erasure=note(customer))

    assert texts()[:-1] == before
    assert not Redaction.objects.exists()


def test_a_new_secret_key_verifies_what_was_redacted_under_the_old_one(customer, alice, settings):
    erase(customer, by=alice)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another key of quite some length, made up"
    settings.SECRET_KEY_FALLBACKS = [old]

    assert faults() == []
    assert erase(customer, by=alice)[1] == 0  # the old signatures are still good
    note(customer)
    assert erase(customer, by=alice)[1] == 1
    seal_all()
    assert faults() == []
    settings.SECRET_KEY_FALLBACKS = []
    assert len([f for f in faults() if f.startswith("Redaction")]) == 4


def test_the_command_counts_what_was_redacted(customer, alice):
    erase(customer, by=alice)
    out = StringIO()
    call_command("verify_audit", stdout=out)

    assert "4 redacted by 1 erasure: personal data was taken out, nothing else was changed." in out.getvalue()


# --- what is found --------------------------------------------------------------------------------------


@pytest.fixture
def erased(customer, alice):
    """The customer erased, and all sealed; what their events were like before, to put it back."""
    before = list(Event.objects.filter(customer_id=customer.pk).order_by("pk").values("pk", *REDACTABLE))
    erase(customer, by=alice)
    seal_all()
    assert faults() == []
    return before


def put_back(event):
    """The content of an event from before, from a copy of the database."""
    from json import dumps

    tamper(
        "UPDATE dashboard_event SET changes = %s, data = %s, ip = %s, signature = %s WHERE id = %s",
        dumps(event["changes"]), dumps(event["data"]), event["ip"], event["signature"], event["pk"],
    )  # fmt: skip


def test_content_put_back_is_found(erased):
    put_back(erased[1])

    assert faults() == [f"Event {erased[1]['pk']} is not as it was redacted."]


def test_content_put_back_and_its_redaction_taken_away_is_found(erased):
    put_back(erased[1])
    tamper("DELETE FROM dashboard_redaction WHERE event_id = %s", erased[1]["pk"])

    erasure = Event.objects.get(type="customer.erased").pk
    assert faults() == [f"Erasure {erasure} redacted 4 events, and 3 redactions of it are there."]


def test_all_traces_of_an_erasure_taken_away_are_found_by_the_seals(erased):
    for event in erased:
        put_back(event)
    tamper("DELETE FROM dashboard_redaction")
    gone = list(Event.objects.filter(type__in=["customer.erased", "audit.redacted"]).order_by("pk").values_list("pk", flat=True))
    tamper("DELETE FROM dashboard_event WHERE type IN ('customer.erased', 'audit.redacted')")

    assert faults() == [f"Event {pk} is gone. It was under seal 2." for pk in gone]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM dashboard_redaction WHERE event_id = '{e}'", ["Seal 1 was made over other", "Erasure {x} redacted 4"]),
        ("UPDATE dashboard_redaction SET before = 'x' WHERE event_id = '{e}'", ["Redaction 1 of {e} was", "Seal 1 was made"]),
        ("UPDATE dashboard_redaction SET after = 'x' WHERE event_id = '{e}'", ["Redaction 1 of {e} was", "Event {e} is not as"]),
        ("UPDATE dashboard_redaction SET erasure = '{o}' WHERE event_id = '{e}'", ["Redaction 1 of {e} names", "Erasure {x} re"]),
        ("UPDATE dashboard_redaction SET nth = 2 WHERE event_id = '{e}'", ["Redaction 2 of {e} was", "Of the redactions of {e}"]),
        ("UPDATE dashboard_redaction SET event_id = '{o}' WHERE event_id = '{e}'", ["Redaction 1 of {o} was", "Event {o} is n"]),
        ("UPDATE dashboard_event SET type = 'customer.other' WHERE id = '{x}'", ["Event {x} was", "Redaction 1 of {e} names an"]),
        ("UPDATE dashboard_event SET data = '[1]' WHERE type = 'audit.redacted'", ["Erasure {x} redacted 0 events, and 4"]),
        ("UPDATE dashboard_event SET object_id = 'x' WHERE type = 'audit.redacted'", ["Redactions of erasure {x} are there"]),
        ("UPDATE dashboard_event SET ip = '192.0.2.1' WHERE id = '{e}'", ["Event {e} was changed"]),
        ("DELETE FROM dashboard_event WHERE id = '{e}'", ["Event {e} is gone. It was under seal 1.", "Event {e} is gone."]),
    ],
)  # fmt: skip
def test_a_redaction_somebody_changed_is_found(erased, change, told):
    about = {
        "e": erased[1]["pk"],
        "o": Event.objects.exclude(customer_id=Event.objects.get(pk=erased[0]["pk"]).customer_id).first().pk,
        "x": Event.objects.get(type="customer.erased").pk,
    }
    tamper(change.format(**about))

    found = faults()
    for sentence in told:
        assert any(f.startswith(sentence.format(**about)) for f in found), found


def test_somebody_without_the_key_cannot_redact_unseen(customer):
    """All the database asks for, put in by hand: the guards stand, and the change passes. The signatures do not."""
    erasure = events.record("customer.erased", customer, by=None)
    event = Event.objects.filter(type="customer.noted", customer_id=customer.pk).first()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO dashboard_redaction (id, event_id, nth, before, after, erasure, signature)"
            " VALUES ('red_1', %s, 1, %s, 'forged', %s, 'forged')",
            [event.pk, event.signature, erasure.pk],
        )
        cursor.execute("UPDATE dashboard_event SET signature = 'forged', ip = '' WHERE id = %s", [event.pk])

    assert faults() == [
        f"Event {event.pk} was changed, or was not written by this installation.",
        f"Redaction 1 of {event.pk} was changed, or was not made by this installation.",
        f"Redactions of erasure {erasure.pk} are there, and no event says how many.",
    ]


def test_erasing_is_no_way_to_make_good_what_somebody_changed(customer, alice):
    event = Event.objects.filter(type="customer.noted", customer_id=customer.pk).first()
    tamper("UPDATE dashboard_event SET actor = 'api' WHERE id = %s", event.pk)
    told = faults()

    assert erase(customer, by=alice)[1] == 4
    assert faults() == told
    event.refresh_from_db()
    assert CANARY not in str((event.changes, event.data))


# --- the guards -----------------------------------------------------------------------------------------


def columns():
    return [f.column for f in Event._meta.fields]


@pytest.mark.parametrize("column", ["", *columns()])
def test_the_database_lets_pass_what_a_redaction_sanctions_and_no_other_column(customer, column):
    """A redaction of one event is there: its own columns may change along with the signature, any other may not."""
    event = Event.objects.filter(customer_id=customer.pk).first()
    Redaction.objects.create(event_id=event.pk, nth=1, before=event.signature, after="new", erasure="", signature="")
    value = {"livemode": "NOT livemode", "by_id": "NULL", "created_at": "'2020-01-01 00:00:00+00:00'"}.get(column, "'1'")
    also = f", {column} = {value}" if column and column != "signature" else ""
    update = f"UPDATE dashboard_event SET signature = 'new'{also} WHERE id = %s"

    if column in ("", *REDACTABLE):
        change(update, event.pk)
        with pytest.raises(DatabaseError, match="append-only"):  # that was the one time
            change("UPDATE dashboard_event SET ip = '2' WHERE id = %s", event.pk)
    else:
        with pytest.raises(DatabaseError, match="append-only"):
            change(update, event.pk)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE dashboard_event SET signature = 'other' WHERE id = %s",
        "UPDATE dashboard_event SET ip = '' WHERE id = %s",
        "UPDATE dashboard_event SET signature = 'new' WHERE id <> %s",
        "DELETE FROM dashboard_event WHERE id = %s",
    ],
)
def test_a_redaction_is_no_licence_for_anything_else(customer, statement):
    event = Event.objects.filter(customer_id=customer.pk).first()
    Redaction.objects.create(event_id=event.pk, nth=1, before=event.signature, after="new", erasure="", signature="")

    with pytest.raises(DatabaseError, match="append-only"):
        change(statement, event.pk)


def change(statement, *params):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, params)


# --- two at once ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_erasures_and_sealing_at_once_keep_the_trail_whole(alice):
    customer = make_customer(by=alice)
    for n in range(40):
        note(customer, n=n)

    def run(work):
        try:
            return work()
        finally:
            connections.close_all()

    works = [lambda: erase(customer, by=None)[1]] * 2 + [seal_all] * 2
    with ThreadPoolExecutor(4) as pool:
        done = [one.result(timeout=300) for one in [pool.submit(run, work) for work in works]]
    while seal_all():
        pass

    assert sum(done[:2]) == 41  # each once, whoever came first
    check = Check()
    assert list(check.faults()) == []
    assert check.events == check.sealed == 44
    assert EventSeal.objects.count() >= 1
