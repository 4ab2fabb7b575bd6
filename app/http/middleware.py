"""What every exchange has, whatever its path: an id, a line in the log, safe headers, and never a bare exception."""

import asyncio
import logging
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import NotAuthenticated, RequestRefused, ServiceUnavailable, Shed, TimedOut
from app.execution.errors import internal, log_defect, log_fault
from app.http.deadline import Deadlines, Ending, Work
from app.http.overload import LoadShedder
from app.http.problem import answer, refuse
from app.http.reply import Answering, Reply, refusal
from app.http.state import ID_HEADER, ROUTE, STATE, TASK, Header, State, new_id, state_of
from app.telemetry import Requests, Telemetry, log_facts
from app.tracing import TRAIL, Tracing

logger = logging.getLogger("waybill.http")

_WAIT = re.compile(rb"(?:^|[,\s])wait\s*=\s*\"?([0-9]{1,5})\"?(?:$|[,;\s])", re.IGNORECASE)

# The place of a path that holds a credential.
SECRET = "{token}"

# How long whom there was no room for should wait.
_RETRY_SECONDS = "1"

# What a line of the log tells of the caller's own words, in characters.
_LONGEST_PATH = 1_000
_LONGEST_NAME = 100

# HSTS is left to the proxy that speaks TLS. Answers hold customers' data, so nobody may keep them.
_SAFE_HEADERS: list[Header] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]
_SAFE_NAMES = frozenset(name for name, _ in _SAFE_HEADERS)

# What proxies write into their logs where the caller did not wait for the answer. Nobody receives it.
_LEFT = 499


class Exchange:
    """Pure ASGI, and raw: it is in the way of every request. The steps behind it have its `State`."""

    def __init__(self, app: ASGIApp, deadlines: Deadlines | None = None, watcher: "Watcher | None" = None) -> None:
        self.app = app
        self._deadlines = deadlines or Deadlines()
        self._watcher = watcher or Watcher()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        state = _begin(scope, self._deadlines, started)
        self._watcher.begin(state, started)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_defaults([*message.get("headers", ()), *state.answer_headers])
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except asyncio.CancelledError:
            reply = _ended(scope)
            if reply is not None and reply.status_code == _LEFT:
                status = status or _LEFT
            elif reply is None or status:
                raise
            else:
                await reply(scope, receive, send_with_headers)
        except Exception as error:
            if status and isinstance(error, NotAuthenticated):
                raise  # no defect: the credential ended while it was answered
            failure = _failure(error, scope)
            if status:
                raise  # half an answer may be out, which only a broken connection can tell
            await failure(scope, receive, send_with_headers)
        finally:
            state.work.end()
            self._watcher.end(scope, status, started)


class WholeExchange(Answering):
    """The same for what has its answer whole."""

    def __init__(
        self,
        app: Answering,
        shedder: LoadShedder,
        deadlines: Deadlines | None = None,
        watcher: "Watcher | None" = None,
    ) -> None:
        self.app = app
        self._shedder = shedder
        self._watcher = watcher or Watcher()
        self._deadlines = deadlines or Deadlines()

    async def answer(self, scope: Scope, receive: Receive) -> Reply:
        started = time.perf_counter()
        state = _begin(scope, self._deadlines, started)
        scope[ROUTE] = scope["path"]  # nothing else is found by its path alone
        self._watcher.begin(state, started)
        status = 0
        try:
            try:
                reply = await self.app.answer(scope, receive)
            except asyncio.CancelledError:
                ended = _ended(scope)
                if ended is None:
                    raise
                reply = ended
            except Exception as error:
                reply = _failure(error, scope)
            status = reply.status_code
            reply.raw_headers = _with_defaults(reply.raw_headers + state.answer_headers)
            return reply
        finally:
            state.work.end()
            self._watcher.end(scope, status, started)

    def at_once(self, scope: Scope) -> Reply | None:
        if not self._shedder.waiting:
            return None
        started = time.perf_counter()
        state = _begin(scope, self._deadlines, started)
        scope[ROUTE] = scope["path"]
        reply = self.app.at_once(scope)
        state.work.end()
        if reply is not None:
            state.outcome = "shed"
            reply.raw_headers = _with_defaults(reply.raw_headers + state.answer_headers)
            self._watcher.end(scope, reply.status_code, started)
        return reply


