"""The page behind a card tokenization link: a payer saves a card on it once, and no money moves."""

from django.http import HttpResponseRedirect

from billing.domain import card_links, checkouts
from billing.models import Attempt, TokenizationLink
from billing.views.pay import AGAIN, fetched_ahead, remember
from billing.views.public import TRIES, LinkView, address_of
from dashboard.states import DomainError

Status = TokenizationLink.Status


class CardPage(LinkView):
    """Who asks, what saving a card means, and one button. GET shows it; POST goes to the gateway's page.

    Nothing the form sends is read but which button it was.
    """

    model = TokenizationLink

    def get(self, request):
        counts = request.method == "GET" and AGAIN not in request.GET and not fetched_ahead(request)
        if counts and not request.user.is_authenticated:
            agent = request.headers.get("User-Agent", "")
            card_links.record_opening(self.target, address=address_of(request), agent=agent)
        return self.page()

    def post(self, request):
        TRIES.spend(self.target.pk)
        if "check" in request.POST:
            checkouts.check_again(self.target)
            return HttpResponseRedirect(request.path)
        return self.start() if state_of(self.target) == "usable" else self.page(status=409)

    def start(self):
        try:
            attempt = checkouts.start_payment(self.target)
        except DomainError as error:
            self.target = TokenizationLink.objects.for_token(self.kwargs["token"])
            return self.page(status=409, problem=str(error))
        response = HttpResponseRedirect(attempt.url)  # our own address for the sandbox; form-action lets no other pass
        remember(response, attempt, self.kwargs["token"])
        return response

    def page(self, status=200, problem=""):
        return self.show("pay/card.html", status=status, state=state_of(self.target), problem=problem, card=self.target.method)


def state_of(link):
    """Where a link stands, in one word for the payer: usable, done, checking, canceled, expired or closed."""
    if link.status == Status.DONE:
        return "done"
    if Attempt.objects.for_target(link, Attempt.Kind.CHECKOUT).unknown().exists():
        return "checking"
    if link.status == Status.CANCELED:
        return "canceled"
    if not link.payable:
        return "expired"
    return "closed" if link.customer.archived else "usable"
