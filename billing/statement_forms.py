"""What staff type about billing statements: shapes and sentences; nothing is saved here."""

from datetime import timedelta

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.utils.functional import cached_property

from billing.domain import coupons
from billing.domain.statements import LARGEST_QUANTITY, MOST_LINES, end_of_day
from billing.models import Payment
from dashboard.card_numbers import hide_card_numbers
from dashboard.filters import refuse_far_off
from dashboard.forms import KitForm, MetadataField, MoneyField
from dashboard.money import CURRENCIES, Money

WHOLE = "Enter a whole number from 1 to 1,000,000."
PARTS_MISSING = "Parts of this form are missing. Nothing is saved. Open the form anew."
METHODS = {
    Payment.Method.CASH: "Cash",
    Payment.Method.BANK_TRANSFER: "Bank transfer",
    Payment.Method.ELSEWHERE: "Elsewhere, such as a terminal or a cheque",
}


def day_field(**kwargs):
    """A day, picked or typed."""
    messages = {"invalid": "Enter a date such as 2026-11-30."}
    box = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(widget=box, validators=[refuse_far_off], error_messages=messages, **kwargs)


class WholeForm(KitForm):
    """Says on top what is wrong with a part nobody sees."""

    def clean(self):
        data = super().clean()
        if any(field.name in self.errors for field in self.hidden_fields()):
            raise ValidationError(PARTS_MISSING)
        return data


class OnceForm(WholeForm):
    """A confirmation that works once, however often it is sent."""

    form_key = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)


class LineForm(KitForm):
    """One line: what, how many, at what price. Cleans to `line`, or to None when nothing is typed."""

    description = forms.CharField(max_length=500, label="Description", error_messages={"required": "Say what is billed."})
    quantity = forms.IntegerField(
        min_value=1,
        max_value=LARGEST_QUANTITY,
        label="Quantity",
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={"required": WHOLE, "invalid": WHOLE, "min_value": WHOLE, "max_value": WHOLE},
    )
    price = forms.CharField(
        max_length=30,
        label="Unit price",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
        error_messages={"required": "Enter an amount such as 4,850.00."},
    )

    def __init__(self, *args, number, currency, **kwargs):
        super().__init__(*args, prefix=f"line-{number}", empty_permitted=True, use_required_attribute=False, **kwargs)
        self.number, self.currency = number, currency

    def has_changed(self):
        """A line of which only the quantity is there was never begun."""
        return any(self.data.get(self.add_prefix(n), "").strip() for n in ("description", "price"))

    def clean_price(self):
        try:
            return Money.parse(self.cleaned_data["price"], self.currency).minor
        except ValueError as error:
            raise ValidationError(str(error)) from None

    @property
    def line(self):
        """(description, quantity, unit price in minor units), or None."""
        data = self.cleaned_data
        return (data["description"], data["quantity"], data["price"]) if data else None


def as_typed(items):
    """Line items as a browser would send them back."""
    data = MultiValueDict({"line": [str(n) for n, _ in enumerate(items)]})
    for n, item in enumerate(items):
        typed = {"description": item.description, "quantity": str(item.quantity), "price": item.unit_price_money.digits}
        data.update({f"line-{n}-{name}": text for name, text in typed.items()})
    return data


