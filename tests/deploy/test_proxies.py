"""The proxies of deploy/, as the programs themselves run them, before the real service."""

import asyncio
import datetime
import os
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import connect

from tests.app.serve.callers import QUERY
from tests.conftest import FAR_TOO_LONG, credentials, is_listening, reserved_port, settings_for
from tests.service import Service, serving

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = "waybill.example.org"
EVENTS = {"Accept": "text/event-stream"}

NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/waybill.conf;
}}
"""


def certificate(folder: Path) -> tuple[Path, Path]:
    """For the name, of a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "certificate.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """With what is of the machine in place of what is of the example; each has to be there."""
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def nginx_command(folder: Path, port: int, service: Service) -> list[str]:
    command = [program("nginx"), "-c", str(folder / "nginx.conf")]
    pem, key = certificate(folder)
    text = replaced(
        (DEPLOY / "nginx.conf").read_text(),
        ("127.0.0.1:8000 max_fails", f"{service.site.removeprefix('http://')} max_fails"),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        (f"/etc/ssl/{NAME}.pem", str(pem)),
        (f"/etc/ssl/private/{NAME}.key", str(key)),
    )
    (folder / "waybill.conf").write_text(text)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user="user root;" if os.geteuid() == 0 else ""))
    return command


def caddy_command(folder: Path, port: int, service: Service) -> list[str]:
    command = [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    pem, key = certificate(folder)
    text = replaced(
        (DEPLOY / "Caddyfile").read_text(),
        ("127.0.0.1:8000 {", f"{service.site.removeprefix('http://')} {{"),
        (f"\n{NAME} {{", f"\nhttps://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {pem} {key}"),
        ("\n{\n", "\n{\n\tadmin off\n\tauto_https disable_redirects\n"),
    )
    (folder / "Caddyfile").write_text(text)
    return command


COMMANDS = {"nginx": nginx_command, "caddy": caddy_command}


@asynccontextmanager
async def proxied(proxy: str, dsn: str, folder: Path) -> AsyncIterator[tuple[str, ssl.SSLContext, Service]]:
    """Where a proxy listens, the trust in its certificate, and the service behind it."""
    with reserved_port() as port:
        async with serving(dsn, folder / "log", WORKERS="2") as service:
            command = COMMANDS[proxy](folder, port, service)
            process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
            )
            trust = ssl.create_default_context(cafile=str(folder / "certificate.pem"))
            try:
                async with asyncio.timeout(FAR_TOO_LONG):
                    while not is_listening(port):
                        assert process.returncode is None
                        await asyncio.sleep(0.05)
                yield f"127.0.0.1:{port}", trust, service
            finally:
                process.terminate()
                await process.wait()


def client(at: str, trust: ssl.SSLContext, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"https://{at}", verify=trust, timeout=FAR_TOO_LONG, headers={"Host": NAME, **headers}
    )


@pytest.mark.parametrize("proxy", COMMANDS)
async def test_all_that_the_service_speaks_passes_the_proxy(proxy: str, demo_dsn: str, tmp_path: Path) -> None:
    program(proxy)
    named = {"extensions": {"sni_hostname": NAME}}
    apikey = credentials("apikey", settings_for(demo_dsn))
    async with proxied(proxy, demo_dsn, tmp_path) as (at, trust, service), client(at, trust) as http:
        answer = await http.post("/graphql", json=QUERY, **named)
        assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})
        assert "max-age" in answer.headers["strict-transport-security"]
        for path in ("/metrics", "/readyz"):
            assert (await http.get(path, **named)).status_code == 404
        assert (await http.get("/healthz", **named)).status_code == 200

        large = {"query": "{ __typename }", "variables": {"text": "x" * 2_400_000}}
        assert (await http.post("/graphql", json=large, **named)).status_code == 200
        too_large = {"query": "{ __typename }", "variables": {"text": "x" * 2_600_000}}
        assert (await http.post("/graphql", json=too_large, **named)).status_code == 413

        body = {"query": "subscription { orderChanges { action } }"}
        async with http.stream("POST", "/graphql", json=body, headers=apikey | EVENTS, **named) as stream:
            async with asyncio.timeout(FAR_TOO_LONG):
                # At once: nothing is kept back until more comes.
                assert any(["UP_TO_DATE" in line async for line in _until_told(stream)])
        async with http.stream("GET", "/export/orders.ndjson", headers=apikey, **named) as export:
            assert export.status_code == 200
            assert len([line async for line in export.aiter_lines()]) > 0

        async with connect(
            f"wss://{NAME}:{at.rpartition(':')[2]}/graphql",
            host="127.0.0.1",
            ssl=trust,
            subprotocols=["graphql-transport-ws"],  # type: ignore[list-item]  # a string by another name
        ) as socket:
            await socket.send('{"type": "connection_init"}')
            assert "connection_ack" in str(await socket.recv())

        # New workers are none of a caller's business.
        service.process.send_signal(1)
        seen = set()
        async with asyncio.timeout(FAR_TOO_LONG):
            while "all workers are replaced" not in service.log.read_text():
                seen.add((await http.post("/graphql", json=QUERY, **named)).status_code)
        assert seen == {200}


async def _until_told(stream: httpx.Response) -> AsyncIterator[str]:
    async for line in stream.aiter_lines():
        yield line
        if line.startswith("data: {"):
            return


LOGIN = """mutation ($email: String!) {
  createCustomerLogin(input: {email: $email, password: "wrong1"}) { __typename }
}"""


@pytest.mark.parametrize("proxy", COMMANDS)
async def test_a_caller_cannot_say_where_it_is(proxy: str, demo_copy_dsn: str, tmp_path: Path) -> None:
    """Failed attempts to log in are counted by address: by the one that has connected."""
    program(proxy)
    key = credentials("stranger", settings_for(demo_copy_dsn))
    said = []
    async with proxied(proxy, demo_copy_dsn, tmp_path) as (at, trust, _service), client(at, trust) as http:
        for number in range(6):
            body = {"query": LOGIN, "variables": {"email": f"nobody{number}@example.org"}}
            headers = key | {"X-Forwarded-For": f"203.0.113.{number}"}
            answer = await http.post("/api/graphql", json=body, headers=headers, extensions={"sni_hostname": NAME})
            said.append("TOO_MANY_ATTEMPTS" in answer.text)
    assert said == [False] * 5 + [True]
