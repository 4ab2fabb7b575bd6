"""A mutation over HTTP: what it writes and the answer that tells of it become lasting together, or not at all.

A request with an idempotency key is applied once. The header is that of
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/, its value taken as it is.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson
from graphql import GraphQLError

from app.context import Context
from app.errors import RequestRefused, ServiceUnavailable, TimedOut
from app.execution.errors import render
from app.execution.execute import Answer
from app.http.deadline import Ending, Work
from app.http.reply import dump
from app.postgres.consistency import HEADER as CONSISTENCY_HEADER
from app.postgres.consistency import Consistency
from app.postgres.transaction import IdempotencyKey, Transaction

HEADER = "Idempotency-Key"
REPLAYED = {"idempotent-replayed": "true"}

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# How often a mutation runs that others brought into a deadlock.
_ATTEMPTS = 3


@dataclass(slots=True)
class RenderedAnswer(Answer):
    """An answer as it is sent, and kept. One that `is_replayed` is that of an earlier request, and has no `body`.

    `state` is one that shows what was written, where there are several servers to read from.
    """

    text: bytes = b""
    is_replayed: bool = False
    state: Consistency | None = None

    @property
    def headers(self) -> dict[str, str]:
        replayed = REPLAYED if self.is_replayed else {}
        return replayed if self.state is None else replayed | {CONSISTENCY_HEADER.lower(): str(self.state)}


def read_key(
    headers: Iterable[tuple[bytes, bytes]], extensions: Mapping[str, Any], *asked: Any
) -> IdempotencyKey | None:
    """The key of a request that asks for `asked`, JSON values; None where it has none. Raises `RequestRefused`.

    `headers` are ASGI's.
    """
    given: list[tuple[str, Any]] = [
        (HEADER, value.decode("latin-1")) for name, value in headers if name == HEADER.lower().encode()
    ]
    if extensions.get("idempotencyKey") is not None:
        given.append(("extensions.idempotencyKey", extensions["idempotencyKey"]))
    for path, value in given:
        if not isinstance(value, str) or not _KEY.fullmatch(value):
            raise _bad_key(path, "must be 1 to 255 visible ASCII characters")
        if value != given[0][1]:
            raise _bad_key(path, f"must be the same as {given[0][0]}")
    if not given:
        return None
    text = json.dumps(asked, sort_keys=True)
    return IdempotencyKey(given[0][1], hashlib.sha256(text.encode()).digest())


def _bad_key(path: str, rule: str) -> RequestRefused:
    return RequestRefused(f"{path} {rule}", code="VALIDATION_ERROR", path=path, rule=rule)


async def run_mutation(
    open_context: Callable[[], Awaitable[Context]],
    run: Callable[[Context], Awaitable[Answer]],
    request_id: str,
    work: Work,
) -> Answer:
    """Runs a mutation, each time in a context of its own, until it is answered or has failed by itself.

    Raises `TimedOut` where its time was up, and nothing was changed.
    """
    for _ in range(_ATTEMPTS):
        context = await open_context()
        # The first resolver that writes begins the transaction, but GraphQL reads what is selected of its result after
        # it has returned: that belongs to the transaction too, and so does the answer, which is kept under the
        # idempotency key. So the block is around the whole execution, and this is the one place that commits.
        async with context.transaction() as transaction:
            try:
                answer = await run(context)
                if transaction.answer is not None:
                    answer = RenderedAnswer({}, ran=True, text=transaction.answer, is_replayed=True)
                elif not _is_failure(answer, transaction):
                    if context.warnings:
                        answer = replace(answer, body={**answer.body, "extensions": {"warnings": context.warnings}})
                    if transaction.has_begun:
                        answer = await _commit(answer, transaction, request_id)
            except asyncio.CancelledError:
                if transaction.has_begun and work.take_back_if(Ending.LATE):
                    raise TimedOut(f"{TimedOut.text} Nothing was changed.", reason="deadline") from None
                raise
        if isinstance(answer, RenderedAnswer):
            return await _with_state(answer, context, work)
        if not transaction.is_worth_repeating:
            return _without_data(answer) if transaction.is_broken else answer
    return _without_data(answer)


def _is_failure(answer: Answer, transaction: Transaction) -> bool:
    """Fields of mutations are non-null, so one that fails leaves no data; should one be nullable, null is failure."""
    data = answer.body.get("data")
    return transaction.is_broken or data is None or None in data.values()


async def _commit(answer: Answer, transaction: Transaction, request_id: str) -> Answer:
    try:
        text = dump(answer.body)
        await transaction.commit(text)
    except Exception as error:
        path = _path_of_write(answer.body["data"])
        errors, defects = render([GraphQLError(str(error), path=path, original_error=error)], request_id)
        fault = error if isinstance(error, ServiceUnavailable) else None
        return Answer({"errors": errors, "data": None}, ran=True, defects=defects, fault=fault)
    return RenderedAnswer(answer.body, ran=True, defects=answer.defects, text=text)


async def _with_state(answer: RenderedAnswer, context: Context, work: Work) -> RenderedAnswer:
    """Tells what its caller has seen now. It is not kept with the answer: nobody knows it before that is committed."""
    if context.reading is None:
        return answer
    try:
        state = await context.reading.wrote()
    except asyncio.CancelledError:
        if not work.take_back_if(Ending.LATE):
            raise
        return answer  # late as it is: it has been written
    if state is None:
        return answer
    told = b'"consistency":"%b"}' % str(state).encode()
    has_extensions = "extensions" in (answer.body or orjson.loads(answer.text))
    text = answer.text[:-2] + b"," + told if has_extensions else answer.text[:-1] + b',"extensions":{' + told
    return replace(answer, text=text + b"}", state=state)


def _path_of_write(data: Mapping[str, Any]) -> list[str | int]:
    """Of the one field that writes: the others are `__typename`, and no field of a mutation answers with a text."""
    return [name for name, value in data.items() if not isinstance(value, str)]


def _without_data(answer: Answer) -> Answer:
    """Of a transaction that was taken back: what the answer shows is not in the store."""
    return replace(answer, body={"errors": answer.body["errors"], "data": None})
