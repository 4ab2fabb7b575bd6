"""API keys: the service stores their digests alone."""

import hashlib
import re

from app.errors import NotAuthenticated

_SHAPE = re.compile(r"[A-Za-z0-9._~-]{16,128}")


def digest(key: str) -> bytes:
    """The 32 bytes under which `key` is stored and looked up. Raises `NotAuthenticated` for what cannot be a key.

    A key is random and long, so a plain SHA-256 does: there is nothing to guess, and how long the comparison of two
    digests takes says nothing of the key.
    """
    if not _SHAPE.fullmatch(key):
        raise NotAuthenticated
    return hashlib.sha256(key.encode()).digest()
