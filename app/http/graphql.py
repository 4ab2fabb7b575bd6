"""GraphQL over HTTP: https://graphql.github.io/graphql-over-http/draft/

A request error (malformed document, invalid, over a limit) is 400 for a caller that accepts
`application/graphql-response+json` and 200 for one that only knows `application/json`. What never was a GraphQL request
has its HTTP status for both.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import parse_qsl

import orjson
from graphql import OperationType
from starlette.types import Receive, Scope

from app.auth import storefront_key
from app.documents.identifier import read_id
from app.documents.refusal import PersistedQueryNotSupported
from app.documents.registry import Identity, TrustedDocuments
from app.errors import (
    RateLimitExceeded,
    RequestRefused,
    ServiceUnavailable,
    StorefrontKeyInvalid,
    StorefrontKeyRequired,
    TimedOut,
)
from app.execution.document import Operation, RequestErrors
from app.execution.errors import log_fault
from app.execution.execute import Answer, Engine, refuse
from app.http.body import read_body, refusal_headers
from app.http.budget import Budgets
from app.http.cost_report import COST_HEADER, Report, report_of, told, with_cost
from app.http.deadline import Ending
from app.http.index import is_for_a_person
from app.http.mutation import RenderedAnswer, read_key, run_mutation
from app.http.negotiation import GRAPHQL_RESPONSE, JSON, accept_of, is_json, negotiate
from app.http.rate_limit import Admission, too_many
from app.http.reply import Answering, Reply, dump, refusal, reply, reply_bytes, tagged, unavailable
from app.http.state import State, state_of
from app.telemetry import Telemetry
from app.tracing import step

# A browser sends none of these from a page of another origin unless a preflight allowed it, which is for the origins of
# the settings alone (`app.http.cors`). Without one, any page could make its visitor's browser run a query by GET.
# `Content-Type: application/json` is as good, and so is a bearer token; other credentials in `Authorization` are no
# proof, because browsers add those of HTTP's own schemes by themselves.
PREFLIGHT_HEADERS = (
    "graphql-require-preflight",
    "x-requested-with",
    "apollo-require-preflight",
    "apikey",
    storefront_key.HEADER,
)

# Far more than the five that GraphQL over HTTP knows.
MOST_PARAMETERS = 20

# What brings a document, or names it.
_DOCUMENT_PARAMETERS = (b"query=", b"documentId=", b"doc_id=", b"persistedQuery")

_VARY = {"vary": "Accept"}

OpenContext = Callable[[Scope], Awaitable[Any]]
Identify = Callable[[Scope], Awaitable[Identity]]
Fields = Mapping[bytes, bytes]

# What a list costs more by than by the rows it returns: words that many orders have, or filters that agree on few rows.
_NARROWER = "Lists answer sooner where they are narrowed: by `createdAt`, by companies, or by a rarer word."


@dataclass(slots=True)
class GraphQLRequest:
    """The parameters of the draft, of the right types. Of `extensions`, `idempotencyKey` and `persistedQuery` have a
    meaning, and no others.

    `query` is the text of the document, empty where it is named by `document_id` alone until it is known.
    """

    query: str
    operation_name: str | None
    variables: dict[str, Any]
    extensions: dict[str, Any]
    document_id: str | None

    @classmethod
    def of(cls, parameters: Any) -> "GraphQLRequest":
        """Raises `RequestRefused` for anything that is not a well-formed GraphQL request.

        Raises `PersistedQueryNotSupported` for a hash that is none, without the query that it stands for.
        """
        if isinstance(parameters, list):
            raise RequestRefused("Batches are not accepted: send one operation per request.")
        if not isinstance(parameters, dict):
            raise RequestRefused("The request must be a JSON object.")
        query, name = parameters.get("query"), parameters.get("operationName")
        variables, extensions = parameters.get("variables"), parameters.get("extensions")
        document_id = None
        if extensions or "documentId" in parameters or "doc_id" in parameters:
            document_id = read_id(parameters, extensions)
        if query in (None, ""):
            if document_id is not None:
                query = ""
            elif isinstance(extensions, dict) and extensions.get("persistedQuery") is not None:
                raise PersistedQueryNotSupported
        if not isinstance(query, str):
            raise RequestRefused('The parameter "query" must be a string.')
        if name is not None and not isinstance(name, str):
            raise RequestRefused('The parameter "operationName" must be a string or null.')
        if variables is not None and not isinstance(variables, dict):
            raise RequestRefused('The parameter "variables" must be an object or null.')
        if extensions is not None and not isinstance(extensions, dict):
            raise RequestRefused('The parameter "extensions" must be an object or null.')
        return cls(query, name or None, variables or {}, extensions or {}, document_id)


class Stream(Protocol):
    """Answers that go on: one to each event of a subscription, in the form that the caller takes."""

    def whole(self, answer: Answer) -> Reply:
        """The stream of one answer."""

    async def follow(self, request: GraphQLRequest, operation: Operation, scope: Scope, state: State) -> Reply:
        """The stream of a subscription."""


class Streams(Protocol):
    def accepted(self, accept: str) -> Stream | None:
        """The form that the header Accept names; None where it names none."""

    def concerns(self, scope: Scope, state: State) -> bool:
        """Whether a request may be about a stream that is reserved, or to be."""

    async def attend(self, scope: Scope, state: State, receive: Receive, endpoint: "GraphQLEndpoint") -> Reply | None:
        """The answer to such a request; None where it is about none after all. Raises `RequestRefused`."""


class GraphQLEndpoint(Answering):
    """GraphQL at one path. `open_context` makes what the resolvers get of the ASGI scope.

    With `needs_key` all but introspection is refused without a storefront key (C-3 to C-5). `identify` says who asks,
    which `open_context` takes over then; `trusted` knows what is registered. `show` is what a person
    sees who opens the path in a browser, without a query.
    """

    def __init__(
        self,
        engine: Engine,
        trusted: TrustedDocuments,
        identify: Identify,
        open_context: OpenContext,
        telemetry: Telemetry,
        admission: Admission,
        budgets: Budgets,
        *,
        body_bytes: int,
        needs_key: bool = False,
        streams: Streams | None = None,
        show: Callable[[Scope], Reply] | None = None,
    ) -> None:
        self._streams = streams
        self._show = show
        self._admission = admission
        self._budgets = budgets
        self._engine = engine
        self._trusted = trusted
        self._identify = identify
        self._open_context = open_context
        self._requests = telemetry.requests["graphql"]
        self._body_bytes = body_bytes
        self._needs_key = needs_key

    async def answer(self, scope: Scope, receive: Receive) -> Reply:
        started = time.perf_counter()
        state = state_of(scope)
        outcome = "failed"
        try:
            one_too_many = await self._admission.refuse(scope, speaks_graphql=True)
            response, outcome = (
                (one_too_many, "refused") if one_too_many else await self._respond(scope, state, receive)
            )
        except RequestRefused as error:
            response, outcome = refusal(error, _refusal_headers(error)), "refused"
        except (StorefrontKeyRequired, StorefrontKeyInvalid) as error:
            response, outcome = _key_refusal(error), "refused"
        except RateLimitExceeded as error:
            response, outcome = too_many(error, speaks_graphql=True), "refused"
        except ServiceUnavailable as error:
            response, outcome = _unavailable(error, state), "unavailable"
        except asyncio.CancelledError:
            outcome = "aborted"
            if not state.work.take_back_if(Ending.LATE):
                raise
            late = TimedOut(f"{TimedOut.text} {_NARROWER}", reason="deadline")
            response, outcome = _unavailable(late, state), "unavailable"
        finally:
            state.outcome = outcome
            self._requests.record(outcome, time.perf_counter() - started)
        return response

    async def _respond(self, scope: Scope, state: State, receive: Receive) -> tuple[Reply, str]:
        headers = state.fields
        method: str = scope["method"]
        if self._show and method != "POST" and not names_document(scope["query_string"]) and is_for_a_person(scope):
            return self._show(scope), "ok"
        if self._streams is not None and self._streams.concerns(scope, state):
            attended = await self._streams.attend(scope, state, receive, self)
            if attended is not None:
                return attended, "ok"
        if method not in ("GET", "POST"):
            raise _method_not_allowed(f"{method} is not supported.", allow="GET, POST, PUT")
        accept = accept_of(scope["headers"]) if b"accept" in headers else None
        media_type = JSON if accept is None else negotiate(accept)
        stream = None if accept is None or self._streams is None else self._streams.accepted(accept)
        if media_type is None and stream is None:
            raise RequestRefused(
                f"The answer can be {GRAPHQL_RESPONSE} or application/json.", status=406, code="NOT_ACCEPTABLE"
            )
        request: GraphQLRequest | None = None
        try:
            request = await self.read(scope, state, receive)
            if state.body is None:  # else the server knows the whole request, and looks after its caller
                state.work.watch(scope, receive)
            answer = await self._answer(request, scope, state, stream)
            if isinstance(answer, Reply):
                return answer, "ok"
        except PersistedQueryNotSupported as refused:
            answer = refuse(refused, state.request_id)
        if media_type is None:
            assert stream is not None  # noqa: S101  or it was refused
            return stream.whole(answer), _counted_as(answer)
        if answer.fault:
            return unavailable(answer.fault, {"errors": answer.body["errors"]}), "unavailable"
        if isinstance(answer, RenderedAnswer):
            return reply_bytes(answer.text, 200, media_type, _VARY | answer.headers), _counted_as(answer)
        outcome = _counted_as(answer)
        if method == "GET" and outcome == "ok" and request is not None and request.document_id is not None:
            return tagged(dump(answer.body), media_type, headers.get(b"if-none-match"), _VARY), outcome
        status = 200 if answer.ran or media_type != GRAPHQL_RESPONSE else 400
        return reply(answer.body, status, media_type, _VARY), outcome

    async def read(self, scope: Scope, state: State, receive: Receive, *, is_proven: bool = False) -> GraphQLRequest:
        """The request, of the query string or of the body. A GET `is_proven` that no page of another origin can send.

        Raises `RequestRefused`, `PersistedQueryNotSupported`.
        """
        if scope["method"] == "GET":
            is_proven = is_proven or _had_preflight(state.fields)
            return _from_query_string(scope["query_string"], is_proven, self._body_bytes)
        _check_type(state.fields)
        return GraphQLRequest.of(_load(await read_body(scope, receive, self._body_bytes)))

    async def _answer(
        self, request: GraphQLRequest, scope: Scope, state: State, stream: Stream | None
    ) -> Answer | Reply:
        """Of a subscription the reply that goes on, where the caller takes a stream."""
        try:
            if not request.query or not self._trusted.asks_for_nothing:
                await self._settle(request, scope, state)
            operation = self._prepare(request, state, scope["method"], streams=stream is not None)
        except RequestErrors as errors:
            return refuse(errors, state.request_id)
        if stream is not None and operation.kind is OperationType.SUBSCRIPTION and not self.is_validated(state):
            return await stream.follow(request, operation, scope, state)
        try:
            return await self.run(request, operation, scope, state)
        except RequestErrors as errors:  # what it costs is known with its variables
            return refuse(errors, state.request_id)

    async def prepare(self, request: GraphQLRequest, scope: Scope, state: State, method: str = "POST") -> Operation:
        """The operation of a request, which has its text from here on. Raises `RequestErrors`; `StorefrontKeyRequired`
        or `StorefrontKeyInvalid`, so that a stranger does not learn what the schema lacks; `RequestRefused` for what a
        method is not for; `ServiceUnavailable`.
        """
        await self._settle(request, scope, state)
        return self._prepare(request, state, method, streams=True)

    def prepare_own(self, request: GraphQLRequest, state: State) -> Operation:
        """The operation of a document of the service's own, whatever callers are held to. Raises as `prepare` does."""
        return self._prepare(request, state, "POST", streams=True)

    async def _settle(self, request: GraphQLRequest, scope: Scope, state: State) -> None:
        """Gives the request the text that runs. Nothing is to be done for one that has a text while no mode asks."""
        if request.query and self._trusted.asks_for_nothing:
            return
        identify = partial(self._identify, scope)
        request.query = await self._trusted.text_of(
            request.query, request.document_id, identify, state.storefront, request.operation_name
        )

    def _prepare(self, request: GraphQLRequest, state: State, method: str, *, streams: bool) -> Operation:
        try:
            operation = self._engine.prepare(request.query, request.operation_name)
        except RequestErrors:
            if self._needs_key:
                state.storefront.require()
            raise
        is_read = operation.kind is OperationType.QUERY or (streams and operation.kind is OperationType.SUBSCRIPTION)
        if method == "GET" and not is_read:
            raise _method_not_allowed(f"A {operation.kind.value} needs POST.", allow="POST")
        state.operation = operation.name
        if self._needs_key and not operation.is_introspection:
            state.storefront.require()
        return operation

    @staticmethod
    def is_validated(state: State) -> bool:
        """Whether a request is to be told its cost alone, by `run`, of a subscription too. Raises `RequestRefused`."""
        return _report(state) is Report.VALIDATE

    async def run(self, request: GraphQLRequest, operation: Operation, scope: Scope, state: State) -> Answer:
        """The answer to a query, or a mutation.

        Raises `RequestErrors` for one that costs too much, `RateLimitExceeded` where the viewer has not the points, and
        `RequestRefused` for a header that is none.
        """
        estimate = self._engine.documents.estimate(operation, request.variables)
        report = _report(state)
        budgets, request_id = self._budgets, state.request_id
        if report is Report.VALIDATE:
            left = await budgets.left((await self._open_context(scope)).payer)
            cost = told(estimate, None, budgets.balance(left))
            return Answer({"data": None, "extensions": {"cost": cost}}, ran=True)
        if operation.kind is not OperationType.MUTATION:
            context = await self._open_context(scope)
            payer = context.payer
            is_counted = await budgets.take(payer, estimate.points, state, exactly=report is not None)
            with step("graphql.execute"):
                answer = await self._engine.run(operation, request.variables, context, request_id)
        else:
            payer, answer = await self._run_mutation(request, operation, scope, state, estimate.points)
            is_counted = True
        if not is_counted:
            return answer
        data = answer.body.get("data")
        left = await budgets.settle(payer, estimate.actual_points(data), state)
        if report is not None:
            answer = with_cost(answer, told(estimate, estimate.actual(data), budgets.balance(left)))
        return answer

    async def _run_mutation(
        self, request: GraphQLRequest, operation: Operation, scope: Scope, state: State, points: int
    ) -> tuple[str, Answer]:
        """Who pays for it, and the answer."""
        state.work.goes_on = True
        payer = ""

        async def run(context: Any) -> Answer:
            nonlocal payer
            if not payer:  # it may be tried more than once
                payer = context.payer
                await self._budgets.take(payer, points, state)
            with step("graphql.execute"):
                return await self._engine.run(operation, request.variables, context, state.request_id)

        asked = request.query, operation.name, request.variables
        state.idempotency_key = read_key(scope["headers"], request.extensions, *asked)
        answer = await run_mutation(partial(self._open_context, scope), run, state.request_id, state.work)
        return payer, answer


