"""Fill test mode with the sample: 59 customers, their invoices and payments, through the product's own importers.

Two of them have a subscription: one charged to a test card, one billed by mail.
"""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from billing.domain.subscriptions import start_subscription
from billing.domain.vault import keep_method
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import find_card
from billing.imports import import_invoices
from billing.models import Subscription
from customers.models import Customer
from dashboard.imports.stream import run_import
from dashboard.models import User
from dashboard.permissions import Role

SAMPLE = Path(__file__).resolve().parents[2] / "sample"
COLUMNS = {
    "CustomerId": "reference",
    "FirstName": "first_name",
    "LastName": "last_name",
    "Company": "company_name",
    "Address": "address_line1",
    "City": "address_city",
    "State": "address_state",
    "Country": "address_country",
    "PostalCode": "address_postal_code",
    "Phone": "phone",
    "Fax": "metadata.fax",
    "Email": "email",
}
SUBSCRIPTIONS = {  # by their customer's reference
    "1": {"name": "Harbour blend, monthly box", "amount": 2900, "interval": "month", "billing": "pay_automatically"},
    "2": {"name": "Espresso machine service", "amount": 24000, "interval": "year", "billing": "send_invoice"},
}
CARD = "4242424242424242"  # of the sandbox's list


class Command(BaseCommand):
    help = "Load the sample data into test mode. A second run finds what is there and makes nothing twice."

    def handle(self, *args, **options):
        by = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("id").first()
        if by is None:
            raise CommandError("There is no admin yet to load the sample for. Start once with ./run, or make one.")
        found = run_import(
            SAMPLE / "customer.csv", COLUMNS, importer="customers", livemode=False, by=by, match="reference", label="sample"
        )
        bills = import_invoices(SAMPLE / "invoice.csv", SAMPLE / "invoiceline_named.csv", by=by, livemode=False)
        for reference, terms in SUBSCRIPTIONS.items():
            _subscribe(reference, terms, by)
        if options["verbosity"]:
            self.stdout.write(_sentence(found, bills))


def _subscribe(reference, terms, by):
    """Start a sample subscription, once. Nothing happens when its customer was archived or lost its e-mail meanwhile."""
    key = f"sample-subscription-{reference}"
    customer = Customer.objects.active().filter(livemode=False, reference=reference).exclude(email="").order_by("id").first()
    if not customer or Subscription.objects.filter(form_key=key).exists():
        return
    if terms["billing"] == Subscription.Billing.AUTOMATIC:
        keep_method(customer, gateway="sandbox", summary=bank.tokenize(find_card(CARD), reference=customer.pk), by=by)
    rest = {"currency": "USD", "interval_count": 1, "quantity": 1, "started_on": timezone.localdate(), "form_key": key}
    start_subscription(customer, by=by, **terms, **rest)


def _sentence(found, bills):
    customers = (
        f"Customers: {found.created} created, {found.updated} changed, {found.unchanged} unchanged, {found.errors} left out."
    )
    return f"{customers} Statements: {bills.created} created with {bills.lines} lines, {bills.unchanged} unchanged."
