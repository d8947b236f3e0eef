"""How often somebody may ask: token buckets in the database, shared by all processes and machines.

A bucket holds `burst` tokens and fills by `rate` a second. One statement fills and takes, so that two processes never
spend the same token. A process takes a few at once for itself: a write for each request would cost more than many a
request. Whoever is refused is told how long to wait.
"""

import ipaddress
import math
import threading
import time

from django.db import InternalError, OperationalError, connection

from dashboard.states import DomainError

_TAKE = """
    INSERT INTO dashboard_bucket (name, tokens, filled_at) VALUES (%s, %s, %s)
    ON CONFLICT (name) DO UPDATE SET filled_at = %s, tokens = {least}(
        %s, dashboard_bucket.tokens + {most}(0, %s - dashboard_bucket.filled_at) * %s) - %s
    WHERE {least}(%s, dashboard_bucket.tokens + {most}(0, %s - dashboard_bucket.filled_at) * %s) >= %s
    RETURNING tokens"""
_GIVE = "UPDATE dashboard_bucket SET tokens = {least}(%s, tokens + 1) WHERE name = %s"
_WORDS = {"postgresql": {"least": "LEAST", "most": "GREATEST"}, "sqlite": {"least": "min", "most": "max"}}
FORGET = 24 * 3600  # seconds after which a bucket nobody asked of is full anyway: the slowest takes a day
now = time.time


class TooOften(DomainError):
    """A limit is reached. `seconds` tells how long to wait, `wait` the same in words."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.wait = f"{seconds} second{'' if seconds == 1 else 's'}" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
        super().__init__(f"Too many requests. Wait {self.wait}, then try again.")


class Limit:
    """So many a second, so many at once. `share` is how many tokens a process takes from the database at a time.

    While the database takes no writes, one that is `lenient` lets everybody through: reading goes on. Any other lets
    the database's error rise, which is a 503: nobody passes.
    """

    def __init__(self, scope, *, rate, burst, share=1, lenient=False):
        self.scope, self.rate, self.burst, self.share, self.lenient = scope, rate, burst, share, lenient
        self._own, self._lock = {}, threading.Lock()

    def spend(self, who):
        """Take one token of `who`. Raises TooOften when there is none."""
        name = self._name(who)
        if self.share > 1 and self._spend_own(name):
            return
        for count in dict.fromkeys((self.share, 1)):
            if self._take(name, count):
                return self._keep(name, count - 1)
        raise TooOften(max(1, math.ceil(1 / self.rate)))

    def give_back(self, who):
        """Return a token of `who`: it turned out to be none of those that are limited."""
        with connection.cursor() as cursor:
            cursor.execute(_GIVE.format(**_WORDS[connection.vendor]), [self.burst, self._name(who)])

    def _name(self, who):
        return f"{self.scope}:{who}"[:100]

    def _spend_own(self, name):
        with self._lock:
            left, until = self._own.get(name, (0, 0))
            if left < 1 or until < time.monotonic():
                return False
            self._own[name] = left - 1, until
            return True

    def _keep(self, name, count):
        """Tokens this process took and has not spent; after a minute they are forgotten, and the bucket has filled."""
        if count:
            with self._lock:
                if len(self._own) > 10_000:
                    self._own.clear()
                self._own[name] = self._own.get(name, (0, 0))[0] + count, time.monotonic() + 60

    def _take(self, name, count):
        at, most = now(), self.burst
        sql = _TAKE.format(**_WORDS[connection.vendor])
        filled = [most, at, self.rate]
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, [name, most - count, at, at, *filled, count, *filled, count])
                return cursor.fetchone() is not None
        except (OperationalError, InternalError):
            if not self.lenient:
                raise
            return True

    def forget(self):
        """Drop what this process took for itself."""
        self._own.clear()


def network(address):
    """Whom an address stands for: itself, and of IPv6 the 64 bits that one subscriber gets addresses under."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(found, "ipv4_mapped", None)
    if mapped or found.version == 4:
        return str(mapped or found)
    return str(ipaddress.ip_network((found, 64), strict=False))
