"""Processes for drills: fork one to be killed, or many to start at once. Each opens its own connection."""

import os
import select
import signal
import sys
import traceback
from contextlib import contextmanager

from django.db import connections

from dashboard.first_start import let_go_of_database
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


@contextmanager
def meanwhile(count, work):
    """While the block runs, count children do work(n) again and again. Raises when one of them broke."""
    gate, opener = os.pipe()
    children = [_fork(lambda n=n: (os.close(opener), _until_open(gate, work, n))) for n in range(count)]
    os.close(gate)
    try:
        yield
    finally:
        os.close(opener)  # the gate's other end is gone: every child sees its end and stops
        broke = [child for child in children if os.waitstatus_to_exitcode(_wait(child)) != DID]
    if broke:
        raise RuntimeError("A child of the drill broke; its traceback stands above.")


def _until_open(gate, work, n):
    while not select.select([gate], [], [], 0)[0]:
        work(n)


def _fork(work):
    ours = connections["default"]
    let_go_of_database()  # a child must not speak on its parent's line, nor on one of a pool
    sys.stdout.flush()
    sys.stderr.flush()
    if child := os.fork():
        return child
    code = BROKE
    connections["default"] = ours  # said again: Django looks elsewhere for it in a thread that runs an event loop, as ours may
    try:
        work()
        code = DID
    except DomainError:
        code = REFUSED
    except BaseException:
        traceback.print_exc(limit=-4, chain=False)
    finally:
        ours.close()
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
