"""Put a backup in place of the configured database."""

import os

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from dashboard import audit
from dashboard.backups import BackupError
from dashboard.backups.restoring import restore_backup
from dashboard.management.proofs import faults
from dashboard.models import EventSeal


class Command(BaseCommand):
    help = (
        "Restore a backup beside the configured database, bring it up to date, prove it, and only then put it in place. "
        "What was there before is kept under another name. Everybody has to sign in again."
    )
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("file", help="a backup; an encrypted one needs BACKUP_PASSPHRASE")
        parser.add_argument("--yes", action="store_true", help="do it although the database holds data")
        parser.add_argument("--with-secret-key", action="store_true", help="take over the backup's secret key")

    def handle(self, *, file, yes, with_secret_key, **options):
        how = {"yes": yes, "take_key": with_secret_key, "passphrase": os.environ.get("BACKUP_PASSPHRASE", "")}
        try:
            restored = restore_backup(connections["default"], file, check=faults, say=self.stdout.write, **how)
        except BackupError as error:
            raise CommandError(str(error)) from None
        manifest = restored.manifest
        self.stdout.write(f"Restored: the backup of {manifest['made_at']} with {sum(manifest['rows'].values()):,} rows.")
        if restored.kept:
            self.stdout.write(f"What was there before is kept: {restored.kept}")
        for note in restored.notes:
            self.stdout.write(note)
        audit.write_note(EventSeal.objects.last())  # the end of the trail is this database's from now on
        self.stdout.write("Next: ./run reconcile asks the gateways what became of what was under way.")
