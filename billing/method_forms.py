"""What staff type about payment methods and at the virtual terminal: shapes and sentences; nothing is saved here.

No field takes a card number: one is typed on a gateway's own page, and the sandbox's test cards are chosen from a list.
"""

from django import forms
from django.core.exceptions import ValidationError

from billing.domain import charges, requests
from billing.gateways import about, gateway_for, gateways_for
from billing.gateways.sandbox.cards import find_card
from dashboard.forms import CountryField, KitForm, MetadataField, MoneyField
from dashboard.states import DomainError

PAGE, TEST_CARD = "page", "test_card"  # ways to pay at the terminal besides the methods on file
SANDBOX = "sandbox"
NO_MONEY = "No money moved."
MISSING = f"A part of this form is missing. {NO_MONEY} Open the form again."


class Once(KitForm):
    """A form that carries a key: it does once what it does, however often it is sent."""

    form_key = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)

    def clean(self):
        """What is wrong with a part nobody sees is said on top."""
        data = super().clean()
        if any(self.fields[name].widget.is_hidden for name in self.errors):
            raise ValidationError(MISSING)
        return data


class AddCardForm(Once):
    """Where the card is kept, and whether it becomes the default. What is not open to choice is not asked."""

    gateway = forms.ChoiceField(label="Kept at", help_text="The payment company that keeps the card and charges it.")
    make_default = forms.BooleanField(
        required=False, label="Make it the default", help_text="Charges without a chosen payment method use the default."
    )

    def __init__(self, data=None, *, slugs, first, **kwargs):
        super().__init__(data, **kwargs)
        self.fields["gateway"].choices = [(slug, about(slug).name) for slug in slugs]
        if len(slugs) < 2:
            self.fields["gateway"].required = False
            self.fields["gateway"].widget = forms.HiddenInput()
        if first:
            del self.fields["make_default"]


class ChargeForm(Once):
    """The virtual terminal: what is charged, to which method. `methods` are those on file, `card_choices` the test cards."""

    country = CountryField(label="Payer’s country", empty="Choose a country", help_text="Where the card or account is from.")
    method = forms.ChoiceField(
        label="Payment method",
        widget=forms.RadioSelect,
        error_messages={
            "required": f"Choose what to charge. {NO_MONEY}",
            "invalid_choice": f"This payment method is not on file any more. Choose another. {NO_MONEY}",
        },
    )
    card = forms.ChoiceField(
        label="Test card", required=False, error_messages={"invalid_choice": f"Choose a card from the list. {NO_MONEY}"}
    )
    amount = MoneyField(label="Amount")
    description = forms.CharField(max_length=500, required=False, help_text="What it is for. It stands on the receipt.")
    statement_descriptor = forms.CharField(
        max_length=22, required=False, label="Statement descriptor", help_text="On the payer’s bank statement. 22 characters."
    )
    merchant_reference_id = forms.CharField(
        max_length=255, required=False, label="Your reference", help_text="An order or file number. The payer never sees it."
    )
    two_step = forms.BooleanField(
        required=False,
        label="Two-step payment: authorise now, capture later",
        help_text="The amount is reserved on the card. You take it, or let it go, on the payment’s page.",
    )
    save_card = forms.BooleanField(
        required=False, label="Save card", help_text="A card that pays is kept as a payment method of this customer."
    )
    metadata = MetadataField()

    def __init__(self, data=None, *, livemode, methods, card_choices, currencies, **kwargs):
        super().__init__(data, **kwargs)
        self.livemode, self.methods = livemode, {method.pk: method for method in methods}
        self.fields["amount"] = field = MoneyField(label="Amount", currencies=currencies)
        field.fields[1].error_messages["invalid_choice"] = f"No gateway takes this currency here. Choose another. {NO_MONEY}"
        self.fields["method"].choices = [(value, value) for value, *_ in self.ways(bool(card_choices))]
        if card_choices:
            self.fields["card"].choices = [("", "Choose a test card"), *card_choices]
        else:
            del self.fields["card"]

    # --- what can be charged -----------------------------------------------------------------------
    def ways(self, test_cards=None):
        """(value, method or None, whether it can be chosen) of each way to pay, as the page offers them."""
        found = [(method.pk, method, not why_not(method)) for method in self.methods.values()]
        if "card" in self.fields if test_cards is None else test_cards:
            found.append((TEST_CARD, None, True))
        return [*found, (PAGE, None, True)]

    @property
    def options(self):
        """(value, method, usable, chosen, DOM id) of each way to pay, for the template."""
        chosen = self["method"].value()
        return [(v, m, usable, v == chosen, f"id_method_{n}") for n, (v, m, usable) in enumerate(self.ways())]

    # --- what may be charged -------------------------------------------------------------------------
    def clean(self):
        data = super().clean()
        data["source"], data["test_card"] = self.methods.get(data.get("method")), None
        if data.get("method") == TEST_CARD:
            self._clean_card(data)
        self._say("method", self._check_source, data)
        self._say("amount", self._check_amount, data)
        self._say("two_step", self._check_two_step, data)
        if data.get("method") == PAGE and data.get("statement_descriptor"):
            self.add_error("statement_descriptor", f"The gateway’s own page does not take one. Leave it empty. {NO_MONEY}")
        return data

    def _clean_card(self, data):
        data["test_card"] = find_card(data.get("card"))
        if not data["test_card"] and "card" not in self.errors:
            self.add_error("card", f"Choose a test card. {NO_MONEY}")

    def _say(self, name, check, data):
        """What a rule of the domain says, at the field it is about."""
        try:
            check(data)
        except DomainError as error:
            self.add_error(name, str(error))

    def _check_source(self, data):
        if data["source"] and (why := why_not(data["source"])):
            raise DomainError(why)

    def _check_amount(self, data):
        """At the gateway that would be asked: one on file knows its own, a page is the preferred one's."""
        money, slug = data.get("amount"), self._gateway(data)
        if not money or "method" in self.errors:
            return
        if slug:
            return charges.refuse_amount(gateway_for(slug), money.minor, money.currency)
        smallest, largest = requests.limits(self.livemode, money.currency)
        if not smallest.minor <= money.minor <= largest.minor:
            raise DomainError(f"The gateway takes amounts from {smallest} to {largest}. {NO_MONEY}")

    def _check_two_step(self, data):
        money, slug = data.get("amount"), self._gateway(data)
        if not data.get("two_step") or not money or self.errors:
            return
        gateway = gateway_for(slug) if slug else gateways_for(self.livemode, money.currency)[0]
        charges.refuse_two_steps(gateway, data["source"].type if data["source"] else "card")

    def _gateway(self, data):
        """The slug of the gateway that would charge; "" when the payer's page decides."""
        if data.get("method") == TEST_CARD:
            return SANDBOX
        return data["source"].gateway if data.get("source") else ""


def why_not(method):
    """Why a method on file cannot be charged; "" when it can."""
    try:
        charges.refuse_method(method)
    except DomainError as error:
        return str(error)
    return ""
