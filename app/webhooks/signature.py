"""Secrets and signatures of Standard Webhooks 1.0.0: `v1` by HMAC-SHA256, `v1a` by Ed25519.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import secrets
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook

V1, V1A = "V1", "V1A"
_PREFIXES = {V1: "whsec_", V1A: "whsk_"}
_PUBLIC_PREFIX = "whpk_"
_NEW_BYTES = 32
_SIZES = {V1: (24, 64), V1A: (32, 32)}


def new_secret() -> bytes:
    return secrets.token_bytes(_NEW_BYTES)


def secret_of(text: str, signature: str) -> bytes:
    """The bytes of a secret in its written form. Raises ValueError with the rule that it breaks."""
    prefix, (least, most) = _PREFIXES[signature], _SIZES[signature]
    size = f"{least}" if least == most else f"{least} to {most}"
    rule = f"must be {prefix} and the base64 of {size} bytes"
    try:
        secret = base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(rule) from None
    if not text.startswith(prefix) or not least <= len(secret) <= most:
        raise ValueError(rule)
    return secret


def written(secret: bytes, signature: str) -> str:
    """The form in which a secret is told to its owner."""
    return _PREFIXES[signature] + base64.b64encode(secret).decode()


def verification_key(secret: bytes, signature: str) -> str | None:
    """What proves a `v1a` signature, and is no secret; None of `v1`, which its secret alone proves."""
    if signature != V1A:
        return None
    public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return _PUBLIC_PREFIX + base64.b64encode(public).decode()


class Signer:
    """Signs by each of `secrets`, so that who verifies by any of them is content."""

    def __init__(self, signature: str, *secrets: bytes) -> None:
        self._hmacs = [Webhook(secret) for secret in secrets] if signature == V1 else []
        self._keys = [Ed25519PrivateKey.from_private_bytes(secret) for secret in secrets] if signature == V1A else []

    def headers(self, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
        """The three headers of a message that is sent `at`."""
        seconds = int(at.timestamp())
        text = body.decode()
        # The library takes what it is given for UTC.
        moment = datetime.fromtimestamp(seconds, UTC)
        signatures = [each.sign(message_id, moment, text) for each in self._hmacs]
        if self._keys:
            signed = f"{message_id}.{seconds}.".encode() + body
            signatures += [f"v1a,{base64.b64encode(key.sign(signed)).decode()}" for key in self._keys]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(signatures),
        }
