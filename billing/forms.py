"""What staff type about payment requests: shapes and sentences; nothing is saved here."""

from datetime import timedelta

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.domain.requests import USUAL
from billing.gateways import gateways_for
from billing.tables import METHODS
from dashboard.forms import CountryField, KitForm, MetadataField, MoneyField
from dashboard.money import CURRENCIES

EXPIRIES = {  # minutes -> in words
    60: "In 1 hour",
    24 * 60: "In 24 hours",
    3 * 24 * 60: "In 3 days",
    7 * 24 * 60: "In 7 days",
    14 * 24 * 60: "In 14 days",
    30 * 24 * 60: "In 30 days",
}
ICONS = {
    "card": "credit-card",
    "bank_account": "landmark",
    "bank_transfer": "landmark",
    "bank_redirect": "landmark",
    "cash": "wallet",
    "ewallet": "smartphone",
}
HINTS = {
    "card": "Credit and debit cards",
    "bank_account": "Debited from a bank account",
    "bank_transfer": "Straight from a bank account",
    "bank_redirect": "Through the bank's own page",
    "cash": "At a counter",
    "ewallet": "In a wallet app",
}


def currencies_for(livemode, types):
    """The currencies in which some gateway of a mode takes every one of these method types."""
    found = {c: {t for g in gateways_for(livemode, c) for t in g.capabilities.method_types} for c in CURRENCIES}
    return [c for c, taken in found.items() if taken and set(types) <= taken]


class MethodsForm(KitForm):
    """Step 1: how the payer may pay. `types` are those a gateway of this mode takes."""

    method = forms.MultipleChoiceField(
        label="Payment method types", error_messages={"required": "Choose at least one way to pay."}
    )

    def __init__(self, data=None, *, types, **kwargs):
        super().__init__(data, **kwargs)
        self.fields["method"].choices = [(t, METHODS[t]) for t in types]

    @property
    def options(self):
        """(value, label, hint, icon, chosen) of each type."""
        chosen = self["method"].value() or []
        return [(t, label, HINTS[t], ICONS[t], t in chosen) for t, label in self.fields["method"].choices]


class RequestForm(KitForm):
    """Step 2: how much, for what, until when. Carries the types of step 1 and a key: one form makes one request."""

    amount = MoneyField(label="Amount")
    country = CountryField(label="Payer's country", empty="Choose a country", help_text="Where the payer's bank or card is from.")
    description = forms.CharField(
        max_length=500, required=False, label="Description", help_text="What it is for. The customer sees it."
    )
    merchant_reference_id = forms.CharField(
        max_length=255, required=False, label="Your reference", help_text="An order or file number. The customer never sees it."
    )
    expires = forms.TypedChoiceField(
        label="Link expires", coerce=int, choices=list(EXPIRIES.items()), initial=int(USUAL.total_seconds() // 60)
    )
    authorize_only = forms.BooleanField(
        required=False, label="Authorise now, capture later", help_text="The card is checked and the amount held; you capture it."
    )
    metadata = MetadataField(required=False, label="Metadata")
    method = forms.MultipleChoiceField(widget=forms.MultipleHiddenInput)
    form_key = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)

    def __init__(self, data=None, *, types, currencies, **kwargs):
        super().__init__(data, **kwargs)
        self.fields["amount"] = MoneyField(label="Amount", currencies=currencies)
        self.fields["method"].choices = [(t, METHODS[t]) for t in types]

    def clean(self):
        """What is wrong with a part nobody sees is said on top."""
        data = super().clean()
        if "method" in self.errors or "form_key" in self.errors:
            raise ValidationError("Parts of this form are missing. Nothing is created. Go back and choose the methods again.")
        return data


def values_of(data):
    """The cleaned RequestForm as the domain function takes it."""
    money, minutes = data["amount"], data["expires"]
    kept = {n: data[n] for n in ("country", "description", "merchant_reference_id", "authorize_only", "metadata", "form_key")}
    expires_at = timezone.now() + timedelta(minutes=minutes)
    return kept | {"amount": money.minor, "currency": money.currency, "method_types": data["method"], "expires_at": expires_at}


def first_country(customer):
    """The country to offer first."""
    return customer.country or settings.DEFAULT_COUNTRY
