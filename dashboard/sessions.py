"""Where sessions are kept: rows that also say whose they are, so that they can be listed and ended."""

from datetime import UTC, datetime

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

SINCE, SEEN, ADDRESS, AGENT = "since", "seen", "address", "agent"  # Unix seconds twice, and where from


class SessionStore(DatabaseStore):
    """Django's own, writing dashboard.Session."""

    @classmethod
    def get_model_class(cls):
        from dashboard.models import Session

        return Session

    def create_model_instance(self, data):
        session = super().create_model_instance(data)
        session.user_id = data.get(SESSION_KEY)
        describe(session, data)
        return session


def describe(session, data):
    """Put into the row's columns what the session's data says. Before the first request after a sign-in it says little."""
    session.started_at, session.seen_at = _moment(data.get(SINCE)), _moment(data.get(SEEN))
    session.address, session.agent = data.get(ADDRESS, ""), data.get(AGENT, "")


def sessions_of(request):
    """Where somebody is signed in, the newest first; this session as this request knows it, before it is written."""
    found = list(request.user.sessions.alive())
    for session in found:
        if session.pk == request.session.session_key:
            describe(session, request.session)
    return found


def _moment(seconds):
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
