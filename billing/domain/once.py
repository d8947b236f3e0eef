"""One form makes one record, however often and however simultaneously it is sent."""

from django.db import IntegrityError

from dashboard.states import DomainError


def make_once(record, write, *, same, alike=None):
    """The record that this one's form made already, or what write() makes. A record without a form_key is always written.

    `same` names the columns in which the two must agree, alike(found) what else must; otherwise DomainError.
    """
    try:
        return made_before(record, same=same, alike=alike) or write()
    except IntegrityError:  # the same form, sent twice at the same moment
        if found := made_before(record, same=same, alike=alike):
            return found
        raise


def made_before(record, *, same, alike=None):
    """The record its form made already, or None. Raises DomainError when that one has other content."""
    found = record.form_key and type(record).objects.filter(form_key=record.form_key).first()
    if not found:
        return None
    if any(getattr(found, name) != getattr(record, name) for name in same) or (alike and not alike(found)):
        noun = record._meta.verbose_name
        raise DomainError(f"This form made the {noun} “{found}” already. Open a new form for another. No further money moved.")
    return found
