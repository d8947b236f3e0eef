"""Measuring: medians of interleaved rounds, and how much memory something took."""

import gc
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def medians(cases, rounds, *, in_a_row=1):
    """{key: median milliseconds} of {key: function}. A round runs each in turn: what else the machine does hits all alike.

    in_a_row: how often before the next one's turn. More than once where one would leave the processor's caches without
    what another needs: two products do not serve page by page in turns.
    """
    taken = {key: [] for key in cases}
    for run in cases.values():  # caches, plans and templates are warm: a page that was never opened is not what is compared
        run()
    gc.collect()
    gc.freeze()  # what is there now stays: to look it through before each call takes longer than most calls
    for _ in range(rounds):
        for key, run in cases.items():
            taken[key] += [milliseconds(run) for _ in range(in_a_row)]
    return {key: median(values) for key, values in taken.items()}


def milliseconds(run, *, collecting=False):
    """How long one call takes, without a garbage collection that happens to fall into it.

    collecting: with those it sets off; of work that takes seconds they are a part.
    """
    gc.collect()
    if not collecting:
        gc.disable()
    try:
        start = time.perf_counter()
        run()
        return (time.perf_counter() - start) * 1000
    finally:
        gc.enable()


class Sql:
    """The time spent in the database: `with connection.execute_wrapper(sql): …`."""

    def __init__(self):
        self.ms = 0.0
        self.queries = 0

    def __call__(self, execute, sql, params, many, context):
        start = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.ms += (time.perf_counter() - start) * 1000
            self.queries += 1


@contextmanager
def memory():
    """Gives a list that holds, afterwards, how many MB the process needed beyond what it had; empty where Linux does not say."""
    found = []
    gc.collect()
    before = _reset_peak()
    yield found
    if before is not None:
        found.append(_status("VmHWM") - before)


def _reset_peak():
    try:
        _CLEAR.write_text("5")  # Linux: the peak starts again from what is in use now
        return _status("VmRSS")
    except OSError:
        return None


def _status(name):
    lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(lines[name].split()[0]) / 1024
