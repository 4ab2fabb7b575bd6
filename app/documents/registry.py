"""The registered documents as the requests of one process see them.

An ordinary text costs nothing where nobody has to register any: `asks_for_nothing` says so. All else needs to know who
asks, because an id means something to the callers of its application alone; unknown, retired and another's ids take the
same way, to the same answer. What is found is kept as other rows are (`app.postgres.events`). Who may ask what is read
anew when it changes, and before an answer is given where it has never been read.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from app.auth.storefront_key import Storefront
from app.auth.viewer import Viewer
from app.documents.ahead import Ahead
from app.documents.identifier import hash_named_by, hash_of, is_id
from app.documents.policy import Caller, Mode, Policy
from app.documents.refusal import (
    CallerUnknown,
    DocumentIdRequired,
    NotInSafelist,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
)
from app.documents.significant import significant_hash
from app.errors import NotAuthenticated
from app.execution.document import RequestErrors
from app.execution.execute import Engine
from app.postgres.database import Database
from app.postgres.events import BEAT_SECONDS, POLL_SECONDS, Tables, within
from app.telemetry import Telemetry, describe, log_facts
from sql import Reach, Statement, Visibility, load

logger = logging.getLogger("waybill.documents")

SQL = load("trusted_document")
TABLES = ("applications", "application_callers", "document_modes", "trusted_documents")
OUTCOMES = ("by_id", "unknown_id", "registered", "unregistered", "refused")

_OURS = Visibility.everything()
# Uses are written together, and of a document no more often than this.
_USES_SECONDS = 60.0
_USE_INTERVAL = timedelta(minutes=10)
_MOST_USES = 1_000
# Documents that are kept with their texts, which the registry bounds.
MOST_KEPT = 5_000
# Texts that were told to the log, of which each is told once.
_MOST_TOLD = 1_000


class Identity(NamedTuple):
    """Who asks, and why a credential that was brought is not accepted."""

    viewer: Viewer | None
    refusal: NotAuthenticated | None


class Found(NamedTuple):
    """A registered document; `id` is None of what is none."""

    id: int | None
    text: str


class _NotFound(Exception):
    """Nothing that is kept."""


_NONE = Found(None, "")
# By the applications of whoever asks, and by an id or the hash of a text.
FOUND = Tables[tuple[frozenset[int], str | bytes], Found]("trusted_documents", limit=MOST_KEPT)


class TrustedDocuments:
    """`asks_for_nothing` while nobody's texts are looked at. `outcomes` counts, by one of `OUTCOMES`."""

    db: Database

    def __init__(self, engine: Engine, default: Mode) -> None:
        self.asks_for_nothing = False
        self.outcomes: Counter[str] = Counter(dict.fromkeys(OUTCOMES, 0))
        self._default = default
        self._most_tokens = engine.documents.most_tokens
        self._policy: Policy | None = None
        self._changed = asyncio.Event()
        self._more = asyncio.Event()
        self._used: set[int] = set()
        self._told: OrderedDict[bytes, None] = OrderedDict()
        self._tasks: list[asyncio.Task[None]] = []
        self._ahead = Ahead(engine)

    @property
    def made(self) -> int:
        """How many documents had their plans made ahead."""
        return self._ahead.made

    # -------------------------------------------------------------------------------------------- what requests ask

    async def text_of(
        self,
        text: str,
        document_id: str | None,
        identify: Callable[[], Awaitable[Identity]],
        storefront: Storefront,
        name: str | None = None,
    ) -> str:
        """The text that runs for a request of `text`, empty where there is none, and of a document's id.

        `name` is the operation's, for the log. Raises a `RequestErrors` of `app.documents.refusal`, and
        `ServiceUnavailable`.
        """
        identity = await identify()
        policy = self._policy or await self._read_policy()
        caller = Caller.of(identity.viewer, storefront)
        mode, applications = policy.mode_of(caller), policy.applications_of(caller)
        if mode is Mode.ID_ONLY or not text:
            if document_id is None:
                raise self._refused(
                    DocumentIdRequired() if identity.refusal is None else CallerUnknown(identity.refusal)
                )
            found = await self._by_id(document_id, applications)
            if found.id is None:
                self.outcomes["unknown_id"] += 1
                raise _unknown(identity, applications, mode)
            return self._use(found, "by_id")
        if mode is Mode.OFF:
            return text
        found = await self._by_text(text, applications)
        if found.id is not None:
            self._use(found, "registered")
        elif mode is Mode.SAFELIST:
            raise self._refused(NotInSafelist() if identity.refusal is None else CallerUnknown(identity.refusal))
        else:
            self._tell(text, caller, name)
        return text

    def _use(self, found: Found, outcome: str) -> str:
        self.outcomes[outcome] += 1
        if found.id is not None and len(self._used) < _MOST_USES:
            self._used.add(found.id)
        return found.text

    def _refused(self, refusal: RequestErrors) -> RequestErrors:
        self.outcomes["refused"] += 1
        return refusal

    def _tell(self, text: str, caller: Caller, name: str | None) -> None:
        self.outcomes["unregistered"] += 1
        digest = hash_of(text)
        if digest not in self._told:
            facts = {
                "caller": (*caller.keys, caller.kind)[0],
                "operation": name,
                "documentId": f"sha256:{digest.hex()}",
            }
            log_facts(logger, "a document is not registered", facts)
        self._told[digest] = None
        self._told.move_to_end(digest)
        if len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)

    async def _by_id(self, document_id: str, applications: frozenset[int]) -> Found:
        if not applications or not is_id(document_id):
            return _NONE
        values = {"document_id": document_id, "hash": hash_named_by(document_id)}
        return await self._find(document_id, applications, SQL.by_document_id, lambda: values)

    async def _by_text(self, text: str, applications: frozenset[int]) -> Found:
        if not applications:
            return _NONE
        digest = hash_of(text)

        def values() -> dict[str, Any]:
            return {"hash": digest, "significant_hash": significant_hash(text, self._most_tokens)}

        return await self._find(digest, applications, SQL.by_text, values)

    async def _find(
        self, key: str | bytes, applications: frozenset[int], statement: Statement, values: Callable[[], dict[str, Any]]
    ) -> Found:
        """What is not found is asked for anew each time: nobody drives out by it what is."""

        async def look_up() -> Found:
            asked = values()
            rows = await self.db.fetch(statement, _OURS, application_ids=sorted(applications), **asked)
            # A hash names its own text, whatever else was once registered by it as by an id.
            rows = [row for row in rows if row["hash"] == asked["hash"]] or rows
            # An id that several applications of this caller gave to different texts names none of them.
            if len({row["hash"] for row in rows}) != 1:
                raise _NotFound
            return Found(rows[0]["id"], rows[0]["text"])

        try:
            return await self.db.table_cache(FOUND).get((applications, key), look_up)
        except _NotFound:
            return _NONE

    # -------------------------------------------------------------------------------------------- what goes on beside

    async def start(self, db: Database) -> None:
        """Reads who may ask what, and goes on to look after it until `close`.

        Where it cannot be read, for want of a migration say, it is read before the first answer.
        """
        self.db = db
        db.events.watch(TABLES, self._changed.set)
        with suppress(Exception):  # whoever asks is told
            await self._read_policy()
        self._tasks = [asyncio.create_task(work) for work in (self._follow(), self._make_ahead(), self._note_uses())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with suppress(Exception):  # of use to reports alone
            await self._write_uses()

    async def _read_policy(self) -> Policy:
        """Raises `ServiceUnavailable`, and what asyncpg raises."""
        prepared = SQL.policy.prepare(Reach.EVERYTHING)
        policy = Policy.of(self._default, await self.db.pool.fetch(prepared.text))
        self._policy = policy
        self.asks_for_nothing = policy.asks_for_nothing
        return policy

    async def _follow(self) -> None:
        """Reads the policy anew when it may have changed: when the database says so, and from time to time."""
        while True:
            seconds = BEAT_SECONDS if self.db.events.is_listening else POLL_SECONDS
            await within(seconds, self._changed)
            self._changed.clear()
            try:
                await self._read_policy()
            except Exception as error:  # the next time is the remedy
                logger.warning("modes of callers were not read", extra={"facts": {"reason": describe(error)}})
            self._more.set()

    async def _make_ahead(self) -> None:
        """Makes the plans of what was registered, which lasts, where anybody calls by an application."""
        while True:
            try:
                if self._policy is not None and self._policy.applications:
                    await self._ahead.go_on(self.db)
            except Exception as error:
                logger.warning("no plans were made ahead", extra={"facts": {"reason": describe(error)}})
            await self._more.wait()
            self._more.clear()

    async def _note_uses(self) -> None:
        while True:
            await asyncio.sleep(_USES_SECONDS)
            try:
                await self._write_uses()
            except Exception as error:  # as on a standby
                logger.info("uses of documents were not noted", extra={"facts": {"reason": describe(error)}})

    async def _write_uses(self) -> None:
        if not self._used:
            return
        used, self._used = self._used, set()
        prepared = SQL.note_uses.prepare(Reach.EVERYTHING)
        values = {"ids": sorted(used), "interval": _USE_INTERVAL}
        await self.db.pool.fetch_once(prepared.text, *prepared.arguments(values))


def _unknown(identity: Identity, applications: frozenset[int], mode: Mode) -> RequestErrors:
    if identity.refusal is not None:
        return CallerUnknown(identity.refusal)
    if not applications and mode <= Mode.LOG:
        return PersistedQueryNotSupported()
    return PersistedQueryNotFound()


def watch(telemetry: Telemetry, documents: TrustedDocuments) -> None:
    """Has the metrics tell what was asked by registered documents, and what was not."""
    telemetry.follow_counts(
        "waybill_trusted_documents",
        "Requests by what the registry of documents said; texts are looked at where a mode asks for it.",
        "outcome",
        {outcome: partial(documents.outcomes.__getitem__, outcome) for outcome in OUTCOMES},
    )
    telemetry.follow_gauge(
        "waybill_documents_ahead",
        "Registered documents whose plans were made before they came.",
        lambda: documents.made,
    )
