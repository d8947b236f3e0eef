"""Mounted under customers/<id:customer>/: the same lists, one customer's rows; and what one starts from a customer."""

from django.urls import path

from billing.views import (
    builder,
    card_links,
    coupons,
    credit,
    invoices,
    methods,
    payments,
    requests,
    sending,
    statements,
    subscriptions,
    terminal,
)

app_name = "customer_billing"

urlpatterns = [
    path("statements/", statements.CustomerStatementList.as_view(), name="statements"),
    path("statements/new/", builder.CustomerStatementNew.as_view(), name="statement_new"),
    path("methods/", methods.MethodList.as_view(), name="methods"),
    path("methods/new/", methods.MethodNew.as_view(), name="method_new"),
    path("methods/<id:pk>/", methods.MethodDetail.as_view(), name="method"),
    path("methods/<id:pk>/default/", methods.MethodDefault.as_view(), name="method_default"),
    path("methods/<id:pk>/remove/", methods.MethodRemove.as_view(), name="method_remove"),
    path("charge/", terminal.Charge.as_view(), name="charge"),
    path("balance/", credit.Balance.as_view(), name="balance"),
    path("balance/adjust/", credit.BalanceAdjust.as_view(), name="balance_adjust"),
    path("payments/", payments.CustomerPaymentList.as_view(), name="payments"),
    path("requests/", requests.CustomerRequestList.as_view(), name="requests"),
    path("request-payment/", requests.RequestPayment.as_view(), name="request_new"),
    path("card-links/", card_links.CustomerCardLinkList.as_view(), name="card_links"),
    path("card-links/new/", card_links.CardLinkNew.as_view(), name="card_link_new"),
    path("coupons/", coupons.CustomerCouponList.as_view(), name="coupons"),
    path("coupons/new/", coupons.CustomerCouponNew.as_view(), name="coupon_new"),
    path("coupons/uses/", coupons.CustomerRedemptionList.as_view(), name="redemptions"),
    path("subscriptions/", subscriptions.CustomerSubscriptionList.as_view(), name="subscriptions"),
    path("subscriptions/new/", subscriptions.SubscriptionNew.as_view(), name="subscription_new"),
    path("invoices/", invoices.CustomerInvoiceList.as_view(), name="invoices"),
    path("reminders/", sending.CustomerPause.as_view(), name="reminders"),
]
