"""The whole map on one screen."""

from django.urls import include, path

from billing.views.overview import Overview
from dashboard import activity, api_pages, errors, find, health, help, lists, outbox, pages, people, second_step
from dashboard.admin import site
from dashboard.api import v1

front_door = (
    [
        path("", pages.home, name="home"),
        path("overview/", Overview.as_view(), name="overview"),
        path("search/", find.Search.as_view(), name="search"),
        path("mode/", pages.set_mode, name="mode"),
        path("theme/", pages.set_theme, name="theme"),
        path("profile/", pages.Profile.as_view(), name="profile"),
        path("profile/sessions/end/", people.OwnSessionsEnd.as_view(), name="own_sessions_end"),
        path("profile/sessions/<id:pk>/end/", people.OwnSessionEnd.as_view(), name="own_session_end"),
        path("second-step/", second_step.SecondStepNeeded.as_view(), name="second_step"),
        path("team/", people.Team.as_view(), name="team"),
        path("team/invite/", people.Invite.as_view(), name="invite"),
        path("team/invitations/<id:pk>/send/", people.InvitationResend.as_view(), name="invitation_resend"),
        path("team/invitations/<id:pk>/withdraw/", people.InvitationWithdraw.as_view(), name="invitation_withdraw"),
        path("team/<id:pk>/", people.Person.as_view(), name="person"),
        path("team/<id:pk>/edit/", people.PersonEdit.as_view(), name="person_edit"),
        path("team/<id:pk>/switch/", people.PersonSwitch.as_view(), name="person_switch"),
        path("team/<id:pk>/sign-out/", people.PersonSignOut.as_view(), name="person_sign_out"),
        path("team/<id:pk>/second-step/", people.PersonSecondStep.as_view(), name="person_second_step"),
        path("team/<id:person>/sessions/<id:pk>/end/", people.SessionEnd.as_view(), name="session_end"),
        path("invitation/<slug:token>/", people.AcceptInvitation.as_view(), name="invitation"),
        path("activity/", activity.Activity.as_view(), name="activity"),
        path("activity/<id:pk>/", activity.EventDetail.as_view(), name="event"),
        path("api-keys/", api_pages.Keys.as_view(), name="api_keys"),
        path("api-keys/new/", api_pages.KeyCreate.as_view(), name="api_key_new"),
        path("api-keys/<id:pk>/", api_pages.Key.as_view(), name="api_key"),
        path("api-keys/<id:pk>/roll/", api_pages.KeyRoll.as_view(), name="api_key_roll"),
        path("api-keys/<id:pk>/revoke/", api_pages.KeyRevoke.as_view(), name="api_key_revoke"),
        path("profile/tokens/", api_pages.OwnTokens.as_view(), name="own_tokens"),
        path("profile/tokens/new/", api_pages.OwnTokenCreate.as_view(), name="own_token_new"),
        path("profile/tokens/<id:pk>/roll/", api_pages.OwnTokenRoll.as_view(), name="own_token_roll"),
        path("profile/tokens/<id:pk>/revoke/", api_pages.OwnTokenRevoke.as_view(), name="own_token_revoke"),
        path("help/", help.Index.as_view(), name="help"),
        path("help/api/reference/", help.Reference.as_view(), name="help_reference"),
        path("help/<slug:topic>/", help.Topic.as_view(), name="help_topic"),
        path("outbox/", outbox.Outbox.as_view(), name="mails"),
        path("outbox/<id:pk>/", outbox.MailDetail.as_view(), name="mail"),
        path("outbox/<id:pk>/retry/", outbox.MailRetry.as_view(), name="mail_retry"),
        path("lists/columns/", lists.ChooseColumns.as_view(), name="columns"),
        path("lists/views/new/", lists.ViewCreate.as_view(), name="view_new"),
        path("lists/views/<id:pk>/delete/", lists.ViewDelete.as_view(), name="view_delete"),
        path(".well-known/security.txt", pages.security_txt, name="security_txt"),
        path("healthz", health.healthz, name="healthz"),
        path("readyz", health.readyz, name="readyz"),
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
    path("api/v1/", v1.urls),
    path("admin/", site.urls),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler429 = errors.too_many_requests  # allauth's rate limits ask for it
handler500 = errors.server_error
