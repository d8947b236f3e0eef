"""What staff type about payments and refunds: shapes and sentences; nothing is saved here."""

from django import forms
from django.core.exceptions import ValidationError

from billing.models import Refund
from dashboard.forms import KitForm, MetadataField, MoneyField


class RefundForm(KitForm):
    """How much, why, and where to. Carries a key: one form makes one refund."""

    amount = MoneyField(label="Amount")
    reason = forms.ChoiceField(
        choices=[("", "Choose a reason"), *Refund.Reason.choices], error_messages={"required": "Choose why it is refunded."}
    )
    destination = forms.ChoiceField(
        choices=Refund.Destination.choices, initial=Refund.Destination.METHOD, widget=forms.RadioSelect, label="Goes back to"
    )
    remarks = forms.CharField(
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="For your team. The payer never sees it.",
    )
    merchant_reference_id = forms.CharField(max_length=255, required=False, label="Your reference")
    form_key = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)

    def __init__(self, data=None, *, payment, **kwargs):
        super().__init__(data, **kwargs)
        self.fields["amount"] = MoneyField(label="Amount", currencies=[payment.currency])
        if not payment.customer_id:
            self.fields["destination"].choices = [Refund.Destination.choices[0]]

    def clean(self):
        """What is wrong with a part nobody sees is said on top."""
        data = super().clean()
        if "form_key" in self.errors:
            raise ValidationError("A part of this form is missing. No money moved. Open the form again.")
        return data


class CaptureForm(KitForm):
    amount = MoneyField(label="Amount to take")

    def __init__(self, data=None, *, payment, **kwargs):
        super().__init__(data, **kwargs)
        self.fields["amount"] = MoneyField(label="Amount to take", currencies=[payment.currency])


class ReleaseForm(KitForm):
    why = forms.CharField(max_length=200, required=False, label="Reason", help_text="Kept in the payment's timeline.")


class PaymentEditForm(KitForm):
    description = forms.CharField(max_length=500, required=False, help_text="The payer may have seen it on the receipt.")
    metadata = MetadataField()
    version = forms.CharField(max_length=32, widget=forms.HiddenInput)
