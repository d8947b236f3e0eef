"""Customers from CSV: which columns there are, what a row would do, and the set-based write."""

from functools import cache

from django.conf import settings
from django.db import connection
from django.utils import timezone

from customers import import_cells as cells
from customers.domain import new_prefixes
from customers.models import Address, Customer
from dashboard.ids import new_hex
from dashboard.imports import bulk
from dashboard.imports.rows import CREATE, ERROR, SKIP, UPDATE, Field, Importer, text_of
from dashboard.models import Event

PLAIN = ("email", "phone", "did", "reference", "description", "tax_id", "currency", "metadata")
NAMES = ("kind", "first_name", "last_name", "company_name")
ADDRESS = {f"address_{f}": f for f in ("line1", "line2", "city", "state", "postal_code", "country")}
_GIVEN = (*PLAIN, *ADDRESS)


# --- the plug ------------------------------------------------------------------------------------------
class CustomerImporter(Importer):
    """Customers and their default addresses."""

    name = "customers"
    plural = "customers"
    prefix = "metadata."
    keys = (("id", "ID"), ("reference", "Reference"), ("email", "Email"))
    fields = (
        Field("id", "ID", cells.parse_id, free_text=False),
        Field("kind", "Kind", cells.parse_kind, free_text=False),
        Field("name", "Full name", text_of(511), ("name", "customer name", "full name", "display name", "contact")),
        Field("first_name", "First name", text_of(255), ("firstname", "given name", "forename", "vorname")),
        Field("last_name", "Last name", text_of(255), ("lastname", "surname", "family name", "nachname")),
        Field("company_name", "Company", text_of(255), ("company", "business name", "organisation", "organization", "firma")),
        Field("email", "Email", cells.parse_email, ("e-mail", "mail", "email address", "e-mail address")),
        Field(
            "reference",
            "Reference",
            text_of(255),
            ("customerid", "customer id", "customer number", "customer no", "external id", "merchant reference id"),
        ),
        Field("description", "Description", text_of(1000), ("notes", "note", "comment"), long=True),
        Field("tax_id", "Tax ID", text_of(64), ("vat", "vat id", "vat number", "business vat id", "tin"), free_text=False),
        Field("currency", "Currency", cells.parse_currency, ("currency code",), free_text=False),
        Field(
            "address_line1",
            "Address line 1",
            text_of(255),
            ("address", "street", "line1", "address 1", "street address", "billing address"),
        ),
        Field("address_line2", "Address line 2", text_of(255), ("line2", "address 2")),
        Field("address_city", "City", text_of(255), ("town", "locality", "billing city")),
        Field("address_state", "State or province", text_of(255), ("state", "province", "region", "county", "billing state")),
        Field(
            "address_postal_code",
            "Postal code",
            text_of(20),
            ("postalcode", "zip", "zip code", "postcode", "billing postal code"),
        ),
        Field("address_country", "Country", cells.parse_country, ("country code", "billing country"), free_text=False),
        Field("phone", "Phone", cells.parse_phone, ("phone number", "telephone", "tel", "mobile"), free_text=False),
        Field("did", "DID", cells.parse_did, free_text=False),
        Field(
            "created_at",
            "Created at",
            cells.parse_created_at,
            ("created", "created on", "date created", "customer since"),
            free_text=False,
        ),
        Field("metadata", "Metadata (JSON)", cells.parse_metadata),
        *[
            Field(n, n, read_only=True)
            for n in (
                "status",
                "archived",
                "livemode",
                "origin",
                "balance",
                "delinquent",
                "total_collected_amount",
                "successful_transactions",
                "collected",
                "default_source",
                "billing_statement_prefix",
                "updated_at",
                "initials",
            )
        ],
    )
    presets = (
        (  # the customers file of the Stripe dashboard; its columns move, so they go by name
            ("id", "Email", "Name", "Created (UTC)"),
            {
                "id": "reference",
                "Email": "email",
                "Name": "name",
                "Description": "description",
                "Created (UTC)": "created_at",
                "Status": "status",
                "Card ID": "",
            },
        ),
    )

    def parse_prefixed(self, key, text):
        if cells.fits(key, text):
            return text, ""
        return None, f"it has {len(text):,} characters, at most {cells.VALUE} fit. {cells.LEFT_OUT}"

    def refuse_mapping(self, mapping):
        if refusal := super().refuse_mapping(mapping):
            return refusal
        if not {"name", "first_name", "last_name", "company_name", "id", "reference", "email"} & set(mapping):
            return "Say which column holds the name, or the ID, reference or email of customers who are here already."
        return ""

    # --- what would happen -----------------------------------------------------------------------------
    def draft(self, row, options):
        if not row.action and not row.values.get(options.match):
            _plan_create(row, options)

    def plan(self, rows, options):
        rows = [r for r in rows if r.action != ERROR]
        found = self._match(rows, options)
        addresses = _default_addresses([c.pk for c in found.values()])
        for row in rows:
            customer = found.get(row.values.get(options.match))
            if customer and row.action != ERROR:
                _plan_update(row, customer, addresses.get(customer.pk))
            elif not row.action:
                _plan_create(row, options)
        _refuse_taken_dids(rows, options.livemode)
        if options.find_duplicates:
            _flag_duplicates(rows, options.livemode)

    def _match(self, rows, options):
        """{value of the match key: the customer it belongs to}; refuses rows whose value names nobody or several."""
        key = options.match
        if not key:
            return {}
        values = {r.values[key] for r in rows if r.values.get(key)}
        named = Customer.objects.filter(livemode=options.livemode, **{f"{key}__any_of": values}).order_by("id")
        named = named.active() if key == "email" else named
        named = named.select_for_update() if connection.in_atomic_block else named
        found, several = {}, set()
        for customer in named:
            if found.setdefault(getattr(customer, key), customer) is not customer:
                several.add(getattr(customer, key))
        for row in rows:
            _check_key(row, key, found, several)
        return found

    # --- make it happen --------------------------------------------------------------------------------
    def write(self, rows, options, *, by):
        now = timezone.now()
        creates = [r.target for r in rows if r.action == CREATE]
        _write_creates(creates, options, by, now)
        _write_updates([r for r in rows if r.action == UPDATE], options, by, now)


