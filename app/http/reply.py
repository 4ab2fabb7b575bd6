"""The bodies that HTTP itself answers with: JSON, and errors in the shape of GraphQL's."""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from app.errors import RequestRefused


def dump(body: Any) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # a whole number over 64 bits, which only a free-form scalar can hold
        return json.dumps(body, ensure_ascii=False, allow_nan=False).encode()


def reply(
    body: Any, status: int = 200, media_type: str = "application/json", headers: Mapping[str, str] | None = None
) -> Response:
    response = Response(dump(body), status, dict(headers or {}))
    response.headers["content-type"] = f"{media_type}; charset=utf-8"
    return response


def refusal(error: RequestRefused, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that HTTP refuses, before GraphQL has seen it."""
    errors = [{"message": error.message, "extensions": error.extensions}]
    return reply({"errors": errors}, error.http_status, headers=headers)
