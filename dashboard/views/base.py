"""What every view shares: it checks its permission and keeps to the session's mode."""

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404
from django.utils.functional import cached_property
from django.views.generic import TemplateView
from django.views.generic.base import ContextMixin


class StaffMixin(ContextMixin):
    """A page for signed-in staff who hold `permission`. `section` is the menu entry it belongs to."""

    permission = None
    section = ""
    title = ""

    def dispatch(self, request, *args, **kwargs):
        if not self.permission or not request.user.has_perm(self.permission):
            raise PermissionDenied(self.permission)
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs):
        return super().get_context_data(section=self.section, title=self.get_title(), **kwargs)

    def get_title(self):
        return self.title


class ModeMixin(StaffMixin):
    """Records of the session's mode only: another mode's id is as unknown as any."""

    queryset = None

    def get_queryset(self):
        return self.queryset.all().filter(livemode=self.request.livemode)


class ObjectMixin(ModeMixin):
    """One record, found by the public id in the path; 404 when it is not there in this mode."""

    pk_name = "pk"

    @cached_property
    def object(self):
        return get_object_or_404(self.get_queryset(), pk=self.kwargs[self.pk_name])

    def get_title(self):
        return self.title or str(self.object)

    def get_context_data(self, **kwargs):
        return super().get_context_data(object=self.object, **kwargs)


class DetailView(ObjectMixin, TemplateView):
    """One record's page."""
