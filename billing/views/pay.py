"""The page behind a payment request's link, and where a gateway's page sends the payer back to."""

from django.conf import settings
from django.core import signing
from django.http import HttpResponseRedirect
from django.urls import reverse

from billing.domain import attempts, checkouts
from billing.models import Attempt, Payment, PaymentRequest
from billing.models.links import hash_token
from billing.views.public import TRIES, PublicView, limit
from dashboard.states import DomainError

COOKIE, COOKIE_AGE = "pay", 24 * 3600  # remembers, for one attempt, which link the payer came from


class Checkout(PublicView):
    """A payment request as the payer sees it. GET shows where it stands; POST goes to the gateway's page.

    Amount and currency come from the database alone; nothing the form sends is read but which button it was.
    """

    def get(self, request, token):
        found = PaymentRequest.objects.for_token(token)
        return self.page(found) if found else self.unknown()

    def post(self, request, token):
        found = PaymentRequest.objects.for_token(token)
        if not found:
            return self.unknown()
        limit("try", found.pk, *TRIES)
        if "check" in request.POST:
            checkouts.check_again(found)
            return HttpResponseRedirect(request.path)
        return self.start(found, token)

    def start(self, found, token):
        try:
            attempt = checkouts.start_payment(found)
        except DomainError as error:
            found.refresh_from_db()
            return self.page(found, status=409, problem=str(error))
        response = HttpResponseRedirect(attempt.url)  # our own address for the sandbox; form-action lets no other pass
        response.set_signed_cookie(
            COOKIE,
            token,
            path=reverse("pay_checkout_return", args=[attempt.pk]),
            max_age=COOKIE_AGE,
            httponly=True,
            secure=settings.SECURE,
            samesite="Lax",
        )
        return response

    def page(self, found, status=200, problem=""):
        state = payer_state(found)
        last = found.payments.order_by("-created_at", "-id").first()
        declined = last if state == "payable" and last and last.status == Payment.Status.FAILED else None
        paid = found.payments.paid().first() if state == "paid" else None
        context = {"pay": found, "state": state, "declined": declined, "paid": paid, "problem": problem}
        return self.show("pay/checkout.html", status=status, checking=attempts.CHECKING, **context)


def payer_state(found):
    """Where a request stands, in one word for the payer: payable, checking, paid, expired or canceled."""
    if found.status == PaymentRequest.Status.DONE:
        return "paid"
    if Attempt.objects.for_target(found, Attempt.Kind.CHECKOUT).filter(state=Attempt.State.UNKNOWN).exists():
        return "checking"
    if found.status == PaymentRequest.Status.CANCELED:
        return "canceled"
    return "payable" if found.payable else "expired"


class Return(PublicView):
    """Where a gateway's page sends the payer. It proves nothing and changes nothing: it leads back to the link.

    The address names the attempt, because gateways and logs see it; the link itself comes from the payer's cookie.
    """

    def get(self, request, attempt):
        found = Attempt.objects.filter(pk=attempt).first()
        if not found:
            return self.unknown()
        target = PaymentRequest.objects.filter(pk=found.target_id).first()
        token = self.token()
        if target and hash_token(token) == target.token_hash:
            return HttpResponseRedirect(reverse("pay_checkout", args=[token]))
        return self.show("pay/returned.html")

    def token(self):
        try:
            return self.request.get_signed_cookie(COOKIE, default="", max_age=COOKIE_AGE)
        except signing.BadSignature:
            return ""
