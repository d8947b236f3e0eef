"""Staff ask a gateway again about something nobody knows the outcome of."""

from billing.domain import settle
from dashboard import events
from dashboard.states import DomainError


def check_attempt(attempt, *, by):
    """Find out where an open attempt stands, bring our records there and note who asked. The attempt is changed in place.

    Calls the gateway: not to be called inside a transaction. Raises DomainError for one that is settled already.
    """
    if not attempt.is_open:
        raise DomainError(f"This was settled already: {attempt.get_state_display().lower()}. Reload the page.")
    settle.settle_attempt(attempt)
    attempt.refresh_from_db()
    events.record("attempt.checked", attempt, by=by, state=attempt.state, what=attempt.kind, target=attempt.target_id)
    return attempt
