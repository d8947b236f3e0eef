"""Everything that is due: safe to run at any time, as often as one likes, by several at once."""

import logging

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError

from billing.domain import invoicing, reminders, webhooks
from billing.gateways.sandbox import bank
from dashboard import audit, mail
from dashboard.imports import runs


class Command(BaseCommand):
    help = (
        "Work on what gateways told us, settle open payment attempts, close payment links past their time, "
        "continue imports whose worker died, issue and charge the invoices of subscriptions, remind of statements, "
        "send what waits in the outbox, seal the audit trail, once a day delete what nobody needs any more. "
        "In the sandbox, time passes."
    )

    def handle(self, **options):
        """One step that fails keeps none of the others from being done; it is logged, and told at the end."""
        work = (self.sandbox, self.webhooks, self.reconcile, self.imports, self.bill, self.charge, self.remind, self.send)
        steps = (*work, self.seal, self.purge)
        failed = [step.__name__ for step in steps if not self.done(step)]
        if failed:
            raise CommandError(f"Not done, see the log: {', '.join(failed)}.")

    def done(self, step):
        try:
            step()
        except (OperationalError, InterfaceError):  # no database: nothing else can be done either
            raise
        except Exception:  # one step's trouble is not the others': it is logged, and the command fails in the end
            logging.getLogger(__name__).exception("The step %s of the minute's work failed.", step.__name__)
            return False
        return True

    def sandbox(self):
        self.stdout.write(f"{bank.tick().sent} sandbox messages sent.")

    def webhooks(self):
        self.stdout.write(f"{webhooks.process_waiting()} waiting webhook messages worked on.")

    def reconcile(self):
        call_command("reconcile", stdout=self.stdout)

    def imports(self):
        self.stdout.write(f"{runs.continue_stalled()} imports continued.")

    def bill(self):
        self.stdout.write(f"{invoicing.bill_due()} invoices issued.")

    def charge(self):
        self.stdout.write(f"{invoicing.charge_due()} invoices charged.")

    def remind(self):
        self.stdout.write(f"{reminders.send_due_reminders()} reminders queued.")

    def send(self):
        self.stdout.write(f"{mail.send_due()} mails sent.")

    def seal(self):
        self.stdout.write(f"{audit.seal_events()} events sealed.")

    def purge(self):
        call_command("purge", daily=True, stdout=self.stdout)
