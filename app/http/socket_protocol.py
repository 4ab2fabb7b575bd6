"""WebSockets as uvicorn speaks them, without those who do not read what they are sent."""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

# Who reads nothing for so long has gone, or should come back.
STALL_SECONDS = 30.0
# For the word of it to arrive.
LINGER_SECONDS = 2.0
_TRY_AGAIN_LATER = 1013
_POLICY = 1008
# Of a message, and of a minute: an empty frame costs its sender six bytes.
_MOST_FRAGMENTS = 1_000
_MOST_PINGS = 600
_PING_WINDOW_SECONDS = 60.0

# uvicorn tells of every socket with its whole address, and of its client's faults with a traceback; the application has
# a line of its own for it, with the code.
_logger = logging.getLogger("uvicorn.socket")
_logger.setLevel(logging.CRITICAL)


class _Messages:
    """What uvicorn needs of a queue with one reader, in a tenth of the memory."""

    __slots__ = ("_items", "_waiting")

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._waiting: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        return not self._items

    def put_nowait(self, item: Any) -> None:
        self._items.append(item)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> Any:
        while not self._items:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self._waiting = None
        return self._items.pop(0)


class SocketProtocol(WebSocketsSansIOProtocol):
    """What `uvicorn.Config` takes as `ws`."""

    _stalled: asyncio.TimerHandle | None = None
    _pings = 0
    _pings_since = 0.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = self.conn.logger = _logger
        self.queue = _Messages()  # type: ignore[assignment]

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_SECONDS, self._give_up)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def start_keepalive(self) -> None:
        """What the handshake needed is gone with it: 3 KiB of a socket that may last for days."""
        super().start_keepalive()
        del self.response, self.request

    def drain(self) -> None:
        """The service is about to stop; who is connected may begin anew elsewhere."""
        self.shutdown()

    def handle_cont(self, event: Any) -> None:
        super().handle_cont(event)
        if len(self.frames) > _MOST_FRAGMENTS:
            self._fail("too many fragments")

    def handle_ping(self) -> None:
        now = self.loop.time()
        if now - self._pings_since > _PING_WINDOW_SECONDS:
            self._pings, self._pings_since = 0, now
        self._pings += 1
        if self._pings > _MOST_PINGS:
            self._fail("too many pings")
        else:
            super().handle_ping()

    def _fail(self, reason: str) -> None:
        if self.close_sent:
            return
        self.conn.fail(_POLICY, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self._tell_end(_POLICY)
        self.transport.close()

    def _tell_end(self, code: int) -> None:
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": None})

    def _stop_timer(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _give_up(self) -> None:
        if not self.close_sent and self.handshake_complete:
            self.conn.send_close(_TRY_AGAIN_LATER, "Read what is sent")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self._tell_end(_TRY_AGAIN_LATER)
        self.transport.close()
        self._stalled = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
