import logging
import re

from django.apps import AppConfig

LINK = re.compile(r"(/pay/(?:checkout|bill)/)[^/\s]+")


class HideLinks(logging.Filter):
    """Keeps payers' secret links out of the log: a refused request is logged with its path."""

    def filter(self, record):
        if isinstance(record.args, tuple):
            record.args = tuple(LINK.sub(r"\1…", a) if isinstance(a, str) else a for a in record.args)
        return True


class BillingConfig(AppConfig):
    name = "billing"

    def gateway_choices(self):
        """(slug, name) of the gateways, for a filter of customers: they know their methods, not who keeps them."""
        from billing.gateways import GATEWAYS, about

        return [(slug, about(slug).name) for slug in GATEWAYS]

    def ready(self):
        from billing import checks  # noqa: F401  (registers them)

        for name in ("django.request", "django.security.csrf", "django.server"):
            logging.getLogger(name).addFilter(HideLinks())