class Lines:
    """The lines of a builder, in their order. Each has a number of its own: `line` lists those that are there.

    Buttons of the page add and remove lines before anything is checked, so the forms are bound only to be saved.
    """

    def __init__(self, data, *, currency, bound):
        self.currency, self.data = currency, data
        numbers = [n for n in data.getlist("line") if n.isascii() and n.isdigit() and len(n) < 6] if data else []
        self.numbers = self._arranged(list(dict.fromkeys(map(int, numbers)))[:MOST_LINES])
        self.forms = [self._form(n, bound) for n in self.numbers]

    def _arranged(self, numbers):
        """After a press of *Add a line* or *Remove*; there is always a line to type into."""
        gone = self.data.get("remove") if self.data else None
        fresh, numbers = max(numbers, default=-1) + 1, [n for n in numbers if str(n) != gone]
        self.added = fresh if self.data and "add" in self.data and len(numbers) < MOST_LINES else None
        return [*numbers, fresh] if self.added is not None or not numbers else numbers

    def _form(self, number, bound):
        if bound:
            return LineForm(self.data, number=number, currency=self.currency)
        form = LineForm(number=number, currency=self.currency, initial={"quantity": "1"} | self.typed(number))
        if number == self.added:
            form.fields["description"].widget.attrs["autofocus"] = True
        return form

    def typed(self, number):
        """What stands in the boxes of a line, unchecked."""
        names = {n: f"line-{number}-{n}" for n in ("description", "quantity", "price")}
        return {n: self.data[key] for n, key in names.items() if key in self.data} if self.data else {}

    def is_valid(self):
        return not sum(not form.is_valid() for form in self.forms)  # every one is asked, for its own errors

    @property
    def values(self):
        """The lines as the domain takes them."""
        return [form.line for form in self.forms if form.line]

    @cached_property
    def sums(self):
        """(description, quantity, amount as Money or None) of every line begun, from what stands in the boxes."""
        checked = (LineForm(self.data, number=n, currency=self.currency) for n in (self.numbers if self.data else ()))
        begun = [(self.typed(form.number), form.is_valid() and form.line) for form in checked if form.has_changed()]
        return [
            (
                hide_card_numbers(typed["description"]),
                line[1] if line else "",
                Money(line[1] * line[2], self.currency) if line else None,
            )
            for typed, line in begun
        ]

    @property
    def total(self):
        """Money of all lines that can be read."""
        return Money(sum(amount.minor for *_, amount in self.sums if amount), self.currency)

    @property
    def unreadable(self):
        """How many lines cannot be counted yet."""
        return sum(amount is None for *_, amount in self.sums)


class StatementForm(WholeForm):
    """A statement but for its lines. Without `customer`, a name and an e-mail say who it is for (R-52)."""

    name = forms.CharField(max_length=255, required=False, label="Name")
    email = forms.EmailField(
        max_length=512, required=False, label="Email", widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    currency = forms.ChoiceField(
        label="Currency", error_messages={"invalid_choice": "This is not a currency one can bill in here. Choose another."}
    )
    due_on = day_field(label="Due", help_text="Overdue from the next day on. Its link takes payment all the same.")
    description = forms.CharField(
        max_length=500,
        required=False,
        label="Description",
        help_text="Printed below the lines. Left empty, it names the statement.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    merchant_reference_id = forms.CharField(
        max_length=255, required=False, label="Your reference", help_text="An order or file number. The customer never sees it."
    )
    statement_descriptor = forms.RegexField(
        r"^[^<>\\'\"*]*$",
        max_length=22,
        required=False,
        label="Statement descriptor",
        help_text="On the customer's card statement, where the bank allows it. At most 22 characters.",
        error_messages={"invalid": "Leave out < > \\ ' \" and *: banks refuse them."},
    )
    coupon = forms.CharField(
        max_length=64,
        required=False,
        label="Coupon code",
        help_text="Used when the statement is finalised.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    metadata = MetadataField(required=False, label="Metadata")

    def __init__(self, data=None, *, livemode, customer, currencies, lines, **kwargs):
        super().__init__(data, **kwargs)
        self.livemode, self.customer, self.lines = livemode, customer, lines
        if customer:
            self.fields["email"].help_text = "The statement goes there. A new address becomes the customer's."
        self.fields["currency"].choices = [(c, f"{c}, {CURRENCIES[c]}") for c in currencies]

    def is_valid(self):
        lines = self.lines.is_valid()
        return super().is_valid() and lines

    def clean_email(self):
        return self.cleaned_data["email"].lower()

    def clean_due_on(self):
        day = self.cleaned_data["due_on"]
        if day < timezone.localdate():
            raise ValidationError("This day has passed. Choose today or a later one.")
        return day

    def clean_coupon(self):
        """The coupon of the code, or None for none."""
        code = self.cleaned_data["coupon"]
        found = coupons.find(code, self.livemode)
        if code and not found:
            raise ValidationError(f"There is no coupon {code}. Check the spelling, or leave it empty.")
        return found

    def clean(self):
        data = super().clean()
        if data.get("coupon") and (why := self._why_no_coupon(data["coupon"], data)):
            self.add_error("coupon", why)
        if not self.customer:
            if not data.get("name") and "name" not in self.errors:
                self.add_error("name", "Choose a customer above, or enter the name of a new one.")
            if not data.get("email") and "email" not in self.errors:
                self.add_error("email", "Enter the e-mail the statement goes to.")
        return data

    def _why_no_coupon(self, coupon, data):
        """Why a coupon cannot be used here. Somebody new is not the one a bound coupon is for."""
        if not self.customer and coupon.customer and coupon.customer.email != data.get("email"):
            return f"{coupon} is for {coupon.customer} alone."
        return coupons.why_not_valid(coupon, customer=self.customer, currency=data.get("currency", ""))

    @property
    def values(self):
        """The cleaned form as the domain functions take it; whom it is for apart."""
        kept = ("currency", "description", "merchant_reference_id", "statement_descriptor", "metadata", "coupon")
        data = self.cleaned_data
        return {n: data[n] for n in kept} | {"due_at": end_of_day(data["due_on"]), "lines": self.lines.values}


class NewStatementForm(StatementForm):
    """Carries a key: one form makes one statement."""

    form_key = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)


class EditStatementForm(StatementForm):
    """Carries the version it was opened at."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)


class FinalizeForm(WholeForm):
    """Says which version was looked at, and whether credit is applied."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    apply_credit = forms.BooleanField(required=False)

    def __init__(self, *args, credit=None, **kwargs):
        super().__init__(*args, **kwargs)
        if credit:
            self.fields["apply_credit"].label = f"Apply {credit} of the customer's credit balance"
        else:
            del self.fields["apply_credit"]


class ReasonForm(KitForm):
    reason = forms.CharField(max_length=500, label="Reason", help_text="For your team. The customer never sees it.")


class WhyForm(KitForm):
    why = forms.CharField(max_length=500, required=False, label="Reason", help_text="For your team. The customer never sees it.")


class MetadataForm(WholeForm):
    metadata = MetadataField(required=False, label="Metadata")
    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)


