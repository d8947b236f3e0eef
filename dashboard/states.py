"""The only state machine, and the refusal staff can act on."""

from django.db import transaction

from dashboard import events


class DomainError(Exception):
    """A rule says no. Its text is a sentence for the person who asked; views show it as it is."""


class Duplicate(DomainError):
    """Another record has this value already. `field` names it."""

    def __init__(self, sentence, field):
        super().__init__(sentence)
        self.field = field


@transaction.atomic
def move(obj, to, *, by, why="", **fields):
    """Take obj to another status once and record it; refuse any move its model does not list.

    Compare-and-set: of two people moving one thing, the second gets a DomainError on both databases.
    """
    if to not in obj.MOVES[obj.status]:
        noun, now = obj._meta.verbose_name, obj.get_status_display().lower()
        raise DomainError(f"This {noun} is {now} and cannot become {to.label.lower()}.")
    was, fields = obj.status, {"status": to, **fields}
    if not type(obj).objects.filter(pk=obj.pk, status=was).update(**fields):
        raise DomainError("Someone else changed this just now. Reload and try again.")
    for name, value in fields.items():
        setattr(obj, name, value)
    noun = obj._meta.verbose_name.replace(" ", "_")
    events.record(f"{noun}.{to}", obj, by=by, changes={"status": [was, to]}, why=why)
    return obj
