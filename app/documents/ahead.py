"""Has the plans of registered documents made before somebody asks, at the start and when documents are registered.

In the background, one document after the other with a rest as long as the last one took: whoever asks meanwhile waits
for one at most. Those that were used last come first, until they take their share of the cache.
"""

import asyncio
import logging
import time

from app.execution.document import RequestErrors
from app.execution.execute import Engine
from app.postgres.database import Database
from app.telemetry import log_facts
from sql import Reach, load

logger = logging.getLogger("waybill.documents")

SQL = load("trusted_document")

# What is made ahead at a time.
MOST_AHEAD = 2_000
# Of the cache; the rest is for what is asked.
_SHARE = 0.5
_LONGEST_REST_SECONDS = 1.0


class Ahead:
    """`made` counts the documents whose plans were made ahead."""

    def __init__(self, engine: Engine) -> None:
        self.made = 0
        self._engine = engine
        self._newest = 0
        self._bytes = 0

    async def go_on(self, db: Database) -> None:
        """Makes those of documents that were registered since the last time. Raises what the pool raises."""
        prepared = SQL.newest.prepare(Reach.EVERYTHING)
        rows = await db.pool.fetch(prepared.text, *prepared.arguments({"after": self._newest, "most": MOST_AHEAD}))
        for row in rows:
            if self._bytes > self._engine.documents.limit * _SHARE:
                break
            began = time.monotonic()
            self._make(row["id"], row["text"])
            await asyncio.sleep(min(time.monotonic() - began, _LONGEST_REST_SECONDS))
        self._newest = max((row["id"] for row in rows), default=self._newest)

    def _make(self, id_: int, text: str) -> None:
        try:
            document = self._engine.documents.read_ahead(text)
        except RequestErrors as refusal:
            facts = {"id": id_, "reason": str(refusal)}
            log_facts(logger, "a registered document cannot run any more: see `documents check`", facts)
            return
        self._bytes += document.charged
        self.made += 1
