"""Who is signed in, and who pays, while slow clients hold every connection they can get, and while the sign-in is flooded.

The server is the one `./run` starts: gunicorn with waitress in it, WEB_WORKERS processes of WEB_THREADS threads, no proxy in
front. It listens on 127.0.0.1 and takes the address of a visitor from X-Forwarded-For, so that a crowd of one machine
comes from many. The crowd is a process of its own (crowd.py), and all of it ends by itself.
"""

import http.client
import itertools
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from statistics import median
from urllib.parse import urlsplit

from django.conf import settings
from django.test import Client
from django.utils import timezone

from billing.domain.requests import create_payment_request
from customers.models import Customer
from dashboard import processes
from dashboard.bench import pages
from dashboard.bench.http import environment
from dashboard.bench.report import Line

MOST_MS = 500  # of a page, whatever happens at the door (trust model, fault table 30)
GROWTH = 2  # of a page's p95 under slow clients (29)
LINKS = 20  # payment links that take turns, so that the limit of one is not what is measured
PAUSE = 0.1  # seconds between two looks
PER_SECOND = 50  # tries to sign in
CROWDS = {"slow": "slow clients", "flood": f"{PER_SECOND} sign-ins a second"}


def measure(databases, sizes, rounds):
    """Rows 18 and 19; yields Lines."""
    size, seconds = sizes[-1], databases.seconds
    with databases.using(size):
        cookie, links = _signed_in(), _links()
    with _server(databases.name(size)) as port:
        look = Look(port, cookie, links)
        look.during(2)  # caches and templates are warm in each process
        before = look.during(max(2, seconds / 2))
        for row, kind in enumerate(CROWDS, start=18):
            with _crowd(kind, port, seconds) as crowd:
                taken = look.during(seconds)
            yield from _lines(str(row), kind, size, before, taken, _told(crowd))


def _lines(goal, kind, size, before, taken, told):
    for page, times in taken.items():
        how = f"p50 {median(before[page]):.0f} → {median(times):.0f} ms, p95 {p95(before[page]):.0f} → {p95(times):.0f} ms"
        what = f"{page} under {CROWDS[kind]}"
        yield Line(goal, f"{what}, p95", f"{size:,}", p95(times), MOST_MS, unit=" ms", how=f"{how}; {len(times)} looks; {told}")
        limit = GROWTH if kind == "slow" else None
        yield Line(goal, f"{what}, p95 / without", f"{size:,}", p95(times) / p95(before[page]), limit)


def p95(times):
    return sorted(times)[int(len(times) * 0.95)]


class Look:
    """Somebody who opens a page now and then on a new connection, and waits for all of it."""

    def __init__(self, port, cookie, links):
        self.port, self.links, self.cookie = port, itertools.cycle(links), cookie
        self.visitors = itertools.count(1)

    def during(self, seconds):
        """{page: milliseconds of each look}. Raises RuntimeError for an answer that is not the page."""
        taken, until = {"a payer's page": [], "a page of staff": []}, time.monotonic() + seconds
        while time.monotonic() < until:
            taken["a payer's page"].append(self.time(next(self.links), {}))
            taken["a page of staff"].append(self.time("/customers/", {"Cookie": self.cookie}))
            time.sleep(PAUSE)
        return taken

    def time(self, path, headers):
        visitor = next(self.visitors)
        asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        start = time.perf_counter()
        try:
            asked.request("GET", path, headers=headers | {"X-Forwarded-For": f"172.16.{visitor >> 8 & 255}.{visitor & 255}"})
            answer = asked.getresponse()
            answer.read()
        finally:
            asked.close()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        return (time.perf_counter() - start) * 1000


def _signed_in():
    """The session cookie of somebody of the staff."""
    client = Client()
    client.force_login(pages.viewer())
    return f"session={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def _links():
    """Paths of open payment requests; the same ones the next time."""
    customer = Customer.objects.filter(livemode=False, status="active").order_by("id").first()
    made = {"amount": 4850, "currency": "USD", "country": "US", "method_types": ["card"], "by": pages.viewer()}
    day = timezone.now().date()
    asked = [create_payment_request(customer, form_key=f"bench-{day}-{n}", **made) for n in range(LINKS)]
    return [urlsplit(request.url).path for request in asked]


@contextmanager
def _server(name):
    """The web server of an installation on a database of the benchmark's; gives its port."""
    with processes.listening(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        ours = {"SITE_URL": f"http://127.0.0.1:{port}", "ALLOWED_HOSTS": "127.0.0.1", "PROXIES": "1", "LOG_LEVEL": "ERROR"}
        command = processes.web_command(listener.fileno())
        server = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=environment(name) | ours, pass_fds=[listener.fileno()], start_new_session=True
        )
    try:
        processes.wait_until_it_answers(server, ("127.0.0.1", port))
        yield port
    finally:
        processes.stop({"server": server})


@contextmanager
def _crowd(kind, port, seconds):
    command = (sys.executable, "-m", "dashboard.bench.crowd", kind, str(port), str(seconds + 1), str(PER_SECOND))
    crowd = subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(1)  # all of them are there
        yield crowd
        crowd.told = crowd.communicate(timeout=30)[0]
    finally:
        crowd.kill()
        crowd.wait()


def _told(crowd):
    """What the crowd did, in words."""
    words = {"200": "looked at", "302": "let in", "429": "told to wait", "503": "told to come again"}
    done = json.loads(crowd.told)
    load = f"load average {os.getloadavg()[0]:.1f}"
    return ", ".join([*(f"{count:,} {words.get(name, name.replace('_', ' '))}" for name, count in done.items()), load])
