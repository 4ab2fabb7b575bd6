"""Who catches up holds answers in memory: how many does not depend on how many catch up, nor on how much there is."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from app.live import audience, hub
from app.live.audience import dump
from app.live.websocket import Connection
from tests.app.live.conftest import SHIPMENTS, following
from tests.conftest import until

VIEWERS = ["apikey", "staff"]
SOCKETS_EACH, CHANGES = 10, 50


class Text(bytes):
    """An answer that is counted for as long as somebody holds it."""

    held = most = most_bytes = bytes_held = 0

    @classmethod
    def count(cls, number: int, size: int) -> None:
        cls.held += number
        cls.bytes_held += size
        cls.most, cls.most_bytes = max(cls.most, cls.held), max(cls.most_bytes, cls.bytes_held)

    def __init__(self, _text: bytes) -> None:
        self.count(1, len(self))

    def __del__(self) -> None:
        self.count(-1, -len(self))


async def test_many_who_catch_up_hold_few_answers(
    site: str, copy_connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers_read = asyncio.Event()
    send = Connection._send

    async def send_to_readers(self: Connection, text: bytes) -> None:
        await readers_read.wait()
        await send(self, text)

    def counted(body: Any) -> bytes:
        return Text(dump(body))

    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(following(site, viewer)) for viewer in VIEWERS for _ in range(SOCKETS_EACH)
        ]
        after = (await sockets[0].following(SHIPMENTS))["cursor"]
        await sockets[0].send(type="complete", id="1")
        await copy_connection.execute(
            "INSERT INTO shipments (order_id, channel_id) SELECT 2075, 1 FROM generate_series(1, $1)", CHANGES
        )
        monkeypatch.setattr(audience, "dump", counted)
        monkeypatch.setattr(Connection, "_send", send_to_readers)
        for socket in sockets:
            await socket.subscribe("2", SHIPMENTS, after=after)
        turns = len(VIEWERS) * hub._MOST_BEHIND_OF_VIEWER
        await until(lambda: Text.held >= turns * audience._AT_ONCE)
        await asyncio.sleep(0.5)  # for what would be too much
        readers_read.set()
        for socket in sockets:
            told = [await socket.event("2") for _ in range(CHANGES + 1)]
            assert [event["action"] for event in told] == ["CREATED"] * CHANGES + ["UP_TO_DATE"]
    assert Text.most <= turns * audience._AT_ONCE < len(sockets) * audience._AT_ONCE
    assert Text.most_bytes < turns * audience._AT_ONCE * 1_000
    assert Text.held == 0
