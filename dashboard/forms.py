"""Forms: how every field looks, what every field refuses, and the fields both apps need.

Forms check shape and speak plainly; they save nothing. A view answers 422 when one is invalid.
"""

from pathlib import Path, PurePosixPath

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django.forms.renderers import DjangoTemplates
from django.utils.datastructures import MultiValueDict
from django.utils.functional import cached_property

from dashboard import phones, places
from dashboard.card_numbers import find_card_number
from dashboard.money import CURRENCIES, Money, currency_choices, symbol
from dashboard.text import clean_text, unsafe

CARD_SENTENCE = "This looks like a payment card number. Card numbers are not kept here. Nothing was saved."
UNSAFE_SENTENCE = "This holds invisible control characters. Type it again instead of pasting it."
PAIRS, KEY, VALUE, SPARE = 50, 40, 500, 3  # metadata: most pairs, longest key and value, empty rows offered
_NO_BOX = {"checkbox", "checkbox_option", "checkbox_select", "radio", "radio_option", "hidden", "multiple_hidden"}


class Renderer(DjangoTemplates):
    """Renders every form of the product, allauth's and the filters' included, in the product's look."""

    form_template_name = "dashboard/fields.html"
    field_template_name = "dashboard/field.html"

    @cached_property
    def engine(self):
        built_in = Path(forms.__file__).parent / "templates"
        options = {"builtins": ["dashboard.templatetags.ui"]}
        return self.backend(
            {"APP_DIRS": True, "DIRS": [settings.BASE_DIR / "templates", built_in], "NAME": "forms", "OPTIONS": options}
        )

    def render(self, template_name, context, request=None):
        if widget := context.get("widget"):
            _mark_box(widget)
        return super().render(template_name, context, request=request)


def _mark_box(widget):
    """Give a text-like widget, and each part of a compound one, the class the style sheet knows; show no card number."""
    for part in widget.get("subwidgets") or ():
        _mark_box(part)
    if isinstance(value := widget.get("value"), str) and find_card_number(value):
        widget["value"] = None
    path = PurePosixPath(widget["template_name"])
    if path.parts[:3] == ("django", "forms", "widgets") and path.stem not in _NO_BOX:
        given = widget["attrs"].get("class", "").split()
        widget["attrs"]["class"] = " ".join(dict.fromkeys(["input", *given]))


def refuse_unsafe(value):
    """Validator: no control, surrogate or direction-override characters."""
    if unsafe(value):
        raise ValidationError(UNSAFE_SENTENCE, code="unsafe")


class KitFormMixin:
    """What every form of ours checks in typed text. Secrets (strip=False) pass as they were typed."""

    mark_optional = True  # "(optional)" behind the label of a field that may stay empty

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if _is_text(field):
                others = [v for v in field.validators if not isinstance(v, ProhibitNullCharactersValidator)]  # said better below
                field.validators = [*others, refuse_unsafe]
            if isinstance(field, PhoneField) and field.country_from and self.is_bound:
                field.country = self.data.get(self.add_prefix(field.country_from)) or field.country

    def _clean_fields(self):
        super()._clean_fields()
        for name, value in self.cleaned_data.items():
            if isinstance(value, str) and _is_text(self.fields.get(name)):
                self.cleaned_data[name] = clean_text(value)
        for name, field in self.fields.items():
            if _is_typed(field, name in self._errors) and _holds_card_number(self[name].data):
                self._errors.pop(name, None)  # what it says may name the number
                self.add_error(name, ValidationError(CARD_SENTENCE, code="card_number"))
                self.data = without_card_numbers(self.data, self.add_prefix(name))


def _is_text(field):
    return isinstance(field, forms.CharField) and not isinstance(field, forms.JSONField) and not _is_secret(field)


def _is_secret(field):
    """Whether a field takes text exactly as it is typed. Django's RegexField only does by an accident of its defaults."""
    return isinstance(field, forms.CharField) and not field.strip and not isinstance(field, forms.RegexField)


