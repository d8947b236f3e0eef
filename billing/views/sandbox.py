"""The sandbox's own card page. It takes the listed test numbers and nothing else, and moves no money."""

from urllib.parse import urlsplit

from django import forms
from django.http import HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from billing.domain import checkouts
from billing.gateways.sandbox import bank
from billing.gateways.sandbox.cards import CARDS, find_card
from billing.gateways.sandbox.models import SandboxCheckout
from billing.views.public import PublicView, limit
from dashboard.money import Money

SUBMITS = (40, 600)  # times, seconds: cards tried on one page
UNLISTED = "This is not one of the test cards. Choose one from the list. The number was not kept, and no money moved."


def card_choices():
    """The test cards for a select: those that succeed, then those that fail."""
    groups = {"Succeeds": [c for c in CARDS if not c.failure], "Fails": [c for c in CARDS if c.failure]}
    return [(title, [(c.number, f"{c.label} · {c.spaced}") for c in cards]) for title, cards in groups.items()]


class Forgetful(forms.TextInput):
    """A box that is empty whenever it is shown: what was typed is never sent back."""

    def format_value(self, value):
        return None


class CardForm(forms.Form):
    """A test card from the list, or its number typed. `version` makes one form good for one submit."""

    mark_optional = False
    card = forms.ChoiceField(label="Test card", choices=card_choices, required=False)
    number = forms.CharField(
        label="Or type a test card number",
        required=False,
        max_length=40,
        help_text="It is used instead of the one chosen above. Any other number is refused and not kept.",
        widget=Forgetful(attrs={"inputmode": "numeric", "autocomplete": "off", "placeholder": "4242 4242 4242 4242"}),
    )
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    def clean(self):
        data = super().clean()
        data["found"] = find_card(data.get("number") or data.get("card"))
        if not data["found"] and not self.errors:
            self.add_error("number", UNLISTED)
        return data


@method_decorator(sensitive_post_parameters("number", "card"), name="dispatch")
class Checkout(PublicView):
    """The remote world's page: it stands for a payment company's own site."""

    def get(self, request, pk):
        found = SandboxCheckout.objects.filter(pk=pk).first()
        return self.page(found, CardForm(initial={"version": found.version})) if found else self.unknown()

    def post(self, request, pk):
        found = SandboxCheckout.objects.filter(pk=pk).first()
        if not found:
            return self.unknown()
        limit("card", found.pk, *SUBMITS)
        form = CardForm(request.POST)
        if not form.is_valid():
            return self.page(found, form, status=422)
        bank.pay(found, form.cleaned_data["found"], version=form.cleaned_data["version"])
        checkouts.settle_checkout("sandbox", found.pk)  # the sandbox's message that something happened, delivered at once
        return HttpResponseRedirect(back(found))

    def page(self, found, form, status=200):
        context = {"checkout": found, "form": form, "back": back(found), "amount": Money(found.amount, found.currency)}
        return self.show("pay/sandbox.html", status=status, takes=bank.takes_payment(found), **context)


def back(found):
    """The return address without its host: this page stands on the product's own site, whatever its name."""
    return urlsplit(found.return_url).path
