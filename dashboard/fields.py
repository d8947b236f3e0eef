"""Model fields and lookups both apps use."""

from django.db import models


class ByteOrderedField(models.CharField):
    """Text compared byte by byte on both databases: the same order everywhere, and one index serves
    equality, sorting, keyset paging and prefix search. For codes, ids, e-mail and folded names."""

    def db_type(self, connection):
        """The type's full name: by its short one Django knows text that needs a second index for LIKE, which byte
        order does not. Foreign keys to such a field take the type from here, and so have one index too."""
        found = super().db_type(connection)
        return found.replace("varchar", "character varying", 1) if found and connection.vendor == "postgresql" else found

    def db_parameters(self, connection):
        found = super().db_parameters(connection)
        return found | {"collation": "C"} if connection.vendor == "postgresql" else found


@models.CharField.register_lookup
class AnyOf(models.lookups.In):
    """`name__any_of=texts`: `in` for thousands of them, which PostgreSQL gets as one array instead of as many parameters."""

    lookup_name = "any_of"

    def as_postgresql(self, compiler, connection):
        column, params = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, list(self.rhs)]
