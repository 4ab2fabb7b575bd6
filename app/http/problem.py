"""Refusals by HTTP, in the words of the path: https://www.rfc-editor.org/rfc/rfc9457 wherever no contract has its own.

GraphQL's paths answer `{"errors": […]}` (decision 7), those of the shop `{"message": …}`. A problem has the `errors` of
GraphQL as well: they were all that there was.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.types import Scope

from app.errors import RateLimitExceeded, RequestRefused, ServiceUnavailable, WaybillError
from app.http.reply import Reply, reply, retry_after
from app.http.state import state_of

PROBLEM = "application/problem+json"
GRAPHQL_PATHS = ("/graphql", "/v2/graphql", "/api/graphql")
SHOP = "/api/shop/"
# Of https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/; all others are their status and code.
_QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"


def refuse(error: WaybillError, scope: Scope, headers: Mapping[str, str] | None = None) -> Reply:
    """The answer to a request that ends with this error."""
    status = error.http_status if isinstance(error, RequestRefused) else error.status
    told = {**retry_after(error), **(headers or {})}
    if isinstance(error, RateLimitExceeded):
        told["retry-after"] = str(error.seconds)
    if scope["path"].startswith(SHOP) and isinstance(error, ServiceUnavailable):
        return reply({"message": error.message, "code": error.code}, status, headers=told)
    return answer(error.message, error.extensions, status, scope, told)


def answer(
    message: str,
    extensions: Mapping[str, Any],
    status: int,
    scope: Scope,
    headers: Mapping[str, str] | None = None,
    others: Sequence[str] = (),
) -> Reply:
    """`extensions` have the `code`, and what else there is to know; `others` are messages of more errors like it."""
    errors = [{"message": each, "extensions": extensions} for each in (message, *others)]
    if scope["path"] in GRAPHQL_PATHS:
        return reply({"errors": errors}, status, headers=headers)
    body = {
        "type": _QUOTA if status == HTTPStatus.TOO_MANY_REQUESTS else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "instance": _reference(scope["path"]),
        **{name: value for name, value in extensions.items() if name != "requestId"},
        "requestId": state_of(scope).request_id,
        "errors": errors,
    }
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        body["violated-policies"] = ["points" if "cost" in extensions else "requests"]
    return reply(body, status, PROBLEM, headers)


def _reference(path: str) -> str:
    """A path as a URI reference: https://www.rfc-editor.org/rfc/rfc3986#section-3.3"""
    quoted = quote(path, safe="/:@!$&'()*+,;=", errors="replace")
    return f"/.{quoted}" if quoted.startswith("//") else quoted  # which would begin with a host
