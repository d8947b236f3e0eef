"""The front door's own records: staff, events, saved views."""

from typing import NamedTuple

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import connection, models
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from dashboard.ids import PublicIdField
from dashboard.permissions import Role, allowed

NAMED_BY = ("code", "method", "number")  # parts of an event's data that tell which coupon, payment method or invoice
NOUNS = {"api_key": "API key"}  # events about what is not called by its model's name
SAID = {
    "payment_method.archived": "removed",
    "open": "finalised",
    "new": "open again",
    "extended": "given more time",
    "done": "completed",
    "active": "restored",
    "checking": "being checked",
    "applying": "begun",
    "reminded": "reminder sent",
    "copied_from": "made as a copy",
    "fulfilled": "marked fulfilled",
    "unfulfilled": "marked not fulfilled",
    "will_be_due": "reminder sent, soon due",
    "overdue": "reminder sent, overdue",
    "reminder_failed": "reminder not sent",
    "cancel_planned": "to end with its period",
    "cancel_undone": "kept after all",
    "invoiced": "invoice issued",
    "problem": "invoice not issued",
    "charge_failed": "automatic charge failed",
    "user.created": "added to the team",
    "password_set": "password changed",
    "session_ended": "signed out of a browser",
    "sessions_ended": "signed out of other browsers",
    "second_step_added": "set up an authenticator app",
    "second_step_switched_off": "switched off the authenticator app",
    "second_step_removed": "second step switched off by an admin",
    "passkey_added": "added a passkey",
    "passkey_removed": "removed a passkey",
    "recovery_codes_made": "made new recovery codes",
    "invitation.created": "sent",
    "resent": "sent again",
    "mail_failed": "mail not delivered",
    "mail_retried": "mail tried again",
    "sign_in.throttled": "refused after too many tries",
    "user.reset_asked": "asked for a new password",
    "user.password_set": "password changed",
    "audit.restored": "trail taken over from a backup",
    "data.purged": "no longer needed deleted",
    "audit.redacted": "trail freed of personal data",
}  # events


class UserManager(BaseUserManager):
    def create_user(self, email, password=None, role=Role.SUPPORT, **fields):
        user = self.model(email=self.normalize_email(email).lower(), role=role, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email, password=None, **fields):
        return self.create_user(email, password, role=Role.ADMIN, **fields)

    def get_by_natural_key(self, email):
        return self.get(email=email.lower())


class User(AbstractBaseUser):
    """A member of staff. Signs in by e-mail; holds exactly one role (see permissions.py)."""

    id = PublicIdField("usr")
    email = models.EmailField("e-mail", unique=True)
    name = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=16, choices=Role, default=Role.SUPPORT)
    is_active = models.BooleanField("active", default=True, help_text="Switch off instead of deleting: history keeps names.")
    shortcuts = models.BooleanField("keyboard shortcuts", default=True)
    list_columns = models.JSONField(default=dict, editable=False)  # the columns chosen, by list
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    USERNAME_FIELD = EMAIL_FIELD = "email"
    livemode = True  # staff are real whatever the mode; their events stand with the live ones
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_ci")]

    def __str__(self):
        return self.name or self.email

    def get_absolute_url(self):
        return reverse("dashboard:person", args=[self.pk])

    @property
    def shown_name(self):
        """The name, or the address of somebody who gave none."""
        return str(self)

    @property
    def initials(self):
        return "".join(w[0] for w in str(self).split()[:2]).upper()

    @property
    def is_staff(self):
        """Django admin's own question: support and above may enter it."""
        return allowed(self, "dashboard.view_contact_data")

    def has_perm(self, permission, obj=None):
        return allowed(self, permission)

    def has_perms(self, permissions, obj=None):
        return all(self.has_perm(p) for p in permissions)

    def has_module_perms(self, app_label):
        return self.is_staff


