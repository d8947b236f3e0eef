"""Made-up customers of any number, skewed as real ones are: the same ones every time.

5 % archived, 30 % in the US and 0.5 % in Iceland, "john" 2 % and "smith" 3 %, a fifth are companies, half
carry an order number in their metadata, each has a default address. They go through the product's own
derive() and its own bulk insert; indexes are made when the rows are there.
"""

import random
from datetime import timedelta
from itertools import islice

from django.db import connection, transaction
from django.utils import timezone

from customers.models import Address, Customer
from dashboard import first_start
from dashboard.bench import names
from dashboard.imports import bulk
from dashboard.models import User
from dashboard.search import SearchIndex

BATCH = 5_000
DAYS = 1_100  # the newest customer is of now, the oldest about three years old
EMAIL = "bench@example.com"
CODES = list(names.COUNTRIES)
SHARES = [share for share, *_ in names.COUNTRIES.values()]
ORIGINS = {"dashboard": 45, "import": 30, "api": 15, "payment": 7, "billing_statement": 2, "payment_request": 1}


def make_empty():
    """All tables, and the one member of staff who looks at the lists."""
    first_start.migrate(lambda sentence: None)
    User.objects.create_user(EMAIL, role="admin", name="Bench")


def fill(rows, say):
    """Make `rows` customers with what they owe and paid, in the database in use."""
    from dashboard.bench import ledger

    models = [Customer, Address, *ledger.MODELS]
    without_indexes(models)
    for done in load_customers(rows):
        say(f"  {done:,} customers")
    ledger.load(timezone.now())
    say("  indexes")
    with_indexes(models)
    settle()


def load_customers(rows):
    """Insert the customers and their addresses batch by batch; yields how many there are at each tenth."""
    found, done, told = customers(rows), 0, 0
    while batch := list(islice(found, BATCH)):
        with transaction.atomic():
            insert(Customer, batch)
            insert(Address, [c.first_address for c in batch])
        done += len(batch)
        if done - told >= rows / 10:
            told = done
            yield done


def insert(model, objects):
    """Insert unsaved objects as they are."""
    names = [f.attname for f in model._meta.local_concrete_fields]
    bulk.insert(model, [{name: values[name] for name in names} for values in map(vars, objects)])


def customers(rows, seed=7):
    """Yield unsaved customers, oldest first, each with `first_address`."""
    luck, now = random.Random(seed), timezone.now()
    for n in range(rows):
        yield make_customer(n, luck, now - timedelta(days=DAYS) * ((rows - n) / rows), rows)


def make_customer(n, luck, created_at, rows):
    country = luck.choices(CODES, SHARES)[0]
    _, currency, start, digits = names.COUNTRIES[country]
    first, last = person(luck)
    company = f"{last} {luck.choice(names.COMPANY)} {luck.choice(names.LEGAL)}" if luck.random() < 0.2 else ""
    archived = luck.random() < 0.05
    customer = Customer(
        id=public_id("cus", created_at, luck),
        livemode=False,
        kind="company" if company else "individual",
        first_name=first,
        last_name=last,
        company_name=company,
        email=f"{plain(first)}.{plain(last)}{n}@{luck.choices(names.DOMAINS, names.DOMAIN_WEIGHTS)[0]}",
        phone=f"{start}{luck.randrange(10**digits):0{digits}}" if luck.random() < 0.8 else "",
        did=f"did:example:{n:09}" if n % 100 == 3 else None,
        reference=f"C-{n:07}" if luck.random() < 0.6 else "",
        description="Met at the trade fair, asked for a monthly invoice." if n % 10 == 0 else "",
        currency=currency,
        country=country,
        billing_statement_prefix=f"B{n:09}",
        status="archived" if archived else "active",
        archived_at=created_at if archived else None,
        origin=luck.choices(list(ORIGINS), ORIGINS.values())[0],
        metadata={"order_no": f"2025-{luck.randrange(max(rows // 16, 1)):06}"} if n % 2 else {},
        created_at=created_at,
        updated_at=created_at + timedelta(days=DAYS) * (n / rows) * luck.random() * 0.2,
    ).derive()
    customer.first_address = make_address(customer, luck)
    return customer


def make_address(customer, luck):
    return Address(
        id="addr_" + customer.pk.rpartition("_")[2],
        livemode=customer.livemode,
        customer=customer,
        line1=f"{luck.randrange(1, 400)} {luck.choice(names.STREETS)}",
        city=luck.choice(names.CITIES),
        postal_code=f"{luck.randrange(100_000):05}",
        country=customer.country,
        is_default=True,
        created_at=customer.created_at,
        updated_at=customer.created_at,
    )


def person(luck):
    """(first, last): two in a hundred are John, three are Smith, two in five have a surname hardly anybody has."""
    first = "John" if luck.random() < 0.02 else luck.choice(names.FIRST)
    draw = luck.random()
    if draw < 0.03:
        return first, "Smith"
    if draw < 0.6:
        return first, luck.choice(names.LAST)
    return first, "".join([*luck.choices(names.SYLLABLES, k=2), luck.choice(names.ENDINGS)]).capitalize()


def plain(name):
    """A name as it stands in an e-mail address."""
    return "".join(c for c in name.lower() if c.isascii() and c.isalpha())


def public_id(prefix, moment, luck):
    """A public id as of a moment in the past, so that ids sort by creation here too."""
    return f"{prefix}_{int(moment.timestamp() * 1000) << 48 | luck.randrange(1 << 47):024x}"


# --- indexes and statistics ----------------------------------------------------------------------------
def without_indexes(models):
    """Drop the models' indexes: filling them row by row takes several times as long as making them."""
    with connection.schema_editor(atomic=False) as editor:
        for model in models:
            for index in model._meta.indexes:
                editor.remove_index(model, index)
            if is_searched(model):
                SearchIndex(model._meta.db_table).database_backwards("", editor, None, None)


def with_indexes(models):
    with connection.schema_editor(atomic=False) as editor:
        for model in models:
            for index in model._meta.indexes:
                editor.add_index(model, index)
            if is_searched(model):
                SearchIndex(model._meta.db_table).database_forwards("", editor, None, None)


def is_searched(model):
    return any(f.name == "search" for f in model._meta.fields)


def settle():
    """Statistics for the planner, and on PostgreSQL the visibility map that index-only scans need."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)" if connection.vendor == "postgresql" else "ANALYZE")
