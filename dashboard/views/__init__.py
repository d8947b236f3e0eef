"""The five views everything is made of. Each checks its permission and keeps to the session's mode."""

from dashboard.paging import capped_counts
from dashboard.views.base import DetailView, ModeMixin, ObjectMixin, StaffMixin
from dashboard.views.forms import ActionView, CreateView, EditView, FormView, ObjectFormView
from dashboard.views.lists import ListView, count_text

__all__ = [
    "ActionView",
    "CreateView",
    "DetailView",
    "EditView",
    "FormView",
    "ListView",
    "ModeMixin",
    "ObjectFormView",
    "ObjectMixin",
    "StaffMixin",
    "capped_counts",
    "count_text",
]
