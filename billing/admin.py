"""Bills, payments and all that hangs on them, as support reads them in the admin. Nothing here changes money.

Fields are listed one by one: links for payers, their nonces, tokens that charge a method or stand for it, what is sent to
gateways and what they send are not among them.
"""

from django.contrib import admin
from django.db.models import Q

from billing.domain import card_links, coupons, reminders, requests, webhooks
from billing.domain.attempt_checks import check_attempt
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
from dashboard.admin import CreatedFilter, ModeFilter, ReadOnlyAdmin, ReadOnlyInline, bulk, site
from dashboard.money import Money

SEND, CANCEL, LINK = "billing.send_statement", "billing.cancel_paymentrequest", "billing.add_cardlink"
SWITCH, CHECK, REPLAY = "billing.change_coupon", "billing.check_attempt", "billing.replay_delivery"
FEW = 10  # at once of what asks a gateway: each may take ten seconds


class BillAdmin(ReadOnlyAdmin):
    """A record of money that belongs to a customer."""

    list_select_related = ("customer",)
    named_by = ("pk", "customer")
    search_help_text = "Words of name, e-mail, number, description or reference, or a whole ID"

    def get_queryset(self, request):
        return super().get_queryset(request).defer("search")


class ByIdAdmin(ReadOnlyAdmin):
    """A record that has no words to be found by: only whole IDs, its own and those of the columns `named_by`."""

    def by_words(self, queryset, text):
        return queryset.none()


class LineInline(ReadOnlyInline):
    model = LineItem
    fields = ("position", "description", "quantity", "unit_price_money", "amount_money")


def pause(statement, *, by):
    reminders.pause_reminders(statement, paused=True, by=by)


def resume(statement, *, by):
    reminders.pause_reminders(statement, paused=False, by=by)


def switch_off(coupon, *, by):
    coupons.switch(coupon, active=False, by=by)


def switch_on(coupon, *, by):
    coupons.switch(coupon, active=True, by=by)


@admin.register(BillingStatement, site=site)
class StatementAdmin(BillAdmin):
    named_by = ("pk", "customer", "subscription", "coupon")
    list_display = (
        "__str__", "customer", "status", "total_money", "amount_remaining_money", "due_at", "mode_badge", "created_at",
    )  # fmt: skip
    list_filter = (ModeFilter, CreatedFilter, "status")
    inlines = (LineInline,)
    fields = (
        "in_dashboard", "id", "customer", "mode", "number", "status", "description", "currency", "subtotal_money",
        "discount_money", "coupon", "total_money", "credit_applied_money", "amount_paid_money", "amount_remaining_money",
        "merchant_name",
        "bill_to_name", "bill_to_email", "bill_to_phone", "bill_to_tax_id", "bill_to_address", "statement_descriptor",
        "billing_details_collection", "allowed_methods", "merchant_reference_id", "metadata", "due_at", "finalized_at", "sent_at",
        "sent_count", "paid_at", "voided_at", "marked_uncollectible_at", "fulfilled_at", "fulfilled_by",
        "subscription", "period_start", "period_end", "billing", "billing_reason", "charges_failed", "next_charge_at",
        "reminders_paused", "promised_on", "promise_note", "created_by", "created_at", "updated_at",
    )  # fmt: skip
    actions = (
        bulk(
            pause, name="pause", title="Pause reminders", permission=SEND, done="without automatic reminders now",
            consequence="No automatic reminder of these statements is mailed until you resume them. They stay due.",
        ),
        bulk(
            resume, name="resume", title="Resume reminders", permission=SEND, done="with automatic reminders again",
            consequence="Automatic reminders of these statements are mailed again, those that are due now included.",
        ),
    )  # fmt: skip


@admin.register(Payment, site=site)
class PaymentAdmin(BillAdmin):
    named_by = ("pk", "customer", "statement", "request", "source")
    list_display = ("__str__", "customer", "badge", "amount_money", "method", "gateway", "mode_badge", "created_at")
    list_filter = (ModeFilter, CreatedFilter, "status", "product_type")
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
    named_by = ("pk", "customer", "coupon")
    list_display = ("__str__", "customer", "status", "amount_money", "expires_at", "mode_badge", "created_at")
    list_filter = (ModeFilter, CreatedFilter, "status")
    fields = (
        "in_dashboard", "id", "customer", "mode", "status", "amount_money", "discount_money", "coupon", "country", "method_types",
        "by_staff", "description",
        "merchant_reference_id", "metadata", "customer_name", "customer_email", "save_card", "complete_url", "cancel_url",
        "language", "expires_at", "completed_at", "canceled_at", "sent_at", "created_by", "created_at", "updated_at",
    )  # fmt: skip
    actions = (
        bulk(
            requests.cancel_payment_request, name="cancel", title="Cancel requests", permission=CANCEL, done="canceled", most=FEW,
            consequence="Their links stop taking payment at once. No money moves, and what was paid already stays paid.",
        ),
    )  # fmt: skip


@admin.register(Attempt, site=site)
class AttemptAdmin(ByIdAdmin):
    """What was tried at a gateway: the first place to look when a payment hangs."""

    list_display = ("id", "kind", "target_id", "gateway", "state", "mode_badge", "tries", "touched_at")
    list_filter = (ModeFilter, "state", "kind")
    search_help_text = "The whole ID of the attempt, of its customer or of what it is for"
    fields = (
        "id", "kind", "customer", "target_id", "mode", "gateway", "amount", "currency", "state", "remote_id", "error", "tries",
        "sent_at", "settled_at", "touched_at", "created_at",
    )  # fmt: skip

    named_by = ("pk", "target_id", "customer")
    actions = (
        bulk(
            check_attempt, name="check", title="Ask the gateway again", permission=CHECK, done="asked about", most=FEW,
            consequence="The gateway is asked what became of these. Asking never charges or refunds anything twice.",
        ),
    )  # fmt: skip


