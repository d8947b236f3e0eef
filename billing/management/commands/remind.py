"""Automatic reminders by hand: what tick does every minute, or only a look at what it would do."""

from django.core.management.base import BaseCommand

from billing.domain import reminders, sending


class Command(BaseCommand):
    help = "Queue the reminders that are due (tick does so every minute)."

    def add_arguments(self, parser):
        parser.add_argument("--dry-run", action="store_true", help="print what would go out, and queue nothing")

    def handle(self, *, dry_run, **options):
        if dry_run:
            self.show()
        else:
            self.stdout.write(f"{reminders.send_due_reminders()} reminders queued.")

    def show(self):
        count = 0
        for kind in reminders.Kind:
            for statement in reminders.due(kind).select_related("customer").iterator(chunk_size=500):
                count += 1
                mode = "live" if statement.livemode else "test"
                self.stdout.write(
                    f"{kind.label}, {mode} mode: {statement.number} to {sending.recipient(statement)}, "
                    f"{statement.amount_remaining_money} due {statement.due_at:%Y-%m-%d}."
                )
        self.stdout.write(f"{count} reminders would go out. Nothing was queued.")
