"""What the made-up customers owe and paid, made inside the database from the customers themselves.

Two in five have a statement, about four in a hundred an overdue one. There is a payment for each customer;
three in ten of them belong to one customer in ten thousand, who so has about 3,000.
"""

from datetime import timedelta

from django.db import connection

from billing.models import BillingStatement, CustomerTotal, Payment
from customers.models import Customer

MODELS = (BillingStatement, Payment, CustomerTotal)
HEAVY = "substr(c.billing_statement_prefix, 1, 6) || '0000'"  # the customer who pays for the next 9,999 now and then
N = "CAST(substr(c.billing_statement_prefix, 2) AS integer)"  # the customer's number, from data.make_customer
HEX = "substr(c.id, 5)"


def load(now):
    """Statements, payments and the roll-up of each customer. `now` parts the overdue from the others."""
    _statements(now)
    _payments()
    _totals()


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
        f" CASE WHEN {N} % 10 < 7 THEN c.billing_statement_prefix ELSE {HEAVY} END",
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
