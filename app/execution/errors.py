"""How an error looks to the caller, in one place: theirs in full, ours as a request id."""

import logging
from typing import Any

from graphql import GraphQLError

from app.errors import ServiceUnavailable, WaybillError, shorten

logger = logging.getLogger("waybill.execution")

# A defect in a field of a list fails once per item; the first ones tell the story.
_LOGGED_DEFECTS = 3


def render(errors: list[GraphQLError], request_id: str) -> tuple[list[dict[str, Any]], int]:
    """The errors as JSON, and how many of them are defects of this service. Those are logged with their traceback."""
    rendered: list[dict[str, Any]] = []
    faults: list[ServiceUnavailable] = []
    defects = 0
    for error in errors:
        cause = error.original_error
        if isinstance(cause, WaybillError):
            if isinstance(cause, ServiceUnavailable) and cause not in faults:
                faults.append(cause)
                log_fault(cause, request_id)
            rendered.append(_entry(error, cause.message, cause.extensions))
        elif _is_the_callers(error):
            rendered.append(
                _entry(error, shorten(error.message), {"code": "BAD_USER_INPUT", **(error.extensions or {})})
            )
        else:
            defects += 1
            if defects <= _LOGGED_DEFECTS:
                log_defect(cause or error, request_id, path=".".join(map(str, error.path or ())))
            rendered.append(_entry(error, "Internal server error", internal(request_id)))
    return rendered, defects


def internal(request_id: str) -> dict[str, Any]:
    """The extensions of an error that only the log explains."""
    return {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}


def log_defect(error: BaseException, request_id: str, **facts: str) -> None:
    logger.error("internal error", exc_info=error, extra={"facts": {"requestId": request_id, **facts}})


def log_fault(error: ServiceUnavailable, request_id: str) -> None:
    """One line: what is wrong lies outside, where no traceback leads."""
    facts = {"requestId": request_id, "code": error.code, "reason": error.reason}
    logger.warning("unavailable", extra={"facts": facts})


def _is_the_callers(error: GraphQLError) -> bool:
    """Errors without a path were found before execution. In a field, GraphQL itself raises two kinds: arguments point
    at a node of the document before they are located; values that do not fit their type do not, and are ours."""
    if error.path is None:
        return True
    cause = error.original_error
    return isinstance(cause, GraphQLError) and bool(cause.nodes)


def _entry(error: GraphQLError, message: str, extensions: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = {"message": message}
    if error.locations:
        entry["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path:
        entry["path"] = error.path
    entry["extensions"] = extensions
    return entry
