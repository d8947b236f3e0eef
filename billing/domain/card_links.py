"""What may be done to card tokenization links: made, mailed, ended. Whether a card was saved is written by vault alone."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from billing.domain import checkouts, payables, visits
from billing.domain.once import make_once
from billing.domain.sending import MESSAGE, Letter, recipient
from billing.gateways import about, gateways_for
from billing.models import Attempt, TokenizationLink
from customers.domain import refuse_archived
from customers.models import Customer
from dashboard import events, mail, states
from dashboard.mail_models import Mail
from dashboard.states import DomainError
from dashboard.text import clean_text

SOONEST, LATEST = timedelta(minutes=1), timedelta(days=30)
USUAL = timedelta(days=14)
SLACK = timedelta(seconds=5)  # what passes between filling in "1 minute" and asking here
OUT_OF_BOUNDS = "A link works for at least 1 minute and at most 30 days. Choose another time."
SAVING = "A card is being saved on this link right now. Try again in a moment."
_SAME_FORM = ("customer_id", "gateway", "make_default", "description", "by_staff")
Status = TokenizationLink.Status


# --- making ----------------------------------------------------------------------------------------------
def gateways_saving(customer):
    """The slugs of the gateways that save cards for a customer: of its mode, in its currency; the preferred one first."""
    return [g.slug for g in gateways_for(customer.livemode, customer.currency) if g.capabilities.save_card]


def gateway_saving(customer, wanted=""):
    """The slug of the gateway that saves a customer's methods: the wanted one, or else the preferred one.

    Raises DomainError when there is none, or the wanted one does not.
    """
    slugs = gateways_saving(customer)
    if wanted and wanted not in slugs:
        raise DomainError(refusal_of(wanted, customer.currency))
    if not slugs:
        raise DomainError(no_gateway(customer))
    return wanted or slugs[0]


def no_gateway(customer):
    """That no gateway saves a customer's cards, in a sentence."""
    mode = "live" if customer.livemode else "test"
    return f"No payment gateway of {mode} mode saves cards of customers billed in {customer.currency}."


def refusal_of(slug, currency):
    """That a gateway saves no cards in a currency, in a sentence."""
    return f"{about(slug).name} does not save cards of customers billed in {currency} in this mode. Nothing was created."


def create_card_link(
    customer, *, gateway, by, expires_at=None, make_default=False, description="", by_staff=False, form_key=""
):  # fmt: skip
    """Ask a customer to save a card at a gateway (R-39). The same form_key gives the same link, however often it comes.

    `by_staff` makes one for adding a card oneself, which nobody is sent. Raises DomainError when the customer is archived,
    the gateway does not save cards for it, or the time is under 1 minute or over 30 days.
    """
    link = TokenizationLink(
        livemode=customer.livemode,
        customer=customer,
        gateway=gateway,
        currency=customer.currency,
        by_staff=by_staff,
        make_default=make_default,
        description=clean_text(description, 500),
        customer_name=customer.name,
        customer_email=customer.email,
        form_key=form_key,
        expires_at=expires_at or timezone.now() + USUAL,
        created_by=by,
    )
    _refuse_shape(link)
    return make_once(link, lambda: _save(link.seal().derive(), by), same=_SAME_FORM)


def _refuse_shape(link):
    if not SOONEST - SLACK <= link.expires_at - timezone.now() <= LATEST:
        raise DomainError(OUT_OF_BOUNDS)
    if link.gateway not in gateways_saving(link.customer):
        raise DomainError(refusal_of(link.gateway, link.currency))


@transaction.atomic
def _save(link, by):
    """The customer is locked, so that nobody archives it between the look and the write."""
    refuse_archived(Customer.objects.select_for_update(no_key=True).get(pk=link.customer_id))
    link.save(force_insert=True)
    events.record("tokenization_link.created", link, by=by, gateway=link.gateway, by_staff=link.by_staff)
    return link


