"""What all pages without sign-in share: headers that keep them private, and limits on how often they answer."""

import time

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View

from dashboard.errors import too_many_requests
from dashboard.middleware import address_of

HEADERS = {"X-Robots-Tag": "noindex, nofollow", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
VIEWS = (30, 60)  # times, seconds: page views of an address
LINK_VIEWS = (120, 60)  # page views of a link, from whatever addresses
UNKNOWN = (20, 60)  # links of an address that lead nowhere
TRIES = (10, 600)  # tries to pay on a link


class TooMany(Exception):
    """A limit is reached."""


def window(seconds):
    """The number of the window of so many seconds it is now."""
    return int(time.time()) // seconds


def limit(scope, who, times, seconds):
    """Count one use; raises TooMany above `times` in a window of `seconds`. All processes share the count."""
    key = f"pay:{scope}:{who}:{window(seconds)}"
    if not cache.add(key, 1, seconds) and _counted(key) > times:
        raise TooMany(scope)


def _counted(key):
    """The count with this use; 0 while the database takes no write: a payer may still see what is due."""
    try:
        return cache.incr(key)
    except ValueError:
        return 0


@method_decorator(login_not_required, name="dispatch")
class PublicView(View):
    """A page anybody may open, so many times a minute."""

    def dispatch(self, request, *args, **kwargs):
        try:
            limit("view", address_of(request), *VIEWS)
            response = self.answer(request, *args, **kwargs)
        except TooMany:
            response = too_many_requests(request)
        for name, value in HEADERS.items():
            response[name] = value
        return response

    def answer(self, request, *args, **kwargs):
        """The handler's response. A page that has to find something first does it here."""
        return super().dispatch(request, *args, **kwargs)

    def unknown(self):
        """404 for a link that leads nowhere; whoever tries many of them has to wait."""
        limit("unknown", address_of(self.request), *UNKNOWN)
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
        limit("link", self.target.pk, *LINK_VIEWS)
        return super().answer(request, **kwargs)

    def show(self, template, status=200, **context):
        """A bill keeps the merchant's name it was made with."""
        if name := getattr(self.target, "merchant_name", ""):
            context = {"merchant": name} | context
        return super().show(template, status=status, target=self.target, **context)
