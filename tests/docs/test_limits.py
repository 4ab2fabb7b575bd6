"""docs/limits.md names every bound that can be set, with the default that it has."""

import re
from pathlib import Path

import pytest

from app.admin import channel_page
from app.auth import linked_order, order_link
from app.documents import ahead, application, identifier, manifest, registry, upload
from app.execution import compile as compile_
from app.execution import planner
from app.http import body, graphql
from app.pages import visit
from app.postgres import gathering
from app.resolvers import field_plan
from app.resolvers.b2b import webhook_write
from app.rest import documents, shop
from app.settings import Limits, Settings
from app.webhooks import endpoint, message, sender
from loaders import selection
from sql import merge

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text("utf-8")
ROW = re.compile(r"^\| `([A-Z_]+)` \| (\d+) \|", re.MULTILINE)
# Settings that are numbers and bound nothing that a caller chooses.
NO_BOUNDS = {"PORT", "WORKERS", "DRAIN_SECONDS", "SLOW_STATEMENT", "TRACES"}


def test_every_bound_is_named_with_its_default() -> None:
    fields = Settings.__dataclass_fields__.values()
    numbers = {
        field.name.upper(): field.default
        for field in fields
        if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    }
    limits = {f"LIMIT_{field.name.upper()}": field.default for field in Limits.__dataclass_fields__.values()}
    expected = {name: value for name, value in {**numbers, **limits}.items() if name not in NO_BOUNDS}
    assert {name: float(value) for name, value in ROW.findall(PAGE)} == {
        name: float(value) for name, value in expected.items() if isinstance(value, int | float)
    }


@pytest.mark.parametrize(
    ("value", "of"),
    [
        (body.MOST_MARKS, "commas and brackets of a body"),
        (graphql.MOST_PARAMETERS, "parameters of a query string"),
        (shop.LARGEST_PER_PAGE, "rows of a page of `/api/shop`"),
        (planner._MOST_PLANS, "plans of an operation"),
        (compile_._MOST_SELECTIONS, "selections of a plan"),
        (field_plan._MOST_SELECTIONS, "choices of pages"),
        (selection._MOST_PARTS, "statements that are combined to one"),
        (merge._MOST_MERGED, "scans of one index"),
        (gathering._MOST_ASKED, "rows that requests look up by id"),
        (webhook_write.MOST_ENDPOINTS, "endpoints of one owner"),
        (webhook_write.MOST_HEADERS, "headers of an endpoint's own"),
        (sender.MOST_ANSWER_BYTES, "bytes of an answer that are read"),
        (message.LARGEST_BYTES, "bytes of a message"),
        (endpoint.MOST_WAITING, "messages of an endpoint that wait"),
        (order_link.ATTEMPTS, "tries in 15 minutes"),
        (linked_order.LIFETIME.days, "days for which a link"),
        (visit.MOST_FIELDS, "fields of a form"),
        (channel_page.LARGEST_LOGO, "bytes of a logo"),
        (documents.MOST_UPLOADED, "documents of one upload over HTTP"),
        (manifest.MOST_FAULTS, "faults that are told of an upload"),
        (identifier.LONGEST_ID, "characters of a document's id"),
        (registry.MOST_KEPT, "documents that a process keeps with their ids"),
    ],
)
def test_bound_of_the_code_is_named_with_its_value(value: int, of: str) -> None:
    assert f"\n| | {value:,} | {of}" in PAGE


def test_bounds_of_applications_are_named_with_their_values() -> None:
    for row in (
        f"{upload.MOST_DOCUMENTS:,}, {upload.MOST_BYTES:,} bytes | documents of an application",
        f"{upload.MOST_VERSIONS}, {upload.LONGEST_VERSION} | versions that a document remembers",
        f"{application.MOST_APPLICATIONS:,}, {application.MOST_CALLERS:,} | applications",
        f"{ahead.MOST_AHEAD:,}, half of `CACHE_BYTES` | documents whose plans",
    ):
        assert f"\n| | {row}" in PAGE
