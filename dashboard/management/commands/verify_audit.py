"""Whether the audit trail is whole: nothing changed, nothing gone, nothing put in."""

from django.core.management.base import BaseCommand, CommandError

from dashboard import audit, events
from dashboard.audit_check import Check
from dashboard.models import EventSeal

MOST = 100  # sentences told: a wrong key breaks every event


class Command(BaseCommand):
    help = (
        "Check every event's signature and the chain of seals over them. Prints the newest seal and its digest, to be kept "
        "elsewhere. Ends with 1 and a sentence for each fault if anything was changed, deleted or put in."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "--restored",
            action="store_true",
            help="A backup was restored: take the newest seal of this database as the end of the trail. Leaves an event.",
        )

    def handle(self, *, restored=False, **options):
        if restored:
            self.accept()
        check, told = Check(), 0
        for sentence in check.faults():
            told += 1
            if told <= MOST:
                self.stdout.write(sentence)
        self.summary(check)
        if told > MOST:
            self.stdout.write(f"… and {told - MOST:,} more.")
        if told and told >= check.events:
            self.stdout.write("Every event is affected: if SECRET_KEY was changed, name the old one in SECRET_KEY_FALLBACKS.")
        if told:
            raise CommandError(f"The audit trail has {told:,} fault{'s' if told > 1 else ''}.", returncode=1)
        self.stdout.write("The audit trail is whole.")

    def accept(self):
        newest = EventSeal.objects.last()
        audit.write_note(newest)
        events.note("audit.restored", by=None, livemode=True, seal=newest.sequence if newest else 0)

    def summary(self, check):
        self.stdout.write(
            f"{check.events:,} events, {check.sealed:,} of them under {check.seals:,} seal{'' if check.seals == 1 else 's'}."
        )
        if check.redacted:
            self.stdout.write(
                f"{check.redacted:,} redacted by {check.erasures:,} erasure{'' if check.erasures == 1 else 's'}: "
                "personal data was taken out, nothing else was changed."
            )
        if check.newest:
            seal = check.newest
            self.stdout.write(f"Newest seal: {seal.sequence}, of {seal.sealed_at:%Y-%m-%d %H:%M:%S} UTC, digest {seal.digest}.")
        if behind := check.behind:
            self.stdout.write(f"{behind:,} events are older than an hour and have no seal yet: see that the worker runs.")
