"""The filters of the customers list (R-7): each alone and each two together leave what the plain words say."""

import csv
import io
import re
from datetime import timedelta
from itertools import combinations

import pytest
from django.utils import timezone

from billing.models import BillingStatement, Coupon, CouponRedemption, PaymentMethod
from billing.tests.factories import make_open_statement
from customers.filters import CustomerFilter
from customers.models import Customer
from customers.tests.factories import make_address, make_customer

pytestmark = pytest.mark.django_db
TODAY = timezone.localdate


def keep(customer, *, gateway="sandbox", kind="card", months=24, status="active", **fields):
    """A payment method of a customer; a card's last month lies so many months ahead."""
    year, month = divmod(TODAY().year * 12 + TODAY().month - 1 + months, 12)
    card = {"card_scheme": "visa", "card_number_last4": "4242", "expire_year": year, "expire_month": month + 1}
    given = {"gateway": gateway, "gateway_token": f"{customer.pk}{PaymentMethod.objects.count()}", "type": kind, "status": status}
    return PaymentMethod.objects.create(
        customer=customer, livemode=customer.livemode, **given | (card if kind == "card" else {}) | fields
    )


def bind(customer, **fields):
    coupon = Coupon(customer=customer, livemode=False, code=f"C{Coupon.objects.count()}", percent_off=10, **fields)
    coupon.derive().save()
    return coupon


def use(customer, **fields):
    return CouponRedemption.objects.create(
        customer=customer, livemode=False, coupon=bind(None), currency="USD", statement=make_open_statement(customer), **fields
    )


@pytest.fixture
def everyone(max):
    """Customers of whom each differs from the others in what filters look at."""
    made = {}

    def add(name, **fields):
        made[name] = make_customer(by=max, first_name=name, last_name="", email=f"{name.lower()}@example.com", **fields)
        return made[name]

    keep(add("Ana", reference="R-7", currency="EUR"))
    keep(add("Bo", did="did:example:bo", kind="company", company_name="Bo Ltd"), gateway="elsewhere", months=0)
    keep(add("Cy", company_name="Cy Ltd"), kind="bank_account", account_number_last4="6789")
    keep(add("Di"), months=-1)
    keep(add("Ed"), status="archived")
    bind(add("Flo", reference="R-7"))
    use(add("Gus"))
    use(add("Hal"), released_at=timezone.now())
    make_address(add("Ida"), by=max, country="BR")
    late = make_open_statement(add("Jo"))
    BillingStatement.objects.filter(pk=late.pk).update(due_at=timezone.now() - timedelta(days=1))
    both = add("Kim", reference="R-7", did="did:example:kim")
    keep(both), keep(both, gateway="elsewhere", kind="checkout", checkout_email="k@example.com", checkout_holder="Kim")
    bind(both)
    add("Lou", archived=True)
    keep(made["Lou"])
    return made


WORDS = {  # a filter, and by hand whom it leaves
    "status=all": lambda c: True,
    "status=archived": lambda c: c.status == "archived",
    "delinquent=yes": lambda c: any(s.overdue for s in c.statements.all()),
    "delinquent=no": lambda c: not any(s.overdue for s in c.statements.all()),
    "gateway=sandbox": lambda c: c.methods.filter(gateway="sandbox", status="active").exists(),
    "method=card": lambda c: c.methods.filter(type="card", status="active").exists(),
    "method=checkout": lambda c: c.methods.filter(type="checkout", status="active").exists(),
    "card=expired": lambda c: any(m.badge == "Expired" for m in c.methods.all()),
    "card=expiring": lambda c: any(m.badge == "Expires soon" for m in c.methods.all()),
    "has_coupon=yes": lambda c: c.coupons.exists() or c.redemptions.filter(released_at=None).exists(),
    "has_coupon=no": lambda c: not c.coupons.exists() and not c.redemptions.filter(released_at=None).exists(),
    "reference=R-7": lambda c: c.reference == "R-7",
    "company_name=Cy Ltd": lambda c: c.company_name == "Cy Ltd",
    "did=did:example:kim": lambda c: c.did == "did:example:kim",
    "country=BR": lambda c: c.country == "BR",
    "kind=company": lambda c: c.kind == "company",
    "currency=EUR": lambda c: c.currency == "EUR",
    "created=today": lambda c: True,
    "created=yesterday": lambda c: False,
}
SOME = [q for q in WORDS if q.split("=")[0] in ("gateway", "method", "card", "has_coupon", "reference", "delinquent", "did")]


def by_hand(*queries):
    active = [] if any(q.startswith("status=") for q in queries) else [lambda c: c.status == "active"]
    return {c.pk for c in Customer.objects.all() if all(holds(c) for holds in [*active, *(WORDS[q] for q in queries)])}


