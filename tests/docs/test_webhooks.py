"""The guide's documents are valid, and its receiver in Python takes what is sent; tests/clients has the one of Node."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from graphql import parse, validate

from app.asgi import executable_schema
from tests.app.webhooks.conftest import Receiver, World, world_on
from tests.conftest import FAR_TOO_LONG, is_listening, reserved_port

GUIDE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(GUIDE)
SECRET = "whsec_" + "d2F5YmlsbCB0ZXN0cyBhcmUgc2lnbmVk"


@pytest.fixture
async def world(demo_copy_dsn: str) -> AsyncIterator[World]:
    async with world_on(demo_copy_dsn) as world:
        yield world


@pytest.mark.parametrize("document", [text for language, _, text in BLOCKS if language == "graphql"])
def test_document_is_valid(document: str) -> None:
    assert validate(executable_schema(), parse(document)) == []


async def test_receiver_in_python_takes_what_is_sent(world: World, tmp_path: Path) -> None:
    [text] = [text for _, name, text in BLOCKS if name == "receiver.py"]
    (tmp_path / "receiver.py").write_text(text, "utf-8")
    await received_by(world, (sys.executable, str(tmp_path / "receiver.py")))


async def received_by(world: World, command: tuple[str, ...]) -> None:
    """Has a receiver of the guide take events; what it prints and answers tells that it has verified them."""
    with reserved_port() as port:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, "PORT": str(port), "WEBHOOK_SECRET": SECRET},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(FAR_TOO_LONG):
                while not is_listening(port):
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
                site = Receiver(site=f"http://127.0.0.1:{port}")
                good = await world.endpoint(site, secret=SECRET, types=["SHIPMENT_CREATED"])
                forged = await world.endpoint(site, types=["SHIPMENT_CREATED"])
                await world.deliver()
                await world.box(2075)
                await world.until_logged(good, 1, state="DELIVERED")
                [refused] = await world.until_logged(forged, 1, attemptCount=1)
                assert refused["attempts"][0]["status"] == 401
                again = "mutation ($id: String!) { webhookRedeliver(id: $id) { id } }"
                await world.written(again, id=(await world.log(good))[0]["id"])
                await world.box(2076)
                await world.until_logged(good, 2, state="DELIVERED")
                assert process.stdout is not None
                # The one that came twice is told once.
                lines = [(await process.stdout.readline()).decode().strip() for _ in range(2)]
                assert lines == ["shipment.created 2075", "shipment.created 2076"]
        finally:
            process.kill()
            await process.wait()
