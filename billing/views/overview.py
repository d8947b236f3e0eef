"""The first page after sign-in: what came in, what is owed, what happened."""

from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.functional import cached_property
from django.views.generic import TemplateView

from billing import days, overview
from billing.charts import NARROW, Bar, bar_chart, change, share, share_bar
from billing.days import RANGES, USUAL
from dashboard.filters import refuse_far_off
from dashboard.forms import KitForm
from dashboard.money import CURRENCIES
from dashboard.views import StaffMixin

WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


class DaysForm(KitForm):
    """A range of one's own, in the address as `start` and `end`."""

    mark_optional = False
    start = forms.DateField(label="From", validators=[refuse_far_off], widget=forms.DateInput(attrs={"type": "date"}))
    end = forms.DateField(label="To", validators=[refuse_far_off], widget=forms.DateInput(attrs={"type": "date"}))

    def clean_end(self):
        if self.cleaned_data["end"] > timezone.localdate():
            raise ValidationError("Choose a last day up to today.")
        return self.cleaned_data["end"]

    def clean(self):
        data = super().clean()
        start, end = data.get("start"), data.get("end")
        if start and end and start > end:
            self.add_error("start", "Choose a first day that is not after the last.")
        elif start and end and (end - start).days >= days.LONGEST:
            self.add_error("start", "Choose at most five years.")
        return data


class Overview(StaffMixin, TemplateView):
    """Figures of one currency over a range of days. Both are in the URL: `range`, or `start` and `end`; `currency`."""

    permission = "billing.view_overview"
    section = "home"
    title = "Overview"
    template_name = "billing/overview.html"

    @cached_property
    def now(self):
        return timezone.now()

    @cached_property
    def form(self):
        """The form of a range of one's own, filled in when the URL has one."""
        asked = self.request.GET.get("range") == "custom" or {"start", "end"} & set(self.request.GET)
        span = days.span_of(USUAL, timezone.localdate(self.now))
        return DaysForm(self.request.GET if asked else None, initial={"start": span.first, "end": span.last})

    @cached_property
    def span(self):
        """The days shown; a range that makes no sense is told, and the usual one shown."""
        if self.form.is_bound and self.form.is_valid():
            return days.custom_span(self.form.cleaned_data["start"], self.form.cleaned_data["end"])
        key = self.request.GET.get("range")
        return days.span_of(key if key in RANGES else USUAL, timezone.localdate(self.now))

    @cached_property
    def asked_currency(self):
        """The currency in the URL, or "" for the usual one."""
        asked = self.request.GET.get("currency", "").upper()
        return asked if asked in CURRENCIES else ""

    def get_context_data(self, **kwargs):
        live = self.request.livemode
        counted = overview.Counted(live, self.span, self.now)
        by_currency = {code: counted.figures(code) for code in counted.currencies}
        currency = self.asked_currency or overview.usual_currency(list(by_currency.values()))
        figures = by_currency.get(currency) or counted.figures(currency)
        recent = list(overview.recent_payments(live))
        return super().get_context_data(
            figures=figures,
            by_currency=list(by_currency.values()) if len(by_currency) > 1 else [],
            overdue=overview.overdue_statements(live, currency, self.now),
            recent=recent,
            activity=overview.recent_activity(live),
            first_steps=None if recent or by_currency else overview.first_steps(live),
            **self.span_context(currency, [*by_currency]),
            **self.chart_context(figures),
            **self.share_context(figures, overview.ways_paid(live, self.span, currency)),
            **kwargs,
        )

    # --- the range and the currency ------------------------------------------------------------------
    def span_context(self, currency, currencies):
        own = {"start": self.span.first.isoformat(), "end": self.span.last.isoformat()}
        kept = own if self.span.key == "custom" else {"range": self.span.key}
        return {
            "span": self.span,
            "ranges": [(label, self.link(range=key), key == self.span.key) for key, label in RANGES.items()],
            "form": self.form,
            "currency": currency,
            "asked_currency": self.asked_currency,
            "currencies": [
                (code, f"?{urlencode(kept | {'currency': code})}", code == currency) for code in sorted({*currencies, currency})
            ],
            "today": timezone.localdate(self.now),
        }

    def link(self, **parameters):
        """This page with another range and the currency that was asked for."""
        return f"?{urlencode(parameters | ({'currency': self.asked_currency} if self.asked_currency else {}))}"

    # --- chart and shares ------------------------------------------------------------------------------
    def chart_context(self, figures):
        bars = [bar_of(part) for part in figures.parts]
        title = finding(figures, self.span)
        empty = not any(bar.value or bar.before for bar in bars)
        return {
            "unit": "month" if self.span.by_month else "day",
            "chart": "" if empty else bar_chart(bars, figures.currency, title=title),
            "chart_narrow": "" if empty else bar_chart(bars, figures.currency, title=title, shape=NARROW, key="chart-narrow"),
            "weekday": WEEKDAYS[timezone.localdate(self.now).weekday()],
            "today_change": change(figures.today.amount.minor, figures.week_ago.amount.minor),
            "collected_change": change(figures.collected.amount.minor, figures.collected_before.amount.minor),
        }

    def share_context(self, figures, ways):
        paid = figures.collected.amount.minor
        return {
            "ages": [(age, f, share_bar(f.amount.minor, figures.owed, age.tone)) for age, f in figures.ages],
            "ways": [
                (way.label, way.figure, share(way.figure.amount.minor, paid), share_bar(way.figure.amount.minor, paid))
                for way in ways
            ],
        }


def bar_of(part):
    """A part of the range as a bar, with the words shown when the mouse is over it."""
    before = f", before {part.before.amount}" if part.before.count else ""
    return Bar(part.span.axis, part.now.amount.minor, part.before.amount.minor, f"{part.label}: {part.now.amount}{before}")


def finding(figures, span):
    """What the chart shows, in a sentence or two."""
    unit = "month" if span.by_month else "day"
    said = f"Collected per {unit} in {figures.currency}, {span.words}: {figures.collected.amount} in all."
    best = max(figures.parts, key=lambda part: part.now.amount.minor)
    return f"{said} Highest {best.now.amount}, {best.label}." if best.now.amount else said
