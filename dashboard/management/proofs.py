"""Everything that can be proved of a database: its files, the ledger, numbers, coupons, the audit chain."""

from billing.domain.ledger import ledger_errors
from billing.domain.numbers import number_errors
from dashboard.audit_check import Check
from dashboard.backups.databases import integrity_faults
from dashboard.health import unapplied


def faults(same_key=True):
    """A sentence for everything wrong with the default connection's database. Empty when all is well.

    same_key: whether it was written under this installation's SECRET_KEY; the audit chain can be proved only then.
    """
    if behind := unapplied():
        return [f"{len(behind)} migrations are not applied: start it once with ./run, then verify it again."]
    return integrity_faults() or [*ledger_errors(), *number_errors(), *(Check().faults() if same_key else [])]
