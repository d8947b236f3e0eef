"""The outbox: what was mailed to whom, whether it left, and why not."""

import django_filters

from dashboard import mail, tables
from dashboard.filters import FilterSet, FromFilter, PeriodFilter, TextFilter, ToFilter
from dashboard.forms import KitForm
from dashboard.mail_models import Mail
from dashboard.views import ActionView, DetailView, ListView

CONTACT = "dashboard.view_contact_data"


class MailTable(tables.Table):
    subject = tables.LinkColumn(verbose_name="Subject")
    to = tables.EmailColumn(css="m2", contact=True, verbose_name="To")
    kind = tables.Column(accessor="kind_in_words", verbose_name="What")
    state = tables.BadgeColumn(accessor="get_state_display", verbose_name="State")
    tries = tables.Column(css="num")
    error = tables.Column(verbose_name="Last error")
    created_at = tables.WhenColumn(sort="pk", verbose_name="Created")
    sent_at = tables.WhenColumn(verbose_name="Sent", css="tnum")

    class Meta:
        model = Mail
        fields = ()
        order_by = "-created_at"

    caption = "Outbox"
    always = ("subject",)
    default = ("subject", "to", "kind", "state", "created_at", "error")


class MailFilter(FilterSet):
    state = django_filters.ChoiceFilter(choices=Mail.State.choices, label="State", empty_label="Any state")
    kind = TextFilter(field_name="kind", label="What", lookup_expr="startswith")
    created = PeriodFilter(field_name="created_at", label="Created")
    created_from = FromFilter(field_name="created_at", label="From")
    created_to = ToFilter(field_name="created_at", label="To")
    to = TextFilter(field_name="to", label="To", lookup_expr="iexact")
    customer = TextFilter(field_name="customer_id", label="Customer ID")
    object = TextFilter(field_name="object_id", label="Record ID")

    groups = {
        "State": ["state"],
        "Created": ["created", "created_from", "created_to"],
        "What": ["kind", "object"],
        "Who": ["to", "customer"],
    }
    ordered = ("state",)
    hidden_from_masked = ("to",)

    class Meta:
        model = Mail
        fields = []


class Outbox(ListView):
    """Every mail to customers in this mode, newest first."""

    queryset = Mail.objects.defer("text")
    permission = CONTACT
    section = "outbox"
    title = "Outbox"
    table_class = MailTable
    filterset_class = MailFilter
    list_name = "dashboard:mails"
    noun, plural = "mail", "mails"
    search_hint = ""
    tabs = (
        ("All", ""),
        ("Queued", "state=queued"),
        ("Sent", "state=sent"),
        ("Failed", "state=failed"),
        ("Not sent", "state=held"),
    )
    empty_text = "Statements you send, reminders and receipts are listed here, with what became of each."


class MailDetail(DetailView):
    """One mail as it reads, but for its link."""

    queryset = Mail.objects.select_related("created_by")
    permission = CONTACT
    section = "outbox"
    template_name = "dashboard/mail.html"

    def get_context_data(self, **kwargs):
        return super().get_context_data(mail=self.object, record=self.object.record, **kwargs)


class MailRetry(ActionView):
    queryset = Mail.objects.all()
    permission = "billing.send_statement"
    section = "outbox"
    form_class = KitForm
    title = submit = "Try again"
    consequence = "The mail goes back into the queue and is tried up to ten times more."

    def act(self, data):
        mail.retry(self.object, by=self.request.user)
        return "The mail is in the queue again."
