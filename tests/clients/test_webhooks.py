"""The receiver in TypeScript of `docs/webhooks.md`, with the real `standardwebhooks` of Node."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.app.webhooks.conftest import World, world_on
from tests.clients.test_clients import node_modules as node_modules
from tests.docs.test_webhooks import BLOCKS, received_by


@pytest.fixture
async def world(demo_copy_dsn: str) -> AsyncIterator[World]:
    async with world_on(demo_copy_dsn) as world:
        yield world


async def test_receiver_in_typescript_takes_what_is_sent(world: World, tmp_path: Path, node_modules: Path) -> None:
    [text] = [text for _, name, text in BLOCKS if name == "receiver.ts"]
    (tmp_path / "node_modules").symlink_to(node_modules)
    (tmp_path / "receiver.ts").write_text(text, "utf-8")
    bundle = ["--bundle", "--platform=node", "--format=esm", "--log-level=error", "--outfile=receiver.mjs"]
    esbuild = str(node_modules / ".bin" / "esbuild")
    subprocess.run([esbuild, "receiver.ts", *bundle], cwd=tmp_path, check=True)  # noqa: ASYNC221  takes milliseconds
    await received_by(world, ("node", str(tmp_path / "receiver.mjs")))
