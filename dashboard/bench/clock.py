"""Measuring: medians of interleaved rounds, and how much memory something took."""

import gc
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def medians(cases, rounds):
    """{key: median milliseconds} of {key: function}. One round runs each once: what else the machine does hits all alike."""
    taken = {key: [] for key in cases}
    for run in cases.values():  # caches, plans and templates are warm: a page that was never opened is not what is compared
        run()
    for _ in range(rounds):
        for key, run in cases.items():
            taken[key].append(milliseconds(run))
    return {key: median(values) for key, values in taken.items()}


def milliseconds(run):
    """How long one call takes, without a garbage collection that happens to fall into it."""
    gc.collect()
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
