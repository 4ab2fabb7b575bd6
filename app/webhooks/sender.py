"""One request to a receiver: what is dialled was vetted, what comes back is bounded, and nothing of it is followed."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http_exceptions import BadHttpMessage
from yarl import URL

from app.webhooks.target import Refused, Resolve, Targets, parse

MOST_ANSWER_BYTES = 16_384
# Whatever a receiver asks for, it is called again within a day.
LONGEST_PAUSE_SECONDS = 86_400.0
# Interim answers (1xx) before the one that counts.
_MOST_INTERIM = 8
_KEEP_ALIVE_SECONDS = 15.0
_LONGEST_ERROR = 200
# The part of an attempt's time that the connection may take: so one that does not come is told from a slow answer.
_CONNECTING = 0.5

# By what asyncio, ssl and aiohttp raise; the first that fits.
_REASONS: Sequence[tuple[type[BaseException], str]] = (
    (TimeoutError, "no answer within the time"),
    (ssl.SSLCertVerificationError, "the certificate is not good"),
    (ssl.SSLError, "TLS failed"),
    (socket.gaierror, "the name of the host does not resolve"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionError, "the connection was lost"),
    (aiohttp.ServerDisconnectedError, "the connection was lost"),
    (aiohttp.ClientPayloadError, "the answer broke off"),
    (aiohttp.ClientResponseError, "the answer was no HTTP"),
    (OSError, "the host cannot be reached"),
)


_UNREACHED = (Refused, aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has come of a request: `status` is None without an answer, `error` says why it is no success.

    `pause` are the seconds that the receiver asks to be left alone for. One that `is_unreached` was not connected to.
    """

    started_at: datetime
    milliseconds: int
    status: int | None
    error: str | None
    answer: bytes
    pause: float | None = None
    is_unreached: bool = False

    @property
    def is_success(self) -> bool:
        return self.error is None


class VettedResolver(AbstractResolver):
    """Gives the addresses of a name if all of them may be dialled, and none otherwise."""

    def __init__(self, targets: Targets, resolve: Resolve | None = None) -> None:
        self._targets = targets
        self._resolve = resolve or _resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises `Refused`, and OSError where the name has no address."""
        found: list[ResolveResult] = []
        for text in await self._resolve(host, port):
            address = ip_address(text)
            self._targets.vet(address)
            of = socket.AF_INET if address.version == 4 else socket.AF_INET6
            if family in (socket.AF_UNSPEC, of):
                numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
                found.append(ResolveResult(hostname=host, host=text, port=port, family=of, proto=0, flags=numeric))
        return found

    async def close(self) -> None:
        """There is nothing to close."""


async def _resolve(host: str, port: int) -> Sequence[str]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in infos]


class _Response(aiohttp.ClientResponse):
    """Ends where interim answers do not: they would be read until the time is over."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        bounded: Any = _BoundedConnection(connection)
        return await super().start(bounded)


class _BoundedConnection:
    """A connection in all but what its protocol reads."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._protocol = _BoundedProtocol(connection.protocol)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    @property
    def protocol(self) -> Any:
        return None if self._connection.protocol is None else self._protocol


class _BoundedProtocol:
    """Reads the heads of a few interim answers and of the one that counts, and no more."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._left = _MOST_INTERIM + 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    async def read(self) -> Any:
        if not self._left:
            raise BadHttpMessage("too many interim answers")
        self._left -= 1
        return await self._protocol.read()


class Sender:
    """The connections of one process to all receivers, within `async with`."""

    def __init__(
        self,
        targets: Targets,
        seconds: float,
        resolve: Resolve | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._targets = targets
        self._seconds = seconds
        self._resolve = resolve
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            limit=0,  # each endpoint has its own
            ssl=ssl.create_default_context(),
            resolver=VettedResolver(self._targets, self._resolve),
            use_dns_cache=False,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            response_class=_Response,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=self._seconds * _CONNECTING),
            trust_env=False,  # a proxy would dial what nobody has vetted
            auto_decompress=False,
            read_bufsize=MOST_ANSWER_BYTES,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
            requote_redirect_url=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._session is not None  # noqa: S101  it was entered
        await self._session.close()

    def _socket(self, info: Any) -> socket.socket:
        """The last look before a connection is made: whoever gave the address, it may be dialled."""
        family, kind, protocol, _, address = info
        self._targets.vet(ip_address(address[0]))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Never raises for what the receiver, or the way to it, does."""
        assert self._session is not None  # noqa: S101  it was entered
        started_at, begun = self._now(), time.perf_counter()
        status, answer, pause, is_unreached = None, b"", None, False
        try:
            # What the operator opens and closes holds for endpoints that were written before.
            if fault := self._targets.fault(url):
                raise Refused(f"the URL {fault}")
            target = URL(url, encoded=True)
            async with self._session.post(target, data=body, headers=headers, allow_redirects=False) as response:
                status = response.status
                pause = _pause(response.headers.get("Retry-After")) if status in (429, 503) else None
                answer = await _beginning(response)
                # What is left of the answer is not waited for.
                if not response.content.at_eof():
                    response.close()
            error = None if 200 <= status < 300 else f"the answer was {status}"
        except Exception as raised:
            # An answer of which only the body fails to come is an answer all the same.
            is_answered = status is not None and 200 <= status < 300
            error = None if is_answered else _reason(raised)
            is_unreached = any(isinstance(each, _UNREACHED) for each in _causes(raised))
        milliseconds = round(1000 * (time.perf_counter() - begun))
        return Outcome(started_at, milliseconds, status, error, answer, pause, is_unreached)


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """As much of the body as is kept."""
    chunks: list[bytes] = []
    left = MOST_ANSWER_BYTES
    while left > 0:
        chunk = await response.content.read(left)
        if not chunk:
            break
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _pause(text: str | None) -> float | None:
    """The seconds that `Retry-After` names, or those until the moment that it names; None of anything else."""
    if text is None:
        return None
    seconds: float | None = None
    if text.isascii() and text.isdecimal():
        seconds = float(text[:9])
    else:
        with suppress(ValueError, TypeError, OverflowError):
            moment = parsedate_to_datetime(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time()
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_PAUSE_SECONDS)


def _reason(error: BaseException) -> str:
    """In words of ours: what the libraries say names addresses."""
    refused = next((each for each in _causes(error) if isinstance(each, Refused)), None)
    if refused is not None:
        return str(refused)[:_LONGEST_ERROR]
    for kind, words in _REASONS:
        if any(isinstance(each, kind) for each in _causes(error)):
            return words
    return f"the request failed: {type(error).__name__}"


def _causes(error: BaseException) -> list[BaseException]:
    """The error, and what it was raised from."""
    causes: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or each in causes:
            continue
        causes.append(each)
        waiting += [each.__cause__, each.__context__, getattr(each, "os_error", None)]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    return causes


def host_of(url: str) -> str:
    """For logs: a URL may hold secrets."""
    try:
        return parse(url).host
    except ValueError:
        return ""
