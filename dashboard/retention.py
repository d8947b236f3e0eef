"""What is deleted by itself once nobody needs it: records of daily work that hold personal data.

Each app says so for its tables, in RULES of its module `retention`; the command `purge` goes by all of them, and
`./run purge --dry-run` prints the list. Documents, payments and events are not among them: they are kept, and a customer
who asks for it is erased (see docs/privacy.md).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from dashboard import events, limits
from dashboard.api import idempotency
from dashboard.import_models import Import
from dashboard.imports.runs import cancel_import
from dashboard.models import Bucket, IdempotencyKey, ImportRow, Invitation, Mail, Session

PURGED = "data.purged"  # event
AT_ONCE = 1000  # rows in one transaction: nobody who writes waits for long
MOST = 50_000  # rows of one rule in one go, by itself: the minute's other work waits meanwhile, the rest goes a minute later
DAILY = "retention:purged"  # in the cache
MAIL_TEXT = "It failed, and is too old to be tried again."
log = logging.getLogger(__name__)


def delete(rows):
    """Delete a batch of rows; returns how many."""
    return rows.delete()[0]


@dataclass(frozen=True)
class Rule:
    """What goes, and how old it must be.

    key names it in the event, words for people. found(moment) gives the rows older than that; remove(rows) deletes them, or
    takes out of them what is personal so that found() does not give them again, and returns how many.
    """

    key: str
    words: str
    age: Callable[[], timedelta]
    found: Callable[[datetime], QuerySet]
    remove: Callable[[QuerySet], int] = delete

    def count(self, now):
        """How many rows would go."""
        return self.found(now - self.age()).count()

    def run(self, now, most=None):
        """Remove what is old enough, `most` rows at the most; returns how many."""
        count = 0
        for batch in self._batches(now - self.age()):
            with transaction.atomic():
                count += self.remove(batch)
            if most and count >= most:
                break
        return count

    def _batches(self, before):
        """Querysets of AT_ONCE rows. What one holds is looked at again as it is removed: it may have changed since."""
        rows, last = self.found(before).order_by("pk"), None
        while pks := list((rows if last is None else rows.filter(pk__gt=last)).values_list("pk", flat=True)[:AT_ONCE]):
            last = pks[-1]
            yield self.found(before).filter(pk__in=pks)


def personal():
    """The age from which personal data that nobody works with is removed."""
    return timedelta(days=settings.PERSONAL_DATA_DAYS)


def days(count):
    return lambda: timedelta(days=count)


def _old_mails(before):
    over = Mail.objects.exclude(state__in=Mail.WAITING).exclude(to="", subject="", text="")
    return over.filter(created_at__lt=before)


def _empty_mails(mails):
    """That they were sent, when, and about what stays. One that failed cannot be tried again without its text."""
    failed = Mail.objects.filter(pk__in=list(mails.filter(state=Mail.State.FAILED).values_list("pk", flat=True)))
    count = mails.update(to="", subject="", text="", error="")
    failed.update(state=Mail.State.HELD, error=MAIL_TEXT)
    return count


def _left_imports(before):
    return Import.objects.filter(status__in=[Import.Status.UPLOADED, Import.Status.CHECKED], updated_at__lt=before)


def _cancel_imports(runs):
    return len([cancel_import(run, by=None) for run in runs])


RULES = (
    Rule("mails", "addresses, subjects and texts of mails", personal, _old_mails, _empty_mails),
    Rule(
        "import_rows",
        "rows of finished imports",
        personal,
        lambda before: ImportRow.objects.filter(run__finished_at__lt=before),
    ),
    Rule("imports", "uploaded files nobody went on with", days(30), _left_imports, _cancel_imports),
    Rule(
        "invitations",
        "invitations to the team that were used or have expired",
        personal,
        lambda before: Invitation.objects.filter(expires_at__lt=before),
    ),
    Rule(
        "sessions",
        "sessions that have ended, with their IP addresses",
        days(1),
        lambda before: Session.objects.filter(expire_date__lt=before),
    ),
    Rule(
        "admin_log",
        "entries of the support admin's own log",
        personal,
        lambda before: LogEntry.objects.filter(action_time__lt=before),
    ),
    Rule(
        "tasks",
        "background tasks that are done, with what went wrong",
        days(30),
        lambda before: DBTaskResult.objects.finished().filter(finished_at__lt=before),
    ),
    Rule(
        "api_answers",
        "answers the API keeps for an Idempotency-Key",
        lambda: idempotency.KEPT,
        lambda before: IdempotencyKey.objects.filter(created_at__lt=before),
    ),
    Rule(
        "buckets",
        "counters of who asked how often that are full again",
        lambda: timedelta(seconds=limits.FORGET),
        lambda before: Bucket.objects.filter(filled_at__lt=before.timestamp()),
    ),
)


def purge(rules, *, most=None):
    """Go by all rules; returns ({key: how many rows}, the words of rules that failed). An event holds the counts, if any.

    most: of each rule. If there is more, is_due() says so. One rule that fails keeps no other from being gone by.
    """
    now, counts, failed = timezone.now(), {}, []
    for rule in rules:
        try:
            counts[rule.key] = rule.run(now, most)
        except (OperationalError, InterfaceError):  # no database: nothing else can be done either
            raise
        except Exception:  # one rule's trouble is not the others'
            log.exception("Not deleted: %s.", rule.words)
            failed.append(rule.words)
    if gone := {key: count for key, count in counts.items() if count}:
        events.note(PURGED, by=None, livemode=True, **gone)
    if most and any(count >= most for count in counts.values()):
        cache.delete(DAILY)
    return counts, failed


def is_due():
    """Whether a day has passed since this last said so, or something was left over."""
    return cache.add(DAILY, 1, 24 * 3600)
