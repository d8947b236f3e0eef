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


class Held(frozenset):
    """The roles that hold a permission; `words` tell a merchant what it lets them do."""

    words = ""


def held_by(roles, words):
    """A row of the table."""
    held = Held(roles)
    held.words = words
    return held


AREAS = {"dashboard": "The dashboard", "customers": "Customers", "billing": "Money"}  # part before the dot: title
PERMISSIONS = {
    # the dashboard
    "dashboard.view": held_by(EVERYONE, "Open the dashboard: search, help, and the activity of the records one may see"),
    "dashboard.save_view": held_by(EVERYONE, "Save views of lists and choose columns, for oneself"),
    "dashboard.share_view": held_by(RUNS_BILLING, "Share saved views with the team, and delete shared ones"),
    "dashboard.view_contact_data": held_by(
        KNOWS_CUSTOMERS,
        "See contact data in full: e-mail, phone, address lines, metadata; read the outbox; work in the support admin. "
        "Everybody else sees it masked and cannot search, sort or filter by it",
    ),
    "dashboard.export": held_by({ADMIN, MANAGER, REPORTING}, "Export lists as CSV; what is masked on the page is masked there"),
    "dashboard.manage_team": held_by(OWNS, "Invite people, change roles, switch accounts off, end sessions"),
    "dashboard.manage_keys": held_by(OWNS, "Create, roll and revoke secret keys of the API"),
    "dashboard.own_tokens": held_by(EVERYONE, "Have personal API tokens, which do what their person may and no more"),
    # customers
    "customers.view_customer": held_by(EVERYONE, "See customers, their addresses and comments"),
    "customers.add_customer": held_by(RUNS_BILLING, "Add customers"),
    "customers.change_customer": held_by(KNOWS_CUSTOMERS, "Edit customers, addresses and metadata; pin warnings"),
    "customers.archive_customer": held_by(RUNS_BILLING, "Archive and restore customers"),
    "customers.erase_customer": held_by(OWNS, "Erase a customer’s personal data for good, and see what the law keeps of it"),
    "customers.download_data": held_by(RUNS_BILLING, "Download all that is stored about one customer, to hand it to them"),
    "customers.import_customer": held_by(RUNS_BILLING, "Import customers from CSV files"),
    "customers.comment": held_by(KNOWS_CUSTOMERS, "Comment on customers, edit and delete one’s own comments"),
    "customers.moderate_comment": held_by(OWNS, "Delete other people’s comments"),
    # billing
    "billing.view_overview": held_by(EVERYONE, "See the overview: what came in, what is open, what is overdue"),
    "billing.view_statement": held_by(EVERYONE, "See billing statements and invoices, and download them as PDF"),
    "billing.change_statement": held_by(
        RUNS_BILLING, "Create, edit, finalise, duplicate, void, write off, delete and fulfil billing statements"
    ),
    "billing.send_statement": held_by(KNOWS_CUSTOMERS, "Send statements and reminders, pause reminders, note a promise to pay"),
    "billing.view_payment": held_by(EVERYONE, "See payments and receipts"),
    "billing.record_payment": held_by(RUNS_BILLING, "Record a payment that came in elsewhere"),
    "billing.capture_payment": held_by(RUNS_BILLING, "Capture or release an authorised payment"),
    "billing.change_payment": held_by(RUNS_BILLING, "Edit a payment’s description and metadata"),
    "billing.view_refund": held_by(EVERYONE, "See refunds"),
    "billing.refund_payment": held_by(KNOWS_CUSTOMERS, "Refund payments; above the limit one’s password is asked again"),
    "billing.apply_credit": held_by(RUNS_BILLING, "Pay a bill from the customer’s credit"),
    "billing.adjust_credit": held_by(RUNS_BILLING, "Add to or take from a customer’s credit"),
    "billing.charge": held_by(RUNS_BILLING, "Charge a customer in the virtual terminal"),
    "billing.view_paymentrequest": held_by(EVERYONE, "See payment requests"),
    "billing.request_payment": held_by(RUNS_BILLING, "Ask a customer to pay by a link, and extend the link"),
    "billing.cancel_paymentrequest": held_by(RUNS_BILLING, "Cancel payment requests"),
    "billing.view_attempt": held_by(EVERYONE, "See tries to pay that are not payments yet"),
    "billing.check_attempt": held_by(KNOWS_CUSTOMERS, "Ask the gateway again what became of a try"),
    "billing.view_method": held_by(EVERYONE, "See payment methods on file: brand, last four digits, expiry"),
    "billing.add_method": held_by(KNOWS_CUSTOMERS, "Add a payment method, choose the default"),
    "billing.remove_method": held_by(RUNS_BILLING, "Remove payment methods"),
    "billing.view_cardlink": held_by(EVERYONE, "See card tokenization links"),
    "billing.add_cardlink": held_by(KNOWS_CUSTOMERS, "Request card details by a link, send it again, end it"),
    "billing.view_coupon": held_by(EVERYONE, "See coupons and who used them"),
    "billing.change_coupon": held_by(RUNS_BILLING, "Create, change, duplicate, switch off and on coupons"),
    "billing.view_subscription": held_by(EVERYONE, "See subscriptions"),
    "billing.change_subscription": held_by(
        RUNS_BILLING, "Start, change, pause, resume and cancel subscriptions, charge an invoice now"
    ),
    "billing.view_delivery": held_by(RUNS_BILLING, "See what gateways reported to the webhook"),
    "billing.replay_delivery": held_by(RUNS_BILLING, "Work on such a report again"),
    "billing.view_sandbox": held_by(RUNS_BILLING, "Look into the sandbox gateway and steer it, in test mode"),
}


def allowed(user, permission):
    """Whether a signed-in, active user holds a permission of the table."""
    return user.is_active and user.role in PERMISSIONS.get(permission, ())
