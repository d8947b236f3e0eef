"""Everything that is due: safe to run at any time, as often as one likes, by several at once."""

from django.core.management import call_command
from django.core.management.base import BaseCommand

from dashboard.imports import runs


class Command(BaseCommand):
    help = "Settle open payment attempts, close payment links past their time, continue imports whose worker died."

    def handle(self, **options):
        call_command("reconcile", stdout=self.stdout)
        self.stdout.write(f"{runs.continue_stalled()} imports continued.")
