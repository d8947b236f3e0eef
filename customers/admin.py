"""Customers, their addresses and comments, as support reads them in the admin."""

from django.contrib import admin

from customers import domain
from customers.models import Address, Comment, Customer
from dashboard import search
from dashboard.admin import CreatedFilter, ModeFilter, ReadOnlyAdmin, bulk, site

ARCHIVE, MODERATE = "customers.archive_customer", "customers.moderate_comment"


@admin.register(Customer, site=site)
class CustomerAdmin(ReadOnlyAdmin):
    list_display = ("name", "email", "phone", "status", "origin", "mode_badge", "created_at")
    list_filter = (ModeFilter, CreatedFilter, "status", "kind", "origin")
    search_help_text = "Words of name, e-mail, phone, reference or metadata, or a whole customer ID"
    fields = (
        "in_dashboard", "id", "mode", "status", "archived_at", "kind", "name", "first_name", "last_name", "company_name",
        "email", "phone", "did", "reference", "description", "tax_id", "country", "currency", "billing_statement_prefix",
        "next_billing_statement_sequence_number", "metadata", "origin", "created_by", "created_at", "updated_at", "version",
    )  # fmt: skip
    actions = (
        bulk(
            domain.archive_customer, name="archive", title="Archive customers", permission=ARCHIVE, done="archived",
            consequence="They leave the lists and take no new statements, requests, charges or cards. Open statements and links "
            "stay payable. Nothing is deleted, and each can be restored at any time.",
        ),
        bulk(
            domain.restore_customer, name="restore", title="Restore customers", permission=ARCHIVE, done="active again",
            consequence="They are active again: on the lists, and ready for statements and payments.",
        ),
    )  # fmt: skip

    def get_queryset(self, request):
        return super().get_queryset(request).defer("search")


class OfCustomerAdmin(ReadOnlyAdmin):
    """What hangs on a customer; found by the customer."""

    list_select_related = ("customer",)
    named_by = ("pk", "customer")
    search_help_text = "The customer's name, e-mail or phone, or a whole ID"

    def page_of(self, obj):
        return obj.customer

    def by_words(self, queryset, text):
        return queryset.filter(customer__in=search.matching(Customer.objects.all(), text).values("pk"))


@admin.register(Address, site=site)
class AddressAdmin(OfCustomerAdmin):
    list_display = ("customer", "kind", "line1", "city", "postal_code", "country", "is_default", "mode_badge")
    list_filter = (ModeFilter, "kind", "is_default")
    fields = (
        "in_dashboard", "id", "customer", "mode", "kind", "is_default", "name", "phone_number", "line1", "line2", "line3",
        "city", "state", "postal_code", "country", "created_by", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(Comment, site=site)
class CommentAdmin(OfCustomerAdmin):
    list_display = ("customer", "author", "words", "pinned", "mode_badge", "created_at")
    list_filter = (ModeFilter, "pinned")
    list_select_related = ("customer", "author")
    fields = ("in_dashboard", "id", "customer", "mode", "author", "words", "pinned", "created_at", "edited_at", "deleted_at")
    actions = (
        bulk(
            domain.delete_comment, name="remove", title="Remove comments", permission=MODERATE, done="removed",
            consequence="Nobody reads them on the customer’s page any more. The rows and who wrote them stay.",
        ),
    )  # fmt: skip

    @admin.display(description="Comment")
    def words(self, obj):
        return "Deleted" if obj.deleted_at else obj.body
