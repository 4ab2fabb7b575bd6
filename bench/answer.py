"""Asks every server the same questions and compares the answers as data."""

import http.client
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bench.servers import Server
from bench.workload import Workload

_DATE = re.compile(r"(:\d\d)(?:\.(\d+))?(?:\+00:00|Z)$")
# The arithmetic of pages, which PostGraphile's connections lack.
_PAGE = frozenset({"page", "pages", "offset", "start", "end"})


class Different(Exception):
    """Two servers gave different data for the same question."""


def answers(server: Server, workload: Workload) -> Iterator[Any]:
    """What the server says to each visit, one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    bodies = workload.bodies(server.queries, server.dialect)
    try:
        for visit, body in zip(workload.visits, bodies, strict=True):
            headers = {"content-type": "application/json", **server.credentials(visit.subject)}
            connection.request("GET" if visit.path else "POST", visit.path or server.path, body, headers)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200 or b'"errors"' in text[:100]:
                raise Different(f"{server.name} {visit}\nHTTP {response.status}: {text[:900]!r}")
            yield json.loads(text)
    finally:
        connection.close()


def is_ready(server: Server) -> bool:
    """Whether it answers at all: what it says to an empty request does not matter."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("POST", server.path, "{}", {"content-type": "application/json"})
        return connection.getresponse().status > 0
    except OSError:
        return False
    except http.client.HTTPException:
        return True
    finally:
        connection.close()


def compare(server: Server, workload: Workload, reference: Sequence[Any]) -> None:
    """Raises `Different` at the first answer that is not the reference's."""
    left_out = _PAGE if server.dialect else frozenset()
    for visit, given, wanted in zip(workload.visits, answers(server, workload), reference, strict=True):
        mine, theirs = canonical(given, left_out), canonical(wanted, left_out)
        if mine != theirs:
            raise Different(f"{server.name} {visit}\n{json.dumps(mine)[:900]}\nnot\n{json.dumps(theirs)[:900]}")


def canonical(value: Any, left_out: frozenset[str] = frozenset()) -> Any:
    """One form for the same data: dates in milliseconds of UTC, prices as floats, and what hangs on a row by id.

    The rows of a page keep their sequence: it is part of what was asked for.
    """
    if isinstance(value, list):
        return [canonical(entry, left_out) for entry in value]
    if not isinstance(value, dict):
        return value
    is_page = "itemsFound" in value
    return {
        key: _sorted(canonical(entry, left_out))
        if isinstance(entry, list) and not is_page
        else _leaf(key, entry, left_out)
        for key, entry in sorted(value.items())
        if key not in left_out
    }


def _sorted(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=lambda row: str(row.get("id"))) if all(isinstance(row, dict) for row in rows) else rows


def _leaf(key: str, value: Any, left_out: frozenset[str]) -> Any:
    if key in ("price", "priceNet") and value is not None:
        return float(value)
    if key.endswith("At") and isinstance(value, str):
        return _DATE.sub(lambda match: f"{match[1]}.{(match[2] or '').ljust(3, '0')[:3]}Z", value)
    return canonical(value, left_out)
