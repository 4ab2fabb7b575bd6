"""The service's configuration: read once from the environment, frozen, every fault named at once.

A secret may stand in a file instead: `TOKEN_SECRET_FILE` names it, or systemd has it among its credentials
(`LoadCredential=token_secret:…`). Such a file is read anew when it changes, so that a secret is replaced without a
restart.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.cache import DEFAULT_BYTES
from app.rules import server_urls, url_fault

MINIMUM_SECRET_BYTES = 32
_MAXIMUM_SECRET_BYTES = 65_536
_CREDENTIALS = "CREDENTIALS_DIRECTORY"
# Answers under idempotency keys are kept for two days.
LEAST_RETENTION_DAYS, MOST_RETENTION_DAYS = 2, 36_500
# What `RETENTION_DAYS_…` are for; those of the second line `RETENTION_DAYS` alone leaves as they are.
RETAINED = ("changes", "idempotency_keys", "sessions", "logins", "waiting_reports", "audit_entries")
KEPT_UNLESS_NAMED = ("waiting_reports", "audit_entries")
# What has to be registered of what is asked, the more the stricter; see `app.documents.policy`.
DOCUMENT_MODES = ("off", "log", "safelist", "id-only")

_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_LARGEST_PORT = 65_535
_MOST_RETRIES = 100
_LONGEST_RETRY_SECONDS = 604_800
_MOST_WORKERS = 256
_MOST_REPLICAS = 16
_MOST_POINTS = 1_000_000_000_000
# Twice what it costs to ask for the schema.
_LEAST_CAPACITY = 10_000
_SHORTEST_TOKEN = 16
_DEFAULT_PORTS = {("http", "80"), ("https", "443")}

Network = IPv4Network | IPv6Network


class SettingsError(Exception):
    """Raised with one line for every key that is missing or wrong."""


@dataclass(frozen=True)
class Limits:
    """What one request may ask for; each may be set by `LIMIT_<NAME>`.

    The defaults admit every document of the B2B SDK and the standard introspection query.
    """

    body_bytes: int = 2_500_000
    document: int = 256_000
    head_bytes: int = 65_536
    headers: int = 100
    connections: int = 10_000
    address_connections: int = 1_000
    tokens: int = 2_000
    depth: int = 12
    aliases: int = 30
    repeats: int = 30
    root_fields: int = 20
    returns: int = 1
    cost: int = 5_000_000
    page: int = 100
    list_items: int = 100
    written_items: int = 1_000
    text: int = 200
    frame_bytes: int = 65_536
    streams: int = 20_000
    viewer_streams: int = 1_000
    stream_operations: int = 100


@dataclass(frozen=True)
class Worker:
    """One of several processes that answer on the same socket (`app.serve.supervisor`).

    `number` is its own as long as it lives, and another's afterwards; `folder` is where they meet.
    """

    number: int
    folder: Path


@dataclass(frozen=True)
class Settings:
    """`database_url` is passed to asyncpg as it is: several hosts and `target_session_attrs` included. What is only
    read may come from the standbys of `read_database_url` that lag no more than `read_lag_seconds`
    (`app.postgres.replicas`).

    `token_secret` signs and checks the service's own HS256 tokens, and those that `token_secret_previous` has signed
    are good, too; `jwks_file` names further public keys, each with its own `kid` and `alg`. `secret_files` are the
    files that secrets were read from, by their keys. `redis_url` is where machines share their rate limits; without one
    each counts alone. `allowed_origins` are those whose pages may call from a browser, as browsers write them
    (`app.http.cors`). `listen_url` is where the database's notifications are listened to, in place of `database_url`.
    `statement_cache` is how many prepared statements a connection keeps. `cache_bytes` is what all may take that is
    kept for documents (`app.cache`), and a quarter of it what a connection's prepared statements may, of PostgreSQL's
    memory. `deadline` is what a request may take, in seconds, and `pool_wait_seconds` how long it may wait for a
    connection, with no more than `pool_queue` that do. What is older than `retention_days`, or than those of its own
    table, is not kept (`app.postgres.retention`). `link_page` is the shop's page where customers set a password, with
    `{token}` for the token of their link and `{channel}` for the code of their channel. `public_url` is where customers
    reach the service, for links to its pages. `metrics_token` is what whoever
    asks for the metrics has to bring. `log_format` is `json`, or `text` for people. A statement that takes
    `slow_statement` seconds is named in the log. `traces` is the share of requests that is traced. A service that is to
    `deliver` calls the endpoints of webhooks. What they may lead to, beside the public internet by 443, is
    `webhook_allowed_networks` and `webhook_ports`. A message is tried again after each of `webhook_retry_seconds`, the
    last of them again and again, and an attempt takes `webhook_timeout` seconds at most; what fails for
    `webhook_disable_days` is given up. Their log is kept for `webhook_log_days`. `workers` is how many processes
    answer under one that supervises them; with 0 the only one answers itself. A request has `head_seconds`
    for its head, and a connection is kept open for `keep_alive_seconds` without one. A server that is told to stop goes
    on for up to `drain_seconds`, so that proxies notice. `protocol` is `waybill`, or `stock` for uvicorn's own.
    `ide` shows GraphiQL to browsers.
    `login_attempts_per_…` bound logins (C-47, `app.auth.attempt`). `cost_capacity` are the points that a viewer has at
    most, and `cost_restore_rate` those that come back in a second (`app.http.budget`). `executor` is `compiled`, or
    `reference` to have graphql-core run everything: the answers are the same. `document_mode` is one of
    `DOCUMENT_MODES`, for callers that have none of their own (`app.documents`).
    """

    database_url: str = field(repr=False)
    token_secret: str = field(repr=False)
    token_secret_previous: str | None = field(default=None, repr=False)
    token_issuer: str = "waybill"
    token_audience: str = "waybill"
    jwks_file: Path | None = None
    redis_url: str | None = field(default=None, repr=False)
    allowed_origins: tuple[str, ...] = ()
    prometheus_multiproc_dir: Path | None = None
    metrics_token: str | None = field(default=None, repr=False)
    log_format: str = "json"
    slow_statement: float = 1.0
    traces: float = 0.0
    link_page: str | None = None
    public_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 0
    pool_size: int = 10
    pool_wait_seconds: float = 5.0
    pool_queue: int = 5_000
    statement_cache: int = 500
    cache_bytes: int = DEFAULT_BYTES
    listen_url: str | None = field(default=None, repr=False)
    read_database_url: str | None = field(default=None, repr=False)
    read_lag_seconds: float = 5.0
    deadline: float = 15.0
    retention_days: int | None = None
    retention_days_changes: int | None = None
    retention_days_idempotency_keys: int | None = None
    retention_days_sessions: int | None = None
    retention_days_logins: int | None = None
    retention_days_waiting_reports: int | None = None
    retention_days_audit_entries: int | None = None
    head_seconds: float = 10.0
    keep_alive_seconds: int = 65
    drain_seconds: float = 5.0
    protocol: str = "waybill"
    development: bool = False
    ide: bool = False
    executor: str = "compiled"
    document_mode: str = "off"
    deliver: bool = False
    webhook_allowed_networks: tuple[Network, ...] = ()
    webhook_ports: frozenset[int] = frozenset({443})
    webhook_retry_seconds: tuple[int, ...] = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
    webhook_timeout: float = 20.0
    webhook_disable_days: int = 5
    webhook_log_days: int = 30
    login_attempts_per_email: int = 5
    login_attempts_per_address: int = 5
    login_attempts_per_hour: int = 100
    cost_capacity: int = 100_000_000
    cost_restore_rate: int = 50_000_000
    limits: Limits = Limits()
    secret_files: Mapping[str, Path] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Raises `SettingsError` that names every missing or unusable key, never its value."""
        faults: list[str] = []
        values: dict[str, Any] = {}
        files: dict[str, Path] = {}

        def read(key: str, convert: Callable[[str], Any], *, required: bool = False) -> None:
            text = environ.get(key, "")
            if key in SECRETS:
                try:
                    text, file = secret(environ, key)
                except SettingsError as error:
                    faults.append(str(error))
                    return
                if file is not None:
                    files[key] = file
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
        read("TOKEN_SECRET_PREVIOUS", _secret)
        read("TOKEN_ISSUER", str)
        read("TOKEN_AUDIENCE", str)
        read("JWKS_FILE", _file)
        read("REDIS_URL", _redis_url)
        read("ALLOWED_ORIGINS", _origins)
        read("PROMETHEUS_MULTIPROC_DIR", _directory)
        read("METRICS_TOKEN", _token)
        read("LOG_FORMAT", _one_of("json", "text"))
        read("SLOW_STATEMENT", _seconds(0.001, 3_600))
        read("TRACES", _share)
        read("LINK_PAGE", _link_page)
        read("PUBLIC_URL", _public_url)
        read("HOST", str)
        read("PORT", _between(1, _LARGEST_PORT))
        read("WORKERS", _between(0, _MOST_WORKERS))
        read("POOL_SIZE", _between(1, 1_000))
        read("POOL_WAIT_SECONDS", _seconds(0.1, 600))
        read("POOL_QUEUE", _between(1, 1_000_000))
        read("STATEMENT_CACHE", _between(0, 100_000))
        read("CACHE_BYTES", _between(1_000_000, 100_000_000_000))
        read("LISTEN_URL", _database_url)
        read("READ_DATABASE_URL", _read_database_url)
        read("READ_LAG_SECONDS", _seconds(0.1, 60))
        read("DEADLINE", _seconds(0.1, 3_600))
        read("RETENTION_DAYS", _between(LEAST_RETENTION_DAYS, MOST_RETENTION_DAYS))
        for name in RETAINED:
            read(f"RETENTION_DAYS_{name.upper()}", _between(LEAST_RETENTION_DAYS, MOST_RETENTION_DAYS))
        read("HEAD_SECONDS", _seconds(0.1, 600))
        read("KEEP_ALIVE_SECONDS", _between(1, 3_600))
        read("DRAIN_SECONDS", _seconds(0, 600))
        read("PROTOCOL", _one_of("waybill", "stock"))
        read("DEVELOPMENT", _flag)
        read("IDE", _flag)
        read("EXECUTOR", _executor)
        read("DOCUMENT_MODE", _one_of(*DOCUMENT_MODES))
        read("DELIVER", _flag)
        read("WEBHOOK_ALLOWED_NETWORKS", _networks)
        read("WEBHOOK_PORTS", _ports)
        read("WEBHOOK_RETRY_SECONDS", _retries)
        read("WEBHOOK_TIMEOUT", _seconds(0.1, 60))
        read("WEBHOOK_DISABLE_DAYS", _between(1, 365))
        read("WEBHOOK_LOG_DAYS", _between(1, 365))
        read("LOGIN_ATTEMPTS_PER_EMAIL", _between(1, 1_000))
        read("LOGIN_ATTEMPTS_PER_ADDRESS", _between(1, 1_000))
        read("LOGIN_ATTEMPTS_PER_HOUR", _between(1, 1_000))
        read("COST_CAPACITY", _between(_LEAST_CAPACITY, _MOST_POINTS))
        read("COST_RESTORE_RATE", _between(1, _MOST_POINTS))
        limit_names = Limits.__dataclass_fields__
        for name in limit_names:
            read(f"LIMIT_{name.upper()}", _between(1, 100_000_000))
        if faults:
            raise SettingsError("\n".join(faults))
        limits = {name: values.pop(f"limit_{name}") for name in limit_names if f"limit_{name}" in values}
        return cls(**values, limits=Limits(**limits), secret_files=files)

    @property
    def retention(self) -> dict[str, int]:
        """For how many days what is kept of `RETAINED`; what is not among them is kept for good."""
        days = {name: getattr(self, f"retention_days_{name}") or self._retention_of(name) for name in RETAINED}
        return {name: kept for name, kept in days.items() if kept}

    def _retention_of(self, name: str) -> int | None:
        return None if name in KEPT_UNLESS_NAMED else self.retention_days

    def current(self, key: str) -> str | None:
        """A secret as its file says now; as it was read where there is none, or nothing that can be used."""
        known: str | None = getattr(self, key.lower())
        if key not in self.secret_files:
            return known
        try:
            return read_secret_file(self.secret_files[key]) or known
        except (OSError, UnicodeError):
            return known

    def current_if_file(self, key: str) -> Callable[[], str | None] | None:
        """What gives `current`, where that may change."""
        return partial(self.current, key) if key in self.secret_files else None