def _is_typed(field, refused):
    """Whether a card number may stand in a field. Choices, ticks and phones that are good hold none, secrets are hashed."""
    if _is_secret(field):
        return False
    return refused or not isinstance(field, (forms.ChoiceField, forms.BooleanField, forms.FileField, PhoneField))


class NoCardNumber:
    """Mixin of forms that are not the kit's: what holds a card number does not come through `box`, which comes back empty."""

    box = ""

    def full_clean(self):
        if self.is_bound:
            self.data = without_card_numbers(self.data, self.box)
        super().full_clean()


def without_card_numbers(data, name):
    """A copy of what the browser sent, with the boxes of a field empty where they held one."""
    found = MultiValueDict({key: list(_values(data, key)) for key in data})
    for key in found:
        if key == name or key.startswith(f"{name}_"):
            found.setlist(key, ["" if _holds_card_number(value) else value for value in found.getlist(key)])
    return found


def _values(data, key):
    return data.getlist(key) if hasattr(data, "getlist") else [data[key]]


def _holds_card_number(value):
    """Whether what a browser sent for a field, in one part or several, holds a card number."""
    if isinstance(value, (list, tuple)):
        return any(_holds_card_number(part) for part in value)
    return isinstance(value, str) and bool(find_card_number(value))


class KitForm(KitFormMixin, forms.Form):
    """The base of every form."""


class PhoneField(forms.CharField):
    """A phone number in any usual spelling; cleans to E.164 or "".

    country_from names the form's country field, read for numbers without a country code; else DEFAULT_COUNTRY.
    """

    widget = forms.TextInput(attrs={"type": "tel", "autocomplete": "off", "inputmode": "tel"})

    def __init__(self, *, country="", country_from="", **kwargs):
        self.country, self.country_from = country or settings.DEFAULT_COUNTRY, country_from
        super().__init__(**{"max_length": 40} | kwargs)

    def clean(self, value):
        text = super().clean(value)
        if not text:
            return ""
        if found := phones.parse(text, self.country):
            return found
        raise ValidationError("This is not a phone number. Start with the country code, as in +63 917 555 0100.", code="invalid")


class CountryField(forms.ChoiceField):
    """A country by name; cleans to its ISO 3166-1 alpha-2 code or ""."""

    def __init__(self, *, empty="Not known", **kwargs):
        super().__init__(choices=lambda: [("", empty), *places.countries()], **kwargs)


class CurrencyField(forms.ChoiceField):
    """An ISO 4217 code; the merchant's own currency stands first."""

    def __init__(self, **kwargs):
        super().__init__(choices=_currencies, **{"initial": settings.DEFAULT_CURRENCY} | kwargs)


def _currencies():
    home = settings.DEFAULT_CURRENCY
    return sorted(currency_choices(), key=lambda choice: choice[0] != home)


class MoneyWidget(forms.MultiWidget):
    """An amount with the currency's sign before it and the currency behind it, as one box."""

    template_name = "dashboard/widgets/money.html"
    use_fieldset = False

    def __init__(self, codes, attrs=None):
        self.codes = codes
        box = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})
        choose = forms.Select(attrs={"aria-label": "Currency"}, choices=[(code, code) for code in codes])
        super().__init__({"": box, "currency": choose}, attrs)

    def decompress(self, value):
        return [value.digits, value.currency] if value else ["", self.codes[0]]

    def id_for_label(self, id_):
        return f"{id_}_0" if id_ else id_

    def get_context(self, name, value, attrs):
        context = super().get_context(name, value, attrs)
        context["widget"]["only"] = self.codes[0] if len(self.codes) == 1 else ""
        context["widget"]["symbols"] = [(code, symbol(code)) for code in self.codes]
        context["widget"]["subwidgets"][1]["attrs"].pop("required", None)
        return context


