"""Comments: authored, edited with a trace, pinned as warnings, hidden when deleted."""

import pytest

from customers import domain
from customers.models import Comment
from customers.tests.factories import make_comment, make_customer
from dashboard.models import Event
from dashboard.states import DomainError


@pytest.fixture
def ana(alice):
    return make_customer(by=alice)


def url(comment, action):
    return f"/customers/{comment.customer_id}/comments/{comment.pk}/{action}/"


def test_a_colleague_sees_who_said_it(as_sue, as_max, sue, ana):
    as_sue.post(f"/customers/{ana.pk}/comments/", {"body": "Called about <b>invoice</b>."})

    comment = Comment.objects.get()
    page = as_max.get(ana.get_absolute_url()).text
    assert (comment.author, comment.livemode, comment.pinned) == (sue, False, False)
    assert "Called about &lt;b&gt;invoice&lt;/b&gt;." in page
    assert "Sue" in page
    assert Event.objects.latest().type == "comment.created"


@pytest.mark.parametrize("body", ["", "   ", "x" * 2001, "a\0b", "card 4242 4242 4242 4242"])
def test_an_empty_too_long_or_unsafe_comment_is_refused(as_sue, ana, body):
    assert as_sue.post(f"/customers/{ana.pk}/comments/", {"body": body}).status_code == 422
    assert not Comment.objects.exists()


def test_an_edit_leaves_a_trace_of_what_was_said(as_sue, sue, ana):
    comment = make_comment(ana, by=sue, body="Pays late")

    as_sue.post(url(comment, "edit"), {"body": "Pays on time"})

    comment.refresh_from_db()
    assert comment.body == "Pays on time"
    assert comment.edited_at
    event = Event.objects.latest()
    assert (event.type, event.changes) == ("comment.edited", {"body": ["Pays late", "Pays on time"]})
    assert "edited" in as_sue.get(ana.get_absolute_url()).text


def test_nobody_edits_what_somebody_else_said(as_max, as_alice, sue, ana):
    comment = make_comment(ana, by=sue, body="Mine")
    for client in (as_max, as_alice):
        page = client.post(url(comment, "edit"), {"body": "Changed"})
        assert page.status_code == 422
        assert "Only Sue can change this comment" in page.text

    comment.refresh_from_db()
    assert comment.body == "Mine"


def test_one_deletes_ones_own_an_admin_anybodys_and_others_none(as_sue, as_max, as_alice, sue, max, ana):
    own, other = make_comment(ana, by=sue, body="Sue was here"), make_comment(ana, by=max, body="Max was here")
    assert as_sue.post(url(own, "delete")).status_code == 302
    assert as_sue.post(url(other, "delete")).status_code == 422
    assert as_alice.post(url(other, "delete")).status_code == 302

    page = as_max.get(ana.get_absolute_url()).text
    assert "was here" not in page
    assert page.count("This comment was deleted") == 2
    assert Comment.objects.filter(deleted_at__isnull=False).count() == 2
    assert Event.objects.filter(type="comment.deleted").count() == 2


def test_a_deleted_comment_can_be_changed_no_more(as_sue, sue, ana):
    comment = make_comment(ana, by=sue)
    domain.delete_comment(comment, by=sue)

    for action in ("edit", "delete", "pin", "unpin"):
        assert as_sue.post(url(comment, action), {"body": "x"}).status_code == 404
    for act in (lambda: domain.edit_comment(comment, body="x", by=sue), lambda: domain.pin_comment(comment, pinned=True, by=sue)):
        with pytest.raises(DomainError, match="was deleted"):
            act()


def test_a_pinned_comment_follows_its_customer_until_unpinned(as_sue, as_max, sue, ana):
    comment = make_comment(ana, by=sue, body="Ask for prepayment")
    as_max.post(url(comment, "pin"))
    pages = [ana.get_absolute_url(), f"{ana.get_absolute_url()}panel/"]

    assert [as_sue.get(p).context["warnings"][0].body for p in pages] == ["Ask for prepayment"] * 2

    as_max.post(url(comment, "unpin"))
    assert [len(as_sue.get(p).context["warnings"]) for p in pages] == [0, 0]
    assert [e.type for e in Event.objects.filter(object_id=comment.pk).order_by("id")][1:] == [
        "comment.pinned",
        "comment.unpinned",
    ]


def test_a_deleted_warning_warns_no_more(as_sue, sue, ana):
    comment = make_comment(ana, by=sue, pinned=True)

    as_sue.post(url(comment, "delete"))

    comment.refresh_from_db()
    assert comment.pinned is False
    assert len(as_sue.get(ana.get_absolute_url()).context["warnings"]) == 0


def test_reporting_reads_and_says_nothing(as_rita, sue, ana):
    comment = make_comment(ana, by=sue, body="Visible to the team")

    page = as_rita.get(ana.get_absolute_url()).text
    assert "Visible to the team" in page
    assert f"{comment.pk}/edit/" not in page
    assert as_rita.post(f"/customers/{ana.pk}/comments/", {"body": "x"}).status_code == 403


def test_a_comment_is_reached_through_its_own_customer_only(as_sue, sue, ana, alice):
    comment, other = make_comment(ana, by=sue), make_customer(by=alice)

    assert as_sue.post(f"/customers/{other.pk}/comments/{comment.pk}/edit/", {"body": "x"}).status_code == 404


def test_newest_comes_first(as_sue, sue, ana):
    for n in range(3):
        make_comment(ana, by=sue, body=f"note {n}")

    assert [c.body for c in as_sue.get(ana.get_absolute_url()).context["comments"]] == ["note 2", "note 1", "note 0"]