# The keys of the environment, and those of them that nobody may read.
KEYS = (
    *(name.upper() for name in Settings.__dataclass_fields__ if name not in ("limits", "secret_files")),
    *(f"LIMIT_{name.upper()}" for name in Limits.__dataclass_fields__),
)
SECRETS = tuple(
    key for key in KEYS if not key.startswith("LIMIT_") and not Settings.__dataclass_fields__[key.lower()].repr
)


def secret(environ: Mapping[str, str], key: str) -> tuple[str, Path | None]:
    """A secret, empty where there is none, and the file that holds it: that of `<key>_FILE`, or systemd's.

    Raises `SettingsError` where it is given twice, or cannot be read.
    """
    text, named = environ.get(key, ""), environ.get(f"{key}_FILE", "")
    if text and named:
        raise SettingsError(f"{key} and {key}_FILE are both set: one of them is enough")
    if text:
        return text, None
    if named:
        file = Path(named)
    else:
        directory = environ.get(_CREDENTIALS, "")
        file = Path(directory) / key.lower()
        if not directory or not file.exists():
            return "", None
    try:
        return read_secret_file(file), file
    except OSError as fault:
        reason = fault.strerror
    except UnicodeError:
        reason = "it is no text"
    raise SettingsError(f"{key}_FILE cannot be read: {reason}" if named else f"the credential {key.lower()}: {reason}")


