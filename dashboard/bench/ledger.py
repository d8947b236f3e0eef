"""What the made-up customers owe, paid and keep on file, made inside the database from the customers themselves.

Two in five have a statement, about four in a hundred an overdue one. There are as many payments as customers, but
not one each: one customer in ten thousand has more than 5,000, one in a hundred has ten. Three in five have a payment
method, one in five a request, one in twenty a coupon of their own, one in twenty used one; fewer have card links and
subscriptions; one in five a comment, one in four an event.
"""

from datetime import timedelta

from django.db import connection

from billing.models import (
    BillingStatement,
    Coupon,
    CouponRedemption,
    CustomerTotal,
    Payment,
    PaymentMethod,
    PaymentRequest,
    Subscription,
    TokenizationLink,
)
from customers.models import Comment, Customer
from dashboard.models import Event, User

MODELS = (
    *(BillingStatement, Payment, CustomerTotal, PaymentMethod, PaymentRequest),
    *(TokenizationLink, Coupon, CouponRedemption, Subscription, Comment, Event),
)
HEAVY_EVERY = 10_000  # customers
HEAVY = "substr(c.billing_statement_prefix, 1, 6) || '0000'"  # the customer who pays for the next 9,999 now and then
TENFOLD = "substr(c.billing_statement_prefix, 1, 8) || '00'"  # and who pays for the next nine
N = "CAST(substr(c.billing_statement_prefix, 2) AS integer)"  # the customer's number, from data.make_customer
HEX = "substr(c.id, 5)"


def load(now):
    """What each customer owes, paid, keeps on file and was asked for. `now` parts the overdue from the others."""
    _statements(now)
    _payments()
    _totals()
    _methods(now)
    _requests(now)
    _coupons()
    _subscriptions(now)
    _words()


def _statements(now):
    overdue, later = (connection.ops.adapt_datetimefield_value(now + timedelta(days=days)) for days in (-20, 20))
    late = f"{N} % 26 = 0"
    is_open = f"({late} OR {N} % 10 = 0)"
    total = f"{N} % 900 * 100 + 500"
    _insert(
        BillingStatement,
        {
            "id": f"'bstm_' || {HEX}",
            "livemode": "c.livemode",
            "customer_id": "c.id",
            "token_hash": HEX,  # no link leads to it, but no two are alike
            "number": "c.billing_statement_prefix || '-0001'",
            "status": f"CASE WHEN {is_open} THEN 'open' ELSE 'paid' END",
            "currency": "c.currency",
            "subtotal": total,
            "total": total,
            "amount_paid": f"CASE WHEN {is_open} THEN 0 ELSE {total} END",
            "amount_remaining": f"CASE WHEN {is_open} THEN {total} ELSE 0 END",
            "bill_to_name": "c.name",
            "bill_to_email": "c.email",
            "sort_name": "c.sort_name",
            "search": f"c.sort_name || ' ' || {HEX}",
            "due_at": (f"CASE WHEN {late} THEN %s ELSE %s END", [overdue, later]),
            "finalized_at": "c.created_at",
            "paid_at": f"CASE WHEN {is_open} THEN NULL ELSE c.created_at END",
            "created_at": "c.created_at",
            "updated_at": "c.created_at",
        },
        f"WHERE {late} OR {N} % 5 < 2",
    )


def _payments():
    failed = f"{N} % 20 = 3"
    _insert(
        Payment,
        {
            "id": f"'pay_' || {HEX}",
            "livemode": "c.livemode",
            "customer_id": "t.id",
            "product_type": "'api'",
            "status": f"CASE WHEN {failed} THEN 'failed' ELSE 'paid' END",
            "amount": f"{N} % 900 * 100 + 500",
            "currency": "t.currency",
            "method_type": "'card'",
            "method_brand": "'visa'",
            "method_last4": "'4242'",
            "billing_name": "t.name",
            "billing_email": "t.email",
            "sort_name": "t.sort_name",
            "search": f"t.sort_name || ' 4242 ' || {HEX}",
            "paid_at": f"CASE WHEN {failed} THEN NULL ELSE c.created_at END",
            "created_at": "c.created_at",
            "updated_at": "c.created_at",
        },
        f"JOIN {Customer._meta.db_table} t ON t.livemode = c.livemode AND t.billing_statement_prefix ="
        f" CASE WHEN {N} % 100 < 10 THEN {TENFOLD} WHEN {N} % 10 BETWEEN 1 AND 4 THEN c.billing_statement_prefix"
        f" ELSE {HEAVY} END",
    )


def _totals():
    payments = Payment._meta.db_table
    _insert(
        CustomerTotal,
        {
            "id": f"'ctot_' || {HEX}",
            "customer_id": "c.id",
            "currency": "p.currency",
            "collected": "p.amount",
            "successful_payments": "p.n",
        },
        f"JOIN (SELECT customer_id, currency, sum(amount) AS amount, count(*) AS n FROM {payments}"  # noqa: S608  own names
        f" WHERE status = 'paid' GROUP BY 1, 2) p ON p.customer_id = c.id",
    )


def _own():
    """Columns most records of a customer have."""
    return {"livemode": "c.livemode", "customer_id": "c.id", "created_at": "c.created_at"}


