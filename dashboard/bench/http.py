"""The API as a program meets it: requests to a real server, against ten thousand customers and against plain SQL."""

import http.client
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.db import connection

from customers.models import Customer
from dashboard.api.keys import create_key
from dashboard.api_models import ApiKey
from dashboard.bench import clock
from dashboard.bench.report import Line
from dashboard.processes import stop, wait_until_it_answers

GROWTH = 1.3
NAME = "Benchmark"
PARTS = {  # what a customer's JSON reads besides the customer: table, columns
    "customers_address": "*",
    "billing_paymentmethod": "*",
    "billing_customertotal": "*",
    "billing_refund": "currency, amount, status",
    "billing_couponredemption": "coupon_id, released_at",
    "billing_coupon": "id, code, name",
}


def measure(databases, sizes, rounds):
    """Rows 16 and 17; yields Lines."""
    small, large = sizes[0], sizes[-1]
    with ExitStack() as stack:
        cases = {}
        for size in dict.fromkeys((small, large)):
            ask = stack.enter_context(_server(databases, size))
            cases |= {(name, size): partial(ask, path) for name, path in _paths(databases, size).items()}
            cases |= {(f"SQL {name}", size): partial(_in, databases, size, run) for name, run in SQL.items()}
        taken = clock.medians(cases, rounds)
    for name in _paths(databases, large):
        before, after = taken[name, small], taken[name, large]
        grown = f"{large:,} / {small:,}"
        yield Line("16", f"API over HTTP: {name}", grown, after / before, GROWTH, how=f"{before:.1f} → {after:.1f} ms")
    for name in SQL:
        plain, whole = taken[f"SQL {name}", large], taken[name, large]
        yield Line(
            "17", f"API over HTTP / its rows by SQL: {name}", f"{large:,}", whole / plain, how=f"{plain:.2f} / {whole:.1f} ms"
        )
    with databases.using(large):
        anew = clock.medians({"count": Customer.objects.filter(livemode=False, status="active").count}, max(3, rounds // 3))
    yield Line("16", "counting a whole list anew, at most once a minute and process", f"{large:,}", anew["count"], unit=" ms")


def _paths(databases, size):
    """{what: path}: one customer, lists and searches."""
    with databases.using(size):
        known = _known(size)
        return {
            "retrieve": f"/customers/{known.pk}",
            "list": "/customers",
            "list by name": "/customers?sort=name",
            "search an e-mail": f"/customers/search?query={quote(known.email)}",
            "search a name": "/customers/search?query=" + quote(known.name),
        }


def _known(size):
    found = Customer.objects.filter(livemode=False, status="active").exclude(phone="")
    return found.order_by("id")[min(size // 2, found.count() - 1)]


@contextmanager
def _server(databases, size):
    """A server of its own for a database; gives ask(path), which reads a whole answer on one connection."""
    with databases.using(size):
        ApiKey.objects.filter(name=NAME).delete()
        _key, secret = create_key(name=NAME, livemode=False, scopes=["read"], by=None)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(_command(port), cwd=settings.BASE_DIR, env=environment(databases.name(size)))
    try:
        wait_until_it_answers(server, ("127.0.0.1", port))
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        yield partial(_ask, asked, {"Authorization": f"Bearer {secret}", "Host": urlsplit(settings.SITE_URL).netloc})
    finally:
        stop({"server": server})
        with databases.using(size):
            ApiKey.objects.filter(name=NAME).delete()


def _command(port):
    threads = ("--worker-class", "gthread", "--workers", "1", "--threads", "1", "--keep-alive", "600")
    return [
        *(sys.executable, "-m", "gunicorn", "dashboard.wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *(*threads, "--no-control-socket", "--log-level", "warning"),
    ]


def environment(name):
    """Our own environment with another database, and no limit on how often one may ask."""
    url = urlsplit(settings.DATABASE_URL)
    there = url._replace(path=f"/{name}").geturl() if settings.POSTGRES else f"sqlite:///{name}"
    return os.environ | {"DATABASE_URL": there, "API_REQUESTS_PER_MINUTE": "10000000"}


def _ask(asked, headers, path):
    asked.request("GET", f"/api/v1{path}", headers=headers)
    answer = asked.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {body[:200]!r}")
    return body


# --- the same rows by hand ---------------------------------------------------------------------------------
def _in(databases, size, run):
    with databases.using(size):
        return run(size)


def _one(size):
    return _with_parts("WHERE id = %s", [_pk(size)])


def _newest(size):
    return _with_parts("WHERE NOT livemode AND status = 'active' ORDER BY created_at DESC, id DESC LIMIT 20", [])


_pks = {}


def _pk(size):
    if size not in _pks:
        _pks[size] = _known(size).pk
    return _pks[size]


def _with_parts(where, params):
    """Customers and what belongs to them, one plain query each."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM customers_customer {where}", params)  # noqa: S608  (our own text)
        rows = cursor.fetchall()
        pks = [row[0] for row in rows]
        marks = ", ".join(["%s"] * len(pks))
        for table, columns in PARTS.items():
            cursor.execute(f"SELECT {columns} FROM {table} WHERE customer_id IN ({marks})", pks)  # noqa: S608
            rows += cursor.fetchall()
    return rows


SQL = {"retrieve": _one, "list": _newest}
