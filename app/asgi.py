"""The composition root: settings in, application out. Nothing else knows all the parts."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from hmac import compare_digest
from pathlib import Path
from typing import Any

from graphql import GraphQLSchema
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.auth.contact_login import ContactLogins
from app.auth.login import Logins
from app.auth.order_link import OrderLinks
from app.auth.password import Passwords
from app.auth.password_link import PasswordLinks
from app.auth.storefront_key import Storefront, find_storefront
from app.auth.token import Tokens
from app.auth.viewer import Viewer, authenticate
from app.cache import Cache
from app.context import Context
from app.documents import registry
from app.documents.policy import Mode
from app.documents.registry import Identity, TrustedDocuments
from app.errors import NotAuthenticated, RequestRefused, ServiceUnavailable
from app.execution.execute import Engine
from app.execution.schema import build
from app.http import health, overload
from app.http.address import client_address, peer_address
from app.http.budget import Budgets, Rate
from app.http.cors import CrossOrigin, Origins, WholeCrossOrigin
from app.http.deadline import Deadlines
from app.http.graphql import GraphQLEndpoint
from app.http.middleware import Counted, Exchange, Watcher, WholeExchange
from app.http.overload import LoadShedder, Shedding, WholeShedding
from app.http.problem import GRAPHQL_PATHS, refuse
from app.http.rate_limit import Admission, RateLimited, RateLimits
from app.http.reply import Answering, Reply, reply
from app.http.state import new_id, state_of
from app.live import metrics
from app.live.hub import Hub
from app.live.operation import Operations
from app.live.reservation import Reservations
from app.live.session import Session, Sessions
from app.live.stream import Events, HTTPStream
from app.live.subscription import Subscriptions
from app.live.websocket import WebSocketEndpoint
from app.pages import routes as pages
from app.pages.front import Front
from app.pages.visit import Site
from app.postgres.consistency import HEADER as CONSISTENCY_HEADER
from app.postgres.database import Database
from app.postgres.migrate import migration_names
from app.postgres.replicas import Replicas
from app.postgres.retention import WEBHOOKS, Retention
from app.postgres.startup import until_reachable
from app.resolvers import bindables
from app.resolvers.names import snake_case
from app.rest import documents, export, openapi, shop
from app.rest.documents import DocumentsEndpoint
from app.rest.export import Export, Slots
from app.rest.openapi import OpenAPI
from app.rest.shop import ShopEndpoint
from app.settings import Settings, Worker
from app.telemetry import Telemetry, log_to_stderr
from app.tracing import Tracing
from app.webhooks import asyncapi
from app.webhooks.asyncapi import AsyncAPI
from app.webhooks.message import Messages
from app.webhooks.target import Targets

_CONSISTENCY = CONSISTENCY_HEADER.lower().encode()
# Beside the sources in a checkout and in an installed wheel alike.
SCHEMA = Path(__file__).parent.parent / "schema.graphql"


@cache
def executable_schema() -> GraphQLSchema:
    """Built once: it takes longer than all the rest of the start. Raises `SchemaError` where resolvers do not fit."""
    return build(SCHEMA.read_text("utf-8"), bindables, snake_case)


class Waybill:
    """What the requests of one process share. `db` is there while the application runs."""

    db: Database
    logins: Logins
    replicas: Replicas | None = None

    def __init__(self, settings: Settings, worker: Worker | None = None) -> None:
        """`worker` is what it is where others answer beside it.

        Raises `SettingsError` for unusable keys and `SchemaError` for a schema that its resolvers do not fit."""
        self.settings = settings
        self._worker = worker
        self.is_stopping = False
        self.tokens = Tokens(settings)
        redis_url = partial(settings.current, "REDIS_URL")
        self.rate_limits = RateLimits(settings.redis_url, worker, redis_url)
        rate = Rate(settings.cost_capacity, settings.cost_restore_rate)
        self.budgets = Budgets(rate, settings.redis_url, worker, redis_url)
        shared = settings.prometheus_multiproc_dir
        self.telemetry = Telemetry(shared, worker.number if worker and shared == worker.folder else None)
        self.telemetry.slow_seconds = settings.slow_statement
        self.tracing = Tracing(settings.traces) if settings.traces else None
        self.shedder = LoadShedder()
        self.cache = Cache(settings.cache_bytes)
        self.engine = Engine(
            executable_schema(),
            # What costs more than a bucket ever holds could never be paid.
            replace(settings.limits, cost=min(settings.limits.cost, settings.cost_capacity)),
            self.cache,
            suggest=settings.development,
            planned=settings.executor == "compiled",
        )
        self.documents = TrustedDocuments(self.engine, Mode.of(settings.document_mode))
        self.hub = Hub()
        limits = settings.limits
        self.sessions = Sessions(self.tokens, most=limits.streams, most_of_viewer=limits.viewer_streams)
        self.subscriptions = Subscriptions(self.engine, self.hub, self.sessions, self.budgets, self.context_of)
        targets = Targets(settings.webhook_allowed_networks, settings.webhook_ports)
        self.messages = Messages(self.engine, targets, self.context_for)
        self.migrations = frozenset(migration_names())
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self.running():
            app.state.db = self.db
            await self.documents.start(self.db)
            registry.watch(self.telemetry, self.documents)
            try:
                yield
            finally:
                await self.documents.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """All that goes on while requests are answered, and as much of it as `python -m app deliver` is."""
        self._loop = asyncio.get_running_loop()
        self.db = await until_reachable(lambda: Database.connect(self.settings, self.cache))
        await self.db.events.start()
        self.db.feed.start()
        if self.settings.read_database_url is not None:
            self.replicas = Replicas(self.db, self.settings, self._worker)
            await self.replicas.start()
            self.subscriptions.replicas = self.replicas
            for replica in self.replicas.all:
                replica.observe = self.telemetry.observe_statement
        passwords = Passwords()
        self.db.observe = self.telemetry.observe_statement
        self.hub.db = self.sessions.db = self.db
        self.logins = Logins(self.db, self.tokens, passwords, self.settings)
        attempts = self.logins.attempts
        self._context = partial(
            Context,
            db=self.db,
            largest_page=self.settings.limits.page,
            logins=self.logins,
            contact_logins=ContactLogins(self.db, self.tokens, passwords, attempts),
            password_links=PasswordLinks(self.db, self.tokens, passwords, attempts, self.settings),
            order_links=OrderLinks(self.db, self.tokens, attempts, self.settings),
            messages=self.messages,
        )
        days = self.settings.retention
        retention = Retention(self.db.pool, days) if days else None
        health.watch(self.telemetry, self.db, self.engine, self.replicas)
        overload.watch(self.telemetry, self.shedder)
        metrics.watch(self.telemetry, self.hub, self.sessions)
        self.telemetry.watch_process()
        try:
            async with self.telemetry.shared(), self._delivering():
                yield
        finally:
            self._loop = None
            passwords.close()
            await self.sessions.close()
            await self.hub.close()
            await self.rate_limits.close()
            await self.budgets.close()
            if retention is not None:
                await retention.close()
            if self.replicas is not None:
                await self.replicas.close()
            await self.db.close()
            if self.tracing is not None:
                await asyncio.to_thread(self.tracing.close)

    @asynccontextmanager
    async def _delivering(self) -> AsyncIterator[None]:
        """Calls the endpoints of webhooks, if that is to be done here."""
        if not self.settings.deliver:
            yield
            return
        # With it comes a client of HTTP, which nobody else needs, and whose loading takes long.
        from app.webhooks.deliverer import Deliverer

        log = Retention(self.db.pool, dict.fromkeys(WEBHOOKS, self.settings.webhook_log_days))
        deliverer = Deliverer(self.db, self.messages, self.context_for, self.settings)
        self.telemetry.follow_counts(
            "waybill_webhook_attempts",
            "Requests to receivers of webhooks.",
            "outcome",
            {outcome: partial(deliverer.counts.__getitem__, outcome) for outcome in deliverer.counts},
        )
        self.telemetry.follow_gauge("waybill_webhook_endpoints", "Endpoints served.", lambda: deliverer.endpoints)
        self.telemetry.follow_gauge("waybill_webhook_waiting", "Deliveries that wait.", lambda: deliverer.waiting)
        try:
            async with deliverer.running():
                yield
        finally:
            await log.close()

    def reload(self) -> None:
        """Reads the keys of tokens anew, between two steps of the loop: this may be called by a signal's handler."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.tokens.reload)

    def leave(self) -> None:
        """It ends, and others go on in its place: what lasts should begin anew with them."""
        self.sessions.stop()

    def stop(self) -> None:
        """From here on nobody should send anything new."""
        self.is_stopping = True
        self.leave()

    async def viewer_of(self, scope: Scope) -> Viewer | None:
        """Who asks, as the credentials stand now: see `authenticate`."""
        fields = state_of(scope).fields
        return await authenticate(scope["headers"], fields, self.db, self.tokens, peer_address(scope))

    async def identify(self, scope: Scope) -> Identity:
        """Who asks, looked up once until a context is opened for them. Raises `ServiceUnavailable`."""
        state = state_of(scope)
        if state.identity is None:
            try:
                state.identity = Identity(await self.viewer_of(scope), None)
            except NotAuthenticated as error:
                state.identity = Identity(None, error.with_traceback(None))
        return state.identity

    async def open_context(self, scope: Scope) -> Context:
        """A credential that is not accepted is a matter of the fields that need one, so introspection needs none.

        The storefront key has been looked up by `Admission`. Raises `ServiceUnavailable`.
        """
        viewer, refused, state = None, None, state_of(scope)
        if isinstance(state.storefront.refusal, ServiceUnavailable):
            raise state.storefront.refusal
        if state.identity is not None:
            viewer, refused = state.identity
            state.identity = None  # what is done once more is done as the credentials stand then
        else:
            try:
                viewer = await self.viewer_of(scope)
            except NotAuthenticated as error:
                refused = error.with_traceback(None)  # whose frames would hold the request in a circle
        reading = None
        if self.replicas is not None:
            reading = self.replicas.reading(viewer.subject if viewer else "", state.fields.get(_CONSISTENCY))
        context = state.work.context = self._context(
            reading=reading,
            request_id=state.request_id,
            viewer=viewer,
            refusal=refused,
            storefront=state.storefront,
            address=client_address(scope),
            idempotency_key=state.idempotency_key,
            seconds=state.work.seconds,
        )
        return context

    def context_of(self, session: Session) -> Context:
        """Of what is told to a session, rather than asked by it at this moment."""
        return self._context(
            request_id=new_id().decode(),
            viewer=session.viewer,
            refusal=session.refused,
            storefront=session.storefront,
        )

    def context_for(self, viewer: Viewer) -> Context:
        """Of what is told to an endpoint as its owner, who is not asking."""
        return self._context(
            request_id=new_id().decode(),
            viewer=viewer,
            storefront=Storefront(),
        )

    async def find_storefront(self, keys: Sequence[str], address: str) -> Storefront:
        return await find_storefront(keys, self.db, address)

    async def ready(self, _request: Request) -> Response:
        ready = None if self.is_stopping else await health.readiness(self.db, self.migrations, self.replicas)
        return reply({"status": "not ready"}, 503) if ready is None else reply(ready)

    async def metrics(self, request: Request) -> Response:
        token, given = self.settings.metrics_token, request.headers.get("authorization", "")
        if token is not None and not compare_digest(given.encode(), f"Bearer {token}".encode()):
            error = RequestRefused("The metrics need their token.", status=401, code="UNAUTHENTICATED")
            return refuse(error, request.scope, {"www-authenticate": "Bearer"})
        text, media_type = self.telemetry.exposition(request.headers.get("accept", ""))
        return Response(text, media_type=media_type)


