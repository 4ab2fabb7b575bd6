"""A receiver for trying webhooks on one's own machine: it verifies what comes, and prints it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

_LARGEST_BYTES = 1_000_000
_SHOWN_BYTES = 1_000


@asynccontextmanager
async def listening(port: int, secret: str) -> AsyncIterator[None]:
    """Receives on 127.0.0.1 within the block. Raises OSError where the port is taken."""
    webhook = Webhook(secret)

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        is_good = _is_good(webhook, body, request.headers)
        print(_told(request.headers, body, is_good), flush=True)
        return web.Response(status=204 if is_good else 401)

    app = web.Application(client_max_size=_LARGEST_BYTES)
    app.router.add_post("/{path:.*}", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(f"listening on http://127.0.0.1:{port}/", flush=True)
        yield
    finally:
        await asyncio.shield(runner.cleanup())


def _is_good(webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> bool:
    try:
        webhook.verify(body, dict(headers))
    except (WebhookVerificationError, ValueError):
        return False
    return True


def _told(headers: Mapping[str, str], body: bytes, is_good: bool) -> str:
    """A line about the message, and the message."""
    word = "verified" if is_good else "NOT VERIFIED"
    try:
        message: Any = json.loads(body)
        type_ = message["type"]
        text = json.dumps(message.get("data"), indent=2, ensure_ascii=False)
    except (ValueError, TypeError, KeyError, AttributeError):
        type_, text = "?", body[:_SHOWN_BYTES].decode(errors="replace")
    return f"{datetime.now():%H:%M:%S} {word} {headers.get('webhook-id')} {type_}\n{text}"
