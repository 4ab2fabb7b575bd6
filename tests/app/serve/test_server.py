"""The real service, told to stop while it answers: nobody's request is lost, straight or behind a proxy."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from app.serve.server import UVICORN, Server
from app.settings import Settings
from tests.app.serve.callers import QUERY, Callers
from tests.conftest import FAR_TOO_LONG, connecting, is_listening, reserved_port
from tests.service import serving

ROOT = Path(__file__).parents[3]


async def test_a_service_that_is_told_to_stop_answers_whom_it_has_accepted(demo_dsn: str, tmp_path: Path) -> None:
    async with serving(demo_dsn, tmp_path / "log") as service:
        callers = Callers(service.site, 8)
        await callers.until(100)
        service.process.send_signal(signal.SIGTERM)
        assert await service.end() == 0
        await callers.end()
    # Whoever finds nobody any more had sent nothing yet.
    assert set(callers.seen) == {200, "not there"}


async def test_the_stock_protocol_answers_the_same(demo_dsn: str, tmp_path: Path) -> None:
    answers = []
    for protocol in ("waybill", "stock"):
        async with serving(demo_dsn, tmp_path / protocol, PROTOCOL=protocol) as service, connecting() as client:
            response = await client.post(f"{service.site}/graphql", json=QUERY, headers={"x-request-id": "same"})
            answers.append((response.status_code, response.content, sorted({**response.headers, "date": ""}.items())))
    assert answers[0] == answers[1]


def test_the_stock_protocol_does_without_the_insides_of_uvicorn() -> None:
    text = """
import sys
sys.modules["app.http.protocol"] = None  # to import it fails
import uvicorn
uvicorn.__version__ = "99.1"
from app.asgi import create_app
from app.serve.server import protocol_of
from app.settings import Settings, SettingsError
stock = Settings(database_url="", token_secret="x" * 32, protocol="stock")
create_app(stock)
config = uvicorn.Config("app.asgi:create_app", http=protocol_of(stock), ws="none")
config.load()
print(config.http_protocol_class.__name__)
try:
    protocol_of(Settings(database_url="", token_secret=""))
except SettingsError as error:
    print(error)
"""
    told = subprocess.check_output([sys.executable, "-c", text], cwd=ROOT, timeout=FAR_TOO_LONG, text=True)
    assert told.splitlines() == [
        "HttpToolsProtocol",
        f"PROTOCOL must be stock with uvicorn 99.1: ours is made for {UVICORN}",
    ]


def test_our_protocol_is_made_for_the_uvicorn_that_is_installed_with_it() -> None:
    major, minor = map(int, UVICORN.split("."))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"uvicorn>={UVICORN},<{major}.{minor + 1}" in project["dependencies"]
    assert uvicorn.__version__.startswith(f"{UVICORN}.")


async def test_a_service_that_stops_says_so_and_ends_connections(demo_dsn: str, tmp_path: Path) -> None:
    async with serving(demo_dsn, tmp_path / "log", DRAIN_SECONDS="60") as service, connecting() as client:
        kept = await client.post(f"{service.site}/graphql", json=QUERY)
        assert "connection" not in kept.headers
        service.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(FAR_TOO_LONG):
            async with connecting() as other:
                # What the service does about a signal sets no event here.
                while (await other.get(f"{service.site}/readyz")).status_code != 503:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            last = await client.post(f"{service.site}/graphql", json=QUERY)
            assert (last.status_code, last.headers["connection"]) == (200, "close")
        assert await service.end() == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {"waybill.http", "uvicorn.error"} <= {line["logger"] for line in lines}


@pytest.mark.parametrize("protocol", ["waybill", "stock"])
async def test_somebody_at_a_terminal_is_not_kept_waiting(demo_dsn: str, tmp_path: Path, protocol: str) -> None:
    settings = {"DRAIN_SECONDS": "600", "PROTOCOL": protocol}
    async with serving(demo_dsn, tmp_path / "log", **settings) as service, connecting() as client:
        await client.get(f"{service.site}/healthz")
        service.process.send_signal(signal.SIGINT)
        assert await service.end() == 0


NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; user root;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream service {{ server {first} max_fails=0; server {second} max_fails=0; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path, **upstreams: str) -> AsyncIterator[str]:
    """The address of a proxy before two services."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed")
    with reserved_port() as port:
        text = NGINX.format(folder=folder, port=port, **upstreams)
        if os.geteuid() != 0:
            text = text.replace("user root;", "")
        (folder / "nginx.conf").write_text(text)
        process = await asyncio.create_subprocess_exec(program, "-c", str(folder / "nginx.conf"))
        try:
            async with asyncio.timeout(FAR_TOO_LONG):
                while not is_listening(port):
                    assert process.returncode is None
                    await asyncio.sleep(0.02)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


async def test_a_proxy_has_an_answer_for_everybody_while_services_are_replaced(demo_dsn: str, tmp_path: Path) -> None:
    folder = tmp_path / "nginx"
    folder.mkdir()
    async with (
        serving(demo_dsn, tmp_path / "first") as first,
        serving(demo_dsn, tmp_path / "second") as second,
        nginx(folder, first=first.site.removeprefix("http://"), second=second.site.removeprefix("http://")) as site,
    ):
        callers = Callers(site, 8)
        for service in (first, second, first):
            await callers.until(100)
            service.process.send_signal(signal.SIGTERM)
            assert await service.end() == 0
            await callers.until(100)
            await service.start()
        await callers.until(100)
        await callers.end()
    assert dict(callers.seen) == {200: callers.seen[200]}
    assert callers.seen[200] >= 700


def test_defaults_outlast_the_proxies() -> None:
    defaults: dict[str, Any] = {name: field.default for name, field in Settings.__dataclass_fields__.items()}
    assert defaults["keep_alive_seconds"] > 60


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_server_that_another_has_overtaken_ends_and_says_why(loop: str) -> None:
    """Both have bound the port, as they may before one of them listens."""
    said = []

    async def application(_scope: Any, receive: Any, send: Any) -> None:
        for message in ("startup", "shutdown"):
            said.append((await receive())["type"])
            await send({"type": f"lifespan.{message}.complete"})

    with socket.socket() as first, socket.socket() as second:
        for listener in (first, second):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind(("127.0.0.1", 0))
        second.bind(first.getsockname())
        first.listen()
        config = uvicorn.Config(application, lifespan="on", log_config=None, loop=loop)
        server = Server(config, drain_seconds=0)
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner, pytest.raises(OSError, match="in use"):
            runner.run(asyncio.wait_for(server.serve([second]), FAR_TOO_LONG))
    assert said == ["lifespan.startup", "lifespan.shutdown"]
