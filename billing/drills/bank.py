"""The drills' own bank: a gateway whose books are files, so that no rollback or kill of ours can reach them.

What has a key happens once: the file of a key is made whole and only if it is not there yet.
"""

import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from billing.gateways.base import (
    Capabilities,
    ChargeStatus,
    Kind,
    MethodSummary,
    PaymentResult,
    RefundResult,
    RefundStatus,
    Rejected,
)
from dashboard.money import LARGEST

SLUG = "drill"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


class FileBank:
    """Charges and refunds as files of `folder`, one for each key."""

    slug = SLUG
    capabilities = Capabilities(
        currencies=frozenset({"USD"}),
        method_types=("card",),
        limits={"USD": (1, LARGEST)},
        livemode=False,
        off_session=True,
    )
    folder = Path(os.devnull)  # begin() gives it a real one

    @classmethod
    def begin(cls):
        """Open empty books. Returns the folder; whoever began removes it."""
        cls.folder = Path(tempfile.mkdtemp(prefix="drill-bank-"))
        return cls.folder

    def charge(self, request, *, key):
        return _payment(self._once("charge", key, asdict(request)))

    def refund(self, request, *, key):
        return _refund(self._once("refund", key, asdict(request)))

    def fetch(self, kind, remote_id):
        entry = next((e for e in self.entries() if e["id"] == remote_id), None)
        if entry is None:
            raise Rejected("The bank knows nothing of this.")
        return _payment(entry) if kind == Kind.PAYMENT else _refund(entry)

    @classmethod
    def entries(cls, operation=None):
        """Everything the bank did, as dicts."""
        found = [json.loads(p.read_text()) for p in sorted(cls.folder.glob("*.json"))]
        return [e for e in found if operation in (None, e["operation"])]

    def _once(self, operation, key, body):
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        path = self.folder / f"{name}.json"
        draft = self.folder / f"{name}.{os.getpid()}"
        draft.write_text(json.dumps({"id": f"{operation}_{name}", "operation": operation, "body": body}))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        draft.unlink()
        entry = json.loads(path.read_text())
        if (entry["operation"], entry["body"]) != (operation, body):
            raise Rejected("This key was used before for something else.")
        return entry


def _payment(entry):
    body = entry["body"]
    method = MethodSummary("card", "visa", "4242")
    return PaymentResult(
        entry["id"], ChargeStatus.SUCCEEDED, body["amount_minor"], body["currency"], method, WHEN, reference=body["reference"]
    )


def _refund(entry):
    body = entry["body"]
    return RefundResult(
        entry["id"],
        RefundStatus.SUCCEEDED,
        body["amount_minor"],
        body["currency"],
        WHEN,
        payment=body["payment"],
        reference=body["reference"],
    )
