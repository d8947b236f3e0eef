"""What the database keeps encrypted."""

from dashboard.encryption import decrypt, encrypt


def test_a_text_comes_back_for_its_own_purpose_alone():
    token = encrypt("https://example.com/pay/secret", "links")

    assert "secret" not in token
    assert decrypt(token, "links") == "https://example.com/pay/secret"
    assert decrypt(token, "other") is None
    assert decrypt("nonsense", "links") is None
    assert encrypt("a", "links") != encrypt("a", "links")


def test_a_new_key_still_reads_what_the_one_before_wrote(settings):
    token, old = encrypt("kept", "links"), settings.SECRET_KEY
    settings.SECRET_KEY = "n" * 50

    assert decrypt(token, "links") is None
    settings.SECRET_KEY_FALLBACKS = [old]
    assert decrypt(token, "links") == "kept"