def read_secret_file(file: Path) -> str:
    """Its text without the line's end. Raises OSError or UnicodeError."""
    with file.open("rb") as opened:
        return opened.read(_MAXIMUM_SECRET_BYTES).decode().rstrip("\r\n")


def _link_page(text: str) -> str:
    if url_fault(text.replace("{channel}", "x")) or "{token}" not in text:
        raise ValueError("must be a URL of http or https with {token} where the token goes")
    return text


def _public_url(text: str) -> str:
    if not _is_origin(text) or not text.startswith(("https://", "http://")):
        raise ValueError(
            "must be where customers reach the service, such as https://track.example.org: scheme, host in lower case,"
            " port unless it is the scheme's own, and no more"
        )
    return text


def _executor(text: str) -> str:
    former = {"plan": "compiled", "plain": "reference"}
    if text in former:
        raise ValueError(f"must be compiled or reference: {text} is called {former[text]} now")
    return _one_of("compiled", "reference")(text)


def _database_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must start with postgresql://")
    return _url(text)


def _read_database_url(text: str) -> str:
    number = len(server_urls(text))
    if number > _MOST_REPLICAS:
        raise ValueError(f"must name {_MOST_REPLICAS} servers at most, not {number}")
    return text


def _redis_url(text: str) -> str:
    if not text.startswith(("redis://", "rediss://", "redis+unix://")):
        raise ValueError("must start with redis://, rediss:// or redis+unix://")
    return _url(text)


