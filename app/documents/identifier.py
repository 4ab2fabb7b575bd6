"""By what a request names a document in place of its text.

- `documentId`: https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md
- `extensions.persistedQuery.sha256Hash`, which Apollo Client, urql and Apollo's native clients send
- `doc_id`, which Relay's guides send
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from app.errors import RequestRefused

LONGEST_ID = 200
PREFIX = "sha256:"

_ID = re.compile(rf"[!-~]{{1,{LONGEST_ID}}}")
_HEX = re.compile(r"[0-9a-f]{64}")


def read_id(parameters: Mapping[str, Any], extensions: Any) -> str | None:
    """The id that a request names a document by, None where there is none; the first of the three counts.

    Raises `RequestRefused` for one that is no text.
    """
    for name in ("documentId", "doc_id"):
        value = parameters.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise RequestRefused(f'The parameter "{name}" must be a string or null.')
            return value
    asked = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    value = asked.get("sha256Hash") if isinstance(asked, dict) else None
    return value if isinstance(value, str) and value else None


def is_id(text: str) -> bool:
    """Whether a document may be registered by it, or by it under a prefix."""
    return _ID.fullmatch(text) is not None


def hash_named_by(document_id: str) -> bytes | None:
    """The SHA-256 of the text that an id names, where it is of the form of one."""
    digits = document_id.removeprefix(PREFIX)
    return bytes.fromhex(digits) if _HEX.fullmatch(digits) else None


def hash_of(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
