"""What is stored of secrets that open something."""

from billing.models import links
from dashboard import people_models, tokens
from dashboard.api.keys import create_key


def test_every_token_is_kept_in_one_way(db):
    key, secret = create_key(name="Shop", livemode=False, scopes=["read"], by=None)

    assert links.hash_token is people_models.hash_token is tokens.hash_token
    assert key.hashed == tokens.hash_token(secret)
    assert len(tokens.hash_token("\ud800")) == 64  # what a hostile address holds is no crash
