"""What the dashboard itself writes down: events, mails, imports."""

from django.contrib import admin

from dashboard import mail
from dashboard.admin.actions import bulk
from dashboard.admin.base import CreatedFilter, ModeFilter, ReadOnlyAdmin, site
from dashboard.audit import id_at
from dashboard.models import Event, Import, Mail

SEND = "billing.send_statement"


class EventCreatedFilter(CreatedFilter):
    def since(self, queryset, moment):
        return queryset.filter(pk__gte=id_at(moment))  # an event's ID holds its time


@admin.register(Event, site=site)
class EventAdmin(ReadOnlyAdmin):
    """What happened, to what, by whom. Nobody changes it: the database itself refuses."""

    list_display = ("created_at", "who", "sentence", "object_id", "mode_badge")
    list_display_links = ("sentence",)
    list_filter = (ModeFilter, EventCreatedFilter, "actor")
    list_select_related = ("by",)
    search_help_text = "A record's or customer's whole ID, or the beginning of an event type such as customer.up"
    named_by = ("pk", "object_id", "customer_id")
    fields = (
        *("in_dashboard", "id", "created_at", "type", "object_type", "object_id", "customer_id", "mode"),
        *("by", "actor", "ip", "request_id", "changes", "data"),
    )

    def by_words(self, queryset, text):
        return queryset.filter(type__startswith=text)

    def get_queryset(self, request):
        return super().get_queryset(request).defer("signature")


@admin.register(Mail, site=site)
class MailAdmin(ReadOnlyAdmin):
    """What was mailed to whom and whether it left. The link in a mail is put in when it leaves, and is not shown."""

    list_display = ("subject", "to", "kind_in_words", "state", "mode_badge", "tries", "error", "created_at")
    list_filter = (ModeFilter, "state")
    search_help_text = "The whole ID of the mail or of what it is about, or a whole address"
    named_by = ("pk", "object_id")
    fields = (
        "in_dashboard", "id", "mode", "kind", "object_type", "object_id", "customer_id", "to", "subject", "shown_text", "state",
        "error", "tries", "next_try_at", "created_by", "created_at", "sent_at",
    )  # fmt: skip
    actions = (
        bulk(
            mail.retry, name="retry", title="Try failed mails again", permission=SEND, done="in the queue again",
            consequence="These mails go back into the queue and are tried up to ten times more. Those that have not failed stay.",
        ),
    )  # fmt: skip

    @admin.display(description="Text")
    def shown_text(self, obj):
        return obj.shown_text

    @admin.display(description="What")
    def kind_in_words(self, obj):
        return obj.kind_in_words

    def by_words(self, queryset, text):
        return queryset.filter(to=text)

    def get_queryset(self, request):
        return super().get_queryset(request).defer("key")


@admin.register(Import, site=site)
class ImportAdmin(ReadOnlyAdmin):
    """Files that were imported and what came of them. Their rows are on the import's own page."""

    permission = "customers.import_customer"
    list_display = ("file_name", "importer", "status", "total", "creates", "updates", "errors", "mode_badge", "created_at")
    list_filter = (ModeFilter, "status")
    search_help_text = "A whole ID, or part of a file name"
    fields = (
        "in_dashboard", "id", "mode", "importer", "file_name", "size", "sha256", "encoding", "delimiter", "status", "problem",
        "total", "at_row", "creates", "updates", "skips", "errors", "notices", "duplicates", "created_by", "applied_by",
        "created_at", "updated_at", "finished_at",
    )  # fmt: skip

    def by_words(self, queryset, text):
        return queryset.filter(file_name__icontains=text)