def found(client, *queries):
    query = "&".join(queries).replace(" ", "+")
    return {row.pk for row in client.get(f"/customers/?{query}").context["page"].rows}


def test_each_filter_alone_leaves_what_its_words_say(everyone, as_max):
    for query in WORDS:
        assert found(as_max, query) == by_hand(query), query
    assert all(by_hand(query) for query in WORDS if query != "created=yesterday")


def test_any_two_filters_together_leave_whom_both_leave(everyone, as_max):
    pairs = [pair for pair in combinations(SOME, 2) if pair[0].split("=")[0] != pair[1].split("=")[0]]
    for pair in [*pairs, ("status=all", "method=card"), ("country=BR", "has_coupon=no"), ("kind=company", "card=expiring")]:
        assert found(as_max, *pair) == by_hand(*pair), pair


def test_a_card_expires_soon_exactly_when_its_badge_says_so(max):
    customer = make_customer(by=max)
    made = [keep(customer, months=n) for n in range(-3, 5)]

    assert set(PaymentMethod.objects.expiring()) == {m for m in made if m.badge == "Expires soon"}
    assert set(PaymentMethod.objects.expired()) == {m for m in made if m.badge == "Expired"}


def test_methods_and_coupons_of_the_other_mode_do_not_count(everyone, as_max, max):
    live = make_customer(by=max, livemode=True, first_name="Live")
    keep(live)
    as_max.post("/mode/", {"mode": "live"})

    assert found(as_max, "gateway=sandbox") == {live.pk}
    assert found(as_max, "has_coupon=yes") == set()


def test_a_filter_in_force_is_a_chip_in_words_that_takes_it_off(everyone, as_max):
    page = as_max.get("/customers/?gateway=sandbox&has_coupon=yes&card=expiring&method=card")

    assert [(chip["label"], chip["value"]) for chip in page.context["chips"]] == [
        ("Gateway", "Sandbox"),
        ("Payment method", "Card"),
        ("Card on file", "Expires soon"),
        ("Coupon", "Made for them or used"),
    ]
    assert all("gateway" not in chip["remove"] for chip in page.context["chips"] if chip["label"].startswith("Gateway"))
    assert "Clear" in page.text


def test_the_export_holds_whom_the_list_holds(everyone, as_max):
    for query in (
        "gateway=elsewhere",
        "method=card",
        "has_coupon=yes",
        "card=expired",
        "did=did:example:bo",
        "company_name=Cy+Ltd",
    ):
        file = b"".join(as_max.get(f"/customers/?{query}&format=csv&columns=id").streaming_content).decode("utf-8-sig")
        assert set(file.split("\r\n")[1:-1]) == found(as_max, query), query


def test_a_value_that_makes_no_sense_filters_nothing_and_is_told(everyone, as_max):
    for query in ("gateway=nowhere", "method=cheque", "card=lost", "has_coupon=maybe"):
        page = as_max.get(f"/customers/?{query}")
        assert len(page.context["page"].rows) == 11, query
        assert "The list is shown without this filter" in page.text


def test_every_filter_of_a_stored_method_names_the_gateways_there_are(everyone, as_max):
    menu = as_max.get("/customers/").text.partition('name="gateway"')[2].partition("</select>")[0]

    assert re.findall(r'value="(\w+)"', menu) == ["sandbox"]
    assert {"gateway", "method", "card", "has_coupon"} <= set(CustomerFilter.base_filters)


def test_the_export_tells_what_a_customer_paid_owes_and_has(as_max, max):
    """Spec 3.2: archived, balance, delinquent, what was collected and how often, and the default method."""
    from billing.domain.credit import adjust_credit
    from billing.domain.payments import record_payment
    from billing.tests.factories import make_method

    customer, other = make_customer(by=max, email="a@example.com"), make_customer(by=max, email="b@example.com", archived=True)
    record_payment(customer, amount=1550, currency=customer.currency, by=max)
    record_payment(customer, amount=900, currency="JPY", by=max)
    adjust_credit(customer, amount=7000, currency=customer.currency, reason="Goodwill", by=max)
    method = make_method(customer)

    names = "id,archived,delinquent,balance,total_collected_amount,successful_transactions,default_source"
    answer = as_max.get(f"/customers/?format=csv&status=all&columns={names}")
    text = b"".join(answer).decode("utf-8-sig")

    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(text))}
    assert list(rows[customer.pk].values())[1:] == ["false", "false", "70.00", "15.50", "1", method.pk]
    assert list(rows[other.pk].values())[1:] == ["true", "false", "0.00", "0.00", "0", ""]
