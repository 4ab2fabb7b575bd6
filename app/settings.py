"""The service's configuration: read once from the environment, frozen, every fault named at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MINIMUM_SECRET_BYTES = 32


class SettingsError(Exception):
    """Raised with one line for every key that is missing or wrong."""


@dataclass(frozen=True)
class Limits:
    """What one request may ask for; each may be set by `LIMIT_<NAME>`.

    The defaults admit every document of the B2B SDK and the standard introspection query.
    """

    body_bytes: int = 256_000
    tokens: int = 2_000
    depth: int = 12
    aliases: int = 30
    repeats: int = 30
    root_fields: int = 20
    page: int = 100
    list_items: int = 100
    documents: int = 1_000


@dataclass(frozen=True)
class Settings:
    """`database_url` is passed to asyncpg as it is: several hosts and `target_session_attrs` included.

    `token_secret` signs and checks the service's own HS256 tokens; `jwks_file` names further public keys, each with its
    own `kid` and `alg`. `redis_url` is where workers share their rate limits; without one each counts alone.
    `login_attempts_per_…` bound logins (C-47, `app.auth.login`). `executor` is `plan`, or `plain` to have graphql-core
    run everything: the answers are the same.
    """

    database_url: str = field(repr=False)
    token_secret: str = field(repr=False)
    token_issuer: str = "waybill"
    token_audience: str = "waybill"
    jwks_file: Path | None = None
    redis_url: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    pool_size: int = 10
    development: bool = False
    executor: str = "plan"
    login_attempts_per_email: int = 5
    login_attempts_per_address: int = 5
    login_attempts_per_hour: int = 100
    limits: Limits = Limits()

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises `SettingsError` that names every missing or unusable key, never its value."""
        faults: list[str] = []
        values: dict[str, Any] = {}

        def read(key: str, convert: Callable[[str], Any], *, required: bool = False) -> None:
            text = environ.get(key, "")
            if not text:
                if required:
                    faults.append(f"{key} is required")
                return
            try:
                values[key.lower()] = convert(text)
            except ValueError as error:
                faults.append(f"{key} {error}")

        read("DATABASE_URL", _database_url, required=True)
        read("TOKEN_SECRET", _secret, required=True)
        read("TOKEN_ISSUER", str)
        read("TOKEN_AUDIENCE", str)
        read("JWKS_FILE", _file)
        read("REDIS_URL", _redis_url)
        read("HOST", str)
        read("PORT", _between(1, 65_535))
        read("POOL_SIZE", _between(1, 1_000))
        read("DEVELOPMENT", _flag)
        read("EXECUTOR", _executor)
        read("LOGIN_ATTEMPTS_PER_EMAIL", _between(1, 1_000))
        read("LOGIN_ATTEMPTS_PER_ADDRESS", _between(1, 1_000))
        read("LOGIN_ATTEMPTS_PER_HOUR", _between(1, 1_000))
        limit_names = Limits.__dataclass_fields__
        for name in limit_names:
            read(f"LIMIT_{name.upper()}", _between(1, 100_000_000))
        if faults:
            raise SettingsError("\n".join(faults))
        limits = {name: values.pop(f"limit_{name}") for name in limit_names if f"limit_{name}" in values}
        return cls(**values, limits=Limits(**limits))


def _database_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must start with postgresql://")
    return text


def _redis_url(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "redis+unix://")):
        raise ValueError("must start with redis://, rediss:// or redis+unix://")
    return text


def _secret(text: str) -> str:
    if len(text.encode()) < MINIMUM_SECRET_BYTES:
        raise ValueError(f"must have at least {MINIMUM_SECRET_BYTES} bytes")
    return text


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError("names no file")
    return path


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def _executor(text: str) -> str:
    if text not in ("plan", "plain"):
        raise ValueError("must be plan or plain")
    return text


def _between(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not low <= int(text[:20]) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return convert
