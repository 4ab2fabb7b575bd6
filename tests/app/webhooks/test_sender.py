"""A receiver that answers slowly, endlessly, with a gigabyte or with broken TLS is logged, and harmless."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from app.webhooks.sender import MOST_ANSWER_BYTES, Outcome, Sender
from app.webhooks.target import Targets
from tests.app.webhooks.conftest import Answer, Receiver, Request
from tests.conftest import reserved_port

TARGETS = Targets((ip_network("127.0.0.0/8"),))
SECONDS = 0.3


async def posted(receiver: Receiver, seconds: float = SECONDS) -> Outcome:
    async with Sender(TARGETS, seconds) as sender:
        return await sender.post(f"{receiver.site}/a", {"X-Own": "b"}, b"{}")


async def test_success_is_any_2xx(receiver: Receiver) -> None:
    for status in (200, 201, 202, 204, 299):
        receiver.behave = lambda _request, status=status: (status, {}, b"")  # type: ignore[misc]
        outcome = await posted(receiver)
        assert (outcome.status, outcome.error, outcome.is_success) == (status, None, True)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 410, 500, 503])
async def test_everything_else_is_a_failure_and_redirects_are_not_followed(receiver: Receiver, status: int) -> None:
    receiver.behave = lambda _request: (status, {"Location": f"{receiver.site}/b"}, b"there")
    outcome = await posted(receiver)
    assert (outcome.status, outcome.error, outcome.answer) == (status, f"the answer was {status}", b"there")
    assert len(receiver.requests) == 1


async def test_slow_answer_is_given_up(receiver: Receiver) -> None:
    async def behave(_request: Request) -> Answer:
        await asyncio.sleep(3_600)
        return None

    receiver.behave = behave
    outcome = await posted(receiver)
    assert (outcome.status, outcome.error) == (None, "no answer within the time")
    assert outcome.milliseconds >= 1000 * SECONDS


@asynccontextmanager
async def streaming(head: bytes, piece: bytes, pause: float = 0.0) -> AsyncIterator[tuple[str, list[int]]]:
    """The address of a receiver that goes on for ever, and how many bytes it has got rid of."""
    sent = [0]

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(head)
            while True:
                writer.write(piece)
                await writer.drain()
                sent[0] += len(piece)
                await asyncio.sleep(pause)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", sent
    finally:
        server.close()


async def test_answer_of_a_gigabyte_is_read_to_16_kib() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n"
    async with streaming(head, b"x" * 65_536) as (url, sent), Sender(TARGETS, 20) as sender:
        outcome = await sender.post(url, {}, b"{}")
        assert (outcome.status, outcome.is_success, len(outcome.answer)) == (200, True, MOST_ANSWER_BYTES)
    assert sent[0] < 16_000_000  # what the system's buffers hold


async def test_answer_that_drips_for_ever_ends_with_the_time() -> None:
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    async with streaming(head, b"1\r\nx\r\n", 0.02) as (url, _), Sender(TARGETS, SECONDS) as sender:
        outcome = await sender.post(url, {}, b"{}")
    assert (outcome.status, outcome.is_success) == (200, True)


async def test_head_without_end_is_no_answer() -> None:
    async with streaming(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n" * 100) as (url, _), Sender(TARGETS, 5) as sender:
        outcome = await sender.post(url, {}, b"{}")
    assert outcome.status is None
    assert outcome.error


async def test_interim_answers_without_end_are_no_answer() -> None:
    piece = b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1_000
    async with streaming(b"", piece) as (url, sent), Sender(TARGETS, 20) as sender:
        outcome = await sender.post(url, {}, b"{}")
        assert (outcome.status, outcome.error) == (None, "the answer was no HTTP")
    assert sent[0] < 16_000_000  # what the system's buffers hold


async def test_interim_answers_are_passed_over(receiver: Receiver) -> None:
    receiver.behave = lambda _request: b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3 + b"HTTP/1.1 204 No Content\r\n\r\n"
    assert (await posted(receiver)).status == 204


async def test_packed_answer_is_not_unpacked(receiver: Receiver) -> None:
    receiver.behave = lambda _request: (200, {"Content-Encoding": "gzip"}, b"no gzip at all")
    outcome = await posted(receiver)
    assert (outcome.status, outcome.answer, outcome.error) == (200, b"no gzip at all", None)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 banana\r\n\r\n"])
async def test_answer_that_is_none_is_a_failure(receiver: Receiver, answer: bytes) -> None:
    receiver.behave = lambda _request: answer
    outcome = await posted(receiver)
    assert outcome.status is None
    assert outcome.error in ("the connection was lost", "the answer was no HTTP")


async def test_nobody_who_listens_is_a_failure() -> None:
    with reserved_port() as port:
        async with Sender(TARGETS, 5) as sender:
            outcome = await sender.post(f"http://127.0.0.1:{port}/", {}, b"{}")
    assert outcome.error == "the connection was refused"


async def test_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await posted(receiver)).is_success


async def test_request_is_what_it_is_given_and_no_more(receiver: Receiver) -> None:
    receiver.behave = lambda _request: (200, {"Set-Cookie": "a=b"}, b"")
    async with Sender(TARGETS, 5) as sender:
        for _ in range(2):
            await sender.post(
                f"{receiver.site}/a%2Fb?c=%20d", {"X-Own": "b", "Content-Type": "application/json"}, b"{}"
            )
    for request in receiver.requests:
        assert request.head == "POST /a%2Fb?c=%20d HTTP/1.1"
        assert request.headers.keys() == {"host", "x-own", "content-type", "content-length"}
    assert receiver.connections == 1


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (429, "120", 120),
        (503, "120", 120),
        (500, "120", None),
        (429, "soon", None),
        (429, "-5", None),
        (429, "99999999999", 86_400),
        (429, -1, 0),
        (429, 30, 86_400),
    ],
)
async def test_retry_after_is_bounded(receiver: Receiver, status: int, text: str | int, seconds: float | None) -> None:
    """A number is the moment that is so many days away."""
    if isinstance(text, int):
        text = format_datetime(datetime.now(UTC) + timedelta(days=text))
    receiver.behave = lambda _request: (status, {"Retry-After": text}, b"")
    assert (await posted(receiver)).pause == seconds


# --------------------------------------------------------------------------------------------------------------- TLS


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(names)
        .issuer_name(names)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return cert, private


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return certificate(tmp_path, "hooks.example.com")


@asynccontextmanager
async def serving_tls(pair: tuple[Path, Path]) -> AsyncIterator[tuple[Receiver, int]]:
    receiver = Receiver()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    try:
        yield receiver, server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _post_tls(port: int, host: str) -> Outcome:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    targets = Targets((ip_network("127.0.0.0/8"),), frozenset({port}))
    async with Sender(targets, 10, resolve) as sender:
        return await sender.post(f"https://{host}:{port}/", {}, b"{}")


async def test_name_is_what_the_certificate_is_held_to(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_tls(pair) as (receiver, port):
        unknown = await _post_tls(port, "hooks.example.com")
        assert unknown.error == "the certificate is not good"
        monkeypatch.setenv("SSL_CERT_FILE", str(pair[0]))
        assert (await _post_tls(port, "hooks.example.com")).is_success
        assert receiver.requests[0].headers["host"] == f"hooks.example.com:{port}"
        other = await _post_tls(port, "other.example.com")
        assert other.error == "the certificate is not good"
        assert len(receiver.requests) == 1


async def test_broken_tls_is_a_failure() -> None:
    async with streaming(b"", b"no TLS at all\r\n") as (url, _):
        outcome = await _post_tls(int(url.rpartition(":")[2].strip("/")), "hooks.example.com")
    assert (outcome.status, outcome.error) == (None, "TLS failed")
