"""What may be an API key, and what is stored of it."""

import hashlib

import pytest

from app.auth.api_key import digest
from app.errors import NotAuthenticated


def test_digest_is_the_sha256_of_the_key() -> None:
    assert digest("pk_partner_demo_full") == hashlib.sha256(b"pk_partner_demo_full").digest()


@pytest.mark.parametrize(
    "key",
    ["", "short", "x" * 129, "x" * 10_000_000, "pk_partner_demo\0full", "pk_partner_démo_full", "pk partner demo full",
     "pk_partner_demo_full\n", "pk_partner_demo_full, pk_partner_demo_full", "\ud800" * 20, "１" * 20],
)  # fmt: skip
def test_digest_refuses_what_cannot_be_a_key(key: str) -> None:
    with pytest.raises(NotAuthenticated):
        digest(key)
