"""Pages about credit: what a customer has, and what a statement takes of it."""

from django.urls import reverse
from django.views.generic import TemplateView

from billing.domain import credit
from billing.models import BalanceEntry
from billing.statement_forms import AdjustForm, ApplyCreditForm
from billing.views.records import OfCustomer
from billing.views.statements import StatementMixin
from dashboard.forms import KitForm
from dashboard.money import CURRENCIES, Money
from dashboard.views import ActionView, FormView, StaffMixin

SHOWN = 200  # entries on the page, newest first


class StatementApplyCredit(StatementMixin, ActionView):
    """Says what the customer has and what remains afterwards."""

    permission = "billing.apply_credit"
    title = submit = "Apply credit"

    @property
    def has(self):
        return credit.balance(self.object.customer, self.object.currency)

    @property
    def most(self):
        return Money(min(self.has.minor, self.object.amount_remaining), self.object.currency)

    def get_form(self, data=None):
        return ApplyCreditForm(data, initial={"amount": self.most}, most=self.most) if self.most else KitForm(data)

    def get_consequence(self):
        customer, remaining = self.object.customer, self.object.amount_remaining_money
        if not self.has:
            return f"{customer} has no credit in {self.object.currency}, so there is nothing to apply."
        return (
            f"{customer} has {self.has} of credit, and {remaining} of this statement remains. "
            f"With {self.most} applied, {remaining - self.most} remains to be paid. No money moves."
        )

    def act(self, data):
        amount = data.get("amount") or self.most  # without credit there is no field, and the domain says why not
        done = credit.apply_credit(self.object, by=self.request.user, amount=amount.minor)
        rest = f"{done.amount_remaining_money} remains to be paid." if done.amount_remaining else "Nothing remains to be paid."
        return f"{amount} of credit is applied. {rest}"


class Balance(OfCustomer, StaffMixin, TemplateView):
    """The ledger: every change of a customer's credit, and what they add up to."""

    permission = "billing.view_statement"
    template_name = "billing/balance.html"
    title = "Credit balance"

    def get_context_data(self, **kwargs):
        entries = ledger(self.customer).select_related("statement", "payment", "refund__payment", "created_by")
        return super().get_context_data(balances=credit.balances(self.customer), entries=entries[:SHOWN], shown=SHOWN, **kwargs)


def ledger(customer):
    """A customer's balance entries, newest first."""
    return BalanceEntry.objects.filter(customer=customer).order_by("-pk")


class BalanceAdjust(OfCustomer, FormView):
    """Give or take credit by hand, with a reason."""

    permission = "billing.adjust_credit"
    template_name = "billing/balance_adjust.html"
    title = submit = "Adjust balance"

    def get_form(self, data=None):
        own, seen = self.customer.currency, credit.newest_entry(self.customer)
        return AdjustForm(data, initial={"seen": seen}, currencies=[own, *sorted(set(CURRENCIES) - {own})])

    def act(self, data):
        money = data["amount"]
        minor = money.minor if data["way"] == "give" else -money.minor
        how = {"reason": data["reason"], "by": self.request.user, "seen": data["seen"]}
        credit.adjust_credit(self.customer, amount=minor, currency=money.currency, **how)
        return f"{self.customer} has {credit.balance(self.customer, money.currency)} of credit now."

    def get_success_url(self):
        return reverse("customer_billing:balance", args=[self.customer.pk])
