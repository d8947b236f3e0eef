"""What staff type about customers: shapes and sentences; nothing is saved here."""

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from customers.domain import EDITABLE
from customers.models import DID, Address, Comment, Customer
from dashboard import places
from dashboard.forms import CountryField, CurrencyField, KitForm, MetadataField, PhoneField


class CustomerForm(KitForm):
    """Name (a person's or a company's), contact data, identifiers."""

    kind = forms.ChoiceField(
        choices=Customer.Kind.choices, widget=forms.RadioSelect, label="This customer is", initial=Customer.Kind.INDIVIDUAL
    )
    first_name = forms.CharField(max_length=255, required=False, label="First name")
    last_name = forms.CharField(max_length=255, required=False, label="Last name")
    company_name = forms.CharField(max_length=255, required=False, label="Company")
    email = forms.EmailField(
        max_length=512, required=False, label="Email", widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    phone = PhoneField(required=False, label="Phone")
    reference = forms.CharField(
        max_length=255, required=False, label="Reference", help_text="Your own identifier. The customer never sees it."
    )
    description = forms.CharField(
        max_length=1000,
        required=False,
        label="Description",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For your team. The customer never sees it.",
    )
    tax_id = forms.CharField(max_length=64, required=False, label="Tax ID", help_text="Printed on statements.")
    currency = CurrencyField(label="Currency", initial=settings.DEFAULT_CURRENCY)
    billing_statement_prefix = forms.RegexField(
        r"^[A-Z0-9]{3,15}$",
        required=False,
        label="Statement prefix",
        help_text="Statement numbers start with it. Left empty, one is made.",
        error_messages={"invalid": "Use 3 to 15 capital letters or digits."},
    )
    did = forms.CharField(
        max_length=255, required=False, label="DID", help_text="A decentralised identifier, such as did:web:example.com."
    )
    metadata = MetadataField(required=False, label="Metadata")

    def clean_email(self):
        return self.cleaned_data["email"].lower()

    def clean_did(self):
        did = self.cleaned_data["did"]
        if did and not DID.fullmatch(did):
            raise ValidationError("A DID looks like did:web:example.com or zNKt….")
        return did or None

    def clean(self):
        """A name is the one thing a customer must have (R-12)."""
        data = super().clean()
        if data.get("kind") == Customer.Kind.COMPANY and not data.get("company_name"):
            if "company_name" not in self.errors:
                self.add_error("company_name", "Enter the company's name.")
        elif not any(data.get(n) or n in self.errors for n in ("first_name", "last_name", "company_name")):
            self.add_error("first_name", "Enter a first or last name, or choose Company.")
        return data


class EditCustomerForm(CustomerForm):
    """Carries the version it was opened at, and the values that stood there then."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    was = forms.JSONField(widget=forms.HiddenInput)

    def mine(self):
        """The fields whose value the person changed, with the new value."""
        return {n: v for n, v in self.cleaned_data.items() if n in self.original and v != self.original[n]}

    @property
    def original(self):
        found = self.cleaned_data["was"]
        return found if isinstance(found, dict) else {}

    def values_of(self, customer):
        return {n: getattr(customer, n) for n in EDITABLE}


# Another country has other labels: script fetches the fields anew, with what was typed in them.
RELABEL = {
    "hx-post": "",
    "hx-vals": '{"relabel": "1"}',
    "hx-trigger": "change",
    "hx-include": "closest form",
    "hx-target": "#address-fields",
    "hx-select": "#address-fields",
    "hx-swap": "outerHTML",
    "hx-sync": "this:replace",
}


class AddressForm(KitForm):
    """An address. Country and first line are needed; the other labels follow the country."""

    country = CountryField(label="Country", initial=settings.DEFAULT_COUNTRY, widget=forms.Select(attrs=RELABEL))
    kind = forms.ChoiceField(choices=Address.Kind.choices, label="Used for")
    name = forms.CharField(max_length=255, required=False, label="Recipient")
    line1 = forms.CharField(max_length=255, label="Address line 1")
    line2 = forms.CharField(max_length=255, required=False, label="Address line 2")
    line3 = forms.CharField(max_length=255, required=False, label="Address line 3")
    city = forms.CharField(max_length=255, required=False, label="City")
    state = forms.CharField(max_length=255, required=False, label="State")
    postal_code = forms.CharField(max_length=20, required=False, label="Postal code")
    phone_number = PhoneField(required=False, label="Phone", country_from="country")
    is_default = forms.BooleanField(required=False, label="Make this the default address")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        country = self["country"].value() or settings.DEFAULT_COUNTRY
        for name, known in places.address_labels(country).items():
            self.fields[name].label = known.label


class CommentForm(KitForm):
    body = forms.CharField(
        max_length=Comment._meta.get_field("body").max_length, label="Comment", widget=forms.Textarea(attrs={"rows": 3})
    )
    pinned = forms.BooleanField(required=False, label="Pin as a warning: it follows this customer wherever your team works on it")