def _report(state: State) -> Report | None:
    return report_of(state.fields[COST_HEADER]) if COST_HEADER in state.fields else None


def _check_type(headers: Fields) -> None:
    if not _has_json(headers):
        raise RequestRefused("The body must be application/json in UTF-8.", status=415, code="UNSUPPORTED_MEDIA_TYPE")


def _has_json(headers: Fields) -> bool:
    content_type = headers.get(b"content-type", b"")
    return content_type == b"application/json" or is_json(content_type.decode("latin-1"))


def _from_query_string(query_string: bytes, had_preflight: bool, limit: int) -> GraphQLRequest:
    # A hash without the query runs nothing then, and who sends it must learn all the same that it has to send that.
    if not had_preflight and b"persistedQuery" not in query_string:
        raise _preflight_required()
    if len(query_string) > limit:
        raise RequestRefused("The query string is too long.", status=414, code="URI_TOO_LONG")
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MOST_PARAMETERS
        )
    except ValueError:
        raise RequestRefused("The query string is not URL-encoded UTF-8.") from None
    parameters: dict[str, Any] = {}
    for name, value in pairs:
        if name in parameters:
            raise RequestRefused(f'The parameter "{name}" is given twice.')
        is_json_text = name in ("variables", "extensions") and value
        parameters[name] = _load(value, f'The parameter "{name}"') if is_json_text else value or None
    request = GraphQLRequest.of(parameters)
    if not had_preflight:
        raise _preflight_required() if request.query else PersistedQueryNotSupported
    return request


