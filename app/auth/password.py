"""Passwords: argon2id, verified beside the event loop and always at the same cost."""

import asyncio
import os
import secrets
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

# Each verification takes 64 MiB for as long as it runs, so no more of them run than there are processors.
_WORKERS = min(4, os.cpu_count() or 1)


class Passwords:
    """Threads are started with the first password."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._executor = ThreadPoolExecutor(_WORKERS, "argon2")

    async def matches(self, password_hash: str | None, password: str) -> bool:
        """False for None too, after as much work as for a real hash: nobody learns by the time who has a password."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._verify, password_hash, password)

    async def hash(self, password: str) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._hasher.hash, password.encode("utf-8", "surrogatepass"))

    def _verify(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or _decoy(), password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


@cache
def _decoy() -> str:
    """The hash of a password that nobody knows, at the cost of every new hash. It takes none of that to make."""
    hasher = PasswordHasher()
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        b64encode(secrets.token_bytes(length)).decode().rstrip("=") for length in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${digest}"
