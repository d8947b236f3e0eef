"""Token buckets in the database: however many ask at once, nobody gets more than the bucket holds."""

import threading
import time

import pytest
from django.db import connection, transaction

from dashboard import limits
from dashboard.limits import Limit, TooOften

everything = pytest.mark.django_db(transaction=True)
SLOW = 1e-6  # tokens a second: none comes back while a test runs


def spent(limit, who, tries):
    """How many of so many tries got a token."""
    return sum(_got(limit, who) for _ in range(tries))


def _got(limit, who):
    try:
        limit.spend(who)
    except TooOften:
        return False
    return True


def at_once(work, count=8):
    """What `count` threads' work() returned, all begun together."""
    found, gate = [], threading.Barrier(count)

    def run():
        try:
            gate.wait()
            found.append(work())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == count
    return found


@pytest.mark.django_db
def test_a_bucket_holds_its_burst_and_fills_again(monkeypatch):
    limit, now = Limit("t", rate=2, burst=5), time.time()
    monkeypatch.setattr(limits, "now", lambda: now)
    assert spent(limit, "a", 8) == 5
    now += 1.5

    assert spent(limit, "a", 8) == 3
    now += 3600
    assert spent(limit, "a", 8) == 5  # never more than it holds


@pytest.mark.django_db
def test_a_clock_that_goes_back_gives_and_takes_nothing(monkeypatch):
    limit, now = Limit("t", rate=1, burst=3), time.time()
    monkeypatch.setattr(limits, "now", lambda: now)
    spent(limit, "a", 1)
    now -= 3600

    assert spent(limit, "a", 5) == 2


@pytest.mark.django_db
def test_each_has_a_bucket_of_their_own():
    one, other = Limit("one", rate=SLOW, burst=2), Limit("other", rate=SLOW, burst=2)

    assert [spent(one, "a", 3), spent(one, "b", 3), spent(other, "a", 3)] == [2, 2, 2]


@pytest.mark.django_db
def test_who_is_refused_is_told_how_long_to_wait():
    limit = Limit("t", rate=0.1, burst=1)
    limit.spend("a")

    with pytest.raises(TooOften, match="Wait 10 seconds") as refusal:
        limit.spend("a")
    assert refusal.value.seconds == 10


@pytest.mark.django_db
@pytest.mark.parametrize("share", [1, 4])
def test_two_processes_share_a_bucket(share):
    """Each has its own Limit object, as each process has; what they take at a time is never more than there is."""
    first, second = (Limit("t", rate=SLOW, burst=10, share=share) for _ in range(2))
    found = [spent(limit, "a", 1) for _ in range(20) for limit in (first, second)]

    assert sum(found) == 10


@pytest.mark.django_db
def test_a_process_takes_several_tokens_at_a_time(django_assert_num_queries):
    limit = Limit("t", rate=SLOW, burst=100, share=10)
    limit.spend("a")
    with django_assert_num_queries(0):
        assert spent(limit, "a", 9) == 9
    limit.forget()

    assert spent(limit, "a", 200) == 90


@everything
def test_eight_at_once_never_spend_more_than_the_burst():
    limit = Limit("t", rate=SLOW, burst=20)

    assert sum(at_once(lambda: spent(limit, "a", 10))) == 20


@everything
def test_the_control_without_its_condition_spends_more(monkeypatch):
    """What the test above relies on: the same statement without its WHERE gives to everybody."""
    monkeypatch.setattr(limits, "_TAKE", limits._TAKE.partition("    WHERE")[0] + " RETURNING %s, %s, %s, %s, %s")
    monkeypatch.setattr(Limit, "_take", _take_without_condition)

    assert sum(at_once(lambda: spent(Limit("t", rate=SLOW, burst=20), "a", 10))) > 20


def _take_without_condition(self, name, count):
    now, most = time.time(), self.burst
    sql = limits._TAKE.partition(" RETURNING")[0].format(**limits._WORDS[connection.vendor])
    with connection.cursor() as cursor:
        cursor.execute(sql, [name, most - count, now, now, most, now, self.rate, count])
    return True


@everything
def test_a_token_is_spent_even_if_the_request_fails():
    limit = Limit("t", rate=SLOW, burst=1)
    limit.spend("a")
    with pytest.raises(TooOften), transaction.atomic():
        limit.spend("a")

    assert spent(limit, "a", 1) == 0
