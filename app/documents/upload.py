"""Registers documents for an application: all that are given or none, each held to the schema and the limits."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from graphql import GraphQLError, OperationDefinitionNode

from app.documents.fields import fields_of
from app.documents.identifier import hash_of
from app.documents.manifest import MOST_FAULTS, Given, ManifestRefused
from app.documents.significant import significant_hash
from app.execution.document import Documents, RequestErrors
from sql import load

SQL = load("trusted_document")

# Of an application, with those that it has retired.
MOST_DOCUMENTS = 10_000
MOST_BYTES = 20_000_000
MOST_APPLICATIONS = 1_000
MOST_CALLERS = 1_000
# That a document remembers.
MOST_VERSIONS = 50
LONGEST_VERSION = 64
_AT_ONCE_SECONDS = 0.01

Fetch = Callable[..., Awaitable[list[asyncpg.Record]]]


@dataclass(frozen=True, slots=True)
class Checked:
    """A document that may run, as it is stored."""

    given: Given
    hash: bytes
    significant_hash: bytes
    operations: Sequence[str]
    fields: Sequence[str]


async def check(documents: Documents, given: Sequence[Given]) -> list[Checked]:
    """The documents, checked one by one with room for others in between.

    Raises `ManifestRefused` with a line for each fault: of which document, and where in it.
    """
    faults: list[str] = []
    checked: list[Checked] = []
    began = time.monotonic()
    for each in given:
        try:
            checked.append(_check(documents, each))
        except RequestErrors as refusal:
            faults += [_fault(each, error) for error in refusal.errors]
            if len(faults) >= MOST_FAULTS:
                break
        if time.monotonic() - began > _AT_ONCE_SECONDS:
            await asyncio.sleep(0)
            began = time.monotonic()
    if faults:
        raise ManifestRefused(*faults[:MOST_FAULTS])
    return checked


def _check(documents: Documents, given: Given) -> Checked:
    if "\0" in given.text:
        raise RequestErrors(GraphQLError("It has a NUL character."))
    node = documents.check(given.text)
    nodes = [each for each in node.definitions if isinstance(each, OperationDefinitionNode)]
    significant = significant_hash(given.text, documents.most_tokens)
    assert significant is not None  # noqa: S101  it has been parsed
    names = [each.name.value for each in nodes if each.name]
    return Checked(given, hash_of(given.text), significant, names, fields_of(documents.schema, node))


def _fault(given: Given, error: Any) -> str:
    """The line counts from the beginning of the document."""
    locations = getattr(error, "locations", None)
    place = f", line {locations[0].line}, column {locations[0].column}" if locations else ""
    return f"{given.place}{place}: {error.message}"


async def register(
    fetch: Fetch, application_id: int, documents: Sequence[Checked], version: str | None
) -> dict[str, int]:
    """Stores them, and tells how many were `added`, there as they were (`kept`), and `restored` after they had retired.

    `fetch` runs a statement within a transaction that holds the application's lock. Raises `ManifestRefused` for an id
    that stands for another text, whether it is retired or not, and beyond the bounds.
    """
    ids = [each.given.document_id for each in documents]
    known = {row["document_id"]: row for row in await fetch(SQL.known, application_id=application_id, document_ids=ids)}
    faults = [
        f"{each.given.place}: the id stands for another text, for good: give this one another id."
        for each in documents
        if each.given.document_id in known and known[each.given.document_id]["hash"] != each.hash
    ]
    if faults:
        raise ManifestRefused(*faults[:MOST_FAULTS])
    [size] = await fetch(SQL.size, application_id=application_id, document_ids=ids)
    if size["number"] + len(documents) > MOST_DOCUMENTS:
        raise ManifestRefused(f"An application has at most {MOST_DOCUMENTS:,} documents, with those that have retired.")
    if size["bytes"] + sum(len(each.given.text.encode()) for each in documents) > MOST_BYTES:
        raise ManifestRefused(f"The documents of an application have at most {MOST_BYTES:,} bytes together.")
    await fetch(
        SQL.register,
        application_id=application_id,
        document_ids=ids,
        texts=[each.given.text for each in documents],
        hashes=[each.hash for each in documents],
        significant_hashes=[each.significant_hash for each in documents],
        operations=[" ".join(each.operations) for each in documents],
        fields=[" ".join(each.fields) for each in documents],
        versions=[version] if version else [],
        most=MOST_VERSIONS,
    )
    restored = sum(row["is_retired"] for row in known.values())
    return {"added": len(documents) - len(known), "kept": len(known) - restored, "restored": restored}
