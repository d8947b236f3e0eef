"""The team's pages: who works here, where they are signed in, who is invited; and the page an invitation opens."""

import django_filters
from allauth.mfa.models import Authenticator
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.password_validation import validate_password
from django.db.models import Exists, Max, OuterRef, Q
from django.db.models.functions import Coalesce, Greatest
from django.http import Http404, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.views.generic import TemplateView

from dashboard import invitations, second_step, tables, team
from dashboard.filters import FilterSet, SearchField, TextFilter
from dashboard.forms import KitForm
from dashboard.models import Event, Invitation, User
from dashboard.permissions import Role
from dashboard.states import DomainError
from dashboard.stepup import StepUp
from dashboard.views import ActionView, DetailView, EditView, FormView, ListView

TEAM = "dashboard.manage_team"
RECENT = 20  # events shown on a person's page
ROLE_HELP = (
    "Admins do everything. Managers run billing. Customer service helps customers and refunds. "
    "Reporting reads and exports, with contact details hidden."
)


# --- the list ------------------------------------------------------------------------------------------------
def newest_sign():
    """The newest sign of somebody: a session that still is, or their last sign-in."""
    newest = Max("sessions__seen_at")
    return Greatest(Coalesce(newest, "last_login"), Coalesce("last_login", newest))


def with_second_step():
    return Exists(Authenticator.objects.filter(user=OuterRef("pk"), type__in=second_step.STEPS))


class SecondStepColumn(tables.Column):
    def html(self, row):
        return tables.badge_html("On" if self.value(row) else "Off")


class StandingColumn(tables.Column):
    css = "m4"

    def html(self, row):
        return tables.badge_html("Active" if row.is_active else "Switched off")


class PersonTable(tables.Table):
    name = tables.LinkColumn(accessor="shown_name", sort="name", avatar=True, verbose_name="Name")
    email = tables.EmailColumn(sort="email", css="m2", contact=True, verbose_name="E-mail")
    role = tables.Column(accessor="get_role_display", css="m3", verbose_name="Role")
    second_step = SecondStepColumn(verbose_name="Second step")
    last_seen = tables.WhenColumn(css="tnum", verbose_name="Last seen")
    status = StandingColumn(accessor="is_active", verbose_name="Status")
    created_at = tables.WhenColumn(sort="pk", css="tnum", verbose_name="Joined")

    class Meta:
        model = User
        fields = ()
        order_by = "name"

    caption = "Team"
    always = ("name",)
    default = ("name", "email", "role", "second_step", "last_seen", "status")
    page_name = "dashboard:person"
    annotated = {"second_step": with_second_step, "last_seen": newest_sign}


class NameFilter(TextFilter):
    field_class = SearchField

    def filter(self, queryset, value):
        return queryset.filter(Q(name__icontains=value) | Q(email__icontains=value)) if value else queryset


STANDINGS = {"active": True, "off": False}


class PersonFilter(FilterSet):
    q = NameFilter(label="Search")
    role = django_filters.ChoiceFilter(choices=Role.choices, label="Role", empty_label="Any role")
    status = django_filters.ChoiceFilter(
        choices=[("active", "Active"), ("off", "Switched off")], label="Status", empty_label="Any", method="by_status"
    )

    groups = {"Role": ["role"], "Status": ["status"]}

    class Meta:
        model = User
        fields = []

    def by_status(self, queryset, _name, value):
        return queryset.filter(is_active=STANDINGS[value])


class Team(ListView):
    """Everybody who has an account, and who is invited. People are real whatever the mode."""

    queryset = User.objects.all()
    permission = TEAM
    section = "team"
    title = "Team"
    table_class = PersonTable
    filterset_class = PersonFilter
    template_name = "people/team.html"
    list_name = "dashboard:team"
    noun, plural = "person", "people"
    search_hint = "Search name or e-mail"
    tabs = (("All", ""), ("Active", "status=active"), ("Switched off", "status=off"))
    empty_text = "Invite somebody by e-mail."

    def get_queryset(self):
        return self.queryset.all()

    def get_context_data(self, **kwargs):
        pending = Invitation.objects.pending().select_related("invited_by").order_by("-id")
        return super().get_context_data(pending=pending, **kwargs)