class Counted:
    """An ASGI application whose requests are counted, by the outcome that it leaves in their state."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, state = time.perf_counter(), state_of(scope)
        state.outcome = "failed"
        try:
            await self._app(scope, receive, send)
        finally:
            self._requests.record(state.outcome, time.perf_counter() - started)


def _begin(scope: Scope, deadlines: Deadlines, started: float) -> State:
    # A server that knows the task spares us looking for it; it must not stay in the scope, which the task holds.
    task = scope.pop(TASK, None) or asyncio.current_task()
    state = scope[STATE] = State(scope, Work(deadlines, task, started))
    if b"prefer" in state.fields:
        _prefer(state)
    return state


def _prefer(state: State) -> None:
    """RFC 7240: whoever says for how long it waits is not answered later."""
    found = _WAIT.search(state.fields[b"prefer"])
    if found and int(found[1]) and state.work.shorten(float(found[1])):
        state.answer_headers.append((b"preference-applied", b"wait=%d" % int(found[1])))


def refuse_unread(error: RequestRefused, client: tuple[str, int] | None) -> Reply:
    """The answer to a request that could not be read, with an id of its own; the log tells whose it was."""
    request_id = new_id()
    facts = {
        "requestId": request_id.decode(),
        "client": client[0] if client else None,
        "status": error.http_status,
        "code": error.extensions["code"],
    }
    log_facts(logger, "request refused", facts)
    headers = {"retry-after": _RETRY_SECONDS} if error.http_status == 503 else None
    reply = refusal(error, headers)
    reply.raw_headers = _with_defaults([*reply.raw_headers, (ID_HEADER, request_id)])
    return reply


def _ended(scope: Scope) -> Reply | None:
    """The answer to a request that was cancelled; None where somebody else did it."""
    state = state_of(scope)
    work = state.work
    if work.take_back_if(Ending.LATE):
        return _failure(TimedOut(reason="deadline"), scope)
    if work.take_back_if(Ending.LEFT):
        state.outcome = "aborted"
        return Reply(b"", _LEFT, [])
    return None


def _failure(error: Exception, scope: Scope) -> Reply:
    request_id = state_of(scope).request_id
    if isinstance(error, ServiceUnavailable):
        if not isinstance(error, Shed):  # its line of the log says it
            log_fault(error, request_id)
        state_of(scope).outcome = "shed" if isinstance(error, Shed) else state_of(scope).outcome
        return refuse(error, scope)
    log_defect(error, request_id, path=scope["path"])
    return answer("Internal server error", internal(request_id), 500, scope)


class Watcher:
    """What is told of every exchange: a line of the log, its time for the metrics, and a trace of some."""

    def __init__(self, telemetry: Telemetry | None = None, tracing: Tracing | None = None) -> None:
        self._observe = telemetry.observe_exchange if telemetry else None
        self._tracing = tracing

    def begin(self, state: State, started: float) -> None:
        """In the task that answers."""
        TRAIL.set(state.trail)
        if self._tracing is not None:
            trace = state.trail.trace = self._tracing.begin(state.fields, started)
            if trace is not None:
                state.answer_headers.append((b"traceresponse", trace.header))

    def end(self, scope: Scope, status: int, started: float) -> None:
        seconds = time.perf_counter() - started
        method, route = scope["method"], _route(scope)
        if self._observe is not None:
            self._observe(method, route, status, seconds)
        _log(scope, status, seconds)
        trail = state_of(scope).trail
        if trail.trace is not None:
            trail.trace.end({"http.request.method": method, "http.route": route, "http.response.status_code": status})


def _route(scope: Scope) -> str:
    """As it is written here, whatever stands in its places; empty for a path at which nobody answers."""
    route = scope.get("route")
    return scope.get(ROUTE, "") if route is None else getattr(route, "path", "")


def _told_path(scope: Scope) -> str:
    """The path as it came, or as it is written here where it holds what opens something: a log must not."""
    route = _route(scope)
    return route if SECRET in route else scope["path"]


def _log(scope: Scope, status: int, seconds: float) -> None:
    state = state_of(scope)
    facts = {
        "requestId": state.request_id,
        "method": scope["method"],
        "path": _told_path(scope)[:_LONGEST_PATH],
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    trail = state.trail
    if trail.statements:
        facts["statements"], facts["dbMs"] = trail.statements, round(trail.seconds * 1000, 1)
    if state.points:
        facts["points"] = state.points
    if trail.trace is not None:
        facts["traceId"] = trail.trace.id
    if state.operation:
        facts["operation"] = state.operation[:_LONGEST_NAME]
    if state.outcome:
        facts["outcome"] = state.outcome
    log_facts(logger, "request", facts)


def _with_defaults(headers: list[Header]) -> list[Header]:
    names = [name for name, _ in headers]
    if _SAFE_NAMES.isdisjoint(names):
        return headers + _SAFE_HEADERS
    return headers + [header for header in _SAFE_HEADERS if header[0] not in names]
