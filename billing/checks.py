"""What must not be true of the gateways of an installation, whatever its settings."""

from django.core.checks import Error, register

from billing.gateways import GATEWAYS, gateway_for
from billing.gateways.sandbox.gateway import SandboxGateway
from dashboard.checks import INSTALLATION


@register(INSTALLATION)
def check_sandbox_is_not_live(app_configs, **kwargs):
    """The sandbox plays bank: in live mode a customer would be told of a payment that nobody made."""
    found = {slug: gateway_for(slug)._gateway for slug in GATEWAYS}
    wrong = [slug for slug, gateway in found.items() if isinstance(gateway, SandboxGateway) and gateway.capabilities.livemode]
    text = "The gateway {!r} is the sandbox, and it takes live payments: no money would move."
    return [Error(text.format(slug), hint="Take it out of GATEWAYS, or out of live mode.", id="billing.E001") for slug in wrong]
