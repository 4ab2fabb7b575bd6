"""docs/cost.md, block by block, on a demo database."""

import json
import re
import shlex
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import parse, validate

from app.asgi import executable_schema
from app.rest.shop import ENDPOINTS
from app.settings import Settings
from tests.conftest import TOKEN_SECRET, calling, credentials, running, settings_for

PAGE = (Path(__file__).parents[2] / "docs" / "cost.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return found


async def by_curl(client: httpx.AsyncClient, command: str) -> Any:
    """What a command of curl is answered, by the application in place of the network."""
    words = shlex.split(command.replace("\\\n", " ").partition("|")[0])
    headers = dict(word.split(": ", 1) for before, word in pairwise(words) if before == "-H")
    [body] = [word for before, word in pairwise(words) if before == "-d"]
    [path] = [word.removeprefix("localhost:8000") for word in words if word.startswith("localhost:8000")]
    return (await client.post(path, content=body, headers=headers)).json()


@pytest.fixture
async def own_client(demo_dsn: str) -> AsyncIterator[httpx.AsyncClient]:
    """Of an application that nobody else has asked: its buckets are full."""
    async with running(settings_for(demo_dsn)) as app, calling(app) as client:
        yield client


async def test_commands_are_answered_as_shown(own_client: httpx.AsyncClient) -> None:
    report, check = blocks("sh")
    answer = await by_curl(own_client, report)
    assert answer["extensions"]["cost"] == json.loads(blocks("json")[0])
    assert answer["data"]["order"]["status"]
    validated = await by_curl(own_client, check)
    assert validated["data"] is None
    assert validated["extensions"]["cost"].keys() == answer["extensions"]["cost"].keys() - {"actual"}
    assert validated["extensions"]["cost"]["remaining"] == validated["extensions"]["cost"]["capacity"]


async def test_headers_are_those_of_a_storefront(own_client: httpx.AsyncClient, demo_dsn: str) -> None:
    headers = credentials("john", settings_for(demo_dsn))
    answer = await own_client.get("/api/shop/customer-orders/1", headers=headers)
    [shown] = blocks("http")
    told = dict(line.split(": ", 1) for line in shown.splitlines())
    assert answer.headers["ratelimit-policy"] == told["RateLimit-Policy"]
    [seconds] = re.findall(r'"requests";r=99;t=(\d+)', answer.headers["ratelimit"])
    assert answer.headers["ratelimit"].replace(f"t={seconds}, ", "t=60, ") == told["RateLimit"]


async def test_problem_is_as_shown(own_client: httpx.AsyncClient) -> None:
    answer = await own_client.get("/nowhere", headers={"x-request-id": "r1"})
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json() == {**json.loads(blocks("json problem")[0]), "requestId": "r1"}


def test_document_is_valid() -> None:
    for text in blocks("graphql"):
        assert validate(executable_schema(), parse(text)) == []


def test_settings_are_accepted() -> None:
    given = dict(line.split("=") for line in blocks("env")[0].splitlines())
    settings = Settings.from_env({"DATABASE_URL": "postgresql://x", "TOKEN_SECRET": TOKEN_SECRET, **given})
    assert settings.cost_capacity >= settings.limits.cost
    assert settings.cost_restore_rate == int(given["COST_RESTORE_RATE"])


def test_points_of_rest_are_those_of_the_code() -> None:
    rows = [
        (row, tuple(number.replace(",", "") for number in re.findall(r"[\d,]*\d", points)))
        for row, points in re.findall(r"^\| `GET (/api/shop/[^`]+)` \| (.*?) \|$", PAGE, re.MULTILINE)
    ]
    told = {path: tuple(map(int, numbers)) for path, numbers in rows}
    gets = [each for each in ENDPOINTS if each.method == "GET"]
    assert told == {each.path: tuple(filter(None, (each.points, each.points_of_row))) for each in gets}
    assert [each.points for each in ENDPOINTS if each.method == "POST"] == [1_000, 100, 10]
