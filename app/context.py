"""What every resolver gets: who asks, and the rows that they may see."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache, cached_property, partial
from typing import Any, Protocol
from weakref import proxy

import asyncpg
from graphql import GraphQLResolveInfo

from app.auth.contact_login import ContactLogins
from app.auth.login import Logins
from app.auth.order_link import OrderLinks
from app.auth.password_link import PasswordLinks
from app.auth.storefront_key import Storefront
from app.auth.viewer import Kind, Viewer
from app.errors import CustomerNotLoggedIn, Forbidden, NotAuthenticated
from app.postgres.consistency import Consistency
from app.postgres.database import Database
from app.postgres.events import TableCache, Tables
from app.postgres.replicas import Reading
from app.postgres.transaction import IdempotencyKey, Transaction
from app.webhooks.target import Targets
from loaders.batch import Batch, Projection
from loaders.prefetch import Loaders, Pending
from loaders.result import COMPANY, ResultSet
from loaders.rows import Row
from loaders.selection import RowSelection
from sql import Statement


class Message(Protocol):
    """What an endpoint is sent. One that `is_thin` has ids alone."""

    @property
    def body(self) -> bytes: ...
    @property
    def media_type(self) -> str: ...
    @property
    def is_thin(self) -> bool: ...


class Messages(Protocol):
    """What makes the messages of webhooks; `targets` say where they may go. See `app.webhooks.message`."""

    targets: Targets

    def document_fault(self, text: str) -> str | None: ...
    async def of(self, endpoint: Row, viewer: Viewer, events: Sequence[dict[str, Any]]) -> Sequence[Message | None]: ...


class Context:
    """One request.

    `largest_page` bounds every list (B-23); `viewer` is None without a credential, and `refusal` says why one that was
    brought is not accepted. `storefront` is the shop that the request comes from. `address` is the client's, empty
    where there is none. `reading` chooses what is read from where there are several servers; else that is `db`.
    `idempotency_key` is what the caller names a mutation by, and `seconds` how long it waits, None where it does not
    say. `writing` is the request's transaction, None before `write`.
    """

    def __init__(
        self,
        *,
        db: Database,
        request_id: str,
        largest_page: int,
        viewer: Viewer | None = None,
        refusal: NotAuthenticated | None = None,
        logins: Logins,
        contact_logins: ContactLogins,
        password_links: PasswordLinks,
        order_links: OrderLinks,
        messages: Messages,
        storefront: Storefront,
        reading: Reading | None = None,
        address: str = "",
        idempotency_key: IdempotencyKey | None = None,
        seconds: float | None = None,
    ) -> None:
        self.db = db
        self.reading = reading
        self._reads: Database | Reading = db if reading is None else reading
        self._seconds = seconds
        self.largest_page = largest_page
        self.request_id = request_id
        self._viewer = viewer
        self.logins = logins
        self.contact_logins = contact_logins
        self.password_links = password_links
        self.order_links = order_links
        self.messages = messages
        self.storefront = storefront
        self.address = address
        self.refusal = refusal
        self._idempotency_key = idempotency_key
        self.writing: Transaction | None = None
        self._transaction: Transaction | None = None
        self._pending: Pending = []
        self.warnings: list[dict[str, str]] = []

    @cached_property
    def _loaders(self) -> Loaders:
        """Made when first asked: many requests find all they need in one result set."""
        # Loaders that held their context would make a circle of every request, for the garbage collector to find.
        return Loaders(partial(Context.fetch, proxy(self)), partial(Context._cache_of, proxy(self)), self._pending)

    @property
    def payer(self) -> str:
        """Who pays for the request: the viewer, or without one the storefront's key, or else the client's address."""
        if self._viewer is not None:
            return self._viewer.subject
        key = self.storefront.key
        return f"address:{self.address}" if key is None or key["id"] is None else f"storefront:{key['id']}"

    @property
    def viewer(self) -> Viewer:
        """Raises `NotAuthenticated` where there is none."""
        if self._viewer is None:
            raise self.refusal or NotAuthenticated()
        return self._viewer

    def require(self, permission: str | None = None) -> Viewer:
        """The viewer, who holds `permission` if one is named. Raises `NotAuthenticated` or `Forbidden`."""
        viewer = self.viewer
        if viewer.kind is Kind.LINK:
            raise Forbidden("A link shows its order by trackedOrder, and nothing else.")
        if permission is not None:
            if permission not in viewer.permissions:
                raise Forbidden(f"This needs the scope {permission}.")
            if self.writing is not None:
                self.writing.shown.permissions.add(permission)
        return viewer

    def customer(self) -> Viewer:
        """The viewer, who is a customer of the storefront's channel.

        Raises `StorefrontKeyRequired`, `StorefrontKeyInvalid` or `CustomerNotLoggedIn`.
        """
        channel_id, viewer = self.storefront.require()["channel_id"], self._viewer
        if viewer is None or viewer.kind is not Kind.CUSTOMER or viewer.visibility.channel_ids != (channel_id,):
            raise CustomerNotLoggedIn
        return viewer

    def warn(self, code: str, path: str, message: str) -> None:
        """Tells the caller, in the answer's `extensions`, of an argument that is taken though it may be a mistake."""
        self.warnings.append({"code": code, "path": path, "message": message})

    async def fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """The rows of `statement` that the viewer may see; see `Database.fetch`. Raises `NotAuthenticated`."""
        source = self.writing or self._reads
        return await source.fetch(statement, self.viewer.visibility, **values)

    def read_newest(self) -> None:
        """From here on all is read that is committed by now."""
        if self.reading is not None:
            self.reading.stay_at_primary()

    async def read_from(self, state: Consistency | None) -> None:
        """From here on no state is read before that one; None is the present one."""
        if self.reading is not None:
            await self.reading.show(state)

    async def state_read(self) -> Consistency | None:
        """A state no earlier than what was read so far; None where nobody keeps account."""
        return None if self.reading is None else await self.reading.seen()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """The transaction of what runs within the block, which begins with the first `write`.

        Whoever has the block commits it; what is not committed by its end is taken back.
        """
        self.read_newest()
        self._transaction = Transaction(self.db, self.request_id, self._seconds)
        try:
            yield self._transaction
        finally:
            await self._transaction.close()

    async def write(self, permission: str, tables: frozenset[str] = frozenset()) -> None:
        """Begins to write: from here on all statements of the request run in one transaction.

        A resolver calls it before anything else, and names the `tables` it writes whose rows are kept in memory. It
        does not commit: what the caller selects of the result is read after the resolver has returned, and belongs to
        the same transaction (see `run_mutation`). Raises what `require` raises, and `WaybillError`s of
        `Transaction.claim`; RuntimeError outside of a block of `transaction`.
        """
        viewer = self.require(permission)
        if self.writing is not None:
            return
        if self._transaction is None:
            raise RuntimeError("only a mutation writes")
        await self._transaction.begin(viewer.subject, tables)
        self.writing = self._transaction
        if self._idempotency_key is not None:
            await self.writing.claim(self._idempotency_key, viewer.visibility, viewer.permissions)

    async def fetch_joined(
        self,
        statement: Statement,
        selection: RowSelection | None,
        *,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        count: Statement | None = None,
        counted: frozenset[str] | None = None,
        **values: Any,
    ) -> tuple[Sequence[Row], int | None]:
        """The rows of `statement` as `fetch` gives them, and the `items_found` of `count` if one is given.

        The count has the filters `counted`, those of the rows if these are None.

        What hangs on the rows comes with them by one statement, and loaders have it from then on. Without a selection
        nothing is known of what hangs on them, and only they are read; so they are within a transaction. Raises
        `NotAuthenticated`.
        """
        visibility = self.viewer.visibility
        if selection is None or self.writing is not None:
            return await self.fetch(statement, filters=filters, order=order, **values), None
        known, queries = {**values, **visibility.keys}, self.db.queries
        query = await selection.combine(
            statement, visibility.reach, queries, filters, order, count, known, counted=counted
        )
        if query is None:
            return await self.fetch(statement, filters=filters, order=order, **values), None
        row = await self._reads.fetch_combined(query.combined, query.values(known))
        result = ResultSet(query, row)
        self._pending.append(result.joined)
        return result, result.items_found

    async def fetch_one(self, batch: Batch, selection: RowSelection | None, key: Any) -> Row | None:
        """The row of `key` that the viewer may see, with all that hangs on it; see `fetch_joined`.

        `key` is as the column of `batch` has it. Raises `NotAuthenticated`.
        """
        viewer, statement = self.viewer, batch.statement
        if selection is not None and self.writing is None:
            reach, queries, known = viewer.visibility.reach, self.db.queries, viewer.visibility.keys
            further = batch.column, COMPANY
            query = await selection.combine(statement, reach, queries, frozenset(), (), None, known, *further)
            if query is not None:
                view = await self._reads.look_up(query, batch, key, viewer.visibility, viewer.permissions)
                if view is not None:
                    self._pending.append(view.joined)
                return view
        rows = await self.fetch(statement, **{batch.parameter: [key]}, **batch.values)
        return rows[0] if rows else None

    def _cache_of(self, batch: Batch) -> TableCache[Any, Any] | None:
        """A transaction sees what it writes, so it caches nothing and takes nothing that is cached."""
        if self.writing is not None:
            return None
        return self._reads.table_cache(_tables_of(batch), self.viewer.visibility.channels if batch.by_channel else None)

    def cancel(self) -> None:
        """Ends what loaders still fetch for a request that is not answered any more."""
        if "_loaders" in vars(self):
            self._loaders.cancel()

    def load(self, batch: Batch, key: Any) -> Awaitable[Any]:
        """The rows of one key, gathered with those of its siblings."""
        return self._loaders.load(batch, key)

    def may(self, permission: str) -> bool:
        """Whether there is a viewer, and it holds `permission`."""
        if self._viewer is None or permission not in self._viewer.permissions:
            return False
        if self.writing is not None:
            self.writing.shown.permissions.add(permission)
        return True

    def cached(self, batch: Batch) -> Callable[[Any], Any] | None:
        """What gives the cached value of a key, or None for another; None where nothing is cached."""
        cache = self._cache_of(batch)
        return None if cache is None else cache.cached

    def available(self, batch: Batch, keys: Sequence[Any], projection: Projection = None) -> Any:
        """The rows of many keys where nothing has to be fetched for them, else None; see `Loaders.available`."""
        return self._loaders.available(batch, keys, projection)

    def load_all(self, batch: Batch, keys: Sequence[Any], projection: Projection = None) -> Any:
        """The rows of many keys, or an awaitable of them; see `Loaders.load_all`."""
        return self._loaders.load_all(batch, keys, projection)


@cache
def _tables_of(batch: Batch) -> Tables[Any, Any]:
    return Tables(*batch.tables)


Info = GraphQLResolveInfo[Context]
