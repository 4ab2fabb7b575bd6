"""docs/growing.md: what it shows is what there is, and its pooler is one that works."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.http import health
from app.postgres.connect import Connector
from app.postgres.consistency import HEADER, Consistency
from app.settings import Settings
from tests.conftest import TOKEN_SECRET, reserved_port
from tests.pooler import bouncing, needs_pgbouncer

PAGE = (Path(__file__).parents[2] / "docs" / "growing.md").read_text("utf-8")


def block(language: str, word: str = "") -> str:
    [found] = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if word in text]
    return str(found)


def exported(text: str) -> dict[str, str]:
    pairs = re.findall(r"^export (\w+)=(\S+)", text, re.MULTILINE)
    return {name: value.strip("'") for name, value in pairs}


@pytest.mark.parametrize("word", ["READ_DATABASE_URL", "LISTEN_URL"])
def test_settings_of_the_page_are_accepted(word: str) -> None:
    Settings.from_env({"TOKEN_SECRET": TOKEN_SECRET, **exported(block("sh", word))})


def test_a_state_is_written_as_the_page_shows_it() -> None:
    name, _, text = block("http").strip().partition(": ")
    assert name == HEADER
    assert str(Consistency.of(text)) == text


def test_metrics_of_the_page_are_those_there_are() -> None:
    source = Path(health.__file__).read_text("utf-8")
    for name in re.findall(r"`(waybill_\w+?)(?:_total)?\{", PAGE):
        assert f'"{name}"' in source
    assert json.loads(block("json")).keys() == {"status", "writable", "notifications", "replicas"}


@needs_pgbouncer
async def test_pooler_of_the_page_shares_sessions(demo_dsn: str) -> None:
    server = urlsplit(demo_dsn)
    with reserved_port() as port:
        text = block("ini").replace("listen_port = 6432", f"listen_port = {port}\nunix_socket_dir =")
        text = text.replace("port=5432 dbname=waybill", f"port={server.port} dbname={server.path[1:]}")
        text = text.replace("/etc/pgbouncer/userlist.txt", "{folder}/users")
        with bouncing(text, port, f'"{server.username}" "{server.password}"\n'):
            credentials = f"{server.username}:{server.password}"
            dsn = f"postgresql://{credentials}@127.0.0.1:{port}/waybill"
            assert not (await Connector(dsn, statement_cache=0).persistence()).sessions