# --- one person ----------------------------------------------------------------------------------------------
class PersonMixin:
    queryset = User.objects.all()
    permission = TEAM
    section = "team"

    def get_queryset(self):
        return self.queryset.all()


class Person(PersonMixin, DetailView):
    template_name = "people/person.html"

    def get_context_data(self, **kwargs):
        person = self.object
        about = Event.objects.filter(Q(by=person) | Q(object_id=person.pk))
        return super().get_context_data(
            person=person,
            sessions=person.sessions.alive(),
            steps=second_step.steps_of(person),
            must_have_step=second_step.is_required(person),
            history=about.select_related("by").order_by("-id")[:RECENT],
            **kwargs,
        )


class PersonForm(KitForm):
    name = forms.CharField(max_length=150, help_text="Shown in the history of what they do.")
    role = forms.ChoiceField(choices=Role.choices, help_text=ROLE_HELP)


class PersonEdit(PersonMixin, StepUp, EditView):
    title = "Change name or role"
    form_class = PersonForm

    def stepup_needed(self, data):
        return data["role"] != self.object.role

    def act(self, data):
        person = team.change_member(self.object, by=self.request.user, **data)
        return f"{person} is saved. A new role counts from the next sign-in, everywhere."


class PersonSwitch(PersonMixin, StepUp, ActionView):
    """Switch an account off, or on again."""

    form_class = KitForm

    @property
    def danger(self):
        return self.object.is_active

    def get_title(self):
        return f"Switch off {self.object}" if self.object.is_active else f"Switch {self.object} on again"

    @property
    def submit(self):
        return "Switch off" if self.object.is_active else "Switch on"

    def get_consequence(self):
        if self.object.is_active:
            return "They are signed out everywhere at once and cannot sign in. What they did keeps their name."
        return "They can sign in again, with the role and password they had."

    def act(self, data):
        person = team.change_member(self.object, is_active=not self.object.is_active, by=self.request.user)
        return f"{person} can sign in again." if person.is_active else f"{person} is switched off and signed out everywhere."


class PersonSignOut(PersonMixin, StepUp, ActionView):
    nothing = "Nobody was signed out."
    title = submit = "Sign out everywhere"
    form_class = KitForm
    danger = True
    consequence = "Every browser they are signed in with is signed out with its next click. They can sign in again."

    def act(self, data):
        mine = self.request.session.session_key if self.object == self.request.user else None
        count = team.end_sessions(self.object, by=self.request.user, but=mine)
        return f"{count} {'browser was' if count == 1 else 'browsers were'} signed out."


class PersonSecondStep(PersonMixin, StepUp, ActionView):
    title = submit = "Switch off the second step"
    form_class = KitForm
    danger = True

    def get_consequence(self):
        after = "and is led to set up a new one first" if second_step.is_required(self.object) else "until they set up a new one"
        return f"For a lost phone or key. {self.object} is signed out, then signs in with the password alone, {after}."

    def act(self, data):
        team.remove_second_step(self.object, by=self.request.user)
        return f"The second step of {self.object} is off."


# --- invitations ---------------------------------------------------------------------------------------------
class InviteForm(KitForm):
    email = forms.EmailField(max_length=254, label="E-mail")
    name = forms.CharField(max_length=150, required=False)
    role = forms.ChoiceField(choices=Role.choices, initial=Role.SUPPORT, help_text=ROLE_HELP)


class Invite(StepUp, FormView):
    permission = TEAM
    section = "team"
    title = "Invite somebody"
    submit = "Send invitation"
    form_class = InviteForm
    template_name = "people/invite.html"

    def act(self, data):
        invitation = invitations.invite(**data, by=self.request.user)
        return f"{invitation.email} gets a mail with a link that works once, for 72 hours."

    def get_success_url(self):
        return reverse("dashboard:team")


class InvitationAction(ActionView):
    queryset = Invitation.objects.pending()
    permission = TEAM
    section = "team"
    form_class = KitForm

    def get_queryset(self):
        return self.queryset.all()

    def get_success_url(self):
        return reverse("dashboard:team")


class InvitationResend(StepUp, InvitationAction):
    title = submit = "Send again"
    consequence = "A new link leaves, for another 72 hours. The link sent before stops working."

    def act(self, data):
        return f"A new link is on its way to {invitations.resend_invitation(self.object, by=self.request.user).email}."


