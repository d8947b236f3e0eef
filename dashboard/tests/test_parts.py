"""Parts of pages that are rendered once: for the same values, and never for others."""

import pytest
from django.template import engines
from django.utils.safestring import mark_safe

from dashboard.templatetags import ui

TABS = '{% kept "dashboard/_tabs.html" tabs=tabs %}'


@pytest.fixture(autouse=True)
def rendered(monkeypatch):
    """Nothing is kept yet; gives the templates rendered since, one by one."""
    found, render = [], ui.render_to_string
    monkeypatch.setattr(ui, "parts", ui.Kept())
    monkeypatch.setattr(ui, "render_to_string", lambda name, values: found.append(name) or render(name, values))
    return found


def tab(**changes):
    return {"url": "/x/", "label": "All", "count": "3", "current": False} | changes


def show(template=TABS, **context):
    return engines["django"].from_string(template).render(context)


def test_a_part_is_rendered_once_for_the_same_values(rendered):
    assert show(tabs=[tab()]) == show(tabs=[tab()])
    assert len(rendered) == 1


@pytest.mark.parametrize("change", [{"label": "Mine"}, {"count": "4"}, {"current": True}, {"url": "/y/"}])
def test_another_value_is_another_part(change, rendered):
    assert show(tabs=[tab()]) != show(tabs=[tab(**change)])
    assert len(rendered) == 2


def test_text_that_is_safe_is_never_shown_for_the_same_text_that_is_not():
    assert "<b>3</b>" in show(tabs=[tab(count=mark_safe("<b>3</b>"))])
    assert "&lt;b&gt;3&lt;/b&gt;" in show(tabs=[tab(count="<b>3</b>")])


def test_a_part_sees_its_values_and_nothing_else_of_the_page():
    assert "Customers" not in show('{% kept "dashboard/_tabs.html" other=1 %}', tabs=[tab(label="Customers")])


def test_a_value_that_may_change_in_itself_is_refused(alice):
    with pytest.raises(TypeError, match="User"):
        ui.kept("dashboard/_tabs.html", tabs=[alice])


def test_no_more_than_a_number_of_parts_is_kept(monkeypatch):
    monkeypatch.setattr(ui.Kept, "MOST", 3)
    for n in range(10):
        assert f'>All <span class="n">{n}<' in show(tabs=[tab(count=str(n))])

    assert len(ui.parts.known) <= 3


def test_a_part_follows_its_template_while_one_works_on_it(settings, rendered):
    settings.DEBUG = True
    show(tabs=[tab()])
    show(tabs=[tab()])

    assert len(rendered) == 2
