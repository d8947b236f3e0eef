"""Countries in any spelling, and addresses as each country writes them."""

from types import SimpleNamespace

import pytest

from dashboard import places

pytestmark = pytest.mark.one_database


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Brazil", "BR"),
        ("BRA", "BR"),
        ("br", "BR"),
        (" Br ", "BR"),
        ("USA", "US"),
        ("U.S.A.", "US"),
        ("United States of America", "US"),
        ("Czech Republic", "CZ"),
        ("Czechia", "CZ"),
        ("UK", "GB"),
        ("england", "GB"),
        ("The Netherlands", "NL"),
        ("Deutschland", "DE"),
        ("日本", "JP"),
        ("Türkiye", "TR"),
        ("Turkey", "TR"),
        ("Korea, Republic of", "KR"),
        ("South Korea", "KR"),
        ("Côte d'Ivoire", "CI"),
        ("Ivory Coast", "CI"),
        ("036", "AU"),
    ],
)
def test_a_country_is_known_by_name_code_or_number(text, code):
    assert places.country_code(text) == code


@pytest.mark.parametrize("text", ["", None, "ZZ", "Mars", "the", "\0", "x" * 10_000, "12", 7])
def test_an_unknown_country_is_none(text):
    assert places.country_code(text) is None


def test_every_country_has_a_name_labels_and_lines():
    assert len(places.countries()) == 250
    for code, name in places.countries():
        assert places.country_code(name) == code
        assert "line1" in places.address_labels(code)
        lines = places.address_lines(
            {"line1": "1 Way", "city": "Town", "state": "Shire", "postal_code": "12345", "country": code}
        )
        joined = " ".join(lines)
        assert lines[-1] == name
        assert all(part in joined for part in ("1 Way", "Town", "Shire", "12345"))


def test_labels_follow_the_country():
    assert places.address_labels("US")["postal_code"] == ("ZIP code", True)
    assert str(places.address_labels("JP")["state"]) == "Prefecture"
    assert str(places.address_labels("GB")["postal_code"]) == "Postcode"
    assert places.address_labels("IE")["postal_code"] == ("Eircode", False)
    assert "state" not in places.address_labels("DE")
    assert "line1" in places.address_labels("")


def test_addresses_are_written_in_their_countrys_order():
    stuttgart = SimpleNamespace(line1="Theodor-Heuss-Straße 34", city="Stuttgart", postal_code="70174", country="DE")
    assert places.address_lines(stuttgart) == ["Theodor-Heuss-Straße 34", "70174 Stuttgart", "Germany"]
    cupertino = {
        "line1": "1 Infinite Loop",
        "line2": "Floor 2",
        "city": "Cupertino",
        "state": "CA",
        "postal_code": "95014",
        "country": "US",
    }
    assert places.address_lines(cupertino) == ["1 Infinite Loop", "Floor 2", "Cupertino, CA 95014", "United States"]
    tokyo = {"line1": "千代田1-1", "state": "東京都", "postal_code": "100-0001", "country": "JP"}
    assert places.address_lines(tokyo) == ["〒100-0001", "東京都", "千代田1-1", "Japan"]


def test_missing_parts_leave_no_empty_lines_or_stray_commas():
    assert places.address_lines({"line1": "1 Infinite Loop", "state": "CA", "country": "US"}) == [
        "1 Infinite Loop",
        "CA",
        "United States",
    ]
    assert places.address_lines({"country": "US"}) == ["United States"]
    assert places.address_lines({"city": "Lisbon"}) == ["Lisbon"]
    assert places.address_lines({}) == places.address_lines(None) == []


def test_odd_data_never_raises():
    assert places.address_lines({"line1": 7, "city": None, "country": "../../etc"}) == ["7", "../../etc"]
    assert places.states("nowhere") == []
    assert places.country_name(None) == ""
    assert places.country_name("ZZ") == "ZZ"


def test_states_are_listed_where_the_country_has_them():
    assert ("CA", "California") in places.states("US")
    assert len(places.states("JP")) == 47
    assert places.states("DE") == []
