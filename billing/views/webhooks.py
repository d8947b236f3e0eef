"""Where gateways tell us that something happened. No sign-in, no form token: the signature says who it is."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from billing.domain import webhooks
from billing.gateways import gateway_for
from billing.gateways.base import BadSignature
from dashboard import doors

LARGEST = 256 * 1024  # bytes of a body; gateways' events are a few kB
log = logging.getLogger(__name__)


@csrf_exempt
@login_not_required
@require_POST
def receive(request, gateway):
    """Take one delivery. 200: we have it. 500: send it again. 400, 404, 413: it is not one we take."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isdecimal() and len(length) < 10 and int(length) <= LARGEST):
        return answer("The body is too large.", 413)
    try:
        delivery = webhooks.receive(gateway, request.body, request.headers)
    except KeyError:
        return answer("There is no such gateway here.", 404)
    except BadSignature as error:
        log.warning("webhook for %s refused: %s", gateway, error)
        doors.delivery_refused(gateway, livemode=gateway_for(gateway).capabilities.livemode)
        return answer(str(error), 400)
    failed = delivery.state == delivery.State.FAILED
    return answer("It could not be worked on now. Send it again.", 500) if failed else answer("Received.", 200)


def answer(sentence, status):
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")
