"""What is being checked: attempts at a gateway whose outcome nobody knows, and the button that asks again."""

from django.contrib import messages
from django.urls import reverse

from billing.domain.attempt_checks import check_attempt
from billing.filters import AttemptFilter
from billing.models import Attempt, BillingStatement, Payment, PaymentRequest, Refund
from billing.tables import AttemptTable, target_of
from dashboard.forms import KitForm
from dashboard.views import ActionView, ListView

TARGETS = {"checkout": PaymentRequest, "bstm": BillingStatement, "pay": Payment, "re": Refund}
State = Attempt.State


class AttemptList(ListView):
    queryset = Attempt.objects.select_related("customer").defer(
        "request", "url", "customer__search", "customer__metadata", "customer__description"
    )
    permission = "billing.view_attempt"
    section = "attempts"
    title = "Being checked"
    table_class = AttemptTable
    filterset_class = AttemptFilter
    list_name = "billing:attempts"
    noun, plural = "attempt", "attempts"
    search_hint = ""
    tabs = (("Being checked", ""), ("Open", "state=open"), ("All", "state=all"))
    empty_text = "When a gateway does not answer, what was tried waits here until it is known how it ended. Nothing waits now."


class AttemptCheck(ActionView):
    """Ask the gateway again."""

    queryset = Attempt.objects.select_related("customer")
    permission = "billing.check_attempt"
    section = "attempts"
    title = submit = "Check now"
    form_class = KitForm
    consequence = "The gateway is asked what became of this. Asking never charges or refunds anything twice."

    def get_context_data(self, **kwargs):
        noun, _ = target_of(self.object.target_id)
        about = f"{self.object.get_kind_display()} of a {noun.lower()}, {self.object.amount_money}"
        return super().get_context_data(**kwargs) | {"object": about}

    def act(self, data):
        level, sentence = told(check_attempt(self.object, by=self.request.user))
        messages.add_message(self.request, level, sentence)

    def get_success_url(self):
        return reverse("billing:attempts")


def told(attempt):
    """(message level, sentence) of where an attempt stands now."""
    noun, _ = target_of(attempt.target_id)
    if attempt.state == State.DONE:
        return messages.SUCCESS, f"The gateway has answered. The {noun.lower()} now reads “{status_of(attempt.target_id)}”."
    if attempt.state == State.FAILED:
        return messages.SUCCESS, f"Settled: this had no effect at the gateway. {attempt.error} No money moved.".replace("  ", " ")
    if attempt.state == State.SENT:
        return messages.INFO, "The payer's page is open. Nothing was paid on it yet."
    if attempt.state == State.NEW:
        return messages.WARNING, "The gateway cannot be reached right now. Nothing was sent, and no money moved. Try again later."
    return messages.WARNING, f"Nobody knows yet whether money moved. {attempt.error} It stays on this list.".replace("  ", " ")


def status_of(target_id):
    """The status of the record an attempt is for, in words."""
    record = TARGETS[target_id.partition("_")[0]].objects.get(pk=target_id)
    return getattr(record, "badge", None) or record.get_status_display()
