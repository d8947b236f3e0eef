"""Who may do what, as docs/permissions.md has it: `./run permissions > docs/permissions.md` after a change."""

from django.core.management.base import BaseCommand

from dashboard import role_table


class Command(BaseCommand):
    help = "Print who may do what, as Markdown: the table of permissions by role, the scopes of API keys, and who asks for what."

    def handle(self, **options):
        self.stdout.write(role_table.markdown(), ending="")
