"""The public examples of the REST endpoints, each answer compared exactly as `examples/index.json` says."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import credentials, settings_for

EXAMPLES = Path(__file__).parent / "examples"
INDEX = json.loads((EXAMPLES / "index.json").read_text("utf-8"))
REST = [pytest.param(entry, id=entry["name"]) for entry in INDEX if entry["surface"] == "customer-rest"]
# The API's tests expect these besides the example's members.
ADDITIVE = {
    "items",
    "addresses",
    "payment",
    "shipments",
    "subTotalInvoiced",
    "subTotalInclTax",
    "shippingAmountInclTax",
    "customerId",
    "channelId",
}


@pytest.mark.parametrize("entry", REST)
async def test_rest_example_is_answered_exactly(
    entry: dict[str, Any], client: httpx.AsyncClient, demo_dsn: str
) -> None:
    request, expected = (
        json.loads((EXAMPLES / f"{entry['name']}.{part}.json").read_text("utf-8")) for part in ("request", "response")
    )
    # The examples name their credentials; the headers beside them are sent as they stand.
    headers = credentials("john", settings_for(demo_dsn))
    sent = {name: headers.get(name, value) for name, value in request["headers"].items()}

    answer = await client.request(request["method"], request["path"], headers=sent)

    body = answer.json()
    assert answer.status_code == entry["httpStatus"]
    if entry.get("compare"):
        assert set(body) - set(expected) == ADDITIVE
        body = {name: value for name, value in body.items() if name in expected}
        assert list(body) == list(expected)
    assert body == expected
