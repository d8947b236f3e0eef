"""What may be done to customers, their addresses and the comments about them. Every change leaves an event."""

import hashlib
import secrets

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from customers.models import Address, Comment, Customer
from dashboard import events, states
from dashboard.states import DomainError, Duplicate

_LETTERS = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # no 0/O, 1/I: people read these aloud
_LETTER_OF_BYTE = _LETTERS * 8
EDITABLE = (
    "kind",
    "first_name",
    "last_name",
    "company_name",
    "email",
    "phone",
    "did",
    "reference",
    "description",
    "tax_id",
    "currency",
    "billing_statement_prefix",
    "metadata",
)


class Stale(DomainError):
    """Someone saved the record after this form was opened. `current` is what they saved."""

    def __init__(self, current):
        self.current = current
        super().__init__(f"{current} was changed after you opened this form. Nothing of yours is saved yet.")


def new_prefixes(count, livemode):
    """`count` statement prefixes no customer of this mode has: 8 letters and digits each.

    The first three are the same, drawn anew each time: one look at one place of the index finds all that begin so, and many
    new ones go to that place.
    """
    start, found = _letters(3), set()
    alike = Customer.objects.filter(livemode=livemode, billing_statement_prefix__range=(start, f"{start}ZZZZZZ"))
    taken = set(alike.values_list("billing_statement_prefix", flat=True))
    while len(found) < count:
        letters = _letters(5 * (count - len(found)))
        found |= {start + letters[n : n + 5] for n in range(0, len(letters), 5)} - taken
    return list(found)


def _letters(count):
    return secrets.token_bytes(count).translate(_LETTER_OF_BYTE).decode()


@transaction.atomic
def create_customer(
    *, by, livemode, currency, origin=Customer.Origin.DASHBOARD, billing_statement_prefix="", address=None, **fields
):
    """Make a customer, active whatever else is said (R-24), with its first address if there is one.

    Raises DomainError when its DID or statement prefix belongs to another customer of this mode.
    """
    customer = Customer(
        livemode=livemode,
        currency=currency,
        origin=origin,
        created_by=by,
        **fields,
        billing_statement_prefix=billing_statement_prefix or new_prefixes(1, livemode)[0],
    ).derive()
    _save(customer, force_insert=True)
    events.record("customer.created", customer, by=by, origin=origin)
    if address:
        add_address(customer, by=by, **address)
    return customer


@transaction.atomic
def find_or_create_customer(*, name, email, livemode, by, origin, currency=""):
    """The oldest active customer of a mode with this e-mail, in any case, or else a new one of this name (R-52).

    However many ask at once for a new e-mail, one customer comes of it. `name` is a person's (I1). Raises DomainError for
    one of which a part is too long.
    """
    email = email.strip().lower()
    _lock_email(email, livemode)
    if found := Customer.objects.active().filter(livemode=livemode, email=email).order_by("id").first():
        return found
    first, _, last = name.strip().partition(" ")
    if max(len(first), len(last.strip())) > 255:
        raise DomainError("This name is too long: at most 255 characters before its first space, and 255 after it.")
    person = {"first_name": first, "last_name": last.strip(), "email": email}
    return create_customer(by=by, livemode=livemode, currency=currency or settings.DEFAULT_CURRENCY, origin=origin, **person)


def _lock_email(email, livemode):
    """One at a time for an e-mail of a mode, until this transaction ends: e-mails are not unique (D-2), so no index
    can see to it. On SQLite every transaction of ours is the only writer anyhow (IMMEDIATE)."""
    if connection.vendor == "postgresql":
        key = hashlib.sha256(f"customer-email:{livemode}:{email}".encode()).digest()[:8]
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int.from_bytes(key, "big", signed=True)])