class InvitationWithdraw(InvitationAction):
    title = submit = "Withdraw invitation"
    danger = True
    consequence = "The link stops working at once."

    def act(self, data):
        invitations.withdraw_invitation(self.object, by=self.request.user)
        return f"The invitation of {self.object.email} is withdrawn."


class AcceptForm(KitForm):
    name = forms.CharField(max_length=150, label="Your name", widget=forms.TextInput(attrs={"autocomplete": "name"}))
    password = forms.CharField(
        strip=False,
        max_length=1000,
        label="Choose a password",
        help_text="At least 12 characters. Four words nobody would put together are good.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    mark_optional = False

    def __init__(self, *args, invitation, **kwargs):
        super().__init__(*args, **kwargs)
        self.invitation = invitation

    def clean(self):
        data = super().clean()
        if password := data.get("password"):
            user = User(email=self.invitation.email, name=data.get("name", ""))
            try:
                validate_password(password, user)
            except forms.ValidationError as error:
                self.add_error("password", error)
        return data


@method_decorator(login_not_required, name="dispatch")
class AcceptInvitation(TemplateView):
    """What an invitation's link opens: the form while it works, and why not when it does not."""

    template_name = "people/accept.html"

    @cached_property
    def invitation(self):
        return Invitation.objects.for_token(self.kwargs["token"])

    def dispatch(self, request, *args, **kwargs):
        if not self.invitation or not self.invitation.is_usable:
            state = self.invitation.badge if self.invitation else "unknown"
            return render(request, "people/invitation_gone.html", {"state": state}, status=404 if state == "unknown" else 410)
        return super().dispatch(request, *args, **kwargs)

    def get(self, request, *args, **kwargs):
        return self.show(AcceptForm(invitation=self.invitation, initial={"name": self.invitation.name}))

    def post(self, request, *args, **kwargs):
        form = AcceptForm(request.POST, invitation=self.invitation)
        if not form.is_valid():
            return self.show(form, status=422)
        try:
            user = invitations.accept_invitation(self.invitation, **form.cleaned_data)
        except DomainError as error:
            form.add_error(None, str(error))
            return self.show(form, status=422)
        login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
        messages.success(request, f"Welcome, {user}. You are signed in.")
        return HttpResponseRedirect(reverse("dashboard:home"))

    def show(self, form, status=200):
        return self.render_to_response(self.get_context_data(form=form, invitation=self.invitation), status=status)


# --- sessions ------------------------------------------------------------------------------------------------
class SessionEnd(StepUp, ActionView):
    """Sign a browser out: one's own, or as an admin somebody else's."""

    nothing = "Nobody was signed out."
    title = submit = "Sign this browser out"
    form_class = KitForm
    danger = True
    queryset = User.objects.all()
    pk_name = "person"
    permission = TEAM
    section = "team"

    def get_queryset(self):
        return self.queryset.all()

    @cached_property
    def session(self):
        """The session named in the path, one of the person's; 404 for any other."""
        for found in self.object.sessions.all():
            if found.ref == self.kwargs["pk"]:
                return found
        raise Http404

    def get_consequence(self):
        found = self.session
        return f"{found.browser}, from {found.address or 'an unknown address'}: it is signed out with its next click."

    def act(self, data):
        ended = team.end_session(self.object, self.session.ref, by=self.request.user)
        return f"{ended.browser} is signed out."


class OwnSession:
    permission = "dashboard.view"
    section = "profile"

    @cached_property
    def object(self):
        return self.request.user

    def get_success_url(self):
        return reverse("dashboard:profile")


class OwnSessionEnd(OwnSession, SessionEnd):
    pass


class OwnSessionsEnd(OwnSession, StepUp, ActionView):
    nothing = "Nobody was signed out."
    title = submit = "Sign out everywhere else"
    form_class = KitForm
    consequence = "Every other browser is signed out with its next click. You stay signed in here."
    queryset = User.objects.all()

    def act(self, data):
        count = team.end_sessions(self.object, by=self.object, but=self.request.session.session_key)
        return f"{count} other {'browser was' if count == 1 else 'browsers were'} signed out."
