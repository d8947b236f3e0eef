"""The help pages: a short one for each area, and the API's reference, made from its own OpenAPI document."""

from typing import NamedTuple

from django.conf import settings
from django.http import Http404
from django.views.generic import TemplateView

from dashboard import role_table
from dashboard.api import door, idempotency, lists, reference
from dashboard.forms import KEY, PAIRS, VALUE
from dashboard.views import StaffMixin


class About(NamedTuple):
    """A help page: its name in the address, its title, what it answers, an icon."""

    slug: str
    title: str
    answers: str
    icon: str


TOPICS = (
    About("customers", "Customers", "What a customer record is for, and what to keep in it.", "users"),
    About("statements", "Billing statements", "From a draft to a paid bill, step by step.", "receipt-text"),
    About("collect", "Which way to collect", "Statement, payment request, terminal, card link, subscription or API.", "wallet"),
    About("metadata", "Metadata", "Your own notes on a record, and their limits.", "tag"),
    About("roles", "Roles", "What each role may do, and what keys of the API may.", "shield"),
    About("api", "API", "Call this dashboard from a program: keys, errors, lists, limits.", "code"),
)


class HelpMixin(StaffMixin):
    """Every signed-in person may read these pages."""

    permission = "dashboard.view"
    section = "help"

    def get_context_data(self, **kwargs):
        return super().get_context_data(topics=TOPICS, address=settings.SITE_URL, **kwargs)


class Index(HelpMixin, TemplateView):
    title = "Help"
    template_name = "help/index.html"


class Topic(HelpMixin, TemplateView):
    """One help page; 404 for a topic there is none about."""

    @property
    def topic(self):
        return next((topic for topic in TOPICS if topic.slug == self.kwargs["topic"]), None)

    def get_title(self):
        return self.topic.title

    def get_template_names(self):
        return [f"help/{self.topic.slug}.html"]

    def get_context_data(self, **kwargs):
        if not self.topic:
            raise Http404
        return super().get_context_data(**kwargs | {"topic": self.topic}, **self.facts())

    def facts(self):
        """What the pages quote: it is what the program works with."""
        return {
            "areas": role_table.areas,
            "scopes": role_table.scopes,
            "pairs": PAIRS,
            "longest_key": KEY,
            "longest_value": VALUE,
            "page_size": lists.SIZE,
            "largest_page": lists.MOST,
            "largest_body": door.MOST // 1024,
            "days_kept": idempotency.KEPT.days,
            "per_minute": settings.API_REQUESTS_PER_MINUTE,
        }


class Reference(HelpMixin, TemplateView):
    """Every operation of the API."""

    title = "API reference"
    template_name = "help/reference.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(groups=reference.groups(settings.SITE_URL), statuses=reference.STATUSES, **kwargs)