@transaction.atomic
def take_email(customer, *, email, at, by):
    """Give a customer the e-mail of a statement or payment made at `at`, unless a later one set it (R-13, I5)."""
    current = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    email, rows = email.strip().lower(), Customer.objects.filter(pk=customer.pk)
    if current.erased or not email or at < (current.email_source_at or current.created_at):
        return current
    rows.update(email_source_at=at)
    if email == current.email:
        return current
    changes = {"email": [current.email, email]}
    current.email, current.email_source_at, version = email, at, current.version
    current.version, current.updated_at = version + 1, timezone.now()
    _save_version(current.derive(), version, ["email", "search", "version", "updated_at"])
    events.record("customer.updated", current, by=by, changes=changes)
    return current


@transaction.atomic
def update_customer(customer, *, version, by, **fields):
    """Set some of a customer's EDITABLE fields. A save that changes nothing writes nothing (R-15).

    Raises Stale when the stored version is not `version`: nothing is overwritten unseen.
    """
    current = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    refuse_erased(current)
    if current.version != version:
        raise Stale(current)
    changes = events.changed(current, {k: v for k, v in fields.items() if k in EDITABLE})
    if not changes:
        return current
    for name, (_old, new) in changes.items():
        setattr(current, name, new)
    current.version, current.updated_at = version + 1, timezone.now()
    _save_version(current.derive(), version, [*changes, "name", "sort_name", "search", "version", "updated_at"])
    events.record("customer.updated", current, by=by, changes=changes)
    return current


def _save_version(customer, version, names):
    """Compare and set: on SQLite nothing else stops two writers between read and write."""
    try:
        with transaction.atomic():
            done = Customer.objects.filter(pk=customer.pk, version=version).update(**{n: getattr(customer, n) for n in names})
    except IntegrityError as error:
        raise _taken(error) from error
    if not done:
        raise Stale(Customer.objects.get(pk=customer.pk))


def _save(customer, **how):
    try:
        with transaction.atomic():
            customer.save(**how)
    except IntegrityError as error:
        raise _taken(error) from error


def _taken(error):
    """Which unique value was taken, as a sentence. Both databases name the constraint or its column."""
    what, field = ("statement prefix", "billing_statement_prefix") if "prefix" in str(error) else ("DID", "did")
    return Duplicate(f"Another customer has this {what}. Use a different one.", field)


def archive_customer(customer, *, by, why=""):
    """Take a customer off the lists. Open statements and requests stay payable; new ones are refused (I4)."""
    return states.move(customer, Customer.Status.ARCHIVED, by=by, why=why, archived_at=timezone.now(), updated_at=timezone.now())


def restore_customer(customer, *, by):
    """Put an archived customer back on the lists; one who was erased stays away."""
    refuse_erased(Customer.objects.get(pk=customer.pk))
    return states.move(customer, Customer.Status.ACTIVE, by=by, archived_at=None, updated_at=timezone.now())


def refuse_archived(customer):
    """Raise DomainError for an archived customer: it takes nothing new that has to do with money."""
    if why := customer.why_closed:
        raise DomainError(why)


def refuse_erased(customer):
    """Raise DomainError for a customer whose personal data was erased: nothing about them is stored any more."""
    if customer.erased:
        raise DomainError(customer.why_closed)


# --- addresses ---------------------------------------------------------------------------------------
@transaction.atomic
def add_address(customer, *, by, is_default=False, **fields):
    """Add an address. The first one is the default; `is_default` makes a later one so."""
    refuse_erased(_locked(customer))
    is_default = is_default or not customer.addresses.exists()
    if is_default:
        customer.addresses.filter(is_default=True).update(is_default=False)
    address = Address.objects.create(
        customer=customer, livemode=customer.livemode, is_default=is_default, created_by=by, **fields
    )
    _touch(customer)
    events.record("address.created", address, by=by, address=str(address))
    return address


