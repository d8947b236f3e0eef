"""The columns of the list of attempts."""

from django.urls import reverse
from django.utils.html import escape

from billing.models import Attempt
from billing.tables.cells import StateColumn, TargetColumn, action_link
from dashboard import tables


class KindColumn(tables.Column):
    def html(self, row):
        return escape(row.get_kind_display())


class AttemptTable(tables.Table):
    """What was set out to do at a gateway. Open ones can be asked about again."""

    target = TargetColumn(accessor="target_id", verbose_name="For")
    customer = tables.RelatedColumn(css="m3", verbose_name="Customer")
    kind = KindColumn(verbose_name="What")
    state = StateColumn(verbose_name="State")
    amount = tables.MoneyColumn(css="num strong m2", verbose_name="Amount")
    gateway = tables.Column(verbose_name="Gateway")
    tries = tables.Column(css="num", verbose_name="Tries")
    error = tables.Column(verbose_name="Last answer")
    created_at = tables.WhenColumn(sort="pk", css="tnum", verbose_name="Since")
    touched_at = tables.WhenColumn(css="tnum", verbose_name="Last looked at")
    remote_id = tables.IdColumn(verbose_name="Gateway reference")
    target_id = tables.IdColumn(verbose_name="For ID")
    id = tables.IdColumn(verbose_name="ID")

    class Meta:
        model = Attempt
        fields = ()
        order_by = "-created_at"

    caption = "Attempts at a gateway"
    always = ("target",)
    default = ("customer", "kind", "state", "amount", "tries", "error", "created_at")

    def __init__(self, rows, *, viewer, **kwargs):
        super().__init__(rows, viewer=viewer, **kwargs)
        self.may_check = viewer.has_perm("billing.check_attempt")

    def actions(self, row):
        if not self.may_check or not row.is_open:
            return '<td class="actions"></td>'
        return action_link(reverse("billing:attempt_check", args=[row.pk]), "Check now", "refresh-cw")
