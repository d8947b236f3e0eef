"""Records of daily work that hold personal data, deleted when they are old enough."""

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.retention import RULES as OF_BILLING
from customers.privacy import traces
from customers.retention import RULES as OF_CUSTOMERS
from dashboard import retention

RULES = (*retention.RULES, *OF_CUSTOMERS, *OF_BILLING)


class Command(BaseCommand):
    help = (
        "Delete what holds personal data and nobody needs any more: texts of old mails, rows of imports, sessions that have "
        "ended and the like, and what was kept of erased customers until its time was over. The worker does it once a day."
    )

    def add_arguments(self, parser):
        parser.add_argument("--dry-run", action="store_true", help="say what would be deleted, and delete nothing")
        parser.add_argument("--daily", action="store_true", help="do nothing if it was done in the last 24 hours")

    def handle(self, *, dry_run=False, daily=False, **options):
        if dry_run:
            now = timezone.now()
            self.tell({rule.key: rule.count(now) for rule in RULES})
        elif not daily or retention.is_due():
            self.purge(most=retention.MOST if daily else None)

    def purge(self, most):
        traces.overwrite_deleted()
        counts, failed = retention.purge(RULES, most=most)
        self.tell(counts)
        if failed:
            raise CommandError(f"Not deleted, see the log: {', '.join(failed)}.")

    def tell(self, counts):
        for rule in RULES:
            if rule.key in counts:
                self.stdout.write(f"{counts[rule.key]:>9,}  {rule.words}{self.age(rule)}")

    def age(self, rule):
        days = rule.age().days
        return f", older than {days} {'day' if days == 1 else 'days'}" if days else ""
