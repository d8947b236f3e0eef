"""Pages about a customer's personal data: take a copy, erase it, read what the law keeps."""

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import FileResponse
from django.urls import reverse

from customers.models import Customer, KeptRecord
from customers.privacy import erasure, pack
from customers.privacy.registry import ask, holdings
from dashboard.forms import KitForm
from dashboard.models import Event
from dashboard.stepup import StepUp
from dashboard.views import DetailView
from dashboard.views.forms import ObjectFormView

SHOWN = 500


class PrivacyMixin:
    queryset = Customer.objects.all()
    section = "customers"


class DataPack(PrivacyMixin, ObjectFormView):
    """Everything about one customer as a file for them. Making it is noted, so it is a POST."""

    permission = "customers.download_data"
    form_class = KitForm
    title = "Download their data"
    submit = "Download"
    template_name = "customers/data_pack.html"

    def get_title(self):
        return self.title

    def post(self, request, *args, **kwargs):
        kept = request.user.has_perm("customers.erase_customer")
        file = pack.make_pack(self.object, by=request.user, kept=kept)
        response = FileResponse(file, as_attachment=True, filename=pack.file_name(self.object), content_type="application/zip")
        response["Cache-Control"] = "private, no-store"
        return response


class EraseForm(KitForm):
    """Why, in words of ours; and the name or ID once more, typed."""

    reason = forms.ChoiceField(choices=[("", "Choose a reason"), *erasure.Why.choices], label="Why")
    confirm = forms.CharField(
        max_length=600, label="The customer's name or ID, to confirm", widget=forms.TextInput({"autocomplete": "off"})
    )

    def __init__(self, *args, customer, **kwargs):
        super().__init__(*args, **kwargs)
        self.customer = customer

    def clean_confirm(self):
        typed = self.cleaned_data["confirm"].strip()
        if typed.casefold() not in (self.customer.name.casefold(), self.customer.pk):
            raise ValidationError("This is not the customer's name or ID. Nothing was erased.")
        return typed


class CustomerErase(PrivacyMixin, StepUp, ObjectFormView):
    """Shows first what will be removed, what is kept, and what stands in the way."""

    permission = "customers.erase_customer"
    form_class = EraseForm
    title = "Erase personal data"
    submit = "Erase for good"
    template_name = "customers/erase.html"
    nothing = "Nothing was erased."

    def get_title(self):
        return self.title

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"customer": self.object}

    def get_context_data(self, **kwargs):
        return super().get_context_data(report=erasure.report_on(self.object), customer=self.object, **kwargs)

    def act(self, data):
        _, elsewhere = erasure.erase_customer(self.object, why=data["reason"], by=self.request.user)
        for sentence in elsewhere:
            messages.warning(self.request, sentence)
        return "The customer was erased."


class CustomerKept(PrivacyMixin, DetailView):
    """What the law keeps of an erased customer, for admins."""

    permission = "customers.erase_customer"
    template_name = "customers/kept.html"

    def get_title(self):
        return "Kept by law"

    def get_context_data(self, **kwargs):
        rows = KeptRecord.objects.filter(customer=self.object).order_by("-object_id")
        records = [(_link(record), record, _facts(record)) for record in rows[:SHOWN]]
        return super().get_context_data(customer=self.object, records=records, count=rows.count(), **kwargs)


def _link(record):
    """(name, address or "") of the document something is kept of."""
    name = record.object_type.partition(".")[2]
    words = {"billingstatement": "Statement", "lineitem": "Line of a statement", "payment": "Payment", "refund": "Refund"}
    pages = {"billingstatement": "billing:statement", "payment": "billing:payment", "refund": "billing:refund"}
    return words.get(name, name), reverse(pages[name], args=[record.object_id]) if name in pages else ""


def _facts(record):
    """(name, text) of what is kept of one document."""
    return [(name.replace("_", " ").capitalize(), _text(value)) for name, value in record.values.items()]


def _text(value):
    return ", ".join(f"{part}" for part in value.values() if part) if isinstance(value, dict) else str(value)


def erased_context(customer):
    """What the page of an erased customer tells: what was removed, by whom; what is kept; what may be elsewhere."""
    erasures = list(Event.objects.filter(customer_id=customer.pk, type=erasure.ERASED).select_related("by").order_by("pk"))
    counts = {}
    for event in erasures:
        for noun, count in event.data.get("counts", {}).items():
            counts[noun] = counts.get(noun, 0) + count
    words = {h.table._meta.model_name: h.words for h in holdings() if h.words} | {"drafts": "drafts of statements"}
    kept = KeptRecord.objects.filter(customer=customer)
    return {
        "erasures": erasures,
        "removed": [(words[noun], count) for noun, count in counts.items() if noun in words],
        "kept_count": kept.count(),
        "kept_until": kept.order_by("-kept_until").values_list("kept_until", flat=True).first(),
        "elsewhere": list(ask("left_elsewhere", customer)),
        "reasons": ", ".join(dict(erasure.Why.choices).get(event.why, event.why) for event in erasures),
    }
