"""Customers for tests, made by the product's own functions: `make_customer(email="a@example.com")`."""

from customers import domain


def make_customer(*, by=None, livemode=False, currency="USD", archived=False, **fields):
    """A customer named Ana Cruz unless a name is given; anything else stays empty."""
    if not {"first_name", "last_name", "company_name"} & fields.keys():
        fields |= {"first_name": "Ana", "last_name": "Cruz"}
    customer = domain.create_customer(by=by, livemode=livemode, currency=currency, **fields)
    return domain.archive_customer(customer, by=by) if archived else customer


def make_address(customer, *, by=None, **fields):
    """An address in Manila unless told otherwise."""
    where = {"line1": "1 Rizal Street", "city": "Manila", "postal_code": "1000", "country": "PH"}
    return domain.add_address(customer, by=by, **where | fields)


def make_comment(customer, *, by, body="Pays late in December.", **fields):
    return domain.add_comment(customer, body=body, by=by, **fields)
