"""The cookie of somebody who has logged in on a page.

It holds the credential itself, which the store knows and can end; no script reads it (`HttpOnly`), it goes to this host
alone and only safely (`__Host-`), and not with what other sites send (`SameSite`). Forms carry a proof of it besides.
"""

import hashlib
from dataclasses import dataclass
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie

from app.errors import RequestRefused
from app.pages.visit import Visit

FIELD = "proof"
# A browser keeps no longer cookie, its name and attributes among it, and says nothing.
_LONGEST = 3_800


@dataclass(frozen=True)
class Cookie:
    """`name` tells the sessions of different pages apart; `seconds` is how long a browser keeps one."""

    name: str
    seconds: int

    def read(self, visit: Visit) -> str | None:
        """The credential that the visitor brought, good or not."""
        header = visit.fields.get(b"cookie", b"").decode("latin-1")
        if len(header) > 4 * _LONGEST:
            return None
        try:
            found = SimpleCookie(header).get(self.name)
        except CookieError:
            return None
        return found.value if found is not None and fits(found.value) else None

    def write(self, credential: str) -> dict[str, str]:
        """The header that has a browser keep it."""
        return {"set-cookie": f"{self.name}={credential}; Max-Age={self.seconds}; {_ATTRIBUTES}"}

    def forget(self) -> dict[str, str]:
        return {"set-cookie": f"{self.name}=; Max-Age=0; {_ATTRIBUTES}"}


def fits(credential: str) -> bool:
    """Whether a cookie can hold it."""
    return 0 < len(credential) <= _LONGEST and credential.isascii() and credential.isprintable()


_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"


def proof_of(credential: str) -> str:
    """What a form of somebody who is logged in carries: nobody else can make it, and the credential is not in it."""
    return hashlib.sha256(b"form\n" + credential.encode()).hexdigest()[:40]


def check_proof(form: dict[str, str], credential: str) -> None:
    """Raises `RequestRefused` for a form that was not made for this session."""
    if not compare_digest(form.get(FIELD, "").encode(), proof_of(credential).encode()):
        raise RequestRefused("The form is not of this session.", status=403, code="FORBIDDEN")
