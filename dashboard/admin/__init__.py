"""Django admin as the support desk's second look: records to read, accounts of the team to change.

Business records change through domain functions only, so here they are shown and lead to their page in the dashboard;
what may be done to many at once goes through the same functions, one by one. The same sign-in, the same table of
permissions and the same security headers stand before it.
"""

from dashboard.admin import records, team  # noqa: F401  they register the dashboard's own models
from dashboard.admin.actions import bulk
from dashboard.admin.base import CreatedFilter, ModeFilter, ReadOnlyAdmin, ReadOnlyInline, SupportAdmin, site

__all__ = ["CreatedFilter", "ModeFilter", "ReadOnlyAdmin", "ReadOnlyInline", "SupportAdmin", "bulk", "site"]
