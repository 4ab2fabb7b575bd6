"""Contacts, channels, tokens, settings and the audit trail by command."""

import json
import socket
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.__main__ import main
from app.admin.command import Refused
from app.admin.config import unknown
from app.auth.token import Tokens
from tests.app.admin.conftest import Operate
from tests.conftest import TOKEN_SECRET, reserved_port, settings_for


async def test_contact_is_made_of_companies_and_disabled(operate: Operate, copy_connection: asyncpg.Connection) -> None:
    made = await operate("contacts", "create", "new@example.com", "--channel", "default", "--company", 3)
    assert (made["companies"], made["is_active"]) == ([3], True)
    changed = await operate("contacts", "companies", made["id"], "--company", 2, "--company", 4)
    assert changed["companies"] == [2, 4]
    for none in ((), ("--none", "--company", 2)):
        with pytest.raises(SystemExit):
            await operate("contacts", "companies", made["id"], *none)
    assert (await operate("contacts", "show", made["id"]))["companies"] == [2, 4]
    assert (await operate("contacts", "companies", made["id"], "--none"))["companies"] == []
    await operate("contacts", "companies", made["id"], "--company", 2, "--company", 4)
    token = (await operate("tokens", "create", f"contact:{made['id']}"))["token"]
    assert (await operate("tokens", "show", stdin=token))["subject"] == f"contact:{made['id']}"
    await operate("contacts", "disable", made["id"])
    with pytest.raises(Refused, match="that is good"):
        await operate("tokens", "create", f"contact:{made['id']}")
    assert not (await operate("contacts", "show", made["id"]))["is_active"]
    assert made["id"] in [row["id"] for row in await operate("contacts", "list", "--company", 4)]
    for arguments, words in (
        (("create", "NEW@example.com", "--channel", "default"), "already"),
        (("create", "x@example.com", "--channel", "default", "--company", 999), "no company 999"),
        (("show", 999_999), "no contact 999999"),
    ):
        with pytest.raises(Refused, match=words):
            await operate("contacts", *arguments)


async def test_contact_gets_a_password_that_ends_its_sessions(
    operate: Operate, copy_connection: asyncpg.Connection, audited: Callable[[], Awaitable[list[tuple[str, str]]]]
) -> None:
    given = ("contacts", "create", "new@example.com", "--channel", "default", "--password")
    made = await operate(*given, stdin="correct horse\n")
    assert made["has_password"]
    assert not (await operate("contacts", "show", 5))["has_password"]
    assert await operate("contacts", "password", 5, stdin="correct horse\n") == {"id": 5, "has_password": True}
    stored = "SELECT password_hash FROM contacts WHERE id = $1"
    for contact in (made["id"], 5):
        assert (await copy_connection.fetchval(stored, contact)).startswith("$argon2id$")
    await copy_connection.execute(
        "INSERT INTO contact_sessions (id, channel_id, contact_id, refresh_hash, expires_at)"
        " VALUES (gen_random_uuid(), 1, 5, sha256(''), now() + interval '1 day')"
    )
    await operate("contacts", "password", 5, stdin="battery staple\n")
    assert await copy_connection.fetchval("SELECT revoked_at IS NOT NULL FROM contact_sessions")
    assert ("contacts password", "contact:5") in await audited()
    [session] = (await operate("person", "export", "--contact", 5))["contact_sessions"]
    assert "refresh_hash" not in session
    await operate("erase", "--contact", 5, "--yes")
    assert not await copy_connection.fetchval("SELECT count(*) FROM contact_sessions")
    assert await copy_connection.fetchval(stored, 5) is None
    with pytest.raises(Refused, match="at least 6 characters"):
        await operate("contacts", "password", made["id"], stdin="short\n")


async def test_channel_has_a_zone_and_rates(operate: Operate) -> None:
    named = ("outlet", "--name", "Outlet", "--currency", "eur")
    made = await operate("channels", "create", *named, "--time-zone", "Asia/Tokyo")
    assert (made["currency"], made["time_zone"], made["orders"]) == ("EUR", "Asia/Tokyo", 0)
    assert (await operate("channels", "rate", "outlet", "usd", "0.92"))["rates"] == {"USD": Decimal("0.92")}
    assert (await operate("channels", "rate", "outlet", "USD"))["rates"] == {}
    assert (await operate("channels", "zone", "outlet", "Europe/Amsterdam"))["time_zone"] == "Europe/Amsterdam"
    assert (await operate("channels", "show", "default"))["orders"] > 0
    for arguments, words in (
        (("rate", "outlet", "XYZ", "2"), "ISO 4217"),
        (("rate", "outlet", "EUR", "2"), "own currency"),
        (("rate", "outlet", "GBP"), "no rate"),
        (("zone", "outlet", "Europe/Atlantis"), "time zone"),
        (("show", "nowhere"), "no channel 'nowhere'"),
        (("create", "outlet", "--name", "x", "--currency", "EUR"), "already"),
        (("create", "other", "--name", "x", "--currency", "XYZ"), "ISO 4217"),
        (("create", "other", "--name", "x", "--currency", "EUR", "--time-zone", "here"), "time zone"),
    ):
        with pytest.raises(Refused, match=words):
            await operate("channels", *arguments)
    for code, name in (
        ("OUT LET", "x"),
        ("", "x"),
        ("x" * 65, "x"),
        ("other", ""),
        ("other", " "),
        ("other", "x" * 256),
    ):
        with pytest.raises(SystemExit):
            await operate("channels", "create", code, "--name", name, "--currency", "EUR")


