"""`python -m app webhooks …` and `deliver`, as people run them."""

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.__main__ import _parser
from app.admin.command import Refused, perform
from app.admin.show import show
from tests.app.webhooks.conftest import LOCAL, Receiver, World
from tests.conftest import FAR_TOO_LONG, TOKEN_SECRET, reserved_port, settings_for

ROOT = Path(__file__).parents[3]


def environment(dsn: str, **settings: str) -> dict[str, str]:
    given = {"DATABASE_URL": dsn, "TOKEN_SECRET": TOKEN_SECRET, "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    return {**os.environ, **given, **settings}


async def run(dsn: str, *arguments: str | bytes, given: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments),
        cwd=ROOT,
        env=environment(dsn),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(FAR_TOO_LONG):
        out, error = await process.communicate(given.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), error.decode()


async def done(dsn: str, *arguments: str) -> Any:
    """What a task prints, in this process: Python and the schema need not start for each. Raises `Refused`."""
    options = _parser("webhooks").parse_args(["webhooks", *arguments])
    options.settings = lambda: replace(settings_for(dsn), webhook_allowed_networks=LOCAL)
    return json.loads(show((await perform(dsn, options)).value, as_json=True))


@asynccontextmanager
async def started(dsn: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments), cwd=ROOT, env=environment(dsn), stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(FAR_TOO_LONG):
        return (await process.stdout.readline()).decode().strip()


async def test_endpoint_is_written_and_read_by_command(demo_copy_dsn: str, receiver: Receiver, tmp_path: Path) -> None:
    dsn = demo_copy_dsn
    document = tmp_path / "document.graphql"
    document.write_text("subscription { webhookEvent { orderId } }")
    status, out, error = await run(
        dsn,
        *("webhooks", "create", receiver.site, "--type", "shipment.created", "--type", "order.status_changed"),
        *("--owner", "partner:1", "--headers", "-", "--channel", "1", "--document", str(document)),
        *("--envelope", "cloud-events", "--rate", "7", "--signature", "v1a", "--by", "ann", "--json"),
        given="X-Own: value\n\nX-Other: a: b\n",
    )
    assert status == 0, error
    created = endpoint = json.loads(out)
    assert created["secret"].startswith("whsk_")
    assert (endpoint["owner"], endpoint["types"]) == ("partner:1", ["SHIPMENT_CREATED", "ORDER_STATUS_CHANGED"])
    assert (endpoint["headerNames"], endpoint["channelIds"], endpoint["rate"]) == (["X-Own", "X-Other"], [1], 7)
    assert (endpoint["document"], endpoint["envelope"]) == (document.read_text(), "CLOUD_EVENTS")
    key = endpoint["id"]
    assert (await done(dsn, "update", key, "--disable", "--rate", "9"))["enabled"] is False
    assert (await done(dsn, "update", key, "--enable"))["rate"] == 9
    delivery = await done(dsn, "test", key, "order.created")
    assert [each["id"] for each in await done(dsn, "deliveries", key, "--state", "waiting")] == [delivery["id"]]
    assert (await done(dsn, "redeliver", delivery["id"]))["state"] == "WAITING"
    assert (await done(dsn, "replay", key, "2026-01-01"))["replaying"] is True
    assert (await done(dsn, "rotate", key))["secret"] != created["secret"]
    assert [each["id"] for each in await done(dsn, "list")] == [key]
    assert (await done(dsn, "show", key))["id"] == key
    assert await done(dsn, "delete", key) == {"id": key, "deleted": True}
    assert await done(dsn, "list") == []
    trail = await connection_rows(dsn, "SELECT actor, action, subject, details::text FROM audit_entries ORDER BY id")
    assert [row["action"].removeprefix("webhooks ") for row in trail] == [
        *("create", "update", "update", "test", "redeliver", "replay", "rotate", "delete")
    ]
    subjects = {f"webhook_endpoint:{key}", f"webhook_delivery:{delivery['id']}"}
    assert {row["subject"] for row in trail} == subjects
    assert trail[0]["actor"] == "operator:ann"
    assert "channelIds" in trail[0]["details"]
    assert not any(receiver.site in row["details"] or "value" in row["details"] for row in trail)


async def connection_rows(dsn: str, query: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_secret_is_read_from_standard_input(demo_copy_dsn: str, receiver: Receiver) -> None:
    secret = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
    task = ("create", "-", "--type", "order.created", "--secret", "--json")
    status, out, error = await run(demo_copy_dsn, "webhooks", *task, given=f"{receiver.site}/x\n{secret}\n")
    assert status == 0, error
    assert (json.loads(out)["secret"], json.loads(out)["url"]) == (secret, f"{receiver.site}/x")
    task = ("create", receiver.site, *task[2:])
    for arguments, given, words in (
        (task, "whsec_short\n", "input.secret must be whsec_ and the base64 of 24 to 64 bytes"),
        (task, "", "the secret is read from standard input, where there is none"),
        (("listen", "--secret"), "nonsense\n", "the secret must be whsec_ and the base64 of 24 to 64 bytes"),
    ):
        status, out, error = await run(demo_copy_dsn, "webhooks", *arguments, given=given)
        assert (status, out) == (1, "")
        assert words in error
        assert "Traceback" not in error


async def test_odd_arguments_are_told(demo_copy_dsn: str, tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    site = "https://hooks.example.com/"
    for arguments, wanted, words in (
        (("listen", "--port", "99999"), 2, "must be a whole number from 1 to 65535"),
        (("deliveries", "x", "--first", "-1"), 2, "must be a whole number from 1 to 1000"),
        (("create", site, "--type", "order.created", "--rate", "9" * 30), 2, "must be a whole number"),
        (("create", site, "--type", "order.created", "--document", str(tmp_path)), 2, "cannot be read: Is a directory"),
        (("create", site, "--type", "order.created", "--headers", str(binary)), 2, "is not UTF-8"),
        (("show", b"\xff"), 2, "an argument is not UTF-8"),
        (("replay", "nothing", "now"), 1, 'Webhook endpoint "nothing" not found.'),
    ):
        status, out, error = await run(demo_copy_dsn, "webhooks", *arguments)  # type: ignore[arg-type]
        assert (status, out) == (wanted, ""), error
        assert words in error
        assert "Traceback" not in error


async def test_command_says_what_is_wrong(demo_copy_dsn: str) -> None:
    for arguments, words in {
        ("create", "https://10.0.0.1/", "--type", "order.created"): "input.url must not lead to an address",
        ("create", "https://hooks.example.com/", "--type", "order.exploded"): "ORDER_EXPLODED",
        ("create", "https://hooks.example.com/", "--owner", "partner:99"): "there is no partner:99",
        ("create", "https://hooks.example.com/", "--owner", "contact:1"): "--owner must be",
        ("show", "nothing"): 'Webhook endpoint "nothing" not found.',
    }.items():
        with pytest.raises(Refused) as refused:
            await done(demo_copy_dsn, *arguments)
        assert words in str(refused.value)
    status, out, error = await run(demo_copy_dsn, "webhooks", *arguments)
    assert (status, out, error) == (1, "", f"{words}\n")


async def test_deliverers_are_processes_of_their_own(world: World, receiver: Receiver, demo_copy_dsn: str) -> None:
    endpoint = await world.endpoint(receiver)
    async with started(demo_copy_dsn, "deliver") as process:
        assert await line(process) == "delivering"
        await world.box()
        await receiver.until(1)
        await world.until_state(endpoint, waiting=0)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(FAR_TOO_LONG):
            assert await process.wait() == 0
    # It has given back what it served.
    connection = await asyncpg.connect(demo_copy_dsn)
    assert await connection.fetchval("SELECT count(*) FROM webhook_deliverers") == 0
    assert await connection.fetchval("SELECT deliverer FROM webhook_endpoints") is None
    await connection.close()


async def test_listen_verifies_and_prints(world: World, demo_copy_dsn: str) -> None:
    await world.deliver()
    with reserved_port() as port:
        async with started(demo_copy_dsn, "webhooks", "listen", "--port", str(port)) as process:
            assert await line(process) == f"listening on http://127.0.0.1:{port}/"
            box = await world.box()
            told = await line(process)
            assert "verified msg_" in told
            assert "NOT VERIFIED" not in told
            assert told.endswith(" shipment.created")
            lines = []
            while (text := await line(process)) != "}" or len(lines) < 20:
                lines.append(text)
                if text == f'"shipmentId": "{box}",':
                    break
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(FAR_TOO_LONG):
                assert await process.wait() == 0
    assert await done(demo_copy_dsn, "list") == []
