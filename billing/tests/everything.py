"""A customer with records of every kind, as many as one likes: for the customer's page, its counts and its plans.

Written to the tables directly: what these records mean is tested where they are made.
"""

from datetime import date, timedelta

from django.utils import timezone

from billing.models import (
    BalanceEntry,
    BillingStatement,
    Coupon,
    CouponRedemption,
    CustomerTotal,
    Payment,
    PaymentMethod,
    PaymentRequest,
    Subscription,
    TokenizationLink,
)

WAYS = ("statement", "request", "subscription")


def give_everything(customer, number, *, by=None, payments=None):
    """`number` records of each kind, and of payments as many as said."""
    methods = _save(PaymentMethod, [_method(customer, n, by) for n in range(number)])
    coupons = _save(Coupon, [_coupon(customer, n).derive() for n in range(number)])
    subscriptions = _save(Subscription, [_subscription(customer, n, methods[n], coupons[n]).derive() for n in range(number)])
    _save(TokenizationLink, [_link(customer, n, methods[n], by).derive().seal() for n in range(number)])
    requests = _save(PaymentRequest, [_request(customer, n, by).derive().seal() for n in range(number)])
    bills = [_statement(customer, n, number) for n in range(number)]
    bills += [_statement(customer, n, number, subscription=subscriptions[n % len(subscriptions)]) for n in range(number)]
    bills = _save(BillingStatement, [bill.derive([]).seal() for bill in bills])
    _save(CouponRedemption, [_use(customer, n, coupons[n], bills[n], requests[n], subscriptions[n]) for n in range(number)])
    _save(Payment, [_payment(customer, n).derive() for n in range(number if payments is None else payments)])
    _save(
        BalanceEntry, [BalanceEntry(customer=customer, livemode=False, currency="USD", amount=100, kind="adjustment", reason="x")]
    )
    CustomerTotal.objects.update_or_create(
        customer=customer, currency="USD", defaults={"collected": 5000, "successful_payments": 3, "credit_balance": 100}
    )


def _save(model, rows):
    return model.objects.bulk_create(rows, batch_size=500)


def _method(customer, n, by):
    given = {"customer": customer, "livemode": False, "gateway": "sandbox", "gateway_token": f"tok_{customer.pk}_{n}_{_mark()}"}
    when = {"expire_month": n % 12 + 1, "expire_year": timezone.localdate().year + n % 3}
    known = PaymentMethod.objects.filter(customer=customer, is_default=True).exists()
    card = {"type": "card", "card_scheme": "visa", "card_number_last4": f"{n % 10000:04}", "card_name": "Ana Cruz"}
    return PaymentMethod(is_default=not n and not known, created_by=by, **given, **card, **when)


def _coupon(customer, n):
    return Coupon(customer=customer, livemode=False, code=f"C{_mark()}{n}", percent_off=10, name="Ten off")


def _subscription(customer, n, method, coupon):
    day = timezone.localdate()
    given = {"customer": customer, "livemode": False, "name": f"Plan {n}", "amount": 1000, "currency": "USD", "started_on": day}
    return Subscription(method=method, coupon=coupon, next_invoice_on=day + timedelta(days=20), **given)


def _link(customer, n, method, by):
    given = {"customer": customer, "livemode": False, "gateway": "sandbox", "currency": "USD", "customer_name": customer.name}
    return TokenizationLink(method=method, status="done", created_by=by, expires_at=timezone.now(), description=f"{n}", **given)


def _request(customer, n, by):
    given = {"customer": customer, "livemode": False, "amount": 1000 + n, "currency": "USD", "country": "US"}
    about = {"customer_name": customer.name, "description": f"Order {n}", "created_by": by}
    return PaymentRequest(expires_at=timezone.now() + timedelta(days=14), method_types=["card"], **given, **about)


def _statement(customer, n, number, subscription=None):
    """Open ones, each second past due, each sixth given up on; two currencies."""
    due = timezone.now() + timedelta(days=-n - 2 if n % 2 else n + 2)
    given = {"customer": customer, "livemode": False, "currency": "USD" if n % 3 else "EUR", "number": f"T-{_mark()}-{n}"}
    sums = dict.fromkeys(("subtotal", "total", "amount_remaining"), 4850)
    status = "uncollectible" if n % 6 == 1 else "open"
    start = date(2020, 1, 1) + timedelta(days=n + number * BillingStatement.objects.filter(subscription=subscription).count())
    period = (
        {"subscription": subscription, "period_start": start, "period_end": start + timedelta(days=1)} if subscription else {}
    )
    frozen = {"bill_to_name": customer.name, "finalized_at": timezone.now(), "due_at": due}
    return BillingStatement(status=status, **given, **sums, **period, **frozen)


def _use(customer, n, coupon, bill, request, subscription):
    on = {"statement": bill, "request": request, "subscription": subscription}
    way = WAYS[n % 3]
    return CouponRedemption(
        customer=customer, livemode=False, coupon=coupon, currency="USD", amount_discounted=100, **{way: on[way]}
    )


def _payment(customer, n):
    products = [p for p in Payment.Product if p != Payment.Product.STATEMENT]
    given = {"customer": customer, "livemode": False, "amount": 4850, "currency": "USD", "status": "paid", "method_type": "card"}
    at = timezone.now() - timedelta(minutes=n)
    return Payment(product_type=products[n % len(products)], paid_at=at, created_at=at, description=f"Payment {n}", **given)


def _mark():
    from dashboard.ids import new_hex

    return new_hex()
