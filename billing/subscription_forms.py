"""What staff type about subscriptions: shapes and sentences; nothing is saved here."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.domain import coupons
from billing.domain import subscriptions as domain
from billing.forms import currencies_for
from billing.models import Subscription
from billing.statement_forms import WHOLE, OnceForm, WholeForm, day_field
from dashboard.forms import MetadataField, MoneyField
from dashboard.money import CURRENCIES

UNITS = {"day": "Days", "week": "Weeks", "month": "Months", "year": "Years"}
FEW = "Enter a whole number from {} to {:,}."


def whole_field(least, most, **kwargs):
    """A whole number, typed."""
    said = WHOLE if (least, most) == (1, domain.LARGEST_QUANTITY) else FEW.format(least, most)
    messages = dict.fromkeys(("required", "invalid", "min_value", "max_value"), said)
    box = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})
    return forms.IntegerField(min_value=least, max_value=most, widget=box, error_messages=messages, **kwargs)


class TermsForm(WholeForm):
    """What both forms ask: what it is for, how much, and how it is paid. `methods` are the customer's active ones."""

    name = forms.CharField(
        max_length=255, label="Name", help_text="What it is for. It stands on each invoice.",
        error_messages={"required": "Say what the subscription is for."},
    )  # fmt: skip
    quantity = whole_field(1, domain.LARGEST_QUANTITY, label="Quantity", initial=1)
    billing = forms.ChoiceField(
        label="How it is paid", widget=forms.RadioSelect, choices=Subscription.Billing.choices, initial="pay_automatically"
    )
    method = forms.ChoiceField(
        label="Payment method", required=False,
        error_messages={"invalid_choice": "This payment method is not on file any more. Choose another."},
    )  # fmt: skip
    days_until_due = whole_field(
        0, domain.LATEST_DUE, label="Days until due", initial=14, help_text="Of a sent invoice, from the day it is issued."
    )
    metadata = MetadataField(required=False, label="Metadata")

    def __init__(self, *args, methods, currencies, **kwargs):
        self.base_fields = {**self.base_fields, "amount": MoneyField(label="Amount", currencies=currencies)}
        super().__init__(*args, **kwargs)
        self.methods = {m.pk: m for m in methods}
        first = next((f"The default, {m}" for m in methods if m.is_default), "The default")
        self.fields["method"].choices = [("", first), *[(pk, str(m)) for pk, m in self.methods.items()]]

    @property
    def terms(self):
        """What it costs and how it is paid, as the domain takes it."""
        data = self.cleaned_data
        kept = {n: data[n] for n in ("name", "quantity", "billing", "days_until_due", "metadata")}
        return kept | {"amount": data["amount"].minor, "method": self.methods.get(data["method"])}


class SubscriptionForm(TermsForm, OnceForm):
    """A new subscription."""

    interval_count = whole_field(1, max(domain.LONGEST.values()), label="Every", initial=1)
    interval = forms.ChoiceField(label="Unit", choices=list(UNITS.items()), initial="month")
    started_on = day_field(label="First day", help_text="The first invoice is issued on this day.", initial=timezone.localdate)
    bill_past = forms.BooleanField(
        required=False, label="Bill past periods", help_text="A first day up to a year back: what has begun is billed at once."
    )
    code = forms.CharField(
        max_length=64, required=False, label="Coupon code", help_text="Takes one of the coupon's uses, whatever it takes off."
    )

    def __init__(self, *args, customer, **kwargs):
        super().__init__(*args, **kwargs)
        self.customer = customer

    def clean_interval_count(self):
        """Checked with the unit, which comes later."""
        count, unit = self.cleaned_data["interval_count"], self.data.get("interval", "")
        if count > (most := domain.LONGEST.get(unit, count)):
            raise ValidationError(f"A period is at most {most:,} {UNITS[unit].lower()} long.")
        return count

    def clean(self):
        data = super().clean()
        if self._is_past(data) and not data.get("bill_past"):
            self.add_error("bill_past", "The first day is past. Tick this to bill what has begun, or choose a later day.")
        data["coupon"] = self._coupon(data)
        return data

    def _is_past(self, data):
        return bool(data.get("started_on")) and data["started_on"] < timezone.localdate()

    def _coupon(self, data):
        """The coupon of the code typed, or None; what is wrong with it is said at its field."""
        if not data.get("code"):
            return None
        coupon = coupons.find(data["code"], self.customer.livemode)
        if not coupon:
            self.add_error("code", "There is no coupon with this code.")
        elif sentence := coupons.why_not_valid(coupon, customer=self.customer, currency=self._currency(data)):
            self.add_error("code", sentence)
        return coupon

    def _currency(self, data):
        return data["amount"].currency if data.get("amount") else ""

    @property
    def values(self):
        """The whole of it, as start_subscription takes it."""
        kept = ("interval", "interval_count", "started_on", "bill_past", "coupon", "form_key")
        return self.terms | {n: self.cleaned_data[n] for n in kept} | {"currency": self.cleaned_data["amount"].currency}

    @property
    def unsaved(self):
        """The subscription it would start, to look ahead with."""
        values = {n: v for n, v in self.values.items() if n not in ("bill_past", "form_key")}
        first = values["started_on"]
        found = Subscription(customer=self.customer, livemode=self.customer.livemode, next_invoice_on=first, **values)
        found.discount_ends_on = domain.discount_end(found)
        return found


class EditForm(TermsForm):
    """The terms of the periods to come."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)


class CancelForm(WholeForm):
    """When it ends. Without a period under way there is nothing to choose."""

    when = forms.ChoiceField(label="When", widget=forms.RadioSelect, initial="period_end")
    why = forms.CharField(max_length=500, required=False, label="Reason", help_text="For your team. The customer never sees it.")

    def __init__(self, *args, choices, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["when"].choices = choices
        self.fields["when"].initial = choices[0][0]


def currencies_of(customer):
    """The currencies offered, the customer's own first."""
    found = currencies_for(customer.livemode, []) or sorted(CURRENCIES)
    own = [c for c in found if c == customer.currency]
    return [*own, *[c for c in found if c not in own]]
