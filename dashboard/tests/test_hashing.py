"""Password hashing takes turns: a crowd at the sign-in gets neither all threads nor all cores and memory."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from dashboard import hashing
from dashboard.hashing import TakesTurns
from dashboard.limits import TooOften

pytestmark = pytest.mark.one_database
SALT = "sixteen-letters!"


class Quick(TakesTurns):
    time_cost, memory_cost = 1, 8  # a thousandth of the work: what is looked at here is turns


def test_hashes_cost_what_they_should_and_take_turns(settings):
    """Twice what OWASP asks of Argon2id with one lane: 46 MiB, and two passes for one."""
    assert (TakesTurns.time_cost, TakesTurns.memory_cost, TakesTurns.parallelism) == (2, 46 * 1024, 1)
    encoded = TakesTurns().encode("four quiet otters sing", SALT)
    assert encoded.startswith("argon2$argon2id$v=19$m=47104,t=2,p=1$")
    assert TakesTurns().verify("four quiet otters sing", encoded)
    assert not TakesTurns().verify("five quiet otters sing", encoded)


def test_what_django_hashed_is_read_and_hashed_anew_at_the_next_sign_in():
    class Djangos(Argon2PasswordHasher):
        memory_cost = 1024

    encoded = Djangos().encode("four quiet otters sing", SALT)

    assert TakesTurns().verify("four quiet otters sing", encoded)
    assert TakesTurns().must_update(encoded)


def test_one_hashes_one_waits_and_others_are_sent_away():
    begun, go_on = Event(), Event()

    class Held(Quick):
        def verify(self, password, encoded):
            with hashing.turn():
                begun.set()
                return go_on.wait(10)

    encoded = Quick().encode("four quiet otters sing", SALT)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(Held().verify, "x", encoded)
        assert begun.wait(10)
        second = pool.submit(Quick().verify, "four quiet otters sing", encoded)
        deadline = time.monotonic() + 10
        while hashing._places._value and time.monotonic() < deadline:
            time.sleep(0.01)
        with pytest.raises(TooOften):
            Quick().verify("four quiet otters sing", encoded)
        with pytest.raises(TooOften):
            Quick().encode("four quiet otters sing", SALT)
        assert not second.done()
        go_on.set()
        assert first.result(10)
        assert second.result(10)
    assert Quick().verify("four quiet otters sing", encoded)  # and the places are free again


def test_who_waits_too_long_is_sent_away_and_keeps_no_place(monkeypatch):
    monkeypatch.setattr(hashing, "PATIENCE", 0.05)

    with hashing.turn(), pytest.raises(TooOften), hashing.turn():
        pass
    with hashing.turn():
        pass


def test_a_wrong_hash_gives_its_turn_back():
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), hashing.turn():
            raise ZeroDivisionError
    with hashing.turn():
        pass
