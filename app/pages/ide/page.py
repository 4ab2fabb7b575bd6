"""GraphiQL for whoever opens a GraphQL path in a browser, where the setting `IDE` allows it.

It comes from the package and loads nothing from elsewhere. Its policy is its own: it opens sockets to this service, and
what it adds to its styles while it runs bears a nonce.
"""

import re
import secrets
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from markupsafe import Markup
from starlette.types import Scope

from app.auth.storefront_key import HEADER
from app.auth.token import Tokens
from app.auth.viewer import PERMISSIONS
from app.demo.dev import SUBJECTS
from app.demo.fixtures import PARTNER_KEY, STOREFRONT_KEY
from app.http.reply import Reply
from app.http.state import state_of
from app.pages.plain import html, text_of

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# `#: name | title | who asks | variables`, and the document below it.
_EXAMPLE = re.compile(
    r"^#: ([a-z-]+) \| ([^|\n]+) \| (\w*) \| (\{[^\n]*\})\n(.+?)(?=\n#: |\Z)", re.MULTILINE | re.DOTALL
)
# The page has credentials of the demo, so only who asks for this very machine by its name may have it: no name of a
# stranger's that leads here.
_LOOPBACK = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?")


@cache
def examples() -> Sequence[dict[str, Any]]:
    text = Path(__file__).with_name("examples.graphql").read_text("utf-8")
    return [
        {
            "name": name,
            "title": title,
            "viewer": viewer,
            "variables": orjson.loads(variables) or None,
            "query": query.strip(),
        }
        for name, title, viewer, variables, query in _EXAMPLE.findall(text)
    ]


class Explorer:
    """Shows the page. With `has_demo` it offers to ask as the viewers of the demo."""

    def __init__(self, tokens: Tokens, *, has_demo: bool) -> None:
        self._tokens = tokens
        self._has_demo = has_demo

    def show(self, scope: Scope) -> Reply:
        host = state_of(scope).fields.get(b"host", b"")
        viewers = self._viewers() if self._has_demo and _LOOPBACK.fullmatch(host) else []
        nonce = secrets.token_urlsafe(16)
        config = orjson.dumps({"examples": examples(), "nonce": nonce, "viewers": viewers}).decode()
        # JSON within a script: nothing in it may end that.
        text = text_of("ide/page", config=Markup(config.replace("<", "\\u003c")))  # noqa: S704
        return html(text, policy=_POLICY.format(nonce=nonce))

    def _viewers(self) -> list[dict[str, Any]]:
        scopes = " ".join(PERMISSIONS)
        staff, contact = self._tokens.issue(SUBJECTS["staff"], scope=scopes), self._tokens.issue(SUBJECTS["contact"])
        headers = {
            "staff": {"Authorization": f"Bearer {staff}"},
            "partner": {"apikey": PARTNER_KEY},
            "contact": {"Authorization": f"Bearer {contact}"},
            "customer": {HEADER: STOREFRONT_KEY},
        }
        titles = {"customer": "shop, by its key"}
        return [{"name": name, "title": titles.get(name, name), "headers": each} for name, each in headers.items()]
