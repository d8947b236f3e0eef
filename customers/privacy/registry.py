"""What is stored of a customer, where, and what becomes of each column when the customer is erased.

Every app says so for its own tables, in a module `personal`. Each text, JSON or address column of every table has a fate;
a test reads the models and fails for a column nobody decided about. Erasing, the report beforehand, the data pack and the
drill all go by this one list, in its order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

from django.apps import apps
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils.module_loading import module_has_submodule

ERASED = "Erased customer"  # the name of whoever has none any more


@dataclass(frozen=True)
class Removed:
    """Personal: replaced when the customer is erased. `value` is what stands there then, or a function of the row."""

    value: object = ""


@dataclass(frozen=True)
class Kept(Removed):
    """Personal, on a document the law wants kept: taken out of the row, into a KeptRecord, until its time is over."""


@dataclass(frozen=True)
class Derived:
    """Made of the other columns, and made again."""


@dataclass(frozen=True)
class Secret:
    """Opens something, or is of no meaning outside: in no data pack. Not personal: `why`."""

    why: str


@dataclass(frozen=True)
class Harmless:
    """Not personal, because of `why`: stays as it is."""

    why: str


def removed(*names, **values):
    """{column: fate} of personal columns: emptied, or set to a value."""
    return {name: Removed() for name in names} | {name: Removed(value) for name, value in values.items()}


def kept(*names, **values):
    """{column: fate} of the personal columns of a document."""
    return {name: Kept() for name in names} | {name: Kept(value) for name, value in values.items()}


def derived(*names):
    return {name: Derived() for name in names}


def secret(why, *names):
    return {name: Secret(why) for name in names}


def harmless(why, *names):
    return {name: Harmless(why) for name in names}


@dataclass(frozen=True)
class Holding:
    """One table, and what of a customer is in it.

    rows: those about a person (a function of a Person); None when the table holds nothing of any customer.
    words: what they are, for the report: "comments". No words: nothing a person would count.
    settle: (row, person), called for each row after its columns are replaced, to set those of `extra` and the derived ones.
    erase: (person) -> count of rows, instead of replacing columns.
    dated: (row) -> the moment of a document: from then on it is kept for RETENTION_YEARS.
    pack: the rows' name in the data pack; without one, left_out says why they are not in it.
    """

    model: str
    columns: dict = field(default_factory=dict)
    rows: Callable | None = None
    words: str = ""
    delete: bool = False
    settle: Callable | None = None
    extra: tuple = ()
    erase: Callable | None = None
    dated: Callable | None = None
    pack: str = ""
    left_out: str = ""

    @property
    def table(self):
        return apps.get_model(self.model)

    def of(self, kind):
        """{column: fate} of the columns of one kind of fate, its own kinds included."""
        return {name: fate for name, fate in self.columns.items() if isinstance(fate, kind)}


def nothing(model, why, *names):
    """A table that holds nothing of customers, with its columns."""
    return Holding(model, harmless(why, *names), left_out=why)


@dataclass(frozen=True)
class Obstacle:
    """Why a customer cannot be erased yet, and the page where that can be seen to."""

    sentence: str
    url: str


@dataclass(frozen=True)
class Person:
    """A customer, and how to recognise what is about them: by the IDs of their records, or by words nobody else has."""

    customer: object
    ids: frozenset
    words: frozenset  # e-mail addresses and phone numbers, lower case, that no other customer has

    @property
    def pk(self):
        return self.customer.pk


@cache
def modules():
    """The modules `personal` of the installed apps, in the order in which apps may import each other."""
    known = [app for app in apps.get_app_configs() if module_has_submodule(app.module, "personal")]
    return [import_module(f"{app.name}.personal") for app in known]


def holdings() -> list[Holding]:
    """All tables of all apps, in the order in which they are erased."""
    return [holding for module in modules() for holding in module.HOLDINGS]


def ask(question, *about) -> Iterator:
    """Everything the modules answer to a question that some of them know: a function of theirs giving several values."""
    for module in modules():
        if found := getattr(module, question, None):
            yield from found(*about)


def person(customer):
    """A customer as a Person; ask before anything is erased."""
    ids = frozenset(filter(None, ask("ids_of", customer)))
    words = frozenset(word.lower() for word in ask("words_of", customer) if len(word) > 5)
    return Person(customer, ids, words - _of_others(customer, words))


def _of_others(customer, words):
    """Words that another customer has as well: a family's address, a company's phone. What they find may be the other's."""
    others = type(customer).objects.filter(livemode=customer.livemode, erased_at=None).exclude(pk=customer.pk)
    found = others.filter(Q(email__in=words) | Q(phone__in=words)).values_list("email", "phone")
    return {word for pair in found for word in pair}


def naming(person, *columns):
    """A condition: one of the columns, as text, holds one of a person's words. Without words, none does."""
    found = Q(pk__in=())
    for column in columns:
        for word in person.words:
            found |= Q(**{f"{column}__icontains": word})
    return found


def as_text(queryset, **columns):
    """The rows with JSON columns as text too: as_text(rows, cells_text="cells")."""
    return queryset.alias(**{name: Cast(column, TextField()) for name, column in columns.items()})
