"""The sorts of a list, as its page offers them."""

from typing import Literal

from dashboard.api.fields import optional
from dashboard.paging import Order


def sorts_of(table_class):
    """{sort=: Order} of a page's table, both ways each."""
    sorts = table_class.sorts()
    return {n: Order(c) for n, c in sorts.items()} | {f"-{n}": Order(c, descending=True) for n, c in sorts.items()}


def sort_of(table_class):
    """The type of the parameter."""
    return optional(Literal[tuple(sorts_of(table_class))])