def create_app(settings: Settings, worker: Worker | None = None) -> "Service":
    log_to_stderr(settings.log_format)
    waybill = Waybill(settings, worker)
    body_bytes = settings.limits.body_bytes
    deadlines = Deadlines(settings.deadline)
    admission = Admission(waybill.find_storefront, waybill.rate_limits)

    graphql_requests = waybill.telemetry.requests["graphql"]
    operations = Operations(waybill.subscriptions, admission, deadlines, waybill.shedder, graphql_requests)
    most_operations = settings.limits.stream_operations
    streams = Reservations(operations, most_operations=most_operations, body_bytes=body_bytes, worker=worker)

    def counted(app: ASGIApp, surface: str) -> Counted:
        return Counted(RateLimited(app, admission), waybill.telemetry.requests[surface])

    slots = Slots(max(1, settings.pool_size // 2))
    exports = [
        Export(
            source,
            waybill.engine.schema,
            waybill.open_context,
            waybill.viewer_of,
            waybill.budgets,
            slots,
            list_items=settings.limits.list_items,
            lengths=waybill.engine.documents.lengths,
        )
        for source in export.SOURCES
    ]
    schema, in_pages = waybill.engine.schema, partial(counted, surface="pages")
    rest, events = OpenAPI(exports), AsyncAPI(schema)
    front = Front(settings, waybill.tokens, schema, SCHEMA.read_text("utf-8"), rest, events)

    def endpoint(*, needs_key: bool = False) -> GraphQLEndpoint:
        return GraphQLEndpoint(
            waybill.engine,
            waybill.documents,
            waybill.identify,
            waybill.open_context,
            waybill.telemetry,
            admission,
            waybill.budgets,
            body_bytes=body_bytes,
            needs_key=needs_key,
            streams=streams,
            show=front.show,
        )

    def socket(endpoint: GraphQLEndpoint) -> WebSocketEndpoint:
        origins = frozenset(origin.encode() for origin in settings.allowed_origins)
        return WebSocketEndpoint(endpoint, operations, origins=origins, most_operations=most_operations)

    def shop_endpoint(endpoint: shop.Endpoint) -> ShopEndpoint:
        return ShopEndpoint(endpoint, waybill.open_context, waybill.budgets, body_bytes=body_bytes)

    by_path = {each.source.path: each for each in exports}
    site = Site(endpoint(), HTTPStream(Events(), waybill.subscriptions), waybill.viewer_of, by_path, body_bytes)
    # The second path is where the B2B SDK points by itself (B-2).
    graphql = {path: endpoint(needs_key=path.startswith("/api/")) for path in GRAPHQL_PATHS}
    shedder = waybill.shedder
    whole: dict[str, Answering] = {path: WholeShedding(answering, shedder) for path, answering in graphql.items()}
    watcher = Watcher(waybill.telemetry, waybill.tracing)
    middleware = [Middleware(Exchange, deadlines=deadlines, watcher=watcher)]
    if settings.allowed_origins:
        origins = Origins(settings.allowed_origins, closed=health.PATHS)
        whole = {path: WholeCrossOrigin(answering, origins) for path, answering in whole.items()}
        middleware.append(Middleware(CrossOrigin, origins))
    middleware.append(Middleware(Shedding, shedder))
    service = Service(
        {path: WholeExchange(answering, shedder, deadlines, watcher) for path, answering in whole.items()},
        {path: socket(answering) for path, answering in graphql.items()},
        waybill,
        routes=[
            *front.routes(in_pages),
            *(Route(path, answering) for path, answering in graphql.items()),
            *(shop.route(one, counted(shop_endpoint(one), "rest")) for one in shop.ENDPOINTS),
            *(Route(one.path, counted(each, "export")) for one, each in zip(export.SOURCES, exports, strict=True)),
            *pages.routes(site, in_pages),
            Route(
                documents.PATH,
                counted(
                    DocumentsEndpoint(
                        waybill.engine.documents, waybill.open_context, waybill.budgets, body_bytes=body_bytes
                    ),
                    "rest",
                ),
            ),
            Route(openapi.PATH, rest),
            Route(asyncapi.PATH, events),
            Route("/healthz", health.live),
            Route("/readyz", waybill.ready),
            Route("/metrics", waybill.metrics),
        ],
        middleware=middleware,
        exception_handlers={HTTPException: _refuse},
        lifespan=waybill.lifespan,
    )
    service.router.redirect_slashes = False
    service.front = front
    return service


class Service(Starlette):
    """Starlette, which finds what is `answering` by its path alone: it would try one route after the other. So it finds
    what speaks over `sockets`, which last, and would take the memory of all its layers with them.

    Whatever is spelt another way goes through the routes, which name the same endpoints. `reload` reads anew what
    operators change while the application runs, `stop` has it say that it is not ready any more, and `leave` ends what
    lasts where others are in its place. `front` is what it shows to browsers.
    """

    front: Front

    def __init__(
        self,
        answering: Mapping[str, Answering],
        sockets: Mapping[str, ASGIApp],
        waybill: Waybill,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._answering = answering
        self._sockets = sockets
        self.waybill = waybill
        self.reload = waybill.reload
        self.stop = waybill.stop
        self.leave = waybill.leave

    def find(self, scope: Scope) -> Answering | None:
        """What has the answer to a request whole, so that it need not be sent by the messages of ASGI."""
        return self._answering.get(scope["path"]) if scope["type"] == "http" else None

    def at_once(self, scope: Scope) -> Reply | None:
        """The answer to a request for which nothing is to be done: there are too many."""
        answering = self._answering.get(scope["path"])
        return None if answering is None else answering.at_once(scope)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = self._sockets.get(scope["path"]) if scope["type"] == "websocket" else None
        await (socket or self.find(scope) or super().__call__)(scope, receive, send)


async def _refuse(request: Request, error: Any) -> Response:
    """Starlette's own refusals, such as an unknown path, in the shape of all others."""
    code = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "BAD_REQUEST")
    return refuse(RequestRefused(error.detail, status=error.status_code, code=code), request.scope, error.headers)
