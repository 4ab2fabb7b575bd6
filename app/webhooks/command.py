"""`python -m app webhooks …` and `deliver`: what the API does with endpoints, for whoever has the database.

Each task is an operation of the API, run as staff, or as the owner that is named.
"""

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    from app.asgi import Waybill
    from app.auth.viewer import Viewer

# What it returns is printed.
Task = Callable[[argparse.Namespace, Settings], Awaitable[str]]

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


class Refused(Exception):
    """What an operator asked for cannot be done; the words say why."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Adds `webhooks` with its tasks, each of which sets `task`, a `Task`. Returns the parser of `webhooks`."""
    webhooks = commands.add_parser("webhooks", help="endpoints that are called with what happens, and their log")
    tasks = webhooks.add_subparsers(required=True, metavar="TASK")

    def add(name: str, document: str, words: str, *keys: str) -> argparse.ArgumentParser:
        task = tasks.add_parser(name, help=words)
        for key in keys:
            task.add_argument(key, metavar=key.upper())
        task.set_defaults(task=_ask, operation=document, variables=keys)
        return task

    create = add("create", _CREATE, "make an endpoint, and print its secret")
    create.add_argument("url", metavar="URL")
    create.add_argument("--owner", default=_STAFF, help="partner:ID or staff:ID, whose sight decides what is told")
    create.add_argument("--signature", choices=("v1", "v1a"), type=str.lower)
    create.add_argument("--secret", metavar="SECRET", help="a new one without it")
    update = add("update", _UPDATE, "change what is given of an endpoint", "id")
    update.add_argument("--url", metavar="URL")
    enabled = update.add_mutually_exclusive_group()
    enabled.add_argument("--enable", dest="enabled", action="store_true", default=None)
    enabled.add_argument("--disable", dest="enabled", action="store_false")
    for task in (create, update):
        task.set_defaults(task=_write)
        _add_fields(task)
    add("delete", _DELETE, "remove an endpoint with its deliveries", "id")
    rotate = add("rotate", _ROTATE, "give an endpoint another secret; the former one signs, too, for 24 hours", "id")
    rotate.add_argument("--secret", metavar="SECRET", help="a new one without it")
    rotate.set_defaults(variables=("id", "secret"))
    list_ = add("list", _LIST, "print the endpoints, oldest first")
    list_.add_argument("--after", metavar="ID")
    list_.set_defaults(variables=("after",))
    add("show", _SHOW, "print an endpoint", "id")
    deliveries = add("deliveries", _DELIVERIES, "print deliveries of an endpoint, the newest first", "id")
    deliveries.add_argument("--state", dest="states", action="append", type=str.upper, metavar="STATE")
    deliveries.add_argument("--first", type=int, default=20, metavar="N")
    deliveries.add_argument("--after", metavar="CURSOR")
    deliveries.set_defaults(variables=("id", "states", "first", "after"))
    add("redeliver", _REDELIVER, "have a delivery made once more", "id")
    replay = add("replay", _REPLAY, "have an endpoint told again what happened between two moments", "id", "from")
    replay.add_argument("--until", metavar="MOMENT")
    replay.add_argument("--only-failed", dest="onlyFailed", action="store_true")
    replay.set_defaults(variables=("id", "from", "until", "onlyFailed"))
    test = add("test", _TEST, "send an endpoint an event of a type", "id")
    test.add_argument("type", type=_enum, metavar="TYPE", help="such as shipment.delivered")
    test.set_defaults(variables=("id", "type"))
    add("dry-run", _DRY_RUN, "print what an endpoint would be sent of the change with a cursor", "id", "cursor")

    listen = tasks.add_parser("listen", help="receive, verify and print what an endpoint is told, on this machine")
    listen.add_argument("--port", type=int, default=_LISTEN_PORT, metavar="N")
    listen.add_argument("--owner", default=_STAFF, help="of the endpoint that is made for as long as this runs")
    listen.add_argument("--secret", metavar="SECRET", help="of an endpoint that is there: none is made")
    listen.add_argument("--type", dest="types", action="append", type=_enum, metavar="TYPE", help="all without it")
    listen.set_defaults(task=_listen)
    return webhooks


def _add_fields(task: argparse.ArgumentParser) -> None:
    task.add_argument("--type", dest="types", action="append", type=_enum, metavar="TYPE", help="once for each")
    task.add_argument("--channel", dest="channelIds", action="append", type=int, metavar="ID")
    task.add_argument("--company", dest="companyIds", action="append", type=int, metavar="ID")
    task.add_argument("--shipment-status", dest="shipmentStatuses", action="append", type=str.upper, metavar="STATUS")
    task.add_argument("--order-status", dest="orderStatuses", action="append", metavar="STATUS")
    task.add_argument("--header", dest="headers", action="append", type=_header, metavar="'NAME: VALUE'")
    task.add_argument("--description", metavar="TEXT")
    task.add_argument("--document", type=_file, metavar="FILE", help="a subscription of webhookEvent")
    task.add_argument("--envelope", choices=("STANDARD", "CLOUD_EVENTS"), type=_enum)
    task.add_argument("--concurrency", type=int, metavar="N")
    task.add_argument("--rate", type=int, metavar="N", help="requests in a second")
    task.add_argument("--after", metavar="CURSOR")


