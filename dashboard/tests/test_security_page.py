"""docs/security.md and SECURITY.md say what the program does: each figure is compared with the code."""

import re
from datetime import date

import django
import pytest
from django.conf import settings
from django.contrib.auth.password_validation import MinimumLengthValidator

from billing.views import public
from dashboard import accounts, hashing, mail, money, people_models, search, stepup, throttle, web_server
from dashboard.api import callers
from dashboard.backups import sealed
from dashboard.forms import KEY, PAIRS, VALUE
from dashboard.imports import files
from dashboard.paging import SIZES
from dashboard.search import CAP

pytestmark = pytest.mark.one_database
PAGE = (settings.BASE_DIR / "docs" / "security.md").read_text()
POLICY = (settings.BASE_DIR / "SECURITY.md").read_text()
SERIES_END = {(6, 1): date(2027, 12, 31), (6, 2): date(2030, 4, 30)}  # of Django: last security release


TURNS, SLOW, ACCOUNT, EVERYBODY = hashing.TakesTurns, web_server, throttle.ACCOUNT, throttle.EVERYBODY


def a_minute(limit):
    return f"{round(limit.rate * 60):,}"


FACTS = {
    "free text": "13 to 19 digits",
    "search": f"| search | {search.LIMIT} characters",
    "metadata": f"{PAIRS} pairs, names of {KEY} characters, values of {VALUE}",
    "amount": f"at most {money.LARGEST:,}",
    "file": f"(`IMPORT_MAX_MB`), {files.MOST_COLUMNS} columns and {files.MOST_ROWS:,} rows",
    "file size": f"at most {settings.IMPORT_MAX_BYTES >> 20} MB\n(`IMPORT_MAX_MB`)",
    "sign-in, address": f"| sign-in, of an address | {a_minute(throttle.ADDRESS)} a minute |",
    "sign-in, account": f"{a_minute(ACCOUNT)} a minute after {ACCOUNT.burst} at once, {throttle.ACCOUNT_DAY.burst} a day |",
    "sign-in, all": f"| sign-in, of everybody | {a_minute(EVERYBODY)} a minute after {EVERYBODY.burst} at once |",
    "payer": f"| pages of a payer, of an address | {a_minute(public.VIEWS)} a minute |",
    "link": f"| pages of one link | {a_minute(public.LINK_VIEWS)} a minute |",
    "unknown": f"| links that lead nowhere, of an address | {a_minute(public.UNKNOWN)} a minute |",
    "tries": f"| tries to pay on one link | {public.TRIES.burst} in {public.TRIES.burst / public.TRIES.rate / 60:.0f} minutes |",
    "api": f"{settings.API_REQUESTS_PER_MINUTE:,} a minute (`API_REQUESTS_PER_MINUTE`)",
    "guesses": f"| wrong API keys, of an address | {a_minute(callers.GUESSES)} a minute |",
    "password": f"12 to {accounts.MostLength.MOST:,} of any characters",
    "hash": f"Argon2id, {TURNS.memory_cost // 1024} MiB, {TURNS.time_cost} passes, {TURNS.parallelism} lane;",
    "invitation": f"for {people_models.VALID_FOR.total_seconds() / 3600:.0f} hours",
    "reset": f"good once and for {settings.PASSWORD_RESET_TIMEOUT // 86400} days",
    "fresh": f"older\n  than {stepup.FRESH // 60} minutes",
    "idle": f"after {settings.SESSION_IDLE_SECONDS // 60} minutes without a request",
    "absolute": f"after {settings.SESSION_COOKIE_AGE // 3600} hours in any case",
    "scrypt": f"scrypt, N=2^{sealed.COST}, r=8",
    "mail": "tried again ten times" if mail.TRIES == 10 else "",
    "slow requests": f"within {SLOW.REQUEST_SECONDS} seconds and a second more for each {SLOW.SLOWEST:,} bytes",
    "idle connections": f"closed after {SLOW.IDLE_SECONDS} seconds",
    "pages": f"pages of at most {max(SIZES)} by an index, counts that stop at {CAP:,}",
}


@pytest.mark.parametrize("what", FACTS)
def test_a_figure_of_the_security_page_is_the_programs(what):
    assert FACTS[what], what
    assert FACTS[what] in PAGE


def test_the_words_no_password_may_be_are_those_of_the_page():
    named = {word for word in ("counterfoil", "dashboard", "password", "admin") if f"*{word}*" in PAGE}

    assert accounts.own_words() >= named == {"counterfoil", "dashboard", "password", "admin"}
    shortest = next(v for v in settings.AUTH_PASSWORD_VALIDATORS if v["NAME"].endswith(MinimumLengthValidator.__name__))
    assert shortest["OPTIONS"]["min_length"] == 12


def test_the_policy_says_whom_to_tell_what_counts_and_how_fast():
    assert "within 48 hours" in POLICY
    assert "## Scope" in POLICY
    assert [int(days) for days in re.findall(r"\| (\d+) days \|", POLICY)] == [7, 30, 90]
    assert "security.txt" in POLICY


def test_an_installation_names_its_own_contact(client, settings):
    told = client.get("/.well-known/security.txt")

    assert (told.status_code, told["Content-Type"]) == (200, "text/plain; charset=utf-8")
    lines = dict(line.split(": ", 1) for line in told.text.splitlines())
    assert lines["Contact"] == f"mailto:{settings.MERCHANT_EMAIL}"
    assert date.fromisoformat(lines["Expires"][:10]) > date.today()
    assert client.post("/.well-known/security.txt").status_code == 405


def test_the_framework_still_gets_security_fixes_for_half_a_year():
    """SECURITY.md promises series that are mended. Move to the next one, and say here when that one ends."""
    assert (SERIES_END[django.VERSION[:2]] - date.today()).days > 180


def test_the_log_goes_to_one_stream_and_nowhere_else():
    handlers = settings.LOGGING["handlers"]

    assert {handler["class"] for handler in handlers.values()} == {"logging.StreamHandler"}
    named = {name for logger in settings.LOGGING["loggers"].values() for name in logger.get("handlers", [])}
    assert named | {*settings.LOGGING["root"]["handlers"]} <= {*handlers}
