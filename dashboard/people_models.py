"""Who may come in, and where they are: invitations to the team, and sessions as somebody reads them.

An invitation's token is not stored, nor anything that leads to it without SECRET_KEY: the row holds a random nonce and
the token's SHA-256; the token is an HMAC of id and nonce. So the mail can be written when it is sent, and a copy of the
database lets nobody in.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from datetime import timedelta

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from dashboard.browsers import in_words
from dashboard.ids import PublicIdField
from dashboard.permissions import Role
from dashboard.tokens import hash_token, new_nonce

VALID_FOR = timedelta(hours=72)


def in_three_days():
    """When an invitation sent now ends."""
    return timezone.now() + VALID_FOR


class InvitationQuerySet(models.QuerySet):
    def pending(self):
        """Those nobody used or withdrew, expired ones included: they can be sent again."""
        return self.filter(status=Invitation.Status.OPEN)

    def for_token(self, token):
        """The invitation whose newest link this is, in whatever state, or None."""
        return self.filter(hashed=hash_token(token)).first()


class Invitation(models.Model):
    """One person asked to join the team, by a link that works once and for 72 hours."""

    class Status(models.TextChoices):
        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted"
        WITHDRAWN = "withdrawn", "Withdrawn"

    MOVES = {Status.OPEN: {Status.ACCEPTED, Status.WITHDRAWN}, Status.ACCEPTED: set(), Status.WITHDRAWN: set()}

    id = PublicIdField("inv")
    email = models.EmailField("e-mail")
    name = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=16, choices=Role)
    status = models.CharField(max_length=12, choices=Status, default=Status.OPEN)
    nonce = models.CharField(max_length=32, default=new_nonce, editable=False)
    hashed = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")  # whom it became
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(default=timezone.now)  # the newest link
    expires_at = models.DateTimeField(default=in_three_days)

    livemode = True  # staff are real whatever the mode
    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["email"], condition=Q(status="open"), name="invitation_once")]

    def __str__(self):
        return self.name or self.email

    def seal(self):
        """Store the hash of the token that id and nonce make. Call it after either changed. Returns the invitation."""
        self.hashed = hash_token(self._made())
        return self

    def _made(self):
        secret = hashlib.sha256(b"counterfoil.invitation" + settings.SECRET_KEY.encode()).digest()
        return urlsafe_b64encode(hmac.digest(secret, f"{self.pk}:{self.nonce}".encode(), "sha256")).decode().rstrip("=")

    @property
    def token(self):
        """The 256-bit token of the newest link, or "" when the key it was made with is gone."""
        made = self._made()
        return made if hmac.compare_digest(hash_token(made), self.hashed) else ""

    @property
    def url(self):
        """The link as it is mailed, or ""."""
        is_open = self.status == self.Status.OPEN and self.token
        return f"{settings.SITE_URL}{reverse('dashboard:invitation', args=[self.token])}" if is_open else ""

    @property
    def is_usable(self):
        """Open, and not too old."""
        return self.status == self.Status.OPEN and timezone.now() < self.expires_at

    @property
    def badge(self):
        """Its state in a word: open, expired, accepted, withdrawn."""
        return "expired" if self.status == self.Status.OPEN and not self.is_usable else self.status


class SessionQuerySet(models.QuerySet):
    def alive(self, now=None):
        """Sessions of somebody signed in that neither the clock nor idleness ended."""
        now = now or timezone.now()
        recent = Q(seen_at__gt=now - timedelta(seconds=settings.SESSION_IDLE_SECONDS)) | Q(seen_at=None)  # just signed in
        return self.filter(recent, user__isnull=False, expire_date__gt=now).order_by(F("seen_at").desc(nulls_first=True))


class Session(AbstractBaseSession):
    """A browser's session. The columns repeat what its data says, so that a person sees where they are signed in.

    Deleting the row ends it: its browser is signed out with the next request, and cannot write it back.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="sessions")
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True)  # to the minute
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)  # what the browser calls itself

    objects = BaseSessionManager.from_queryset(SessionQuerySet)()

    def __str__(self):
        return self.browser

    @classmethod
    def get_session_store_class(cls):
        from dashboard.sessions import SessionStore

        return SessionStore

    @property
    def ref(self):
        """Its name in addresses of pages: the key itself would open the session."""
        return f"ses_{hashlib.sha256(self.session_key.encode()).hexdigest()[:24]}"

    @property
    def browser(self):
        """Browser and system in words."""
        return in_words(self.agent)
