"""Pages that send mail about bills, and those that say who is left alone; PDF files."""

import secrets

from django import forms
from django.http import HttpResponse
from django.utils.http import content_disposition_header
from django.views import View

from billing import documents
from billing.domain import reminders, sending
from billing.models import BillingStatement, Payment, PaymentRequest
from billing.personal import shown_to
from billing.views.records import OfCustomer
from dashboard.forms import KitForm
from dashboard.views import ActionView, FormView, ObjectMixin

CONTACT = "dashboard.view_contact_data"


# --- send and remind ---------------------------------------------------------------------------------------
class SendForm(KitForm):
    """To whom, with a few words of one's own, and a key: one form sends once."""

    to = forms.EmailField(max_length=512, label="To")
    message = forms.CharField(
        max_length=sending.MESSAGE, required=False, label="Your message", widget=forms.Textarea(attrs={"rows": 3}),
        help_text="It stands between the greeting and the amount.",
    )  # fmt: skip
    form_key = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)


class SendView(ActionView):
    """A letter as it will read, and the form that sends it."""

    permission = "billing.send_statement"
    template_name = "billing/send.html"
    form_class = SendForm
    send = letter = why_not = None  # of billing.domain.sending

    def get_initial(self):
        return {"to": sending.recipient(self.object), "form_key": secrets.token_hex(16)}

    def act(self, data):
        type(self).send(self.object, by=self.request.user, **data)
        return f"The mail to {data['to']} is in the outbox and leaves in a moment."

    def get_context_data(self, form, **kwargs):
        refusal = type(self).why_not(self.object)
        letter = None if refusal else type(self).letter(self.object, form["message"].value() or "")
        return super().get_context_data(form=form, refusal=refusal, letter=letter, record=self.object, **kwargs)


class StatementSend(SendView):
    queryset = BillingStatement.objects.select_related("customer")
    section = "statements"
    title, submit = "Send statement", "Send"
    send, letter, why_not = sending.send_statement, sending.statement_letter, sending.why_not_sent


class StatementRemind(SendView):
    queryset = BillingStatement.objects.select_related("customer")
    section = "statements"
    title, submit = "Send reminder", "Send reminder"
    send, letter, why_not = sending.remind_statement, sending.reminder_letter, sending.why_not_reminded


class RequestSend(SendView):
    queryset = PaymentRequest.objects.select_related("customer")
    section = "requests"
    title, submit = "Send payment request", "Send"
    send, letter, why_not = sending.send_request, sending.request_letter, sending.why_not_sent


# --- leave alone -------------------------------------------------------------------------------------------
class Pause:
    """A switch: the page offers what is not in force. The form says which, so that sent twice it does no harm."""

    permission = "billing.send_statement"
    form_class = KitForm
    whose = ""

    @property
    def paused(self):
        return self.subject.reminders_paused

    def get_title(self):
        return "Resume reminders" if self.paused else "Pause reminders"

    @property
    def submit(self):
        return self.get_title()

    def get_consequence(self):
        if self.paused:
            return f"Automatic reminders {self.whose} go out again, those that are due now included."
        return f"No automatic reminder {self.whose} goes out until you resume them. You can still send one by hand."

    def get_form(self, data=None):
        form = super().get_form(data)
        form.fields["paused"] = forms.BooleanField(required=False, widget=forms.HiddenInput, initial=not self.paused)
        return form

    def act(self, data):
        reminders.pause_reminders(self.subject, paused=data["paused"], by=self.request.user)
        return "Reminders are paused." if data["paused"] else "Reminders go out again."


class StatementPause(Pause, ActionView):
    queryset = BillingStatement.objects.select_related("customer")
    section = "statements"
    whose = "for this statement"

    @property
    def subject(self):
        return self.object


class CustomerPause(Pause, OfCustomer, FormView):
    template_name = "dashboard/action.html"
    whose = "for any statement of this customer"

    @property
    def subject(self):
        return self.customer

    def get_success_url(self):
        return self.customer.get_absolute_url()

    def get_context_data(self, **kwargs):
        return super().get_context_data(**kwargs, object=self.customer, consequence=self.get_consequence())


class PromiseForm(KitForm):
    promised_on = forms.DateField(
        required=False, label="Promised to pay on", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="No reminder goes out up to this day. Leave it empty to take a promise back.",
    )  # fmt: skip
    note = forms.CharField(
        max_length=reminders.NOTE, required=False, label="Note", help_text="Who said it, and how. Customers never see it."
    )


class StatementPromise(ActionView):
    queryset = BillingStatement.objects.select_related("customer")
    permission = "billing.send_statement"
    section = "statements"
    form_class = PromiseForm
    title, submit = "Note a promise to pay", "Save"

    def get_initial(self):
        return {"promised_on": self.object.promised_on, "note": self.object.promise_note}

    def act(self, data):
        reminders.note_promise(self.object, by=self.request.user, **data)
        return "The promise is noted. Reminders wait for it." if data["promised_on"] else "The promise is taken back."


# --- PDF ---------------------------------------------------------------------------------------------------
class Pdf(ObjectMixin, View):
    """A document to download. Staff who may not see contact data get it with that data hidden."""

    def get(self, request, *args, **kwargs):
        response = HttpResponse(self.made(masked=not request.user.has_perm(CONTACT)), content_type=documents.PDF)
        response["Content-Disposition"] = content_disposition_header(True, documents.file_name(self.object))
        response["Cache-Control"] = "private, no-store"
        return response


class StatementPdf(Pdf):
    queryset = BillingStatement.objects.select_related("customer").prefetch_related("lines")
    permission = "billing.view_statement"

    def made(self, masked):
        return documents.statement_pdf(shown_to(self.request.user, self.object), masked=masked)


class PaymentReceipt(Pdf):
    """404 for a payment that is not paid: it has no receipt."""

    queryset = Payment.objects.paid().select_related("statement", "request", "customer").prefetch_related("refunds")
    permission = "billing.view_payment"

    def made(self, masked):
        return documents.receipt_pdf(shown_to(self.request.user, self.object), masked=masked)
