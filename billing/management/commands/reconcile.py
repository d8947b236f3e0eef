"""Settle what a crash or a silent gateway left open."""

from datetime import timedelta

from django.core.management.base import BaseCommand

from billing.domain import card_links, requests, settle


class Command(BaseCommand):
    help = "Ask gateways about everything left open, apply the answers, and close payment links past their time."

    def add_arguments(self, parser):
        parser.add_argument("--older-than", type=int, default=60, metavar="SECONDS", help="leave younger attempts alone (60)")

    def handle(self, *, older_than, **options):
        age = timedelta(seconds=older_than)
        settled = 0
        for attempt in settle.reconcile_attempts(age):
            settled += 1
            self.stdout.write(f"{attempt.pk} {attempt.target_id}: {attempt.get_state_display().lower()} {attempt.error}".rstrip())
        asked = 0
        for sentence in settle.reconcile_processing(max(age, settle.PATIENCE) if older_than else age):
            asked += 1
            self.stdout.write(sentence)
        expired = requests.expire_payment_requests()
        links = card_links.expire_card_links()
        self.stdout.write(f"{settled} attempts, {asked} payments and refunds looked at, {expired} payment requests expired.")
        self.stdout.write(f"{links} card links expired.")
