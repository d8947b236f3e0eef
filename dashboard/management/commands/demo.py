"""Fill test mode with the sample: 59 customers, their invoices and payments, through the product's own importers."""

from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from billing.imports import import_invoices
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
        if options["verbosity"]:
            self.stdout.write(_sentence(found, bills))


def _sentence(found, bills):
    customers = (
        f"Customers: {found.created} created, {found.updated} changed, {found.unchanged} unchanged, {found.errors} left out."
    )
    return f"{customers} Statements: {bills.created} created with {bills.lines} lines, {bills.unchanged} unchanged."
