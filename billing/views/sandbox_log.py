"""The sandbox log: what was asked of the sandbox and what it told us; and buttons that let its time pass."""

from django.contrib import messages
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views import View
from django.views.generic import TemplateView

from billing.domain import sandbox
from billing.gateways.sandbox.models import SandboxDelivery, SandboxDispute, SandboxRequestLog
from dashboard.states import DomainError
from dashboard.views import StaffMixin

SHOWN = 50  # rows of each table


class SandboxMixin(StaffMixin):
    """A page of test mode; live mode has none of it."""

    permission = "billing.view_sandbox"
    section = "sandbox"

    def dispatch(self, request, *args, **kwargs):
        if request.livemode and request.user.has_perm(self.permission):
            raise Http404("The sandbox is of test mode.")
        return super().dispatch(request, *args, **kwargs)


class SandboxLog(SandboxMixin, TemplateView):
    template_name = "billing/sandbox_log.html"
    title = "Sandbox log"

    def get_context_data(self, **kwargs):
        return super().get_context_data(
            calls=SandboxRequestLog.objects.order_by("-id")[:SHOWN],
            deliveries=SandboxDelivery.objects.order_by("-id")[:SHOWN],
            disputes=SandboxDispute.objects.filter(status="open").select_related("charge").order_by("-id")[:SHOWN],
            shown=SHOWN,
            **kwargs,
        )


class SandboxAction(SandboxMixin, View):
    """A button of the log: it does one thing and comes back to the log with a sentence."""

    http_method_names = ("post", "options")

    def post(self, request, *args, **kwargs):
        try:
            messages.success(request, self.act(**kwargs))
        except DomainError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(reverse("billing:sandbox_log"))


class SandboxTick(SandboxAction):
    def act(self):
        done = sandbox.run_tick(by=self.request.user)
        counts = (
            ("page", "expired", done.expired), ("debit", "settled", done.debits), ("refund", "settled", done.refunds),
            ("dispute", "opened", done.disputes), ("message", "sent", done.sent),
        )  # fmt: skip
        told = [f"{count} {noun}{'' if count == 1 else 's'} {verb}" for noun, verb, count in counts if count]
        return f"The sandbox's time went on: {', '.join(told)}." if told else "The sandbox's time went on. Nothing was due."


class SandboxResend(SandboxAction):
    def act(self, pk):
        row = get_object_or_404(SandboxDelivery, pk=pk)
        answer = sandbox.resend(row, by=self.request.user).answer
        return f"The message was sent and answered with {answer}."


class SandboxDisputeClose(SandboxAction):
    def act(self, pk):
        dispute, won = get_object_or_404(SandboxDispute, pk=pk), "won" in self.request.POST
        sandbox.close_dispute(dispute, won=won, by=self.request.user)
        return f"The bank decided the dispute: {'you keep the money' if won else 'the payer gets the money back'}."
