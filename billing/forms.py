"""What staff type about payment requests: shapes and sentences; nothing is saved here."""

from datetime import timedelta

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.domain import coupons
from billing.domain.requests import LATEST, SLACK, SOONEST, TOO_LONG, USUAL
from billing.gateways import gateways_for, method_types_for
from billing.models import PaymentRequest
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


def types_of(livemode):
    """The method types some gateway of a mode takes, in whatever currency."""
    return list(dict.fromkeys(t for currency in CURRENCIES for t in method_types_for(livemode, currency)))


def saves_cards(livemode, currency):
    """Whether a gateway of a mode keeps cards for later, in a currency."""
    return any(g.capabilities.save_card for g in gateways_for(livemode, currency))


class MethodsForm(KitForm):
    """Step 1: how the payer may pay. `types` are those a gateway of this mode takes."""

    method = forms.MultipleChoiceField(
        label="Payment method type", error_messages={"required": "Choose at least one way to pay."}
    )

    def __init__(self, data=None, *, types, **kwargs):
        super().__init__(data, **kwargs)
        self.fields["method"].choices = [(t, METHODS[t]) for t in types]

    @property
    def options(self):
        """(value, label, hint, icon, chosen) of each type."""
        chosen = self["method"].value() or []
        return [(t, label, HINTS[t], ICONS[t], t in chosen) for t, label in self.fields["method"].choices]


class ExpiryForm(KitForm):
    """Until when a link works: a usual span, or any moment from 1 minute to 30 days away. Cleans to `expires_at`."""

    expires = forms.TypedChoiceField(
        label="Link expires", coerce=int, choices=list(EXPIRIES.items()), initial=int(USUAL.total_seconds() // 60)
    )
    until = forms.DateTimeField(
        required=False,
        label="Or exactly at",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=f"Takes the place of the choice beside it. 1 minute to 30 days from now, {settings.TIME_ZONE} time.",
        error_messages={"invalid": "Enter a date and time such as 2026-11-30 17:00."},
    )

    def clean(self):
        """The moment itself; what is too soon or too late is said where it was typed."""
        data, now = super().clean(), timezone.now()
        if "until" in self.errors or "expires" in self.errors:
            return data
        data["expires_at"] = data.get("until") or now + timedelta(minutes=data["expires"])
        if data.get("until") and not SOONEST - SLACK <= data["until"] - now <= LATEST:
            self.add_error("until", TOO_LONG)
        return data


class RequestForm(ExpiryForm):
    """Step 2: how much, for what, until when. Carries the types of step 1 and a key: one form makes one request."""

    amount = MoneyField(label="Amount")
    country = CountryField(label="Payer's country", empty="Choose a country", help_text="Where the payer's bank or card is from.")
    description = forms.CharField(
        max_length=500, required=False, label="Description", help_text="What it is for. The customer sees it."
    )
    merchant_reference_id = forms.CharField(
        max_length=255, required=False, label="Your reference", help_text="An order or file number. The customer never sees it."
    )
    coupon = forms.CharField(
        max_length=64,
        required=False,
        label="Coupon code",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
        help_text="The amount above is before its discount.",
    )
    save_card = forms.BooleanField(
        required=False,
        label="Save the card",
        help_text="The card it is paid with is kept with this customer for later charges. The customer is told before paying.",
    )
    authorize_only = forms.BooleanField(
        required=False, label="Authorise now, capture later", help_text="The card is checked and the amount held; you capture it."
    )
    metadata = MetadataField(required=False, label="Metadata")
    method = forms.MultipleChoiceField(widget=forms.MultipleHiddenInput)
    form_key = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)

    def __init__(self, data=None, *, customer, types, currencies, saves=False, **kwargs):
        super().__init__(data, **kwargs)
        self.customer = customer
        self.fields["amount"] = MoneyField(label="Amount", currencies=currencies)
        self.fields["method"].choices = [(t, METHODS[t]) for t in types]
        if not saves:
            del self.fields["save_card"]

    def clean(self):
        """What is wrong with a part nobody sees is said on top."""
        data = super().clean()
        if "method" in self.errors or "form_key" in self.errors:
            raise ValidationError("Parts of this form are missing. Nothing is created. Go back and choose the methods again.")
        if data.get("coupon"):
            data["coupon"] = self._coupon(data["coupon"], data.get("amount"), data["form_key"])
        return data

    def _coupon(self, code, money, form_key):
        """The coupon of a code. Why it is not valid is said at the field, unless this very form has used it already."""
        found = coupons.find(code, self.customer.livemode)
        if not found:
            self.add_error("coupon", f"There is no coupon {code}. Check the spelling, or leave it empty.")
        elif money and not PaymentRequest.objects.filter(form_key=form_key).exists():
            about = {"customer": self.customer, "currency": money.currency, "subtotal": money.minor}
            if why := coupons.why_not_valid(found, **about):
                self.add_error("coupon", why)
        return found


class ExtendForm(ExpiryForm):
    """More time for a link."""


class AnyCustomerForm(KitForm):
    """Somebody who may not be on the list yet."""

    name = forms.CharField(max_length=511, label="Name")
    email = forms.EmailField(max_length=512, label="Email")


def values_of(data):
    """The cleaned RequestForm as the domain function takes it."""
    money = data["amount"]
    names = ("country", "description", "merchant_reference_id", "authorize_only", "metadata", "form_key", "expires_at")
    about = {"amount": money.minor, "currency": money.currency, "method_types": data["method"]}
    kept = {n: data[n] for n in names} | {"coupon": data["coupon"] or None, "save_card": data.get("save_card", False)}
    return kept | about


def first_country(customer):
    """The country to offer first."""
    return customer.country or settings.DEFAULT_COUNTRY
