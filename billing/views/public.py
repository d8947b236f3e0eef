"""What all pages without sign-in share: how they look and how often they answer. The middleware keeps them private.

The limits let everybody pass while the database takes no writes: a payer may still see what is due.
"""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View

from dashboard.limits import Limit, network
from dashboard.middleware import address_of

VIEWS = Limit("pay-view", rate=30 / 60, burst=30, lenient=True)  # page views of an address
LINK_VIEWS = Limit("pay-link", rate=120 / 60, burst=120, lenient=True)  # page views of a link, from whatever addresses
UNKNOWN = Limit("pay-unknown", rate=20 / 60, burst=20, lenient=True)  # links of an address that lead nowhere
TRIES = Limit("pay-try", rate=10 / 600, burst=10, lenient=True)  # tries to pay on a link


@method_decorator(login_not_required, name="dispatch")
class PublicView(View):
    """A page anybody may open, so many times a minute. The middleware makes a 429 of a limit that is reached."""

    def dispatch(self, request, *args, **kwargs):
        VIEWS.spend(network(address_of(request)))
        return self.answer(request, *args, **kwargs)

    def answer(self, request, *args, **kwargs):
        """The handler's response. A page that has to find something first does it here."""
        return super().dispatch(request, *args, **kwargs)

    def unknown(self):
        """404 for a link that leads nowhere; whoever tries many of them has to wait."""
        UNKNOWN.spend(network(address_of(self.request)))
        return render(self.request, "pay/unknown.html", status=404)

    def show(self, template, status=200, **context):
        merchant = {"merchant": settings.MERCHANT_NAME, "merchant_email": settings.MERCHANT_EMAIL}
        return render(self.request, template, merchant | context, status=status)


class LinkView(PublicView):
    """A page of a payer's secret link: `self.target` is the record of `model` it names; for any other link, 404."""

    model = None

    def answer(self, request, token, **kwargs):
        self.target = self.model.objects.for_token(token)
        if not self.target:
            return self.unknown()
        LINK_VIEWS.spend(self.target.pk)
        return super().answer(request, **kwargs)

    def show(self, template, status=200, **context):
        """A bill keeps the merchant's name it was made with."""
        if name := getattr(self.target, "merchant_name", ""):
            context = {"merchant": name} | context
        return super().show(template, status=status, target=self.target, **context)