async def test_token_of_staff_says_what_it_may_do(operate: Operate, demo_copy_dsn: str) -> None:
    made = await operate("tokens", "create", "staff:7", "--permission", "orders:read", "--lifetime", "1h")
    claims = Tokens(settings_for(demo_copy_dsn)).verify(made["token"])
    assert (claims.subject, claims.scope) == ("staff:7", {"orders:read"})
    assert claims.expires_at == int(made["expires_at"].timestamp())
    with pytest.raises(Refused, match="name it by --permission"):
        await operate("tokens", "create", "staff:7")
    for text, words in ((made["token"] + "x", "good: its form or its signature is wrong$"), ("x", "no JWT")):
        with pytest.raises(Refused, match=words):
            await operate("tokens", "show", stdin=text)
    [entry] = await operate("audit", "list", "--subject", "staff:7")
    assert entry["details"]["permissions"] == ["orders:read"]
    assert made["token"] not in json.dumps(entry, default=str)
    for subject in ("staff:0", "staff:x", "customer:1", "staff", "staff:007"):
        with pytest.raises(SystemExit):
            await operate("tokens", "create", subject, "--permission", "orders:read")


async def test_write_that_is_refused_leaves_no_entry(operate: Operate) -> None:
    before = await operate("audit", "list")
    with pytest.raises(Refused):
        await operate("keys", "create", "x", "--permission", "orders:read", "--channel", "nowhere")
    assert await operate("audit", "list") == before


async def test_entry_says_who_it_was(operate: Operate) -> None:
    await operate("channels", "zone", "default", "Europe/Amsterdam", "--by", "ann")
    [entry] = await operate("audit", "list", "--actor", "operator:ann")
    assert (entry["action"], entry["subject"]) == ("channels zone", "channel:1")
    assert entry["details"] == {"before": "UTC", "now": "Europe/Amsterdam"}


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("TOKEN_SECRETS", "TOKEN_SECRETS is not known: is it TOKEN_SECRET?"),
        ("REDIS_URI", "REDIS_URI is not known: is it REDIS_URL?"),
        ("LIMIT_DEPHT", "LIMIT_DEPHT is not known: is it LIMIT_DEPTH?"),
        ("LIMIT_SPEED_OF_LIGHT", "LIMIT_SPEED_OF_LIGHT is not known"),
        ("TOKEN_SECRT_FILE", "TOKEN_SECRT_FILE is not known: is it TOKEN_SECRET_FILE?"),
        ("database_url", "database_url is not known: is it DATABASE_URL?"),
    ],
)
def test_key_that_is_no_setting_is_told(key: str, said: str) -> None:
    assert list(unknown({key: "x"})) == [said]


def test_keys_of_others_are_left_alone() -> None:
    others = "PATH HOME HOSTNAME HOSTTYPE LANG LISTEN_FDS LISTEN_PID NOTIFY_SOCKET DATABASE_HOST POSTGRES_USER"
    assert list(unknown(dict.fromkeys(others.split(), "x"))) == []