class RecordPaymentForm(OnceForm):
    """Money that came outside any gateway: at most what remains to be paid."""

    method = forms.ChoiceField(label="How it was paid", choices=list(METHODS.items()))
    paid_on = day_field(label="Received", initial=timezone.localdate)
    reference = forms.CharField(
        max_length=255,
        required=False,
        label="Your reference",
        help_text="A receipt or transfer number. The customer never sees it.",
    )

    email = forms.EmailField(
        required=False, label="Payer's email", help_text="If the customer used another one: it becomes the customer's."
    )

    field_order = ["amount", "method", "paid_on", "reference", "email", "form_key"]

    def __init__(self, *args, remaining, **kwargs):
        self.base_fields = {"amount": MoneyField(label="Amount", currencies=[remaining.currency]), **self.base_fields}
        super().__init__(*args, **kwargs)
        self.remaining = remaining

    def clean_amount(self):
        money = self.cleaned_data["amount"]
        if self.remaining < money:
            raise ValidationError(f"At most {self.remaining} remains to be paid.")
        return money

    def clean_paid_on(self):
        day = self.cleaned_data["paid_on"]
        if day > timezone.localdate():
            raise ValidationError("This day is yet to come. Choose today or an earlier one.")
        return day

    @property
    def paid_at(self):
        """The moment it counts from: now for today, else noon of its day."""
        day, now = self.cleaned_data["paid_on"], timezone.now()
        return now if day == timezone.localdate() else end_of_day(day) - timedelta(hours=11, minutes=59, seconds=59)


class ApplyCreditForm(KitForm):
    """How much of the credit goes to the statement: all that fits, unless told otherwise."""

    def __init__(self, *args, most, **kwargs):
        self.base_fields = {"amount": MoneyField(label="Amount", currencies=[most.currency])}
        super().__init__(*args, **kwargs)
        self.most = most

    def clean_amount(self):
        money = self.cleaned_data["amount"]
        if self.most < money:
            raise ValidationError(f"At most {self.most} can be applied.")
        return money


class AdjustForm(WholeForm):
    """A change of a customer's credit by hand. `seen` is the newest entry of the ledger it was opened over."""

    way = forms.ChoiceField(
        label="What to do",
        widget=forms.RadioSelect,
        initial="give",
        choices=[("give", "Give credit"), ("take", "Take credit away")],
    )
    reason = forms.CharField(max_length=500, label="Reason", help_text="Stands in the ledger. The customer never sees it.")

    seen = forms.CharField(max_length=40, required=False, widget=forms.HiddenInput)

    field_order = ["way", "amount", "reason", "seen"]

    def __init__(self, *args, currencies, **kwargs):
        self.base_fields = {**self.base_fields, "amount": MoneyField(label="Amount", currencies=currencies)}
        super().__init__(*args, **kwargs)
