"""Risks of this installation that Django does not know about; `./run` shows them at every start.

A setting that cannot work stops the start in settings.py. These are settings that work and may hurt.
"""

import ipaddress
import stat
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register
from django.db import connections

INSTALLATION = "installation"


@register(INSTALLATION)
def check_public_site(app_configs, **kwargs):
    """What is right on one's own machine and wrong at an https address other people open."""
    if not settings.SECURE:
        return []
    risks = {
        "W003": (
            not settings.PROXIES,
            "PROXIES is 0, so every visitor seems to come from the proxy's address and shares one sign-in limit.",
            "Set PROXIES to the number of proxies of yours in front of this server, usually 1.",
        ),
        "W004": (
            settings.MERCHANT_EMAIL.endswith("@example.com"),
            f"MERCHANT_EMAIL is {settings.MERCHANT_EMAIL}: customers who answer a mail reach nobody.",
            "Set MERCHANT_EMAIL.",
        ),
    }
    return [Warning(text, hint=hint, id=f"dashboard.{id}") for id, (wrong, text, hint) in risks.items() if wrong]


@register(INSTALLATION)
def check_plain_http(app_configs, **kwargs):
    """Without TLS, passwords and customer data may cross only this machine's own loopback."""
    host = urlsplit(settings.SITE_URL).hostname
    if settings.SECURE or _is_loopback(host):
        return []
    text = f"SITE_URL is {settings.SITE_URL}: passwords and customer data cross the network unencrypted."
    return [Warning(text, hint="Put a TLS proxy in front and set SITE_URL to its https address.", id="dashboard.W005")]


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@register(INSTALLATION)
def check_private_files(app_configs, **kwargs):
    """The key file is worth as much as every session and payment link: its owner alone may read it."""
    path = settings.DATA_DIR / "secret_key"
    if not path.exists() or not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [Warning(f"Other users of this machine can read {path}.", hint=f"Run: chmod 600 {path}", id="dashboard.W006")]


@register(INSTALLATION, Tags.database)
def check_modest_role(app_configs, databases=None, **kwargs):
    """Who finds a way to run SQL here should not get the whole server with it."""
    connection = connections["default"]
    if not databases or connection.vendor != "postgresql" or not settings.SECURE:
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        (superuser,) = cursor.fetchone()
    text = "DATABASE_URL names a superuser of PostgreSQL, who may do anything on the whole server."
    hint = "Use a role of its own that owns this database only: docs/deployment.md shows how."
    return [Warning(text, hint=hint, id="dashboard.W008")] if superuser else []


@register(INSTALLATION, Tags.database)
def check_durable_database(app_configs, databases=None, **kwargs):
    """A payment that was confirmed must survive a power cut, so PostgreSQL has to wait for its disk."""
    connection = connections["default"]
    if not databases or connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off' ORDER BY name"
        )
        off = [name for (name,) in cursor.fetchall()]
    kind, id = (Error, "dashboard.E001") if settings.SECURE else (Warning, "dashboard.W007")
    text = "PostgreSQL runs with {} off: a power cut can undo payments already confirmed."
    return [kind(text.format(name), hint=f"Set {name} = on in postgresql.conf.", id=id) for name in off]
