"""docs/documents.md, block by block: its files, its commands beside a service, and what they print."""

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from app.demo import fixtures
from tests.conftest import FAR_TOO_LONG, TOKEN_SECRET
from tests.service import serving

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "documents.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> Iterator[tuple[str, str, str, str]]:
    """Language, file and text of each block, and of commands what the page says they print."""
    found = BLOCK.findall(PAGE)
    for (language, file, text), following in zip(found, [*found[1:], ("", "", "")], strict=True):
        yield language, file, text, following[2] if following[0] == "text" else ""


async def test_every_block_can_be_run_as_it_stands(demo_copy_dsn: str, tmp_path: Path) -> None:
    ran = 0
    async with serving(demo_copy_dsn, tmp_path / "log") as service:
        environment = {
            **os.environ,
            "DATABASE_URL": demo_copy_dsn,
            "TOKEN_SECRET": TOKEN_SECRET,
            "WAYBILL_URL": service.site,
            "WAYBILL_KEY": fixtures.PARTNER_KEY,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
        }
        for language, file, text, printed in blocks():
            if file:
                (tmp_path / file).write_text(text, "utf-8")
            elif language == "sh":
                ran += 1
                async with asyncio.timeout(FAR_TOO_LONG):
                    # Nobody tells when the service has been told of what the block before has changed.
                    while (told := await run(text, environment, tmp_path)) != printed and printed:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                assert printed in (told, "")
    assert ran == PAGE.count("```sh\n")


async def run(commands: str, environment: dict[str, str], folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", f'python() {{ "$PYTHON" "$@"; }}\n{commands}'),
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, (commands, out, err)
    # Each answer of the service is a line, whether it ends with one or not.
    return re.sub(r"\}(?=\{|304)", "}\n", out.decode()).rstrip("\n") + "\n"
