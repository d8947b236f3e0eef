"""Bills, payments and all that hangs on them, as support reads them in the admin. Nothing here changes money.

Fields are listed one by one: links for payers, their nonces, tokens that charge a method or stand for it, what is sent to
gateways and what they send are not among them.
"""

from django.contrib import admin
from django.db.models import Q

from billing.models import (
    Attempt,
    BalanceEntry,
    BillingStatement,
    Coupon,
    CouponRedemption,
    Dispute,
    LineItem,
    Payment,
    PaymentMethod,
    PaymentRequest,
    Refund,
    Reminder,
    Subscription,
    TokenizationLink,
    WebhookDelivery,
)
from dashboard.admin import PUBLIC_ID, ModeFilter, ReadOnlyAdmin, site
from dashboard.money import Money


class BillAdmin(ReadOnlyAdmin):
    """A record of money that belongs to a customer."""

    list_select_related = ("customer",)
    search_help_text = "Words of name, e-mail, number, description or reference, or a whole ID"

    def find(self, queryset, text):
        if text.startswith("cus_") and PUBLIC_ID.fullmatch(text):
            return queryset.filter(customer=text)
        return super().find(queryset, text)

    def get_queryset(self, request):
        return super().get_queryset(request).defer("search")


class ByIdAdmin(ReadOnlyAdmin):
    """A record that has no words to be found by: only whole IDs, its own and those of the columns `named_by`."""

    named_by = ("pk",)

    def find(self, queryset, text):
        if not PUBLIC_ID.fullmatch(text):
            return queryset.none()
        return queryset.filter(Q(*[(name, text) for name in self.named_by], _connector=Q.OR))


class LineInline(admin.TabularInline):
    model = LineItem
    fields = readonly_fields = ("position", "description", "quantity", "unit_price_money", "amount_money")
    extra = 0
    can_delete = False

    def has_view_permission(self, request, obj=None):
        return True  # whoever may see the statement

    def has_add_permission(self, request, obj=None):
        return False

    has_change_permission = has_delete_permission = has_add_permission


