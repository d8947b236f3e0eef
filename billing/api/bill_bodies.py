"""What the API lets one say about bills: kinds of values, and the bodies of billing statements and their lines.

What decides how much money moves, or when, is never dropped: malformed it is an error, though it may be left out.
"""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from billing.api.payers import PayerBody
from billing.domain.sending import MESSAGE
from billing.domain.statements import LARGEST_QUANTITY, MOST_LINES, end_of_day, usual_due_date
from dashboard.api.fields import Body, Count, Currency, Email, Flag, Id, Metadata, Moment, Text, optional, stated
from dashboard.money import LARGEST


# --- kinds of values ---------------------------------------------------------------------------------------
def _day(value):
    """A day whose midnight there is in every zone."""
    try:
        day = date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        day = None
    if day is None:
        raise ValueError("must be a day such as 2026-11-30")
    return _refuse_far_off(day)


def _refuse_far_off(moment):
    if not 1900 <= moment.year <= 9000:
        raise ValueError("must be in a year from 1900 to 9000")
    return moment


def _end_of_day(value):
    """Of a day alone, its end where the dashboard is."""
    return end_of_day(_day(value)).isoformat() if isinstance(value, str) and len(value) == 10 else value


def _descriptor(value):
    if isinstance(value, str) and set(value) & set("<>\\'\"*"):
        raise ValueError("must be without < > \\ ' \" and *: banks refuse them")
    return value


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Due = Annotated[Moment, BeforeValidator(_end_of_day), AfterValidator(_refuse_far_off)]
Descriptor = Annotated[Text(22), BeforeValidator(_descriptor)]
Quantity = Count(1, LARGEST_QUANTITY)
Price = Count(0, LARGEST)  # minor units


# --- lines -------------------------------------------------------------------------------------------------
LINE = {"description": "Coffee beans, 5 kg", "quantity": 2, "unit_price": 2180}


class LineBody(Body):
    """What is billed, how many, and the price of one in minor units."""

    description: Text(500, 1)
    quantity: Quantity
    unit_price: Price

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": LINE})

    @property
    def line(self):
        return self.description, self.quantity, self.unit_price


class NewLine(LineBody):
    """A line to add below those a draft has."""

    billing_statement_id: Id("bstm")

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"example": {"billing_statement_id": "bstm_65f0c1d2a7b34e5f60718293"} | LINE}
    )


class LineFields(Body):
    """What may be changed of a line."""

    read_only = ("id", "object", "livemode", "billing_statement_id", "position", "amount", "currency")

    description: optional(Text(500, 1))
    quantity: stated(Quantity)
    unit_price: stated(Price)

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"quantity": 3}})


# --- billing statements ------------------------------------------------------------------------------------
NEW = {
    "customer_id": "cus_65f0c1d2a7b34e5f60718293",
    "currency": "USD",
    "due_at": "2026-12-15",
    "line_items": [LINE, {"description": "Delivery", "quantity": 1, "unit_price": 500}],
    "description": "Thank you for your order.",
    "merchant_reference_id": "2026-0815",
    "metadata": {"order": "2026-0815"},
}


class StatementFields(Body):
    """What may be set of a draft. `line_items` and `metadata` are set whole. What decides how much is billed, or to whom,
    is never disregarded: malformed it is an error."""

    read_only = (
        "id", "object", "livemode", "number", "status", "overdue", "subtotal", "discount_amount", "total", "credit_applied",
        "amount_paid", "amount_remaining", "url", "created_at", "updated_at", "finalized_at", "paid_at", "user_id",
        "billing_details_collection", "allowed_methods", "setup_future_usage", "merchant_name",
    )  # fmt: skip

    line_items: stated(Annotated[list[LineBody], Field(max_length=MOST_LINES)])
    currency: stated(Currency, description="The customer's own unless told.")
    due_at: optional(Due, description="A time, or a day, whose end is meant. In 14 days unless told.")
    description: optional(Text(500), clears="", description="Printed below the lines.")
    merchant_reference_id: optional(Text(255), clears="", description="Yours; the customer never sees it.")
    statement_descriptor: optional(Descriptor, clears="")
    coupon: stated(Text(64), description="Its code. It is used when the statement is finalised.")
    email: stated(Email, description="Where the statement goes; a new address becomes the customer's.")
    metadata: optional(Metadata, clears={})

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"due_at": "2026-12-31", "coupon": "AUTUMN10"}})

    def columns(self):
        """What came, as the domain takes it; lines, e-mail and coupon apart."""
        names = ("currency", "due_at", "description", "merchant_reference_id", "statement_descriptor", "metadata")
        given = self.given()
        return {n: given[n] for n in names if n in given and not (n == "currency" and given[n] is None)}

    @property
    def lines(self):
        """The lines as the domain takes them, or None where none came."""
        return None if self.line_items is None else [item.line for item in self.line_items]


class NewStatement(PayerBody, StatementFields):
    """A statement for a customer on your list (`customer_id`), or for one found by `email` and made if need be."""

    email: stated(Email, description="Where the statement goes. Without `customer_id`, whoever has it is meant.")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": NEW})

    def columns(self):
        """The same; due in the usual time unless something else is said."""
        return {"due_at": end_of_day(usual_due_date())} | super().columns()


class FinalizeBody(Body):
    apply_credit: stated(Flag, clears=False, description="Pay what the customer's credit covers.")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"apply_credit": True}})


class SendBody(Body):
    """To whom, and a few words that stand between the greeting and the amount."""

    to: stated(Email, description="The customer's address unless told.")
    message: optional(Text(MESSAGE), clears="")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"message": "Thank you for your order."}})

    def letter(self):
        """What came, as the domain takes it."""
        return {name: text or "" for name, text in self.given().items()}


class ReasonBody(Body):
    """Why, for your team: the customer never sees it."""

    reason: Text(500, 1)

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"reason": "Ordered twice."}})


class WhyBody(Body):
    """Why, for your team: the customer never sees it."""

    reason: optional(Text(500), clears="")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"reason": "The shop is closed."}})

    @property
    def why(self):
        return self.given().get("reason") or ""


class CreditBody(Body):
    amount: stated(Count(1, LARGEST), description="Minor units. Whatever the customer has and the statement needs unless told.")

    model_config = ConfigDict(extra="ignore", json_schema_extra={"example": {"amount": 1500}})


class PromiseBody(Body):
    """The day a customer promised to pay; null takes the promise back."""

    promised_on: Day | None
    note: optional(Text(200), clears="", description="Who said it, and how. Customers never see it.")

    model_config = ConfigDict(
        extra="ignore", json_schema_extra={"example": {"promised_on": "2026-12-10", "note": "By phone, Ms Cruz."}}
    )
