"""Contact data as roles without `dashboard.view_contact_data` see it: enough to tell two apart, not to use."""

from django.db.models import Case, F, Q, TextField, Value, When
from django.db.models.functions import Concat, Left, Right, StrIndex, Substr
from django.db.models.lookups import Exact, IsNull

HIDDEN = "•••"


def mask_email(email):
    """`luisg@embraer.com.br` becomes `l•••@embraer.com.br`."""
    name, at, domain = email.partition("@")
    return f"{name[:1]}{HIDDEN}{at}{domain}" if email else ""


def mask_phone(phone):
    """`+551239235555` becomes `•••55`."""
    return f"{HIDDEN}{phone[-2:]}" if phone else ""


def mask_text(text):
    return HIDDEN if text else ""


def masked(source, kind):
    """The same three as an expression of a column path or an expression, for exports."""
    value, hidden = F(source) if isinstance(source, str) else source, Value(HIDDEN)
    empty = (Q(**{source: ""}) | Q(**{f"{source}__isnull": True})) if isinstance(source, str) else _is_empty(value)
    shown = {
        "email": Concat(Left(value, 1), hidden, Substr(value, StrIndex(value, Value("@")))),
        "phone": Concat(hidden, Right(value, 2)),
    }.get(kind, hidden)
    return Case(When(empty, then=Value("")), default=shown, output_field=TextField())


def _is_empty(value):
    return Q(Exact(value, Value(""))) | Q(IsNull(value, True))
