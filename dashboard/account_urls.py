"""The doors of sign-in, under /accounts/: exactly these. Sign-up, e-mail management and social sign-in have none.

Names are allauth's own: it reverses them.
"""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as passkeys
from django.contrib.auth.decorators import login_not_required
from django.urls import path, re_path
from django.views.generic import TemplateView

from dashboard.accounts import ConfirmByCode, ConfirmByPassword, Logout
from dashboard.passkeys import ConfirmByPasskey, RemovePasskey

closed = login_not_required(TemplateView.as_view(template_name="account/signup_closed.html"))

urlpatterns = [
    path("login/", account.login, name="account_login"),
    path("logout/", Logout.as_view(), name="account_logout"),
    path("signup/", closed),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", ConfirmByPassword.as_view(), name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/set/", account.password_set, name="account_set_password"),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path("password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    path("password/reset/key/done/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    re_path(  # a user's id is text here, with an underscore
        r"^password/reset/key/(?P<uidb36>[0-9a-z_]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("2fa/", mfa.index, name="mfa_index"),
    path("2fa/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("2fa/reauthenticate/", ConfirmByCode.as_view(), name="mfa_reauthenticate"),
    path("2fa/totp/activate/", totp.activate_totp, name="mfa_activate_totp"),
    path("2fa/totp/deactivate/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("2fa/passkeys/add/", passkeys.add_webauthn, name="mfa_add_webauthn"),
    path("2fa/passkeys/<int:number>/remove/", RemovePasskey.as_view(), name="mfa_remove_webauthn"),
    path("2fa/passkeys/confirm/", ConfirmByPasskey.as_view(), name="mfa_reauthenticate_webauthn"),
    path("2fa/passkeys/sign-in/", passkeys.login_webauthn, name="mfa_login_webauthn"),
    path("2fa/recovery-codes/", codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("2fa/recovery-codes/generate/", codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("2fa/recovery-codes/download/", codes.download_recovery_codes, name="mfa_download_recovery_codes"),
]
