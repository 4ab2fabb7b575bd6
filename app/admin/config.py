"""`config`: what the service would run with, and what of the environment it does not know."""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from app.admin.command import Answer, Commands, Noun, Options
from app.settings import KEYS, SECRETS, Limits, Settings, SettingsError, secret

# What is read elsewhere: by uvicorn, and by `dev`.
_OTHERS = ("FORWARDED_ALLOW_IPS", "DATA_DIR")
_KNOWN = frozenset(KEYS) | {f"{key}_FILE" for key in SECRETS} | set(_OTHERS)
# Of these nobody else's keys are: an unknown one is a slip, whatever it looks like.
_OURS = ("LIMIT_", "LOGIN_ATTEMPTS_", "WAYBILL_")
# So much alike is a key that somebody meant: TOKEN_SECRETS, REDIS_URI, POOL_SIZ.
_ALIKE = 0.86
_HIDDEN = "***"
_CONNECT_SECONDS = 3.0


def add_commands(commands: Commands) -> None:
    noun = Noun(commands, "config", help="tell what the service runs with")
    task = noun.local(
        "check",
        _check,
        "print the settings that are in force, without secrets, and refuse keys of the environment that are wrong,"
        " contradict each other, or look like one that was meant",
    )
    task.add_argument(
        "--connect", action="store_true", help="see whether somebody listens where the URLs lead, from this machine"
    )


def _check(options: Options) -> Answer:
    rows: list[dict[str, Any]] = []
    faults = list(unknown(os.environ))
    try:
        settings = Settings.from_env(os.environ)
        rows = list(_rows(settings))
        faults += contradictions(settings)
        if options.connect:
            faults += _unreached(settings)
    except SettingsError as error:
        faults = [*str(error).splitlines(), *faults]
    return Answer(rows, notes=faults, failed=bool(faults))


def unknown(environ: Mapping[str, str]) -> Iterator[str]:
    """One line for each key that is not known and is meant for this service, or looks so."""
    for key in sorted(environ):
        if key in _KNOWN:
            continue
        alike = get_close_matches(key.upper(), _KNOWN, n=1, cutoff=_ALIKE)
        if alike or key.startswith(_OURS):
            yield f"{key} is not known" + (f": is it {alike[0]}?" if alike else "")


def contradictions(settings: Settings) -> Iterator[str]:
    """One line for each pair of settings of which one makes the other useless."""
    if settings.token_secret == settings.token_secret_previous:
        yield "TOKEN_SECRET_PREVIOUS is TOKEN_SECRET: it is for the one before"
    if settings.metrics_token is not None and settings.metrics_token == settings.token_secret:
        yield "METRICS_TOKEN is TOKEN_SECRET, which whoever asks for metrics could sign tokens with"
    if settings.listen_url is not None and _database(settings.listen_url) != _database(settings.database_url):
        yield "LISTEN_URL names another database than DATABASE_URL, where nothing is told of it"
    if settings.pool_wait_seconds >= settings.deadline:
        yield "POOL_WAIT_SECONDS must be less than DEADLINE: whoever waits so long has no time left"
    if settings.slow_statement >= settings.deadline:
        yield "SLOW_STATEMENT must be less than DEADLINE: no statement takes longer"
    kept = settings.retention.get("changes")
    if kept is not None and kept < settings.webhook_disable_days:
        yield "RETENTION_DAYS_CHANGES must not be less than WEBHOOK_DISABLE_DAYS: who is away so long would lose some"
    if settings.webhook_log_days < settings.webhook_disable_days:
        yield "WEBHOOK_LOG_DAYS must not be less than WEBHOOK_DISABLE_DAYS: what is tried still would have no log"


def _database(url: str) -> str:
    return urlsplit(url).path.strip("/")


def _unreached(settings: Settings) -> Iterator[str]:
    for key, port in (("DATABASE_URL", 5_432), ("LISTEN_URL", 5_432), ("REDIS_URL", 6_379)):
        url = getattr(settings, key.lower())
        parts = urlsplit(url or "")
        if not parts.hostname:
            continue  # none, or a socket of this machine
        try:
            socket.create_connection((parts.hostname, parts.port or port), _CONNECT_SECONDS).close()
        except OSError as error:
            yield f"{key} leads to where nobody listens: {error.strerror or error}"


def _rows(settings: Settings) -> Iterator[dict[str, Any]]:
    defaults = {field.name.upper(): field.default for field in fields(Settings)}
    defaults |= {f"LIMIT_{field.name.upper()}": field.default for field in fields(Limits)}
    for key in KEYS:
        of_limits = key.startswith("LIMIT_")
        name = key.removeprefix("LIMIT_").lower()
        value = getattr(settings.limits if of_limits else settings, name)
        shown = _redacted(value) if key in SECRETS and value is not None else value
        yield {"key": key, "value": _plain(shown), "from": _source(key), "is_default": value == defaults[key]}


def _source(key: str) -> str:
    if key in SECRETS:
        _, file = secret(os.environ, key)
        if file is not None:
            return str(file)
    return "environment" if os.environ.get(key) else "default"


def _redacted(text: str) -> str:
    """Of a URL where it leads, without who goes there; of anything else nothing."""
    try:
        parts = urlsplit(text)
        if not parts.scheme or not parts.netloc or "@" in parts.path or parts.netloc.count("@") > 1:
            return _HIDDEN
    except ValueError:
        return _HIDDEN
    credentials, at, host = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{f'{_HIDDEN}{at}' if credentials else ''}{host}{parts.path}"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
