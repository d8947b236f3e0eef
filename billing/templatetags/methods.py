"""Payment methods in words, for templates."""

from django import template

from billing.gateways import about

register = template.Library()


@register.filter
def gateway_name(slug):
    """{{ method.gateway|gateway_name }}: the gateway's name, also of one that is not connected any more."""
    return about(slug).name
