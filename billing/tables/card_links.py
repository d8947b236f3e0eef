"""The columns of the list of card tokenization links, and of its export. Neither ever holds what opens a link."""

from django.db.models import Case, CharField, F, Value, When
from django.db.models.functions import Now

from billing.gateways import about
from billing.models import TokenizationLink
from dashboard import tables
from dashboard.export import Csv
from dashboard.templatetags.ui import badge_html

NOW_STATUS = Case(  # by the clock: a link past its time is expired, marked or not
    When(status=TokenizationLink.Status.NEW, expires_at__lte=Now(), then=Value("expired")),
    default=F("status"),
    output_field=CharField(),
)


class WordsColumn(tables.LinkColumn):
    """The row's link: what the payer is told, or what is asked of them."""

    def value(self, row):
        return row.description or "Card details"


class LinkStatusColumn(tables.BadgeColumn):
    """The status as people read it: a link past its time is expired, seen by the clock."""

    def html(self, row):
        return badge_html(row.badge, "tokenizationlink")


class GatewayColumn(tables.Column):
    """A gateway by its name."""

    def value(self, row):
        return about(row.gateway).name


class CardLinkTable(tables.Table):
    title = WordsColumn(verbose_name="Link")
    customer = tables.RelatedColumn(sort="sort_name", css="m3", verbose_name="Customer")
    status = LinkStatusColumn(verbose_name="Status")
    card = tables.RelatedColumn(accessor="method", css="m2", verbose_name="Card")
    created_at = tables.WhenColumn(sort="created_at", css="tnum", verbose_name="Created at")
    expires_at = tables.WhenColumn(sort="expires_at", css="tnum", verbose_name="Link expires")
    created_by = tables.Column(verbose_name="Created by")
    gateway = GatewayColumn(verbose_name="Gateway")
    sent_at = tables.WhenColumn(css="tnum", verbose_name="Sent")
    opened_at = tables.WhenColumn(css="tnum", verbose_name="First opened")
    completed_at = tables.WhenColumn(css="tnum", verbose_name="Card saved at")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = TokenizationLink
        fields = ()
        order_by = "-created_at"

    caption = "Card tokenization links"
    always = ("title",)
    default = ("customer", "status", "created_at", "expires_at", "created_by", "card")
    prefetch = {"created_by": "created_by", "card": "method"}
    csv = (
        Csv("id", kind="code"),
        Csv("created_at", kind="time"),
        Csv("status", NOW_STATUS, kind="code"),
        Csv("customer_id", kind="code"),
        Csv("customer_name", "customer__name"),
        Csv("customer_email", "customer__email", contact="email"),
        Csv("gateway", kind="code"),
        Csv("make_default", kind="flag"),
        Csv("description"),
        Csv("expires_at", kind="time"),
        Csv("sent_at", kind="time"),
        Csv("opened_at", kind="time"),
        Csv("completed_at", kind="time"),
        Csv("canceled_at", kind="time"),
        Csv("payment_method_id", "method_id", kind="code"),
        Csv("card_scheme", "method__card_scheme"),
        Csv("card_number_last4", "method__card_number_last4"),
    )


class CustomerCardLinkTable(CardLinkTable):
    """The same on a customer's own pages, where every row has the same customer."""

    customer = None
    created_at = tables.WhenColumn(sort="created_at", css="tnum m3", verbose_name="Created at")

    class Meta(CardLinkTable.Meta):
        pass
