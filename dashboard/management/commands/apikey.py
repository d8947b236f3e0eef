"""Makes an API key and prints its secret, this once."""

from django.core.management.base import BaseCommand, CommandError

from dashboard.api.keys import SCOPES, create_key
from dashboard.states import DomainError


class Command(BaseCommand):
    help = "Make an API key and print its secret, this once: ./run apikey --name Shop --mode test --scopes read"

    def add_arguments(self, parser):
        parser.add_argument("--name", required=True, help="where it is used")
        parser.add_argument("--mode", required=True, choices=["test", "live"])
        parser.add_argument("--scopes", default="write", help=f"with commas between: {', '.join(SCOPES)} (write)")

    def handle(self, *, name, mode, scopes, **options):
        wanted = [s for s in scopes.replace(",", " ").split() if s]
        try:
            _key, secret = create_key(name=name, livemode=mode == "live", scopes=wanted, by=None)
        except DomainError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(secret)
