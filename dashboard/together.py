"""Several small querysets answered in one round trip, for pages made of many sections.

`fetch_together(payments=…, statements=…)` runs one SELECT whose columns are JSON arrays, one for each queryset, with
its own ORDER BY and LIMIT. The rows then pass through Django's own machinery: deferred columns, annotations,
`select_related` and `values()` mean what they always mean, and an instance equals the one a query of its own gives.
An ordinary query costs its statement and, mostly, Python around it; ten sections would pay that ten times.
"""

import json
from datetime import UTC, date, datetime
from decimal import Decimal

from django.core.exceptions import EmptyResultSet
from django.db import connections

MOST_ARGUMENTS = 50  # of a JSON array made in SQL: both databases limit how many a function takes
WORDS = {"postgresql": ("json_agg", "json_build_array", "::text"), "sqlite": ("json_group_array", "json_array", "")}


class CountOf:
    """How many rows a queryset has, counted up to `most`: among the parts of `fetch_together` it gives a number."""

    def __init__(self, queryset, most):
        self.queryset, self.most = queryset, most


def fetch_together(**parts):
    """{name: rows} of {name: queryset}, a number for a CountOf; one query for all of them.

    Every queryset must be sliced: what is shown together is small, and a LIMIT keeps each part's order.
    Raises ValueError for one that is not, and TypeError for a column JSON cannot carry exactly.
    """
    asked = {name: _Count(part) if isinstance(part, CountOf) else _Rows(part) for name, part in parts.items()}
    found = dict.fromkeys(asked, None)
    running = {name: part for name, part in asked.items() if part.sql}
    if running:
        connection = next(iter(running.values())).connection
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT " + ", ".join(f"({part.sql})" for part in running.values()),
                [value for part in running.values() for value in part.params],
            )
            found |= zip(running, cursor.fetchone(), strict=True)
    return {name: part.read(found[name]) for name, part in asked.items()}


class _Part:
    """A queryset as SQL with a name for each column; `sql` is empty where Django knows that nothing can match."""

    def __init__(self, queryset):
        self.queryset = queryset.all()  # a copy: its compiler is put in below
        self.compiler = self.queryset.query.get_compiler(using=queryset.db)
        self.connection = connections[queryset.db]
        try:
            inner, self.params = self.compiler.as_sql(with_col_aliases=True)
            self.sql = self.around(inner)
        except EmptyResultSet:
            self.sql, self.params = "", ()


class _Count(_Part):
    def __init__(self, part):
        super().__init__(part.queryset.order_by().values("pk")[: part.most])

    def around(self, inner):
        return f"SELECT count(*) FROM ({inner}) c"  # noqa: S608  compiled by Django; values stay parameters

    def read(self, found):
        return found or 0


class _Rows(_Part):
    def __init__(self, queryset):
        if queryset.query.high_mark is None:
            raise ValueError("Slice each queryset that is fetched together: say how many rows it may have.")
        super().__init__(queryset)

    def around(self, inner):
        gather, array, cast = WORDS[self.connection.vendor]
        readers = [_reader(column.output_field, self.connection.vendor) for column, _, _ in self.compiler.select]
        self.read_value = [read for _, read in readers]
        names = [self.connection.ops.quote_name(alias) for _, _, alias in self.compiler.select]
        columns = [shape.format(f"c.{name}") for (shape, _), name in zip(readers, names, strict=True)]
        groups = [columns[n : n + MOST_ARGUMENTS] for n in range(0, len(columns), MOST_ARGUMENTS)]
        row = ", ".join(f"{array}({', '.join(group)})" for group in groups)
        # S608: names the database gave or Django made; values stay parameters
        return f"SELECT {gather}({array}({row})){cast} FROM ({inner}) c"  # noqa: S608

    def read(self, found):
        """The queryset's rows, as iterating over it gives them, from the JSON of one cell."""
        if not self.sql:
            return []
        rows = [self._row(groups) for groups in json.loads(found or "[]")]
        self.compiler.execute_sql = lambda *args, **kwargs: [rows]
        self.queryset.query.get_compiler = lambda *args, **kwargs: self.compiler
        return list(self.queryset)

    def _row(self, groups):
        """The values of a row as the database's driver would have given them."""
        values = groups[0] if len(groups) == 1 else [value for group in groups for value in group]
        pairs = zip(self.read_value, values, strict=True)
        return [value if read is None or value is None else read(value) for read, value in pairs]


def _moment(text):
    return datetime.fromisoformat(text).astimezone(UTC)


AS_IT_IS, AS_TEXT = "{}", "CAST({} AS text)"
ALL_DIGITS = "CASE WHEN {0} IS NOT NULL THEN printf('%%!.17g', {0}) END"  # SQLite's JSON keeps 15
# How a column goes into JSON, and what the driver would have made of it. Anything JSON has no exact word for goes as text.
READERS = {
    "postgresql": {
        **dict.fromkeys(("CharField", "TextField", "BooleanField"), (AS_IT_IS, None)),
        **dict.fromkeys(("SmallIntegerField", "IntegerField", "BigIntegerField"), (AS_IT_IS, None)),
        **dict.fromkeys(("PositiveSmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField"), (AS_IT_IS, None)),
        "JSONField": (AS_TEXT, None),
        "DecimalField": (AS_TEXT, Decimal),
        "FloatField": (AS_IT_IS, float),
        "DateField": (AS_IT_IS, date.fromisoformat),
        "DateTimeField": (AS_IT_IS, _moment),
    },
    "sqlite": {  # stores times and JSON as text, and Django reads them from text
        **dict.fromkeys(("CharField", "TextField", "BooleanField", "JSONField", "DateField", "DateTimeField"), (AS_IT_IS, None)),
        **dict.fromkeys(("SmallIntegerField", "IntegerField", "BigIntegerField"), (AS_IT_IS, None)),
        **dict.fromkeys(("PositiveSmallIntegerField", "PositiveIntegerField", "PositiveBigIntegerField"), (AS_IT_IS, None)),
        **dict.fromkeys(("DecimalField", "FloatField"), (ALL_DIGITS, float)),
    },
}


def _reader(field, vendor):
    while hasattr(field, "target_field"):  # a foreign key holds what it points to
        field = field.target_field
    kind = field.get_internal_type()
    if kind not in READERS[vendor]:
        raise TypeError(f"{kind} cannot be fetched together.")
    return READERS[vendor][kind]