@admin.register(Refund, site=site)
class RefundAdmin(BillAdmin):
    named_by = ("pk", "customer", "payment")
    list_display = ("__str__", "payment", "customer", "status", "reason", "mode_badge", "created_at")
    list_filter = (ModeFilter, CreatedFilter, "status", "reason", "destination")
    list_select_related = ("customer", "payment")
    fields = (
        "in_dashboard", "id", "payment", "customer", "mode", "status", "amount_money", "reason", "remarks",
        "merchant_reference_id", "destination", "failure_code", "failure_message", "gateway", "gateway_reference", "metadata",
        "succeeded_at", "created_by", "created_at", "updated_at",
    )  # fmt: skip


@admin.register(Dispute, site=site)
class DisputeAdmin(ByIdAdmin):
    list_display = ("__str__", "payment", "customer", "status", "reason", "mode_badge", "opened_at")
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
    list_display = ("customer", "amount_money", "kind", "reason", "mode_badge", "created_at")
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
    list_display = ("statement", "kind", "mode_badge", "created_at")
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

    permission = "billing.view_delivery"
    list_display = ("type", "event_id", "gateway", "state", "mode_badge", "deliveries", "tries", "received_at")
    list_filter = (ModeFilter, "state")
    search_help_text = "The whole ID of the delivery, of its event, or of what it is about at the gateway"
    fields = (
        "in_dashboard", "id", "mode", "gateway", "event_id", "type", "object_kind", "remote_id", "state", "deliveries", "tries",
        "error", "received_at", "touched_at", "processed_at",
    )  # fmt: skip
    actions = (
        bulk(
            webhooks.replay, name="replay", title="Replay deliveries", permission=REPLAY, done="worked on again", most=FEW,
            consequence="The gateway is asked about what these name, and the answer is applied. Nothing is charged twice.",
        ),
    )  # fmt: skip

    def find(self, queryset, text):
        return super().find(queryset, text) | queryset.filter(Q(event_id=text) | Q(remote_id=text))

    def get_queryset(self, request):
        return super().get_queryset(request).defer("body")


@admin.register(PaymentMethod, site=site)
class MethodAdmin(ByIdAdmin):
    """What a receipt may show of a method. The tokens that stand for it, here and at its gateway, are shown to nobody."""

    list_display = ("__str__", "customer", "type", "badge", "is_default", "gateway", "mode_badge", "created_at")
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
    named_by = ("pk", "customer", "method")
    list_display = ("__str__", "customer", "badge", "gateway", "by_staff", "expires_at", "mode_badge", "created_at")
    list_filter = (ModeFilter, "status", "by_staff")
    list_select_related = ("customer",)
    search_help_text = "Words of name, e-mail or message, or a whole ID"
    fields = (
        "in_dashboard", "id", "customer", "mode", "status", "badge", "gateway", "currency", "by_staff", "make_default",
        "description", "customer_name", "customer_email", "method", "expires_at", "opened_at", "sent_at", "completed_at",
        "canceled_at", "created_by", "created_at", "updated_at",
    )  # fmt: skip
    actions = (
        bulk(
            card_links.cancel_card_link, name="end", title="End links now", permission=LINK, done="ended", most=FEW,
            consequence="Nobody saves a card on these links any more. Cards that were saved stay.",
        ),
    )  # fmt: skip

    def page_of(self, obj):
        return obj.customer if obj.by_staff else obj


@admin.register(Coupon, site=site)
class CouponAdmin(BillAdmin):
    list_display = ("code", "name", "badge", "off", "uses", "redeem_by", "customer", "mode_badge", "created_at")
    list_filter = (ModeFilter, CreatedFilter, "active", "duration")
    search_help_text = "Words of code, name or description, or a whole ID"
    fields = (
        "in_dashboard", "id", "mode", "code", "name", "description", "badge", "active", "off", "duration",
        "duration_in_months", "customer", "times_redeemed", "max_redemptions", "max_per_customer", "starts_at", "redeem_by",
        "metadata", "created_by", "created_at", "updated_at", "version",
    )  # fmt: skip
    actions = (
        bulk(
            switch_off, name="switch_off", title="Switch off coupons", permission=SWITCH, done="switched off",
            consequence="Nobody can use these codes any more. Discounts that were given already stay.",
        ),
        bulk(
            switch_on, name="switch_on", title="Switch on coupons", permission=SWITCH, done="switched on",
            consequence="These codes can be used again, as far as their dates and limits allow.",
        ),
    )  # fmt: skip


@admin.register(CouponRedemption, site=site)
class RedemptionAdmin(ByIdAdmin):
    list_display = ("id", "coupon", "customer", "discounted", "counts", "mode_badge", "redeemed_at", "released_at")
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
    named_by = ("pk", "customer", "method", "coupon")
    list_display = ("name", "customer", "status", "period_money", "every", "next_invoice_on", "mode_badge", "created_at")
    list_filter = (ModeFilter, CreatedFilter, "status", "billing", "interval")
    search_help_text = "Words of its name, of the customer's name or e-mail, or of metadata, or a whole ID"
    fields = (
        "in_dashboard", "id", "customer", "mode", "name", "status", "amount_money", "quantity", "period_money", "every",
        "billing", "days_until_due", "method", "coupon", "discount_ends_on", "started_on", "next_period", "next_invoice_on",
        "current_period_start", "current_period_end", "cancel_at_period_end", "problem", "metadata", "paused_at",
        "canceled_at", "created_by", "created_at", "updated_at", "version",
    )  # fmt: skip
