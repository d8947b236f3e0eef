"""Views with a form: create, edit, and a button's page."""

from django.contrib import messages
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.views.generic import TemplateView

from dashboard.states import DomainError
from dashboard.views.base import ObjectMixin, StaffMixin


class FormView(StaffMixin, TemplateView):
    """A form at its own URL. `act(data)` calls one domain function and gives back the sentence to show;
    a DomainError it raises is shown on the form, with nothing changed. Invalid forms answer 422.
    No transaction is open here: domain functions open their own, so that none spans a gateway call.
    """

    template_name = "dashboard/form.html"
    form_class = None
    submit = "Save"
    success_url = None

    def get_form(self, data=None):
        return self.form_class(data, **self.get_form_kwargs())

    def get_form_kwargs(self):
        return {"initial": self.get_initial()}

    def get_initial(self):
        return {}

    def get(self, request, *args, **kwargs):
        return self.render_to_response(self.get_context_data(form=self.get_form()))

    def post(self, request, *args, **kwargs):
        form = self.get_form(request.POST)
        if not form.is_valid():
            return self.refuse(form)
        try:
            sentence = self.act(form.cleaned_data)
        except DomainError as error:
            form.add_error(None, str(error))
            return self.refuse(form)
        if sentence:
            messages.success(request, sentence)
        return HttpResponseRedirect(self.get_success_url())

    def refuse(self, form):
        return self.render_to_response(self.get_context_data(form=form), status=422)

    def get_success_url(self):
        return self.success_url

    def get_back_url(self):
        return self.get_success_url()

    def get_context_data(self, **kwargs):
        return super().get_context_data(view=self, submit=self.submit, back_url=self.get_back_url(), **kwargs)


class CreateView(FormView):
    """A form that makes a record: `create(data)` returns it, and its page is where one goes next."""

    list_url = ""
    object = None
    submit = "Create"

    def act(self, data):
        self.object = self.create(data)
        return f"{self.object} was created."

    def get_success_url(self):
        return self.object.get_absolute_url() if self.object else reverse(self.list_url)


class ObjectFormView(ObjectMixin, FormView):
    """A form about one record; it goes back to the record's page."""

    def get_success_url(self):
        return self.object.get_absolute_url()


class EditView(ObjectFormView):
    """A form over a record's own fields."""

    def get_initial(self):
        return {name: getattr(self.object, name) for name in self.form_class.base_fields if hasattr(self.object, name)}


class ActionView(ObjectFormView):
    """A button's page: what will happen, in words, and a form (perhaps empty) to confirm it.

    The page is a dialog with a URL: script shows it over the page one came from.
    """

    template_name = "dashboard/action.html"
    danger = False
    consequence = ""

    def get_title(self):
        return self.title

    def get_consequence(self):
        return self.consequence

    def get_context_data(self, **kwargs):
        return super().get_context_data(danger=self.danger, consequence=self.get_consequence(), **kwargs)
