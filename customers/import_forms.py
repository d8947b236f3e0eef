"""Forms of an import: the file, how it is read, what its columns hold."""

from django import forms
from django.conf import settings

from customers.imports import IMPORTER
from dashboard import places
from dashboard.forms import KitForm
from dashboard.imports import files
from dashboard.imports.rows import PROBLEM_HEADER
from dashboard.text import visible


class UploadForm(KitForm):
    file = forms.FileField(
        label="CSV file",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        error_messages={"empty": "This file is empty. Choose another one."},
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        most = f"{settings.IMPORT_MAX_BYTES // 1048576} MB"
        self.fields["file"].error_messages["required"] = f"Choose a CSV file of at most {most}."
        self.fields[
            "file"
        ].help_text = f"Up to {most}, {files.MOST_ROWS:,} rows and {files.MOST_COLUMNS} columns. The first row names the columns."


class FormatForm(KitForm):
    encoding = forms.ChoiceField(choices=list(files.ENCODINGS.items()), label="Encoding")
    delimiter = forms.ChoiceField(
        choices=[(d, f"{name.capitalize()}") for d, name in files.DELIMITERS.items()], label="Columns are separated by"
    )


class ColumnsForm(KitForm):
    """One select for each column of the file, and the options of the whole import."""

    mark_optional = False
    match = forms.ChoiceField(
        required=False,
        label="Find customers who are here already by",
        choices=[("", "Nothing: every row makes a new customer"), *IMPORTER.keys],
        help_text="A row about a customer who is found changes that customer; any other row makes a new one.",
    )
    country = forms.ChoiceField(
        required=False,
        label="Country of phone numbers without a country code",
        choices=lambda: [("", "Each row’s own country"), *places.countries()],
    )
    clear = forms.BooleanField(required=False, label="An empty cell empties the field of a customer who is here already")

    def __init__(self, data=None, *, run, **kwargs):
        super().__init__(data, initial=run.options, **kwargs)
        self.run = run
        for i, header in enumerate(run.headers):
            self.fields[f"column_{i}"] = forms.ChoiceField(
                required=False,
                label=visible(header) or f"Column {i + 1}",
                choices=_choices(header),
                initial=run.mapping[i] if i < len(run.mapping) else "",
            )

    def columns(self, preview):
        """(field, first values) of each column, for the template."""
        values = [[visible(row[i][:60]) for row in preview if i < len(row) and row[i]][:3] for i in range(len(self.run.headers))]
        return [(self[f"column_{i}"], values[i]) for i in range(len(self.run.headers))]

    @property
    def mapping(self):
        return [self.cleaned_data[f"column_{i}"] for i in range(len(self.run.headers))]

    def clean(self):
        data = super().clean()
        if self.errors:
            return data
        if refusal := IMPORTER.refuse_mapping(self.mapping):
            self.add_error(None, refusal)
        elif data["match"] and data["match"] not in self.mapping:
            label = dict(IMPORTER.keys)[data["match"]]
            self.add_error("match", f"No column holds the {label}. Map a column to it, or choose another way.")
        return data


def _choices(header):
    return [("", "Leave out")] if header == PROBLEM_HEADER else IMPORTER.choices(header)