def test_config_check_tells_settings_and_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{TOKEN_SECRET}\n")
    monkeypatch.setenv("DATABASE_URL", "postgresql://waybill:s3cr3t@db.test/waybill?password=s3cr3t")
    monkeypatch.setenv("TOKEN_SECRET_FILE", str(file))
    monkeypatch.setenv("POOL_SIZE", "7")
    monkeypatch.delenv("WAYBILL_TEST_RUN", raising=False)
    assert main(["config", "check", "--json"]) == 0
    printed = capsys.readouterr().out
    assert "s3cr3t" not in printed
    assert TOKEN_SECRET not in printed
    rows = {row["key"]: row for row in json.loads(printed)}
    assert rows["DATABASE_URL"]["value"] == "postgresql://***@db.test/waybill"
    assert rows["TOKEN_SECRET"] == {"key": "TOKEN_SECRET", "value": "***", "from": str(file), "is_default": False}
    assert rows["POOL_SIZE"] == {"key": "POOL_SIZE", "value": 7, "from": "environment", "is_default": False}
    assert rows["LIMIT_DEPTH"] == {"key": "LIMIT_DEPTH", "value": 12, "from": "default", "is_default": True}
    monkeypatch.setenv("POOL_SIZE", "many")
    monkeypatch.setenv("POOL_SIZES", "7")
    assert main(["config", "check"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "POOL_SIZE must be a whole number from 1 to 1000",
        "POOL_SIZES is not known: is it POOL_SIZE?",
    ]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"TOKEN_SECRET_PREVIOUS": TOKEN_SECRET}, "TOKEN_SECRET_PREVIOUS"),
        ({"METRICS_TOKEN": TOKEN_SECRET}, "METRICS_TOKEN"),
        ({"LISTEN_URL": "postgresql://db.test/other"}, "LISTEN_URL"),
        ({"POOL_WAIT_SECONDS": "20"}, "POOL_WAIT_SECONDS"),
        ({"SLOW_STATEMENT": "15"}, "SLOW_STATEMENT"),
        ({"RETENTION_DAYS": "30", "WEBHOOK_DISABLE_DAYS": "40", "WEBHOOK_LOG_DAYS": "40"}, "RETENTION_DAYS_CHANGES"),
        ({"WEBHOOK_LOG_DAYS": "3"}, "WEBHOOK_LOG_DAYS"),
        ({"DATABASE_URL": "postgresql://db.test:99999/waybill"}, "DATABASE_URL"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], key: str
) -> None:
    given = {"DATABASE_URL": "postgresql://db.test/waybill", "TOKEN_SECRET": TOKEN_SECRET, **changes}
    monkeypatch.delenv("WAYBILL_TEST_RUN", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert main(["config", "check"]) == 1
    [said] = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{key} ")
    assert TOKEN_SECRET not in said


def test_config_check_sees_who_listens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_SECRET", TOKEN_SECRET)
    monkeypatch.delenv("WAYBILL_TEST_RUN", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listening, reserved_port() as port:
        monkeypatch.setenv("DATABASE_URL", f"postgresql://127.0.0.1:{listening.getsockname()[1]}/waybill")
        monkeypatch.setenv("REDIS_URL", f"redis://:s3cr3t@127.0.0.1:{port}/0")
        assert main(["config", "check"]) == 0
        capsys.readouterr()
        assert main(["config", "check", "--connect"]) == 1
    assert capsys.readouterr().err == "REDIS_URL leads to where nobody listens: Connection refused\n"


def test_arguments_that_cannot_be_any_are_wrong_usage(
    demo_dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", demo_dsn)
    for arguments in (
        ("create", "x", "--name", "X", "--currency", "EURO"),
        ("create", "x", "--name", "X", "--currency", "EUR", "--language", "e1"),
        ("zone", "default", "Europe Amsterdam"),
        ("rate", "default", "US", "2"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["channels", *arguments])
        assert ended.value.code == 2
    assert main(["channels", "zone", "default", "Europe/Nowhere"]) == 1
    assert main(["keys", "create", "x", "--permission", "shipments:override", "--channel", "default"]) == 1
    assert "allows nothing without shipments:write" in capsys.readouterr().err


def test_commands_print_for_programs_and_say_what_was_refused(
    demo_dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", demo_dsn)
    assert main(["keys", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "Demo partner"
    assert main(["keys", "list"]) == 0
    heading, *_ = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["ID", "NAME", "PREFIX", "STATE"]
    assert main(["keys", "show", "999"]) == 1
    assert capsys.readouterr() == ("", "there is no key 999\n")
    with pytest.raises(SystemExit) as usage:
        main(["keys"])
    assert usage.value.code == 2


async def test_pages_of_a_channel_look_as_is_said(
    operate: Operate, copy_connection: asyncpg.Connection, tmp_path: Path
) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    shown = await operate("channels", "page", "northwind", "--accent", "FF8800", "--logo", logo, "--languages", "nl,en")
    assert (shown["accent"], shown["languages"], shown["logo"]) == ("#ff8800", ["nl", "en"], logo.stat().st_size)
    # What is not given stays; what is given empty goes.
    shown = await operate("channels", "page", "northwind", "--name", "Wind", "--languages", "")
    assert (shown["name"], shown["accent"], shown["languages"]) == ("Wind", "#ff8800", None)
    assert (await operate("channels", "page", "northwind", "--logo", ""))["logo"] is None
    assert await copy_connection.fetchval("SELECT logo_type IS NULL FROM channel_pages WHERE channel_id = 2")
    large = tmp_path / "large.svg"
    large.write_bytes(b"<svg" + b" " * 65_536)
    for arguments in (
        ("--accent", "red"),
        ("--help-url", "javascript:alert(1)"),
        ("--picture-origin", "http://media.example.com"),
        ("--picture-origin", "https://media.example.com/path"),
        ("--languages", "nl en"),
        ("--logo", tmp_path / "missing.svg"),
        ("--logo", large),
        ("--logo", __file__),
    ):
        with pytest.raises(SystemExit):
            await operate("channels", "page", "northwind", *arguments)
    with pytest.raises(Refused, match="no channel 'nowhere'"):
        await operate("channels", "page", "nowhere")


async def test_a_link_to_an_order_is_made_and_ended(operate: Operate, audited: Callable[[], Awaitable[Any]]) -> None:
    first = await operate("track-link", 2075)
    assert (first["order"], first["link"][:7]) == (2075, "/track/")
    assert await operate("track-link", 2075, "--channel", "default") == first
    assert (await operate("track-link", 2075, "--revoke"))["link"] != first["link"]
    assert ("track-link", "order:1.2075") in await audited()
    for arguments, words in (((999_999_999,), "no order"), ((2075, "--channel", "nowhere"), "no channel")):
        with pytest.raises(Refused, match=words):
            await operate("track-link", *arguments)
