"""Who must have a second step to sign in with, or a password of their own, and the door that stays shut until they have."""

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import TemplateView

from dashboard.models import Event
from dashboard.views import StaffMixin

STEPS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
DONE = "second_step"  # in the session, once it was seen to be there
OWN = "own_password"  # the same of a password of one's own
PRINTED = "password_printed"  # in the event of the first admin's making
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


def has_printed_password(user):
    """Whether somebody still signs in with the password the first start printed in a terminal. ASVS 6.4.1."""
    about = Event.objects.filter(object_id=user.pk)
    printed = about.filter(type="user.created", **{f"data__{PRINTED}": True}).exists()
    return printed and not about.filter(type="user.password_set").exists()


class SecondStep:
    """Middleware: whose role needs a second step and has none is led to set one up, whatever they asked for.

    On a live installation the same goes for a password that was printed. Nothing else is answered, and nothing that was
    posted is done. Once there is one, the session remembers: it cannot
    go away without the session (see MFAAdapter.can_delete_authenticator and team.remove_second_step).
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, view, args, kwargs):
        user, match = request.user, request.resolver_match
        if not getattr(view, "login_required", True) or not user.is_authenticated:
            return None
        if match.view_name in OPEN_DOORS or match.view_name.startswith("mfa_"):
            return None
        if settings.SECURE and user.role == "admin" and not self.knows(request, OWN, has_printed_password, False):
            messages.info(request, "Choose a password of your own first: this one stood in a terminal.")
            return redirect("account_change_password")
        if is_required(user) and not self.knows(request, DONE, lambda user: steps_of(user).exists(), True):
            return redirect("dashboard:second_step")
        return None

    @staticmethod
    def knows(request, name, ask, good):
        """Whether the session has it that all is well, or else the database."""
        if not request.session.get(name) and ask(request.user) is good:
            request.session[name] = True
        return request.session.get(name, False)


class SecondStepNeeded(StaffMixin, TemplateView):
    """Why nothing opens yet, and the two ways to go on."""

    permission = "dashboard.view"
    title = "Set up a second step"
    template_name = "people/second_step.html"

    def get(self, request, *args, **kwargs):
        if not is_required(request.user) or steps_of(request.user).exists():
            return redirect(reverse("dashboard:home"))
        return super().get(request, *args, **kwargs)
