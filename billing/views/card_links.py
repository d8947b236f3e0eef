"""Pages about card tokenization links: list, details, the form that makes one, mail, QR code, end."""

import secrets
from datetime import timedelta

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import cached_property

from billing.domain import card_links as domain
from billing.filters import CardLinkFilter
from billing.gateways import about
from billing.life import life_of
from billing.models import Attempt, TokenizationLink
from billing.tables import CardLinkTable, CustomerCardLinkTable
from billing.views.records import SHARES, CustomerSection, LinkQr, OfCustomer, RecordDetail, RecordList, warnings
from billing.views.sending import SendForm, SendView
from dashboard.forms import KitForm
from dashboard.views import ActionView, FormView

UNITS = {"minutes": "minutes", "hours": "hours", "days": "days"}
MOST = 30 * 24 * 60  # of any unit: what is far out of bounds need not be added up
WIDE = ("search", "customer__search", "customer__metadata", "customer__description")  # no column of a list shows them


# --- lists -------------------------------------------------------------------------------------------------
class CardLinkList(RecordList):
    queryset = TokenizationLink.objects.sent().select_related("customer").defer(*WIDE)
    permission = "billing.view_cardlink"
    section = "card_links"
    title = "Card tokenization links"
    table_class = CardLinkTable
    filterset_class = CardLinkFilter
    list_name = "billing:card_links"
    help_topic = "collect"
    export_name = "card-tokenization-links"
    noun, plural = "link", "links"
    search_hint = "Customer, message"
    tabs = (
        ("All", ""),
        ("New", "status=new"),
        ("Done", "status=done"),
        ("Expired", "status=expired"),
        ("Canceled", "status=canceled"),
    )
    empty_text = "Open a customer, choose More actions and Request card details: you get a link to send, and it is listed here."


class CustomerCardLinkList(CustomerSection, CardLinkList):
    table_class = CustomerCardLinkTable
    empty_text = "Links you send this customer to save a card are listed here."


# --- making one ----------------------------------------------------------------------------------------------
class ShortNumber(forms.NumberInput):
    """A box for a few digits: what is longer, as a card number is, is not shown again."""

    def format_value(self, value):
        return value if len(str(value or "")) <= len(str(MOST)) else None


class CardLinkForm(KitForm):
    """How long the link works, what the payer reads, and a key: one form makes one link."""

    gateway = forms.ChoiceField(label="Gateway", help_text="The payment company that keeps the card.")
    length = forms.IntegerField(
        label="Link works for", min_value=1, max_value=MOST, initial=domain.USUAL.days,
        widget=ShortNumber(attrs={"inputmode": "numeric"}), help_text="From 1 minute to 30 days.",
        error_messages={"max_value": domain.OUT_OF_BOUNDS, "min_value": domain.OUT_OF_BOUNDS},
    )  # fmt: skip
    unit = forms.ChoiceField(label="Minutes, hours or days", choices=list(UNITS.items()), initial="days")
    description = forms.CharField(
        max_length=500, required=False, label="Message to the customer", widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What the card is for. It stands on the page they open.",
    )  # fmt: skip
    make_default = forms.BooleanField(
        required=False, label="Make it the default", help_text="Charges use the new card unless another one is chosen."
    )
    form_key = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)

    def __init__(self, data=None, *, gateways, **kwargs):
        super().__init__(data, **kwargs)
        self.fields["gateway"].choices = [(slug, about(slug).name) for slug in gateways]
        if len(gateways) < 2:
            self.fields["gateway"].widget = forms.HiddenInput()

    def clean(self):
        """The bounds are said at the field; what is wrong with a part nobody sees is said on top."""
        data = super().clean()
        if "length" in data and "unit" in data:
            data["lasts"] = timedelta(**{data["unit"]: data["length"]})
            if not domain.SOONEST <= data["lasts"] <= domain.LATEST:
                self.add_error("length", domain.OUT_OF_BOUNDS)
        if "form_key" in self.errors or ("gateway" in self.errors and self.fields["gateway"].widget.is_hidden):
            raise ValidationError("Parts of this form are missing. Nothing is created. Open the form again.")
        return data


class CardLinkNew(OfCustomer, FormView):
    """Request card details: a link on which the customer saves a card."""

    permission = "billing.add_cardlink"
    title = "Request card details"
    submit = "Create"
    template_name = "billing/card_link_new.html"

    @cached_property
    def gateways(self):
        return domain.gateways_saving(self.customer)

    def get_form(self, data=None):
        first = self.gateways[0] if self.gateways else ""
        return CardLinkForm(data, gateways=self.gateways, initial={"gateway": first, "form_key": secrets.token_hex(16)})

    def act(self, data):
        kept = {name: data[name] for name in ("gateway", "description", "make_default", "form_key")}
        expires_at = timezone.now() + data["lasts"]
        self.made = domain.create_card_link(self.customer, by=self.request.user, expires_at=expires_at, **kept)

    def get_success_url(self):
        return f"{self.made.get_absolute_url()}?created=1"

    def get_back_url(self):
        return self.customer.get_absolute_url()

    def get_refusal(self):
        """Why no card can be asked for here at all; "" when it can."""
        if self.customer.archived:
            return self.customer.why_closed
        return "" if self.gateways else domain.no_gateway(self.customer)

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            **kwargs,
            refusal=self.get_refusal(),
            open_link=self.customer.card_links.sent().open().order_by("-pk").first(),
            warnings=warnings(self.customer),
        )


# --- one of them ---------------------------------------------------------------------------------------------
class CardLinkMixin:
    """Pages of one link."""

    queryset = TokenizationLink.objects.select_related("customer", "created_by", "method")
    permission = "billing.view_cardlink"
    section = "card_links"


class CardLinkDetail(CardLinkMixin, RecordDetail):
    """A link with what became of it, and, right after it was made, the link in a dialog to send."""

    template_name = "billing/card_link.html"

    def get_context_data(self, **kwargs):
        found = self.object
        usable = found.payable and not found.by_staff and not found.customer.archived
        shares = usable and self.request.user.has_perm(SHARES)
        attempts = Attempt.objects.for_target(found, Attempt.Kind.CHECKOUT)
        return super().get_context_data(
            link=found,
            gateway=about(found.gateway),
            shares=shares,
            created=shares and "created" in self.request.GET,
            chat=chat_text(found) if shares else "",
            checking=attempts.unknown().exists(),
            life=life_of(found, viewer=self.request.user),
            **kwargs,
        )


def chat_text(link):
    """A message for a chat, link and all."""
    name = link.customer.first_name or link.customer_name
    return f"Hi {name}, save your card for {settings.MERCHANT_NAME} here: {link.url}"


class CardLinkQr(CardLinkMixin, LinkQr):
    """Of a link that can still be used."""

    permission = SHARES

    def get_queryset(self):
        return super().get_queryset().sent().open()


class LinkSendForm(SendForm):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["message"].help_text = "It stands between the greeting and the link."


class CardLinkSend(CardLinkMixin, SendView):
    permission = "billing.add_cardlink"
    form_class = LinkSendForm
    title, submit = "Send card tokenization link", "Send"
    send, letter, why_not = domain.send_card_link, domain.card_link_letter, domain.why_not_sent


class CardLinkCancel(CardLinkMixin, ActionView):
    permission = "billing.add_cardlink"
    form_class = KitForm
    title = submit = "Expire now"
    danger = True
    consequence = "The link stops working at once and for good: nobody can save a card on it any more. No money moves."

    def act(self, data):
        domain.cancel_card_link(self.object, by=self.request.user)
        return "The link no longer works."
