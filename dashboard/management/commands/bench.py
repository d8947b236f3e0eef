"""Measures the product on made-up data and prints ratios. BENCHMARKS.md says what they mean."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard import first_start
from dashboard.bench import availability, data, details, exports, http, imports, lists, report, search
from dashboard.bench.databases import Databases

PARTS = {
    **{"list": lists, "details": details, "search": search, "api": http, "export": exports, "import": imports},
    "availability": availability,
}
EMPTY = "empty"


def sizes(text):
    """[10000, 1000000] from "10000,1000000", smallest first."""
    found = sorted({int(part.replace("_", "")) for part in text.split(",")})
    if found[0] < 100:
        raise ValueError(text)
    return found


def parts(text):
    found = text.split(",")
    if not set(found) <= set(PARTS):
        raise ValueError(text)
    return found


class Command(BaseCommand):
    help = "Measure lists, a customer's page, search, export and import on made-up customers, in databases of their own."
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("--rows", type=sizes, default="10000,100000", help="numbers of customers: 10000,1000000")
        parser.add_argument("--only", type=parts, default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
        parser.add_argument("--rounds", type=int, default=15, help="rounds a median is taken of")
        parser.add_argument("--import-rows", type=int, default=100_000, help="rows to import, at most as many as --rows")
        parser.add_argument("--seconds", type=float, default=20, help="how long each crowd of the availability part stays")
        parser.add_argument("--rebuild", action="store_true", help="make the data anew")
        parser.add_argument("--drop", action="store_true", help="drop the benchmark's databases and stop")
        parser.add_argument("--markdown", action="store_true", help="print a table for BENCHMARKS.md")

    def handle(self, *, rows, only, rounds, import_rows, seconds, rebuild, drop, markdown, **options):
        if settings.DEBUG:
            raise CommandError("DEBUG is on, and what it adds would be measured too. Unset DEBUG.")
        databases = Databases()
        databases.import_rows, databases.seconds = min(import_rows, rows[-1]), seconds
        try:
            if drop or rebuild:
                self.drop(databases)
            if not drop:
                self.prepare(databases, rows)
                self.measure(databases, rows, only, rounds, markdown)
        finally:
            databases.close()

    def drop(self, databases):
        for label in databases.labels():
            databases.drop(label)
            self.say(f"Dropped {databases.name(label)}.")

    def prepare(self, databases, rows):
        first_start.collect_files(self.say)
        if not databases.exists(EMPTY):
            databases.make(EMPTY, data.make_empty)
        self.migrate(databases, EMPTY)
        for size in rows:
            if not databases.exists(size):
                self.say(f"Making {size:,} customers in {databases.name(size)}.")
                databases.make(size, lambda size=size: data.fill(size, self.say), source=EMPTY)
            self.migrate(databases, size)

    def migrate(self, databases, label):
        """Bring a database an earlier version made up to date; `--rebuild` where that is not enough."""
        with databases.using(label):
            first_start.migrate(self.say)

    def measure(self, databases, rows, only, rounds, markdown):
        with databases.using(rows[-1]):
            machine = report.machine()
        lines = []
        for name in only:
            self.say(f"Measuring: {name}.")
            lines += PARTS[name].measure(databases, rows, rounds)
        table = report.as_markdown(lines) if markdown else report.as_text(lines)
        self.say("\n".join(["", *machine, "", table, "", report.note(lines, databases.postgres, rows[-1])]))

    def say(self, text):
        self.stdout.write(text)
        self.stdout.flush()
