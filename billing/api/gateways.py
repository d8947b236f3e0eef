"""Gateways as the API names them: by an ID."""

from billing.gateways import GATEWAYS, about
from dashboard.api.errors import ApiError
from dashboard.ids import bare


def slug_of(gateway_id, parameter="gateway_id"):
    """The slug of a gateway of this installation; "" for no ID. Raises ApiError 400 for another one."""
    found = next((slug for slug in GATEWAYS if bare(about(slug).id) == bare(gateway_id or "")), "")
    if gateway_id and not found:
        raise ApiError("parameter_invalid", "There is no gateway with this ID.", parameter)
    return found
