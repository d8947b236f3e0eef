"""The virtual terminal: staff charge a customer at once, to a method on file, to a test card, or on the gateway's page."""

import secrets

from django.contrib import messages
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views.decorators.debug import sensitive_post_parameters

from billing.domain import charges, checkouts, requests, sandbox
from billing.forms import currencies_for, first_country
from billing.gateways import GATEWAYS
from billing.method_forms import NO_MONEY, PAGE, SANDBOX, TEST_CARD, ChargeForm
from billing.models import Payment, PaymentMethod
from billing.views.methods import PAGE_LIFE, LeadsToGateway
from billing.views.records import OfCustomer, warnings
from billing.views.sandbox import card_choices
from dashboard.money import Money
from dashboard.places import country_name
from dashboard.states import DomainError
from dashboard.views import FormView

MOST = 50  # methods offered: a customer with more has them on the page of payment methods
PRESETS = {"description": "description", "reference": "merchant_reference_id"}  # what an address may fill in


@method_decorator(sensitive_post_parameters("card"), name="dispatch")
class Charge(LeadsToGateway, OfCustomer, FormView):
    """Create payment. One form charges once, however often it is sent; no box here takes a card number."""

    permission = "billing.charge"
    title = "Virtual terminal"
    submit = "Charge"
    template_name = "billing/terminal.html"

    @cached_property
    def methods(self):
        return list(PaymentMethod.objects.active().for_customer(self.customer).shown_first()[:MOST])

    @cached_property
    def currencies(self):
        """Those some gateway of this mode takes, the customer's own first."""
        own, taken = self.customer.currency, currencies_for(self.request.livemode, [])
        return sorted(taken, key=lambda code: (code != own, code))

    @property
    def test_cards(self):
        """The sandbox's cards to choose from; none in live mode, where no card is typed or chosen here."""
        return [] if self.request.livemode or SANDBOX not in GATEWAYS else card_choices(debits=False)

    # --- the form ------------------------------------------------------------------------------------
    def get_form(self, data=None):
        offered = {"methods": self.methods, "card_choices": self.test_cards, "currencies": self.currencies}
        return ChargeForm(data, livemode=self.request.livemode, initial=self.get_initial(), **offered)

    def get_initial(self):
        """The customer's own, and what the address says."""
        given = {field: self.request.GET.get(name, "") for name, field in PRESETS.items()}
        own = {"country": first_country(self.customer), "form_key": secrets.token_hex(16), "method": self.preset_method()}
        return own | given | ({"amount": money} if (money := self.preset_amount()) else {})

    def preset_method(self):
        """The method the address names, else the default, else another that can be charged, else the gateway's page."""
        usable = [method.pk for method in self.methods if not method.expired]
        asked = self.request.GET.get("method", "")
        return asked if asked in (*usable, TEST_CARD, PAGE) else next(iter(usable), PAGE)

    def preset_amount(self):
        """The Money the address asks for, or None."""
        currency = self.request.GET.get("currency") or self.customer.currency
        try:
            return Money.parse(self.request.GET.get("amount", "")[:30], currency)
        except (ValueError, KeyError):
            return None

    def get_refusal(self):
        """Why nothing can be charged here at all; "" when something can."""
        if self.customer.archived:
            return f"{self.customer.why_closed} {NO_MONEY}"
        if not self.currencies:
            mode = "live" if self.request.livemode else "test"
            return f"No payment gateway is connected in {mode} mode, so nothing can be charged yet. {NO_MONEY}"
        return ""

    def post(self, request, *args, **kwargs):
        if self.get_refusal():
            return self.refuse(self.get_form())
        return super().post(request, *args, **kwargs)

    # --- the charge ----------------------------------------------------------------------------------
    def act(self, data):
        if data["method"] == PAGE:
            return self.open_page(data)
        self.refuse_another(data)
        self.made = self.charge(data)
        if sentence := told(self.made):
            messages.success(self.request, sentence)

    def charge(self, data):
        """The payment, as it came back: paid, authorised, failed with its reason, or under way."""
        how = self.how(data) | {
            "statement_descriptor": data["statement_descriptor"],
            "capture": not data["two_step"],
            "custom_fields": {"Payer’s country": country_name(data["country"])},
        }
        if data["method"] == TEST_CARD:
            return sandbox.charge_test_card(self.customer, data["test_card"], save=data["save_card"], **how)
        return charges.charge(self.customer, method=data["source"], **how)

    def open_page(self, data):
        """The gateway's page, for staff to fill in with the payer on the telephone or beside them."""
        asked = requests.create_payment_request(
            self.customer,
            country=data["country"],
            method_types=["card"],
            save_card=data["save_card"],
            authorize_only=data["two_step"],
            expires_at=timezone.now() + PAGE_LIFE,
            by_staff=True,
            **self.how(data),
        )
        self.attempt = checkouts.start_payment(asked)

    def how(self, data):
        """What every way to charge takes."""
        money = data["amount"]
        kept = {name: data[name] for name in ("description", "merchant_reference_id", "metadata", "form_key")}
        return kept | {"amount": money.minor, "currency": money.currency, "by": self.request.user}

    def refuse_another(self, data):
        """A form that was sent with another card, after going back to it, must not give that card's result."""
        made = Payment.objects.filter(form_key=data["form_key"], customer=self.customer).first()
        if made and made.method_last4 != (data["test_card"] or data["source"]).last4:
            raise DomainError(
                f"This form charged {made.method} already: see “{made}” among the payments. "
                "Open a new form to charge another card. No further money moved."
            )

    def get_success_url(self):
        return self.attempt.url if self.attempt else self.made.get_absolute_url()

    def get_back_url(self):
        return self.customer.get_absolute_url()

    def get_context_data(self, form, **kwargs):
        return super().get_context_data(
            form=form,
            refusal=self.get_refusal(),
            unmoved=form.is_bound and "urther money moved" not in str(form.errors),
            warnings=warnings(self.customer),
            **kwargs,
        )


def told(payment):
    """What is said above the payment's page when the money came; its own notes say the rest."""
    if payment.status == Payment.Status.PAID:
        return f"{payment.amount_money} was charged to {payment.method}."
    if payment.status == Payment.Status.AUTHORIZED:
        return f"{payment.amount_money} is authorised on {payment.method}. Capture it to be paid."
    return ""