@admin.register(BillingStatement, site=site)
class StatementAdmin(BillAdmin):
    list_display = ("__str__", "customer", "status", "total_money", "amount_remaining_money", "due_at", "mode", "created_at")
    list_filter = (ModeFilter, "status")
    inlines = (LineInline,)
    fields = (
        "in_dashboard", "id", "customer", "mode", "number", "status", "description", "currency", "subtotal_money",
        "discount_money", "coupon", "total_money", "credit_applied_money", "amount_paid_money", "amount_remaining_money",
        "merchant_name",
        "bill_to_name", "bill_to_email", "bill_to_phone", "bill_to_tax_id", "bill_to_address", "statement_descriptor",
        "billing_details_collection", "allowed_methods", "merchant_reference_id", "metadata", "due_at", "finalized_at", "sent_at",
        "sent_count", "paid_at", "voided_at", "marked_uncollectible_at", "fulfilled_at", "fulfilled_by",
        "subscription", "period_start", "period_end", "billing", "billing_reason", "charges_failed", "next_charge_at",
        "created_by", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(Payment, site=site)
class PaymentAdmin(BillAdmin):
    list_display = ("__str__", "customer", "badge", "amount_money", "method", "gateway", "mode", "created_at")
    list_filter = (ModeFilter, "status", "product_type")
    fields = (
        "in_dashboard", "id", "customer", "mode", "product_type", "request", "statement", "attempt", "status", "amount_money",
        "amount_refunded_money", "dispute", "fee_money", "source", "method", "method_bin", "method_holder", "billing_name",
        "billing_email", "billing_phone", "billing_address",
        "address_check", "description", "merchant_reference_id", "statement_descriptor", "custom_fields", "metadata",
        "payment_intent_id", "gateway", "gateway_reference", "failure_code", "failure_message", "authorized_at", "paid_at",
        "created_by", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(PaymentRequest, site=site)
class RequestAdmin(BillAdmin):
    list_display = ("__str__", "customer", "status", "amount_money", "expires_at", "mode", "created_at")
    list_filter = (ModeFilter, "status")
    fields = (
        "in_dashboard", "id", "customer", "mode", "status", "amount_money", "discount_money", "coupon", "country", "method_types",
        "by_staff", "description",
        "merchant_reference_id", "metadata", "customer_name", "customer_email", "save_card", "complete_url", "cancel_url",
        "language", "expires_at", "completed_at", "canceled_at", "sent_at", "created_by", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(Attempt, site=site)
class AttemptAdmin(ByIdAdmin):
    """What was tried at a gateway: the first place to look when a payment hangs."""

    list_display = ("id", "kind", "target_id", "gateway", "state", "mode", "tries", "touched_at")
    list_filter = (ModeFilter, "state", "kind")
    search_help_text = "The whole ID of the attempt, of its customer or of what it is for"
    fields = (
        "id", "kind", "customer", "target_id", "mode", "gateway", "amount", "currency", "state", "remote_id", "error", "tries",
        "sent_at", "settled_at", "touched_at", "created_at",
    )  # fmt: skip

    named_by = ("pk", "target_id", "customer")


@admin.register(Refund, site=site)
class RefundAdmin(BillAdmin):
    list_display = ("__str__", "payment", "customer", "status", "reason", "mode", "created_at")
    list_filter = (ModeFilter, "status", "reason", "destination")
    list_select_related = ("customer", "payment")
    fields = (
        "in_dashboard", "id", "payment", "customer", "mode", "status", "amount_money", "reason", "remarks",
        "merchant_reference_id", "destination", "failure_code", "failure_message", "gateway", "gateway_reference", "metadata",
        "succeeded_at", "created_by", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(Dispute, site=site)
class DisputeAdmin(ByIdAdmin):
    list_display = ("__str__", "payment", "customer", "status", "reason", "mode", "opened_at")
    list_filter = (ModeFilter, "status")
    list_select_related = ("customer", "payment")
    search_help_text = "The whole ID of the dispute, its payment or its customer"
    named_by = ("pk", "payment", "customer")
    fields = (
        "in_dashboard", "id", "payment", "customer", "mode", "status", "amount_money", "reason", "gateway", "gateway_reference",
        "opened_at", "closed_at",
    )  # fmt: skip

    def page_of(self, obj):
        return obj.payment


@admin.register(BalanceEntry, site=site)
class BalanceEntryAdmin(ByIdAdmin):
    list_display = ("customer", "amount_money", "kind", "reason", "mode", "created_at")
    list_filter = (ModeFilter, "kind")
    list_select_related = ("customer",)
    search_help_text = "The whole ID of the entry, its customer, statement, payment or refund"
    named_by = ("pk", "customer", "statement", "payment", "refund")
    fields = (
        "in_dashboard", "id", "customer", "mode", "amount_money", "kind", "reason", "statement", "payment", "refund",
        "created_by", "created_at",
    )  # fmt: skip

    def page_of(self, obj):
        return obj.customer


@admin.register(Reminder, site=site)
class ReminderAdmin(ByIdAdmin):
    list_display = ("statement", "kind", "mode", "created_at")
    list_filter = ("kind",)
    list_select_related = ("statement",)
    search_help_text = "The whole ID of the reminder or of its statement"
    named_by = ("pk", "statement")
    fields = ("in_dashboard", "id", "statement", "mode", "kind", "created_at")

    @admin.display(description="Mode")
    def mode(self, obj):
        return "Live" if obj.statement.livemode else "Test"

    def page_of(self, obj):
        return obj.statement


@admin.register(WebhookDelivery, site=site)
class DeliveryAdmin(ByIdAdmin):
    """What a gateway reported, without its body: the dashboard's page shows that with secrets hidden."""

    list_display = ("type", "event_id", "gateway", "state", "mode", "deliveries", "tries", "received_at")
    list_filter = (ModeFilter, "state")
    search_help_text = "The whole ID of the delivery, of its event, or of what it is about at the gateway"
    named_by = ("pk",)
    fields = (
        "in_dashboard", "id", "mode", "gateway", "event_id", "type", "object_kind", "remote_id", "state", "deliveries", "tries",
        "error", "received_at", "touched_at", "processed_at",
    )  # fmt: skip

    def find(self, queryset, text):
        return super().find(queryset, text) | queryset.filter(Q(event_id=text) | Q(remote_id=text))

    def get_queryset(self, request):
        return super().get_queryset(request).defer("body")


@admin.register(PaymentMethod, site=site)
class MethodAdmin(ByIdAdmin):
    """What a receipt may show of a method. The tokens that stand for it, here and at its gateway, are shown to nobody."""

    list_display = ("__str__", "customer", "type", "badge", "is_default", "gateway", "mode", "created_at")
    list_filter = (ModeFilter, "status", "type", "is_default")
    list_select_related = ("customer",)
    search_help_text = "The whole ID of the method or of its customer"
    named_by = ("pk", "customer")
    fields = (
        "in_dashboard", "id", "customer", "mode", "type", "status", "badge", "is_default", "gateway", "card_name",
        "card_number_bin", "card_number_last4", "card_scheme", "card_funding_method", "card_issuer", "expire_month",
        "expire_year", "account_name", "account_bank_name", "account_number_last4", "account_type", "account_holder_type",
        "checkout_email", "checkout_holder", "wallet_type", "address", "created_by", "created_at", "archived_at",
    )  # fmt: skip


@admin.register(TokenizationLink, site=site)
class CardLinkAdmin(BillAdmin):
    list_display = ("__str__", "customer", "badge", "gateway", "by_staff", "expires_at", "mode", "created_at")
    list_filter = (ModeFilter, "status", "by_staff")
    list_select_related = ("customer",)
    search_help_text = "Words of name, e-mail or message, or a whole ID"
    fields = (
        "in_dashboard", "id", "customer", "mode", "status", "badge", "gateway", "currency", "by_staff", "make_default",
        "description", "customer_name", "customer_email", "method", "expires_at", "opened_at", "sent_at", "completed_at",
        "canceled_at", "created_by", "created_at", "updated_at",
    )  # fmt: skip

    def page_of(self, obj):
        return obj.customer if obj.by_staff else obj


@admin.register(Coupon, site=site)
class CouponAdmin(BillAdmin):
    list_display = ("code", "name", "badge", "off", "uses", "redeem_by", "customer", "mode", "created_at")
    list_filter = (ModeFilter, "active", "duration")
    search_help_text = "Words of code, name or description, or a whole ID"
    fields = (
        "in_dashboard", "id", "mode", "code", "name", "description", "badge", "active", "off", "duration",
        "duration_in_months", "customer", "times_redeemed", "max_redemptions", "max_per_customer", "starts_at", "redeem_by",
        "metadata", "created_by", "created_at", "updated_at", "version",
    )  # fmt: skip


@admin.register(CouponRedemption, site=site)
class RedemptionAdmin(ByIdAdmin):
    list_display = ("id", "coupon", "customer", "discounted", "counts", "mode", "redeemed_at", "released_at")
    list_filter = (ModeFilter, "counts")
    list_select_related = ("coupon", "customer")
    search_help_text = "The whole ID of the use, its coupon, customer, statement, request or subscription"
    named_by = ("pk", "coupon", "customer", "statement", "request", "subscription")
    fields = (
        "in_dashboard", "id", "coupon", "customer", "mode", "statement", "request", "subscription", "discounted", "counts",
        "redeemed_at", "released_at", "created_by",
    )  # fmt: skip

    @admin.display(description="Amount discounted")
    def discounted(self, obj):
        return Money(obj.amount_discounted, obj.currency)

    def page_of(self, obj):
        return obj.coupon


@admin.register(Subscription, site=site)
class SubscriptionAdmin(BillAdmin):
    list_display = ("name", "customer", "status", "period_money", "every", "next_invoice_on", "mode", "created_at")
    list_filter = (ModeFilter, "status", "billing", "interval")
    search_help_text = "Words of its name, of the customer's name or e-mail, or of metadata, or a whole ID"
    fields = (
        "in_dashboard", "id", "customer", "mode", "name", "status", "amount_money", "quantity", "period_money", "every",
        "billing", "days_until_due", "method", "coupon", "discount_ends_on", "started_on", "next_period", "next_invoice_on",
        "current_period_start", "current_period_end", "cancel_at_period_end", "problem", "metadata", "paused_at",
        "canceled_at", "created_by", "created_at", "updated_at", "version",
    )  # fmt: skip
