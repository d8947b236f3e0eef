"""The page behind a payer's link, of a request or a statement, and where a gateway's page sends the payer back to."""

import logging
from datetime import timedelta

from django.conf import settings
from django.contrib import messages
from django.core import signing
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from billing.domain import attempts, checkouts, payables, visits
from billing.domain.statements import default_description
from billing.models import Attempt, BillingStatement, Payment, PaymentRequest, TokenizationLink
from billing.models.links import hash_token
from billing.views.public import TRIES, LinkView, PublicView, address_of
from dashboard.errors import DATABASE
from dashboard.places import address_lines
from dashboard.states import DomainError

COOKIE = "__Secure-pay" if settings.SECURE else "pay"
COOKIE_AGE = 24 * 3600  # remembers, for one attempt, which link the payer came from
JUST_NOW = timedelta(seconds=10)
PAGES = {PaymentRequest: "pay_checkout", BillingStatement: "pay_statement", TokenizationLink: "pay_card"}
AGAIN = "again"  # in the address of a page that loads itself again: nobody opened it
DONE = (PaymentRequest.Status.DONE, BillingStatement.Status.PAID)
ENDED = (PaymentRequest.Status.CANCELED, BillingStatement.Status.VOID)
METHODS = {  # icon, name, what a payer wants to know
    "card": ("credit-card", "Card", "Visa, Mastercard, American Express"),
    "bank_account": ("landmark", "Bank account", "The bank takes a few days"),
    "bank_redirect": ("landmark", "Online banking", "Opens your bank"),
    "bank_transfer": ("landmark", "Bank transfer", "The bank takes a few days"),
    "ewallet": ("smartphone", "E-wallet", "Opens the app"),
    "checkout": ("wallet", "Wallet account", "Opens the wallet"),
}


class Page(LinkView):
    """What is asked, where it stands, and a button to pay. GET shows it; POST goes to the gateway's page.

    Amount and currency come from the database alone; nothing the form sends is read but which button it was.
    """

    def get(self, request):
        counts = request.method == "GET" and AGAIN not in request.GET and not fetched_ahead(request)
        if counts and not request.user.is_authenticated:
            self.note_view()
        return self.page()

    def note_view(self):
        """That it was opened. A database that takes no write keeps no payer from seeing what is due."""
        try:
            visits.record_view(self.target, address=address_of(self.request), agent=self.request.headers.get("User-Agent", ""))
        except DATABASE as error:
            logging.getLogger(__name__).warning("a view of %s was not noted: %s", self.target.pk, error)

    def post(self, request):
        TRIES.spend(self.target.pk)
        if "check" in request.POST:
            checkouts.check_again(self.target)
            return HttpResponseRedirect(request.path)
        return self.start()

    def start(self):
        try:
            attempt = checkouts.start_payment(self.target)
        except DomainError as error:
            self.target.refresh_from_db()
            return self.page(status=409, problem=str(error))
        response = HttpResponseRedirect(attempt.url)  # our own address for the sandbox; form-action lets no other pass
        remember(response, attempt, self.request.resolver_match.kwargs["token"])
        return response

    def page(self, status=200, problem=""):
        state = payer_state(self.target)
        facts = statement_facts if isinstance(self.target, BillingStatement) else request_facts
        context = facts(self.target) | STATES.get(state, lambda target: {})(self.target)
        return self.show("pay/page.html", status=status, state=state, problem=problem, checking=attempts.CHECKING, **context)


def fetched_ahead(request):
    """Whether a browser fetches the page before anybody asked to see it."""
    return "prefetch" in request.headers.get("Sec-Purpose", request.headers.get("Purpose", ""))


# --- where it stands -------------------------------------------------------------------------------
def payer_state(target):
    """Where a request or statement stands, in one word for the payer.

    payable, processing, checking, paid, authorized, released, expired or canceled.
    """
    if target.status in DONE:
        return done_state(target)
    if target.payments.filter(status=Payment.Status.PENDING).exists():
        return "processing"
    if Attempt.objects.for_target(target, Attempt.Kind.CHECKOUT).unknown().exists():
        return "checking"
    if target.status in ENDED:
        return "canceled"
    return "payable" if target.payable else "expired"


def done_state(target):
    """A request whose payer only authorised is done as well: what became of the money tells the payer more."""
    found = set(target.payments.values_list("status", flat=True))
    if Payment.Status.AUTHORIZED in found:
        return "authorized"
    taken_none = isinstance(target, PaymentRequest) and Payment.Status.PAID not in found
    return "released" if taken_none and Payment.Status.CANCELED in found else "paid"


