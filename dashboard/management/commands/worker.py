"""Does background tasks, and once a minute whatever is due, under this project's own log settings."""

import io
import logging
import threading

from django.core.management import CommandError, call_command
from django.db import Error, close_old_connections
from django_tasks_db.management.commands import db_worker

PERIOD = 60  # seconds between two ticks


class Command(db_worker.Command):
    help = "Do background tasks, and every minute what is due (tick), until told to stop."

    def handle(self, **options):
        threading.Thread(target=tick_for_ever, daemon=True).start()
        super().handle(**options)

    def configure_logging(self, verbosity):
        """Settings decide what is logged (LOG_LEVEL): a task that is done says nothing, one that fails does."""
        logging.getLogger("django_tasks_db").setLevel(logging.ERROR)  # it warns of every ordinary stop


def tick_for_ever():
    """Tick, rest, tick again. A database that is away now may be back at the next one."""
    rest = threading.Event()
    while not rest.wait(PERIOD):
        tick()


def tick():
    close_old_connections()
    try:
        call_command("tick", stdout=io.StringIO())
    except (Error, CommandError):
        logging.getLogger(__name__).exception("The minute's work failed; it is tried again in a minute.")
    finally:
        close_old_connections()
