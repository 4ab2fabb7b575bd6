"""Pages that are alike for everybody: in English, without a visitor, a cookie or a script."""

from collections.abc import Mapping
from typing import Any

from app.http.reply import Reply
from app.pages.template import environment

LANGUAGE = "en"
# Nothing is loaded but from here, nothing is run, sent or framed.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def text_of(template: str, **values: Any) -> str:
    """A template by its place below `app/pages`, filled."""
    return environment(LANGUAGE).get_template(f"{template}.html").render(**values)


def html(text: str, status: int = 200, policy: str = POLICY, headers: Mapping[str, str] | None = None) -> Reply:
    body = text.encode()
    given = {"vary": "Accept", **(headers or {})}
    return Reply(
        body,
        status,
        [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"content-security-policy", policy.encode()),
            *((name.encode(), value.encode("latin-1")) for name, value in given.items()),
        ],
    )
