"""What staff type about coupons: shapes and sentences; nothing is saved here."""

import re
from copy import copy
from datetime import datetime

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from billing.domain import coupons
from billing.domain.coupon_checks import LONGEST, MOST, faults, taken_sentence
from billing.domain.statements import end_of_day
from billing.models import Coupon
from billing.statement_forms import OnceForm, WholeForm, day_field
from dashboard.filters import midnight
from dashboard.forms import KitForm, MetadataField, MoneyField
from dashboard.ids import HEX

PERCENT = "Enter a percentage from 1 to 100, with two decimals at most."
DIGITS = {"inputmode": "numeric", "autocomplete": "off"}
FIELDS = {"amount_off": "amount", "currency": "amount", "starts_at": "starts_on", "redeem_by": "redeem_on"}  # ours -> the form's
_ID = re.compile(rf"\bcus_{HEX}\b")


class PercentField(forms.DecimalField):
    """A percentage, with or without its sign."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, **kwargs):
        messages = dict.fromkeys(("invalid", "max_digits", "max_decimal_places", "max_whole_digits"), PERCENT)
        super().__init__(max_digits=5, decimal_places=2, error_messages=messages, **kwargs)

    def to_python(self, value):
        return super().to_python(str(value or "").replace("%", "").strip())


class AmountOffField(MoneyField):
    """An amount whose currency must be said: it decides on which bills the coupon counts."""

    def compress(self, values):
        if values and values[0] and len(self.codes) > 1 and not values[1]:
            raise ValidationError("Choose the currency of the amount.", code="currency")
        return super().compress(values)


def whole_field(most, sentence, **kwargs):
    """A whole number, or nothing. What is out of bounds is told by the domain."""
    messages = dict.fromkeys(("invalid", "max_value", "min_value"), sentence)
    box = forms.TextInput(attrs=DIGITS)
    return forms.IntegerField(required=False, min_value=0, max_value=most, widget=box, error_messages=messages, **kwargs)


LIMIT = f"Enter a whole number up to {MOST:,}, or leave this empty for no limit."


class CouponForm(WholeForm):
    """A coupon: so much off, how often, for whom, until when.

    `coupon` is what is being made or changed, `find` a function that gives the customers a text names, `currencies`
    those an amount can be in. A coupon for one customer alone (`bound`) and one in use leave fields out.
    """

    percent_off = PercentField(required=False, label="Percent off", help_text="Off the whole bill, such as 10 or 12.5.")
    amount = AmountOffField(required=False, label="Or an amount off", help_text="Counts on bills in this currency alone.")
    duration = forms.ChoiceField(
        label="Subscriptions get it",
        choices=Coupon.Duration.choices,
        initial=Coupon.Duration.ONCE,
        help_text="Once: on the first invoice. A statement or payment request gets it once in any case.",
    )
    duration_in_months = whole_field(
        10_000, f"Enter a whole number from 1 to {LONGEST}.", label="Months", help_text="For “For some months” alone."
    )
    code = forms.CharField(
        max_length=64,
        required=False,
        label="Code",
        help_text="Capitals or not is the same. Left empty, it gets one.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    name = forms.CharField(max_length=255, required=False, label="Name")
    description = forms.CharField(
        max_length=500,
        required=False,
        label="Description",
        help_text="For your team. The customer never sees it.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    customer = forms.CharField(
        max_length=300, required=False, label="Only for one customer", help_text="Name, e-mail or ID. Empty: for anyone."
    )
    max_redemptions = whole_field(MOST, LIMIT, label="Uses in all")
    max_per_customer = whole_field(MOST, LIMIT, label="Uses by one customer")
    starts_on = day_field(required=False, label="Starts", help_text="At the beginning of this day.")
    redeem_on = day_field(required=False, label="Redeem by", help_text="Until the end of this day.")
    metadata = MetadataField(label="Metadata")

    def __init__(self, data=None, *, coupon, find, currencies, bound=False, locked=False, **kwargs):
        self.base_fields = {**self.base_fields}
        amount = self.base_fields["amount"]
        self.base_fields["amount"] = AmountOffField(
            required=False, label=amount.label, help_text=amount.help_text, currencies=currencies
        )
        super().__init__(data, **kwargs)
        self.coupon, self.find, self.locked = coupon, find, locked
        self.fields["percent_off"].either = self.fields["amount"].either = True  # one of the two: neither is optional
        for name in [*(["customer"] if bound else []), *(LOCKED if locked else [])]:
            self.fields.pop(name, None)

    def clean_code(self):
        code = self.cleaned_data["code"]
        found = coupons.find(code, self.coupon.livemode)
        form_key = self.data.get("form_key")
        if found and found.pk != self.coupon.pk and not (form_key and found.form_key == form_key):
            raise ValidationError(taken_sentence(found.code))
        return code

    def clean_customer(self):
        """The one customer of a text, or None for none."""
        text = self.cleaned_data["customer"]
        if not text:
            return None
        named = _ID.search(text)
        found = self.find(named[0] if named else text)
        if len(found) == 1:
            return found[0]
        raise ValidationError(which(found))

    def clean(self):
        """What the domain would refuse is told at its field."""
        data = super().clean()
        self.values = self._values(data)
        trial = coupons.set_fields(copy(self.coupon), **self.values)
        trial.code = trial.code or "GENERATED"
        told = {FIELDS.get(name, name): sentence for name, sentence in faults(trial, self.coupon).items()}
        kind = {"percent_off", "amount"}
        for name, sentence in told.items():
            if name in self.fields and name not in self.errors and not (name in kind and kind & self.errors.keys()):
                self.add_error(name, sentence)
        return data

    def _values(self, data):
        """The cleaned form as the domain functions take it."""
        names = ("name", "description", "max_redemptions", "max_per_customer", "metadata")
        if not self.locked:
            names += ("percent_off", "duration", "duration_in_months", "code", "customer")
        values = {n: data[n] for n in names if n in data}
        if not self.locked:
            money = data.get("amount")
            values |= {"amount_off": money.minor if money else None, "currency": money.currency if money else ""}
        return values | {"starts_at": self._at("starts_on", midnight), "redeem_by": self._at("redeem_on", end_of_day)}

    def _at(self, name, moment):
        """The moment of a day; a day that was not touched keeps the time it had."""
        day = self.cleaned_data.get(name)
        was = getattr(self.coupon, "starts_at" if name == "starts_on" else "redeem_by")
        return was if was and local_day(was) == day else day and moment(day)


LOCKED = ("percent_off", "amount", "duration", "duration_in_months", "code", "customer")


def local_day(at):
    """The day of a moment where the dashboard is, or None."""
    return timezone.localtime(at).date() if isinstance(at, datetime) else None


def which(found):
    """Why a text does not name one customer."""
    if not found:
        return "No active customer has this name, e-mail or ID."
    names = ", ".join(f"{c} ({c.email or c.pk})" for c in found[:3])
    return f"Several customers match, such as {names}. Enter the e-mail or the ID of one."


class NewCouponForm(CouponForm, OnceForm):
    """Carries a key: one form makes one coupon."""


class EditCouponForm(CouponForm):
    """Carries the version it was opened at."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)


class SwitchForm(WholeForm):
    """Says which way: sent twice, it does it once."""

    active = forms.ChoiceField(choices=[("on", "On"), ("off", "Off")], widget=forms.HiddenInput)


class TryForm(KitForm):
    """A bill to try a coupon on."""

    mark_optional = False
    customer = forms.CharField(max_length=300, required=False, label="Customer", help_text="Name, e-mail or ID.")

    def __init__(self, *args, find, currencies, **kwargs):
        self.base_fields = {**self.base_fields, "amount": MoneyField(label="Bill of", currencies=currencies)}
        super().__init__(*args, **kwargs)
        self.find = find

    clean_customer = CouponForm.clean_customer
