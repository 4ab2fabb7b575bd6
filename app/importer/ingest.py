"""`python -m app import`: newline-delimited JSON into the store, as the import format says.

    lines ─ reader.read, records.check ─ staging.stage ─ batches ─ staging.write ─ sql/ingest.sql
                └── a bad line: `file:line: path: reason` on the report; the good ones go on

A batch is one transaction, so an import that is killed has applied whole records only, and running it again completes
it. With `strict` everything is one transaction: the first bad line ends the import, and nothing of it is applied.

The rules are those of every other write (sql/ingest.sql), and they bind a record against the store: what it ships,
together with shipments made here, is no more than it orders, and a shipment gets from the store's status to the
record's. A record tells where a parcel has got to, so steps on the way may be left out, but it does not go back. The
record's order status needs no step of the graph.

What a record leaves open, and the import settles:

- Newer wins (decision 18). An order has the moment at which its source wrote the record (`sourceModifiedAt`; where that
  is missing, `lastModifiedAt`). A record older than that changes nothing, is reported and counted as outdated, and is
  no fault of the file: the exit status stays 0. A status that was set here (by a mutation, an operator) stays where the
  record is older than the setting, one that carriers told where it is older than their news. A record without a moment
  is taken for new. One of a shipment that was set here stays as well where it does not get to the record's: the report
  warns of it, and the rest of the record is applied. What a record repeats of the order's or the payment's status is no
  news either: what was set here since stays, with a warning.
- What an order owns becomes what the record says, and what the record does not mention stays: a value that is null is
  emptied, and lines, addresses, shipments, items and codes that are gone from their list are deleted; a code that
  another shipment of the record lists moves there. What lines and their order cost is mentioned as a whole: without a
  `discount`, a `taxPercentage` or `totals` there are none.
  Shipments made here, without an external id, always stay, and so do those, with their items and codes, of which
  something has been delivered; a line that they hold cannot go.
- A line is the store's line of the same `lineId`, and where there is none, that of the same number, which takes the
  `lineId` from then on (decision 20). One of which something has been shipped does not become another sku.
- A shipment may list a bundle in place of its parts, and what it tells of the past is taken where a mutation would be
  refused: see docs/lines.md for classes, bundles, cancellations, and orders that finish (decisions 21 and 22).
- What orders share keeps the values that a record leaves out. Of several orders that name a company or a customer the
  newest decides (`createdAt`, then `externalId`), so the order of the lines does not matter. A parent company that no
  record has named yet bears its external id as its name.
- `lastModifiedAt` of the store is its own (decision 19): the moment of the import, whatever the source's dates.
- A customer is an account, known by its id. An order's is the one with the key (`externalId`) that the record names;
  else the one that the order has already, whatever its e-mail is now; else the one with the e-mail. Nobody is known by
  a phone (C-50).
- News of carriers is applied after the orders of its batch, and waits for a code that no line has brought yet (B-60).
  It is told once: what has its key, or says the same without one, is there already.
- Money is computed line by line, exactly, and rounded once (decision 23). `totals` of the record are what is shown;
  where they differ from what its lines make, the report warns of it by name, which is no refusal. Of a `discount` and a
  `discountAmount` the amount is what is taken off. An order in another currency than its channel's has the rate of its
  `currencyRatio`, or of the channel's `rates` when it came in, and keeps it. `refunds` are known by `externalId`.
- A channel or carrier is known to the lines below its own, and to those of the next imports.
- A carrier without a `channel` is one of all channels. Of two of a name, an order's codes mean the one that its channel
  has of its own; but a code that is there keeps its carrier as long as that bears the name.
"""

import json
import sys
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TextIO

import asyncpg

from app.importer import staging
from app.importer.lines import MAX_LINE, Unreadable, label, lines
from app.importer.progress import Progress
from app.importer.reader import read
from app.importer.records import Carrier, Channel, Known, Outdated, Refused, printable
from app.importer.staging import Outcome, Staged
from app.postgres.connect import CONNECT_SECONDS, Connector, is_direct

_BATCH_RECORDS = 1000
_BATCH_BYTES = 16 * 1024 * 1024
# The store is measured again when it has grown to so many times what was created before.
_GROWTH = 4
# Such as every pooler takes; the rest is set for each batch, see sql/ingest.sql.
_SESSION = {"application_name": "waybill import", "timezone": "UTC"}
_SHARED = (
    "the import needs a session of its own, and a pooler shares them between transactions: "
    "give it the server's own address as DATABASE_URL"
)


