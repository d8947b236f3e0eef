"""The sandbox's own pages, for payers: its card page, and the page of the payer's bank. No money moves on either.

They take the listed test numbers and nothing else.
"""

from urllib.parse import urlsplit

from django import forms
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters

from billing.gateways.sandbox import bank, deliveries
from billing.gateways.sandbox.cards import ACCOUNTS, CARDS, find_card
from billing.gateways.sandbox.models import SandboxCharge, SandboxCheckout
from billing.views.public import PublicView
from dashboard.limits import Limit
from dashboard.money import Money

SUBMITS = Limit("sandbox-card", rate=40 / 600, burst=40, lenient=True)  # cards tried on one page
UNLISTED = "This is not one of the test cards. Choose one from the list. The number was not kept, and no money moved."
ELSEWHERE = "This page does not take that. Choose one from the list. No money moved."


def takes_debits(checkout):
    """Whether a page offers bank debits: asked for, and neither to save a card nor to capture later."""
    return "bank_account" in checkout.method_types and checkout.capture and not bank.is_setup(checkout)


def card_choices(debits=True):
    """The test cards for a select: those that succeed, those that do more, those that fail; then bank debits."""
    groups = {
        "Succeeds": [c for c in CARDS if not c.failure and not c.trait],
        "Something happens": [c for c in CARDS if c.trait],
        "Fails": [c for c in CARDS if c.failure],
        "Bank debit": ACCOUNTS if debits else [],
    }
    return [(title, [(c.number, c.title) for c in cards]) for title, cards in groups.items() if cards]


class Forgetful(forms.TextInput):
    """A box that is empty whenever it is shown: what was typed is never sent back."""

    def format_value(self, value):
        return None


class CardForm(forms.Form):
    """A test card from the list, or its number typed. `version` makes one form good for one submit."""

    mark_optional = False
    card = forms.ChoiceField(label="Test card", choices=card_choices, required=False, error_messages={"invalid_choice": UNLISTED})
    number = forms.CharField(
        label="Or type a test card number",
        required=False,
        max_length=40,
        help_text="It is used instead of the one chosen above. Any other number is refused and not kept.",
        widget=Forgetful(attrs={"inputmode": "numeric", "autocomplete": "off", "placeholder": "4242 4242 4242 4242"}),
    )
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)

    def __init__(self, *args, debits=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.debits = debits
        self.fields["card"].choices = card_choices(debits)

    def clean(self):
        data = super().clean()
        found = data["found"] = find_card(data.get("number") or data.get("card"))
        if not found and not self.errors:
            self.add_error("number", UNLISTED)
        if found and found.type != "card" and not self.debits:
            self.add_error("number", ELSEWHERE)
        return data


@method_decorator(sensitive_post_parameters("number", "card"), name="dispatch")
class Checkout(PublicView):
    """The remote world's page: it stands for a payment company's own site."""

    def get(self, request, pk):
        found = SandboxCheckout.objects.filter(pk=pk).first()
        return self.page(found, self.form(found)) if found else self.unknown()

    def post(self, request, pk):
        found = SandboxCheckout.objects.filter(pk=pk).first()
        if not found:
            return self.unknown()
        SUBMITS.spend(found.pk)
        form = self.form(found, request.POST)
        if not form.is_valid():
            return self.page(found, form, status=422)
        bank.pay(found, form.cleaned_data["found"], version=form.cleaned_data["version"])
        return HttpResponseRedirect(self.onward(found))

    def form(self, found, data=None):
        return CardForm(data, debits=takes_debits(found), initial={"version": found.version})

    def onward(self, found):
        """Where the payer goes next: to their bank, back to this page with its refusal, or back to the merchant."""
        if waiting := bank.waiting_charge(found):
            return reverse("sandbox_authenticate", args=[waiting.pk])
        tell_now(found)
        stays = bank.is_setup(found) and SandboxCheckout.objects.filter(pk=found.pk, status="open").exists()
        return reverse("sandbox_checkout", args=[found.pk]) if stays else back(found)

    def page(self, found, form, status=200):
        context = {"checkout": found, "form": form, "back": back(found), "amount": Money(found.amount, found.currency)}
        setup = bank.is_setup(found)
        refused = bank.last_failure(found) if setup and bank.takes_payment(found) else ""
        return self.show(
            "pay/sandbox.html", status=status, takes=bank.takes_payment(found), setup=setup, refused=refused, **context
        )


class Authenticate(PublicView):
    """The page of the payer's bank (3-D Secure): confirm, refuse, or go back without either."""

    def get(self, request, pk):
        found = SandboxCharge.objects.select_related("checkout").filter(pk=pk).first()
        return self.page(found) if found else self.unknown()

    def post(self, request, pk):
        found = SandboxCharge.objects.select_related("checkout").filter(pk=pk).first()
        if not found:
            return self.unknown()
        SUBMITS.spend(found.pk)
        bank.authenticate(found, confirmed="approve" in request.POST)
        if not found.checkout:
            deliveries.send_about(found.pk)
            return HttpResponseRedirect(request.path)
        tell_now(found.checkout)
        setup_failed = bank.is_setup(found.checkout) and bank.takes_payment(found.checkout) and "approve" not in request.POST
        page = reverse("sandbox_checkout", args=[found.checkout_id])
        return HttpResponseRedirect(page if setup_failed else back(found.checkout))

    def page(self, found):
        context = {"charge": found, "amount": Money(found.amount, found.currency), "waits": found.status == found.Status.ACTION}
        over = found.checkout and not bank.takes_payment(found.checkout)
        context["waits"] = context["waits"] and not over
        return self.show("pay/sandbox_authenticate.html", back=back(found.checkout) if found.checkout else "", **context)


def tell_now(found):
    """Deliver what the sandbox has to say about a page before its payer is back: as fast as a company is at best."""
    deliveries.send_about(found.pk, *found.charges.values_list("pk", flat=True))


def back(found):
    """The return address without its host: this page stands on the product's own site, whatever its name."""
    return urlsplit(found.return_url).path
