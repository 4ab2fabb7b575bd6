"""What every resolver gets: who asks, and the rows that they may see."""

from collections.abc import Awaitable
from typing import Any

import asyncpg
from graphql import GraphQLResolveInfo

from app.auth.viewer import Viewer
from app.database import Database
from app.errors import Forbidden, NotAuthenticated
from loaders.batch import Batch, Loaders
from sql import Statement


class Context:
    """One request.

    `largest_page` bounds every list (B-23); `viewer` is None without a credential, and `refusal` says why one that was
    brought is not accepted.
    """

    def __init__(
        self,
        *,
        db: Database,
        request_id: str,
        largest_page: int,
        viewer: Viewer | None = None,
        refusal: NotAuthenticated | None = None,
    ) -> None:
        self.db = db
        self.largest_page = largest_page
        self.request_id = request_id
        self._viewer = viewer
        self._refusal = refusal
        self._loaders = Loaders(self.fetch)

    @property
    def viewer(self) -> Viewer:
        """Raises `NotAuthenticated` where there is none."""
        if self._viewer is None:
            raise self._refusal or NotAuthenticated()
        return self._viewer

    def require(self, scope: str | None = None) -> Viewer:
        """The viewer, who holds `scope` if one is named. Raises `NotAuthenticated` or `Forbidden`."""
        viewer = self.viewer
        if scope is not None and scope not in viewer.scopes:
            raise Forbidden(f"This needs the scope {scope}.")
        return viewer

    async def fetch(self, statement: Statement, **values: Any) -> list[asyncpg.Record]:
        """The rows of `statement` that the viewer may see; see `Database.fetch`. Raises `NotAuthenticated`."""
        return await self.db.fetch(statement, self.viewer.scope, **values)

    def load(self, batch: Batch, key: Any) -> Awaitable[Any]:
        """The rows of one key, gathered with those of its siblings."""
        return self._loaders.load(batch, key)


Info = GraphQLResolveInfo[Context]
