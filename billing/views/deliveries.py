"""What gateways told us, and the button that works on it again."""

import json
import re

from django.contrib import messages
from django.urls import reverse

from billing.domain import webhooks
from billing.filters import DeliveryFilter
from billing.models import WebhookDelivery
from billing.tables import DeliveryTable
from billing.views.records import history
from dashboard.card_numbers import find_card_number
from dashboard.forms import KitForm
from dashboard.masking import HIDDEN
from dashboard.text import clean_text
from dashboard.views import ActionView, DetailView, ListView

LONGEST = 40_000  # characters of a body that are shown
SECRET_NAME = re.compile(
    r"secret|token|password|signature|authorization|api_?key|cvc|cvv|fingerprint|^(number|pan|key|url)$", re.I
)
SECRET_TEXT = re.compile(r"\b(?:sk|rk|pk|whsec|pi|seti|cs)_\w*?secret\w+|\b(?:sk|rk|whsec)_\w+|https?://\S*", re.I)
State = WebhookDelivery.State


class DeliveryList(ListView):
    queryset = WebhookDelivery.objects.defer("body")
    permission = "billing.view_delivery"
    section = "deliveries"
    title = "Webhook deliveries"
    table_class = DeliveryTable
    filterset_class = DeliveryFilter
    list_name = "billing:deliveries"
    noun, plural = "delivery", "deliveries"
    search_hint = ""
    tabs = (
        ("All", ""),
        ("Not settled yet", "state=waiting"),
        ("Processed", "state=processed"),
        ("Not ours", "state=ignored"),
        ("Failed", "state=failed"),
    )
    empty_text = "What gateways report about payments and refunds is kept here, as it came."


class DeliveryMixin:
    """Pages of one delivery."""

    queryset = WebhookDelivery.objects.all()
    permission = "billing.view_delivery"
    section = "deliveries"


class DeliveryDetail(DeliveryMixin, DetailView):
    template_name = "billing/delivery.html"

    def get_context_data(self, **kwargs):
        found = self.object
        return super().get_context_data(delivery=found, body=readable(found.body), history=history(found), **kwargs)


class DeliveryReplay(DeliveryMixin, ActionView):
    """Work on a delivery again, as if it had just come."""

    permission = "billing.replay_delivery"
    title = submit = "Replay delivery"
    form_class = KitForm
    consequence = "The gateway is asked about what this delivery names, and the answer is applied. Nothing is charged twice."

    def act(self, data):
        webhooks.replay(self.object, by=self.request.user)
        self.object.refresh_from_db()
        level, sentence = TOLD[self.object.state]
        messages.add_message(self.request, level, f"{sentence} {self.object.error}".strip())

    def get_success_url(self):
        return reverse("billing:delivery", args=[self.object.pk])


TOLD = {
    State.PROCESSED: (messages.SUCCESS, "The gateway was asked, and what it says is applied."),
    State.IGNORED: (messages.SUCCESS, "This is about nothing of yours. Nothing changed."),
    State.PARKED: (messages.WARNING, "What this is about is not here yet. It is tried again by itself."),
    State.RECEIVED: (messages.INFO, "It waits to be worked on."),
    State.FAILED: (messages.ERROR, "It failed again. Nothing changed."),
}


def readable(body):
    """A body for people: indented when it is JSON, cut when it is long, with whatever could be misused hidden."""
    try:
        text = clean_text(json.dumps(_masked(json.loads(body)), indent=2, ensure_ascii=False))  # JSON may spell anything
    except (ValueError, RecursionError):
        text = _masked_text(body)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n…"


def _masked(value, name=""):
    if isinstance(value, dict):
        return {key: _masked(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, name) for inner in value]
    if value not in (None, "", True, False) and SECRET_NAME.search(name):
        return HIDDEN
    if isinstance(value, int) and not isinstance(value, bool) and find_card_number(str(value)):
        return HIDDEN
    return _masked_text(value) if isinstance(value, str) else value


def _masked_text(text):
    return HIDDEN if find_card_number(text) else SECRET_TEXT.sub(HIDDEN, text)
