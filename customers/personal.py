"""What the kit's tables and our own hold of a customer; see customers.privacy.registry."""

from urllib.parse import parse_qsl, urlencode

from django.contrib.admin.models import LogEntry
from django.db.models import Q
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from customers.models import Address, Comment, Customer, KeptRecord
from customers.privacy.redaction import erasable_events
from customers.privacy.registry import (
    ERASED,
    Holding,
    Obstacle,
    as_text,
    derived,
    harmless,
    naming,
    nothing,
    person,
    removed,
    secret,
)
from dashboard.api.idempotency import PURPOSE
from dashboard.encryption import decrypt
from dashboard.ids import bare
from dashboard.import_models import Import, ImportRow
from dashboard.imports.runs import cancel_import
from dashboard.models import IdempotencyKey, Mail, SavedView

STAFF = "about staff, who are no customers"
OURS = "a word of ours"
TIMES = "when, to whom and that it happened"
PROOF = "a digest or signature: it proves, and tells nothing"


# --- how to recognise a person -------------------------------------------------------------------------------
def ids_of(customer):
    yield customer.pk
    yield from Address.objects.filter(customer=customer).values_list("pk", flat=True)
    yield from Comment.objects.filter(customer=customer).values_list("pk", flat=True)


def words_of(customer):
    """E-mail addresses and phone numbers: those of now, those of before, and those on what is kept."""
    yield from (customer.email, customer.phone, customer.did or "")
    yield from Address.objects.filter(customer=customer).values_list("phone_number", flat=True)
    for changes in erasable_events(customer.pk).filter(type="customer.updated").values_list("changes", flat=True):
        yield from (str(value) for name in ("email", "phone", "did") for value in changes.get(name) or () if value)
    for values in KeptRecord.objects.filter(customer=customer).values_list("values", flat=True):
        yield from (str(value) for name, value in values.items() if name.endswith(("email", "phone")))


# --- the customer --------------------------------------------------------------------------------------------
def _erase_customer(customer, person):
    now = timezone.now()
    customer.erased_at = customer.erased_at or now
    customer.archived_at = customer.archived_at or now
    customer.status = Customer.Status.ARCHIVED
    customer.search = bare(customer.pk)
    customer.name, customer.sort_name = ERASED, ERASED.lower()


def _customer_itself(person):
    return Customer.objects.filter(pk=person.pk)


# --- what is found by words ------------------------------------------------------------------------------------
def _views(person):
    """Saved views that look for a person: whoever made them typed an e-mail address or a phone number."""
    words = person.words | {urlencode({"": word})[1:] for word in person.words}
    found = Q(pk__in=())
    for word in words:
        found |= Q(query__icontains=word) | Q(name__icontains=word)
    return SavedView.objects.filter(found)


def _erase_views(person):
    count = 0
    for view in _views(person):
        pairs = parse_qsl(view.query, keep_blank_values=True)
        query = urlencode([(name, value) for name, value in pairs if not _says(value, person)])
        name = f"Erased {bare(view.pk)[-6:]}" if _says(view.name, person) else view.name
        count += SavedView.objects.filter(pk=view.pk).update(query=query, name=name)
    return count


def _says(text, person):
    return any(word in text.lower() for word in person.words)


def _import_rows(person):
    rows = as_text(ImportRow.objects.all(), cells_text="cells", changes_text="changes", notes_text="notes")
    said = naming(person, "cells_text", "changes_text", "notes_text", "key", "title")
    return rows.filter(Q(object_id__in=person.ids) | Q(object_id="") & said)


def _files(person):
    """Imports that wait for somebody, with a file that names the person."""
    for run in Import.objects.exclude(status__in=[Import.Status.DONE, Import.Status.CANCELED]):
        with run.open() as file:
            text = file.read().decode(run.encoding, "replace")
        if _says(text, person):
            yield run


def obstacles(customer):
    """An import that is at work on a file that names the person: nothing is taken from under it."""
    for run in _files(person(customer)):
        if run.moving:
            sentence = f"The import of {run} is at work, and its file names them. Wait until it is done."
            yield Obstacle(sentence, run.get_absolute_url())


def _erase_files(person):
    count = 0
    for run in _files(person):
        cancel_import(run, by=None)
        count += 1
    return count


def _erase_answers(person):
    """Answers the API remembers for a repeated request: the request stays done, its answer cannot be read any more."""
    count = 0
    rows = IdempotencyKey.objects.filter(livemode=person.customer.livemode, created_at__gte=person.customer.created_at)
    for pk, body in rows.exclude(body="").values_list("pk", "body").iterator(chunk_size=500):
        text = (decrypt(body, PURPOSE) or "").lower()
        if _says(text, person) or any(bare(pk_of) in text for pk_of in person.ids):
            count += IdempotencyKey.objects.filter(pk=pk).update(body="")
    return count


def _hold_mail(mail, person):
    """A mail that has not left does not leave any more; that it was meant to stays on record."""
    if mail.state in (Mail.State.QUEUED, Mail.State.SENDING, Mail.State.FAILED):
        mail.state, mail.error = Mail.State.HELD, "Its customer was erased."