def payable_facts(target):
    """How it can be paid, and why the last try failed, if it did."""
    types = payables.checkout_body(target)["method_types"]
    last = target.payments.order_by("-created_at", "-id").first()
    declined = last if last and last.status == Payment.Status.FAILED else None
    return {"methods": [METHODS[t] for t in types if t in METHODS], "declined": declined}


def processing_facts(target):
    """A card that is pending waits for its owner: the page that asked for the confirmation still has the answer."""
    open_page = Attempt.objects.open().for_target(target, Attempt.Kind.CHECKOUT).exclude(url="").first()
    card = target.payments.filter(status=Payment.Status.PENDING, method_type=Payment.Method.CARD).exists()
    return {"confirm_url": open_page.url if open_page and card else ""}


STATES = {"payable": payable_facts, "processing": processing_facts}


# --- what is asked ---------------------------------------------------------------------------------
def request_facts(request):
    """What a payer may know of a payment request."""
    return {
        "amount": request.amount_money,
        "about": request.description,
        "stops_at": request.expires_at,
        "payments": list(request.payments.paid().order_by("paid_at")),
    }


def statement_facts(statement):
    """What a payer may know of a billing statement."""
    due = statement.payable
    return {
        "amount": statement.amount_remaining_money if due else statement.total_money,
        "about": "" if statement.description == default_description(statement.number) else statement.description,
        "statement": statement,
        "billed_to": address_lines(statement.bill_to_address or {}),
        "lines": list(statement.lines.all()),
        "payments": list(statement.payments.paid().order_by("paid_at")),
        "past_due": due and statement.due_at is not None and statement.due_at < timezone.now(),
    }


# --- the way back ----------------------------------------------------------------------------------
def remember(response, attempt, token):
    """Let this browser find its way back from the gateway's page: the address it returns to does not hold the link."""
    response.set_signed_cookie(
        COOKIE,
        f"{token}.{stamp(attempt)}",
        path=reverse("pay_checkout_return", args=[attempt.pk]),
        max_age=COOKIE_AGE,
        httponly=True,
        secure=settings.SECURE,
        samesite="Lax",
    )


def stamp(attempt):
    """When anybody last looked an attempt up."""
    return f"{attempt.touched_at.timestamp():.6f}"


def staff_page(user, target):
    """Where staff who filled in a gateway's page themselves go on; "" for everybody else, who must hold the link."""
    if not getattr(target, "by_staff", False) or not user.is_authenticated:
        return ""
    return f"{target.customer.get_absolute_url()}#methods" if isinstance(target, TokenizationLink) else target.get_absolute_url()


class Return(PublicView):
    """Where a gateway's page sends the payer. It proves nothing: the gateway is asked, and the link tells the answer.

    The address names the attempt, because gateways and logs see it; the link itself comes from the payer's cookie.
    Staff who filled in the page go back to the dashboard, which asks them who they are.
    """

    def answer(self, request, attempt):
        self.attempt = Attempt.objects.filter(pk=attempt).first()
        self.target = self.attempt and payables.find(self.attempt.target_id)
        if not self.target:
            return self.unknown()
        token, _, self.left_at = self.cookie().partition(".")
        theirs = hash_token(token) == self.target.token_hash
        self.link = reverse(PAGES[type(self.target)], args=[token]) if theirs else staff_page(request.user, self.target)
        return super().answer(request)

    def get(self, request):
        """Nothing is written here: unless the gateway has just been asked, the page's button asks it."""
        if not self.link:
            return self.show("pay/returned.html")
        if self.attempt.state == Attempt.State.SENT and not self.just_asked():
            return self.show("pay/confirming.html", target=self.target)
        return self.lead_back()

    def post(self, request):
        if not self.link:
            return self.show("pay/returned.html")
        TRIES.spend(self.target.pk)
        checkouts.check_again(self.target)
        return self.lead_back()

    def lead_back(self):
        """Staff who added a card read on the customer's page that it is there."""
        self.target.refresh_from_db()
        if self.link == staff_page(self.request.user, self.target) and getattr(self.target, "method", None):
            messages.success(self.request, f"{self.target.method} is on file. No money moved.")
        return HttpResponseRedirect(self.link)

    def just_asked(self):
        """Whether somebody asked the gateway since the payer left, and so lately that the payer was back by then."""
        return stamp(self.attempt) != self.left_at and timezone.now() - self.attempt.touched_at < JUST_NOW

    def cookie(self):
        try:
            return self.request.get_signed_cookie(COOKIE, default="", max_age=COOKIE_AGE)
        except signing.BadSignature:
            return ""