_FIELDS = (
    *("url", "types", "channelIds", "companyIds", "shipmentStatuses", "orderStatuses", "headers", "description"),
    *("document", "envelope", "signature", "secret", "concurrency", "rate", "after", "enabled"),
)


def _enum(text: str) -> str:
    """`shipment.status_changed` and `cloud-events` as the API names them."""
    return text.upper().replace(".", "_").replace("-", "_")


def _header(text: str) -> dict[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("must be a name, a colon and a value")
    return {"name": name.strip(), "value": value.strip()}


def _file(name: str) -> str:
    try:
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot be read: {error}") from None


async def _ask(options: argparse.Namespace, settings: Settings) -> str:
    given = vars(options)
    return await _answer(settings, options.operation, {name: given[name] for name in options.variables})


async def _write(options: argparse.Namespace, settings: Settings) -> str:
    given = vars(options)
    fields = {name: given[name] for name in _FIELDS if given.get(name) is not None}
    if "signature" in fields:
        fields["signature"] = fields["signature"].upper()
    variables = {name: given[name] for name in options.variables}
    return await _answer(settings, options.operation, {**variables, "input": fields}, given.get("owner", _STAFF))


async def _answer(settings: Settings, document: str, variables: Mapping[str, Any], owner: str = _STAFF) -> str:
    """Raises `Refused`."""
    from app.asgi import Waybill

    waybill = Waybill(replace(settings, deliver=False))
    async with waybill.running():
        value = await _run(waybill, await _viewer(waybill, owner), document, variables)
    return json.dumps(value, indent=2, ensure_ascii=False)


async def _viewer(waybill: "Waybill", owner: str) -> "Viewer":
    """The owner, who may do everything with endpoints that are its own. Raises `Refused`."""
    from app.auth.viewer import owner_of
    from app.errors import NotAuthenticated

    kind, _, number = owner.partition(":")
    if kind not in ("partner", "staff") or not number.isascii() or not number.isdecimal() or len(number) > 9:
        raise Refused(f"--owner must be partner:ID or staff:ID, and not {owner[:100]}")
    try:
        viewer = await owner_of(owner, waybill.db)
    except NotAuthenticated:
        raise Refused(f"There is no {owner}, or its key is not good any more.") from None
    return replace(viewer, permissions=viewer.permissions | {"webhooks:write"})


async def _run(waybill: "Waybill", viewer: "Viewer", document: str, variables: Mapping[str, Any]) -> Any:
    """What the one field of an operation is answered. Raises `Refused`."""
    from app.context import Context
    from app.execution.execute import Answer
    from app.http.deadline import Deadlines, Work
    from app.http.mutation import run_mutation

    operation = waybill.engine.prepare(document)

    async def open_context() -> Context:
        return waybill.context_for(viewer)

    async def run(context: Context) -> Answer:
        return await waybill.engine.run(operation, dict(variables), context, context.request_id)

    if operation.kind.value == "query":
        answer = await run(await open_context())
    else:
        work = Work(Deadlines(), asyncio.current_task(), time.perf_counter())
        try:
            answer = await run_mutation(open_context, run, "webhooks", work)
        finally:
            work.end()
    if errors := answer.body.get("errors"):
        raise Refused("\n".join(error["message"] for error in errors))
    [value] = answer.body["data"].values()
    return value


async def _listen(options: argparse.Namespace, settings: Settings) -> str:
    """Receives until it is interrupted. Without a secret, an endpoint is there for as long. Raises `Refused`."""
    from app.asgi import Waybill

    if options.secret is not None:
        return await _receive(options.port, options.secret)
    waybill = Waybill(replace(settings, deliver=False))
    async with waybill.running():
        viewer = await _viewer(waybill, options.owner)
        types = options.types or [each["name"] for each in (await _run(waybill, viewer, _TYPES, {}))["enumValues"]]
        url = f"http://127.0.0.1:{options.port}/"
        created = await _run(waybill, viewer, _CREATE, {"input": {"url": url, "types": types, "description": "listen"}})
        try:
            return await _receive(options.port, created["secret"])
        finally:
            await _run(waybill, viewer, _DELETE, {"id": created["endpoint"]["id"]})


async def _receive(port: int, secret: str) -> str:
    """Raises `Refused` where somebody else listens there."""
    from app.webhooks.listen import listening

    try:
        async with listening(port, secret):
            await _until_stopped()
    except OSError:
        raise Refused(f"127.0.0.1, port {port}, cannot be listened on. Give another --port.") from None
    return "stopped"


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
