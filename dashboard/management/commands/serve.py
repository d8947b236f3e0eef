"""Everything `./run` does once Python is ready: prepare the installation, then run web server and worker."""

import time

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from dashboard import first_start, processes
from dashboard.checks import INSTALLATION

DATABASE_PATIENCE = 30  # seconds a start waits for a PostgreSQL that is still starting itself


class Command(BaseCommand):
    help = "Prepare the installation, then run the web server and the task worker until Ctrl-C."
    requires_system_checks = ()  # handle() runs those about this installation; the rest are the tests' business

    def handle(self, **options):
        processes.stop_on_signals()
        children, failed = {}, None
        try:
            with processes.listening(settings.BIND) as listener:
                self.prepare()
                processes.stop_if_asked()
                children["web server"] = processes.start_web_server(listener)
            processes.wait_until_it_answers(children["web server"], settings.BIND)
            children["task worker"] = processes.start_worker()  # after the server: it would slow its start
            self.announce(children["web server"])
            failed = processes.wait_for_first_end(children)
        except processes.Stopped:
            pass
        finally:
            processes.stop(children)
        if failed:
            raise CommandError(f"The {failed} ended by itself, so everything was stopped. The lines above say why.")
        self.say("Stopped.")

    def say(self, sentence):
        self.stdout.write(sentence)
        self.stdout.flush()

    def prepare(self):
        self.wait_for_database()
        try:
            self.check(tags=[INSTALLATION], databases=["default"])
            credentials = first_start.prepare(self.say)
        finally:
            first_start.let_go_of_database()
        if credentials:
            self.welcome(*credentials)

    def wait_for_database(self):
        deadline = time.monotonic() + DATABASE_PATIENCE
        while True:
            try:
                return first_start.reach_database()
            except OperationalError as error:
                reason = " ".join(str(error).split())
                if not settings.POSTGRES or time.monotonic() > deadline:
                    raise CommandError(f"The database of DATABASE_URL cannot be opened: {reason}") from error
            self.say(f"Waiting for the database of DATABASE_URL: {reason}")
            time.sleep(3)

    def welcome(self, email, password):
        lines = ["", "Sign in as the first admin", f"  e-mail    {email}"]
        if password:
            lines += [f"  password  {password}", "  This password is shown only now."]
        else:
            lines += ["  password  the one in ADMIN_PASSWORD"]
        self.say("\n".join([*lines, ""]))

    def announce(self, server):
        if server.poll() is None:
            self.say(f"Counterfoil is at {settings.SITE_URL} (Ctrl-C stops it)")
