"""What every resolver gets: who asks, and the rows that they may see."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache, cached_property, partial
from typing import Any
from weakref import proxy

import asyncpg
from graphql import GraphQLResolveInfo

from app.auth.login import Logins
from app.auth.viewer import Kind, Viewer
from app.errors import CustomerNotLoggedIn, Forbidden, NotAuthenticated, StorefrontKeyRequired
from app.postgres.database import Database
from app.postgres.events import Tables, Watched
from app.postgres.lookups import Lookups
from app.postgres.transaction import IdempotencyKey, Write
from loaders.batch import Batch, Columns, Coming, Loaders, Row
from loaders.tree import Bundle, Tree
from sql import Statement


class Context:
    """One request.

    `largest_page` bounds every list (B-23); `viewer` is None without a credential, and `refusal` says why one that was
    brought is not accepted. `channel` is the row of the storefront key (see `app.auth.storefront_key`), None without a
    good one, and `key_refusal` says why. `address` is the client's, empty where there is none. `idempotency_key` is
    what the caller names a mutation by. `writing` is the request's transaction, None before `write`; whoever runs the
    request ends it.
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
        lookups: Lookups,
        channel: asyncpg.Record | None = None,
        key_refusal: NotAuthenticated | None = None,
        address: str = "",
        idempotency_key: IdempotencyKey | None = None,
    ) -> None:
        self.db = db
        self.largest_page = largest_page
        self.request_id = request_id
        self._viewer = viewer
        self.logins = logins
        self._lookups = lookups
        self.channel = channel
        self.address = address
        self.refusal = refusal
        self._key_refusal = key_refusal
        self._idempotency_key = idempotency_key
        self.writing: Write | None = None
        self._coming: Coming = []

    @cached_property
    def _loaders(self) -> Loaders:
        """Made when first asked: many requests find all they need in one bundle."""
        # Loaders that held their context would make a circle of every request, for the garbage collector to find.
        return Loaders(partial(Context.fetch, proxy(self)), partial(Context._kept, proxy(self)), self._coming)

    @property
    def viewer(self) -> Viewer:
        """Raises `NotAuthenticated` where there is none."""
        if self._viewer is None:
            raise self.refusal or NotAuthenticated()
        return self._viewer

    def require(self, scope: str | None = None) -> Viewer:
        """The viewer, who holds `scope` if one is named. Raises `NotAuthenticated` or `Forbidden`."""
        viewer = self.viewer
        if scope is not None:
            if scope not in viewer.scopes:
                raise Forbidden(f"This needs the scope {scope}.")
            if self.writing is not None:
                self.writing.shown.scopes.add(scope)
        return viewer

    def storefront(self) -> asyncpg.Record:
        """The row of the storefront key and its channel. Raises `StorefrontKeyRequired` or `StorefrontKeyInvalid`."""
        if self.channel is None:
            raise self._key_refusal or StorefrontKeyRequired()
        return self.channel

    def customer(self) -> Viewer:
        """The viewer, who is a customer of the storefront's channel.

        Raises `StorefrontKeyRequired`, `StorefrontKeyInvalid` or `CustomerNotLoggedIn`.
        """
        channel_id, viewer = self.storefront()["channel_id"], self._viewer
        if viewer is None or viewer.kind is not Kind.CUSTOMER or viewer.scope.channel_ids != (channel_id,):
            raise CustomerNotLoggedIn
        return viewer

    async def fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """The rows of `statement` that the viewer may see; see `Database.fetch`. Raises `NotAuthenticated`."""
        source = self.writing or self.db
        return await source.fetch(statement, self.viewer.scope, **values)

    async def write(self, scope: str, tables: frozenset[str] = frozenset()) -> None:
        """Begins to write: from here on all statements of the request run in one transaction.

        A resolver calls it before anything else, and names the `tables` it writes whose rows are kept in memory. Raises
        what `require` raises, and `WaybillError`s of `Write.claim`.
        """
        viewer = self.require(scope)
        if self.writing is None:
            self.writing = await Write.begin(self.db, viewer.subject, self.request_id)
            self.writing.tables = tables
            if self._idempotency_key is not None:
                await self.writing.claim(self._idempotency_key, viewer.scope, viewer.scopes)

    async def fetch_tree(
        self,
        statement: Statement,
        tree: Tree | None,
        *,
        filters: frozenset[str] = frozenset(),
        order: tuple[str, ...] = (),
        count: Statement | None = None,
        **values: Any,
    ) -> tuple[Sequence[Row], int | None]:
        """The rows of `statement` as `fetch` gives them, and the `items_found` of `count` if one is given.

        What hangs on the rows comes with them by one statement, and loaders have it from then on. Without a tree
        nothing is known of what hangs on them, and only they are read; so they are within a transaction. Raises
        `NotAuthenticated`.
        """
        scope = self.viewer.scope
        if tree is None or self.writing is not None:
            return await self.fetch(statement, filters=filters, order=order, **values), None
        known = {**values, **scope.keys}
        composition = await tree.compose(statement, scope.reach, self.db.compositions, filters, order, count, known)
        if composition is None:
            return await self.fetch(statement, filters=filters, order=order, **values), None
        row = await self.db.fetch_fused(composition.fused, composition.values(known))
        bundle = Bundle(composition, row)
        self._coming.append(bundle.hanging)
        return bundle, bundle.items_found

    async def fetch_one(self, batch: Batch, tree: Tree | None, key: Any) -> Row | None:
        """The row of `key` that the viewer may see, with all that hangs on it; see `fetch_tree` and `Lookups`.

        `key` is as the column of `batch` has it. Raises `NotAuthenticated`.
        """
        viewer, statement = self.viewer, batch.statement
        if tree is not None and self.writing is None:
            reach, compositions, known = viewer.scope.reach, self.db.compositions, viewer.scope.keys
            composition = await tree.compose(statement, reach, compositions, frozenset(), (), None, known, batch.column)
            if composition is not None:
                member = await self._lookups.get(composition, batch, key, viewer.scope, viewer.scopes)
                if member is not None:
                    self._coming.append(member.bundle.hanging)
                return member
        rows = await self.fetch(statement, **{batch.parameter: [key]}, **batch.values)
        return rows[0] if rows else None

    def _kept(self, batch: Batch) -> Watched[Any, Any] | None:
        """A transaction sees what it writes, so it keeps nothing and takes nothing that is kept."""
        return None if self.writing is not None else self.db.watched(tables_of(batch))

    def cancel(self) -> None:
        """Ends what loaders still fetch for a request that is not answered any more."""
        if "_loaders" in vars(self):
            self._loaders.cancel()

    def load(self, batch: Batch, key: Any) -> Awaitable[Any]:
        """The rows of one key, gathered with those of its siblings."""
        return self._loaders.load(batch, key)

    def may(self, scope: str) -> bool:
        """Whether there is a viewer, and it holds `scope`."""
        if self._viewer is None or scope not in self._viewer.scopes:
            return False
        if self.writing is not None:
            self.writing.shown.scopes.add(scope)
        return True

    def held(self, tables: Tables[Any, Any]) -> Callable[[Any], Any] | None:
        """What gives the value of a key that is kept now, or None for another; None where nothing is kept."""
        return None if self.writing is not None else self.db.watched(tables).held

    def at_hand(self, batch: Batch, keys: Sequence[Any], wanted: Columns = None) -> Any:
        """The rows of many keys where nothing has to be fetched for them, else None; see `Loaders.at_hand`."""
        return self._loaders.at_hand(batch, keys, wanted)

    def load_all(self, batch: Batch, keys: Sequence[Any], wanted: Columns = None) -> Any:
        """The rows of many keys, or an awaitable of them; see `Loaders.load_all`."""
        return self._loaders.load_all(batch, keys, wanted)


@cache
def tables_of(batch: Batch) -> Tables[Any, Any]:
    return Tables(*batch.tables)


Info = GraphQLResolveInfo[Context]
