"""Secrets have one written form, and signatures are those that the standard's libraries make and verify."""

import base64
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

from app.webhooks.signature import V1, V1A, Signer, new_secret, secret_of, verification_key, written

BODY = '{"name": "Größe"}'.encode()


@pytest.mark.parametrize("signature", [V1, V1A])
def test_secret_is_read_as_it_is_written(signature: str) -> None:
    secret = new_secret()
    assert secret_of(written(secret, signature), signature) == secret


@pytest.mark.parametrize(
    ("text", "signature"),
    [
        ("", V1),
        ("whsec_", V1),
        ("whsec_" + base64.b64encode(b"a" * 23).decode(), V1),
        ("whsec_" + base64.b64encode(b"a" * 65).decode(), V1),
        (base64.b64encode(b"a" * 32).decode(), V1),
        ("whsk_" + base64.b64encode(b"a" * 32).decode(), V1),
        ("whsec_" + base64.b64encode(b"a" * 32).decode(), V1A),
        ("whsk_" + base64.b64encode(b"a" * 31).decode(), V1A),
        ("whsec_" + "a" * 43 + "!", V1),
        ("whsec_" + "é" * 44, V1),
    ],
)
def test_secret_of_another_form_is_refused(text: str, signature: str) -> None:
    with pytest.raises(ValueError, match="must be wh"):
        secret_of(text, signature)


def test_signature_is_the_librarys() -> None:
    secret, other, now = new_secret(), new_secret(), datetime.now(UTC)
    headers = Signer(V1, secret).headers("msg_1", now, BODY)
    assert Webhook(written(secret, V1)).verify(BODY, headers) == {"name": "Größe"}
    with pytest.raises(WebhookVerificationError):
        Webhook(written(other, V1)).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(written(secret, V1)).verify(BODY + b" ", headers)
    both = Signer(V1, secret, other).headers("msg_1", now, BODY)
    for each in (secret, other):
        Webhook(written(each, V1)).verify(BODY, both)


def test_ed25519_is_proven_by_the_public_key() -> None:
    secret, now = new_secret(), datetime.now(UTC)
    headers = Signer(V1A, secret).headers("msg_1", now, BODY)
    version, _, text = headers["webhook-signature"].partition(",")
    told = verification_key(secret, V1A)
    assert version == "v1a"
    assert told
    assert verification_key(secret, V1) is None
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(told.removeprefix("whpk_")))
    signed = f"msg_1.{headers['webhook-timestamp']}.".encode()
    key.verify(base64.b64decode(text), signed + BODY)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(text), signed + BODY + b" ")
