"""What staff may do to many records at once: a domain function for each, after a page that says what will happen."""

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ActionLocation
from django.core.exceptions import PermissionDenied
from django.template.response import TemplateResponse
from django.urls import reverse

from dashboard.states import DomainError

MOST = 50  # records at once: a page of a list
REASONS = 5  # refusals told in full
CONFIRMED = "confirmed"


def bulk(act, *, name, title, permission, consequence, done, most=MOST):
    """An action of a list and of a record's page: `act(record, by=…)` for each of the chosen.

    `consequence` is what the page before it says. `done` says what became of those it was done to ("archived").
    Ones that ask a gateway take fewer at once: `most`.
    """

    def run(admin, request, queryset):
        if not request.user.has_perm(permission):
            raise PermissionDenied(permission)
        chosen = list(queryset.order_by(*admin.get_ordering(request))[: most + 1])
        if len(chosen) > most or request.POST.get("select_across") == "1":
            messages.error(request, f"Choose at most {most} at once. Nothing was changed.")
        elif not chosen:
            messages.error(request, "None of these records is here. Nothing was changed.")
        elif request.POST.get(CONFIRMED) == "yes" and _in_list(request):
            _tell(request, done, *_each(chosen, act, request.user))
        else:
            return _ask(admin, request, chosen, name, title, consequence)

    run.__name__, run.permission = name, permission
    run.short_description = run.plural_description = title
    run.locations = [ActionLocation.CHANGE_LIST, ActionLocation.CHANGE_FORM]
    return run


def _in_list(request):
    """Django runs what a record's page sends in a transaction, and gateways are not asked inside one: that page only asks."""
    return request.resolver_match.url_name.endswith("_changelist")


def _each(chosen, act, by):
    """(how many it was done to, [(record, why not)])."""
    refused = []
    for record in chosen:
        try:
            act(record, by=by)
        except DomainError as error:
            refused.append((str(record), str(error)))
    return len(chosen) - len(refused), refused


def _tell(request, done, count, refused):
    if count:
        messages.success(request, f"{count} {done}.")
    for record, why in refused[:REASONS]:
        messages.error(request, f"Left as it is: {record}. {why}")
    if len(refused) > REASONS:
        messages.error(request, f"{len(refused) - REASONS} more were left as they are.")


def _ask(admin, request, chosen, name, title, consequence):
    """The page before: what will happen, to which records, of which mode."""
    opts = admin.opts
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "consequence": consequence,
        "chosen": [(record, admin.url_of(record), admin.mode(record) if hasattr(admin, "mode") else "") for record in chosen],
        "action": name,
        "box": ACTION_CHECKBOX_NAME,
        "list_url": reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist"),
        "opts": opts,
        "media": admin.media,
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)