class Event(models.Model):
    """One thing that happened. Append-only: database triggers refuse update and delete."""

    class Actor(models.TextChoices):
        STAFF = "staff"
        API = "api"
        PAYER = "payer"
        SYSTEM = "system"

    id = PublicIdField("evt")  # sorts by creation: the order of the timeline
    type = models.CharField(max_length=64, db_index=True)
    object_type = models.CharField(max_length=32)
    object_id = models.CharField(max_length=40)
    customer_id = models.CharField(max_length=40, blank=True)
    livemode = models.BooleanField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    actor = models.CharField(max_length=8, choices=Actor)
    ip = models.CharField("IP address", max_length=45, default="", db_default="")  # where the request came from, if it was one
    request_id = models.CharField("request ID", max_length=16, default="", db_default="")
    changes = models.JSONField(default=dict)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(editable=False)
    signature = models.CharField(max_length=32, default="", db_default="", editable=False)  # see dashboard.signing

    class Meta:
        get_latest_by = "id"
        indexes = [
            models.Index("customer_id", models.F("id").desc(), name="event_customer"),
            models.Index("object_id", models.F("id").desc(), name="event_object"),
            models.Index("ip", models.F("id").desc(), name="event_ip", condition=~models.Q(ip="")),
            models.Index("request_id", name="event_request", condition=~models.Q(request_id="")),
        ]

    def __str__(self):
        return f"{self.type} {self.object_id}"

    def get_absolute_url(self):
        return reverse("dashboard:event", args=[self.pk])

    @property
    def why(self):
        """The reason somebody gave."""
        return self.data.get("why") or self.data.get("reason") or ""

    @property
    def who(self):
        """The name of whoever did it, in words."""
        return str(self.by) if self.by_id else {"payer": "Payer", "api": "API"}.get(self.actor, "System")

    @property
    def sentence(self):
        """What happened, in words: "Customer updated: phone, name", "Coupon redeemed: SPRING10"."""
        noun, _, verb = self.type.partition(".")
        verb = SAID.get(self.type) or SAID.get(verb, verb)
        said = f"{NOUNS.get(noun) or noun.replace('_', ' ').capitalize()} {verb.replace('_', ' ')}"
        if which := next((self.data[name] for name in NAMED_BY if self.data.get(name)), ""):
            return f"{said}: {which}"
        return (
            f"{said}: {', '.join(n.replace('_', ' ') for n in self.changes)}"
            if self.changes and "status" not in self.changes
            else said
        )

    @property
    def tone(self):
        """The colour of its dot on a timeline."""
        verb = self.type.rpartition(".")[2]
        return {"paid": "ok", "succeeded": "ok", "failed": "bad", "declined": "bad", "created": "info", "sent": "info"}.get(
            verb, ""
        )


class Saved(NamedTuple):
    """A saved view as a list page shows it."""

    pk: str
    name: str
    query: str


class SavedViewQuerySet(models.QuerySet):
    def beside(self, list_name, user, livemode):
        """What a list page asks besides its rows, in one query: (the newest event's id, a person's own views of the list
        and those everybody sees). As long as that id stays, nothing has changed of what writes events."""
        with connection.cursor() as cursor:
            cursor.execute(_BESIDE, [list_name, livemode, user.pk])
            found = cursor.fetchall()
        return found[0][0] or "none", [Saved(*view) for _, *view in found if view[0]]


_BESIDE = """
    SELECT e.newest, v.id, v.name, v.query FROM (SELECT max(id) AS newest FROM dashboard_event) e
    LEFT JOIN dashboard_savedview v ON v.list = %s AND v.livemode = %s AND (v.owner_id = %s OR v.shared)
    ORDER BY v.name"""


class SavedView(models.Model):
    """A list's filter, columns and sort under one name, one's own or everybody's."""

    id = PublicIdField("view")
    list = models.CharField(max_length=64)  # the list's URL name: "customers:customers"
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, blank=True)  # its query string, without page
    shared = models.BooleanField("everyone sees it", default=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="views")
    livemode = models.BooleanField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("owner", "list", "livemode", "name", name="view_name_once")]

    def __str__(self):
        return self.name


from dashboard.api_models import ApiKey, Bucket, IdempotencyKey  # noqa: E402, F401  and these
from dashboard.audit_models import EventSeal, Redaction, SealedEvent  # noqa: E402, F401  and these
from dashboard.import_models import Import, ImportMapping, ImportPiece, ImportRow  # noqa: E402, F401  they are this app's
from dashboard.mail_models import Mail  # noqa: E402, F401  so is the outbox
from dashboard.people_models import Invitation, Session  # noqa: E402, F401  and who comes in
