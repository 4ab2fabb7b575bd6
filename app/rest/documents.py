"""Trusted documents over HTTP: what a build registers, reads and retires, with the permission `documents:write`.

`GET`, `POST` (a manifest as the body) and `DELETE` of `/documents/<application>`. Staff may do so for all applications,
a partner for those by which its own key calls: any other is not there.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypedDict, TypeVar

import asyncpg
import orjson
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from app.auth.viewer import Kind, Viewer
from app.context import Context
from app.documents.application import is_name, is_version, lock, retire
from app.documents.identifier import is_id
from app.documents.manifest import ManifestRefused, read_manifest
from app.documents.upload import check, register
from app.errors import RequestRefused, WaybillError
from app.execution.document import Documents
from app.http.body import read_body, refusal_headers
from app.http.budget import Budgets
from app.http.problem import answer, refuse
from app.http.reply import reply
from app.http.state import state_of
from app.postgres.direct import fetch
from sql import load

PATH = "/documents/{application}"
PERMISSION = "documents:write"
# Of one request, which is answered within its deadline; a command takes more.
MOST_UPLOADED = 1_000
# Of each document that is registered or retired by its id, as a mutation, and of a request without any.
_POINTS = 100

SQL = load("trusted_document")
_AUDIT = load("audit_entry")

T = TypeVar("T")
Work = Callable[[asyncpg.Connection, asyncpg.Record], Awaitable[T]]


class RegisteredDocument(TypedDict):
    """`versions` are those that have it, the last 50."""

    documentId: str
    hash: str
    operations: list[str]
    versions: list[str]
    registeredAt: datetime
    retiredAt: datetime | None
    lastUsedAt: datetime | None


class Registered(TypedDict):
    """What an application may ask by id; with `all` what has retired as well."""

    application: str
    documents: list[RegisteredDocument]


class Uploaded(TypedDict):
    """How many documents are new, were there as they are, and had retired."""

    application: str
    version: str | None
    added: int
    kept: int
    restored: int


class Retired(TypedDict):
    """How many documents have retired by this request, and which."""

    application: str
    retired: int
    documentIds: list[str]


class DocumentsEndpoint:
    """An ASGI application. `documents` are those of the service's schema."""

    def __init__(
        self,
        documents: Documents,
        open_context: Callable[[Scope], Awaitable[Context]],
        budgets: Budgets,
        *,
        body_bytes: int,
    ) -> None:
        self._budgets = budgets
        self._documents = documents
        self._open_context = open_context
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state = state_of(scope)
        state.outcome = "refused"
        try:
            response = reply(await self._answer(scope, receive))
            state.outcome = "ok"
        except ManifestRefused as refused:
            first, *others = refused.faults
            response = answer(first, {"code": "DOCUMENT_REFUSED"}, 422, scope, others=others)
        except RequestRefused as error:
            allow = {"allow": error.extensions["allow"]} if "allow" in error.extensions else {}
            response = refuse(error, scope, {**refusal_headers(error), **allow})
        except WaybillError as error:
            response = refuse(error, scope)
        await response(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Any:
        method, name = scope["method"], scope["path_params"]["application"]
        if method not in ("GET", "POST", "DELETE"):
            raise RequestRefused(
                f"{method} is not supported.", status=405, code="METHOD_NOT_ALLOWED", allow="GET, POST, DELETE"
            )
        context = await self._open_context(scope)
        viewer = context.require(PERMISSION)
        parameters = _parameters(scope, {"GET": ("all",), "POST": ("version",), "DELETE": ("id", "version")}[method])
        if method == "POST":
            return await self._upload(scope, receive, context, name, parameters.get("version"))
        state_of(scope).work.watch(scope, receive)
        await self._pay(scope, context, len(parameters.getlist("id")))
        if method == "GET":
            return await _within(context, viewer, name, partial(_list, everything=parameters.get("all") == "true"))
        ids, version = parameters.getlist("id"), parameters.get("version")
        if not ids and version is None:
            raise RequestRefused('Say which: by "id", again for each, or by "version".')
        known = [each for each in ids if is_id(each)]  # nothing is registered by what is none
        return await _within(context, viewer, name, partial(_retire, ids=known if ids else None, version=version))

    async def _pay(self, scope: Scope, context: Context, documents: int) -> None:
        """Raises `PointsSpent`. More than a bucket holds nobody could ever pay."""
        points = min(_POINTS * max(1, documents), self._budgets.rate.capacity)
        await self._budgets.pay(context.payer, points, state_of(scope))

    async def _upload(
        self, scope: Scope, receive: Receive, context: Context, name: str, version: str | None
    ) -> Uploaded:
        viewer = context.viewer
        await _within(context, viewer, name, _nothing)  # before anything is read for whoever may not
        body = await read_body(scope, receive, self._body_bytes)
        state_of(scope).work.watch(scope, receive)
        try:
            given = read_manifest(body)
        except orjson.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            raise RequestRefused(f"The manifest cannot be read as JSON in UTF-8: {error.msg} ({place}).") from None
        if len(given) > MOST_UPLOADED:
            message = f"There are over {MOST_UPLOADED:,} documents: register them in parts, or by command."
            raise RequestRefused(message, status=413, code="TOO_MANY_DOCUMENTS")
        await self._pay(scope, context, len(given))
        checked = await check(self._documents, given)

        async def work(connection: asyncpg.Connection, application: asyncpg.Record) -> Uploaded:
            numbers = await register(partial(fetch, connection), application["id"], checked, version)
            await _note(connection, "documents upload", application, {"version": version, **numbers})
            return {"application": application["name"], "version": version, **numbers}  # type: ignore[typeddict-item]

        return await _within(context, viewer, name, work)


async def _within(context: Context, viewer: Viewer, name: str, work: Work[T]) -> T:
    """What `work` makes of the application in a transaction that nobody disturbs. Raises `RequestRefused`."""

    none = RequestRefused("There is no such application.", status=404, code="NOT_FOUND")
    if not is_name(name):
        raise none

    async def run(connection: asyncpg.Connection) -> T:
        async with connection.transaction():
            await fetch(connection, _AUDIT.begin, actor=viewer.subject)
            application = await lock(partial(fetch, connection), name)
            if application is None or not _may_change(viewer, application["callers"]):
                raise none
            return await work(connection, application)

    return await context.db.pool.run(run, is_read=False)


def _may_change(viewer: Viewer, callers: Sequence[str]) -> bool:
    return viewer.kind is Kind.STAFF or any(f"api_key:{key_id}" in callers for key_id in viewer.key_ids)


async def _nothing(_connection: asyncpg.Connection, _application: asyncpg.Record) -> None:
    pass


async def _list(connection: asyncpg.Connection, application: asyncpg.Record, *, everything: bool) -> Registered:
    rows = await fetch(
        connection, SQL.of_application, application_id=application["id"], all=everything, unused_since=None
    )
    return {"application": application["name"], "documents": [_told(row) for row in rows]}


async def _retire(
    connection: asyncpg.Connection, application: asyncpg.Record, *, ids: Sequence[str] | None, version: str | None
) -> Retired:
    rows = await retire(partial(fetch, connection), application["id"], ids=ids, version=version, unused_since=None)
    retired = [row["document_id"] for row in rows if row["retired_at"] is not None]
    await _note(connection, "documents retire", application, {"ids": ids, "version": version, "retired": len(retired)})
    return {"application": application["name"], "retired": len(retired), "documentIds": retired}


async def _note(
    connection: asyncpg.Connection, action: str, application: asyncpg.Record, details: Mapping[str, Any]
) -> None:
    """The same entry of the audit trail as the command's."""
    text = orjson.dumps(details).decode()
    await fetch(connection, _AUDIT.add, action=action, subject=f"application:{application['id']}", details=text)


def _told(row: asyncpg.Record) -> RegisteredDocument:
    return {
        "documentId": row["document_id"],
        "hash": row["hash"],
        "operations": row["operations"],
        "versions": row["versions"],
        "registeredAt": row["registered_at"],
        "retiredAt": row["retired_at"],
        "lastUsedAt": row["last_used_at"],
    }


def _parameters(scope: Scope, known: Sequence[str]) -> QueryParams:
    """Raises `RequestRefused` for what is none, or comes twice though it may not."""
    parameters = QueryParams(scope["query_string"])
    for name, value in parameters.multi_items():
        if name not in known:
            raise RequestRefused(f"There is no such parameter; there are {', '.join(known)}.")
        if name != "id" and len(parameters.getlist(name)) > 1:
            raise RequestRefused(f'The parameter "{name}" is given twice.')
        if name == "version" and not is_version(value):
            raise RequestRefused("A version is 1 to 64 visible characters of ASCII.")
    return parameters
