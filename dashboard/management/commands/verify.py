"""Prove the configured database, or a backup without touching the configured one."""

import os

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from dashboard.backups import BackupError
from dashboard.backups.restoring import look_into
from dashboard.management.proofs import faults


class Command(BaseCommand):
    help = (
        "Check a database's files, that every stored total equals its rows, that statement numbers have no gap, coupons "
        "and the audit chain. With a file: the same of a backup, restored into a place of its own. Changes nothing."
    )
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("file", nargs="?", help="a backup; without one, the configured database")

    def handle(self, *, file, **options):
        found = self.look_into(file) if file else faults()
        for fault in found:
            self.stderr.write(fault)
        if found:
            raise CommandError(f"{len(found)} faults were found.")
        self.stdout.write("No fault was found: files, totals, statement numbers, coupons and the audit chain are sound.")

    def look_into(self, file):
        try:
            manifest, found = look_into(
                connections["default"], file, check=faults, passphrase=os.environ.get("BACKUP_PASSPHRASE", "")
            )
        except BackupError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"A backup of {manifest['made_at']}: {sum(manifest['rows'].values()):,} rows.")
        return found
