"""Back up the configured database while everything runs."""

import os

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from dashboard.backups import BackupError
from dashboard.backups.making import digest_of, make_backup


class Command(BaseCommand):
    help = (
        "Write a backup of the database into one file, while the dashboard runs. It holds no secret key unless asked to: "
        "keep DATA_DIR/secret_key (or SECRET_KEY) somewhere else, payers' links and sessions need it."
    )
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("file", nargs="?", help="a file to make, or a folder (DATA_DIR/backups)")
        parser.add_argument("--keep", type=int, default=0, metavar="N", help="keep the newest N of the folder, remove older ones")
        parser.add_argument("--encrypt", action="store_true", help="encrypt it with the passphrase in BACKUP_PASSPHRASE")
        parser.add_argument("--with-secret-key", action="store_true", help="put the secret key in as well; needs --encrypt")

    def handle(self, *, file, keep, encrypt, with_secret_key, **options):
        passphrase = os.environ.get("BACKUP_PASSPHRASE", "") if encrypt else ""
        if encrypt and not passphrase:
            raise CommandError("--encrypt needs a passphrase of yours: set BACKUP_PASSPHRASE.")
        if keep < 0:
            raise CommandError("--keep takes a number of backups, 1 or more.")
        how = {"keep": keep, "passphrase": passphrase, "with_secret_key": with_secret_key}
        try:
            path, manifest = make_backup(connections["default"], file, **how)
        except BackupError as error:
            raise CommandError(str(error)) from None
        self.tell(path, manifest)

    def tell(self, path, manifest):
        rows = f"{sum(manifest['rows'].values()):,} rows in {len(manifest['rows'])} tables"
        self.stdout.write(f"{path}: {rows}, {path.stat().st_size:,} bytes, SHA-256 {digest_of(path)}")
        if "secret_key" not in manifest["parts"]:
            self.stdout.write("It does not hold the secret key: keep that somewhere else.")