def names_document(query_string: bytes) -> bool:
    """Whether a query string may hold a document, or name one."""
    return any(name in query_string for name in _DOCUMENT_PARAMETERS)


def _preflight_required() -> RequestRefused:
    example = f"{PREFLIGHT_HEADERS[0]}: 1"
    message = f"GET needs a header that a browser sends to other origins only by permission, such as {example}."
    return RequestRefused(message, code="PREFLIGHT_REQUIRED")


def _had_preflight(headers: Fields) -> bool:
    return (
        _has_json(headers)
        or headers.get(b"authorization", b"")[:7].lower() == b"bearer "
        or any(name.encode() in headers for name in PREFLIGHT_HEADERS)
    )


def _load(text: bytes | str, what: str = "The request") -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        # JSON may hold numbers that nothing here can: the reason tells them from what is not JSON.
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestRefused(f"{what} cannot be read as JSON in UTF-8: {error.msg} ({place}).") from None


def _method_not_allowed(message: str, *, allow: str) -> RequestRefused:
    return RequestRefused(message, status=405, code="METHOD_NOT_ALLOWED", allow=allow)


def _refusal_headers(error: RequestRefused) -> dict[str, str]:
    headers = {**_VARY, **refusal_headers(error)}
    if "allow" in error.extensions:
        headers["allow"] = error.extensions["allow"]
    if error.http_status == 415:
        headers["accept-post"] = "application/json"
    return headers


def _key_refusal(error: StorefrontKeyRequired | StorefrontKeyInvalid) -> Reply:
    body = {
        "message": error.message,
        "error": error.kind,
        **storefront_key.DESCRIBED,
        "errors": [{"message": error.message, "extensions": error.extensions}],
    }
    return reply(body, error.status, headers=_VARY)


def _unavailable(error: ServiceUnavailable, state: State) -> Reply:
    log_fault(error, state.request_id)
    return unavailable(error)


def _counted_as(answer: Answer) -> str:
    if not answer.ran:
        return "refused"
    if answer.defects:
        return "failed"
    return "errors" if "errors" in answer.body else "ok"
