"""Search across nouns."""

import pytest

from billing.tests.factories import make_statement
from customers.tests.factories import make_customer

pytestmark = pytest.mark.django_db


def test_words_find_the_customer_and_its_statements(as_max, max):
    luis = make_customer(by=max, first_name="Luís", last_name="Gonçalves")
    statement = make_statement(luis)

    page = as_max.get("/search/?q=goncalves+luis").text

    assert luis.get_absolute_url() in page
    assert statement.get_absolute_url() in page


@pytest.mark.parametrize("spelling", [str, lambda pk: pk.partition("_")[2], lambda pk: pk.rpartition("_")[2]])
def test_a_pasted_id_of_any_noun_leads_straight_to_it(as_max, max, spelling):
    statement = make_statement(make_customer(by=max))
    for record in (statement, statement.customer):
        assert as_max.get("/search/", {"q": spelling(record.pk)}).url == record.get_absolute_url()


def test_an_id_of_the_other_mode_is_unknown(as_max, max):
    live = make_customer(by=max, livemode=True)

    assert "Nothing matches" in as_max.get("/search/", {"q": live.pk}).text


def test_reporting_cannot_find_a_customer_by_e_mail(as_rita, max):
    make_customer(by=max, first_name="Ana", email="ana@secret.example")

    assert "Ana" not in as_rita.get("/search/?q=ana@secret.example").text
    assert "Ana" not in as_rita.get("/search/?q=secret").text
    assert "Ana" in as_rita.get("/search/?q=ana").text


@pytest.mark.parametrize("text", ["", "\0", "%", "_", "a" * 10_000, "' OR 1=1 --", "\ud800", "‮"])
def test_odd_text_finds_nothing_and_breaks_nothing(as_max, text):
    assert as_max.get("/search/", {"q": text.encode("utf-8", "replace")}).status_code == 200
