"""Processes for drills: fork one to be killed, or many to start at once. Each opens its own connection."""

import os
import signal
import sys
import traceback

from django.db import connection

from dashboard.states import DomainError

DID, REFUSED, BROKE = 0, 1, 2


def run_and_wait(work):
    """Run work() in a child. Returns True when it was killed, False when it came to its end; raises when it broke."""
    status = _wait(_fork(work))
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status) == signal.SIGKILL
    if os.WEXITSTATUS(status) == BROKE:
        raise RuntimeError("A child of the drill broke; its traceback stands above.")
    return False


def at_once(count, work):
    """Run work(0…count-1) in as many children that start together. Returns how many (did it, were refused, broke)."""
    gate, opener = os.pipe()
    children = [_fork(lambda n=n: (os.close(opener), os.read(gate, 1), work(n))) for n in range(count)]
    os.close(gate)
    os.close(opener)  # the gate's other end is gone: every child reads its end and goes
    codes = [os.waitstatus_to_exitcode(_wait(child)) for child in children]
    return codes.count(DID), codes.count(REFUSED), sum(c not in (DID, REFUSED) for c in codes)


def _fork(work):
    connection.close()  # a child must not speak on its parent's line
    sys.stdout.flush()
    sys.stderr.flush()
    if child := os.fork():
        return child
    code = BROKE
    try:
        work()
        code = DID
    except DomainError:
        code = REFUSED
    except BaseException:
        traceback.print_exc(limit=-4, chain=False)
    finally:
        connection.close()
        sys.stderr.flush()
        os._exit(code)


def _wait(child):
    return os.waitpid(child, 0)[1]


def die(*args, **kwargs):
    """kill -9, from within: nothing is caught, closed or flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function, *, before):
    """The function with a kill in front of it or behind it."""

    def deadly(*args, **kwargs):
        if not before:
            function(*args, **kwargs)
        die()

    return deadly
