"""What the benchmark says: one line for each goal, as a ratio beside its target."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import django
from django.db import connection

FULL_SIZE = 1_000_000
HEADINGS = ("Goal", "What", "Customers", "Target", "Reached", "", "How")


@dataclass(frozen=True)
class Line:
    """One measured ratio. `goal` is the row of the list of goals in BENCHMARKS.md; no limit, no verdict."""

    goal: str
    what: str
    size: str
    reached: float | None
    limit: float | None = None
    at_least: bool = False
    unit: str = "×"
    how: str = ""

    @property
    def met(self):
        if self.reached is None or self.limit is None:
            return None
        return self.reached >= self.limit if self.at_least else self.reached <= self.limit

    def cells(self):
        target = "" if self.limit is None else f"{'≥' if self.at_least else '≤'} {figure(self.limit)}{self.unit}"
        reached = "not measured" if self.reached is None else f"{figure(self.reached)}{self.unit}"
        return (self.goal, self.what, self.size, target, reached, {True: "ok", False: "MISSED", None: ""}[self.met], self.how)


def figure(number):
    """Three digits, no more: 1.04, 21.7, 254."""
    return f"{number:,.2f}" if abs(number) < 10 else f"{number:,.1f}" if abs(number) < 100 else f"{number:,.0f}"


def as_text(lines):
    """The lines as columns for a terminal."""
    table = [HEADINGS, *[line.cells() for line in lines]]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADINGS) - 1)]
    return "\n".join("  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in table)


def as_markdown(lines):
    """The lines as a table for BENCHMARKS.md."""
    rows = [HEADINGS, ("---",) * len(HEADINGS), *[line.cells() for line in lines]]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def note(lines, postgres, largest):
    """Whether the verdicts mean what they say."""
    missed = sum(line.met is False for line in lines)
    said = f"{missed} missed." if missed else "All targets met."
    if postgres and largest >= FULL_SIZE:
        return said
    return f"{said} The targets are set for {FULL_SIZE:,} customers on PostgreSQL: here the verdicts are for orientation."


def machine():
    """What it ran on, as lines of text."""
    load = " ".join(f"{n:.2f}" for n in os.getloadavg())
    return [
        f"{os.cpu_count()} × {_processor()}, {_memory()} memory, {platform.system()} {platform.release()}; load average {load}",
        f"Python {platform.python_version()}, Django {django.get_version()}, {_database()}",
    ]


def _processor():
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory():
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return f"{int(line.split()[1]) / 1024**2:.0f} GB"
    return "unknown"


def _lines(path):
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _database():
    connection.ensure_connection()
    if connection.vendor != "postgresql":
        return f"SQLite {connection.Database.sqlite_version} (WAL)"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name || ' ' || current_setting(name) FROM pg_settings WHERE name IN "
            "('shared_buffers', 'work_mem', 'random_page_cost', 'jit', 'fsync', 'max_parallel_workers_per_gather') ORDER BY name"
        )
        options = ", ".join(row[0] for row in cursor.fetchall())
    version = connection.pg_version
    return f"PostgreSQL {version // 10_000}.{version % 10_000} ({options})"
