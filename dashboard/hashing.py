"""Password hashing that takes turns: one at a time in each process, one more waits, others are asked to come again.

A hash is made to cost: a good part of a second of a core, and a hundred megabytes. A crowd at the sign-in would take
every thread and all memory from those who are signed in. The limits of the sign-in (throttle.py) come before this.
"""

from contextlib import contextmanager
from threading import BoundedSemaphore

from django.contrib.auth.hashers import Argon2PasswordHasher

from dashboard.limits import TooOften

PATIENCE = 5  # seconds the one who waits does so
_places, _turn = BoundedSemaphore(2), BoundedSemaphore(1)


@contextmanager
def turn():
    """A turn to hash. Raises TooOften when somebody waits already, or it takes too long."""
    if not _places.acquire(blocking=False):
        raise TooOften(2)
    try:
        if not _turn.acquire(timeout=PATIENCE):
            raise TooOften(2)
        try:
            yield
        finally:
            _turn.release()
    finally:
        _places.release()


class TakesTurns(Argon2PasswordHasher):
    """Django's Argon2id, on one core and with half the memory: twice what OWASP asks of one lane (46 MiB, one pass).

    A hash of Django's own settings takes all cores at once. Passwords hashed with those are hashed anew at the next
    sign-in, as whenever these numbers change.
    """

    time_cost, memory_cost, parallelism = 2, 46 * 1024, 1  # passes, KiB, lanes

    def encode(self, password, salt):
        with turn():
            return super().encode(password, salt)

    def verify(self, password, encoded):
        with turn():
            return super().verify(password, encoded)