IMPORTER = CustomerImporter()


def _check_key(row, key, found, several):
    value = row.values.get(key)
    if not value:
        if key == "email" and any(n.startswith("Email:") for n in row.notes):
            row.refuse("Without a valid email address nobody can tell which customer this row is about.")
        return
    row.key = f"{key}:{value}"
    if key == "id" and value not in found:
        row.refuse("No customer has this ID in this mode. Leave the cell empty to create a customer.")
    elif key == "reference" and value in several:
        row.refuse(f"Several customers have the reference “{value[:60]}”. Match by ID instead.")


def _default_addresses(ids):
    return {a.customer_id: a for a in Address.objects.filter(customer_id__in=ids, is_default=True)} if ids else {}


def _plan_create(row, options):
    values = row.values
    names = _names(values)
    if not any(names[n] for n in NAMES[1:]):
        return row.refuse("This row names nobody: a full name, a first or last name or a company is needed.")
    if "id" in values and options.match != "id":
        row.notes.append("ID: a new customer gets a new ID.")
    row.new = names | {n: values[n] for n in _GIVEN if values.get(n)} | _merged_metadata(values, {})
    row.action, row.target = CREATE, NewCustomer(options.livemode, row.new, values.get("created_at"))


class NewCustomer:
    """A customer to be: its columns, and what derives them. A model instance of each row would take several times as
    long to make, and what is derived waits until it is stored or shown."""

    _meta, Kind, derive = Customer._meta, Customer.Kind, Customer.derive
    pk = property(lambda self: self.id)

    def __init__(self, livemode, values, created_at):
        own = {"id": f"cus_{new_hex()}", "livemode": livemode, "metadata": {}, "created_at": created_at}
        self.__dict__ = _blank() | own | values
        self.new_address = {ours: values[theirs] for theirs, ours in ADDRESS.items() if theirs in values}
        self.country = values.get("address_country", "")

    def __str__(self):
        return self.derive().name


@cache
def _blank():
    """{column: value} of an imported customer of whom nothing is known."""
    customer = Customer(origin=Customer.Origin.IMPORT, currency=settings.DEFAULT_CURRENCY)
    return {f.attname: getattr(customer, f.attname) for f in Customer._meta.concrete_fields}


def _names(values, customer=None):
    """The typed name columns after I1: a full name alone is split at its first space, or is the company's.

    A row that has first or last name and a company is a person at a company. `kind` in the file decides.
    """
    names = {n: values.get(n, getattr(customer, n, "")) for n in NAMES}
    full = values.get("name")
    if full and not any(values.get(n) for n in NAMES[1:3]) and full != getattr(customer, "name", None):
        _name_by(full, names, values)
    if not names["kind"] or "kind" not in values:
        person = names["first_name"] or names["last_name"]
        company = names["company_name"] and (not person or names["kind"] == Customer.Kind.COMPANY)
        names["kind"] = Customer.Kind.COMPANY if company else Customer.Kind.INDIVIDUAL
    return names


def _name_by(full, names, values):
    if values.get("company_name") == full:
        return
    if names["kind"] == Customer.Kind.COMPANY:
        names["company_name"] = full[:255]
        return
    first, _, last = full.partition(" ")
    names["first_name"], names["last_name"] = first[:255], last.strip()[:255]


def _merged_metadata(values, current):
    """Metadata after the row: a JSON column replaces it, single keys are set in it; {} when the row has none."""
    single = {n.removeprefix("metadata."): v for n, v in values.items() if n.startswith("metadata.")}
    if "metadata" not in values and not single:
        return {}
    merged = (values["metadata"] or {} if "metadata" in values else current) | {k: v for k, v in single.items() if v}
    return {"metadata": {k: v for k, v in merged.items() if k not in single or single[k]}}