# --- ending ----------------------------------------------------------------------------------------------
def cancel_card_link(link, *, by):
    """End a link at once ("Expire now"): its gateway page is closed first, so that nobody saves a card meanwhile.

    Not to be called inside a transaction. Raises DomainError when it is over already, or a card is being saved on it.
    """
    _refuse_over(link)
    try:
        checkouts.close_checkout(link)
    except DomainError:
        _refuse_over(TokenizationLink.objects.get(pk=link.pk))
        raise DomainError(SAVING) from None
    with transaction.atomic():
        current = payables.lock(link.pk)
        _refuse_over(current)
        if Attempt.objects.open().for_target(current, Attempt.Kind.CHECKOUT).exists():
            raise DomainError(SAVING)
        now = timezone.now()
        return states.move(current, Status.CANCELED, by=by, canceled_at=now, updated_at=now)


def _refuse_over(link):
    if link.status == Status.DONE:
        raise DomainError("A card was saved on this link already, so there is nothing to end. Reload the page to see the card.")
    if link.status != Status.NEW:
        raise DomainError(f"This link is {link.get_status_display().lower()} already.")


def expire_card_links(now=None):
    """Mark links whose time is over and on which no card is being saved. Returns how many."""
    marked = 0
    among = TokenizationLink.objects.filter(livemode__in=(False, True))  # both: so that an index finds the few new ones
    for link in among.lapsed(now).order_by("created_at").iterator(chunk_size=200):
        if not Attempt.objects.open().for_target(link, Attempt.Kind.CHECKOUT).exists():
            marked += _expire(link)
    return marked


def _expire(link):
    try:
        states.move(link, Status.EXPIRED, by=None, updated_at=timezone.now())
    except DomainError:  # used or canceled in between
        return 0
    return 1


# --- opened ----------------------------------------------------------------------------------------------
def record_opening(link, *, address, agent):
    """Note that a payer opened a link, at most once in ten minutes for each visitor; the first time is kept on the link.

    Returns the event, or None for a program's preview and for a visitor who was here a moment ago.
    """
    if not visits.counts(link, address=address, agent=agent):
        return None
    with transaction.atomic():
        event = visits.record_view(link, address=address, agent=agent)
        if event:
            TokenizationLink.objects.filter(pk=link.pk, opened_at=None).update(opened_at=event.created_at)
    return event


# --- sending ---------------------------------------------------------------------------------------------
def card_link_letter(link, message=""):
    """The mail that brings a link."""
    context = {"link": link, "message": clean_text(message, MESSAGE), "mark": Mail.MARK, "zone": settings.TIME_ZONE}
    text = render_to_string("mail/card_link.txt", context | {"merchant": settings.MERCHANT_NAME})
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return Letter("card_link", f"{settings.MERCHANT_NAME} asks you to save a card", text.strip())


def why_not_sent(link):
    """Why a link cannot be sent now, as a sentence; "" when it can."""
    if link.by_staff:
        return "This link was made to add a card here. It is not sent to anybody."
    if link.customer.archived:
        return "The customer is archived, so the link saves no card and is not sent. Restore the customer first."
    return "" if link.payable else f"This link is {link.badge.lower()}, so it saves no card and is not sent."


@transaction.atomic
def send_card_link(link, *, by, to="", message="", form_key=""):
    """Mail a link to the customer. The same form_key sends once, however often it comes.

    Raises DomainError when the link saves no card any more, and without a good address.
    """
    current = payables.lock(link.pk)
    if refusal := why_not_sent(current):
        raise DomainError(refusal)
    to = (to or recipient(current)).strip()
    if not to:
        raise DomainError("There is no e-mail address to send it to. Enter one.")
    letter = card_link_letter(current, message)
    made = mail.queue(letter.kind, current, to=to, subject=letter.subject, text=letter.text, by=by, key=form_key)
    if made:
        now = timezone.now()
        TokenizationLink.objects.filter(pk=current.pk).update(sent_at=now, updated_at=now)
        events.record("tokenization_link.sent", current, by=by, to=made.to, mail=made.pk)
    current.refresh_from_db()
    return current
