"""Who must have a second step to sign in with, and the door that stays shut until they have."""

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import TemplateView

from dashboard.views import StaffMixin

STEPS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
DONE = "second_step"  # in the session, once it was seen to be there
OPEN_DOORS = {  # URL names that lead to a second step, or out
    "account_logout",
    "account_reauthenticate",
    "account_change_password",
    "dashboard:second_step",
    "dashboard:theme",
}


def is_required(user):
    """Whether a role is one of REQUIRE_SECOND_STEP."""
    return user.role in settings.REQUIRE_SECOND_STEP


def steps_of(user):
    """The authenticators somebody signs in with, recovery codes aside: those only stand in for them."""
    return Authenticator.objects.filter(user_id=user.pk, type__in=STEPS)


class SecondStep:
    """Middleware: whose role needs a second step and has none is led to set one up, whatever they asked for.

    Nothing else is answered, and nothing that was posted is done. Once there is one, the session remembers: it cannot
    go away without the session (see MFAAdapter.can_delete_authenticator and team.remove_second_step).
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        if not settings.REQUIRE_SECOND_STEP or not getattr(view, "login_required", True):
            return None
        user, match = request.user, request.resolver_match
        if not user.is_authenticated or not is_required(user) or request.session.get(DONE):
            return None
        if match.view_name in OPEN_DOORS or match.view_name.startswith("mfa_"):
            return None
        if steps_of(user).exists():
            request.session[DONE] = True
            return None
        return redirect("dashboard:second_step")


class SecondStepNeeded(StaffMixin, TemplateView):
    """Why nothing opens yet, and the two ways to go on."""

    permission = "dashboard.view"
    title = "Set up a second step"
    template_name = "people/second_step.html"

    def get(self, request, *args, **kwargs):
        if not is_required(request.user) or steps_of(request.user).exists():
            return redirect(reverse("dashboard:home"))
        return super().get(request, *args, **kwargs)
