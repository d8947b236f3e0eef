"""Prove every stored total from its rows."""

from django.core.management.base import BaseCommand, CommandError

from billing.domain import ledger


class Command(BaseCommand):
    help = "Add up payments and lines and compare them with every stored total. Changes nothing."

    def handle(self, **options):
        errors = ledger.ledger_errors()
        for error in errors:
            self.stderr.write(error)
        if errors:
            raise CommandError(f"{len(errors)} stored totals differ from their rows.")
        self.stdout.write("Every stored total equals its rows.")
