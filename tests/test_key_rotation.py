"""Keys of tokens change while the service runs: no good token is refused, and a removed key opens nothing."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jose import jwk, jws

from tests.conftest import FAR_TOO_LONG, READER_SCOPES, connecting
from tests.service import Service, serving

CALLERS = 8
QUERY = {"query": "{ orderStatuses { itemsFound } }"}


class SigningKey:
    """Of somebody who gives out tokens that we believe by the JWKS file."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        private = ec.generate_private_key(ec.SECP256R1())
        public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        self._private = jwk.construct(private, "ES256")  # as in tests/app/auth/test_token.py
        self.jwk = jwk.construct(public, "ES256").to_dict() | {"kid": kid}
        self.kept = self.token()

    def token(self, **given: str) -> str:
        """Never the same twice."""
        now = int(time.time())
        times = {"iat": now, "exp": now + 3_600, "jti": os.urandom(8).hex()}
        claims = {"iss": "waybill", "aud": "waybill", "sub": "staff:1", "scope": READER_SCOPES, **times, **given}
        return jws.sign(claims, self._private, headers={"kid": self.kid}, algorithm="ES256")


class Load:
    """Callers with tokens of `key`, every other one never used before."""

    def __init__(self, site: str, key: SigningKey) -> None:
        self.key = key
        self.answered = [0] * CALLERS
        self.failed: list[str] = []
        self._url = f"{site}/graphql"

    async def ask(self, client: httpx.AsyncClient, token: str) -> str:
        """Empty, or what was answered in place of data."""
        response = await client.post(self._url, json=QUERY, headers={"authorization": f"Bearer {token}"})
        return "" if response.status_code == 200 and "errors" not in response.json() else response.text

    @asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        async with connecting() as client, asyncio.timeout(2 * FAR_TOO_LONG):
            callers = [asyncio.create_task(self._call(client, caller)) for caller in range(CALLERS)]
            try:
                yield client
            finally:
                for caller in callers:
                    caller.cancel()
                await asyncio.gather(*callers, return_exceptions=True)

    async def _call(self, client: httpx.AsyncClient, caller: int) -> None:
        while True:
            token = self.key.kept if self.answered[caller] % 2 else self.key.token()
            if failure := await self.ask(client, token):
                self.failed.append(failure)
            self.answered[caller] += 1

    async def all_ask_again(self) -> None:
        """No caller has a token any more of a key that was there before."""
        wanted = [answered + 2 for answered in self.answered]
        while any(map(int.__lt__, self.answered, wanted)):  # noqa: ASYNC110  callers set no event
            await asyncio.sleep(0.001)


async def logs(service: Service, count: int) -> list[dict[str, Any]]:
    """What was logged of keys, as soon as there are `count` lines of it."""
    async with asyncio.timeout(FAR_TOO_LONG):
        while len(events := _events(service)) < count:
            assert service.process.returncode is None
            await asyncio.sleep(0.01)
    return events


def _events(service: Service) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "waybill.auth"]


def jwks_of(*keys: SigningKey) -> str:
    return json.dumps({"keys": [key.jwk for key in keys]})


async def replace_at_once(path: Path, text: str, _load: Load) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


async def write_in_halves(path: Path, text: str, load: Load) -> None:
    """In place, with requests while only the first half is there."""
    with path.open("w") as file:
        for half in (text[: len(text) // 2], text[len(text) // 2 :]):
            file.write(half)
            file.flush()
            await load.all_ask_again()


@pytest.mark.parametrize("write", [replace_at_once, write_in_halves], ids=lambda way: way.__name__)
async def test_rotation_under_load_fails_no_request_and_a_removed_key_opens_nothing(
    write: Any, demo_dsn: str, tmp_path: Path
) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(jwks_of(first := SigningKey("k-0")))
    async with serving(demo_dsn, tmp_path / "log", JWKS_FILE=str(path)) as service:
        load = Load(service.site, first)
        async with load.running() as client:
            await load.all_ask_again()
            for number in range(1, 3):
                former, load.key = load.key, SigningKey(f"k-{number}")
                new, load.key = load.key, former
                await write(path, jwks_of(former, new), load)
                load.key = new
                await load.all_ask_again()
                await write(path, jwks_of(new), load)
                while not (answer := await load.ask(client, former.kept)):
                    await load.all_ask_again()
                assert "UNAUTHENTICATED" in answer
                assert "UNAUTHENTICATED" in await load.ask(client, former.token())
        assert load.failed == []


async def test_sighup_reads_the_keys_anew_and_the_process_goes_on(demo_dsn: str, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    one, two = SigningKey("one"), SigningKey("two")
    path.write_text(jwks_of(one))
    async with serving(demo_dsn, tmp_path / "log", JWKS_FILE=str(path)) as service, connecting() as client:
        load = Load(service.site, one)
        assert await load.ask(client, one.kept) == ""
        path.write_text(jwks_of(two))
        service.process.send_signal(signal.SIGHUP)
        [read] = await logs(service, 1)
        assert (read["event"], read["added"], read["removed"]) == ("JWKS_FILE was read anew", ["two"], ["one"])
        assert "UNAUTHENTICATED" in await load.ask(client, one.kept)

        path.write_text("{")
        service.process.send_signal(signal.SIGHUP)
        complaint = (await logs(service, 2))[1]
        assert complaint["level"] == "error"
        assert complaint["event"] == 'the keys stay as they were: JWKS_FILE must hold {"keys": [...]}'
        assert await load.ask(client, two.kept) == ""
        service.process.terminate()
        assert await service.end() == 0


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A terminal's two ends: the window's, and the program's."""
    window, program = os.openpty()
    yield window, program
    for end in (window, program):
        with suppress(OSError):
            os.close(end)


async def test_sighup_of_a_terminal_that_was_closed_ends_the_process(
    demo_dsn: str, tmp_path: Path, terminal: tuple[int, int]
) -> None:
    """Or a server that somebody tried out would stay when its window is closed."""
    window, program = terminal
    path = tmp_path / "jwks.json"
    path.write_text(jwks_of(SigningKey("one")))
    async with serving(
        demo_dsn, tmp_path / "log", {"stdin": program, "stdout": program}, JWKS_FILE=str(path)
    ) as service:
        service.process.send_signal(signal.SIGHUP)
        await logs(service, 1)
        os.close(window)
        service.process.send_signal(signal.SIGHUP)
        assert await service.end() == 0