def _found_by_name():
    names = {"updated_at": "c.created_at", "sort_name": "c.sort_name", "search": f"c.sort_name || ' ' || {HEX}"}
    return names | {"customer_name": "c.name", "customer_email": "c.email"}


def _methods(now):
    """Cards of the next four years, one in ten a bank account; one in fifty with another gateway."""
    card, year = f"{N} % 10 < 5", now.year
    _insert(
        PaymentMethod,
        _own()
        | {
            "id": f"'src_' || {HEX}",
            "gateway": f"CASE WHEN {N} % 50 = 3 THEN 'elsewhere' ELSE 'sandbox' END",
            "type": f"CASE WHEN {card} THEN 'card' ELSE 'bank_account' END",
            "is_default": "c.id = c.id",
            "vault_token": f"'v' || {HEX}",
            "gateway_token": f"'t' || {HEX}",
            "card_scheme": f"CASE WHEN {card} THEN 'visa' ELSE '' END",
            "card_number_last4": f"CASE WHEN {card} THEN '4242' ELSE '' END",
            "account_number_last4": f"CASE WHEN {card} THEN '' ELSE '6789' END",
            "expire_month": f"CASE WHEN {card} THEN {N} / 10 % 12 + 1 END",
            "expire_year": f"CASE WHEN {card} THEN {N} / 120 % 4 + {year} END",
        },
        f"WHERE {N} % 10 < 6",
    )


def _requests(now):
    later = connection.ops.adapt_datetimefield_value(now + timedelta(days=10))
    asked = {"token_hash": HEX, "currency": "c.currency", "expires_at": ("%s", [later])}
    about = {
        "amount": f"{N} % 900 * 100 + 500",
        "country": "c.country",
        "status": f"CASE WHEN {N} % 3 = 0 THEN 'new' ELSE 'done' END",
    }
    _insert(
        PaymentRequest, _own() | _found_by_name() | asked | about | {"id": f"'checkout_' || {HEX}"}, f"WHERE {N} % 10 IN (0, 7)"
    )
    link = {"id": f"'hp_card_' || {HEX}", "gateway": "'sandbox'"}
    _insert(TokenizationLink, _own() | _found_by_name() | asked | link, f"WHERE {N} % 20 IN (0, 13)")


def _coupons():
    """Made for one customer in twenty, and used by another in twenty."""
    own = _own() | {"customer_id": f"CASE WHEN {N} % 20 = 4 THEN c.id END", "id": f"'coupon_' || {HEX}", "code": f"'C' || {HEX}"}
    of = {"percent_off": "10", "sort_name": f"'c' || {HEX}", "search": HEX, "updated_at": "c.created_at"}
    _insert(Coupon, own | of, f"WHERE {N} % 20 IN (4, 9)")
    use = {"id": f"'red_' || {HEX}", "livemode": "c.livemode", "customer_id": "c.id", "coupon_id": f"'coupon_' || {HEX}"}
    took = {"amount_discounted": "100", "currency": "c.currency", "redeemed_at": "c.created_at"}
    _insert(CouponRedemption, use | took, f"WHERE {N} % 20 = 9")


def _subscriptions(now):
    day = now.date().isoformat()
    given = {"id": f"'sub_' || {HEX}", "name": "'Monthly'", "amount": "1000", "currency": "c.currency"}
    names = {k: v for k, v in _found_by_name().items() if not k.startswith("customer_")}
    _insert(
        Subscription,
        _own() | names | given | {"started_on": ("%s", [day]), "next_invoice_on": ("%s", [day])},
        f"WHERE {N} % 50 IN (0, 11)",
    )


def _words():
    """What was said about customers and what happened to them; whoever is staff here said and did it."""
    staff = [User.objects.values_list("pk", flat=True).first()]
    said = {"id": f"'cmt_' || {HEX}", "author_id": ("%s", staff), "body": "'Asked for a monthly invoice.'"}
    _insert(Comment, _own() | said, f"WHERE {N} % 5 = 0")
    did = {"id": f"'evt_' || {HEX}", "type": "'customer.created'", "object_type": "'customer'", "object_id": "c.id"}
    _insert(Event, _own() | did | {"by_id": ("%s", staff), "actor": "'staff'"}, f"WHERE {N} % 4 = 0")


def _insert(model, given, rest):
    """INSERT … SELECT from the customers c: `given` says columns in SQL, every other one gets its field's default."""
    columns, sources, params = [], [], []
    for field in model._meta.local_concrete_fields:
        source = given.get(field.column, ("%s", [field.get_db_prep_save(field.get_default(), connection)]))
        sql, values = (source, []) if isinstance(source, str) else source
        columns.append(connection.ops.quote_name(field.column))
        sources.append(_typed(sql, field) if values else sql)
        params += values
    table = connection.ops.quote_name(model._meta.db_table)
    # S608: table, column and expression names are this module's own; values are parameters
    statement = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(sources)} FROM {Customer._meta.db_table} c {rest}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement.replace("%", "%%").replace("%%s", "%s"), params)


def _typed(sql, field):
    """A parameter alone has no type in a SELECT list; PostgreSQL wants to be told."""
    return sql.replace("%s", f"%s::{field.db_type(connection)}") if connection.vendor == "postgresql" else sql
