"""The outbox: every mail to a customer, from the moment it is caused until it has left, and afterwards."""

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from dashboard.ids import PublicIdField, bare


class MailQuerySet(models.QuerySet):
    def waiting(self):
        """Those that have still to leave."""
        return self.filter(state__in=Mail.WAITING)

    def due(self, now=None):
        """Those to send now: new ones, failed tries whose pause is over, and claims nobody came back from."""
        return self.waiting().filter(next_try_at__lte=now or timezone.now())

    def about(self, obj, kind=""):
        """The mails about one record, of one kind if it is named."""
        found = self.filter(object_type=obj._meta.label_lower, object_id=obj.pk)
        return found.filter(kind=kind) if kind else found


class Mail(models.Model):
    """One mail to one address. Written by dashboard.mail.queue in the transaction that causes it.

    No link that opens a page is in it: the text holds MARK, and the link takes its place when the mail is sent.
    """

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        HELD = "held", "Not sent"  # on purpose: `error` says why

    WAITING = (State.QUEUED, State.SENDING)
    MARK = "[[link]]"

    id = PublicIdField("mail")
    livemode = models.BooleanField()
    kind = models.CharField(max_length=20)  # what it is, in a word: statement, reminder, receipt, payment_request
    object_type = models.CharField(max_length=64)  # the record it is about, "billing.payment", ...
    object_id = models.CharField(max_length=40)  # ... and its ID
    customer_id = models.CharField(max_length=40, blank=True)
    to = models.CharField(max_length=512)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    attach = models.CharField(max_length=100, blank=True)  # dotted name of the function that makes the attachment
    key = models.CharField(max_length=64, blank=True, editable=False)  # what may be mailed once only, such as a form
    state = models.CharField(max_length=8, choices=State, default=State.QUEUED)
    error = models.CharField(max_length=500, blank=True)  # of the last try
    tries = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(default=timezone.now)  # while it is being sent: when its sender counts as lost
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")  # null: by itself
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)

    objects = MailQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint("key", condition=~Q(key=""), name="mail_key_once")]
        indexes = [
            models.Index("livemode", F("id").desc(), name="mail_newest"),
            models.Index("livemode", "state", F("id").desc(), name="mail_state"),
            models.Index("object_id", F("id").desc(), name="mail_object"),
            models.Index("next_try_at", name="mail_due", condition=Q(state__in=["queued", "sending"])),
        ]

    def __str__(self):
        return self.subject or self.kind_in_words

    def get_absolute_url(self):
        return reverse("dashboard:mail", args=[self.pk])

    @property
    def message_id(self):
        """The Message-ID header without its brackets: the same for every try, so that a second copy is recognised."""
        return f"{bare(self.pk)}@{settings.SITE_URL.partition('://')[2].partition(':')[0].partition('/')[0]}"

    @property
    def record(self):
        """The record it is about, or None when that is gone."""
        return apps.get_model(self.object_type)._default_manager.filter(pk=self.object_id).first()

    @property
    def kind_in_words(self):
        return self.kind.replace("_", " ").capitalize()

    @property
    def shown_text(self):
        """The text for staff to read, without the way to the payer's page."""
        return self.text.replace(self.MARK, "[link]")