class MoneyField(forms.MultiValueField):
    """Amount and currency; cleans to Money (integer minor units), or None when empty.

    currencies limits the choice (one code fixes it); positive refuses zero.
    """

    def __init__(self, *, currencies=(), positive=True, **kwargs):
        home = settings.DEFAULT_CURRENCY
        self.codes = list(currencies) or sorted(CURRENCIES, key=lambda code: (code != home, code))
        self.positive = positive
        parts = (forms.CharField(max_length=30), forms.ChoiceField(choices=[(c, c) for c in self.codes], required=False))
        super().__init__(parts, widget=MoneyWidget(self.codes), require_all_fields=False, **kwargs)
        parts[0].required = self.required
        self.error_messages["incomplete"] = self.error_messages["required"] = "Enter an amount such as 4,850.00."

    def clean(self, value):
        """Currency alone is an empty field: the select always sends one."""
        return super().clean(value if value and value[0] else None)

    def compress(self, values):
        if not values or not values[0]:
            return None
        try:
            money = Money.parse(values[0], values[1] or self.codes[0])
        except ValueError as error:
            raise ValidationError(str(error), code="invalid") from None
        if self.positive and not money:
            raise ValidationError("Enter an amount above zero.", code="zero")
        return money


class MetadataWidget(forms.Widget):
    """Rows of key and value; spare rows are empty, so it grows without a script."""

    template_name = "dashboard/widgets/metadata.html"
    use_fieldset = True

    def value_from_datadict(self, data, files, name):
        many = data.getlist if hasattr(data, "getlist") else lambda key: data.get(key, [])
        return list(zip(many(f"{name}_key"), many(f"{name}_value"), strict=False))

    def value_omitted_from_data(self, data, files, name):
        return f"{name}_key" not in data

    def format_value(self, value):
        return [(k, v) for k, v in (value.items() if isinstance(value, dict) else value or ()) if k or v]

    def get_context(self, name, value, attrs):
        context = super().get_context(name, value, attrs)
        pairs = [pair for pair in context["widget"]["value"] or [] if not any(map(find_card_number, pair))]
        context["widget"]["rows"] = [*pairs, *[("", "")] * min(SPARE, PAIRS - len(pairs))]
        return context | {"longest_key": KEY, "longest_value": VALUE}


class MetadataField(forms.Field):
    """Text by key, at most 50 pairs; cleans to a dict. Limits as in the common payment APIs (spec 3)."""

    widget = MetadataWidget
    help = "Your own notes for other systems, up to 50. Empty a row to remove it."

    def __init__(self, **kwargs):
        super().__init__(**{"required": False, "help_text": self.help, "initial": dict} | kwargs)

    def to_python(self, value):
        found = {}
        for key, text in ((clean_text(k), clean_text(v)) for k, v in self._checked(value)):
            if key in found:
                raise ValidationError(f"The key “{key}” is there twice. Rename one.", code="twice")
            found[key] = text
        if len(found) > PAIRS:
            raise ValidationError(f"There are {len(found)} pairs; at most {PAIRS} are kept. Remove some.", code="many")
        return found

    def _checked(self, pairs):
        for key, value in pairs or ():
            if key.strip() or value.strip():
                _check_pair(key.strip(), value.strip())
                yield key, value

    def has_changed(self, initial, data):
        return {k: v for k, v in data or () if k or v} != (initial or {})


def _check_pair(key, value):
    if not key:
        raise ValidationError(f"The value “{value[:40]}” has no key. Name it or remove it.", code="key")
    if len(key) > KEY or "[" in key or "]" in key:
        raise ValidationError(f"The key “{key[:KEY]}” must be {KEY} characters or fewer, without [ and ].", code="key")
    if len(value) > VALUE:
        raise ValidationError(f"The value of “{key}” has {len(value)} characters; at most {VALUE} are kept.", code="value")
    for text in (key, value):
        refuse_unsafe(text)
