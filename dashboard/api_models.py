"""The API's own records: keys, what a request with an Idempotency-Key answered, and how often somebody asked."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from dashboard.ids import PublicIdField


class ApiKeyQuerySet(models.QuerySet):
    def usable(self, now=None):
        """Neither revoked nor expired."""
        now = now or timezone.now()
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)

    def ended(self, now=None):
        """Revoked or expired."""
        return self.exclude(pk__in=self.model.objects.usable(now).values("pk"))


class ApiKey(models.Model):
    """A secret key of one mode. It is shown once; only its SHA-256 is stored. With a `user` it is a personal token:
    it may do what that person may, and what it makes carries their id."""

    id = PublicIdField("key")
    livemode = models.BooleanField()
    name = models.CharField(max_length=60, help_text="Where it is used: “Web shop”, “Nightly import”.")
    hashed = models.CharField(max_length=64, unique=True, editable=False)
    hint = models.CharField(max_length=4, editable=False)  # its last letters, to tell two apart
    scopes = models.JSONField(default=list)  # see dashboard.api.scopes
    addresses = models.JSONField(default=list, blank=True)  # networks it is taken from; empty: any
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, blank=True, related_name="api_keys")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)  # to the minute

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        ordering = ["-id"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("dashboard:api_key", args=[self.pk])

    @property
    def prefix(self):
        """How its secret begins."""
        return "sk_live_" if self.livemode else "sk_test_"

    @property
    def shown(self):
        """Its secret as lists show it: how it begins and ends."""
        return f"{self.prefix}…{self.hint}"

    @property
    def status(self):
        """active, expired or revoked."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= timezone.now() else "active"


class IdempotencyKey(models.Model):
    """What the request with an Idempotency-Key answered. `status` is empty while it is being answered."""

    id = PublicIdField("idem")
    owner = models.CharField(max_length=40)  # the key or the member of staff that sent it
    livemode = models.BooleanField()
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # HMAC of method, path and body
    status = models.PositiveSmallIntegerField(null=True)
    body = models.TextField(blank=True)  # encrypted
    headers = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint("owner", "livemode", "key", name="idempotency_once")]

    def __str__(self):
        return self.key


class Bucket(models.Model):
    """How much somebody may still ask: a bucket of tokens that fills by itself (see dashboard.limits)."""

    name = models.CharField(max_length=100, primary_key=True)
    tokens = models.FloatField()
    filled_at = models.FloatField(db_index=True)  # Unix seconds

    def __str__(self):
        return self.name