def _plan_update(row, customer, address):
    if customer.erased:
        return row.refuse("This customer was erased. Nothing new is stored about them.")
    values = row.values
    wanted = _names(values, customer) | {n: values[n] for n in PLAIN if n in values} | _merged_metadata(values, customer.metadata)
    wanted |= {"did": wanted["did"] or None} if "did" in wanted else {}
    if not wanted.get("currency", "x"):
        del wanted["currency"]
    changes = {n: [getattr(customer, n), v] for n, v in wanted.items() if getattr(customer, n) != v}
    for theirs, ours in ADDRESS.items():
        if theirs in values and values[theirs] != (was := getattr(address, ours, "")):
            changes[theirs] = [was, values[theirs]]
    if not any(wanted[n] for n in NAMES[1:]):
        return row.refuse("This row would leave the customer without a name.")
    customer.old_address = address
    row.target, row.edits = customer, changes
    row.action = UPDATE if changes else SKIP


def _refuse_taken_dids(rows, livemode):
    wanted = {}
    for row in rows:
        did = row.edits["did"][1] if "did" in row.edits else row.new.get("did")
        if did and wanted.setdefault(did, row) is not row:
            row.refuse("Another row of this file has the same DID. Leave it out of one of them.")
    if wanted:
        for did, name in Customer.objects.filter(livemode=livemode, did__any_of=wanted).values_list("did", "name"):
            wanted[did].refuse(f"{name} has this DID already. A DID belongs to one customer.")


def _flag_duplicates(rows, livemode):
    """Mark new rows that have the e-mail or phone of an active customer."""
    fresh = [r for r in rows if r.action == CREATE]
    for name in ("email", "phone"):
        wanted = {getattr(r.target, name) for r in fresh} - {""}
        if not wanted:
            continue
        known = dict(Customer.objects.active().filter(livemode=livemode, **{f"{name}__any_of": wanted}).values_list(name, "name"))
        for row in fresh:
            if who := known.get(getattr(row.target, name)):
                row.duplicate = True
                row.notes.append(f"Perhaps there already: {who} has the same {name}.")


# --- the write -----------------------------------------------------------------------------------------
def _write_creates(customers, options, by, now):
    if not customers:
        return
    for customer, prefix in zip(customers, new_prefixes(len(customers), options.livemode), strict=True):
        customer.billing_statement_prefix, customer.created_by_id, customer.updated_at = prefix, by.pk if by else None, now
        customer.created_at = min(customer.created_at or now, now)
    blank, data = _blank_address(options.livemode, by, now), _origin(options)
    event_about = bulk.events_alike("customer.created", customers[0], by=by, at=now, data=data)
    bulk.insert(Customer, customers, lambda c: vars(c.derive()))
    bulk.insert(Address, [c for c in customers if c.new_address], lambda c: _address(blank, c, c.new_address))
    bulk.insert(Event, customers, lambda c: event_about(c.pk, c.pk))


def _origin(options):
    return {"origin": Customer.Origin.IMPORT.value} | ({"source": options.source} if options.source else {})


def _address(blank, customer, parts):
    """The record of a customer's default address."""
    return blank | {"id": f"addr_{new_hex()}", "customer_id": customer.pk} | parts


def _blank_address(livemode, by, now):
    """The columns the default addresses of one batch have in common."""
    blank = Address(livemode=livemode, is_default=True, created_by=by, created_at=now, updated_at=now)
    return {f.attname: getattr(blank, f.attname) for f in Address._meta.concrete_fields}


def _write_updates(rows, options, by, now):
    """Set what changed, customer by customer in memory, then in one statement per table."""
    changed, new, happened, columns = [], [], [], set()
    data = _origin(options)
    for row in rows:
        customer, changes = row.target, row.edits
        parts = {ADDRESS[n]: after for n, (_, after) in changes.items() if n in ADDRESS}
        for name, (_, after) in changes.items():
            if name not in ADDRESS:
                setattr(customer, name, after)
                columns.add(name)
        if parts:
            _set_address(customer, parts, changed, new, by, now)
        customer.version, customer.updated_at = customer.version + 1, now
        customer.derive()
        happened.append(
            bulk.event("customer.updated", customer, by=by, at=now, customer_id=customer.pk, changes=changes, data=data)
        )
    if rows:
        columns |= {"name", "sort_name", "search", "country", "version", "updated_at"}
        Customer.objects.bulk_update([r.target for r in rows], sorted(columns), batch_size=100)
    if changed:
        Address.objects.bulk_update(changed, [*ADDRESS.values(), "updated_at"], batch_size=200)
    bulk.insert(Address, new)
    bulk.insert(Event, happened)


def _set_address(customer, parts, changed, new, by, now):
    address = customer.old_address
    if address is None:
        new.append(_address(_blank_address(customer.livemode, by, now), customer, parts))
    else:
        for name, value in parts.items():
            setattr(address, name, value)
        address.updated_at = now
        changed.append(address)
    customer.country = parts.get("country", customer.country)
