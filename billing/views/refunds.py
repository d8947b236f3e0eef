"""Pages that move money back: refunds, and taking or letting go what is authorised."""

import secrets

from django.contrib import messages

from billing.domain import captures, refunds
from billing.filters import RefundFilter
from billing.models import Attempt, Payment, Refund
from billing.payment_forms import CaptureForm, RefundForm, ReleaseForm
from billing.tables import RefundTable
from billing.views.payments import PaymentMixin
from billing.views.records import WIDE, RecordDetail, RecordList, warnings
from dashboard.stepup import StepUp, is_large
from dashboard.views import ActionView

_PAYMENT = ("payment__search", "payment__metadata", "payment__billing_address", "payment__custom_fields")


class RefundList(RecordList):
    queryset = Refund.objects.select_related("customer", "payment").defer(*WIDE, *_PAYMENT)
    permission = "billing.view_refund"
    section = "refunds"
    title = "Refunds"
    table_class = RefundTable
    filterset_class = RefundFilter
    list_name = "billing:refunds"
    export_name = "refunds"
    noun, plural = "refund", "refunds"
    search_hint = "Payer, payment, reference, remarks"
    csv_of = {"customer": ("customer_name",), "amount": ("amount", "currency")}
    tabs = (
        ("All", ""),
        ("Succeeded", "status=succeeded"),
        ("Processing", "status=pending"),
        ("Failed", "status=failed"),
    )
    empty_text = "Open a payment and choose Refund: money that goes back is listed here, and what fails, with the reason."


class RefundDetail(RecordDetail):
    """One refund: how much, why, where to, and how it ended."""

    queryset = Refund.objects.select_related("customer", "payment", "created_by")
    permission = "billing.view_refund"
    section = "refunds"
    template_name = "billing/refund.html"

    def get_context_data(self, **kwargs):
        self.attempts = list(Attempt.objects.for_target(self.object, Attempt.Kind.REFUND).defer("request").order_by("-pk"))
        open_one = next((a for a in self.attempts if a.is_open), None)
        return super().get_context_data(
            refund=self.object, payment=self.object.payment, attempts=self.attempts, checking=open_one, **kwargs
        )

    def told_here(self):
        return [attempt.pk for attempt in self.attempts]


class PaymentAction(PaymentMixin, ActionView):
    """A dialog about one payment's money: what it says when there is nothing to do is `refusal`."""

    template_name = "billing/payment_action.html"

    def get_form_kwargs(self):
        return super().get_form_kwargs() | {"payment": self.object}

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            payment=self.object, refusal=self.get_refusal(), warnings=warnings(self.object.customer), **kwargs
        )

    def get_refusal(self):
        """Why this cannot be done to the payment as it is; "" when it can."""
        if self.object.status == Payment.Status.AUTHORIZED:
            return ""
        return f"This payment is {self.object.get_status_display().lower()}, not authorised. There is nothing to take or release."


class PaymentRefund(StepUp, PaymentAction):
    """Give back what is left of a payment, or a part of it. One form makes one refund, however often it is sent.

    A large one asks for the password when the sign-in is not fresh.
    """

    permission = "billing.refund_payment"
    title = submit = "Refund payment"
    danger = True
    form_class = RefundForm
    nothing = "No money moved."

    def stepup_needed(self, data):
        return is_large(data["amount"])

    def get_initial(self):
        return {"amount": refunds.refund_limits(self.object)[1], "form_key": secrets.token_hex(16)}

    def get_refusal(self):
        payment = self.object
        if payment.dispute in ("open", "lost"):
            return "The payer's bank has taken this payment up as a dispute, which decides about the money."
        if payment.status != Payment.Status.PAID:
            return f"This payment is {payment.get_status_display().lower()}, so there is nothing to refund."
        return "" if payment.refundable else "All of this payment is refunded already."

    def get_context_data(self, **kwargs):
        counted = self.object.refunds.counted().order_by("-created_at", "-pk")
        return super().get_context_data(refunds=counted, largest=refunds.refund_limits(self.object)[1], **kwargs)

    def act(self, data):
        amount = data.pop("amount").minor
        refund = refunds.create_refund(self.object, amount=amount, by=self.request.user, **data)
        level, sentence = told(refund, self.object)
        messages.add_message(self.request, level, sentence)


def told(refund, payment):
    """(message level, sentence) of how a refund stands: whether money moved is always said."""
    if refund.status == Refund.Status.FAILED:
        return messages.ERROR, with_no_money(f"The refund of {refund.amount_money} failed. {refund.failure_message}")
    if refund.status == Refund.Status.PENDING:
        return messages.INFO, (
            f"The refund of {refund.amount_money} is being checked with the bank. It is not known yet whether money moved. "
            "Do not refund it again: this page says how it ended."
        )
    if refund.destination == Refund.Destination.CREDIT:
        return messages.SUCCESS, f"{refund.amount_money} was added to the credit balance of {payment.customer}."
    if not refund.gateway:
        return messages.SUCCESS, (
            f"The refund of {refund.amount_money} is recorded. This payment came through no gateway: "
            "give the money back yourself."
        )
    return messages.SUCCESS, f"{refund.amount_money} goes back to {payment.method}. Banks may take some days to show it."


def with_no_money(sentence):
    """The sentence, saying what became of the money if it does not yet."""
    return sentence if "o money moved" in sentence or "money is with" in sentence else f"{sentence.strip()} No money moved."


class PaymentCapture(PaymentAction):
    """Take an authorised payment, whole or in part."""

    permission = "billing.capture_payment"
    title = "Capture payment"
    submit = "Capture"
    form_class = CaptureForm
    consequence = "The payer is charged now. What you do not take is released and cannot be taken later."

    def get_initial(self):
        return {"amount": self.object.amount_money}

    def act(self, data):
        payment = captures.capture_payment(self.object, amount=data["amount"].minor, by=self.request.user)
        if payment.status == Payment.Status.PAID:
            return f"{payment.amount_money} was captured."
        messages.info(self.request, AWAITED)


class PaymentRelease(PaymentAction):
    """Let an authorised payment go."""

    permission = "billing.capture_payment"
    title = "Release payment"
    submit = "Release"
    danger = True
    form_class = ReleaseForm
    consequence = "The payer is not charged, and the reserved money is theirs again. This cannot be undone."

    def get_form_kwargs(self):
        return {"initial": self.get_initial()}

    def act(self, data):
        payment = captures.release_payment(self.object, by=self.request.user, why=data["why"])
        if payment.status == Payment.Status.CANCELED:
            return "The payment was released. The payer is not charged."
        messages.info(self.request, AWAITED)


AWAITED = "The gateway has not answered yet. It is being checked; this page says how it ended. Do not try again."
