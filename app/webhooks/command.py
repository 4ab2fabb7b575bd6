"""`python -m app webhooks …` and `deliver`: what the API does with endpoints, for whoever has the database.

Each task is an operation of the API, run as staff, or as the owner that is named, and in one transaction with its entry
in the audit trail. Secrets come from standard input or a file: arguments can be read by everybody on the machine.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

import sql
from app.admin.command import Answer, Commands, Noun, Options, Refused, count, identifier, operator, quoted, read_secret
from app.settings import Settings

if TYPE_CHECKING:
    from app.asgi import Waybill
    from app.auth.viewer import Viewer
    from app.context import Context

_AUDIT = sql.load("audit_entry")

_STAFF = "staff:1"
_LISTEN_PORT = 9_000

_ENDPOINT = """{
  id owner url description types channelIds companyIds shipmentStatuses orderStatuses headerNames document envelope
  signature verificationKey concurrency rate enabled disabledAt disabledReason cursor waiting failingSince pausedUntil
  deliveredAt lostAt replaying version
}"""
_DELIVERY = """{
  id messageId type orderId shipmentId state attemptCount nextAttemptAt createdAt endedAt cursor
  attempts { startedAt milliseconds status error }
}"""
_CREATE = f"""mutation ($input: WebhookEndpointCreateInput!) {{
  webhookEndpointCreate(input: $input) {{ secret endpoint {_ENDPOINT} }} }}"""
_UPDATE = f"""mutation ($id: String!, $input: WebhookEndpointUpdateInput!) {{
  webhookEndpointUpdate(id: $id, input: $input) {_ENDPOINT} }}"""
_DELETE = "mutation ($id: String!) { webhookEndpointDelete(id: $id) }"
_ROTATE = f"""mutation ($id: String!, $secret: String) {{
  webhookEndpointRotateSecret(id: $id, secret: $secret) {{ secret endpoint {_ENDPOINT} }} }}"""
_LIST = f"query ($after: String) {{ webhookEndpoints(after: $after) {_ENDPOINT} }}"
_SHOW = f"query ($id: String!) {{ webhookEndpoint(id: $id) {_ENDPOINT} }}"
_DELIVERIES = f"""query ($id: String!, $states: [WebhookDeliveryState!], $first: Int, $after: String) {{
  webhookDeliveries(endpointId: $id, states: $states, first: $first, after: $after) {_DELIVERY} }}"""
_REDELIVER = f"mutation ($id: String!) {{ webhookRedeliver(id: $id) {_DELIVERY} }}"
_REPLAY = f"""mutation ($id: String!, $from: String!, $until: String, $onlyFailed: Boolean) {{
  webhookReplay(endpointId: $id, from: $from, until: $until, onlyFailed: $onlyFailed) {_ENDPOINT} }}"""
_TEST = f"""mutation ($id: String!, $type: WebhookEventType!) {{
  webhookTest(endpointId: $id, type: $type) {_DELIVERY} }}"""
_DRY_RUN = """query ($id: String!, $cursor: String!) {
  webhookDryRun(endpointId: $id, cursor: $cursor) { messageId type mediaType body thin } }"""
_TYPES = '{ __type(name: "WebhookEventType") { enumValues { name } } }'
_URL_HELP = "- is the first line of standard input: some URLs are secrets"
_LARGEST_PORT = 65_535
_MOST_LISTED = 1_000
_LARGEST_FILE = 1_000_000


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "webhooks", help="endpoints that are called with what happens, and their log")

    def add(name: str, document: str, words: str, *keys: str, writes: bool = False) -> argparse.ArgumentParser:
        task = noun.task(name, _write if writes else _read, words, is_noted=writes)
        for key in keys:
            task.add_argument(key, metavar=key.upper())
        task.set_defaults(operation=document, variables=keys, name=name, owner=_STAFF)
        return task

    create = add("create", _CREATE, "make an endpoint, and print its secret", writes=True)
    create.add_argument("url", metavar="URL", help=_URL_HELP)
    create.add_argument("--owner", help="partner:ID or staff:ID, whose sight decides what is told; staff:1 without it")
    create.add_argument("--signature", choices=("V1", "V1A"), type=str.upper)
    update = add("update", _UPDATE, "change what is given of an endpoint", "id", writes=True)
    update.add_argument("--url", metavar="URL", help=_URL_HELP)
    enabled = update.add_mutually_exclusive_group()
    enabled.add_argument("--enable", dest="enabled", action="store_true", default=None)
    enabled.add_argument("--disable", dest="enabled", action="store_false")
    for task in (create, update):
        _add_fields(task)
    add("delete", _DELETE, "remove an endpoint with its deliveries", "id", writes=True)
    words = "give an endpoint another secret; the former one signs, too, for 24 hours"
    rotate = add("rotate", _ROTATE, words, "id", writes=True)
    for task in (create, rotate):
        task.add_argument("--secret", action="store_true", help="read it from standard input; a new one without this")
    rotate.set_defaults(variables=("id", "secret"))
    list_ = add("list", _LIST, "list the endpoints, oldest first")
    list_.add_argument("--after", metavar="ID")
    list_.set_defaults(variables=("after",), columns=("id", "owner", "url", "enabled", "waiting", "failingSince"))
    add("show", _SHOW, "show an endpoint", "id")
    deliveries = add("deliveries", _DELIVERIES, "list deliveries of an endpoint, the newest first", "id")
    deliveries.add_argument("--state", dest="states", action="append", type=str.upper, metavar="STATE")
    deliveries.add_argument("--first", type=count(_MOST_LISTED), default=20, metavar="N")
    deliveries.add_argument("--after", metavar="CURSOR")
    columns = ("id", "type", "orderId", "state", "attemptCount", "nextAttemptAt", "endedAt")
    deliveries.set_defaults(variables=("id", "states", "first", "after"), columns=columns)
    add("redeliver", _REDELIVER, "have a delivery made once more", "id", writes=True)
    words = "have an endpoint told again what happened between two moments"
    replay = add("replay", _REPLAY, words, "id", "from", writes=True)
    replay.add_argument("--until", metavar="MOMENT")
    replay.add_argument("--only-failed", dest="onlyFailed", action="store_true")
    replay.set_defaults(variables=("id", "from", "until", "onlyFailed"))
    test = add("test", _TEST, "send an endpoint an event of a type", "id", writes=True)
    test.add_argument("type", type=_enum, metavar="TYPE", help="such as shipment.delivered")
    test.set_defaults(variables=("id", "type"))
    add("dry-run", _DRY_RUN, "show what an endpoint would be sent of the change with a cursor", "id", "cursor")

    words = "receive, verify and print what an endpoint is told, on this machine"
    listen = noun.task("listen", _listen, words, is_noted=True)
    listen.add_argument("--port", type=count(_LARGEST_PORT), default=_LISTEN_PORT, metavar="N")
    listen.add_argument("--owner", default=_STAFF, help="of the endpoint that is made for as long as this runs")
    listen.add_argument(
        "--secret", action="store_true", help="read that of an endpoint that is there from standard input: none is made"
    )
    listen.add_argument("--type", dest="types", action="append", type=_enum, metavar="TYPE", help="all without it")


def _add_fields(task: argparse.ArgumentParser) -> None:
    task.add_argument("--type", dest="types", action="append", type=_enum, metavar="TYPE", help="once for each")
    task.add_argument("--channel", dest="channelIds", action="append", type=identifier, metavar="ID")
    task.add_argument("--company", dest="companyIds", action="append", type=identifier, metavar="ID")
    task.add_argument("--shipment-status", dest="shipmentStatuses", action="append", type=str.upper, metavar="STATUS")
    task.add_argument("--order-status", dest="orderStatuses", action="append", metavar="STATUS")
    task.add_argument(
        "--headers", type=_headers, metavar="FILE", help="a line `NAME: VALUE` for each; - is standard input"
    )
    task.add_argument("--description", metavar="TEXT")
    task.add_argument("--document", type=_file, metavar="FILE", help="a subscription of webhookEvent")
    task.add_argument("--envelope", choices=("STANDARD", "CLOUD_EVENTS"), type=_enum)
    task.add_argument("--concurrency", type=identifier, metavar="N")
    task.add_argument("--rate", type=identifier, metavar="N", help="requests in a second")
    task.add_argument("--after", metavar="CURSOR")


_FIELDS = (
    *("url", "types", "channelIds", "companyIds", "shipmentStatuses", "orderStatuses", "headers", "description"),
    *("document", "envelope", "signature", "concurrency", "rate", "after", "enabled"),
)


def _enum(text: str) -> str:
    """`shipment.status_changed` and `cloud-events` as the API names them."""
    return text.upper().replace(".", "_").replace("-", "_")


def _headers(name: str) -> list[dict[str, str]]:
    headers = []
    for number, line in enumerate(_file(name).splitlines(), start=1):
        if line.strip():
            header, colon, value = line.partition(":")
            if not colon:
                raise argparse.ArgumentTypeError(f"line {number} must be a name, a colon and a value")
            headers.append({"name": header.strip(), "value": value.strip()})
    return headers


def _file(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(_LARGEST_FILE)
        with Path(name).open(encoding="utf-8") as file:
            return file.read(_LARGEST_FILE)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{quoted(name)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise argparse.ArgumentTypeError(f"{quoted(name)} is not UTF-8") from None


def _variables(options: Options) -> dict[str, Any]:
    given = vars(options)
    variables = {name: given[name] for name in options.variables}
    if given.get("url") == "-":
        given["url"] = read_secret("URL")
    secret = read_secret("Secret") if given.get("secret") else None
    if "secret" in variables:
        variables["secret"] = secret
    if options.operation in (_CREATE, _UPDATE):
        fields = {name: given[name] for name in _FIELDS if given.get(name) is not None}
        variables["input"] = fields if secret is None else {**fields, "secret": secret}
    return variables


async def _read(_connection: asyncpg.Connection, options: Options) -> Answer:
    from app.asgi import Waybill

    waybill = Waybill(replace(options.settings(), deliver=False))
    async with waybill.running():
        value = await _asked(waybill, await _viewer(waybill, _STAFF), options.operation, _variables(options))
    return Answer(value, columns=vars(options).get("columns", ()))


async def _write(_connection: asyncpg.Connection, options: Options) -> Answer:
    from app.asgi import Waybill

    variables = _variables(options)
    waybill = Waybill(replace(options.settings(), deliver=False))
    async with waybill.running():
        viewer = await _viewer(waybill, options.owner or _STAFF)
        value = await _changed(waybill, viewer, options, f"webhooks {options.name}", options.operation, variables)
    if value is True:
        return Answer({"id": variables["id"], "deleted": True})
    return Answer({**value["endpoint"], "secret": value["secret"]} if "endpoint" in value else value)


async def _viewer(waybill: "Waybill", owner: str) -> "Viewer":
    """The owner, who may do everything with endpoints that are its own. Raises `Refused`."""
    from app.auth.viewer import owner_of
    from app.errors import NotAuthenticated

    kind, _, number = owner.partition(":")
    if kind not in ("partner", "staff") or not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise Refused(f"--owner must be partner:ID or staff:ID, and not {quoted(owner)}")
    try:
        viewer = await owner_of(owner, waybill.db)
    except NotAuthenticated:
        raise Refused(f"there is no {owner}, or its key is not good any more") from None
    return replace(viewer, permissions=viewer.permissions | {"webhooks:write"})


async def _asked(waybill: "Waybill", viewer: "Viewer", document: str, variables: dict[str, Any]) -> Any:
    """What the one field of a query is answered. Raises `Refused`."""
    operation = waybill.engine.prepare(document)
    context = waybill.context_for(viewer)
    return _value((await waybill.engine.run(operation, variables, context, context.request_id)).body)


async def _changed(
    waybill: "Waybill", viewer: "Viewer", options: Options, action: str, document: str, variables: dict[str, Any]
) -> Any:
    """What the one field of a mutation is answered, which is noted in the audit trail. Raises `Refused`."""
    from app.execution.execute import Answer as Answered
    from app.http.deadline import Deadlines, Work
    from app.http.mutation import run_mutation

    operation = waybill.engine.prepare(document)

    async def open_context() -> "Context":
        return waybill.context_for(viewer)

    async def run(context: "Context") -> Answered:
        answer = await waybill.engine.run(operation, variables, context, context.request_id)
        if not answer.body.get("errors"):
            await _note(context, options, action, variables, _value(answer.body))
        return answer

    work = Work(Deadlines(), asyncio.current_task(), time.perf_counter())
    try:
        return _value((await run_mutation(open_context, run, "webhooks", work)).body)
    finally:
        work.end()


async def _note(context: "Context", options: Options, action: str, variables: dict[str, Any], value: Any) -> None:
    """Names what was changed, and no value of it: a URL may hold secrets."""
    row = {"id": variables.get("id")} if value is True else value.get("endpoint", value)
    kind = "webhook_delivery" if "messageId" in row and "url" not in row else "webhook_endpoint"
    details = {"fields": sorted(variables["input"])} if "input" in variables else {}
    await context.fetch(_AUDIT.begin, actor=operator(options))
    await context.fetch(_AUDIT.add, action=action, subject=f"{kind}:{row['id']}", details=json.dumps(details))


def _value(body: dict[str, Any]) -> Any:
    """Raises `Refused`."""
    if errors := body.get("errors"):
        raise Refused("\n".join(error["message"] for error in errors))
    [value] = body["data"].values()
    return value


async def _listen(_connection: asyncpg.Connection, options: Options) -> Answer:
    """Receives until it is interrupted. Without a secret, an endpoint is there for as long. Raises `Refused`."""
    from app.asgi import Waybill

    if options.secret:
        return await _receive(options.port, read_secret("Secret"))
    waybill = Waybill(replace(options.settings(), deliver=False))
    async with waybill.running():
        viewer = await _viewer(waybill, options.owner)
        types = options.types or [each["name"] for each in (await _asked(waybill, viewer, _TYPES, {}))["enumValues"]]
        url = f"http://127.0.0.1:{options.port}/"
        given = {"input": {"url": url, "types": types, "description": "listen"}}
        created = await _changed(waybill, viewer, options, "webhooks listen", _CREATE, given)
        try:
            return await _receive(options.port, created["secret"])
        finally:
            key = {"id": created["endpoint"]["id"]}
            await _changed(waybill, viewer, options, "webhooks listen", _DELETE, key)


async def _receive(port: int, secret: str) -> Answer:
    """Raises `Refused` where somebody else listens there, and for what is no secret of `V1`."""
    from app.webhooks.listen import listening
    from app.webhooks.signature import V1, secret_of

    try:
        secret_of(secret, V1)
    except ValueError as fault:
        raise Refused(f"the secret {fault}") from None
    try:
        async with listening(port, secret):
            await _until_stopped()
    except OSError:
        raise Refused(f"127.0.0.1, port {port}, cannot be listened on: give another --port") from None
    return Answer({"listened": f"http://127.0.0.1:{port}/"})


async def deliver(settings: Settings) -> None:
    """Calls endpoints until SIGINT or SIGTERM; what is under way then is waited for, a few seconds long."""
    from app.asgi import Waybill
    from app.telemetry import log_to_stderr

    log_to_stderr()
    async with Waybill(replace(settings, deliver=True)).running():
        print("delivering", flush=True)
        await _until_stopped()


async def _until_stopped() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