@transaction.atomic
def update_address(address, *, by, is_default=False, **fields):
    """Change an address; statements already finalised keep the one they froze."""
    changes = events.changed(address, fields)
    if changes:
        Address.objects.filter(pk=address.pk).update(**{k: new for k, (_old, new) in changes.items()}, updated_at=timezone.now())
        address.refresh_from_db()
        _touch(address.customer)
        events.record("address.updated", address, by=by, changes=changes, address=str(address))
    return make_default_address(address, by=by) if is_default and not address.is_default else address


@transaction.atomic
def make_default_address(address, *, by):
    """Print this address from now on. There is exactly one default, by a unique index."""
    _lock(address.customer)
    Address.objects.filter(customer_id=address.customer_id, is_default=True).update(is_default=False)
    Address.objects.filter(pk=address.pk).update(is_default=True)
    address.is_default = True
    _touch(address.customer)
    events.record("address.made_default", address, by=by, address=str(address))
    return address


@transaction.atomic
def remove_address(address, *, by):
    """Delete an address; if it was the default, the oldest other one takes its place."""
    _lock(address.customer)
    events.record("address.removed", address, by=by, address=str(address))
    Address.objects.filter(pk=address.pk).delete()
    if address.is_default and (heir := Address.objects.filter(customer_id=address.customer_id).order_by("id").first()):
        make_default_address(heir, by=by)
    _touch(address.customer)


def _lock(customer):
    """One writer at a time for what hangs on a customer (SQLite's transactions already see to it)."""
    Customer.objects.select_for_update(no_key=True).filter(pk=customer.pk).values_list("pk").first()


def _locked(customer):
    """The customer as it is now, locked; just enough of it to tell whether it was erased."""
    return Customer.objects.select_for_update(no_key=True).only("erased_at").get(pk=customer.pk)


def _touch(customer):
    """The address is part of the customer record: its date of change moves (R-15), its country is kept."""
    default = Address.objects.filter(customer_id=customer.pk, is_default=True).values_list("country", flat=True).first()
    Customer.objects.filter(pk=customer.pk).update(updated_at=timezone.now(), country=default or "")


# --- comments ----------------------------------------------------------------------------------------
@transaction.atomic
def add_comment(customer, *, body, by, pinned=False):
    """Note something about a customer, for staff."""
    refuse_erased(_locked(customer))
    comment = Comment.objects.create(customer=customer, livemode=customer.livemode, author=by, body=body, pinned=pinned)
    events.record("comment.created", comment, by=by, pinned=pinned)
    return comment


@transaction.atomic
def edit_comment(comment, *, body, by):
    """Change one's own comment. The event keeps the words that were there."""
    _refuse_foreign(comment, by)
    if body == comment.body:
        return comment
    events.record("comment.edited", comment, by=by, changes={"body": [comment.body, body]})
    return _set(comment, body=body, edited_at=timezone.now())


@transaction.atomic
def delete_comment(comment, *, by):
    """Hide a comment: its own author, or someone who moderates. The row and the trace stay."""
    if not by.has_perm("customers.moderate_comment"):
        _refuse_foreign(comment, by)
    events.record("comment.deleted", comment, by=by)
    return _set(comment, deleted_at=timezone.now(), pinned=False)


@transaction.atomic
def pin_comment(comment, *, pinned, by):
    """Show a comment as a warning wherever staff work on its customer, or stop doing so."""
    if comment.deleted_at:
        raise DomainError("This comment was deleted.")
    if comment.pinned != pinned:
        events.record("comment.pinned" if pinned else "comment.unpinned", comment, by=by)
    return _set(comment, pinned=pinned)


def _refuse_foreign(comment, by):
    if comment.deleted_at:
        raise DomainError("This comment was deleted.")
    if comment.author_id != by.pk:
        raise DomainError(f"Only {comment.author or 'whoever wrote it'} can change this comment.")


def _set(comment, **fields):
    Comment.objects.filter(pk=comment.pk).update(**fields)
    for name, value in fields.items():
        setattr(comment, name, value)
    return comment