async def ingest(
    dsn: str,
    files: Sequence[str],
    *,
    strict: bool = False,
    dry_run: bool = False,
    report: TextIO = sys.stderr,
    progress: bool | None = None,
    numbers: TextIO | None = None,
) -> int:
    """Imports `.ndjson` and `.ndjson.gz` files, `-` being standard input. The exit status: 1 if any line was refused.

    A `dry_run` says what would happen, and writes nothing. Like `strict` it is one transaction: other writers of the
    same orders wait for its end.

    Refused lines, the progress (on a terminal, unless `progress` says otherwise) and a summary go to `report`, and
    what the summary says to `numbers`, as JSON. A server that is lost or cannot be reached ends the import with status
    1; what was applied before stays.
    """
    shown = Progress(files, report, report.isatty() if progress is None else progress)
    try:
        connection = await _connect(dsn)
        try:
            if not await is_direct(connection):
                await connection.close(timeout=5)  # a pooler may have no more than the two that are tried
                if not (await Connector(dsn, statement_cache=0).persistence()).sessions:
                    shown.say(_SHARED)
                    return 1
                connection = await _connect(dsn)
            run = _Run(connection, await staging.known(connection), shown, strict, dry_run)
            await run.all(files)
        finally:
            await connection.close(timeout=5)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        shown.say(f"the import has stopped: the database failed ({type(error).__name__})")
        return 1
    shown.say(run.summary)
    if numbers is not None:
        numbers.write(f"{json.dumps(run.numbers)}\n")
    return 1 if run.refused else 0


async def _connect(dsn: str) -> asyncpg.Connection:
    return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, statement_cache_size=0, server_settings=_SESSION)


class _Undone(Exception):
    """Nothing is to be applied: a line was refused, and the import is strict, or it is a dry run that has ended."""


@dataclass
class _Run:
    """One import: checks lines, collects the good ones, writes them batch by batch."""

    connection: asyncpg.Connection
    known: Known
    shown: Progress
    strict: bool
    dry_run: bool
    read: int = 0
    refused: int = 0
    outdated: int = 0
    warned: int = 0
    done: Outcome = field(default_factory=Outcome)
    _batch: dict[Hashable, Staged] = field(default_factory=dict)
    _bytes: int = 0
    _measured: int = 0  # how many records were created when the store was last measured

    @property
    def summary(self) -> str:
        if self.strict and self.refused:
            return f"{self.read:,} read, {self.refused:,} refused: nothing was applied"
        return (
            f"{self.read:,} read, {self.done.created:,} created, {self.done.updated:,} updated, "
            f"{self.done.unchanged:,} unchanged, {self.refused:,} refused"
            + (f", {self.outdated:,} outdated" if self.outdated else "")
            + (f", {self.warned:,} with a warning" if self.warned else "")
            + (": a dry run, nothing was applied" if self.dry_run else "")
        )

    @property
    def numbers(self) -> dict[str, int | bool]:
        """What the summary says, for programs."""
        is_applied = not (self.dry_run or (self.strict and self.refused))
        return {
            "read": self.read,
            "created": self.done.created,
            "updated": self.done.updated,
            "unchanged": self.done.unchanged,
            "refused": self.refused,
            "outdated": self.outdated,
            "warned": self.warned,
            "applied": is_applied,
        }

    async def all(self, files: Sequence[str]) -> None:
        if not (self.strict or self.dry_run):
            await self._files(files)
            return
        with suppress(_Undone):
            async with self.connection.transaction(isolation="read_committed"):
                await self._files(files)
                if self.dry_run:
                    raise _Undone

    async def _files(self, files: Sequence[str]) -> None:
        for index, file in enumerate(files):
            try:
                for line in lines(file):
                    self.read += 1
                    await self._line(f"{label(file)}:{line.number}", line.text)
                    self.shown.draw(self.read, index, line.position)
            except Unreadable as error:
                self._refuse(f"{label(file)}:{error.number}", Refused("$", error.reason))
        await self._write()
        if self._unmeasured >= _BATCH_RECORDS:
            await self._measure()

    async def _line(self, place: str, text: bytes | None) -> None:
        try:
            if text is None:
                raise Refused("$", f"longer than {MAX_LINE >> 20} MB")
            record = read(text)
            names_zone = isinstance(record, Channel | Carrier) and record.time_zone is not None
            if names_zone and not self.known.time_zones:
                self.known.time_zones.update(await staging.time_zones(self.connection))
            record.check(self.known)
            staged = staging.stage(place, record)
        except Refused as refusal:
            self._refuse(place, refusal)
            return
        if record.key in self._batch:
            await self._write()
        self._batch[record.key] = staged
        self._bytes += len(text)
        if len(self._batch) == _BATCH_RECORDS or self._bytes >= _BATCH_BYTES:
            await self._write()

    async def _write(self) -> None:
        batch = list(self._batch.values())
        self._batch.clear()
        self._bytes = 0
        outcome, refused = await staging.write(self.connection, batch)
        self.done.add(outcome)
        self._warn(outcome.warnings)
        if self._unmeasured >= max(_BATCH_RECORDS, (_GROWTH - 1) * self._measured):
            await self._measure()
        for place, refusal in refused:
            if isinstance(refusal, Outdated):
                self.outdated += 1
                self.shown.say(f"{place}: {refusal}")
            else:
                self._refuse(place, refusal)

    def _warn(self, warnings: Sequence[tuple[str, str]]) -> None:
        self.warned += len({place for place, _ in warnings})
        for place, warning in warnings:
            self.shown.say(f"{place}: warning: {printable(warning)}")

    @property
    def _unmeasured(self) -> int:
        return self.done.created - self._measured

    async def _measure(self) -> None:
        await staging.measure(self.connection)
        self._measured = self.done.created

    def _refuse(self, place: str, refusal: Refused) -> None:
        self.refused += 1
        self.shown.say(f"{place}: {refusal}")
        if self.strict:
            raise _Undone
