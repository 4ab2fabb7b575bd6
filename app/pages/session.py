"""Who is logged in: a cookie that no script reads, and the token by which a form shows that it is a page's of ours."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from app.errors import RequestRefused
from app.pages.visit import Visit

# The field of a form.
TOKEN = "form_token"
# A browser keeps no longer cookie, its name and attributes among it, and says nothing.
LONGEST = 3_800

# What a browser says of a request that a page of ours, or its user, has made. Old browsers say nothing.
_OWN_SITES = (b"same-origin", b"none")


@dataclass(frozen=True)
class Cookie:
    """`__Host-` has a browser take it from this site alone, over TLS or on its own machine, for all paths of it."""

    name: str

    @property
    def _full_name(self) -> str:
        return f"__Host-{self.name}"

    def value(self, visit: Visit) -> str | None:
        """None where there is none, or none that can be read."""
        try:
            cookies = SimpleCookie(visit.fields.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return None
        found = cookies.get(self._full_name)
        return found.value if found is not None and found.value else None

    def kept(self, value: str, seconds: int) -> str:
        """The header `Set-Cookie` for a browser to keep it; `value` is a token of at most `LONGEST` characters."""
        return f"{self._full_name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax"

    def forgotten(self) -> str:
        return self.kept("", 0)


def form_token(secret: str) -> str:
    """What the forms of a session carry: it follows from its cookie, which no other site can read."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


async def read_form(visit: Visit, secret: str | None) -> Mapping[str, str]:
    """The fields of a form that a page of ours was sent with, in the session of the cookie `secret`, None before one.

    Raises `RequestRefused` for a form of another site, or of a session that is over.
    """
    if visit.fields.get(b"sec-fetch-site", b"none") not in _OWN_SITES:
        raise RequestRefused("The form comes from another site.", status=403, code="FORBIDDEN")
    fields = await visit.form()
    if secret is not None and not hmac.compare_digest(fields.get(TOKEN, "").encode(), form_token(secret).encode()):
        raise RequestRefused("The form is of another session.", status=403, code="FORBIDDEN")
    return fields