HOLDINGS = [
    Holding(
        "customers.Customer",
        removed("first_name", "last_name", "company_name", "email", "phone", "reference", "description", "tax_id", "country")
        | removed(name=ERASED, did=None, metadata={})
        | derived("sort_name", "search")
        | harmless("a currency", "currency")
        | harmless("begins the numbers of statements, which stay", "billing_statement_prefix"),
        rows=_customer_itself,
        words="name, contact data, identifiers, description and metadata",
        settle=_erase_customer,
        extra=("erased_at", "archived_at", "status"),
        pack="customer",
    ),
    Holding(
        "customers.Address",
        removed("name", "phone_number", "line1", "line2", "line3", "city", "state", "postal_code", "country"),
        rows=lambda person: Address.objects.filter(customer=person.pk),
        words="addresses",
        delete=True,
        pack="addresses",
    ),
    Holding(
        "customers.Comment",
        removed("body"),
        rows=lambda person: Comment.objects.filter(customer=person.pk),
        words="comments",
        delete=True,
        pack="comments",
    ),
    Holding(
        "customers.KeptRecord",
        harmless("names a document", "object_type", "object_id") | harmless("what is kept: the only place", "values"),
        rows=lambda person: KeptRecord.objects.filter(customer=person.pk),
        erase=lambda person: 0,
        pack="kept_by_law",
    ),
    Holding(
        "dashboard.Mail",
        removed("to", "subject", "text", "attach", "error")
        | secret("what may be mailed once only", "key")
        | harmless(OURS, "kind", "object_type")
        | harmless("names a record", "object_id", "customer_id"),
        rows=lambda person: Mail.objects.filter(Q(customer_id=person.pk) | Q(object_id__in=person.ids)),
        words="e-mails: address, subject and text",
        settle=_hold_mail,
        extra=("state",),
        pack="mails",
    ),
    Holding(
        "dashboard.ImportRow",
        removed("title", "key", cells=[], changes={}, notes=[]) | harmless("names a record", "object_id"),
        rows=_import_rows,
        words="rows of imported files",
        pack="import_rows",
    ),
    Holding(
        "dashboard.Import",
        harmless(OURS, "importer", "encoding", "delimiter", "options", "problem")
        | harmless("of a file about many", "file_name", "headers", "mapping")
        | harmless(PROOF, "sha256"),
        rows=lambda person: Import.objects.filter(pk__in=[run.pk for run in _files(person)]),
        erase=_erase_files,
        words="uploaded files that name them, and wait to be imported",
        left_out="files about many customers: the rows about this one are in the pack",
    ),
    Holding(
        "dashboard.ImportPiece",
        removed("data"),
        left_out="the same files",
    ),
    Holding(
        "dashboard.SavedView",
        removed("query", "name") | harmless("a list of ours", "list"),
        rows=_views,
        erase=_erase_views,
        words="saved views that look for them",
        left_out="how staff look at lists",
    ),
    Holding(
        "dashboard.IdempotencyKey",
        removed("body")
        | harmless("names a key or a member of staff", "owner")
        | harmless("what a program tells its requests apart by; forgotten after 30 days", "key")
        | harmless(PROOF, "fingerprint")
        | harmless("names a record, and what kind of answer it was", "headers"),
        erase=_erase_answers,
        words="remembered answers of the API",
        left_out="copies of what the API answers, kept for 30 days",
    ),
    Holding(
        "dashboard.Event",
        removed("changes", "data", "ip")
        | harmless(OURS, "type", "object_type")
        | harmless("names a record", "object_id", "customer_id")
        | harmless("of one request", "request_id")
        | secret(PROOF, "signature"),
        rows=lambda person: erasable_events(person.pk),
        erase=None,
        words="entries of the activity log: what they say, not that they happened",
        pack="events",
    ),
    nothing("dashboard.Redaction", PROOF, "event_id", "before", "after", "erasure", "signature"),
    nothing("dashboard.EventSeal", PROOF, "through", "events", "previous", "digest"),
    nothing("dashboard.SealedEvent", PROOF, "event_id"),
    nothing("dashboard.User", STAFF, "password", "email", "name", "list_columns"),
    nothing("dashboard.Invitation", STAFF, "email", "name", "nonce", "hashed"),
    nothing("dashboard.Session", STAFF, "session_key", "session_data", "address", "agent"),
    nothing("dashboard.ApiKey", "a program's", "name", "hashed", "hint", "scopes", "addresses"),
    nothing("dashboard.Bucket", "how often somebody asked; deleted after a day", "name"),
    Holding(
        "admin.LogEntry",
        removed("change_message", object_repr=ERASED) | harmless("names a record", "object_id"),
        rows=lambda person: LogEntry.objects.filter(object_id__in=person.ids),
        words="entries of the support admin's own log",
        left_out="what staff did in the admin; the activity log tells of changes",
    ),
    Holding(
        "django_tasks_database.DBTaskResult",
        removed("traceback")
        | harmless("names a record, and what is to be done with it", "args_kwargs", "task_path", "return_value")
        | harmless(OURS, "queue_name", "backend_name", "worker_ids", "exception_class_path"),
        rows=lambda person: DBTaskResult.objects.filter(naming(person, "traceback")),
        words="background tasks that failed: what they reported",
        left_out="how the machine went about it",
    ),
    nothing("sessions.Session", STAFF, "session_key", "session_data"),
    nothing("account.EmailAddress", STAFF, "email"),
    nothing("account.EmailConfirmation", STAFF, "key"),
    nothing("mfa.Authenticator", STAFF, "data"),
    nothing("auth.Permission", "the framework's own", "name", "codename"),
    nothing("auth.Group", "the framework's own", "name"),
    nothing("auth.Group_permissions", "the framework's own"),
    nothing("contenttypes.ContentType", "the framework's own", "app_label", "model"),
    nothing("dashboard.ImportMapping", "headings of files", "importer", "headers", "mapping", "options"),
]
