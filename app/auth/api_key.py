"""API keys and storefront keys: how they are made, and what is stored of them, which is their digests alone.

A key that is made here is its kind, 30 random characters and a checksum of six, as GitHub's tokens are: whoever finds
one in a text knows it for a key without asking us, and a key with a slip of the pen is refused without the database.
Scanners know both kinds by `wb[ks]_[0-9A-Za-z]{36}`. Keys that were made elsewhere have no form but that of `_SHAPE`.
"""

import hashlib
import re
import secrets
import string
import zlib

from app.errors import NotAuthenticated

API_KEY, STOREFRONT_KEY = "wbk_", "wbs_"
# What is stored, and shown, of a key to know it by: 36 of its 178 random bits.
PREFIX_LENGTH = 10

_SHAPE = re.compile(r"[A-Za-z0-9._~-]{16,128}")
_MADE_HERE = re.compile(r"wb[ks]_[0-9A-Za-z]{36}")
_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM_LENGTH, _CHECKSUM_LENGTH = 30, 6


def new_key(kind: str) -> str:
    """A key of `API_KEY` or `STOREFRONT_KEY` that nobody has had."""
    text = kind + "".join(secrets.choice(_DIGITS) for _ in range(_RANDOM_LENGTH))
    return text + _checksum(text)


def is_made_here(key: str) -> bool:
    """Whether its form and its checksum say so; they prove nothing of its being good."""
    return bool(_MADE_HERE.fullmatch(key)) and key[-_CHECKSUM_LENGTH:] == _checksum(key[:-_CHECKSUM_LENGTH])


def digest(key: str) -> bytes:
    """The 32 bytes under which `key` is stored and looked up. Raises `NotAuthenticated` for what cannot be a key.

    A key is random and long, so a plain SHA-256 does: there is nothing to guess, and how long the comparison of two
    digests takes says nothing of the key.
    """
    if not _SHAPE.fullmatch(key) or (_MADE_HERE.fullmatch(key) and not is_made_here(key)):
        raise NotAuthenticated
    return hashlib.sha256(key.encode()).digest()


def _checksum(text: str) -> str:
    """CRC-32 in the digits of base 62."""
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
