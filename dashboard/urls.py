"""The whole map on one screen."""

from django.urls import include, path

from billing.views.overview import Overview
from dashboard import errors, find, lists, outbox, pages
from dashboard.admin import site

front_door = (
    [
        path("", pages.home, name="home"),
        path("overview/", Overview.as_view(), name="overview"),
        path("search/", find.Search.as_view(), name="search"),
        path("mode/", pages.set_mode, name="mode"),
        path("theme/", pages.set_theme, name="theme"),
        path("profile/", pages.Profile.as_view(), name="profile"),
        path("activity/", lists.Activity.as_view(), name="activity"),
        path("outbox/", outbox.Outbox.as_view(), name="mails"),
        path("outbox/<id:pk>/", outbox.MailDetail.as_view(), name="mail"),
        path("outbox/<id:pk>/retry/", outbox.MailRetry.as_view(), name="mail_retry"),
        path("lists/columns/", lists.ChooseColumns.as_view(), name="columns"),
        path("lists/views/new/", lists.ViewCreate.as_view(), name="view_new"),
        path("lists/views/<id:pk>/delete/", lists.ViewDelete.as_view(), name="view_delete"),
        path("healthz", pages.healthz, name="healthz"),
    ],
    "dashboard",
)

urlpatterns = [
    path("", include(front_door)),
    path("accounts/", include("dashboard.account_urls")),
    path("customers/", include("customers.urls")),
    path("customers/<id:customer>/", include("billing.customer_urls")),
    path("billing/", include("billing.urls")),
    path("", include("billing.pay_urls")),
    path("admin/", site.urls),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler429 = errors.too_many_requests  # allauth's rate limits ask for it
handler500 = errors.server_error
