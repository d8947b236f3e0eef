"""Who may do what: one table. Views, menu, admin and the test that walks every route read it.

The four roles are those of the spec (3.5). Deny by default: a permission that is not here is nobody's.
"""

from django.db.models import TextChoices


class Role(TextChoices):
    ADMIN = "admin", "Admin"
    MANAGER = "manager", "Manager"
    SUPPORT = "support", "Customer service"
    REPORTING = "reporting", "Reporting"


ADMIN, MANAGER, SUPPORT, REPORTING = Role
EVERYONE = frozenset(Role)
KNOWS_CUSTOMERS = frozenset({ADMIN, MANAGER, SUPPORT})
RUNS_BILLING = frozenset({ADMIN, MANAGER})
OWNS = frozenset({ADMIN})

PERMISSIONS = {
    # the dashboard
    "dashboard.view": EVERYONE,
    "dashboard.save_view": EVERYONE,
    "dashboard.share_view": RUNS_BILLING,
    "dashboard.view_contact_data": KNOWS_CUSTOMERS,  # others see e-mail, phone and address lines masked
    "dashboard.export": frozenset({ADMIN, MANAGER, REPORTING}),
    "dashboard.manage_team": OWNS,
    "dashboard.manage_keys": OWNS,  # secret keys of the API
    "dashboard.own_tokens": EVERYONE,  # personal tokens: they do what their person may
    # customers
    "customers.view_customer": EVERYONE,
    "customers.add_customer": RUNS_BILLING,
    "customers.change_customer": KNOWS_CUSTOMERS,
    "customers.archive_customer": RUNS_BILLING,
    "customers.import_customer": RUNS_BILLING,
    "customers.comment": KNOWS_CUSTOMERS,
    "customers.moderate_comment": OWNS,
    # billing
    "billing.view_statement": EVERYONE,
    "billing.view_payment": EVERYONE,
    "billing.view_paymentrequest": EVERYONE,
    "billing.request_payment": RUNS_BILLING,
    "billing.cancel_paymentrequest": RUNS_BILLING,
    "billing.import_billing": RUNS_BILLING,
    "billing.view_overview": EVERYONE,
    "billing.change_statement": RUNS_BILLING,  # create, edit, finalise, void, uncollectible, duplicate, delete, fulfil
    "billing.send_statement": KNOWS_CUSTOMERS,  # send, remind, pause reminders, note a promise
    "billing.record_payment": RUNS_BILLING,
    "billing.apply_credit": RUNS_BILLING,
    "billing.adjust_credit": RUNS_BILLING,
    "billing.capture_payment": RUNS_BILLING,
    "billing.change_payment": RUNS_BILLING,  # description and metadata
    "billing.view_refund": EVERYONE,
    "billing.refund_payment": KNOWS_CUSTOMERS,
    "billing.view_attempt": EVERYONE,
    "billing.check_attempt": KNOWS_CUSTOMERS,  # ask the gateway again
    "billing.view_method": EVERYONE,
    "billing.add_method": KNOWS_CUSTOMERS,  # add a card, choose the default
    "billing.remove_method": RUNS_BILLING,
    "billing.view_cardlink": EVERYONE,
    "billing.add_cardlink": KNOWS_CUSTOMERS,  # request card details, send the link again, end it
    "billing.charge": RUNS_BILLING,  # the virtual terminal
    "billing.view_coupon": EVERYONE,
    "billing.change_coupon": RUNS_BILLING,
    "billing.view_subscription": EVERYONE,
    "billing.change_subscription": RUNS_BILLING,  # start, change, pause, resume, cancel, pay an invoice now
    "billing.view_delivery": RUNS_BILLING,
    "billing.replay_delivery": RUNS_BILLING,
    "billing.view_sandbox": RUNS_BILLING,
}


def allowed(user, permission):
    """Whether a signed-in, active user holds a permission of the table."""
    return user.is_active and user.role in PERMISSIONS.get(permission, ())
