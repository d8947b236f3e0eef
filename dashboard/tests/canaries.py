"""Contact data one would recognise anywhere, in every record that can hold some, and what finds it in an answer."""

import base64
import re

from billing.tests.test_documents import text_of

CANARIES = {
    "email": "canary@secret.example",
    "phone": "+639175550123",
    "name": "Canary Receiver",  # of an address: who opens the door there
    "line1": "77 Canary Lane",
    "line2": "Canary Annex",
    "postal_code": "C4N4RY",
    "metadata": "canary-meta",
    "custom_fields": "canary-field",
    "remarks": "canary-remark",
    "promise": "canary-promise",
    "payer": "canary-payer",  # as a wallet knows them
}
ADDRESS = {name: CANARIES[name] for name in ("name", "line1", "line2", "postal_code")} | {"city": "Manila", "country": "PH"}
METADATA = {"crm": CANARIES["metadata"]}


def make_customer(*, by):
    """Ana Bird, whom everybody may know by name, and only some may reach."""
    from customers.tests import factories

    reach = {"email": CANARIES["email"], "phone": CANARIES["phone"]}
    name = {"first_name": "Ana", "last_name": "Bird", "reference": "walk-77"}
    found = factories.make_customer(by=by, **name, metadata=METADATA, **reach)
    factories.make_address(found, by=by, phone_number=CANARIES["phone"], is_default=True, **ADDRESS)
    return found


def plant(customer):
    """Write them into whatever copies of contact data and free notes the records of a customer hold."""
    from billing.models import (
        BillingStatement,
        Coupon,
        CouponRedemption,
        Payment,
        PaymentMethod,
        PaymentRequest,
        Refund,
        Subscription,
    )

    own = {"customer": customer}
    then = {"billing_email": CANARIES["email"], "billing_phone": CANARIES["phone"], "billing_address": ADDRESS}
    fields = {"custom_fields": {"Door": CANARIES["custom_fields"]}}
    Payment.objects.filter(**own).update(**then, **fields, metadata=METADATA)
    wallet = {"checkout_email": CANARIES["email"], "external_payer_id": CANARIES["payer"], "address": ADDRESS}
    PaymentMethod.objects.filter(**own).update(**wallet)
    promise = {"promise_note": CANARIES["promise"], "promised_on": "2031-05-01"}
    BillingStatement.objects.filter(**own, status="open").update(**promise)
    Refund.objects.filter(**own).update(remarks=CANARIES["remarks"])
    for model in (BillingStatement, PaymentRequest, Refund, Subscription):
        model.objects.filter(**own).update(metadata=METADATA)
    used = CouponRedemption.objects.filter(**own).values("coupon")
    Coupon.objects.filter(pk__in=used).update(metadata=METADATA)


def words_of(answer):
    """The text of an answer, a PDF's included."""
    body = answer.getvalue() if answer.streaming else answer.content
    return text_of(body) if answer.get("Content-Type") == "application/pdf" else body.decode()


def leaks(answer):
    """The names of the canaries in an answer: plain, spaced, or inside a cursor."""
    body = words_of(answer)
    for cursor in re.findall(r"(?:after|before)=([\w%-]+)", body):
        body += base64.urlsafe_b64decode(cursor.replace("%3D", "") + "==").decode(errors="replace")
    squeezed = re.sub(r"[\s-]", "", body)
    return [name for name, text in CANARIES.items() if text in body or re.sub(r"[\s-]", "", text) in squeezed]
