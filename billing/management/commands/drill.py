"""Proves on the configured kind of database that money survives kills, races and a hostile mail-man."""

import shutil
from time import monotonic

from django.core.management.base import BaseCommand, CommandError

from billing import gateways
from billing.drills import backups, controls, coupons, erasure, fuzz, kills, races, webhooks, xss
from billing.drills.bank import SLUG, FileBank
from dashboard import first_start
from dashboard.bench.databases import Databases

LABEL, READY = "drill", "drill_ready"  # an empty database that is migrated already saves the time, where there is one
LEAST = 7  # rounds: one for each phase


class Command(BaseCommand):
    help = "Kill, race or misdeliver, in a database of its own beside the configured one; fails on any violation."
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("drill", choices=sorted(DRILLS))
        parser.add_argument("--rounds", type=int, default=300, help="rounds of the main part (300)")
        parser.add_argument("--processes", type=int, default=8, help="hands at once on a coupon (8)")
        parser.add_argument("--seed", type=int, default=fuzz.SEED_OF_CHANCE, help="of the fuzz: another one, other requests")

    def handle(self, *, drill, rounds, processes=8, seed=fuzz.SEED_OF_CHANCE, **options):
        databases, began = Databases(), monotonic()
        gateways.GATEWAYS[SLUG] = "billing.drills.bank.FileBank"
        databases.copy(READY if databases.exists(READY) else None, LABEL)
        try:
            with databases.using(LABEL) as drilled:
                wait_longer(drilled)
                first_start.migrate(lambda sentence: None)
                faults = sum(self.tell(part) for part in _parts(drill, rounds, processes, seed, databases))
        finally:
            databases.drop(LABEL)
            databases.close()
            gateways.GATEWAYS.pop(SLUG, None)
        self.stdout.write(f"{drill}: {monotonic() - began:.0f} s, {faults or 'no'} violations.")
        if faults:
            raise CommandError(f"The drill found {faults} violations.")

    def tell(self, part):
        """Print a part's lines as it ends; True when it was violated."""
        lines, violated = part
        for line in lines:
            self.stdout.write(line)
        self.stdout.flush()
        return violated


def wait_longer(drilled):
    """Fifty hands on one row of a busy machine: each one's turn comes, though later than a person would wait for it."""
    options = drilled.settings_dict["OPTIONS"]
    if drilled.vendor == "postgresql":
        options["options"] += " -c lock_timeout=60s"  # what is said last counts
    else:
        options["timeout"] = 60


def kill_parts(rounds):
    """Charges, refunds, then the controls, which must be caught."""
    for run in (kills.run, kills.run_refunds, kills.run_checkouts):
        with books():
            result = run(rounds if run is kills.run else max(LEAST, rounds // 5))
        yield list(result.lines), not result.clean or _uneven(result)
    for name, (charge, fault) in controls.CONTROLS.items():
        with books():
            result = kills.run(max(LEAST, rounds // 15), charge=charge, phases=controls.PHASES, name=name)
        caught = getattr(result, fault)
        yield [f"control, {name}: {fault} {caught} in {result.rounds} rounds, {'caught' if caught else 'NOT CAUGHT'}"], not caught


def _uneven(result):
    """Every phase must have had its share of kills, or a clean result says little."""
    least = result.rounds // len(kills.CHARGE_PHASES)
    return any(count < least for count in result.killed.values()) or len(result.killed) < len(kills.CHARGE_PHASES)


class books:
    """Empty books of the drills' bank, removed in the end."""

    def __enter__(self):
        self.folder = FileBank.begin()

    def __exit__(self, *exc):
        shutil.rmtree(self.folder)


def race_parts(rounds):
    """Races; three hundred rounds of kills take as long as three of these."""
    with books():
        yield from races.run(max(1, rounds // 100))


def webhook_parts(rounds):
    """All orders of four events, and as many forgeries as there are rounds."""
    yield from webhooks.run(rounds)


def coupon_parts(rounds, processes=8):
    """As many rounds as are asked for, by as many hands."""
    yield from coupons.run(rounds, max(processes, coupons.LIMIT + 1))


def backup_parts(rounds):
    """As many backups under load as are asked for, then kills and the control."""
    with books():
        yield from backups.run(rounds)


def fuzz_parts(rounds, seed, databases):
    """As many hostile requests as are asked for, then the controls."""
    yield from fuzz.run(rounds, seed=seed, copies=fuzz.Copies(databases, LABEL))


def erasure_parts(rounds):
    """A fiftieth as many customers as rounds, half of them erased; then the controls, one of them in the short form."""
    yield from erasure.run(max(2, rounds // 50), controls=6 if rounds >= 100 else 1)


def xss_parts(rounds):
    """As many of the sixty texts in turns as are asked for; one round is the short form."""
    yield from xss.run(rounds)


DRILLS = {
    "kills": kill_parts,
    "races": race_parts,
    "webhooks": webhook_parts,
    "coupons": coupon_parts,
    "backups": backup_parts,
    "erasure": erasure_parts,
    "fuzz": fuzz_parts,
    "xss": xss_parts,
}


def _parts(drill, rounds, processes, seed, databases):
    """The parts of a drill; a coupon's is as short as one likes and takes so many hands, backups are slow ones."""
    if drill == "fuzz":
        return fuzz_parts(max(rounds, 1), seed, databases)
    if drill in ("backups", "xss"):
        return DRILLS[drill](max(rounds, 1))
    return coupon_parts(max(rounds, 1), processes) if drill == "coupons" else DRILLS[drill](max(rounds, LEAST))
