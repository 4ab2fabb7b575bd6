import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from app.auth import password
from app.auth.password import Passwords, _decoy
from tests.conftest import FAR_TOO_LONG, until

PASSWORD = "correct horse battery staple"
HASH = PasswordHasher().hash(PASSWORD)
# Verifying costs what its hash says.
CHEAP_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@pytest.fixture(autouse=True)
def at_full_cost(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a service, and not as in other tests."""
    monkeypatch.setattr(password, "PasswordHasher", PasswordHasher)
    _decoy.cache_clear()
    yield
    _decoy.cache_clear()


@pytest.fixture
def passwords(at_full_cost: None) -> Iterator[Passwords]:
    passwords = Passwords()
    yield passwords
    passwords.close()


async def test_password_matches_its_hash_alone(passwords: Passwords) -> None:
    assert await passwords.matches(HASH, PASSWORD) is True
    assert await passwords.matches(HASH, PASSWORD + " ") is False
    assert await passwords.matches(CHEAP_HASH, PASSWORD) is True
    for wrong in ("", PASSWORD + " ", PASSWORD.upper(), "\0", PASSWORD + "\0", "\ud800", "x" * 4096):
        assert await passwords.matches(CHEAP_HASH, wrong) is False


@pytest.mark.parametrize("password_hash", [None, "", "no hash", "$2y$10$abcdefghijklmnopqrstuv", PASSWORD])
async def test_what_is_no_hash_matches_nothing(passwords: Passwords, password_hash: str | None) -> None:
    assert await passwords.matches(password_hash, PASSWORD) is False


async def test_nobodys_password_costs_what_anybodys_costs(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []

    class Watched(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            verified.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "_hasher", Watched())
    assert [await passwords.matches(stored, "wrong") for stored in (None, HASH)] == [False, False]
    parameters = [text.rsplit("$", 2)[0] for text in verified]
    assert len(parameters) == 2
    assert parameters[0] == parameters[1]


def test_nobodys_password_has_a_hash_that_is_verified_whole() -> None:
    with pytest.raises(VerifyMismatchError):
        PasswordHasher().verify(_decoy(), "wrong")
    assert not PasswordHasher().check_needs_rehash(_decoy())


async def test_verification_leaves_the_event_loop_free(passwords: Passwords) -> None:
    begun, goes_on = threading.Event(), threading.Event()
    verify = passwords._verify

    def wait(password_hash: str | None, password: str) -> bool:
        begun.set()
        assert goes_on.wait(FAR_TOO_LONG)
        return verify(password_hash, password)

    passwords._verify = wait
    verifying = asyncio.gather(*(passwords.matches(HASH, PASSWORD) for _ in range(4)))
    await until(begun.is_set)
    assert not verifying.done()
    goes_on.set()
    assert await verifying == [True] * 4