def _url(text: str) -> str:
    """Several hosts with commas between are as libpq has them: they are not looked at."""
    try:
        parts = urlsplit(text)
        if "," not in parts.netloc:
            _ = parts.port
    except ValueError:
        raise ValueError(
            "must be a URL, with a port up to 65535 if any; special characters of a password are percent-encoded: @ is"
            " %40, / is %2F, # is %23"
        ) from None
    return text


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(origin.strip() for origin in text.split(","))
    for place, origin in enumerate(origins, start=1):
        if not _is_origin(origin):
            raise ValueError(
                "must be origins such as https://shop.example.org or http://localhost:3000, with commas between;"
                f" number {place} is none: scheme, host in lower case, port unless it is the scheme's own, and no more"
            )
    return origins


def _is_origin(text: str) -> bool:
    """Whether a browser would write an origin so: never with a path or its scheme's own port. `*` names none."""
    match = _ORIGIN.fullmatch(text)
    if not match:
        return False
    port = match["port"]
    return port is None or (int(port) <= _LARGEST_PORT and (match["scheme"], port) not in _DEFAULT_PORTS)


def _networks(text: str) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError("must be networks such as 10.1.0.0/16 or fd00::/8, with commas between") from None


def _ports(text: str) -> frozenset[int]:
    port = _between(1, _LARGEST_PORT)
    try:
        return frozenset(port(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError(f"must be ports from 1 to {_LARGEST_PORT}, with commas between") from None


def _retries(text: str) -> tuple[int, ...]:
    seconds, parts = _between(1, _LONGEST_RETRY_SECONDS), text.split(",")
    try:
        retries = tuple(seconds(part.strip()) for part in parts)
    except ValueError:
        retries = ()
    if not retries or len(retries) > _MOST_RETRIES:
        raise ValueError(
            f"must be 1 to {_MOST_RETRIES} numbers of seconds, each up to {_LONGEST_RETRY_SECONDS}, with commas between"
        )
    return retries


def _secret(text: str) -> str:
    if len(text.encode()) < MINIMUM_SECRET_BYTES:
        raise ValueError(f"must have at least {MINIMUM_SECRET_BYTES} bytes")
    return text


def _token(text: str) -> str:
    if len(text.encode()) < _SHORTEST_TOKEN:
        raise ValueError(f"must have at least {_SHORTEST_TOKEN} bytes")
    return text


def _share(text: str) -> float:
    if not re.fullmatch(r"[01](\.[0-9]{1,6})?", text) or float(text) > 1:
        raise ValueError("must be a number from 0 to 1")
    return float(text)


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError("names no file")
    return path


def _directory(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise ValueError("names no directory")
    return path


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 0 or 1")
    return text == "1"


def _one_of(*choices: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be {' or '.join(choices)}")
        return text

    return convert


def _between(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or not low <= int(text[:20]) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return convert


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text) or not low <= float(text) <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return float(text)

    return convert
