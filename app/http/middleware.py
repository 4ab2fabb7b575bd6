"""What every exchange has, whatever its path: an id, a line in the log, safe headers, and never a bare exception."""

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.execution.errors import internal, log_defect
from app.http.reply import reply

logger = logging.getLogger("waybill.http")

# Letters, digits and a few signs: an id that came from outside goes into the log and back into a header.
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

# HSTS is left to the proxy that speaks TLS. Answers hold customers' data, so nobody may keep them.
_SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Exchange:
    """Pure ASGI. The id is in `scope["state"]["request_id"]` and in the header X-Request-ID of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _SANE_ID.fullmatch(given) else uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in _SAFE_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            log_defect(error, request_id, path=scope["path"])
            if status:
                raise  # half an answer is out: only a broken connection tells the caller
            body = {"errors": [{"message": "Internal server error", "extensions": internal(request_id)}]}
            await reply(body, 500)(scope, receive, send_with_headers)
        finally:
            facts = {
                "requestId": request_id,
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "ms": round((time.perf_counter() - started) * 1000, 1),
            }
            facts |= {name: state[name] for name in ("operation", "outcome") if state.get(name)}
            logger.info("request", extra={"facts": facts})
